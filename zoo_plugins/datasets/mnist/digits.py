"""The digits of MNIST as bytes: the original database, or the subset that ships with zoo."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor

import zoo_core as zoo
from zoo_plugins.datasets.mnist import files as mnist_files
from zoo_plugins.datasets.mnist import idx
from zoo_plugins.datasets.mnist.download import NotReached, download
from zoo_plugins.datasets.paths import data_root

Source = Literal["auto", "full", "subset"]
_SUBSET_TRAIN = 4000  # of its digits, the first ones: 400 a class; the other 1,000 are to measure on


@dataclass(frozen=True)
class Database:
    """Pictures (N, 28, 28) uint8 and labels (N,) int64, to train on and to measure on."""

    train: tuple[Tensor, Tensor]
    evaluation: tuple[Tensor, Tensor]
    fingerprint: str


def read(source: Source, root: str | None, may_download: bool) -> Database:
    """The digits that ``source`` stands for, those of ``auto`` with a warning where it has to be the subset.

    Raises:
        zoo.ZooError: if a file is damaged, the data root can't be read or written, a mirror sends another file, or
            ``source`` is "full" and missing files can't be downloaded.
    """
    if source == "subset":
        return _subset()
    place = data_root(root)
    try:
        return _full(place, may_download)
    except NotReached as error:
        missing = f"the full MNIST is not in {place / 'MNIST' / 'raw'} and was not downloaded ({error})"
        if source == "full":
            hint = "Put its four IDX files there, or type `dataset.source=subset`."
            raise zoo.ZooError(f"{missing}.", hint) from error
    warnings.warn(
        f"mnist: this run uses the 5,000-digit subset that ships with zoo, because {missing}; "
        "for all 70,000 digits put the four IDX files there, or let zoo download them.",
        stacklevel=5,
    )
    return _subset()


def _full(root: Path, may_download: bool) -> Database:
    """The original database. A file that is there is checked before the network is asked for the others.

    Raises:
        NotReached: if files are missing and can't be downloaded.
        zoo.ZooError: if a file is damaged, or the data root can't be read or written.
    """
    folder = root / "MNIST" / "raw"
    hint = "Delete it, and the next run downloads it again."
    found = mnist_files.find(folder, mnist_files.FULL)
    contents = {name: mnist_files.read(path, mnist_files.FULL[name], hint) for name, path in found.items()}
    missing = {name: md5 for name, md5 in mnist_files.FULL.items() if name not in found}
    if missing:
        if not may_download:
            raise NotReached("dataset.download is false")
        contents |= download(missing, root, folder)
    train_images, train_labels, images, labels = (idx.parse(contents[name]) for name in mnist_files.FULL)
    fingerprint = _fingerprint("full", mnist_files.FULL.values())
    return Database((train_images, train_labels.long()), (images, labels.long()), fingerprint)


def _subset() -> Database:
    images, labels = (
        idx.parse(mnist_files.read(mnist_files.SUBSET_FOLDER / f"{name}.gz", md5, "Install zoo-core again."))
        for name, md5 in mnist_files.SUBSET.items()
    )
    labels = labels.long()
    train = images[:_SUBSET_TRAIN], labels[:_SUBSET_TRAIN]
    evaluation = images[_SUBSET_TRAIN:], labels[_SUBSET_TRAIN:]
    return Database(train, evaluation, _fingerprint("subset", mnist_files.SUBSET.values()))


def _fingerprint(source: str, sums: Iterable[str]) -> str:
    return f"{source}-{hashlib.sha256(' '.join(sums).encode()).hexdigest()[:16]}"
