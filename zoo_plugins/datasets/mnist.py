"""MNIST: handwritten digits (LeCun et al. 1998)."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from torch import Tensor

import zoo_core as zoo
from zoo_plugins.datasets import idx, mnist_files
from zoo_plugins.datasets.mnist_download import NotReached, download
from zoo_plugins.datasets.roots import data_root


class MNIST(zoo.Dataset):
    """Digits as ``{"image": (N, 1, 28, 28) float32 in [0, 1], "label": (N,) int64}``.

    60,000 to train on and 10,000 to measure on from the original IDX files, gzipped or not, in ``MNIST/raw``
    below the data root; or 4,000 and 1,000 from the subset that ships with zoo. They are read once, by the
    first call of a method.

    Raises (from each method):
        zoo.ZooError: if a file is damaged, the data root can't be read or written, a mirror sends
            another file, or ``source`` is "full" and missing files can't be downloaded.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        source: Literal["auto", "full", "subset"] = zoo.setting(
            "auto",
            "full: all 70,000 digits; subset: the 5,000 that ship with zoo; auto: full if it can be had",
        )
        root: str | None = zoo.setting(
            None, "data root; null uses ZOO_DATA, else ZOO_HOME/data, else the platform's folder"
        )
        download: bool = zoo.setting(True, "bring missing files from the network")

    config: Config

    def train(self) -> zoo.InMemory:
        return self._digits.train

    def evaluation(self) -> zoo.InMemory:
        return self._digits.evaluation

    def fingerprint(self) -> str:
        """``full-`` or ``subset-``, so that a record of it says which one served, and a hash of the files."""
        return self._digits.fingerprint

    @cached_property
    def _digits(self) -> _Digits:
        if self.config.source == "subset":
            return _subset()
        root = data_root(self.config.root)
        try:
            return _full(root, self.config.download)
        except NotReached as error:
            missing = f"the full MNIST is not in {root / 'MNIST' / 'raw'} and was not downloaded ({error})"
            if self.config.source == "full":
                cure = "Put its four IDX files there, or type `dataset.source=subset`."
                raise zoo.ZooError(f"{missing}.", cure) from error
        warnings.warn(
            f"mnist: this run uses the 5,000-digit subset that ships with zoo, because {missing}; "
            "for all 70,000 digits put the four IDX files there, or let zoo download them.",
            stacklevel=4,
        )
        return _subset()


@dataclass(frozen=True)
class _Digits:
    train: zoo.InMemory
    evaluation: zoo.InMemory
    fingerprint: str


def _full(root: Path, may_download: bool) -> _Digits:
    """The original database. A file that is there is checked before the network is asked for the others.

    Raises:
        NotReached: if files are missing and can't be downloaded.
        zoo.ZooError: if a file is damaged, or the data root can't be read or written.
    """
    folder = root / "MNIST" / "raw"
    cure = "Delete it, and the next run downloads it again."
    found = mnist_files.find(folder, mnist_files.FULL)
    contents = {name: mnist_files.read(path, mnist_files.FULL[name], cure) for name, path in found.items()}
    missing = {name: md5 for name, md5 in mnist_files.FULL.items() if name not in found}
    if missing:
        if not may_download:
            raise NotReached("dataset.download is false")
        contents |= download(missing, root, folder)
    train_images, train_labels, images, labels = (idx.parse(contents[name]) for name in mnist_files.FULL)
    return _Digits(
        _examples(train_images, train_labels),
        _examples(images, labels),
        _fingerprint("full", mnist_files.FULL.values()),
    )


def _subset() -> _Digits:
    """The first 4,000 shipped digits to train on, the other 1,000 to measure on: 400 and 100 a class."""
    images, labels = (
        idx.parse(mnist_files.read(mnist_files.SUBSET_FOLDER / f"{name}.gz", md5, "Install zoo-core again."))
        for name, md5 in mnist_files.SUBSET.items()
    )
    return _Digits(
        _examples(images[:4000], labels[:4000]),
        _examples(images[4000:], labels[4000:]),
        _fingerprint("subset", mnist_files.SUBSET.values()),
    )


def _examples(images: Tensor, labels: Tensor) -> zoo.InMemory:
    """(N, 28, 28) and (N,), both uint8, as examples."""
    return zoo.InMemory(image=zoo.Pixels(images.unsqueeze(1)), label=labels.long())


def _fingerprint(source: str, sums: Iterable[str]) -> str:
    return f"{source}-{hashlib.sha256(' '.join(sums).encode()).hexdigest()[:16]}"
