"""The training of clsgan-mnist-reference as a hand-tuned loop without a framework.

Float tensors in memory, batched by index; fused Adam; no gradients for the discriminator's weights in the generator's
step; one pass of the discriminator over real and generated images together. Nothing is written: the five losses are
read every 50 steps. The networks and settings are those of plain_script.py. It prints steps/s.

    ZOO_DATA=FOLDER python benchmarks/bare_loop.py
"""

from __future__ import annotations

import argparse
import os
import time

import torch
import torch.nn.functional as F
from plain_script import (
    BATCH,
    BETAS,
    L1_WEIGHT,
    LATENT,
    LEARNING_RATE,
    LOG_EVERY,
    WEIGHT_DECAY,
    Discriminator,
    Generator,
)
from taking_turns import Ticks
from torch import nn
from torchvision.datasets import MNIST


def train(steps: int) -> None:
    data = MNIST(root=os.environ["ZOO_DATA"])
    images, labels = data.data.unsqueeze(1).float().div_(255), data.targets

    generator, discriminator = Generator(), Discriminator()
    generator_parameters = list(generator.parameters())
    generator_optimizer, discriminator_optimizer = adam(generator), adam(discriminator)

    step, ticks = 0, Ticks()
    while True:
        order = torch.randperm(len(images))
        for indices in order[: len(order) // BATCH * BATCH].split(BATCH):
            image, label = images.index_select(0, indices), labels.index_select(0, indices)
            generated = generator(torch.randn(BATCH, LATENT), label)
            l1_loss = F.l1_loss(generated, image)
            score = discriminator(generated, label)
            generator_loss = L1_WEIGHT * l1_loss + (score - 1).square().mean()
            generator_optimizer.zero_grad()
            # Computes no gradients for the discriminator, at no more cost than toggling requires_grad in every step.
            generator_loss.backward(inputs=generator_parameters)
            generator_optimizer.step()

            both = torch.cat([image, generated.detach()])
            real_score, fake_score = discriminator(both, label.repeat(2)).chunk(2)
            real_loss, fake_loss = (real_score - 1).square().mean(), fake_score.square().mean()
            discriminator_loss = real_loss + fake_loss
            discriminator_optimizer.zero_grad()
            discriminator_loss.backward()
            discriminator_optimizer.step()

            step += 1
            if step % LOG_EVERY == 0:
                for loss in (l1_loss, generator_loss, discriminator_loss, real_loss, fake_loss):
                    loss.item()
            ticks.tick()
            if step == steps:
                return


def adam(network: nn.Module) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, betas=BETAS, weight_decay=WEIGHT_DECAY, fused=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=187_400)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    started = time.perf_counter()
    train(args.steps)
    print(f"{args.steps / (time.perf_counter() - started):.2f} steps/s")


if __name__ == "__main__":
    main()
