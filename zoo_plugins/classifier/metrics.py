"""Metrics of a classifier."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

_UNEVEN = 1.5  # times as many images of one class as of another


def classification_metrics(loss: float, counts: Tensor, names: Sequence[str]) -> dict[str, float]:
    """Metrics of the summed ``loss`` and of ``counts`` (K, 2): images classified correctly, and all, of each class.

    ``balanced_accuracy``, the mean accuracy of the classes that occur, is given if their numbers are uneven.
    """
    occurring = [index for index, (_, number) in enumerate(counts.tolist()) if number]
    correct, total = counts.sum(dim=0).tolist()
    accuracies = {index: float(counts[index, 0] / counts[index, 1]) for index in occurring}
    metrics = {"accuracy": correct / total, "loss": loss / total}
    numbers = counts[occurring, 1]
    if numbers.max() >= _UNEVEN * numbers.min():
        metrics["balanced_accuracy"] = sum(accuracies.values()) / len(accuracies)
    return metrics | {
        f"accuracy/{names[index] if index < len(names) else index}": value for index, value in accuracies.items()
    }
