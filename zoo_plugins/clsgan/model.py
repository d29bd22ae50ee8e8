"""Generator and discriminator of a (conditional) GAN on images of one size; both are fully connected."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo_core as zoo
from zoo_plugins.clsgan.labels import indices_of
from zoo_plugins.common.class_names import class_names

_DEFAULT_COUNT = 80  # images that predict generates without labels and count


class CLSGAN(zoo.Model):
    """``generator`` and ``discriminator`` of images (C, H, W). The defaults are those of ``clsgan-mnist-reference``."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        latent_dim: int = zoo.setting(96, "dimension of the noise, and of the label embeddings", ge=1)
        num_classes: int = zoo.setting(
            10, "number of classes; used by conditional models", ge=1, from_dataset="num_classes"
        )
        class_names: tuple[str, ...] = zoo.setting(
            (), "names of the classes; a class without a name is called by its index", from_dataset="class_names"
        )
        height: int = zoo.setting(28, "height of the images", ge=1, from_dataset="height")
        width: int = zoo.setting(28, "width of the images", ge=1, from_dataset="width")
        channels: int = zoo.setting(1, "channels of the images: 1 or 3", ge=1, from_dataset="in_channels")
        smoothing: int = zoo.setting(
            0, "times that generated images are averaged over 3 x 3 pixels, against noise in photos", ge=0
        )
        conditional: bool = zoo.setting(True, "condition both networks on the label (Mirza & Osindero 2014)")
        sigmoid: bool = zoo.setting(True, "end the discriminator in a sigmoid")
        normalize_input: bool = zoo.setting(False, "scale the discriminator's input from [0, 1] to [-1, 1]")
        minibatch_std_group_size: int = zoo.setting(
            0, "group size of the minibatch standard deviation (Karras et al. 2018); 0 disables it", ge=0
        )
        minibatch_std_scale: float = zoo.setting(1.0, "factor of the minibatch standard deviation", gt=0)

    config: Config
    outputs: ClassVar[Mapping[str, str]] = {"image": "(N, C, H, W) in [0, 1]"}

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.class_names = class_names(config)
        self.generator = Generator(config)
        self.discriminator = Discriminator(config)

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        """Standard normal noise (N, latent_dim) and labels (N,) to images (N, C, H, W) in [0, 1]."""
        if noise.ndim != 2 or (self.config.conditional and label is None):
            raise zoo.ZooError(
                f"a GAN generates images from noise of shape (N, {self.config.latent_dim}) and labels, but is given a "
                f"tensor of shape {tuple(noise.shape)}{' without labels' if label is None else ''}.",
                "Train it with `trainer.name=clsgan`, or choose a model that suits the trainer.",
            )
        return self.generator(noise, label)  # type: ignore[no-any-return]

    @torch.no_grad()
    def predict(
        self,
        labels: Sequence[int | str] | int | str | None = None,
        seed: int = 0,
        count: int | None = None,
        target_seed: int | None = None,
        interpolation: float = 0.0,
    ) -> dict[str, Any]:
        """Generates images: ``{"image": (N, C, H, W) in [0, 1], "label": N integers, or N names of classes}``.

        Labels are names of classes; without names, or if none of them is a number, also their indices. Without
        ``count`` there is one image for each label, or 80 if ``labels`` is not given. With it the labels are repeated
        in order; a conditional model without ``labels`` uses all classes. The same ``seed`` gives the same images.
        ``interpolation`` from 0 to 1 interpolates between the noise of ``seed`` and that of ``target_seed``.

        Raises:
            zoo.ZooError: if an argument is invalid.
        """
        _check_integer("seed", seed, 0)
        _check_integer("count", 1 if count is None else count, 1)
        _check_integer("target_seed", 0 if target_seed is None else target_seed, 0)
        _check_interpolation(interpolation, target_seed)
        label = self._labels(labels, count)
        count = (count or _DEFAULT_COUNT) if label is None else len(label)
        if target_seed is None:
            noise = self._noise(seed, count)
        else:
            noise = self._interpolated_noise(seed, target_seed, interpolation, count)
        device = next(self.parameters()).device
        image = self(noise.to(device), None if label is None else label.to(device))
        return {"image": image.cpu(), **({} if label is None else {"label": self._named(label.tolist())})}

    def example(self) -> dict[str, Any]:
        labels = self._named([index % self.config.num_classes for index in (3, 1, 4)])
        return {"labels": labels if self.config.conditional else None, "seed": 1, "count": 3}

    def controls(self) -> dict[str, zoo.Control]:
        choices = self._named(range(self.config.num_classes))
        labels = zoo.Control("multiselect", "labels; all if none is selected", choices=choices)
        return {
            **({"labels": labels} if self.config.conditional else {}),
            "count": zoo.Control("int", "number of images", minimum=1, maximum=100, value=40),
            "seed": zoo.Control("int", "seed of the noise", minimum=0, maximum=999),
            "target_seed": zoo.Control("int", "seed of the second noise", minimum=0, maximum=999, value=1),
            "interpolation": zoo.Control(
                "float", "interpolation to the second noise", minimum=0.0, maximum=1.0, step=0.05
            ),
        }

    def _noise(self, seed: int, count: int) -> Tensor:
        return torch.randn(count, self.config.latent_dim, generator=torch.Generator().manual_seed(seed))

    def _interpolated_noise(self, seed: int, target_seed: int, interpolation: float, count: int) -> Tensor:
        """Noise (count, latent_dim) on the arc between the noise of two seeds.

        On the arc it is standard normal, too; linear interpolation would reduce its norm, and images generated from
        noise of a small norm are less diverse.
        """
        angle = torch.tensor(interpolation * math.pi / 2)
        return angle.cos() * self._noise(seed, count) + angle.sin() * self._noise(target_seed, count)

    def _named(self, labels: Sequence[int]) -> list[int] | list[str]:
        """The names of labels, if the classes have names."""
        return [self.class_names[label] for label in labels] if self.config.class_names else list(labels)

    def _labels(self, labels: Sequence[int | str] | int | str | None, count: int | None) -> Tensor | None:
        if not self.config.conditional:
            if labels is not None:
                raise zoo.ZooError(
                    "this model is unconditional, but labels were given.", "Leave out labels and write count=8."
                )
            return None
        if labels is None:
            return torch.arange(count or _DEFAULT_COUNT) % self.config.num_classes
        given = indices_of(labels, self.config.class_names, self.config.num_classes)
        return torch.tensor([given[index % len(given)] for index in range(count or len(given))])


def _check_integer(name: str, value: Any, minimum: int) -> None:
    if type(value) is not int or not minimum <= value < 2**63:
        raise zoo.ZooError(
            f"{name} is {value!r}, but should be an integer from {minimum} to 2**63 - 1.",
            f"Write for example {name}=8.",
        )


def _check_interpolation(interpolation: Any, target_seed: int | None) -> None:
    is_number = isinstance(interpolation, (int, float)) and not isinstance(interpolation, bool)
    if not is_number or not 0 <= interpolation <= 1:
        raise zoo.ZooError(
            f"interpolation is {interpolation!r}, but should be a number from 0 to 1.",
            "Write for example interpolation=0.5.",
        )
    if interpolation and target_seed is None:
        raise zoo.ZooError("interpolation needs target_seed, which is missing.", "Add target_seed=1.")


class Generator(nn.Module):
    """Maps noise, concatenated with a label embedding, to an image."""

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
        self.image_shape = config.channels, config.height, config.width
        self.smoothing = config.smoothing
        self.layers = nn.Sequential(*hidden, nn.Linear(self.WIDTHS[-1], math.prod(self.image_shape)), nn.Sigmoid())

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        """(N, latent_dim) and (N,) to (N, C, H, W) in [0, 1]."""
        if self.embedding is not None:
            noise = torch.cat([noise, self.embedding(label)], dim=1)  # (N, 2 * latent_dim)
        image: Tensor = self.layers(noise).view(-1, *self.image_shape)  # (N, C * H * W) before
        for _ in range(self.smoothing):
            # The values of neighboring pixels come from independent weights, which start as noise.
            image = F.avg_pool2d(image, 3, stride=1, padding=1, count_include_pad=False)
        return image


class Discriminator(nn.Module):
    """Maps an image, concatenated with a label embedding, to a score; the target is 1 if real, 0 if generated."""

    WIDTHS = (512, 256, 128, 64, 32)

    def __init__(self, config: CLSGAN.Config) -> None:
        super().__init__()
        self.normalize_input = config.normalize_input
        self.minibatch_std_group_size = config.minibatch_std_group_size
        self.minibatch_std_scale = config.minibatch_std_scale
        self.embedding = nn.Embedding(config.num_classes, config.latent_dim) if config.conditional else None
        values = config.channels * config.height * config.width
        inputs = values + config.latent_dim * config.conditional + bool(config.minibatch_std_group_size)
        hidden = [layer for i, o in pairwise((inputs, *self.WIDTHS)) for layer in (nn.Linear(i, o), nn.GELU())]
        score: list[nn.Module] = [nn.Linear(self.WIDTHS[-1], 1), *([nn.Sigmoid()] if config.sigmoid else [])]
        self.layers = nn.Sequential(*hidden, *score)

    def forward(self, image: Tensor, label: Tensor | None = None) -> Tensor:
        """(N, C, H, W) in [0, 1] and (N,) to scores (N,)."""
        pixels = image.flatten(1)  # (N, P) with P = C * H * W
        if self.normalize_input:
            pixels = 2 * pixels - 1
        inputs = [pixels]  # (N, P), then (N, latent_dim), then (N, 1)
        if self.embedding is not None:
            inputs.append(self.embedding(label))
        if self.minibatch_std_group_size:
            inputs.append(self._minibatch_std(pixels))
        return self.layers(torch.cat(inputs, dim=1)).squeeze(1)  # type: ignore[no-any-return]

    def _minibatch_std(self, pixels: Tensor) -> Tensor:
        """Minibatch standard deviation (N, 1) of ``pixels`` (N, P); Karras et al. 2018, section 3.

        The standard deviation of every pixel within a group of images, averaged over the pixels. It lets the
        discriminator detect mode collapse; with groups of one label, also within a class.
        """
        group_size = self.minibatch_std_group_size
        if len(pixels) % group_size:
            raise zoo.ZooError(
                f"the discriminator was given {len(pixels)} images, which is not a multiple of "
                f"model.minibatch_std_group_size={group_size}.",
                "Choose `run.batch_size` such that, divided by `run.grad_accumulation_steps` and by the number of "
                f"processes, it is a multiple of {group_size}; or write `model.minibatch_std_group_size=0`.",
            )
        groups = pixels.view(-1, group_size, pixels.shape[1])  # (N / group_size, group_size, P)
        # Not Tensor.var: over this dimension it is many times slower on a CPU.
        variance = (groups - groups.mean(dim=1, keepdim=True)).square().mean(dim=1)  # (N / group_size, P)
        std = self.minibatch_std_scale * (variance + 1e-8).sqrt().mean(dim=1)  # (N / group_size,)
        return std.repeat_interleave(group_size).unsqueeze(1)  # (N, 1)
