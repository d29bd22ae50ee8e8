"""Generated and real images for an evaluation."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

import zoo_core as zoo
from zoo_plugins.clsgan.model import CLSGAN

BATCH_SIZE = 1000
_MOST_VALUES = 2**25  # of the pixels of all images together, which are 128 MiB


def most_images(config: CLSGAN.Config, limit: int) -> int:
    """The number of images of an evaluation: ``limit``, or fewer if they are large."""
    return max(1, min(limit, _MOST_VALUES // (config.channels * config.height * config.width)))


def generate(generator: nn.Module, label: Tensor, config: CLSGAN.Config) -> Tensor:
    """An image for each label (N,), in eval mode: (N, C, H, W). An unconditional model uses their number only."""
    was_training = generator.training
    generator.eval()
    images = []
    for part in label.split(BATCH_SIZE):
        noise = torch.randn(len(part), config.latent_dim, device=label.device)  # (n, latent_dim)
        images.append(generator(noise, part if config.conditional else None))
    generator.train(was_training)
    return torch.cat(images)


def first_examples(batches: Iterable[zoo.Batch], count: int, *, labeled: bool = True) -> tuple[Tensor, Tensor]:
    """The first ``count`` images and their labels; the label of all is 0 if they are not ``labeled``."""
    taken: list[zoo.Batch] = []
    for batch in batches:
        taken.append(batch)
        if sum(len(one["image"]) for one in taken) >= count:
            break
    image = torch.cat([one["image"] for one in taken])[:count]
    if not labeled:
        return image, torch.zeros(len(image), dtype=torch.int64, device=image.device)
    return image, torch.cat([one["label"] for one in taken])[:count]


def intra_class_std(image: Tensor, label: Tensor, num_classes: int) -> Tensor:
    """Standard deviation of each pixel over the images of a class, averaged over the pixels: (num_classes,).

    It is NaN for a class of fewer than two images.
    """
    by_class = [image[label == index] for index in range(num_classes)]
    return torch.stack([one.std(dim=0).mean() if len(one) > 1 else one.new_tensor(float("nan")) for one in by_class])
