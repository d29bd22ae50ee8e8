"""The order of an epoch in which neighbors share a label."""

from __future__ import annotations

import torch
from torch import Tensor

import zoo_core as zoo


def same_label_order(examples: zoo.Examples, group: int, generator: torch.Generator) -> Tensor:
    """Indices (L,) in which every ``group`` neighbors have one label, the groups shuffled.

    Up to ``group - 1`` examples of each label are left out, other ones in each epoch.

    Raises:
        zoo.ZooError: if no label has so many.
    """
    labels = _labels(examples)
    groups = []
    for label in labels.unique():
        indices = (labels == label).nonzero().squeeze(1)
        shuffled = indices[torch.randperm(len(indices), generator=generator)]
        groups.append(shuffled[: len(shuffled) // group * group].view(-1, group))
    stacked = torch.cat(groups)  # (L / group, group)
    if not len(stacked):
        most = int(labels.unique(return_counts=True)[1].max())
        raise zoo.ZooError(
            f"trainer.same_label_group_size is {group}, but no label has more than {most} pictures.",
            f"Write `trainer.same_label_group_size={most}` or less.",
        )
    return stacked[torch.randperm(len(stacked), generator=generator)].flatten()


def _labels(examples: zoo.Examples) -> Tensor:
    if isinstance(examples, zoo.InMemory):
        return examples.tensors["label"]
    return torch.tensor([int(examples[index]["label"]) for index in range(len(examples))])
