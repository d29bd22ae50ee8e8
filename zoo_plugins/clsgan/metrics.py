"""How good generated digits are, as an independent classifier sees them.

Accuracy: the share that the classifier reads as the label asked for. Diversity: the pixels' standard deviation within
a class, over that of real pictures, averaged over the classes; 1 is right, 0 is one picture for each label. Distance:
Fréchet distance (Heusel et al. 2017, eq. 6) between generated and evaluation pictures in the classifier's features;
its floor is that of the first training pictures, as many as are generated, from the evaluation pictures. Pupil: the
accuracy on the evaluation pictures of a new classifier that learnt the generated pictures, and of one that learnt the
first training pictures instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import zoo_core as zoo
from zoo_plugins.clsgan.cas import train_and_score
from zoo_plugins.clsgan.model import CLSGAN, PICTURE

PER_CLASS = 1000
_CHUNK = 1000


@dataclass
class GANEvaluator:
    """Evaluates generators with the published classifier ``judge``, and with a new one of the model ``pupil``.

    Real pictures are measured once.
    """

    eval_classifier: str
    cas_classifier: str | None
    device: torch.device
    config: CLSGAN.Config

    def __post_init__(self) -> None:
        # Loaded before the first step: a judge that is not there should not be found out at the end.
        self.classifier: Any = zoo.load(self.eval_classifier).to(self.device)
        self._frechet: Any = None

    @torch.no_grad()
    def of(
        self, generator: nn.Module, evaluation: Iterable[zoo.Batch], training: Iterable[zoo.Batch]
    ) -> dict[str, float]:
        """The figures of ``generator`` on ``PER_CLASS`` pictures of every class."""
        count = PER_CLASS * self.config.num_classes
        label = torch.arange(count, device=self.device) % self.config.num_classes
        was_training = generator.training
        generator.eval()
        image = torch.cat([generator(self._noise(len(part)), self._given(part)) for part in label.split(_CHUNK)])
        generator.train(was_training)
        if self._frechet is None:
            self._measure_real(evaluation, training, count)
        metrics = {
            "frechet_distance": self._frechet_distance(image),
            "frechet_distance_real": self._frechet_distance_real,
        }
        metrics["frechet_ratio"] = metrics["frechet_distance"] / self._frechet_distance_real
        read = torch.cat([self.classifier(part).argmax(dim=1) for part in image.split(_CHUNK)])
        if not self.config.conditional:
            shares = read.bincount(minlength=self.config.num_classes) / count
            return {**metrics, "min_class_fraction": float(shares.min())}
        deviation = _std_by_class(image, label, self.config.num_classes)
        intra_class_std_ratio = float((deviation / self._real_std).mean())
        metrics = {
            "accuracy": float((read == label).float().mean()),
            "intra_class_std_ratio": intra_class_std_ratio,
            **metrics,
        }
        if self.cas_classifier:
            metrics["cas"] = self._train_and_score(image, label)
            metrics["cas_real"] = self._cas_real
        return metrics

    def _measure_real(self, evaluation: Iterable[zoo.Batch], training: Iterable[zoo.Batch], count: int) -> None:
        from torchmetrics.image.fid import (
            FrechetInceptionDistance,
        )  # seconds to import, and needed at the end only

        batches = list(evaluation)
        image, label = (torch.cat([batch[name] for batch in batches]) for name in ("image", "label"))
        self._real = image, label
        self._real_std = _std_by_class(image, label, self.config.num_classes)
        self._frechet = FrechetInceptionDistance(
            _Features(self.classifier), reset_real_features=False, normalize=True, input_img_size=PICTURE
        ).to(self.device)
        for part in image.split(_CHUNK):
            self._frechet.update(part, real=True)
        first_image, first_label = _first(training, count)
        self._frechet_distance_real = self._frechet_distance(first_image)
        if self.cas_classifier and self.config.conditional:
            self._cas_real = self._train_and_score(first_image, first_label)

    def _train_and_score(self, image: Tensor, label: Tensor) -> float:
        return train_and_score(self.cas_classifier or "", image, label, *self._real, self.config.num_classes)

    def _frechet_distance(self, image: Tensor) -> float:
        self._frechet.reset()
        for part in image.split(_CHUNK):
            self._frechet.update(part, real=False)
        return float(self._frechet.compute())

    def _noise(self, count: int) -> Tensor:
        return torch.randn(count, self.config.latent_dim, device=self.device)

    def _given(self, label: Tensor) -> Tensor | None:
        return label if self.config.conditional else None


class _Features(nn.Module):
    """The classifier's features (N, F), as torchmetrics asks for them."""

    def __init__(self, classifier: Any) -> None:
        super().__init__()
        self.classifier = classifier
        self.num_features = classifier.features(
            torch.zeros(1, *PICTURE, device=next(classifier.parameters()).device)
        ).shape[1]

    def forward(self, image: Tensor) -> Tensor:
        return self.classifier.features(image)  # type: ignore[no-any-return]


def _first(batches: Iterable[zoo.Batch], count: int) -> tuple[Tensor, Tensor]:
    """The first ``count`` pictures and their labels."""
    taken: list[zoo.Batch] = []
    for batch in batches:
        taken.append(batch)
        if sum(len(one["label"]) for one in taken) >= count:
            break
    image, label = (torch.cat([one[name] for one in taken])[:count] for name in ("image", "label"))
    return image, label


def _std_by_class(image: Tensor, label: Tensor, num_classes: int) -> Tensor:
    """The pixels' standard deviation over a class's pictures, averaged over the pixels: (num_classes,)."""
    return torch.stack([image[label == one].std(dim=0).mean() for one in range(num_classes)])
