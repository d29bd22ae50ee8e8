"""Trainer for semantic segmentation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

import zoo_core as zoo
from zoo_plugins.unet.base_trainer import UNetTrainer
from zoo_plugins.unet.tiles import is_tiled, segment
from zoo_plugins.unet.visualize import class_names, side_by_side

_PREVIEW_IMAGES = 8


class SegmentationTrainer(UNetTrainer):
    """Trains on ``image`` (N, C, H, W) in [0, 1] and ``mask`` (N, H, W), the class indices.

    The model is a U-Net, or any model that outputs logits (N, K, H, W), where its setting ``out_channels`` is K, the
    number of classes. Its optional setting ``class_names`` gives the names of the metrics. In evaluation, images that
    are larger than its optional setting ``tile`` are segmented in tiles. ``size`` (N, 2), if it is in a batch, is the
    height and width of each image; what lies below and to the right of it is padding.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(UNetTrainer.Config):
        loss: Literal["cross-entropy", "dice", "both"] = zoo.setting(
            "cross-entropy",
            "cross-entropy, soft Dice loss of the whole batch (Milletari et al. 2016), or their sum; the Dice loss "
            "can't be accumulated in parts (run.grad_accumulation_steps)",
        )
        class_weights: tuple[float, ...] = zoo.setting(
            (), "weights of the classes in the cross-entropy; empty: equal weights", ge=0
        )
        ignore_index: int = zoo.setting(255, "class index that is ignored by losses and metrics")

    config: Config
    protocol = (
        "IoU and Dice are computed from the confusion matrix of all pixels of the test split; mean_iou and mean_dice: "
        "averaged over the classes that occur; pixel_accuracy: fraction of the pixels that are classified correctly."
    )

    def setup(self, model: Any, engine: zoo.Engine) -> None:
        _check_model(model.config, self.config)
        _check_parts(engine.grad_accumulation_steps, self.config.loss)
        self._class_weights = (
            torch.tensor(self.config.class_weights, device=engine.device) if self.config.class_weights else None
        )
        self._num_classes = model.config.out_channels
        super().setup(model, engine)

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        mask = batch["mask"]
        if self.engine.may_read:
            self._check_mask(mask)
        score = self.network(batch["image"]).float()  # (N, K, H, W)
        terms = {}
        if self.config.loss != "dice":
            total = total_cross_entropy(score, mask, self._class_weights, self.config.ignore_index)
            terms["cross_entropy"] = total / self.engine.normalizer(batch, self._pixel_weight)
        if self.config.loss != "cross-entropy":
            terms["dice_loss"] = soft_dice_loss(score, mask, self.config.ignore_index, self.engine.sum)
        loss = torch.stack(list(terms.values())).sum()
        return self.minimize(loss, terms)

    @torch.no_grad()
    def evaluate(self, batches: Iterable[zoo.Batch], train_batches: Iterable[zoo.Batch]) -> Mapping[str, float]:
        """Mean IoU, mean Dice and pixel accuracy over all pixels; ``iou/NAME`` and ``dice/NAME`` of each class."""
        count = self._num_classes
        matrix = torch.zeros(count, count, dtype=torch.int64, device=self.engine.device)
        for batch in batches:
            self._check_mask(batch["mask"])
            for predicted, mask in zip(self._predict(batch), batch["mask"], strict=True):
                height, width = predicted.shape
                matrix += confusion_matrix(predicted, mask[:height, :width], count, self.config.ignore_index)
        return segmentation_metrics(self.engine.sum(matrix), class_names(self._model.config))

    @torch.no_grad()
    def preview(self, batch: zoo.Batch) -> Tensor:
        """One image (1, 3, H, W) with rows of image, ground truth and prediction, and a legend."""
        batch = zoo.Batch({name: tensor[:_PREVIEW_IMAGES] for name, tensor in batch.items()})
        image, mask = batch["image"], batch["mask"]
        sides = mask.shape[-2:]
        predicted = torch.stack(
            [
                F.pad(one.long(), (0, sides[1] - one.shape[1], 0, sides[0] - one.shape[0]))
                for one in self._predict(batch)
            ]
        )
        return side_by_side(image, mask, predicted, class_names(self._model.config), self.config.ignore_index)

    def _check_mask(self, mask: Tensor) -> None:
        highest = int(mask.where(mask != self.config.ignore_index, 0).max())
        if highest >= self._num_classes:
            raise zoo.ZooError(
                f"a mask contains class index {highest}, but the model has {self._num_classes} classes, numbered from "
                "0.",
                f"Write `model.out_channels={highest + 1}` or more, or `trainer.ignore_index={highest}` to ignore it.",
            )

    def _pixel_weight(self, batch: zoo.Batch) -> Tensor:
        """The weight of all pixels that are not ignored, by which the cross-entropy is averaged."""
        mask = batch["mask"]
        valid = mask != self.config.ignore_index
        if self._class_weights is None:
            return valid.sum()
        return (self._class_weights[mask.where(valid, 0)] * valid).sum()

    def _predict(self, batch: zoo.Batch) -> Sequence[Tensor]:
        """The class indices (H, W) of each image, at its own size if it is padded in the batch."""
        image, model = batch["image"], self._model.eval()
        if "size" in batch:
            sizes = batch["size"].tolist()
            predicted = [segment(model, one[:, :h, :w]) for one, (h, w) in zip(image, sizes, strict=True)]
        elif is_tiled(model, image):
            predicted = [segment(model, one) for one in image]
        else:
            predicted = model(image).argmax(dim=1)  # (N, K, H, W) to (N, H, W)
        model.train()
        return predicted


def total_cross_entropy(score: Tensor, mask: Tensor, class_weights: Tensor | None, ignore_index: int) -> Tensor:
    """The cross-entropy of ``score`` (N, K, H, W) and ``mask`` (N, H, W), added up over the pixels."""
    # On CUDA, nll_loss2d adds up in any order. On a CPU, where it does not, the sum of its values is rounded otherwise.
    if torch.are_deterministic_algorithms_enabled():
        return F.cross_entropy(score, mask, class_weights, ignore_index=ignore_index, reduction="none").sum()
    return F.cross_entropy(score, mask, class_weights, ignore_index=ignore_index, reduction="sum")


def confusion_matrix(predicted: Tensor, mask: Tensor, num_classes: int, ignore_index: int) -> Tensor:
    """Pixels (K, K) by true class, the row, and predicted class, from indices (N, H, W)."""
    # Not that of torchmetrics: with deterministic algorithms it compares each pixel with each of the K^2 cells, in
    # memory. Counting integers gives the same in any order.
    valid = mask != ignore_index
    cell = num_classes * mask[valid] + predicted[valid]
    return cell.bincount(minlength=num_classes**2).view(num_classes, num_classes)


def soft_dice_loss(
    score: Tensor, mask: Tensor, ignore_index: int, reduce_sum: Callable[[Tensor], Tensor] = lambda tensor: tensor
) -> Tensor:
    """1 - 2 sum(p t) / sum(p + t), averaged over the classes that occur in ``mask`` (N, H, W).

    p is the softmax of ``score`` (N, K, H, W), t the one-hot mask. Milletari et al. 2016, section 3, without
    the squares in the denominator. ``reduce_sum`` adds up a tensor over all processes.
    """
    valid = (mask != ignore_index).unsqueeze(1)  # (N, 1, H, W)
    probability = score.softmax(dim=1) * valid
    one_hot = F.one_hot(mask.where(valid.squeeze(1), 0), score.shape[1])  # (N, H, W, K)
    target = one_hot.permute(0, 3, 1, 2) * valid  # (N, K, H, W)
    sums = [one.sum(dim=(0, 2, 3)) for one in (probability * target, probability + target, target)]  # (K,) each
    intersection, total, pixels = reduce_sum(torch.stack(sums))  # (3, K)
    occurs = pixels > 0
    dice = 2 * intersection / total.clamp(min=1e-6)
    loss: Tensor = 1 - (dice * occurs).sum() / occurs.sum().clamp(min=1)
    return loss


def segmentation_metrics(matrix: Tensor, names: list[str]) -> dict[str, float]:
    """Metrics of a confusion matrix (K, K) with true classes as rows.

    A class that neither occurs nor is predicted is left out of the means.
    """
    matrix = matrix.double()
    correct, true, predicted = matrix.diagonal(), matrix.sum(dim=1), matrix.sum(dim=0)
    occurs = true + predicted > 0
    iou = correct / (true + predicted - correct)
    dice = 2 * correct / (true + predicted)
    metrics = {
        "mean_iou": float(iou[occurs].mean()),
        "mean_dice": float(dice[occurs].mean()),
        "pixel_accuracy": float(correct.sum() / matrix.sum()),
    }
    for name, values in (("iou", iou), ("dice", dice)):
        metrics |= {f"{name}/{names[k]}": float(values[k]) for k in range(len(names)) if occurs[k]}
    return metrics


def _check_parts(parts: int, loss: str) -> None:
    """The Dice loss of a batch is no mean of those of its parts."""
    if parts > 1 and loss != "cross-entropy":
        raise zoo.ZooError(
            f"run.grad_accumulation_steps is {parts}, but trainer.loss is '{loss}', and the Dice loss is a ratio of "
            "sums over the whole batch, which cannot be computed in parts.",
            "Write `trainer.loss=cross-entropy`, or leave out run.grad_accumulation_steps and lower run.batch_size.",
        )


def _check_model(model: Any, trainer: SegmentationTrainer.Config) -> None:
    if not hasattr(model, "out_channels"):
        raise zoo.ZooError(
            "the trainer 'segmentation' needs a model with the setting 'out_channels', but this model has none.",
            "Choose a model that has it (`model.name=unet`), or add it to the model's Config.",
        )
    if getattr(model, "output", "class_logits") != "class_logits" or getattr(model, "head", "linear") != "linear":
        raise zoo.ZooError(
            f"the trainer 'segmentation' needs a model that outputs class logits, but model.output is '{model.output}' "
            f"and model.head is '{model.head}'.",
            "Write `model.output=class_logits model.head=linear`.",
        )
    if model.out_channels < 2:
        raise zoo.ZooError(
            "the trainer 'segmentation' needs at least 2 classes, but model.out_channels is 1.",
            "Write `model.out_channels=2` or more; a background counts as a class.",
        )
    if len(trainer.class_weights) not in (0, model.out_channels):
        raise zoo.ZooError(
            f"trainer.class_weights has {len(trainer.class_weights)} values, but the model has {model.out_channels} "
            "classes.",
            "Give one value for each class, or none.",
        )
