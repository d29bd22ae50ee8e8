"""Order of the training examples in groups of one label."""

from __future__ import annotations

import torch
from torch import Tensor

import zoo_core as zoo


def same_label_order(examples: zoo.Examples, group_size: int, generator: torch.Generator) -> Tensor:
    """Indices (L,) in which every ``group_size`` consecutive examples have the same label; the groups are shuffled.

    Up to ``group_size - 1`` examples of each label are dropped, different ones in each epoch.

    Raises:
        zoo.ZooError: if a label has fewer than ``group_size`` examples, of which none would be used.
    """
    labels = _labels(examples)
    occurring, counts = labels.unique(return_counts=True)
    if (fewest := int(counts.min())) < group_size:
        raise zoo.ZooError(
            f"trainer.same_label_group_size is {group_size}, but the label {int(occurring[counts.argmin()])} has "
            f"{fewest} training image{'s' * (fewest > 1)}, of which none would be used.",
            f"Write `trainer.same_label_group_size={fewest}`, or add images.",
        )
    groups = []
    for label in occurring:
        indices = (labels == label).nonzero().squeeze(1)  # (n, 1) to (n,)
        shuffled = indices[torch.randperm(len(indices), generator=generator)]
        groups.append(shuffled[: len(shuffled) // group_size * group_size].view(-1, group_size))
    stacked = torch.cat(groups)  # (L / group_size, group_size)
    return stacked[torch.randperm(len(stacked), generator=generator)].flatten()  # (L,)


def _labels(examples: zoo.Examples) -> Tensor:
    stored = examples.tensors if isinstance(examples, zoo.InMemory) else examples[0]
    if "label" not in stored:
        raise zoo.BadSetting(
            "trainer.same_label_group_size is above 1, but the dataset has no labels.",
            "Write `trainer.same_label_group_size=1 model.conditional=false`.",
        )
    if isinstance(examples, zoo.InMemory):
        return examples.tensors["label"]
    return torch.tensor([int(examples[index]["label"]) for index in range(len(examples))])
