"""What several trainers ask of labels."""

from __future__ import annotations

from torch import Tensor

import zoo_core as zoo


def refuse_unknown(label: Tensor, classes: int) -> None:
    """Raises ZooError if one of ``label`` (N,) is not below ``classes``. Waits for the device."""
    highest = int(label.max())
    if highest >= classes:
        raise zoo.ZooError(
            f"a picture has label {highest}, but the model has {classes} classes, numbered from 0.",
            f"Write `model.num_classes={highest + 1}` or more.",
        )
