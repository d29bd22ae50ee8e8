"""The data, losses and optimizers of clsgan-mnist-reference, for the scripts that train with other frameworks.

loader  torchvision's MNIST with v2 transforms for each example, as in plain_script.py
memory  zoo's dataset of the same images, which returns whole batches (`__getitems__`), with PyTorch's DataLoader
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from plain_script import BATCH, BETAS, L1_WEIGHT, LATENT, LEARNING_RATE, TRANSFORMS, WEIGHT_DECAY
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST

import zoo_core as zoo

DATA = ("loader", "memory")
Losses = dict[str, Tensor]


def batches(data: str) -> DataLoader[tuple[Tensor, Tensor]]:
    """Images (64, 1, 28, 28) in [0, 1] and their labels (64,), in a new order each epoch."""
    if data == "loader":
        dataset = MNIST(root=os.environ["ZOO_DATA"], transform=TRANSFORMS["v2"])
        return DataLoader(dataset, batch_size=BATCH, shuffle=True, drop_last=True)
    examples = zoo.build("mnist", kind="dataset").train()
    return DataLoader(examples, batch_size=BATCH, shuffle=True, drop_last=True, collate_fn=_pair)


def _pair(batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    return batch["image"], batch["label"]


def adam(network: nn.Module) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, betas=BETAS, weight_decay=WEIGHT_DECAY)


def noise(image: Tensor) -> Tensor:
    return torch.randn(len(image), LATENT, device=image.device)


def generator_losses(generated: Tensor, image: Tensor, score: Tensor) -> Losses:
    l1_loss = F.l1_loss(generated, image)
    loss = L1_WEIGHT * l1_loss + (score - 1).square().mean()
    return {"l1_loss": l1_loss, "generator_loss": loss}


def discriminator_losses(real_score: Tensor, fake_score: Tensor) -> Losses:
    real_loss, fake_loss = (real_score - 1).square().mean(), fake_score.square().mean()
    return {"discriminator_loss": real_loss + fake_loss, "real_loss": real_loss, "fake_loss": fake_loss}
