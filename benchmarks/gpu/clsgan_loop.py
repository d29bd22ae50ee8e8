"""The training of clsgan-mnist-reference on a GPU as a hand-tuned loop without a framework.

The data are on the device and gathered there; fused Adam; one pass of the discriminator over real and generated images
together; the five losses are read every 50 steps, and nothing is written. ``--graph`` replays the step, with both
optimizers, as one CUDA graph. Matrix products are those of float32 (torch's default). It prints steps/s.

    ZOO_DATA=FOLDER PYTHONPATH=.:benchmarks python benchmarks/gpu/clsgan_loop.py --graph
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
from torch import Tensor, nn
from torchvision.datasets import MNIST

from benchmarks.gpu.graphs import captured


def train(steps: int, device: torch.device, graph: bool) -> None:
    data = MNIST(root=os.environ["ZOO_DATA"])
    images, labels = data.data.unsqueeze(1).to(device).float().div_(255), data.targets.to(device)
    generator, discriminator = Generator().to(device), Discriminator().to(device)
    generator_parameters = list(generator.parameters())
    generator_optimizer, discriminator_optimizer = (adam(network, graph) for network in (generator, discriminator))

    def advance(indices: Tensor) -> list[Tensor]:
        image, label = images.index_select(0, indices), labels.index_select(0, indices)
        generated = generator(torch.randn(BATCH, LATENT, device=device), label)
        l1_loss = F.l1_loss(generated, image)
        generator_loss = L1_WEIGHT * l1_loss + (discriminator(generated, label) - 1).square().mean()
        generator_optimizer.zero_grad()
        generator_loss.backward(inputs=generator_parameters)
        generator_optimizer.step()

        both = torch.cat([image, generated.detach()])
        real_score, fake_score = discriminator(both, label.repeat(2)).chunk(2)
        real_loss, fake_loss = (real_score - 1).square().mean(), fake_score.square().mean()
        discriminator_loss = real_loss + fake_loss
        discriminator_optimizer.zero_grad()
        discriminator_loss.backward()
        discriminator_optimizer.step()
        losses = (l1_loss, generator_loss, discriminator_loss, real_loss, fake_loss)
        return [loss.detach() for loss in losses]

    if graph:
        advance = captured(advance, torch.arange(BATCH, device=device))
    step, ticks = 0, Ticks()
    while True:
        order = torch.randperm(len(images), device=device)
        for indices in order[: len(order) // BATCH * BATCH].split(BATCH):  # type: ignore[no-untyped-call]
            losses = advance(indices)
            step += 1
            if step % LOG_EVERY == 0:
                torch.stack(losses).tolist()
            ticks.tick()
            if step == steps:
                return


def adam(network: nn.Module, graph: bool) -> torch.optim.Adam:
    return torch.optim.Adam(
        network.parameters(),
        lr=LEARNING_RATE,
        betas=BETAS,
        weight_decay=WEIGHT_DECAY,
        fused=True,
        capturable=graph and next(network.parameters()).is_cuda,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10_000_000)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--graph", action="store_true", help="replay the step as one CUDA graph")
    args = parser.parse_args()
    torch.manual_seed(0)
    started = time.perf_counter()
    train(args.steps, torch.device(args.device), args.graph)
    print(f"{args.steps / (time.perf_counter() - started):.2f} steps/s")


if __name__ == "__main__":
    main()
