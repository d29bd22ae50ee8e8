"""What the scripts of the other frameworks share: the data, the losses and the optimizers of clsgan-mnist-reference.

loader  torchvision's MNIST with its v2 transforms item by item, as plain_script.py
memory  zoo's data set of the same pictures, which gives whole batches (`__getitems__`), through the ordinary DataLoader
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from plain_script import BATCH, BETAS, LATENT, LEARNING_RATE, RECONSTRUCTION, TRANSFORMS, WEIGHT_DECAY
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST

import zoo_core as zoo

DATA = ("loader", "memory")
Losses = dict[str, Tensor]


def batches(data: str) -> DataLoader[tuple[Tensor, Tensor]]:
    """Pictures (64, 1, 28, 28) in [0, 1] and their labels (64,), in a new order each epoch."""
    if data == "loader":
        pictures = MNIST(root=os.environ["ZOO_DATA"], transform=TRANSFORMS["v2"])
        return DataLoader(pictures, batch_size=BATCH, shuffle=True, drop_last=True)
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
    loss = RECONSTRUCTION * l1_loss + (score - 1).square().mean()
    return {"l1_loss": l1_loss, "generator_loss": loss}


def discriminator_losses(real_score: Tensor, fake_score: Tensor) -> Losses:
    real_loss, fake_loss = (real_score - 1).square().mean(), fake_score.square().mean()
    return {"discriminator_loss": real_loss + fake_loss, "real_loss": real_loss, "fake_loss": fake_loss}
