"""All faults of data that a training would find, without the training."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Any

import torch
from torch import Tensor

from zoo_core.dataset import Batch, GeneratedExamples
from zoo_core.errors import BadFile, ZooError
from zoo_core.fingerprint.faults import Fault, Faults, collecting_faults, report_fault
from zoo_core.fingerprint.progress import ProgressLine
from zoo_core.registry.catalog import Catalog
from zoo_core.tools.data.source import Source, prepare

_SAMPLED = 64  # examples of a split whose files have been checked, or that are generated


@dataclass
class Checked:
    """What a check has found."""

    faults: list[Fault]
    notes: list[str]
    source: Source | None
    """None if the data could not be opened."""
    examples: int = 0
    """How many were read, besides the files."""
    files: int = 0
    counts: dict[str, int] = field(default_factory=dict)


def check(given: str, arguments: Iterable[str], catalog: Catalog, task: str | None = None) -> Checked:
    """Look at all files, and at examples of all splits.

    Raises:
        UnknownName, BadFile, BadSetting: if there is nothing to look at.
    """
    opens = prepare(given, arguments, catalog, task)
    source, read, counts = None, 0, {}
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        with collecting_faults() as faults:
            source = opens()
            source.open_splits()
            counts = {split: len(examples) for split, examples in source.splits.items()}
            read = _check_examples(source, faults)
    notes = dict.fromkeys(_as_given(str(one.message), given) for one in said if issubclass(one.category, UserWarning))
    found = [
        Fault(_as_given(one.message, given), one.hint, tuple(_as_given(file, given) for file in one.files))
        for one in faults.found
    ]
    return Checked(found, list(notes), source, read, len(faults.files), counts)


def _as_given(text: str, given: str) -> str:
    """A message with paths below the folder as it was given."""
    return text.replace(f"{os.path.realpath(given)}{os.sep}", f"{given.rstrip(os.sep)}{os.sep}")


def _check_examples(source: Source, faults: Faults) -> int:
    """Read examples, and look at their values; how many. All of them, unless their files have been checked."""
    wanted = {split: _indices(source, split, faults) for split in source.splits}
    for split, examples in source.splits.items():
        if not len(examples):
            report_fault(BadFile(f"the {split} split of {source.name} has no examples.", "Add data."))
    total, done = sum(map(len, wanted.values())), 0
    with ProgressLine("reading examples", total, "examples", timed=True) as progress:
        for split, indices in wanted.items():
            first: Batch | None = None
            for index in indices:
                try:
                    batch = source.example(split, index)
                except ZooError as error:
                    faults.add(error)
                else:
                    _check_example(batch, first or batch, f"{split} example {index} of {source.name}", source)
                    first = first or batch
                done += 1
                progress.update(done)
    return total


def _indices(source: Source, split: str, faults: Faults) -> list[int]:
    examples = source.splits[split]
    count = len(examples)
    sampled = faults.files or isinstance(examples, GeneratedExamples) or getattr(examples, "endless", False)
    return list(range(count)) if not sampled else sample(count, _SAMPLED)


def sample(count: int, most: int) -> list[int]:
    """At most ``most`` of ``count`` indices: one at random from each of as many equal parts, always the same ones.

    Evenly spaced ones would be of one class where classes take turns.
    """
    if count <= most:
        return list(range(count))
    generator, bounds = Random(0), [number * count // most for number in range(most + 1)]  # noqa: S311  # no secret
    return [generator.randrange(low, high) for low, high in pairwise(bounds)]


def _check_example(batch: Batch, first: Batch, what: str, source: Source) -> None:
    if batch.keys() != first.keys():
        report_fault(
            BadFile(f"{what} has {_named(batch)}, but the first one has {_named(first)}.", "Give all the same.")
        )
        return
    values: Mapping[str, Any] = batch  # a dataset may return whole batches with anything in them
    for name, value in values.items():
        if not isinstance(value, Tensor):
            continue
        if value.is_floating_point() and not bool(value.isfinite().all()):
            count = int((~value.isfinite()).sum())
            report_fault(
                BadFile(f"{what}: '{name}' has {count:,} values that are NaN or infinite.", "Correct or remove it.")
            )
        if value.dtype != first[name].dtype or value.ndim != first[name].ndim:
            report_fault(
                BadFile(
                    f"{what}: '{name}' is {_shape(value)}, but in the first one {_shape(first[name])}.", "Convert it."
                )
            )
        if name == "label" and value.dtype == torch.int64 and value.numel() == 1 and source.class_names:
            label = int(value)
            if not 0 <= label < len(source.class_names):
                report_fault(
                    BadFile(
                        f"{what}: its label is {label}, but there are {len(source.class_names)} classes.",
                        "Number the classes from 0.",
                    )
                )


def _named(batch: Mapping[str, Any]) -> str:
    return ", ".join(f"'{name}'" for name in batch) or "nothing"


def _shape(value: Tensor) -> str:
    return f"{tuple(value.shape[1:])} of {str(value.dtype).removeprefix('torch.')}"
