"""Images and labels from IDX files (LeCun et al. 1998), gzipped or not."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import zoo_core as zoo

_BYTES = 0x08  # the type of an IDX file whose elements are bytes


class IDXFolder(zoo.Dataset):
    """Examples are ``{"image": (1, H, W) in [0, 1], "label": int}``.

    Raises (from each method):
        zoo.ZooError: if a file is missing, or does not match its header.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        folder: str = zoo.setting(help="folder of the IDX files")
        train: str = zoo.setting("train", "prefix of the names of the train files")
        test: str = zoo.setting("t10k", "prefix of the names of the test files")

    config: Config

    def train(self) -> zoo.InMemory:
        return self._split(self.config.train)

    def test(self) -> zoo.InMemory:
        return self._split(self.config.test)

    def fingerprint(self) -> str:
        """A hash of the contents of the files."""
        kinds = ("images-idx3-ubyte", "labels-idx1-ubyte")
        prefixes = (self.config.train, self.config.test)
        files = [_find(self.config.folder, prefix, kind) for prefix in prefixes for kind in kinds]
        return zoo.fingerprint_files(files, {})

    def _split(self, prefix: str) -> zoo.InMemory:
        images = _read(_find(self.config.folder, prefix, "images-idx3-ubyte"), dimensions=3)
        labels = _read(_find(self.config.folder, prefix, "labels-idx1-ubyte"), dimensions=1)
        if len(images) != len(labels):
            raise zoo.ZooError(
                f"{self.config.folder} has {len(images)} images in '{prefix}', but {len(labels)} labels.",
                "Download both files again.",
            )
        return zoo.InMemory(
            image=zoo.Uint8Images(torch.from_numpy(images).unsqueeze(1)),
            label=torch.from_numpy(labels).long(),
        )


def _find(folder: str, prefix: str, kind: str) -> Path:
    for extension in ("", ".gz"):
        for separator in ("-", "_", ""):
            path = Path(folder, f"{prefix}{separator if prefix else ''}{kind}{extension}")
            if path.is_file():
                return path
    raise zoo.ZooError(f"{folder} has no {prefix}-{kind}, gzipped or not.", "Write dataset.folder=FOLDER.")


def _read(path: Path, dimensions: int) -> np.ndarray:
    """The array in an IDX file: two zeros, a type, the number of dimensions, each as four bytes, and the elements."""
    open_file = gzip.open if path.suffix == ".gz" else open
    try:
        with open_file(path, "rb") as file:
            content = file.read()
    except (OSError, EOFError) as error:
        raise zoo.ZooError(f"{path} can't be read: {error}.", "Download it again.") from error
    start = 4 + 4 * dimensions
    if content[:4] != bytes([0, 0, _BYTES, dimensions]) or len(content) < start:
        raise zoo.ZooError(f"{path} is not an IDX file of bytes with {dimensions} dimensions.", "Download it again.")
    shape = np.frombuffer(content, ">u4", dimensions, 4).astype(int)
    if len(content) - start != shape.prod():
        raise zoo.ZooError(
            f"{path} should have {shape.prod():,} bytes {tuple(shape.tolist())}, but has {len(content) - start:,}.",
            "Download it again.",
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()
