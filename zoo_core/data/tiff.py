"""TIFF files: what their tags say of each page, and pages of any number of channels and bits as arrays."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo_core.errors import BadFile
from zoo_core.files import file_of, split_page, stat_regular
from zoo_core.fingerprint.per_file import Identity

_BIG = (b"II+\0", b"MM\0+")  # BigTIFF
_SIGNATURES = (b"II*\0", b"MM\0*", *_BIG)
_HINT = "Save it again, for example as a TIFF without compression, or as PNG."
_MAX_PAGES = 100_000
_UNSIGNED, _FLOAT = 1, 3  # sample formats
_PREMULTIPLIED = 1  # an extra sample: transparency that the colors are multiplied by
_ALPHA = (_PREMULTIPLIED, 2)  # extra samples that are transparency
_WHITE_IS_ZERO, _GRAY, _RGB, _PALETTE, _CMYK = 0, 1, 2, 3, 5
_NOT_READ = {
    _WHITE_IS_ZERO: "white as 0",
    _PALETTE: "a palette",
    _CMYK: "CMYK",
    6: "YCbCr",
    8: "Lab",
    9: "Lab",
    10: "Lab",
    32803: "the raw values of a sensor with a color filter",
    32844: "logarithms of luminance",
    32845: "logarithms of luminance",
    34892: "the raw values of a sensor",
}
_REDUCED = 1  # a smaller copy of another page, as for a preview


@dataclass(frozen=True)
class TiffPage:
    """The tags of a page.

    Parameters
    ----------
    width, height : int
        The size as it is stored.
    bits : int
        The most bits of a sample.
    samples : int
        Samples of a pixel, with transparency.
    sample_format : int
        1: unsigned, 2: signed, 3: floating-point.
    extra : tuple of int
        What samples beyond the colors are; 1 and 2: transparency.
    photometric : int
        What the samples mean.
    index : int
        The number of the page in the file, where smaller copies are counted as well.
    orientation : int
        The orientation, 1 to 8; 1 if the page is stored upright.
    """

    width: int
    height: int
    bits: int
    samples: int
    sample_format: int
    extra: tuple[int, ...]
    photometric: int
    index: int = 0
    orientation: int = 1

    @property
    def has_alpha(self) -> bool:
        return len(self.extra) == 1 and self.extra[0] in _ALPHA

    @property
    def is_premultiplied(self) -> bool:
        """Whether the colors are already multiplied by the transparency."""
        return self.extra == (_PREMULTIPLIED,)

    @property
    def is_8_bit(self) -> bool:
        """Whether Pillow reads it with all samples, as an image of 8 bits."""
        if self.bits > 8 or self.sample_format != _UNSIGNED:
            return False
        colors = self.samples - len(self.extra)
        if self.photometric == _CMYK:
            return self.samples == 4 and not self.extra
        return colors in (1, 3) and (not self.extra or self.has_alpha)

    @property
    def is_gray(self) -> bool:
        """Whether it has one sample of more than 8 bits that Pillow reads as it is."""
        if self.samples != 1 or self.photometric != _GRAY:
            return False
        sizes = {_UNSIGNED: (12, 16, 32), 2: (16, 32), _FLOAT: (32,)}
        return self.bits in sizes.get(self.sample_format, ())


def is_tiff(path: Path) -> bool:
    """Whether a file begins as a TIFF does."""
    stat_regular(path)
    try:
        with path.open("rb") as file:
            return file.read(4) in _SIGNATURES
    except OSError:
        return False  # reading it says why


def refuse_big_endian(path: Path) -> None:
    """Raise BadFile for a BigTIFF in big-endian byte order, which Pillow takes for a TIFF of another kind."""
    with path.open("rb") as file:
        if file.read(4) == _BIG[1]:
            raise BadFile(f"{path} is a BigTIFF in big-endian byte order, which is not read.", _HINT)


def page_offsets(path: Path) -> list[int]:
    """Where the pages of a TIFF begin, with smaller copies; none of any other file.

    Raises:
        BadFile: if a page is beyond the end of the file, the pages form a circle, or there are none or too many.
    """
    return _page_offsets(path, Identity.of(path))


@lru_cache(maxsize=1024)
def _page_offsets(path: Path, _identity: Identity) -> list[int]:
    pages: dict[int, None] = {}
    with path.open("rb") as file:
        header = file.read(16)
        if header[:4] not in _SIGNATURES:
            return []
        order = {b"II": "<", b"MM": ">"}[header[:2]]
        is_big = header[:4] in _BIG
        offset_at, offset, count, entry = (8, "Q", "Q", 20) if is_big else (4, "I", "H", 12)
        size = path.stat().st_size
        at = _number(header[offset_at:], order + offset)
        while at:
            if at in pages or at >= size or len(pages) >= _MAX_PAGES:
                raise BadFile(f"{path} can't be read: {_refused(at in pages, at >= size)}.", _HINT)
            pages[at] = None
            file.seek(at)
            entries = _number(file.read(struct.calcsize(count)), order + count)
            file.seek(entries * entry if entries * entry <= size else size, os.SEEK_CUR)
            at = size if entries * entry > size else _number(file.read(struct.calcsize(offset)), order + offset, size)
    if not pages:
        raise BadFile(f"{path} can't be read: it is a TIFF without a page.", _HINT)
    return list(pages)


def _refused(is_circle: bool, is_beyond: bool) -> str:
    if is_circle:
        return "its pages are incomplete: one refers to an earlier one"
    return "its pages are incomplete" if is_beyond else f"it has more than {_MAX_PAGES:,} pages"


def _number(content: bytes, form: str, otherwise: int = 0) -> int:
    length = struct.calcsize(form)
    return struct.unpack(form, content[:length])[0] if len(content) >= length else otherwise


def tiff_pages(path: Path) -> list[TiffPage]:
    """The pages of a TIFF in their order, without smaller copies.

    Raises:
        BadFile: as :func:`page_offsets`, or if its tags can't be read.
    """
    return _tiff_pages(path, Identity.of(path))


@lru_cache(maxsize=1024)
def _tiff_pages(path: Path, _identity: Identity) -> list[TiffPage]:
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    pages: list[TiffPage] = []
    offsets = page_offsets(path)
    refuse_big_endian(path)
    try:
        with path.open("rb") as file:
            header = file.read(16)
            tags = ImageFileDirectory_v2(header[: 16 if header[:4] in _BIG else 8])
            for index, offset in enumerate(offsets):
                file.seek(offset)
                tags.reset()
                tags.load(file)
                page = _page(tags, index)
                if not pages or not _is_reduced(tags):
                    pages.append(page)
    except (OSError, EOFError, SyntaxError, ValueError, TypeError, KeyError, IndexError, struct.error) as error:
        raise BadFile(f"{path} can't be read: its TIFF tags are damaged.", _HINT) from error
    if not pages:
        raise BadFile(f"{path} can't be read: it is a TIFF without a page.", _HINT)
    return pages


def _is_reduced(tags: Any) -> bool:
    return bool(int(tags.get(254, 0)) & _REDUCED)


def _page(tags: Any, index: int) -> TiffPage:
    formats = set(tags.get(339, (_UNSIGNED,)))
    bits = set(tags.get(258, (1,)))
    if len(formats) > 1:
        raise ValueError("samples of several formats")
    return TiffPage(
        width=int(tags[256]),
        height=int(tags[257]),
        bits=max(bits),
        samples=int(tags.get(277, 1)),
        sample_format=formats.pop(),
        extra=tuple(tags.get(338, ())),
        photometric=int(tags.get(262, 1)),
        index=index,
        orientation=int(tags.get(274, 1)),
    )


def page_of(path: Path) -> TiffPage:
    """The page that a path names, or the first one.

    Raises:
        BadFile: if the file has no such page.
    """
    file, number = split_page(path)
    pages = tiff_pages(file)
    if number is not None and number >= len(pages):
        raise BadFile(f"{file} has {len(pages)} pages, numbered from 0, but no page {number}.", "Give one of them.")
    return pages[number or 0]


def read_page(path: Path, page: TiffPage) -> NDArray[Any]:
    """A page (H, W, C) that Pillow does not read as it is, with the package tifffile.

    Raises:
        BadFile: if tifffile is missing, or the page can't be read.
    """
    if page.photometric not in (_GRAY, _RGB):
        kind = _NOT_READ.get(page.photometric, f"colors of kind {page.photometric}")
        raise BadFile(f"{path} is a TIFF of {page.bits} bits that stores {kind}.", "Save it in gray or RGB.")
    try:
        import tifffile
    except ModuleNotFoundError as error:
        raise BadFile(
            f"{path} is a TIFF of {page.samples} x {page.bits} bits per pixel, which needs the package tifffile.",
            "pip install 'zoo-core[tiff]'",
        ) from error
    try:
        with tifffile.TiffFile(file_of(path)) as opened:
            chosen = opened.pages[page.index]
            values = np.asarray(chosen.asarray())
            planar = chosen.axes.startswith("S")
    except Exception as error:  # of a parser of damaged files
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadFile(f"{path} can't be read: {reason.rstrip('.')}.", _HINT) from error
    if values.ndim == 2:
        values = values[..., None]
    if planar:
        values = np.moveaxis(values, 0, -1)
    if values.shape != (page.height, page.width, page.samples):
        raise BadFile(f"{path} holds an array of shape {values.shape}, which is no image.", _HINT)
    return values
