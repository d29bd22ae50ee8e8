"""The files of the MNIST database: names, checksums, and reading them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import zoo_core as zoo
from zoo_plugins.datasets.mnist import idx

# MD5 of the decompressed contents, since copies of the database are compressed differently.
FULL = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
SUBSET = {
    "images-idx3-ubyte": "10077fef9402cc5e7480193d8f77d421",
    "labels-idx1-ubyte": "933da84f64e4aaed7603726218927fbc",
}
SUBSET_FOLDER = Path(__file__).with_name("subset")


def find(folder: Path, names: Iterable[str]) -> dict[str, Path]:
    """The paths of those files ``names`` that exist in ``folder``; uncompressed files have priority over ``.gz``.

    Raises:
        zoo.ZooError: if ``folder`` can't be read.
    """
    found = {}
    for name in names:
        for path in (folder / name, folder / f"{name}.gz"):
            if name not in found and _exists(path):
                found[name] = path
    return found


def read(path: Path, md5: str, hint: str) -> bytearray:
    """The decompressed content of ``path``.

    Raises:
        zoo.ZooError: if it can't be read, or its MD5 is not ``md5``; ``hint`` is the hint of the second error.
    """
    try:
        unpacked = idx.unpack(path)
    except OSError as error:
        raise zoo.ZooError(f"{path} can't be read: {error.strerror}.", "Make it a readable file.") from error
    if unpacked.md5 != md5:
        state = "truncated" if unpacked.truncated else "truncated or modified"
        raise zoo.ZooError(
            f"{path} is {state}: its decompressed content has MD5 {unpacked.md5}, but should have MD5 {md5}.",
            hint,
        )
    return unpacked.content


def _exists(path: Path) -> bool:
    try:
        path.stat()  # Path.exists() ignores some errors and raises others, depending on the Python version
    except FileNotFoundError:
        return False
    except OSError as error:
        raise zoo.ZooError(
            f"the data root can't be read: {path}: {error.strerror}.",
            "Set ZOO_DATA or dataset.root to a folder, or write `dataset.source=subset`.",
        ) from error
    return True
