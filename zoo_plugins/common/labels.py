"""Checks of labels."""

from __future__ import annotations

from torch import Tensor

import zoo_core as zoo


def check_labels(label: Tensor, num_classes: int) -> None:
    """Raises ZooError if a label in ``label`` (N,) is ``num_classes`` or more. Synchronizes with the device."""
    highest = int(label.max())
    if highest >= num_classes:
        raise zoo.ZooError(
            f"an image has label {highest}, but the model has {num_classes} classes, numbered from 0.",
            f"Write `model.num_classes={highest + 1}` or more.",
        )
