"""The formats of image files by their first and last bytes: what a file is, and whether it is complete."""

from __future__ import annotations

from pathlib import Path

_SIGNATURES = {
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"%!PS": "PostScript",
    b"\xc5\xd0\xd3\xc6": "PostScript",
    b"%PDF": "PDF",
    b"\x93NUMPY": "NumPy",
    b"PK\x03\x04": "ZIP",
    b"\0\0\0\x0cjP": "JPEG 2000",
    b"\xff\x0a": "JPEG XL",
    b"v/1\x01": "OpenEXR",
    b"SIMPLE": "FITS",
    b"\x89HDF": "HDF5",
}


def is_complete_gif(path: Path) -> bool:
    """Whether a GIF ends with its trailer; some programs add zeros."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        return file.read().rstrip(b"\0").endswith(b";")


def is_lossless_webp(path: Path) -> bool:
    """Whether a WebP image is compressed without loss."""
    with path.open("rb") as file:
        first = file.read(1 << 16)
    return b"VP8L" in first[12:] and b"VP8 " not in first[12:]


def what_it_is(path: Path, formats: tuple[str, ...]) -> str:
    """What is said of a file that Pillow could not open as one of ``formats``."""
    kind = _other_format(path)
    if kind is not None and kind.upper() in formats:
        return f"can't be read: it is a damaged {kind}, or one of a kind that is not read"
    return f"is {f'a {kind}' if kind else 'not a supported image'} file"


def _other_format(path: Path) -> str | None:
    """The format of a file that is not read, from its first bytes."""
    try:
        with path.open("rb") as file:
            first = file.read(16)
    except OSError:
        return None
    if first[:4] == b"RIFF" and first[8:12] == b"WEBP":
        return "WebP"
    if first[4:8] == b"ftyp":
        return {b"avif": "AVIF", b"heic": "HEIC", b"mif1": "HEIC"}.get(first[8:12], "video")
    return next((name for signature, name in _SIGNATURES.items() if first.startswith(signature)), None)
