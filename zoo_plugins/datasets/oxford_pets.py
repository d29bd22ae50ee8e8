"""Oxford-IIIT Pet (Parkhi et al. 2012): segmentation of cats and dogs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.datasets import OxfordIIITPet
from torchvision.transforms.v2 import functional as transforms

import zoo_core as zoo
from zoo_plugins.datasets.mask_examples import resize
from zoo_plugins.datasets.paths import data_root

_CLASS_NAMES = ("animal", "background", "border")
_TRIMAP_VALUES = {1, 2, 3}
_VALIDATION_INTERVAL = 10  # every tenth image of trainval is for validation


class OxfordPets(zoo.Dataset):
    """Images as ``{"image": (3, H, W) in [0, 1], "mask": (H, W)}``: 0 animal, 1 background, 2 border.

    Reads the files of torchvision's dataset (``oxford-iiit-pet`` below the data root) and downloads them with
    torchvision. All files of a split are checked when it is first used. Every tenth image of ``trainval`` is for
    validation.

    Raises (from each method):
        zoo.ZooError: if files are missing and can't be downloaded, or a file is damaged.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        height: int = zoo.setting(128, "height that images and masks are resized to", ge=1)
        width: int = zoo.setting(128, "width that images and masks are resized to", ge=1)
        root: str | None = zoo.setting(
            None, "data root; null: ZOO_DATA, otherwise ZOO_HOME/data, otherwise the platform's data folder"
        )
        download: bool = zoo.setting(True, "download missing files (800 MB)")

    config: Config

    def train(self) -> Pets:
        indices = [index for index in range(len(self._trainval)) if index % _VALIDATION_INTERVAL]
        return Pets(self._trainval, indices, self.config)

    def validation(self) -> Pets:
        return Pets(self._trainval, list(range(0, len(self._trainval), _VALIDATION_INTERVAL)), self.config)

    def test(self) -> Pets:
        return Pets(self._test, list(range(len(self._test))), self.config)

    def provides(self) -> dict[str, Any]:
        return {"num_classes": len(_CLASS_NAMES), "class_names": _CLASS_NAMES, "in_channels": 3}

    def fingerprint(self) -> str:
        """Hash of the size of the images and of the content of every file of both splits."""
        files = [path for split in (self._trainval, self._test) for path in (*split._images, *split._segs)]
        return zoo.fingerprint_files(files, {"height": self.config.height, "width": self.config.width})

    @cached_property
    def _trainval(self) -> Any:
        return self._read("trainval")

    @cached_property
    def _test(self) -> Any:
        return self._read("test")

    def _read(self, split: str) -> Any:
        root = data_root(self.config.root)
        try:
            images = OxfordIIITPet(root, split=split, target_types="segmentation", download=self.config.download)
            for path in (*images._images, *images._segs):
                path.stat()
        except (OSError, RuntimeError, ValueError) as error:  # ValueError: a list of images in another format
            folder = root / "oxford-iiit-pet"
            raise zoo.ZooError(
                f"Oxford-IIIT Pet is missing or incomplete in {folder}: {error}.",
                f"Delete {folder} and set `dataset.download=true`, since torchvision does not complete a partial "
                "download. Or copy the folders `images` and `annotations` there.",
            ) from error
        zoo.check_images(images._images)
        for path, trimap in zip(images._segs, zoo.check_masks(images._segs), strict=True):
            if not {*trimap.values} <= _TRIMAP_VALUES:
                raise zoo.BadFile(
                    f"{path} contains {', '.join(map(str, trimap.values[:5]))}, but should contain 1, 2 and 3.",
                    "Download the dataset again.",
                )
        return images


class Pets:
    """The examples at ``indices`` of torchvision's dataset, resized."""

    def __init__(self, images: Any, indices: list[int], config: OxfordPets.Config) -> None:
        self.images, self.indices, self.config = images, indices, config

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        photo, trimap = self.images[self.indices[index]]
        image = transforms.to_dtype(transforms.pil_to_tensor(photo.convert("RGB")), torch.float32, scale=True)
        mask = torch.from_numpy(np.array(trimap).astype(np.int64)) - 1  # the files contain 1, 2 and 3
        return resize(image, mask, self.config.height, self.config.width)
