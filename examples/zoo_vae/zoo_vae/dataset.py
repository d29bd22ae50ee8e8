"""Pictures and labels from IDX files (LeCun et al. 1998), gzipped or not."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import zoo_core as zoo

_BYTES = 0x08  # the type of an IDX file whose elements are bytes


class IDXFolder(zoo.Dataset):
    """Examples are ``{"image": (1, H, W) in [0, 1], "label": number}``.

    Raises (from each method):
        zoo.ZooError: if a file is missing, or is not what its header says.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        folder: str = zoo.setting(help="where the four files lie, or the two of one part")
        train: str = zoo.setting("train", "what the names of the files to train on begin with")
        evaluation: str = zoo.setting("t10k", "what the names of the files to measure on begin with")

    config: Config

    def train(self) -> zoo.InMemory:
        return self._part(self.config.train)

    def test(self) -> zoo.InMemory:
        return self._part(self.config.evaluation)

    def fingerprint(self) -> str:
        """Of the files' bytes, wherever they lie."""
        digest = hashlib.sha256()
        for part in (self.config.train, self.config.evaluation):
            for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"):
                digest.update(_find(self.config.folder, part, kind).read_bytes())
        return digest.hexdigest()[:16]

    def _part(self, part: str) -> zoo.InMemory:
        pictures = _read(_find(self.config.folder, part, "images-idx3-ubyte"), dimensions=3)
        labels = _read(_find(self.config.folder, part, "labels-idx1-ubyte"), dimensions=1)
        if len(pictures) != len(labels):
            raise zoo.ZooError(
                f"{self.config.folder} has {len(pictures)} pictures of '{part}', but {len(labels)} labels.",
                "Bring both files anew.",
            )
        return zoo.InMemory(
            image=zoo.Uint8Images(torch.from_numpy(pictures).unsqueeze(1)),
            label=torch.from_numpy(labels).long(),
        )


def _find(folder: str, part: str, kind: str) -> Path:
    for ending in ("", ".gz"):
        for joint in ("-", "_", ""):
            path = Path(folder, f"{part}{joint if part else ''}{kind}{ending}")
            if path.is_file():
                return path
    raise zoo.ZooError(f"{folder} has no {part}-{kind}, gzipped or not.", "Write dataset.folder=FOLDER.")


def _read(path: Path, dimensions: int) -> np.ndarray:
    """The array in an IDX file: two zeros, a type, the number of dimensions, each as four bytes, and the elements."""
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            content = file.read()
    except (OSError, EOFError) as error:
        raise zoo.ZooError(f"{path} can't be read: {error}.", "Bring it anew.") from error
    start = 4 + 4 * dimensions
    if content[:4] != bytes([0, 0, _BYTES, dimensions]) or len(content) < start:
        raise zoo.ZooError(f"{path} is no IDX file of bytes in {dimensions} dimensions.", "Bring it anew.")
    shape = np.frombuffer(content, ">u4", dimensions, 4).astype(int)
    if len(content) - start != shape.prod():
        raise zoo.ZooError(
            f"{path} should hold {shape.prod():,} bytes {tuple(shape.tolist())}, but holds {len(content) - start:,}.",
            "Bring it anew.",
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()
