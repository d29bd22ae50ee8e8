"""Checks of labels."""

from __future__ import annotations

import torch
from torch import Tensor

import zoo_core as zoo


def check_labels(label: Tensor, num_classes: int) -> None:
    """Raises ZooError unless ``label`` (N,) is from 0 to ``num_classes - 1``. Synchronizes with the device."""
    lowest, highest = torch.stack(label.aminmax()).tolist()
    if lowest < 0:
        # Not left to F.cross_entropy, which ignores the label -100 silently.
        raise zoo.ZooError(
            f"an image has label {lowest}, but labels are numbered from 0.",
            "Leave out images without a label, or give them a class of their own.",
        )
    if highest >= num_classes:
        raise zoo.ZooError(
            f"an image has label {highest}, but the model has {num_classes} classes, numbered from 0.",
            f"Write `model.num_classes={highest + 1}` or more.",
        )
