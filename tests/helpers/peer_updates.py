"""Two training steps of a framework's script on fixed images, compared with the same updates in plain PyTorch.

Prints the maximal difference between the weights, for the generator and for the discriminator.

    python tests/helpers/peer_updates.py lightning
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from repository import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

import torch
from peer_task import adam, discriminator_losses, generator_losses
from plain_script import BATCH, LATENT, Discriminator, Generator
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

STEPS = 2


def main(framework: str) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(5)
    images = TensorDataset(torch.rand(STEPS * BATCH, 1, 28, 28), torch.randint(10, (STEPS * BATCH,)))
    noises = [torch.randn(BATCH, LATENT) for _ in range(STEPS)]
    loader = DataLoader(images, batch_size=BATCH)
    for plain, framed in zip(by_hand(loader, noises), by_framework(framework, loader, noises), strict=True):
        weights = zip(plain.parameters(), framed.parameters(), strict=True)
        sys.stdout.write(f"{max(float((a - b).abs().max()) for a, b in weights)}\n")


def by_hand(loader: DataLoader[Any], noises: list[Tensor]) -> list[nn.Module]:
    torch.manual_seed(3)
    generator, discriminator = Generator(), Discriminator()
    generator_optimizer, discriminator_optimizer = adam(generator), adam(discriminator)
    for (image, label), noise in zip(loader, noises, strict=True):
        generated = generator(noise, label)
        generator_optimizer.zero_grad()
        generator_losses(generated, image, discriminator(generated, label))["generator_loss"].backward()
        generator_optimizer.step()
        scores = discriminator(image, label), discriminator(generated.detach(), label)
        discriminator_optimizer.zero_grad()
        discriminator_losses(*scores)["discriminator_loss"].backward()
        discriminator_optimizer.step()
    return [generator, discriminator]


def by_framework(framework: str, loader: DataLoader[Any], noises: list[Tensor]) -> list[nn.Module]:
    script: Any = import_module(f"{framework}_script")
    networks: list[nn.Module] = []

    def recording(network: type[nn.Module]) -> Any:
        def make() -> nn.Module:
            networks.append(network())
            return networks[-1]

        return make

    remaining = iter(noises)
    script.batches, script.noise = lambda _: loader, lambda _: next(remaining)
    script.Generator, script.Discriminator = recording(Generator), recording(Discriminator)
    torch.manual_seed(3)
    with TemporaryDirectory() as folder:
        script.train(STEPS, "loader", Path(folder))
    return networks


if __name__ == "__main__":
    main(sys.argv[1])
