"""Pictures as files."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from zoo_core.errors import BadFile


def save(pictures: Tensor, path: Path, columns: int = 8) -> None:
    """Write ``pictures`` (N, C, H, W) in [0, 1] as one picture, a grid of ``columns``.

    Raises:
        BadFile: if the file cannot be written, or its ending names no picture format.
    """
    from torchvision.utils import save_image

    try:
        save_image(pictures, path, nrow=min(columns, len(pictures)))
    except (OSError, ValueError) as error:
        raise BadFile(f"{path} could not be written: {error}.", "Choose a name that ends in .png.") from error
