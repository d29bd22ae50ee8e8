"""The two networks of a (conditional, least-squares) GAN on 28 x 28 pictures, both of fully connected layers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

import zoo_core as zoo

PICTURE = (1, 28, 28)
PIXELS = 28 * 28
_COUNT = 80


class CLSGAN(zoo.Model):
    """Holds ``generator`` and ``discriminator``. The default settings are those of ``clsgan-mnist-reference``."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        latent_dim: int = zoo.setting(96, "length of the noise, and of each label's embedding", ge=1)
        num_classes: int = zoo.setting(10, "labels; a conditional model takes one with every picture", ge=1)
        conditional: bool = zoo.setting(True, "whether both networks are told the label (Mirza & Osindero 2014)")
        sigmoid: bool = zoo.setting(True, "whether the discriminator's score is squeezed into (0, 1)")
        normalize_input: bool = zoo.setting(False, "whether the discriminator sees pixels scaled to [-1, 1]")
        minibatch_std_group_size: int = zoo.setting(
            0,
            "give the discriminator the pixels' mean deviation over groups of so many pictures; 0 does not",
            ge=0,
        )
        minibatch_std_scale: float = zoo.setting(
            1.0, "what that deviation is multiplied by, so that it is heeded", gt=0
        )

    config: Config
    outputs: ClassVar[Mapping[str, str]] = {"image": "(N, 1, 28, 28) in [0, 1]"}

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.generator = Generator(config)
        self.discriminator = Discriminator(config)

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        """Noise (N, latent_dim), standard normal, and labels (N,) to pictures (N, 1, 28, 28) in [0, 1]."""
        return self.generator(noise, label)  # type: ignore[no-any-return]

    @torch.no_grad()
    def predict(
        self,
        labels: Sequence[int] | int | None = None,
        seed: int = 0,
        count: int | None = None,
        target_seed: int | None = None,
        interpolation: float = 0.0,
    ) -> dict[str, Any]:
        """Pictures of the labels asked for: ``{"image": (N, 1, 28, 28) in [0, 1], "label": N numbers}``.

        ``count`` pictures, of the labels in turn; otherwise one for each label, or 80 where none are given: of a
        conditional model each label in turn. The same seed draws the same pictures. With ``target_seed`` the noise is
        that of ``seed`` (``interpolation=0``), that of ``target_seed`` (``interpolation=1``), or between them.
        """
        wholes = [("seed", seed, 0), ("count", 1 if count is None else count, 1)]
        for name, value, least in (*wholes, ("target_seed", 0 if target_seed is None else target_seed, 0)):
            if type(value) is not int or not least <= value < 2**63:
                raise zoo.ZooError(
                    f"{name} is {value!r}, but should be a whole number from {least} to 2**63 - 1.",
                    f"Write for example {name}=8.",
                )
        if (
            isinstance(interpolation, bool)
            or not isinstance(interpolation, (int, float))
            or not 0 <= interpolation <= 1
        ):
            raise zoo.ZooError(
                f"walk is {interpolation!r}, but should lie in 0..1.", "Write for example interpolation=0.5."
            )
        if interpolation and target_seed is None:
            raise zoo.ZooError(
                "walk leads from one noise to another, but target_seed is missing.", "Add target_seed=1."
            )
        label = self._labels(labels, count)
        count = (count or _COUNT) if label is None else len(label)
        noise = (
            self._noise(seed, count) if target_seed is None else self._between(seed, target_seed, interpolation, count)
        )
        device = next(self.parameters()).device
        image = self(noise.to(device), None if label is None else label.to(device))
        return {"image": image.cpu(), **({} if label is None else {"label": label.tolist()})}

    def example(self) -> dict[str, Any]:
        return {"labels": [3, 1, 4] if self.config.conditional else None, "seed": 1, "count": 3}

    def controls(self) -> dict[str, zoo.Control]:
        digits = {
            "labels": zoo.Control("multiselect", "labels; without any, all", choices=range(self.config.num_classes))
        }
        return {
            **(digits if self.config.conditional else {}),
            "count": zoo.Control("int", "pictures", minimum=1, maximum=100, value=40),
            "seed": zoo.Control("int", "seed of the noise", minimum=0, maximum=999),
            "target_seed": zoo.Control("int", "seed of another noise", minimum=0, maximum=999, value=1),
            "interpolation": zoo.Control(
                "float", "walk from the one noise to the other", minimum=0.0, maximum=1.0, step=0.05
            ),
        }

    def _noise(self, seed: int, count: int) -> Tensor:
        return torch.randn(count, self.config.latent_dim, generator=torch.Generator().manual_seed(seed))

    def _between(self, seed: int, target_seed: int, interpolation: float, count: int) -> Tensor:
        """Along an arc, on which noise stays as long as the noise that the generator knows; a line would pass nearer
        to zero, where its pictures are alike."""
        angle = torch.tensor(interpolation * math.pi / 2)
        return angle.cos() * self._noise(seed, count) + angle.sin() * self._noise(target_seed, count)

    def _labels(self, labels: Sequence[int] | int | None, count: int | None) -> Tensor | None:
        known = self.config.num_classes
        if not self.config.conditional:
            if labels is not None:
                raise zoo.ZooError(
                    "this model draws without labels.", "Leave labels out, and say count=… for how many."
                )
            return None
        if labels is None:
            return torch.arange(count or _COUNT) % known
        asked = [labels] if isinstance(labels, int) else labels
        if not isinstance(asked, (list, tuple)) or not asked or any(type(label) is not int for label in asked):
            raise zoo.ZooError(
                f"labels is {labels!r}, but should be whole numbers.", "Write for example labels=[5,5,5,5]."
            )
        wrong = [label for label in asked if not 0 <= label < known]
        if wrong:
            raise zoo.ZooError(
                f"labels has {wrong[0]}, but should lie in 0..{known - 1}.",
                "Write for example labels=[5,5,5,5].",
            )
        return torch.tensor([asked[number % len(asked)] for number in range(count or len(asked))])


class Generator(nn.Module):
    """Noise, and a label's embedding behind it, to a picture."""

    WIDTHS = (128, 256, 512, 1024)

    def __init__(self, config: CLSGAN.Config) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.num_classes, config.latent_dim) if config.conditional else None
        inputs = config.latent_dim * (2 if config.conditional else 1)
        hidden = [
            layer
            for i, o in pairwise((inputs, *self.WIDTHS))
            for layer in (nn.Linear(i, o), nn.BatchNorm1d(o), nn.GELU())
        ]
        self.layers = nn.Sequential(*hidden, nn.Linear(self.WIDTHS[-1], PIXELS), nn.Sigmoid())

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        """(N, latent_dim) and (N,) to (N, 1, 28, 28) in [0, 1]."""
        if self.embedding is not None:
            noise = torch.cat([noise, self.embedding(label)], dim=1)
        return self.layers(noise).view(-1, *PICTURE)  # type: ignore[no-any-return]


class Discriminator(nn.Module):
    """A picture, and a label's embedding behind it, to a score: 1 for real, 0 for generated."""

    WIDTHS = (512, 256, 128, 64, 32)

    def __init__(self, config: CLSGAN.Config) -> None:
        super().__init__()
        self.normalize_input = config.normalize_input
        self.minibatch_std_group_size, self.minibatch_std_scale = (
            config.minibatch_std_group_size,
            config.minibatch_std_scale,
        )
        self.embedding = nn.Embedding(config.num_classes, config.latent_dim) if config.conditional else None
        inputs = (
            PIXELS + (config.latent_dim if config.conditional else 0) + (1 if config.minibatch_std_group_size else 0)
        )
        hidden = [layer for i, o in pairwise((inputs, *self.WIDTHS)) for layer in (nn.Linear(i, o), nn.GELU())]
        score: list[nn.Module] = [nn.Linear(self.WIDTHS[-1], 1), *([nn.Sigmoid()] if config.sigmoid else [])]
        self.layers = nn.Sequential(*hidden, *score)

    def forward(self, image: Tensor, label: Tensor | None = None) -> Tensor:
        """(N, 1, 28, 28) in [0, 1] and (N,) to scores (N,)."""
        pixels = image.flatten(1)  # (N, 784)
        if self.normalize_input:
            pixels = 2 * pixels - 1
        inputs = [pixels]
        if self.embedding is not None:
            inputs.append(self.embedding(label))
        if self.minibatch_std_group_size:
            inputs.append(self._deviation(pixels))
        return self.layers(torch.cat(inputs, dim=1)).squeeze(1)  # type: ignore[no-any-return]

    def _deviation(self, pixels: Tensor) -> Tensor:
        """How different the pictures of a group are, told to each of them (N, 1); after Karras et al. 2018, section 3.

        A generator that gives one picture for a label is found out by it.
        """
        if len(pixels) % self.minibatch_std_group_size:
            raise zoo.ZooError(
                f"the discriminator compares {self.minibatch_std_group_size} pictures with one another, but was given "
                f"{len(pixels)}.",
                f"Let `run.batch_size`, divided by `run.grad_accumulation_steps` and by the number of processes, "
                f"be a multiple of {self.minibatch_std_group_size}. Or write `model.minibatch_std_group_size=0`.",
            )
        groups = pixels.view(-1, self.minibatch_std_group_size, PIXELS)  # (N / group, group, 784)
        # Not Tensor.var: over this dimension it is many times slower on a CPU.
        variance = (groups - groups.mean(dim=1, keepdim=True)).square().mean(dim=1)
        deviation = self.minibatch_std_scale * (variance + 1e-8).sqrt().mean(dim=1)  # (N / group,)
        return deviation.repeat_interleave(self.minibatch_std_group_size).unsqueeze(1)
