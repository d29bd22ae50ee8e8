"""Writes previews to files, such as ``previews/step-000400.png``."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

from zoo_core.hookspecs import hookimpl
from zoo_core.runs.run import Run

if TYPE_CHECKING:
    from zoo_core.data.values import Value


class Previews:
    """Writes each value of a preview as a file for its kind; see ``STORED`` of ``data/value_output.py``.

    Images are a PNG with a grid of eight columns. Clips are a PNG with one row per clip, and an animated GIF.
    """

    @hookimpl
    def zoo_preview(self, run: Run, step: int, values: Mapping[str, Value]) -> None:
        from zoo_core.data.value_output import STORED, file_stems, save_value
        from zoo_core.data.values import kind_of

        folder, stems = run.folder.previews, file_stems(f"step-{step:06d}", values)
        for name, value in values.items():
            kind = kind_of(value)
            for suffix in STORED[kind] if kind else ():
                path = folder / f"{stems[name]}{suffix}"
                try:
                    folder.mkdir(exist_ok=True)
                    save_value(value, path)
                except OSError as error:  # such as a full disk, which may have room for the next one
                    warnings.warn(f"the preview {path} can't be written: {error.strerror or error}.", stacklevel=2)
                    break
