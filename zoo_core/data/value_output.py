"""Write the values of previews and predictions to files, and draw them: what every viewer shows."""

from __future__ import annotations

import io
import re
import unicodedata
import wave
from collections.abc import Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo_core.data import image_output
from zoo_core.data.table_csv import as_csv
from zoo_core.data.values import Audio, Kind, Table, Value, kind_of

STORED: dict[Kind, tuple[str, ...]] = {
    "text": (".txt",),
    "table": (".csv",),
    "audio": (".wav",),
    "images": (".png",),
    "clips": (".png", ".gif"),
    "classes": (".png",),
    "array": (".npy", ".png"),
}
"""Endings of the files of a preview, all of which are written."""
_MOST_PIXELS = 1024  # of a side of a drawn array
_LEAST_PIXELS = 256
_MOST_PARTS = 64  # matrices of an array of three or more dimensions that are drawn
_CHART_HEIGHT = 64
_MOST_LENGTH = 64  # times the width of a picture; a thinner one can't be seen, and MLflow refuses it
_LONGEST_NAME = 50  # characters of a value's name in a file name


def save_value(value: Value, path: Path, columns: int = 8) -> None:
    """Write a value in the format of the ending of ``path``: one of `STORED` for its kind, or of an image.

    Raises:
        BadFile: if the file can't be written.
    """
    kind, suffix = kind_of(value), path.suffix.lower()
    if isinstance(value, Tensor):
        if suffix == ".npy":
            image_output.save_array(value, path)
        elif suffix in image_output.TIFF:
            image_output.save_tiff(value, path)
        elif kind == "classes":
            image_output.save_classes(value, path)
        elif kind == "clips" and suffix == ".gif":
            image_output.save_clips(value, path)
        elif kind == "array":
            image_output.save(picture(value)[None], path)
        else:
            image_output.save(value, path, columns)
        return
    try:
        path.write_bytes(encoded(value))
    except OSError as error:
        raise image_output.not_written(path, error) from error


def encoded(value: str | Table | Audio) -> bytes:
    """The content of a ``.txt``, ``.csv`` or ``.wav`` file, in UTF-8 and 16-bit PCM."""
    if isinstance(value, Audio):
        return _wav(value)
    return (as_csv(value.columns) if isinstance(value, Table) else value).encode()


def file_stems(stem: str, names: Iterable[str]) -> dict[str, str]:
    """A file name without its ending for each name: ``stem`` for the name '', ``stem-name`` for the others.

    Names may contain any character. What is not a letter, a digit, ``-`` or ``.`` becomes ``_``, and names that would
    be the same file, also on a disk that ignores case, are numbered.
    """
    stems: dict[str, str] = {}
    for name in names:
        safe = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", name))[:_LONGEST_NAME]
        wanted = f"{stem}-{safe}" if name else stem
        taken, chosen, number = {one.casefold() for one in stems.values()}, wanted, 2
        while chosen.casefold() in taken:
            chosen, number = f"{wanted}-{number}", number + 1
        stems[name] = chosen
    return stems


def picture(value: Tensor) -> Tensor:
    """Images, clips, a class map or an array as one image (3, H, W) in [0, 1]; other values are clipped.

    An array of one dimension is drawn as a chart, with black bars from its minimum to its maximum. Others are drawn in
    gray, from their minimum in black to their maximum in white: one of two dimensions with a square for each value, and
    one of more as a grid of the first 64 such pictures. NaN is black. A picture that is more than 64 times as long as
    wide is stretched.
    """
    kind = kind_of(value)
    if kind in ("images", "clips"):
        return _stretched(image_output.in_unit_range(image_output.grid(value)))
    if kind == "classes":
        colors = torch.tensor(image_output.palette(256)) / 255
        return _stretched(colors[value.long()].permute(2, 0, 1))
    return _stretched(_drawn(_in_unit_range(value))).expand(3, -1, -1)


def _stretched(image: Tensor) -> Tensor:
    for long, short in ((1, 2), (2, 1)):
        factor = image.shape[long] // (_MOST_LENGTH * image.shape[short])
        image = image.repeat_interleave(factor + 1, dim=short) if factor else image
    return image


def _in_unit_range(array: Tensor) -> Tensor:
    values = (array.abs() if array.is_complex() else array).double()
    finite = values[values.isfinite()]
    low, high = (finite.min(), finite.max()) if finite.numel() else (values.new_zeros(()), values.new_ones(()))
    span = high - low if high > low else torch.ones_like(high)
    return ((values - low) / span).nan_to_num(0.0).clamp(0, 1).float()


def _drawn(values: Tensor) -> Tensor:
    """Values in [0, 1] as an image (1, H, W)."""
    if values.ndim == 1:
        heights = F.adaptive_avg_pool1d(values[None], min(len(values), _MOST_PIXELS))
        lines = torch.linspace(1, 0, _CHART_HEIGHT)
        return _enlarged((heights < lines[:, None]).float()[None], rows=False)
    if values.ndim == 2:
        return _enlarged(_reduced(values[None], _MOST_PIXELS))
    parts = values.flatten(0, -3)[:_MOST_PARTS]
    drawn = _enlarged(_reduced(parts, _MOST_PIXELS // 8), _LEAST_PIXELS // 4)
    return image_output.grid(drawn[:, None])[:1]


def _reduced(images: Tensor, most: int) -> Tensor:
    """Images (N, H, W) of at most ``most`` pixels in height and width."""
    height, width = images.shape[1:]
    return F.adaptive_avg_pool2d(images, (min(height, most), min(width, most)))


def _enlarged(images: Tensor, least: int = _LEAST_PIXELS, *, rows: bool = True) -> Tensor:
    """Images (N, H, W) whose pixels are repeated until the longer side has about ``least`` pixels."""
    height, width = images.shape[1:]
    factor = max(1, least // (max(height, width) if rows else width))
    images = images.repeat_interleave(factor, dim=2)
    return images.repeat_interleave(factor, dim=1) if rows else images


def _wav(audio: Audio) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(len(audio.samples))
        written.setsampwidth(2)
        written.setframerate(audio.sample_rate)
        samples = (audio.samples * 32767).round().short()
        written.writeframes(samples.T.contiguous().numpy().astype("<i2").tobytes())
    return file.getvalue()
