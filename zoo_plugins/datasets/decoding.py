"""Image files as examples: decoded once and kept in memory, or read on access."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from torch import Tensor

import zoo_core as zoo
from zoo_plugins.common.fit_image import Resize, fit_image, to_bytes
from zoo_plugins.datasets.class_folders import Sample

_FRACTION = 0.25  # of the free memory that decoded images may take


@dataclass(frozen=True)
class Reader:
    """How a file becomes an image (channels, H, W)."""

    channels: int
    max_value: int | None
    height: int
    width: int
    resize: Resize

    def __call__(self, path: Path) -> Tensor:
        image = zoo.read_image(path, self.channels, self.max_value, allow_dark=True)
        return fit_image(image, self.height, self.width, self.resize)


class ImageFiles:
    """A map-style dataset that reads files on access."""

    def __init__(self, samples: Sequence[Sample], reader: Reader, labeled: bool) -> None:
        self.samples, self.reader, self.labeled = samples, reader, labeled

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        path, label = self.samples[index]
        image = self.reader(path)
        return {"image": image, "label": torch.tensor(label)} if self.labeled else {"image": image}


@dataclass(frozen=True)
class Decoded:
    """The form of decoded images: (channels, height, width), as bytes or, if not all have 8 bits, as float32."""

    shape: tuple[int, int, int]
    dtype: torch.dtype

    def fits(self, count: int, limit: int) -> bool:
        """Whether ``count`` images take at most ``limit`` bytes and a quarter of the free memory."""
        needed = count * self.dtype.itemsize * self.shape[0] * self.shape[1] * self.shape[2]
        return needed <= min(limit, _FRACTION * psutil.virtual_memory().available)

    def decode(self, samples: Sequence[Sample], reader: Reader, labeled: bool) -> zoo.InMemory:
        """All images; the values are those of `ImageFiles`, bit for bit."""
        pixels = torch.empty((len(samples), *self.shape), dtype=self.dtype)

        def decode(index: int) -> None:
            image = reader(samples[index].path)
            pixels[index] = to_bytes(image) if self.dtype == torch.uint8 else image

        with ThreadPoolExecutor(min(os.cpu_count() or 1, 16)) as pool:
            for _ in pool.map(decode, range(len(samples))):  # the first error cancels the rest
                pass
        image = zoo.Uint8Images(pixels) if self.dtype == torch.uint8 else pixels
        if not labeled:
            return zoo.InMemory(image=image)
        return zoo.InMemory(image=image, label=torch.tensor([sample.label for sample in samples], dtype=torch.int64))
