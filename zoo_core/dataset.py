"""Where examples come from."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from zoo_core.config.settings import check_config_class
from zoo_core.errors import BadSetting

Example = Mapping[str, Any]


class Batch(dict[str, Tensor]):
    """Named tensors whose first dimension counts examples: ``{"image": (N, C, H, W), "label": (N,)}``."""

    def __missing__(self, key: str) -> Tensor:
        raise BadSetting(
            f"the trainer asks for '{key}', but the data set's examples have {', '.join(map(repr, self))}.",
            "Choose a data set that has it: `zoo list datasets`.",
        )


class Examples(Protocol):
    """A map-style PyTorch data set whose examples are mappings.

    If it has ``__getitems__``, that is asked for whole batches. If it has an attribute ``endless`` that is true, its
    length is only what is called an epoch: the training takes examples 0, 1, 2, … on and on, each once.
    """

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Example: ...


class Dataset(ABC):
    """Two collections of examples, for training and for evaluation, from settings alone."""

    Config: ClassVar[type[Any]]
    config: Any
    """The settings, each checked."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        check_config_class(cls)

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def train(self) -> Examples:
        """The examples to train on. The loop shuffles them."""

    @abstractmethod
    def test(self) -> Examples:
        """The examples to measure on, in a fixed order; never trained on."""

    def validation(self) -> Examples:
        """The examples to measure on while the training goes on (``run.evaluate_every``). Where choices are made by
        them, they should not be those of ``evaluation``, which they are unless this is overridden."""
        return self.test()

    def fingerprint(self) -> str:
        """A hash that differs when the data do: of the settings, both lengths and a few examples."""
        digest = hashlib.sha256(json.dumps(dataclasses.asdict(self.config), sort_keys=True, default=str).encode())
        for examples in (self.train(), self.test()):
            digest.update(str(len(examples)).encode())
            for index in sorted({0, len(examples) // 2, len(examples) - 1} if len(examples) else set()):
                example = examples[index]
                if not isinstance(example, Mapping):
                    raise BadSetting(
                        f"{type(self).__name__} gives examples that are a {type(example).__name__} each.",
                        'They should be mappings: `{"image": …, "label": …}`.',
                    )
                for key, value in sorted(example.items()):
                    digest.update(key.encode())
                    digest.update(_bytes(value))
        return digest.hexdigest()[:16]


def _bytes(value: Any) -> bytes:
    """The same for the same value: of a tensor, an array or a number its memory, of all else what it is shown as."""
    try:
        tensor = torch.as_tensor(value).detach().contiguous().cpu()
    except (TypeError, ValueError, RuntimeError):
        return repr(value).encode()
    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes()


class GeneratedExamples:
    """Examples that ``make`` makes from their numbers alone, so that example k is the same in every process and run.

        GeneratedExamples(make, length=10_000, endless=True)  # make([k, …]) -> Batch

    What is random in ``make`` is drawn from a generator seeded with k. With ``endless`` the training takes examples 0,
    1, 2, … on and on, each once; ``length`` is then only what is called an epoch, and ``Trainer.order`` is not asked.
    ``make`` may be called in other processes, which get a pickled copy of it on some platforms.
    """

    def __init__(self, make: Callable[[Sequence[int]], Batch], length: int, endless: bool = False) -> None:
        self.make, self.length, self.endless = make, length, endless

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {name: tensor[0] for name, tensor in self.make([index]).items()}

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """A whole batch, as PyTorch's loader asks for it."""
        return self.make(indices)


class InMemory:
    """Examples kept as tensors and batched by index, much faster than one by one.

        InMemory(image=Uint8Images(images), label=labels)  # (N, 1, 28, 28) as bytes, (N,)

    Raises:
        ValueError: if the tensors are not of one length.
    """

    def __init__(self, **tensors: Tensor | Uint8Images) -> None:
        lengths = {name: len(tensor) for name, tensor in tensors.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"the tensors should be of one length, but have {lengths}.")
        self._kept = tensors

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """Every tensor by its name, whole."""
        return _Whole(self._kept)

    def __len__(self) -> int:
        return len(next(iter(self._kept.values())))

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {name: tensor[index] for name, tensor in self._kept.items()}

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """A whole batch, as PyTorch's loader asks for it."""
        index = torch.as_tensor(indices)
        return Batch({name: tensor.index_select(0, index) for name, tensor in self._kept.items()})


class Uint8Images:
    """Pictures that :class:`InMemory` keeps as the bytes they are, in a quarter of the memory of what it gives:
    float32 in [0, 1].

    Raises:
        ValueError: if ``pixels`` are not of ``torch.uint8``.
    """

    def __init__(self, pixels: Tensor) -> None:
        if pixels.dtype != torch.uint8:
            raise ValueError(f"pixels are {pixels.dtype}, but should be torch.uint8.")
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int | slice) -> Tensor:
        return self.pixels[index].float().div_(255)

    def index_select(self, dimension: int, index: Tensor) -> Tensor:
        return self.pixels.index_select(dimension, index).float().div_(255)


class _Whole(Mapping[str, Tensor]):
    """Made when it is asked for: of what is kept as bytes, nothing else need be in memory."""

    def __init__(self, kept: Mapping[str, Tensor | Uint8Images]) -> None:
        self._kept = kept

    def __getitem__(self, name: str) -> Tensor:
        kept = self._kept[name]
        return kept[:] if isinstance(kept, Uint8Images) else kept

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)
