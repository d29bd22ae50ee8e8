"""Gray images and labels from IDX files (LeCun et al. 1998), gzipped or not."""

import gzip
import zlib
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import zoo_core as zoo


class IDXFolder(zoo.InMemoryDataset):
    """Examples are ``{"image": (1, H, W) in [0, 1], "label": int}``."""

    class Config:
        folder: str = zoo.setting(help="folder with train-images-idx3-ubyte and the three other files, gzipped or not")

    def tensors(self) -> dict[str, dict[str, Any]]:
        return {"train": self._split("train"), "test": self._split("t10k")}

    def provides(self) -> dict[str, Any]:
        image, label = (self.train().tensors[name] for name in ("image", "label"))
        return {"num_classes": int(label.max()) + 1, "image_shape": list(image.shape[2:])}

    def _split(self, prefix: str) -> dict[str, Any]:
        image, label = self._read(f"{prefix}-images?idx3-ubyte", 3), self._read(f"{prefix}-labels?idx1-ubyte", 1)
        return {"image": zoo.Uint8Images(image.unsqueeze(1)), "label": label.long()}

    def _read(self, pattern: str, dimensions: int) -> Tensor:
        """Two zeros, the type 8, the number of dimensions, the length of each as four bytes, and the bytes."""
        path = next((path for end in ("", ".gz") for path in Path(self.config.folder).glob(pattern + end)), None)
        if path is None:
            name = pattern.replace("?", "-")
            raise zoo.BadFile(f"{self.config.folder} has no {name}, gzipped or not.", "Write dataset.folder=FOLDER.")
        try:
            content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        except (OSError, EOFError, zlib.error) as error:
            raise zoo.BadFile(f"{path} can't be read: {error}.", "Download it again.") from error
        start = 4 + 4 * dimensions
        shape = [int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4)]
        if content[:4] != bytes([0, 0, 8, dimensions]) or len(content) != start + prod(shape) or not prod(shape):
            raise zoo.BadFile(
                f"{path} is no complete IDX file of bytes, {dimensions}-dimensional.", "Download it again."
            )
        return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=start).reshape(shape)
