"""Writes preview images, such as ``previews/step-000400.png``."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from zoo_core.hookspecs import hookimpl
from zoo_core.runs.run import Run

if TYPE_CHECKING:
    from torch import Tensor


class Previews:
    """Writes each preview as a PNG with a grid of eight columns.

    Clips are written as a PNG with one row per clip, and as an animated GIF.
    """

    @hookimpl
    def zoo_preview(self, run: Run, step: int, images: Tensor) -> None:
        from zoo_core.data.image_output import save, save_clips

        path = run.folder.previews / f"step-{step:06d}.png"
        try:
            run.folder.previews.mkdir(exist_ok=True)
            save(images, path)
            if images.ndim == 5:
                save_clips(images, path.with_suffix(".gif"))
        except OSError as error:  # such as a full disk, which may have room for the next one
            warnings.warn(f"the preview {path} can't be written: {error.strerror or error}.", stacklevel=2)
