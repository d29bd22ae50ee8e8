"""Metrics of generated images, computed with an independent classifier.

- ``accuracy``: fraction of the generated images that the classifier assigns to the label they were conditioned on.
- ``intra_class_std_ratio``: standard deviation of the pixels within a class, divided by that of the test images and
  averaged over the classes. 1 is the diversity of the test images, 0 is one image per class.
- ``frechet_distance``: Fréchet distance (Heusel et al. 2017, eq. 6) between generated and test images in the
  classifier's feature space. ``frechet_distance_real``: the same for as many training images instead of the generated
  ones, the first of the training split. ``frechet_ratio``: their quotient.
- ``min_class_fraction`` (unconditional models): fraction of the least frequent class.
- ``cas``: classification accuracy score (Ravuri & Vinyals 2019). ``cas_real``: the same for those training images.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import zoo_core as zoo
from zoo_plugins.clsgan.cas import train_and_score
from zoo_plugins.clsgan.classifiers import load_classifier
from zoo_plugins.clsgan.model import CLSGAN
from zoo_plugins.clsgan.samples import BATCH_SIZE, first_examples, generate, intra_class_std, most_images

IMAGES_PER_CLASS = 1000
_MOST_IMAGES = 10_000
_LEAST_PER_CLASS = 2


@dataclass
class GANEvaluator:
    """Computes the metrics of generators. Statistics of real images are computed again only if the images change.

    ``eval_classifier`` names weights or a run; ``cas_classifier`` a model that is trained for the CAS, or None.

    Raises:
        zoo.ZooError: on construction, if ``eval_classifier`` can't be loaded, or is one of other images or classes.
    """

    eval_classifier: str
    cas_classifier: str | None
    device: torch.device
    config: CLSGAN.Config

    def __post_init__(self) -> None:
        # Loaded before the first step, so that missing weights are an error at the start and not at the end of a run.
        self.classifier: Any = load_classifier(self.eval_classifier, self.config).to(self.device)
        self._frechet: Any = None
        self._real: tuple[Tensor, Tensor] | None = None

    @property
    def names(self) -> list[str]:
        """The names of the metrics of :meth:`evaluate`."""
        frechet = ["frechet_distance", "frechet_distance_real", "frechet_ratio"]
        if not self.config.conditional:
            return [*frechet, "min_class_fraction"]
        cas = ["cas", "cas_real"] if self.cas_classifier else []
        return ["accuracy", "intra_class_std_ratio", *frechet, *cas]

    @torch.no_grad()
    def evaluate(
        self, generator: nn.Module, batches: Iterable[zoo.Batch], train_batches: Iterable[zoo.Batch]
    ) -> dict[str, float]:
        """The metrics of ``generator`` with the same number of generated images of every class.

        ``batches`` are the real examples it is compared with, ``train_batches`` the training examples in stored order.
        """
        most = most_images(self.config, _MOST_IMAGES) // self.config.num_classes
        count = max(_LEAST_PER_CLASS, min(IMAGES_PER_CLASS, most)) * self.config.num_classes
        label = torch.arange(count, device=self.device) % self.config.num_classes
        image = generate(generator, label, self.config)  # (count, C, H, W)
        real = _all_examples(batches)
        if self._real is None or not all(map(torch.equal, real, self._real)):
            self._update_real(real, train_batches, count)
        metrics = {
            "frechet_distance": self._frechet_distance(image),
            "frechet_distance_real": self._frechet_distance_real,
        }
        metrics["frechet_ratio"] = metrics["frechet_distance"] / self._frechet_distance_real
        predicted = torch.cat([self.classifier(batch).argmax(dim=1) for batch in image.split(BATCH_SIZE)])  # (count,)
        if not self.config.conditional:
            class_fractions = predicted.bincount(minlength=self.config.num_classes) / count
            return {**metrics, "min_class_fraction": float(class_fractions.min())}
        std_ratio = intra_class_std(image, label, self.config.num_classes) / self._real_std
        metrics = {
            "accuracy": float((predicted == label).float().mean()),
            "intra_class_std_ratio": float(std_ratio[std_ratio.isfinite()].mean()),
            **metrics,
        }
        if self.cas_classifier:
            metrics["cas"] = self._train_and_score(image, label)
            metrics["cas_real"] = self._cas_real
        return metrics

    def _update_real(self, real: tuple[Tensor, Tensor], train_batches: Iterable[zoo.Batch], count: int) -> None:
        from torchmetrics.image.fid import FrechetInceptionDistance  # seconds to import, and used by evaluation only

        self._real = image, label = real
        self._real_std = intra_class_std(image, label, self.config.num_classes)
        shape = self.config.channels, self.config.height, self.config.width
        self._frechet = FrechetInceptionDistance(
            _Features(self.classifier, shape), reset_real_features=False, normalize=True, input_img_size=shape
        ).to(self.device)
        for part in image.split(BATCH_SIZE):
            self._frechet.update(part, real=True)
        train_image, train_label = first_examples(train_batches, count)
        self._frechet_distance_real = self._frechet_distance(train_image)
        if self.cas_classifier and self.config.conditional:
            self._cas_real = self._train_and_score(train_image, train_label)

    def _train_and_score(self, image: Tensor, label: Tensor) -> float:
        assert self._real is not None  # noqa: S101  # set by the evaluation that calls this
        return train_and_score(self.cas_classifier or "", image, label, *self._real, self.config.num_classes)

    def _frechet_distance(self, image: Tensor) -> float:
        self._frechet.reset()
        for part in image.split(BATCH_SIZE):
            self._frechet.update(part, real=False)
        return float(self._frechet.compute())


class _Features(nn.Module):
    """The classifier's features (N, F), with the interface that torchmetrics expects of a feature extractor."""

    def __init__(self, classifier: Any, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.classifier = classifier
        device = next(classifier.parameters()).device
        self.num_features = classifier.features(torch.zeros(1, *shape, device=device)).shape[1]

    def forward(self, image: Tensor) -> Tensor:
        return self.classifier.features(image)  # type: ignore[no-any-return]


def _all_examples(batches: Iterable[zoo.Batch]) -> tuple[Tensor, Tensor]:
    """All images and their labels."""
    stored = list(batches)
    image, label = (torch.cat([batch[name] for batch in stored]) for name in ("image", "label"))
    return image, label
