"""What is in a dataset: counts, sizes, intensities, and classes with the sizes of their objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo_core.fingerprint.progress import ProgressLine
from zoo_core.tools.data.check import sample
from zoo_core.tools.data.objects import object_sizes
from zoo_core.tools.data.source import Source

PERCENTILES = (0.5, 25.0, 50.0, 75.0, 99.5)
_PIXELS = 4096  # of each example that percentiles are computed from
_QUARTILES = (0, 25, 50, 75, 100)


@dataclass
class Intensity:
    """Values of a floating-point tensor, by channel."""

    shapes: Counter[tuple[int, ...]] = field(default_factory=Counter)
    sums: NDArray[np.float64] | None = None
    """Count, sum and sum of squares of each channel."""
    low: float = float("inf")
    high: float = float("-inf")
    values: list[NDArray[np.float32]] = field(default_factory=list)

    def add(self, value: Tensor) -> None:
        """Take the values of an example, whose channels are the third dimension from the end, if it has three."""
        self.shapes[tuple(value.shape)] += 1
        channels = value.movedim(-3, 0) if value.ndim >= 3 else value.reshape(1, -1)
        flat = channels.reshape(len(channels), -1).double().numpy()
        sums = np.stack([np.full(len(flat), flat.shape[1]), flat.sum(axis=1), (flat**2).sum(axis=1)])
        if self.sums is None or self.sums.shape == sums.shape:
            self.sums = sums if self.sums is None else self.sums + sums
        self.low, self.high = min(self.low, float(flat.min())), max(self.high, float(flat.max()))
        values = flat.reshape(-1)
        self.values.append(values[:: max(1, len(values) // _PIXELS)].astype(np.float32))

    def described(self) -> dict[str, Any]:
        """As plain values."""
        found: dict[str, Any] = {"shapes": _shapes(self.shapes)}
        if self.sums is not None:
            count, total, squares = self.sums
            mean = total / count
            found |= {"mean": _rounded(mean), "std": _rounded(np.sqrt(np.maximum(0, squares / count - mean**2)))}
        percentiles = np.percentile(np.concatenate(self.values), PERCENTILES)
        found |= {"min": round(self.low, 4), "max": round(self.high, 4)}
        return found | {"percentiles": dict(zip(map(str, PERCENTILES), _rounded(percentiles), strict=True))}


@dataclass
class Classes:
    """The values of labels or masks."""

    examples: Counter[int] = field(default_factory=Counter)
    pixels: Counter[int] = field(default_factory=Counter)
    objects: dict[int, list[int]] = field(default_factory=dict)
    shapes: Counter[tuple[int, ...]] = field(default_factory=Counter)

    def add(self, value: Tensor) -> None:
        """Take a label (), or a mask (H, W)."""
        self.shapes[tuple(value.shape)] += 1
        array = value.numpy()
        self.examples.update(map(int, np.unique(array)))
        if array.ndim == 2:
            self.pixels.update(dict(zip(*(one.tolist() for one in np.unique(array, return_counts=True)), strict=True)))
            for number, sizes in object_sizes(array).items():
                self.objects.setdefault(number, []).extend(sizes)

    def rows(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """A row for each class; numbers that are no class are marked."""
        numbers = [*range(len(names)), *sorted(number for number in self.examples if not 0 <= number < len(names))]
        every, pixels = sum(self.examples.values()) or 1, sum(self.pixels.values()) or 1
        rows = []
        for number in numbers:
            is_class = 0 <= number < len(names) or not names
            name = names[number] if 0 <= number < len(names) else str(number) if is_class else f"{number} (no class)"
            row: dict[str, Any] = {"class": name, "examples": self.examples[number]}
            if self.pixels:
                sizes = self.objects.get(number, [])
                quartiles = [int(one) for one in np.percentile(sizes, _QUARTILES)] if sizes else []
                row |= {"pixels": self.pixels[number], "fraction": round(self.pixels[number] / pixels, 6)}
                row |= {"objects": len(sizes), "object_sizes": quartiles}
            else:
                row["fraction"] = round(self.examples[number] / every, 6)
            rows.append(row)
        return rows


@dataclass
class Stats:
    """What was computed of a dataset."""

    counts: dict[str, int | None]
    """Examples of each split; None if they have no end."""
    read: dict[str, int]
    """How many of them were read."""
    intensities: dict[str, Intensity]
    classes: dict[str, Classes]
    others: dict[str, str]

    def as_json(self, source: Source) -> dict[str, Any]:
        """As plain values."""
        finding = source.finding
        return {
            "source": source.name,
            "found": [finding.summary, *finding.details] if finding else [],
            "examples": self.counts,
            "examples_read": self.read,
            "values": {name: one.described() for name, one in self.intensities.items()},
            "classes": {name: one.rows(source.class_names) for name, one in self.classes.items()},
            "others": self.others,
        }


def compute(source: Source, most: int, splits: Iterable[str] | None = None) -> Stats:
    """Read at most ``most`` examples of each split, and describe their values.

    Raises:
        ZooError: if an example can't be read.
    """
    endless = {split: bool(getattr(examples, "endless", False)) for split, examples in source.splits.items()}
    counts = {split: None if endless[split] else len(examples) for split, examples in source.splits.items()}
    chosen = source.splits if splits is None else splits
    wanted = {split: sample(len(source.splits[split]), most) for split in chosen}
    stats = Stats(counts, {split: len(indices) for split, indices in wanted.items()}, {}, {}, {})
    with ProgressLine("reading examples", sum(stats.read.values()), "examples", timed=True) as progress:
        done = 0
        for split, indices in wanted.items():
            for index in indices:
                for name, value in source.example(split, index).items():
                    _add(stats, name, value)
                done += 1
                progress.update(done)
    return stats


def _add(stats: Stats, name: str, batch: Any) -> None:
    value = batch[0] if isinstance(batch, Tensor) else batch
    if isinstance(value, Tensor) and value.is_floating_point() and value.ndim >= 1 and value.numel():
        stats.intensities.setdefault(name, Intensity()).add(value)
    elif isinstance(value, Tensor) and value.dtype in (torch.int64, torch.int32, torch.uint8) and value.ndim in (0, 2):
        stats.classes.setdefault(name, Classes()).add(value.long())
    elif isinstance(value, Tensor):
        stats.others.setdefault(name, f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}")
    else:
        stats.others.setdefault(name, type(value).__name__)


def _shapes(shapes: Counter[tuple[int, ...]]) -> list[dict[str, Any]]:
    return [{"shape": list(shape), "examples": count} for shape, count in shapes.most_common()]


def _rounded(values: NDArray[Any]) -> list[float]:
    return [round(float(value), 4) for value in values]
