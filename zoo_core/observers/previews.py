"""``previews/step-000400.png``: what a person looks at while it trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo_core.hookspecs import hookimpl
from zoo_core.run_state import Run

if TYPE_CHECKING:
    from torch import Tensor


class Previews:
    """Writes each preview as one PNG, its pictures in a grid eight wide."""

    @hookimpl
    def zoo_preview(self, run: Run, step: int, pictures: Tensor) -> None:
        from zoo_core.pictures import save

        run.folder.previews.mkdir(exist_ok=True)
        save(pictures, run.folder.previews / f"step-{step:06d}.png")
