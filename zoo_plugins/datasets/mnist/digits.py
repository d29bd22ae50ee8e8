"""The digits of MNIST as uint8 tensors, from the original database or from the bundled subset."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

import zoo_core as zoo
from zoo_plugins.datasets.mnist import files as mnist_files
from zoo_plugins.datasets.mnist import idx
from zoo_plugins.datasets.mnist.download import DownloadFailed, download
from zoo_plugins.datasets.paths import data_root

Source = Literal["auto", "full", "subset"]
_SUBSET_TRAIN = 4000  # the first 4,000 digits (400 per class) are for training, the other 1,000 for the test


@dataclass(frozen=True)
class Database:
    """``train`` and ``test``, each as images (N, 28, 28) uint8 and labels (N,) int64.

    ``checksums`` are those of the files, which were compared with their contents.
    """

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    checksums: tuple[str, ...]

    def fingerprint(self, settings: Mapping[str, Any]) -> str:
        """A hash of the digits and of ``settings``, which say what is made of them."""
        return zoo.fingerprint_tensors({}, {**settings, "digits": self.checksums})


def read(source: Source, root: str | None, may_download: bool) -> Database:
    """The digits of ``source``; "auto" falls back to the subset with a warning.

    Raises:
        zoo.ZooError: if a file is damaged, the data root can't be read or written, a mirror sends a different file, or
            ``source`` is "full" and missing files can't be downloaded.
    """
    if source == "subset":
        return _subset()
    folder = data_root(root)
    try:
        return _full(folder, may_download)
    except DownloadFailed as error:
        missing = f"the full MNIST is not in {folder / 'MNIST' / 'raw'} and was not downloaded ({error})"
        if source == "full":
            hint = "Copy its four IDX files there, or write `dataset.source=subset`."
            raise zoo.ZooError(f"{missing}.", hint) from error
    warnings.warn(
        f"mnist: using the bundled subset of 5,000 digits, because {missing}; "
        "for all 70,000 digits copy the four IDX files there, or allow the download.",
        stacklevel=5,
    )
    return _subset()


def _full(root: Path, may_download: bool) -> Database:
    """The original database. Existing files are checked before the missing ones are downloaded.

    Raises:
        DownloadFailed: if files are missing and can't be downloaded.
        zoo.ZooError: if a file is damaged, or the data root can't be read or written.
    """
    folder = root / "MNIST" / "raw"
    hint = "Delete it; the next run downloads it again."
    found = mnist_files.find(folder, mnist_files.FULL)
    contents = {name: mnist_files.read(path, mnist_files.FULL[name], hint) for name, path in found.items()}
    missing = {name: md5 for name, md5 in mnist_files.FULL.items() if name not in found}
    if missing:
        if not may_download:
            raise DownloadFailed("dataset.download is false")
        contents |= download(missing, root, folder)
    train_images, train_labels, test_images, test_labels = (idx.parse(contents[name]) for name in mnist_files.FULL)
    checksums = tuple(mnist_files.FULL.values())
    return Database((train_images, train_labels.long()), (test_images, test_labels.long()), checksums)


def _subset() -> Database:
    images, labels = (
        idx.parse(mnist_files.read(mnist_files.SUBSET_FOLDER / f"{name}.gz", md5, "Install zoo-core again."))
        for name, md5 in mnist_files.SUBSET.items()
    )
    labels = labels.long()
    train = images[:_SUBSET_TRAIN], labels[:_SUBSET_TRAIN]
    test = images[_SUBSET_TRAIN:], labels[_SUBSET_TRAIN:]
    return Database(train, test, tuple(mnist_files.SUBSET.values()))
