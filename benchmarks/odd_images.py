"""Read odd and hostile images, each with what is right: it is read with certain values, or refused with a message.

    python benchmarks/odd_images.py

Every case is a file that is read by `zoo.check_images` and `zoo.read_image`. A case fails if the values are others, if
something else than `zoo.ZooError` is raised, or if the message does not name the file or has no hint.
"""

from __future__ import annotations

import io
import json
import os
import struct
import sys
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

import zoo_core as zoo

GRAY = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
COLOR = np.stack([GRAY, 255 - GRAY, GRAY // 2], axis=2)
DEEP = GRAY.astype(np.uint16) * 257 + 3
DEEP_COLOR = COLOR.astype(np.uint16) * 256 + 7
REFUSED = None
Make = Callable[[Path], Any]  # writes a file, and returns the values (H, W[, C]) in [0, 1] that are right


def _pillow(values: Any, right: Any, mode: str | None = None, **options: Any) -> Make:
    def make(path: Path) -> Any:
        image = Image.fromarray(values)
        (image.convert(mode) if mode else image).save(path, **options)
        return right

    return make


def _tiff(values: Any, right: Any, **options: Any) -> Make:
    def make(path: Path) -> Any:
        import tifffile

        tifffile.imwrite(path, values, **{"photometric": "minisblack", **options})
        return right

    return make


def _array(values: Any, right: Any) -> Make:
    def make(path: Path) -> Any:
        np.save(path, values)
        return right

    return make


def _content(content: bytes, right: Any = REFUSED) -> Make:
    def make(path: Path) -> Any:
        path.write_bytes(content)
        return right

    return make


def _png(values: Any, color_type: int, depth: int, right: Any, size: tuple[int, int] | None = None) -> Make:
    height, width = size or values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2" if depth == 16 else "u1").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return _content(b"\x89PNG\r\n\x1a\n" + b"".join(chunks), right)


def _encoded(values: Any, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, kind, **options)
    return file.getvalue()


def _cut(content: bytes, fraction: float = 0.6) -> Make:
    return _content(content[: int(len(content) * fraction)])


def _interlaced(path: Path) -> Any:
    """Adam7: seven passes, each with its own rows."""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    rows = b""
    for top, left, down, right in passes:
        part = DEEP_COLOR[top::down, left::right]
        rows += b"".join(b"\0" + row.astype(">u2").tobytes() for row in part) if part.size else b""
    header = struct.pack(">IIBBBBB", 8, 6, 16, 2, 0, 0, 1)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return DEEP_COLOR / 65535


def _turned(path: Path) -> Any:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(COLOR).save(path, exif=exif, quality=100, subsampling=0)
    return np.rot90(COLOR, -1) / 255


def _turned_tiff(path: Path) -> Any:
    Image.fromarray(GRAY).save(path, tiffinfo={274: 6})


def _palette(transparent: int | None) -> Make:
    def make(path: Path) -> Any:
        image = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8) % 3)
        image.putpalette([255, 0, 0, 0, 200, 0, 9, 9, 255])
        image.save(path, **({} if transparent is None else {"transparency": transparent}))
        colors = np.array([[255, 0, 0], [0, 200, 0], [9, 9, 255]])
        if transparent is not None:
            colors[transparent] = 0
        return colors[np.asarray(image)] / 255

    return make


def _rgba(values: int) -> Make:
    alpha = np.full((6, 8, 1), values, np.uint8)
    return _pillow(np.concatenate([COLOR, alpha], axis=2), COLOR * (values / 255) / 255)


def _special(kind: str) -> Make:
    def make(path: Path) -> Any:
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        elif kind == "loop":
            path.symlink_to(path.name)
        elif kind == "dangling":
            path.symlink_to("nowhere")
        elif kind == "device":
            path.symlink_to("/dev/zero")

    return make


def _pages(kind: str) -> Make:
    def make(path: Path) -> Any:
        first, second = Image.fromarray(GRAY), Image.fromarray(255 - GRAY)
        first.save(path, kind, save_all=True, append_images=[second])

    return make


def _circular(path: Path) -> Any:
    """A TIFF whose only page says that the next one is itself."""
    file = io.BytesIO()
    Image.fromarray(GRAY).save(file, "TIFF")
    content = bytearray(file.getvalue())
    start = struct.unpack("<I", content[4:8])[0]
    count = struct.unpack("<H", content[start : start + 2])[0]
    content[start + 2 + 12 * count : start + 6 + 12 * count] = struct.pack("<I", start)
    path.write_bytes(content)
    return GRAY / 255


def _tiff_tag(tag: int, value: int, values: Any = GRAY) -> Make:
    """A TIFF in which a tag has another value."""

    def make(path: Path) -> Any:
        content = bytearray(_encoded(values, "TIFF"))
        start = struct.unpack("<I", content[4:8])[0]
        for place in range(start + 2, start + 2 + 12 * struct.unpack("<H", content[start : start + 2])[0], 12):
            if struct.unpack("<H", content[place : place + 2])[0] == tag:
                content[place + 2 : place + 4] = struct.pack("<H", 4)
                content[place + 8 : place + 12] = struct.pack("<I", value)
        path.write_bytes(content)

    return make


def _npz_bomb(path: Path) -> Any:
    np.savez_compressed(path.with_suffix(".npz"), np.zeros((20000, 20000), np.uint8))
    path.with_suffix(".npz").rename(path)


FLOAT = (GRAY / 255).astype(np.float32)
NPY = b"\x93NUMPY\x01\x00v\x00"
FIVE = np.stack([GRAY] * 5, axis=2)
CASES: dict[str, Make] = {
    "gray.png": _pillow(GRAY, GRAY / 255),
    "bits.png": _pillow(GRAY > 100, (GRAY > 100) * 1.0),
    "palette.png": _palette(None),
    "palette_clear.png": _palette(1),
    "opaque.png": _rgba(255),
    "half.png": _rgba(51),
    "gray16.png": _pillow(DEEP, DEEP / 65535),
    "color16.png": _png(DEEP_COLOR, 2, 16, DEEP_COLOR / 65535),
    "interlaced16.png": _interlaced,
    "la16.png": _png(DEEP_COLOR[..., :2], 4, 16, REFUSED),
    "dark12.png": _pillow((DEEP >> 4).astype(np.uint16), REFUSED),
    "binary.png": _pillow((GRAY > 100).astype(np.uint8), REFUSED),
    "black.png": _pillow(GRAY * 0, GRAY * 0.0),
    "truncated.png": _cut(_encoded(COLOR, "PNG")),
    "bomb.png": _png(GRAY, 0, 8, REFUSED, (60000, 60000)),
    "wrong_size.png": _png(GRAY, 0, 8, REFUSED, (600, 800)),
    "no_width.png": _png(GRAY, 0, 8, REFUSED, (6, 0)),
    "jpeg_as.png": _content(_encoded(GRAY * 0 + 128, "JPEG"), GRAY * 0 + 128 / 255),
    "png_as.jpg": _content(_encoded(COLOR, "PNG"), COLOR / 255),
    "tiff_as.png": _content(_encoded(COLOR, "TIFF"), COLOR / 255),
    "zip_as.png": _content(b"PK\x03\x04" + bytes(60)),
    "ps_as.png": _content(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n"),
    "pdf_as.png": _content(b"%PDF-1.4\n"),
    "svg_as.png": _content(b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
    "html_as.png": _content(b"<!doctype html>"),
    "empty.png": _content(b""),
    "text.png": _content(b"hello"),
    "pointer.png": _content(b"version https://git-lfs.github.com/spec/v1\n"),
    "pipe.png": _special("pipe"),
    "folder.png": _special("folder"),
    "loop.png": _special("loop"),
    "dangling.png": _special("dangling"),
    "device.png": _special("device"),
    "turned.jpg": _turned,
    "cmyk.jpg": _content(_encoded(COLOR, "JPEG")[:2] + b"\xff\xd9"),
    "truncated.jpg": _cut(_encoded(COLOR, "JPEG")),
    "animated.gif": _pages("GIF"),
    "animated.webp": _pages("WEBP"),
    "animated.png": _pages("PNG"),
    "cut.gif": _cut(_encoded(GRAY, "GIF")),
    "lossless.webp": _pillow(COLOR, COLOR / 255, lossless=True),
    "cut.webp": _cut(_encoded(COLOR, "WEBP", lossless=True)),
    "color.bmp": _pillow(COLOR, COLOR / 255),
    "cut.bmp": _cut(_encoded(COLOR, "BMP")),
    "color.ppm": _pillow(COLOR, COLOR / 255),
    "cut.ppm": _cut(_encoded(COLOR, "PPM")),
    "white3.pgm": _content(b"P5 2 1 3\n\0\3", np.array([[0.0, 1.0]])),
    "white4095.pgm": _content(b"P5 2 1 4095\n" + struct.pack(">2H", 0, 4095), np.array([[0.0, 1.0]])),
    "dark16.pgm": _content(b"P5 2 1 65535\n" + struct.pack(">2H", 0, 4095)),
    "color16.ppm": _content(b"P6 1 1 65535\n" + bytes(6)),
    "plain.pgm": _content(b"P2 2 1 255\n0 255\n", np.array([[0.0, 1.0]])),
    "huge.pgm": _content(b"P5 99999 99999 255\n\0"),
    "float.pfm": _content(b"Pf\n2 1\n-1.0\n" + struct.pack("<2f", 0.5, 1), np.array([[0.5, 1.0]])),
    "beyond.pfm": _content(b"Pf\n2 1\n-1.0\n" + struct.pack("<2f", 0.5, 7)),
    "gray.tif": _tiff(GRAY, GRAY / 255),
    "big_endian.tif": _tiff(DEEP, DEEP / 65535, byteorder=">"),
    "big.tif": _tiff(DEEP, DEEP / 65535, bigtiff=True),
    "tiled.tif": _tiff(np.tile(DEEP, (9, 9)), np.tile(DEEP, (9, 9)) / 65535, tile=(16, 16)),
    "lzw.tif": _pillow(COLOR, COLOR / 255, compression="tiff_lzw"),
    "deflate.tif": _pillow(COLOR, COLOR / 255, compression="tiff_adobe_deflate"),
    "packbits.tif": _pillow(COLOR, COLOR / 255, compression="packbits"),
    "jpeg_in.tif": _pillow(COLOR * 0 + 128, COLOR * 0 + 128 / 255, compression="jpeg"),
    "fax.tif": _pillow(GRAY > 100, (GRAY > 100) * 1.0, compression="group4"),
    "color16.tif": _tiff(DEEP_COLOR, DEEP_COLOR / 65535, photometric="rgb"),
    "planar16.tif": _tiff(
        DEEP_COLOR.transpose(2, 0, 1), DEEP_COLOR / 65535, photometric="rgb", planarconfig="separate"
    ),
    "lzw16.tif": _tiff(DEEP_COLOR, DEEP_COLOR / 65535, photometric="rgb", compression="lzw", predictor=True),
    "float.tif": _tiff(FLOAT, FLOAT),
    "float64.tif": _tiff(FLOAT.astype(np.float64), FLOAT),
    "float_color.tif": _tiff((COLOR / 255).astype(np.float32), COLOR / 255, photometric="rgb"),
    "float255.tif": _tiff(FLOAT * 255, REFUSED),
    "nan.tif": _tiff(np.where(FLOAT > 0.5, np.nan, FLOAT), REFUSED),
    "inf.tif": _tiff(np.where(FLOAT > 0.5, np.inf, FLOAT), REFUSED),
    "negative.tif": _tiff(FLOAT - 0.5, REFUSED),
    "int16.tif": _tiff(GRAY.astype(np.int16), REFUSED),
    "int8.tif": _tiff((GRAY // 2).astype(np.int8), REFUSED),
    "uint32.tif": _tiff(DEEP.astype(np.uint32), REFUSED),
    "dark.tif": _tiff(DEEP >> 4, REFUSED),
    "five.tif": _tiff(FIVE, REFUSED, planarconfig="contig"),
    "unknown_fourth.tif": _tiff(np.dstack([COLOR, GRAY]), REFUSED, photometric="rgb", extrasamples=(0,)),
    "alpha.tif": _pillow(np.dstack([COLOR, GRAY * 0 + 255]), COLOR / 255),
    "white_is_zero.tif": _tiff(GRAY, 1 - GRAY / 255, photometric="miniswhite"),
    "white_is_zero16.tif": _tiff(DEEP, REFUSED, photometric="miniswhite"),
    "stack.tif": _tiff(np.stack([GRAY, GRAY]), REFUSED),
    "stack16.tif": _tiff(np.stack([DEEP_COLOR, DEEP_COLOR]), REFUSED, photometric="rgb"),
    "turned.tif": _turned_tiff,
    "circular.tif": _circular,
    "cut.tif": _cut(_encoded(COLOR, "TIFF")),
    "cut_lzw.tif": _cut(_encoded(COLOR, "TIFF", compression="tiff_lzw"), 0.3),
    "no_pages.tif": _content(b"II*\0" + bytes(100)),
    "huge.tif": _tiff_tag(256, 2**31 - 1),
    "bits99.tif": _tiff_tag(258, 99),
    "compression99.tif": _tiff_tag(259, 9999),
    "samples.tif": _tiff_tag(277, 60000, COLOR),
    "gray.npy": _array(GRAY, GRAY / 255),
    "color.npy": _array(COLOR, COLOR / 255),
    "deep.npy": _array(DEEP, DEEP / 65535),
    "big_endian.npy": _array(DEEP.astype(">u2"), DEEP / 65535),
    "fortran.npy": _array(np.asfortranarray(COLOR), COLOR / 255),
    "bool.npy": _array(GRAY > 100, (GRAY > 100) * 1.0),
    "float.npy": _array(FLOAT, FLOAT),
    "half.npy": _array(FLOAT.astype(np.float16), FLOAT.astype(np.float16)),
    "nan.npy": _array(np.where(FLOAT > 0.5, np.nan, FLOAT), REFUSED),
    "inf.npy": _array(np.where(FLOAT > 0.5, -np.inf, FLOAT), REFUSED),
    "float255.npy": _array(FLOAT * 255, REFUSED),
    "int64.npy": _array(GRAY.astype(np.int64), REFUSED),
    "complex.npy": _array(FLOAT.astype(complex), REFUSED),
    "object.npy": _content(
        NPY + b"{'descr': '|O', 'fortran_order': False, 'shape': (6, 8), }".ljust(117) + b"\n" + bytes(384)
    ),
    "text.npy": _array(np.array(["a"]), REFUSED),
    "records.npy": _array(np.zeros((6, 8), [("a", "u1")]), REFUSED),
    "channels_first.npy": _array(np.moveaxis(COLOR, 2, 0).repeat(100, 2), REFUSED),
    "stack.npy": _array(np.zeros((3, 6, 8, 3), np.uint8), REFUSED),
    "no_pixels.npy": _array(np.zeros((0, 8), np.uint8), REFUSED),
    "cut.npy": _content(NPY + b"{'descr': '|u1', 'fortran_order': False, 'shape': (6, 8), }".ljust(117) + b"\n12"),
    "huge.npy": _content(
        NPY + b"{'descr': '|u1', 'fortran_order': False, 'shape': (999999, 999999), }".ljust(117) + b"\n12"
    ),
    "negative_size.npy": _content(
        NPY + b"{'descr': '|u1', 'fortran_order': False, 'shape': (-6, 8), }".ljust(117) + b"\n12"
    ),
    "npz_bomb.npy": _npz_bomb,
}


def main() -> None:
    warnings.simplefilter("ignore")
    wrong = []
    read = refused = 0
    with TemporaryDirectory() as folder:
        for name, make in CASES.items():
            path = Path(folder) / name
            right = make(path)
            outcome = _outcome(path, right)
            read, refused = read + (outcome == "read"), refused + (outcome == "refused")
            if outcome not in ("read", "refused"):
                wrong.append(f"{name}: {outcome}")
    print(json.dumps({"cases": len(CASES), "read": read, "refused": refused, "wrong": wrong}, indent=2))  # the result
    sys.exit(bool(wrong))


def _outcome(path: Path, right: Any) -> str:
    color = right is not None and np.ndim(right) == 3
    try:
        facts = zoo.check_images([path], clips=False)[0]
        image = zoo.read_image(path, 3 if color else 1).numpy().transpose(1, 2, 0)
    except zoo.ZooError as error:
        if right is not None:
            return f"refused: {error}"
        is_clear = path.name in error.message and error.hint and "\n" not in error.message
        return "refused" if is_clear else f"unclear: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if right is None:
        return f"read, as {facts}"
    expected = right if color else right[..., None]
    if image.shape != expected.shape or (facts.height, facts.width) != expected.shape[:2]:
        return f"read with shape {image.shape}"
    difference = float(np.abs(image - expected).max())
    return (
        "read"
        if difference < 4.1 / 255 and (difference < 1e-3 or color or ".jpg" in path.name)
        else f"differs by {difference}"
    )


if __name__ == "__main__":
    main()
