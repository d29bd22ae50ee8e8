"""Training of image classifiers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

import zoo_core as zoo
from zoo_plugins.classifier.class_weights import class_weights
from zoo_plugins.classifier.metrics import classification_metrics
from zoo_plugins.common.class_names import class_names
from zoo_plugins.common.labels import check_labels
from zoo_plugins.common.transforms import affine

_PREVIEW_IMAGES = 16


class ClassifierTrainer(zoo.Trainer):
    """Trains any model that maps ``image`` (N, C, H, W) to logits (N, K) for ``label`` (N,)."""

    @dataclass(frozen=True, kw_only=True)
    class Config(zoo.OptimizerConfig):
        learning_rate: float = zoo.setting(4e-3, "learning rate, the highest one of the schedule", gt=0)
        weight_decay: float = zoo.setting(1e-2, "weight decay", ge=0)
        decay_norms_and_biases: bool = zoo.setting(True, "apply weight decay to biases and normalization layers, too")
        schedule: str = zoo.setting("one-cycle", "name of the schedule: `zoo list schedules`")
        warmup: float = zoo.setting(0.2, "steps in which the learning rate rises; below 1, a fraction of the run", ge=0)
        rotation: float = zoo.setting(10.0, "augmentation: maximum rotation in degrees", ge=0, le=180)
        scaling: float = zoo.setting(0.1, "augmentation: maximum relative change of the scale", ge=0, lt=1)
        shift: float = zoo.setting(2.0, "augmentation: maximum translation in pixels", ge=0)
        crop: float = zoo.setting(
            1.0, "augmentation: smallest side of a random crop, as a fraction of the image; 1: none", gt=0, le=1
        )
        horizontal_flip: float = zoo.setting(0.0, "augmentation: probability of left for right", ge=0, le=1)
        vertical_flip: float = zoo.setting(0.0, "augmentation: probability of top for bottom", ge=0, le=1)
        label_smoothing: float = zoo.setting(0.0, "fraction of each label that is spread over all classes", ge=0, lt=1)
        class_weights: Literal["balanced"] | tuple[float, ...] = zoo.setting(
            (), "weights of the classes in the loss; balanced: by their number of images; empty: equal weights", ge=0
        )
        class_counts: tuple[int, ...] = zoo.setting(
            (), "training images of each class, for class_weights=balanced", ge=0, from_dataset="class_counts"
        )

    config: Config
    supports_grad_accumulation = distributed_evaluation = True
    protocol = (
        "accuracy: top-1 accuracy on the test split, and of each class; balanced_accuracy: the mean of those of the "
        "classes; loss: mean cross-entropy on the test split."
    )

    def setup(self, model: Any, engine: zoo.Engine) -> None:
        self._names = class_names(model.config) if hasattr(model.config, "num_classes") else []
        self._class_weights = class_weights(
            self.config.class_weights, self.config.class_counts, len(self._names) or None
        )
        if self._class_weights is not None:
            self._class_weights = self._class_weights.to(engine.device)
        model.to(memory_format=torch.channels_last)
        self.model, self.optimizer, self.schedule = engine.optimizer(model, self.config)
        self.engine = engine

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        image, label = self._augment(batch["image"]), batch["label"]  # (N, C, H, W) in [0, 1], (N,)
        score = self.model(image)  # (N, K)
        if self.engine.may_read:
            self._check(score, label)
        loss = self._loss(score, label, batch)
        self.optimizer.zero_grad()
        self.engine.backward(loss)
        self.optimizer.step()
        return {"loss": loss.detach(), "accuracy": (score.argmax(dim=1) == label).float().mean()}

    def after_step(self) -> None:
        self.schedule.step()

    @torch.no_grad()
    def evaluate(self, batches: Iterable[zoo.Batch], train_batches: Iterable[zoo.Batch]) -> Mapping[str, float]:
        self.model.eval()
        loss, counts = 0.0, torch.zeros(0, 2, dtype=torch.float64)
        for batch in batches:
            score, label = self.model(batch["image"]), batch["label"]
            self._check(score, label)
            loss += float(F.cross_entropy(score, label, reduction="sum"))
            hits = label[score.argmax(dim=1) == label]
            found = [one.bincount(minlength=score.shape[1]) for one in (hits, label)]  # (K,) each
            counts = _added(counts, torch.stack(found, dim=1).cpu().double())
        self.model.train()
        sums = self.engine.sum(torch.cat([torch.tensor([loss], dtype=torch.float64), counts.flatten()]))
        return classification_metrics(float(sums[0]), sums[1:].view(-1, 2), self._names)

    @torch.no_grad()
    def preview(self, batch: zoo.Batch) -> Mapping[str, Any]:
        """The first images, and a table of their classes and of those that the model predicts."""
        image, label = batch["image"][:_PREVIEW_IMAGES], batch["label"][:_PREVIEW_IMAGES]
        self.model.eval()
        probability, predicted = self.model(image).float().softmax(dim=1).max(dim=1)
        self.model.train()
        table = zoo.Table(
            {
                "class": [self._name(index) for index in label.tolist()],
                "predicted": [self._name(index) for index in predicted.tolist()],
                "probability": [round(value, 4) for value in probability.tolist()],
            }
        )
        return {"images": image, "predictions": table} if image.shape[1] in (1, 3) else {"predictions": table}

    def _check(self, score: Any, label: Tensor) -> None:
        """Raises ZooError unless there is a score for each image and class, and a label among the classes."""
        if not isinstance(score, Tensor) or score.ndim != 2 or len(score) != len(label) or label.ndim != 1:
            given = (
                f"scores of shape {tuple(score.shape)}" if isinstance(score, Tensor) else f"a {type(score).__name__}"
            )
            raise zoo.ZooError(
                f"the trainer 'classifier' needs one label for each image, and a model that returns scores of shape "
                f"({len(label)}, K), but has labels of shape {tuple(label.shape)} and {given}.",
                "Choose a model that classifies images: `model.name=image-classifier`.",
            )
        check_labels(label, score.shape[1])

    def _name(self, index: int) -> str:
        return self._names[index] if index < len(self._names) else str(index)

    def _loss(self, score: Tensor, label: Tensor, batch: zoo.Batch) -> Tensor:
        smoothing, weights = self.config.label_smoothing, self._class_weights
        if weights is None:
            return F.cross_entropy(score, label, label_smoothing=smoothing)
        total = F.cross_entropy(score, label, weights, label_smoothing=smoothing, reduction="sum")
        return total / self.engine.normalizer(batch, lambda part: weights[part["label"]].sum())

    def augmented(self, batch: zoo.Batch) -> zoo.Batch:
        return zoo.Batch({**batch, "image": self._augment(batch["image"])})

    def _augment(self, image: Tensor) -> Tensor:
        """Each image transformed at random by itself; a batch transform of torchvision would draw once for all."""
        count, (height, width) = len(image), image.shape[-2:]

        def draw(limit: float) -> Tensor:
            """(N,), uniform in [-limit, limit)"""
            return (torch.rand(count, device=image.device) * 2 - 1) * limit

        angle, scale = torch.deg2rad(draw(self.config.rotation)), 1 + draw(self.config.scaling)
        shift_x, shift_y = draw(2 * self.config.shift / width), draw(2 * self.config.shift / height)
        if self.config.crop < 1:
            side = 1 - torch.rand(count, device=image.device) * (1 - self.config.crop)
            scale, shift_x, shift_y = scale * side, shift_x + draw(1) * (1 - side), shift_y + draw(1) * (1 - side)
        image = affine(image, angle, scale, shift_x, shift_y)
        for probability, dimension in ((self.config.horizontal_flip, -1), (self.config.vertical_flip, -2)):
            if probability:
                flipped = torch.rand(count, device=image.device) < probability
                image = torch.where(flipped.view(-1, 1, 1, 1), image.flip(dimension), image)
        return image


def _added(counts: Tensor, more: Tensor) -> Tensor:
    """Sums of the first batch, or of several."""
    return counts + more if len(counts) else more
