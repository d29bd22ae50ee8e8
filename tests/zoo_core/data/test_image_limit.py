"""Images of too many pixels are refused before they are decoded; the limit can be set."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

import zoo_core as zoo
from zoo_core.errors import BadFile, BadSetting

SIDE = 12_000  # 144 megapixels


@pytest.fixture(autouse=True)
def same_pillow(monkeypatch: pytest.MonkeyPatch):
    """The limit of Pillow is as before after a test, and no test decodes an image."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


@pytest.fixture
def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(self: object) -> None:
        raise AssertionError("it is decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)


def png(path: Path, height: int, width: int) -> Path:
    """A PNG of a few bytes that states this size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b""))
    return path


def pgm(path: Path, height: int, width: int) -> Path:
    path.write_bytes(f"P5 {width} {height} 255\n".encode())
    return path


def bmp(path: Path, height: int, width: int) -> Path:
    size = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    path.write_bytes(b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + size)
    return path


def npy(path: Path, height: int, width: int) -> Path:
    np.lib.format.open_memmap(path, "w+", np.uint8, (height, width))
    return path


MAKERS = {"a.png": png, "a.pgm": pgm, "a.bmp": bmp, "a.npy": npy}
READERS = [lambda path: zoo.read_image(path, 1), lambda path: zoo.check_images([path]), zoo.clip_shape]


@pytest.mark.parametrize(
    ("name", "read"), [(name, read) for name in MAKERS for read in READERS[: 1 if name in ("a.npy", "a.pgm") else 3]]
)
def test_an_image_of_144_megapixels_is_refused_before_it_is_decoded(no_decoding, tmp_path, name, read):
    path = MAKERS[name](tmp_path / name, SIDE, SIDE)
    with pytest.raises(BadFile) as refused:
        read(path)
    assert refused.value.message == (
        f"{path} has 12,000 x 12,000 = 144,000,000 pixels, but at most 89,478,485 are read."
    )
    assert refused.value.hint == "Divide it into tiles, or allow it: ZOO_MAX_PIXELS=144000000"


def test_an_image_that_pillow_refuses_has_the_same_hint(no_decoding, tmp_path):
    with pytest.raises(BadFile, match="can't be read: Image size") as refused:
        zoo.read_image(png(tmp_path / "a.png", SIDE, 2 * SIDE), 1)
    assert "set ZOO_MAX_PIXELS to its number of pixels" in refused.value.hint


@pytest.mark.parametrize(
    ("limit", "side", "is_read"), [("100", 10, True), ("99", 10, False), ("400000000", 20_000, True)]
)
def test_the_limit_is_a_setting_that_may_be_lower_or_higher(tmp_path, monkeypatch, limit, side, is_read):
    monkeypatch.setenv("ZOO_MAX_PIXELS", limit)
    path = png(tmp_path / "a.png", side, side)
    if is_read:
        with pytest.raises(BadFile, match=r"truncated|broken|can't be read: (?!Image size)"):  # it has no pixels
            zoo.read_image(path, 1)
    else:
        with pytest.raises(BadFile, match="has 10 x 10 = 100 pixels, but at most 99 are read"):
            zoo.read_image(path, 1)


@pytest.mark.parametrize("limit", ["many", "0", "-5", "1e9", "9" * 50, "٣"])
def test_a_limit_that_is_no_number_is_refused(tmp_path, monkeypatch, limit):
    monkeypatch.setenv("ZOO_MAX_PIXELS", limit)
    with pytest.raises(BadSetting, match="should be a number of pixels") as refused:
        zoo.read_image(png(tmp_path / "a.png", 2, 2), 1)
    assert "ZOO_MAX_PIXELS=200000000" in refused.value.hint


@pytest.mark.parametrize("content", [b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\x00\x00\x00\x0cjP  \r\n", b"SIMPLE  ="])
def test_a_format_that_is_not_documented_is_refused_whatever_its_name(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content + bytes(1000))
    with pytest.raises(BadFile, match=r"is a (PostScript|JPEG 2000|FITS) file"):
        zoo.read_image(path, 1)
