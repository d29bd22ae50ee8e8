"""Metrics of a classifier."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def classification_metrics(loss: float, counts: Tensor, names: Sequence[str]) -> dict[str, float]:
    """Metrics of the summed ``loss`` and of ``counts`` (K, 2): images classified correctly, and all, of each class.

    ``balanced_accuracy`` is the mean accuracy of the classes that occur.
    """
    occurring = [index for index, (_, number) in enumerate(counts.tolist()) if number]
    correct, total = counts.sum(dim=0).tolist()
    accuracies = {index: float(counts[index, 0] / counts[index, 1]) for index in occurring}
    metrics = {
        "accuracy": correct / total,
        "balanced_accuracy": sum(accuracies.values()) / len(accuracies),
        "loss": loss / total,
    }
    return metrics | {
        f"accuracy/{names[index] if index < len(names) else index}": value for index, value in accuracies.items()
    }
