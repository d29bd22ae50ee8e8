"""The rows of a CSV file; without one, points on two interleaved spirals (Lang & Witbrock 1988)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from math import pi
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zoo_core as zoo
from torch import Tensor

_TEST_FRACTION = 0.2


class Table(zoo.InMemoryDataset):
    """Examples are ``{"row": (columns,), "label": int}``. The rows are split at random, but always in the same way."""

    class Config:
        file: str | None = zoo.setting(
            None, "CSV file of numbers with a heading, whose last column is the class: 0, 1, …; null: two spirals"
        )

    config: Config

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        rows, label = self._rows_and_labels
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
        test, train = order.tensor_split([int(_TEST_FRACTION * len(rows))])
        return {
            "train": {"row": rows[train], "label": label[train]},
            "test": {"row": rows[test], "label": label[test]},
        }

    def provides(self) -> Mapping[str, Any]:
        """What the settings of the model that are made with ``from_dataset`` are filled in with."""
        row = self.train().tensors["row"]
        return {
            "num_classes": int(self._rows_and_labels[1].max()) + 1,
            "mean": row.mean(dim=0).tolist(),
            "std": row.std(dim=0).clamp(min=1e-6).tolist(),  # a column may be constant
        }

    @cached_property
    def _rows_and_labels(self) -> tuple[Tensor, Tensor]:
        """Rows (N, columns) and labels (N,)."""
        if self.config.file is None:
            return _spirals(2500)
        path = Path(self.config.file)
        hint = "Give a CSV file of numbers with a heading."
        try:
            table = torch.from_numpy(np.loadtxt(path, np.float64, delimiter=",", skiprows=1, ndmin=2))
        except (OSError, ValueError) as error:
            raise zoo.BadFile(f"{path} can't be read: {str(error).rstrip('.')}.", hint) from error
        if len(table) < 2 or table.shape[1] < 2 or not table.isfinite().all():
            raise zoo.BadFile(f"{path} should have at least two rows and two columns of finite numbers.", hint)
        row, label = table[:, :-1].float(), table[:, -1].long()
        if not torch.equal(table[:, -1], label.abs()):
            raise zoo.BadFile(f"{path} should have classes in its last column, which are 0, 1, ….", hint)
        return row, label


def _spirals(count: int) -> tuple[Tensor, Tensor]:
    """Points (count, 2) in about [-1, 1] on two spirals, and which one each is on (count,)."""
    generator = torch.Generator().manual_seed(0)
    label = torch.arange(count) % 2
    radius = torch.rand(count, generator=generator).sqrt()
    angle = 3 * pi * radius + pi * label
    point = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)
    return point + 0.02 * torch.randn(count, 2, generator=generator), label
