"""Read damaged images, masks, clips and arrays, and count what is neither read nor refused with a message and a hint.

Each file is one of 26 valid files of all formats that are read, truncated, with flipped bits, with inserted bytes,
or with a changed header. It is checked as an image and as a mask, and read as an image, as a clip, and for its size. A
clip that the check accepts has to be read with the size that the check found.

    python benchmarks/fuzz_images.py --files 5000 --seed 0
"""

from __future__ import annotations

import argparse
import io
import json
import random
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from measuring import write
from PIL import Image

import zoo_core as zoo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    counts: Counter[str] = Counter()
    valid, chooser = valid_files(), random.Random(args.seed)  # noqa: S311  # a test
    with TemporaryDirectory() as folder:
        for _ in range(args.files):
            name = chooser.choice(sorted(valid))
            path = Path(folder, name)
            path.write_bytes(damage(bytearray(valid[name]), chooser))
            counts.update(outcomes(path))
    print(json.dumps(counts, indent=1))
    write(args.output, counts)


def valid_files() -> dict[str, bytes]:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 14, 3), dtype=np.uint8)
    gray, image = pixels[..., 0], Image.fromarray(pixels)
    frames = {"save_all": True, "append_images": [Image.fromarray(np.roll(gray, number)) for number in range(3)]}
    turned = Image.Exif()
    turned[0x0112] = 6
    images: dict[str, tuple[Any, dict[str, Any]]] = {
        "color.png": (image, {}),
        "gray.png": (Image.fromarray(gray), {}),
        "deep.png": (Image.fromarray(gray.astype(np.uint16) * 200), {}),
        "clear.png": (image.convert("RGBA"), {}),
        "palette.png": (image.quantize(16), {}),
        "bits.png": (Image.fromarray(gray > 100), {}),
        "turned.jpg": (image, {"exif": turned}),
        "cmyk.jpg": (image.convert("CMYK"), {}),
        "two.jpg": (image, {"format": "MPO", "save_all": True, "append_images": [image]}),
        "clip.gif": (Image.fromarray(gray), frames),
        "clip.png": (Image.fromarray(gray), frames),
        "color.bmp": (image, {}),
        "gray.bmp": (Image.fromarray(gray), {}),
        "gray.tif": (Image.fromarray(gray), {}),
        "color.tif": (image, {"compression": "tiff_lzw"}),
        "deep.tif": (Image.fromarray(gray.astype(np.uint16) * 200), {}),
        "floats.tif": (Image.fromarray((gray / 255).astype(np.float32)), {"compression": "tiff_adobe_deflate"}),
        "clip.tif": (Image.fromarray(gray), frames),
        "lossless.webp": (image, {"lossless": True}),
        "lossy.webp": (image, {}),
        "clip.webp": (Image.fromarray(gray), frames),
        "gray.pgm": (Image.fromarray(gray), {}),
        "color.ppm": (image, {}),
    }
    formats = {".jpg": "JPEG", ".png": "PNG", ".gif": "GIF", ".bmp": "BMP", ".tif": "TIFF", ".webp": "WEBP"}
    formats |= {".pgm": "PPM", ".ppm": "PPM"}
    files = {}
    for name, (one, options) in images.items():
        one.save(content := io.BytesIO(), **{"format": formats[Path(name).suffix], **options})
        files[name] = content.getvalue()
    for name, array in {"bytes.npy": gray[None], "floats.npy": (gray[None] / 255).astype(np.float32)}.items():
        np.save(content := io.BytesIO(), array)
        files[name] = content.getvalue()
    np.savez(content := io.BytesIO(), frames=gray[None])
    return {**files, "packed.npz": content.getvalue()}


def damage(content: bytearray, chooser: random.Random) -> bytes:
    kind, length = chooser.randrange(4), len(content)
    if kind == 0:
        return bytes(content[: chooser.randrange(length)])
    if kind == 1:
        for _ in range(chooser.randrange(1, 4)):
            content[chooser.randrange(length)] ^= 1 << chooser.randrange(8)
    elif kind == 2:
        position = chooser.randrange(length)
        content[position:position] = chooser.randbytes(chooser.randrange(1, 9))
    else:
        for _ in range(chooser.randrange(1, 3)):
            content[chooser.randrange(min(60, length))] = chooser.randrange(256)
    return bytes(content)


def outcomes(path: Path) -> list[str]:
    readers: list[Callable[[], Any]] = [
        lambda: zoo.check_masks([path]),
        lambda: zoo.read_image(path, 3),
        lambda: zoo.clip_shape(path),
        lambda: zoo.read_frames(path, 1),
    ]
    found = [outcome(reader) for reader in readers]
    facts = zoo.check_images([path])[0] if outcome(lambda: zoo.check_images([path])) == "read" else None
    if facts is not None and path.suffix not in (".npy", ".npz"):
        shape = (facts.frames, 3, facts.height, facts.width)
        found.append(outcome(lambda: _require(tuple(zoo.read_frames(path, 3, max_value=65535).shape) == shape)))
        found[-1] = "read as checked" if found[-1] == "read" else f"WRONG: checked, but {found[-1]}"
    return found


def outcome(reader: Callable[[], Any]) -> str:
    try:
        reader()
    except zoo.BadFile as error:
        return "refused" if error.hint else f"WRONG: no hint: {error.message}"
    except Exception as error:
        return f"WRONG: {type(error).__name__}: {error}"
    return "read"


def _require(condition: bool) -> None:
    if not condition:
        raise ValueError("another size")


if __name__ == "__main__":
    main()
