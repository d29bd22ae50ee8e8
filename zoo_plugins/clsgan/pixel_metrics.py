"""Metrics of generated images that need no classifier, computed from their pixels: for any images.

As many images are generated as there are training images, with the same labels.

- ``pixel_frechet_distance``: Fréchet distance (Heusel et al. 2017, eq. 6) between generated and test images, in the
  space of the first 64 principal components of the training images. Its unit is the total variance of the training
  images: a generator that always makes their mean image has at most about 1. ``pixel_frechet_distance_real``: the same
  for the training images instead of the generated ones. ``pixel_frechet_ratio``: their quotient.
- ``total_variation_ratio``: mean absolute difference between neighboring pixels, divided by that of the training
  images. Below 1 the generated images are smoother; above 1 they are noisier. The components do not see such details.
- ``intra_class_std_ratio``: standard deviation of the pixels within a class, divided by that of the training images and
  averaged over the classes. 0 is one image per class. For unconditional models ``std_ratio``, of all images.
- ``cas``, ``cas_real`` (conditional models): classification accuracy score, if a model for it is given.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import zoo_core as zoo
from zoo_plugins.clsgan.cas import train_and_score
from zoo_plugins.clsgan.model import CLSGAN
from zoo_plugins.clsgan.samples import first_examples, generate, intra_class_std, most_images

COMPONENTS = 64
_IMAGES_OF_COMPONENTS = 1000
_MOST_IMAGES = 5000
_TINY = 1e-12


@dataclass
class PixelEvaluator:
    """Computes the metrics of generators. ``cas_classifier`` is a model that is trained for the CAS, or None."""

    cas_classifier: str | None
    device: torch.device
    config: CLSGAN.Config

    def __post_init__(self) -> None:
        self._real: tuple[Tensor, ...] | None = None
        self._cas_real = 0.0

    @property
    def names(self) -> list[str]:
        """The names of the metrics of :meth:`evaluate`."""
        distances = ["pixel_frechet_distance", "pixel_frechet_distance_real", "pixel_frechet_ratio"]
        std = "intra_class_std_ratio" if self.config.conditional else "std_ratio"
        return [*distances, "total_variation_ratio", std, *(["cas", "cas_real"] if self._scores else [])]

    @torch.no_grad()
    def evaluate(
        self, generator: nn.Module, batches: Iterable[zoo.Batch], train_batches: Iterable[zoo.Batch]
    ) -> dict[str, float]:
        """The metrics of ``generator``, compared with the real examples ``batches``.

        ``train_batches`` are the training examples in stored order.
        """
        count = most_images(self.config, _MOST_IMAGES)
        train_image, label = first_examples(train_batches, count, labeled=self.config.conditional)
        test_image, test_label = first_examples(batches, count, labeled=self.config.conditional)
        image = generate(generator, label, self.config)
        components = PrincipalComponents(train_image[:_IMAGES_OF_COMPONENTS])
        generated, train, test = map(components, (image, train_image, test_image))
        distance, distance_real = frechet_distance(generated, test), frechet_distance(train, test)
        std, train_std = (intra_class_std(one, label, self.config.num_classes) for one in (image, train_image))
        several = label.bincount(minlength=self.config.num_classes) > 1
        metrics = {
            "pixel_frechet_distance": distance,
            "pixel_frechet_distance_real": distance_real,
            "pixel_frechet_ratio": distance / max(distance_real, _TINY),
            "total_variation_ratio": _total_variation(image) / max(_total_variation(train_image), _TINY),
        }
        name = "intra_class_std_ratio" if self.config.conditional else "std_ratio"
        metrics[name] = float((std / train_std.clamp(min=_TINY))[several].mean())
        if self._scores:
            real = train_image, label, test_image, test_label
            if self._real is None or not all(map(torch.equal, real, self._real)):
                self._real, self._cas_real = real, self._score(*real)
            metrics |= {"cas": self._score(image, label, test_image, test_label), "cas_real": self._cas_real}
        return metrics

    @property
    def _scores(self) -> bool:
        return bool(self.cas_classifier and self.config.conditional)

    def _score(self, image: Tensor, label: Tensor, test_image: Tensor, test_label: Tensor) -> float:
        classes = self.config.num_classes
        return train_and_score(self.cas_classifier or "", image, label, test_image, test_label, classes)


class PrincipalComponents:
    """The first principal components of images (N, C, H, W), scaled by the root of their total variance."""

    def __init__(self, image: Tensor) -> None:
        pixels = image.flatten(1).cpu().double()  # (N, P)
        self.mean = pixels.mean(dim=0)
        centered = pixels - self.mean
        # The eigenvectors of the Gram matrix, which is much smaller than the covariance of the pixels.
        values, vectors = torch.linalg.eigh(centered @ centered.T)  # (N,) ascending, (N, N)
        kept = (values > values[-1].clamp(min=_TINY) * _TINY).nonzero().squeeze(1)[-COMPONENTS:]
        total = values.sum().clamp(min=_TINY) / len(pixels)
        self.axes = (centered.T @ vectors[:, kept]) / values[kept].sqrt() / total.sqrt()  # (P, K)

    def __call__(self, image: Tensor) -> Tensor:
        """Images (N, C, H, W) to features (N, K) in float64."""
        parts = [
            (part.flatten(1).cpu().double() - self.mean) @ self.axes for part in image.split(_IMAGES_OF_COMPONENTS)
        ]
        return torch.cat(parts)


def frechet_distance(one: Tensor, other: Tensor) -> float:
    """Fréchet distance of normal distributions with the means and covariances of features (N, K) and (M, K)."""
    covariance, other_covariance = _covariance(one), _covariance(other)  # (K, K)
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    # The trace of the root of the product, whose own eigenvalues may not be found if it is singular.
    trace = torch.linalg.eigvalsh(root @ other_covariance @ root).clamp(min=0).sqrt().sum()
    means = (one.mean(dim=0) - other.mean(dim=0)).square().sum()
    return max(0.0, float(means + covariance.trace() + other_covariance.trace() - 2 * trace))


def _covariance(features: Tensor) -> Tensor:
    centered = features - features.mean(dim=0)
    return centered.T @ centered / len(features)


def _total_variation(image: Tensor) -> float:
    """Sum of the absolute differences between neighboring pixels, mean of images (N, C, H, W)."""
    return float(sum(image.diff(dim=axis).abs().sum() for axis in (2, 3)) / len(image))
