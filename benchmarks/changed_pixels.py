"""How long a folder of images and masks takes to be checked and fingerprinted, and whether every change is noticed.

Makes pairs of a JPEG image of 256 x 256 and a PNG mask, and reads them with the dataset `mask-folder`: the first time,
and again from the cache. Then it changes one pixel of a mask or one byte of an image at a time, without changing the
size or the time of modification where the format allows that, and counts how often the fingerprint changes.

    python benchmarks/changed_pixels.py --files 10000 --changes 50
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from measuring import write
from PIL import Image

from zoo_plugins.datasets.mask_folder import MaskFolder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--changes", type=int, default=50)
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    with TemporaryDirectory() as folder:
        os.environ["ZOO_HOME"] = f"{folder}/home"
        results = measure(Path(folder, "data"), args.files // 2, args.changes)
    print(json.dumps(results, indent=1))
    write(args.output, results)


def measure(folder: Path, pairs: int, changes: int) -> dict[str, float]:
    make(folder, pairs)
    time.sleep(2.5)  # files modified within two seconds are not cached
    first, cached = read(folder), read(folder)
    noticed = sum(is_noticed(folder, random.Random(number), first["fingerprint"]) for number in range(changes))  # noqa: S311  # a test
    return {
        "files": 2 * pairs,
        "megabytes": round(sum(path.stat().st_size for path in folder.glob("*/*")) / 1e6),
        "seconds of the first check": first["check"],
        "seconds of the first fingerprint": first["hash"],
        "seconds of the next check": cached["check"],
        "seconds of the next fingerprint": cached["hash"],
        "changes": changes,
        "changes noticed": noticed,
    }


def make(folder: Path, pairs: int) -> None:
    generator = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(pairs):
        squares = generator.integers(0, 240, (16, 16, 3), dtype=np.uint8).repeat(16, axis=0).repeat(16, axis=1)
        noisy = squares + generator.integers(0, 16, squares.shape, dtype=np.uint8)
        Image.fromarray(noisy).save(folder / "images" / f"{number}.jpg", quality=92)
        classes = generator.integers(0, 3, (16, 16), dtype=np.uint8).repeat(16, axis=0).repeat(16, axis=1)
        Image.fromarray(classes).save(folder / "masks" / f"{number}.png")


def read(folder: Path) -> dict[str, float | str]:
    dataset = MaskFolder(MaskFolder.Config(folder=str(folder), num_classes=3))
    begun = time.perf_counter()
    dataset.train()
    checked = time.perf_counter()
    fingerprint = dataset.fingerprint()
    return {
        "check": round(checked - begun, 2),
        "hash": round(time.perf_counter() - checked, 2),
        "fingerprint": fingerprint,
    }


def is_noticed(folder: Path, chooser: random.Random, expected: float | str) -> bool:
    """Whether a change is noticed, and nothing once it is undone."""
    path = chooser.choice(sorted(folder.glob("*/*")))
    before, status = path.read_bytes(), path.stat()
    if path.suffix == ".png":
        with Image.open(path) as image:
            pixels = np.array(image)
        row, column = chooser.randrange(256), chooser.randrange(256)
        pixels[row, column] = (pixels[row, column] + 1) % 3
        Image.fromarray(pixels).save(path)
    else:
        changed = bytearray(before)
        changed[len(before) // 2] ^= 1  # among the pixels; the decoder does not notice it
        path.write_bytes(changed)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    noticed = read(folder)["fingerprint"] != expected
    path.write_bytes(before)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return noticed and read(folder)["fingerprint"] == expected


if __name__ == "__main__":
    main()
