"""C-LSGAN on MNIST as a single research-style script, without zoo.

It does the same as ``zoo run clsgan-mnist-reference``: the same networks, losses, order of updates, optimizer settings
and logging. Images are converted one by one by the transforms that torchvision's documentation recommends (v2;
``--transforms v1`` uses the older and faster ``ToTensor``), Adam has torch's defaults, and the discriminator processes
real and generated images in two passes. It prints steps/s.

    ZOO_DATA=FOLDER python benchmarks/plain_script.py
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.nn.functional as F
from taking_turns import Ticks
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST
from torchvision.transforms import ToTensor, v2
from torchvision.utils import save_image

LATENT = 96
CLASSES = 10
BATCH = 64
L1_WEIGHT = 0.05
LEARNING_RATE = 3e-4
BETAS = (0.4, 0.8)
WEIGHT_DECAY = 1e-4
LOG_EVERY = 50
PREVIEW_EVERY = 400


class Generator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(CLASSES, LATENT)
        self.layers = nn.Sequential(
            nn.Linear(2 * LATENT, 128),
            nn.BatchNorm1d(128),
            nn.GELU(),
            nn.Linear(128, 256),
            nn.BatchNorm1d(256),
            nn.GELU(),
            nn.Linear(256, 512),
            nn.BatchNorm1d(512),
            nn.GELU(),
            nn.Linear(512, 1024),
            nn.BatchNorm1d(1024),
            nn.GELU(),
            nn.Linear(1024, 784),
            nn.Sigmoid(),
        )

    def forward(self, noise: Tensor, label: Tensor) -> Tensor:
        inputs = torch.cat([noise, self.embedding(label)], dim=1)
        return self.layers(inputs).view(-1, 1, 28, 28)


class Discriminator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(CLASSES, LATENT)
        self.layers = nn.Sequential(
            nn.Linear(784 + LATENT, 512),
            nn.GELU(),
            nn.Linear(512, 256),
            nn.GELU(),
            nn.Linear(256, 128),
            nn.GELU(),
            nn.Linear(128, 64),
            nn.GELU(),
            nn.Linear(64, 32),
            nn.GELU(),
            nn.Linear(32, 1),
            nn.Sigmoid(),
        )

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        inputs = torch.cat([image.flatten(1), self.embedding(label)], dim=1)
        return self.layers(inputs).squeeze(1)


TRANSFORMS = {"v1": ToTensor(), "v2": v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])}


def train(steps: int, transform: Callable[[Any], Tensor], folder: Path) -> None:
    data = MNIST(root=os.environ["ZOO_DATA"], transform=transform)
    loader = DataLoader(data, batch_size=BATCH, shuffle=True, drop_last=True)
    sample_image, sample_label = next(iter(DataLoader(MNIST(data.root, train=False, transform=transform), BATCH)))

    generator, discriminator = Generator(), Discriminator()
    generator_optimizer = torch.optim.Adam(
        generator.parameters(), lr=LEARNING_RATE, betas=BETAS, weight_decay=WEIGHT_DECAY
    )
    discriminator_optimizer = torch.optim.Adam(
        discriminator.parameters(), lr=LEARNING_RATE, betas=BETAS, weight_decay=WEIGHT_DECAY
    )

    step, ticks = 0, Ticks()
    with (folder / "metrics.jsonl").open("w") as log:
        while True:
            for image, label in loader:
                noise = torch.randn(BATCH, LATENT)
                generated = generator(noise, label)
                l1_loss = F.l1_loss(generated, image)
                generator_loss = L1_WEIGHT * l1_loss
                generator_loss = generator_loss + (discriminator(generated, label) - 1).square().mean()
                generator_optimizer.zero_grad()
                generator_loss.backward()
                generator_optimizer.step()

                real_loss = (discriminator(image, label) - 1).square().mean()
                fake_loss = discriminator(generated.detach(), label).square().mean()
                discriminator_loss = real_loss + fake_loss
                discriminator_optimizer.zero_grad()
                discriminator_loss.backward()
                discriminator_optimizer.step()

                step += 1
                if step % LOG_EVERY == 0:
                    line = {
                        "step": step,
                        "l1_loss": l1_loss.item(),
                        "generator_loss": generator_loss.item(),
                        "discriminator_loss": discriminator_loss.item(),
                        "real_loss": real_loss.item(),
                        "fake_loss": fake_loss.item(),
                    }
                    log.write(json.dumps(line) + "\n")
                    log.flush()
                if step % PREVIEW_EVERY == 0:
                    generator.eval()
                    with torch.no_grad():
                        drawn = generator(torch.randn(BATCH, LATENT), sample_label)
                    generator.train()
                    save_image(torch.cat([sample_image, drawn], dim=3), folder / f"step-{step:06d}.png")
                ticks.tick()
                if step == steps:
                    return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=187_400)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--transforms", choices=TRANSFORMS, default="v2", help="torchvision transforms that convert an image"
    )
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        train(args.steps, TRANSFORMS[args.transforms], Path(folder))
    print(f"{args.steps / (time.perf_counter() - started):.2f} steps/s")


if __name__ == "__main__":
    main()
