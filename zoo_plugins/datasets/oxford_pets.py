"""Oxford-IIIT Pet (Parkhi et al. 2012): cats and dogs, and which pixels are the animal's."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.datasets import OxfordIIITPet
from torchvision.transforms.v2 import functional as transforms

import zoo_core as zoo
from zoo_plugins.datasets.mask_folder import scaled
from zoo_plugins.datasets.paths import data_root

_VALIDATION = 10  # one in so many training pictures


class OxfordPets(zoo.Dataset):
    """Pictures as ``{"image": (3, H, W) in [0, 1], "mask": (H, W)}``: 0 animal, 1 background, 2 border of the two.

    torchvision's data set, in its layout (``oxford-iiit-pet`` below the data root) and brought by its downloader.
    Every tenth picture of ``trainval`` is for validation.

    Raises (from each method):
        zoo.ZooError: if the files are not there and can't be downloaded.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        height: int = zoo.setting(128, "pictures are scaled to this height", ge=1)
        width: int = zoo.setting(128, "pictures are scaled to this width", ge=1)
        root: str | None = zoo.setting(
            None, "data root; null uses ZOO_DATA, else ZOO_HOME/data, else the platform's folder"
        )
        download: bool = zoo.setting(True, "bring missing files from the network (800 MB)")

    config: Config

    def train(self) -> Pets:
        kept = [number for number in range(len(self._trainval)) if number % _VALIDATION]
        return Pets(self._trainval, kept, self.config)

    def validation(self) -> Pets:
        return Pets(self._trainval, list(range(0, len(self._trainval), _VALIDATION)), self.config)

    def test(self) -> Pets:
        return Pets(self._test, list(range(len(self._test))), self.config)

    def fingerprint(self) -> str:
        """Of the size and of both splits' names."""
        names = [str(path.name) for split in (self._trainval, self._test) for path in split._images]
        described = json.dumps([self.config.height, self.config.width, names])
        return hashlib.sha256(described.encode()).hexdigest()[:16]

    @cached_property
    def _trainval(self) -> Any:
        return self._read("trainval")

    @cached_property
    def _test(self) -> Any:
        return self._read("test")

    def _read(self, split: str) -> Any:
        root = data_root(self.config.root)
        try:
            pictures = OxfordIIITPet(root, split=split, target_types="segmentation", download=self.config.download)
            for path in (*pictures._images, *pictures._segs):
                path.stat()
        except (OSError, RuntimeError, ValueError) as error:  # the last for a list that is no such list
            raise zoo.ZooError(
                f"Oxford-IIIT Pet is not in {root / 'oxford-iiit-pet'}, or not whole: {error}.",
                f"Delete {root / 'oxford-iiit-pet'}: what is half there is not downloaded again, and with "
                "`dataset.download=true` all of it is. Or put its `images` and `annotations` there.",
            ) from error
        return pictures


class Pets:
    """Some of torchvision's pictures, scaled."""

    def __init__(self, pictures: Any, numbers: list[int], config: OxfordPets.Config) -> None:
        self.pictures, self.numbers, self.config = pictures, numbers, config

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        picture, trimap = self.pictures[self.numbers[index]]
        image = transforms.to_dtype(transforms.pil_to_tensor(picture.convert("RGB")), torch.float32, scale=True)
        mask = torch.from_numpy(np.array(trimap).astype(np.int64)) - 1  # the files have 1, 2, 3
        return scaled(image, mask, self.config.height, self.config.width)
