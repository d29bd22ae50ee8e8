"""The files of the MNIST database: their names, what they must hold, and how they are read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import zoo_core as zoo
from zoo_plugins.datasets.mnist import idx

# MD5 sums of the decompressed contents: copies of the database are compressed differently.
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
    """Those of the files ``names`` that lie in ``folder``, unpacked ones first.

    Raises:
        zoo.ZooError: if ``folder`` can't be looked into.
    """
    found = {}
    for name in names:
        for path in (folder / name, folder / f"{name}.gz"):
            if name not in found and _is_there(path):
                found[name] = path
    return found


def read(path: Path, md5: str, hint: str) -> bytearray:
    """The decompressed content of ``path``.

    Raises:
        zoo.ZooError: if it can't be read, or if its sum is not ``md5``, for which ``cure`` says what to do.
    """
    try:
        unpacked = idx.unpack(path)
    except OSError as error:
        raise zoo.ZooError(f"{path} can't be read: {error.strerror}.", "Make it a file you can read.") from error
    if unpacked.md5 != md5:
        state = "truncated" if unpacked.breaks_off else "truncated or altered"
        raise zoo.ZooError(
            f"{path} is {state}: its decompressed content has MD5 {unpacked.md5}, but should have {md5}.",
            hint,
        )
    return unpacked.content


def _is_there(path: Path) -> bool:
    try:
        path.stat()  # exists() takes some faults for an absence and raises others, differently in each Python
    except FileNotFoundError:
        return False
    except OSError as error:
        raise zoo.ZooError(
            f"the data root can't be read: {path}: {error.strerror}.",
            "Set ZOO_DATA or dataset.root to a folder, or type `dataset.source=subset`.",
        ) from error
    return True
