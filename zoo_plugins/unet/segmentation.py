"""Semantic segmentation: the class of every pixel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

import zoo_core as zoo
from zoo_plugins.unet.base_trainer import UNetTrainer
from zoo_plugins.unet.visualize import class_names, side_by_side

_SHOWN = 8


class SegmentationTrainer(UNetTrainer):
    """Trains on ``image`` (N, C, H, W) in [0, 1] and ``mask`` (N, H, W), the classes' numbers.

    A U-Net, or any model that gives logits (N, K, H, W) and whose ``config.out_channels`` is K, the number of classes;
    ``config.class_names`` names them, if there is such a setting.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(UNetTrainer.Config):
        loss: Literal["cross-entropy", "dice", "both"] = zoo.setting(
            "cross-entropy", "of pixels; or soft Dice of classes (Milletari et al. 2016); or their sum"
        )
        class_weights: tuple[float, ...] = zoo.setting((), "weight of each class in the cross-entropy; none: 1", ge=0)
        ignore_index: int = zoo.setting(255, "pixels of this class are neither learnt nor measured")

    config: Config
    protocol = (
        "IoU and Dice of a class: of all pixels of all evaluation pictures together; mean_iou and mean_dice: over the "
        "classes that occur; pixel_accuracy: over all pixels."
    )

    def setup(self, model: Any, engine: zoo.Engine) -> None:
        _check(model.config, self.config)
        self._weights = (
            torch.tensor(self.config.class_weights, device=engine.device) if self.config.class_weights else None
        )
        self._classes = model.config.out_channels
        super().setup(model, engine)

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        mask = batch["mask"]
        if self.steps == 0 or mask.device.type == "cpu":  # of an accelerator, to ask is to wait for it
            self._refuse_unknown(mask)
        score = self.network(batch["image"]).float()  # (N, classes, H, W)
        terms = {}
        if self.config.loss != "dice":
            terms["cross_entropy"] = cross_entropy(score, mask, self._weights, self.config.ignore_index)
        if self.config.loss != "cross-entropy":
            terms["dice_loss"] = soft_dice_loss(score, mask, self.config.ignore_index)
        loss = torch.stack(list(terms.values())).sum()
        return self.minimize(loss, terms)

    @torch.no_grad()
    def evaluate(self, batches: Iterable[zoo.Batch], train_batches: Iterable[zoo.Batch]) -> Mapping[str, float]:
        """Of all pixels of all pictures together: mean IoU, Dice and accuracy, and after a slash those of a class."""
        from torchmetrics.classification import MulticlassConfusionMatrix

        matrix = MulticlassConfusionMatrix(self._classes, ignore_index=self.config.ignore_index).to(self.engine.device)
        for batch in batches:
            self._refuse_unknown(batch["mask"])
            matrix.update(self._predict(batch["image"]), batch["mask"])
        return figures_of(self.engine.sum(matrix.confmat), class_names(self._model.config))

    @torch.no_grad()
    def preview(self, batch: zoo.Batch) -> Tensor:
        """One picture (1, 3, H, W): rows of image, truth and prediction, and a legend."""
        image, mask = batch["image"][:_SHOWN], batch["mask"][:_SHOWN]
        predicted = self._predict(image)
        return side_by_side(image, mask, predicted, class_names(self._model.config), self.config.ignore_index)

    def _refuse_unknown(self, mask: Tensor) -> None:
        highest = int(mask.where(mask != self.config.ignore_index, 0).max())
        if highest >= self._classes:
            raise zoo.ZooError(
                f"a mask has class {highest}, but the model has {self._classes}, numbered from 0.",
                f"Write `model.out_channels={highest + 1}` or more; or ignore it: `trainer.ignore_index={highest}`.",
            )

    def _predict(self, image: Tensor) -> Tensor:
        network = self.published.eval()
        predicted: Tensor = network(image).argmax(dim=1)
        network.train()
        return predicted


def cross_entropy(score: Tensor, mask: Tensor, weights: Tensor | None, ignore_index: int) -> Tensor:
    """Averaged over the pixels (N, H, W) that are not ignored, by the weights (K,) of their classes; 0 without any."""
    heeded = mask != ignore_index
    share = heeded if weights is None else weights[mask.where(heeded, 0)] * heeded
    total = F.cross_entropy(score, mask, weight=weights, ignore_index=ignore_index, reduction="sum")
    return total / share.sum().clamp(min=1e-6)  # PyTorch's own average of no pixels is NaN


def soft_dice_loss(score: Tensor, mask: Tensor, ignore_index: int) -> Tensor:
    """1 - 2 |P and T| / (|P| + |T|), P the softmax of ``score`` (N, K, H, W), averaged over the classes that occur.

    Milletari et al. 2016, eq. 3, without the squares in the denominator.
    """
    heeded = (mask != ignore_index).unsqueeze(1)
    share = score.softmax(dim=1) * heeded
    true = F.one_hot(mask.where(heeded.squeeze(1), 0), score.shape[1]).permute(0, 3, 1, 2) * heeded
    both, single = (share * true).sum(dim=(0, 2, 3)), (share + true).sum(dim=(0, 2, 3))
    occurs = true.sum(dim=(0, 2, 3)) > 0
    dice = 2 * both / single.clamp(min=1e-6)
    return 1 - (dice * occurs).sum() / occurs.sum().clamp(min=1)


def figures_of(matrix: Tensor, names: list[str]) -> dict[str, float]:
    """From a confusion matrix (K, K), rows the truth; a class that is neither there nor predicted does not count."""
    matrix = matrix.double()
    right, true, predicted = matrix.diagonal(), matrix.sum(dim=1), matrix.sum(dim=0)
    occurs = true + predicted > 0
    iou = right / (true + predicted - right)
    dice = 2 * right / (true + predicted)
    metrics = {
        "mean_iou": float(iou[occurs].mean()),
        "mean_dice": float(dice[occurs].mean()),
        "pixel_accuracy": float(right.sum() / matrix.sum()),
    }
    for name, values in (("iou", iou), ("dice", dice)):
        metrics |= {f"{name}/{names[k]}": float(values[k]) for k in range(len(names)) if occurs[k]}
    return metrics


def _check(model: Any, trainer: SegmentationTrainer.Config) -> None:
    if not hasattr(model, "out_channels"):
        raise zoo.ZooError(
            "the trainer 'segmentation' asks a model how many classes it has, but this has no setting 'out_channels'.",
            "Choose a model that has it (`model.name=unet`), or let its Config have it.",
        )
    if getattr(model, "output", "class_logits") != "class_logits" or getattr(model, "head", "linear") != "linear":
        raise zoo.ZooError(
            f"the trainer 'segmentation' needs logits of classes, but model.output is '{model.output}' "
            f"and model.head is '{model.head}'.",
            "Write `model.output=class_logits model.head=linear`.",
        )
    if model.out_channels < 2:
        raise zoo.ZooError(
            "the trainer 'segmentation' tells classes apart, but model.out_channels is 1.",
            "Write `model.out_channels=2` or more: the first is often what is none of the others.",
        )
    if len(trainer.class_weights) not in (0, model.out_channels):
        raise zoo.ZooError(
            f"trainer.class_weights has {len(trainer.class_weights)} numbers, but the model has {model.out_channels} "
            "classes.",
            "Give one for each class, or none.",
        )
