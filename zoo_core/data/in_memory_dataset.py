"""A dataset whose author returns the tensors of its splits."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo_core.dataset import Dataset, InMemory, Uint8Images
from zoo_core.errors import BadSetting, describe_type, nearest
from zoo_core.fingerprint.hashing import fingerprint_tensors

Stored = Tensor | Uint8Images
_SPLITS = ("train", "validation", "test")


class InMemoryDataset(Dataset):
    """Base class of datasets that fit in memory: write `tensors`, which returns the tensors of each split.

    They are checked by the first call of a method: the splits have the same names, types and shapes of an example, and
    all tensors of a split have one length. The fingerprint covers every byte of them.

    Parameters
    ----------
    config : InMemoryDataset.Config
        The settings, validated.

    See Also
    --------
    InMemory : The examples of a split.
    Dataset : Base class of datasets that are read from files or generated.

    Examples
    --------
    >>> class Noise(zoo.InMemoryDataset):
    ...     def tensors(self):
    ...         image, label = torch.rand(100, 1, 28, 28), torch.arange(100) % 10
    ...         return {
    ...             "train": {"image": image[:80], "label": label[:80]},
    ...             "test": {"image": image[80:], "label": label[80:]},
    ...         }
    """

    @abstractmethod
    def tensors(self) -> Mapping[str, Mapping[str, Tensor | np.ndarray[Any, Any] | Uint8Images]]:
        """Return the tensors of each split; called once.

        Returns
        -------
        mapping of str to mapping
            For ``"train"``, and for ``"test"`` and ``"validation"`` if there are any, tensors by name, all with the
            same first dimension. NumPy arrays become tensors of the same type. Without ``"validation"`` the test split
            is used for it.
        """

    def train(self) -> InMemory:
        """Return the training examples.

        Returns
        -------
        InMemory
            The examples, in the order of the tensors.
        """
        return self._splits["train"]

    def test(self) -> InMemory:
        """Return the test examples.

        Returns
        -------
        InMemory
            The examples, in the order of the tensors.
        """
        return self._splits["test"]

    def validation(self) -> InMemory:
        """Return the validation examples, or the test examples if there are none.

        Returns
        -------
        InMemory
            The examples, in the order of the tensors.
        """
        return self._splits.get("validation", self._splits["test"])

    def fingerprint(self) -> str:
        """Return the hash of the tensors of all splits.

        Returns
        -------
        str
            64 hexadecimal digits.
        """
        splits = {
            split: {name: one.pixels if isinstance(one, Uint8Images) else one for name, one in found._tensors.items()}
            for split, found in self._splits.items()
        }
        return fingerprint_tensors(splits, {})

    @cached_property
    def _splits(self) -> dict[str, InMemory]:
        source = f"tensors of {type(self).__name__}"
        given = self.tensors()
        _check_splits(given, source)
        splits = {name: _stored(tensors, f"{source}, split '{name}'") for name, tensors in given.items()}
        for name, tensors in splits.items():
            _check_as_train(splits["train"], tensors, f"{source}, split '{name}'")
        splits.setdefault("test", {name: _none_of(tensor) for name, tensor in splits["train"].items()})
        return {name: InMemory(**tensors) for name, tensors in splits.items()}


def _check_splits(given: Any, source: str) -> None:
    example = 'Return for example {"train": {"image": …, "label": …}, "test": {…}}.'
    if not isinstance(given, Mapping) or not all(isinstance(tensors, Mapping) for tensors in given.values()):
        raise BadSetting(f"{source} returns no mapping from splits to mappings of tensors.", example)
    for name in given:
        if name not in _SPLITS:
            near = nearest(str(name), _SPLITS)
            hint = f"Did you mean '{near}'?" if near else "The splits are train, validation and test."
            raise BadSetting(f"{source}: there is no split {name!r}.", hint)
    if "train" not in given:
        raise BadSetting(f"{source}: the split 'train' is missing.", example)


def _stored(tensors: Mapping[str, Any], source: str) -> dict[str, Stored]:
    """The tensors of one split."""
    stored = {name: torch.from_numpy(one) if isinstance(one, np.ndarray) else one for name, one in tensors.items()}
    for name, one in stored.items():
        if not isinstance(one, (Tensor, Uint8Images)):
            raise BadSetting(
                f"{source}: '{name}' is {describe_type(one)}, but should be a tensor or a NumPy array.",
                f"Write for example torch.tensor({name}).",
            )
        if _values(one).layout != torch.strided:
            raise BadSetting(
                f"{source}: '{name}' is a sparse tensor, of which no examples can be taken.",
                f"Write {name}.to_dense(), or write a zoo.Dataset that makes each example dense.",
            )
        if not _values(one).ndim:
            raise BadSetting(
                f"{source}: '{name}' is a single number, but should have one row for each example.",
                "Give a tensor whose first dimension is the number of examples.",
            )
    lengths = {name: len(one) for name, one in stored.items()}
    if len(set(lengths.values())) != 1:
        found = ", ".join(f"{name} has {length}" for name, length in lengths.items()) or "it has no tensors"
        raise BadSetting(
            f"{source}: the tensors should have the same number of examples, but {found}.",
            "Give each tensor one row for each example.",
        )
    return stored


def _check_as_train(train: Mapping[str, Stored], split: Mapping[str, Stored], source: str) -> None:
    if train.keys() != split.keys():
        raise BadSetting(
            f"{source} has {', '.join(split)}, but the split 'train' has {', '.join(train)}.",
            "Give the same tensors for each split.",
        )
    for name, one in split.items():
        found, expected = _form(one), _form(train[name])
        if found != expected:
            raise BadSetting(
                f"{source}: '{name}' is {found}, but in the split 'train' it is {expected}.",
                "Give examples of the same type and shape in each split.",
            )


def _form(stored: Stored) -> str:
    values = _values(stored)
    shape = ", ".join(["N", *map(str, values.shape[1:])])
    kind = "Uint8Images" if isinstance(stored, Uint8Images) else str(values.dtype).removeprefix("torch.")
    return f"{kind} ({shape})"


def _values(stored: Stored) -> Tensor:
    return stored.pixels if isinstance(stored, Uint8Images) else stored


def _none_of(stored: Stored) -> Stored:
    return Uint8Images(stored.pixels[:0]) if isinstance(stored, Uint8Images) else stored[:0]
