"""The conditional GAN of PyTorch-GAN as a single-file plugin: `zoo --plugin benchmarks/public_cgan.py run public-cgan`.

As in github.com/eriklindernoren/PyTorch-GAN, implementations/cgan/cgan.py: the widths of the networks, batch
normalization with an epsilon of 0.8, leaky ReLU, dropout, label embeddings of length 10, 100 latent dimensions; the
least-squares loss alone; Adam with a learning rate of 2e-4 and betas of 0.5 and 0.999; batches of 64.

Differences: images have 28 x 28 pixels, while the source resizes them to 32 x 32 by default. The generator gets the
labels of the batch instead of random ones. The generator's tanh is mapped to [0, 1] and mapped back by the
discriminator, which is equivalent to training on pixels in [-1, 1]. The discriminator's loss is not halved, which has
no effect with Adam.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

import zoo_core as zoo
from zoo_plugins.clsgan.model import CLSGAN

IMAGE_SHAPE, NUM_PIXELS = (1, 28, 28), 28 * 28
SLOPE = 0.2
CLASSES = 10


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    registry.model("public-cgan", f"{__name__}:PublicCGAN", summary="The conditional GAN of PyTorch-GAN")
    registry.recipe(
        "public-cgan",
        __file__,
        summary="The conditional GAN of PyTorch-GAN on MNIST, with its settings",
        model={"name": "public-cgan"},
        dataset={"name": "mnist"},
        trainer={
            "name": "clsgan",
            "l1_weight": 0.0,
            "generator_learning_rate": 2e-4,
            "discriminator_learning_rate": 2e-4,
            "betas": [0.5, 0.999],
            "weight_decay": 0.0,
        },
        run={"epochs": 200, "batch_size": 64, "seed": 0},
    )


class PublicCGAN(CLSGAN):
    """A model for the trainer ``clsgan``, which needs the settings below."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        latent_dim: int = zoo.setting(100, "dimension of the noise", ge=1)
        num_classes: int = zoo.setting(CLASSES, "number of labels", ge=1)
        conditional: bool = zoo.setting(True, "condition both networks on the label; always true")
        sigmoid: bool = zoo.setting(False, "apply a sigmoid to the discriminator's output; always false")

    config: Config

    def __init__(self, config: Config) -> None:
        zoo.Model.__init__(self, config)
        self.generator = Generator(config)
        self.discriminator = Discriminator(config)


class Generator(nn.Module):
    WIDTHS = (128, 256, 512, 1024)

    def __init__(self, config: PublicCGAN.Config) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.num_classes, config.num_classes)
        layers = [nn.Linear(config.latent_dim + config.num_classes, self.WIDTHS[0]), nn.LeakyReLU(SLOPE)]
        for i, o in pairwise(self.WIDTHS):
            layers += [nn.Linear(i, o), nn.BatchNorm1d(o, eps=0.8), nn.LeakyReLU(SLOPE)]
        self.layers = nn.Sequential(*layers, nn.Linear(self.WIDTHS[-1], NUM_PIXELS), nn.Tanh())

    def forward(self, noise: Tensor, label: Tensor) -> Tensor:
        """(N, latent_dim) and (N,) to (N, 1, 28, 28) in [0, 1]."""
        pixels = self.layers(torch.cat([self.embedding(label), noise], dim=1))
        return (pixels.view(-1, *IMAGE_SHAPE) + 1) / 2


class Discriminator(nn.Module):
    WIDTH, DROPOUT = 512, 0.4

    def __init__(self, config: PublicCGAN.Config) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.num_classes, config.num_classes)
        layers = [nn.Linear(NUM_PIXELS + config.num_classes, self.WIDTH), nn.LeakyReLU(SLOPE)]
        for _ in range(2):
            layers += [nn.Linear(self.WIDTH, self.WIDTH), nn.Dropout(self.DROPOUT), nn.LeakyReLU(SLOPE)]
        self.layers = nn.Sequential(*layers, nn.Linear(self.WIDTH, 1))

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        """(N, 1, 28, 28) in [0, 1] and (N,) to scores (N,)."""
        pixels = 2 * image.flatten(1) - 1
        return self.layers(torch.cat([pixels, self.embedding(label)], dim=1)).squeeze(1)
