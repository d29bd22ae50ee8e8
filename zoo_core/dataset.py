"""Where examples come from: the interface of datasets, and the kinds of examples that zoo provides."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from zoo_core.config.config_class import NoSettings, prepare_config_class
from zoo_core.config.settings import from_dataset
from zoo_core.errors import BadSetting
from zoo_core.fingerprint.hashing import Digest, add_examples

_NUMPY_TYPES = (torch.uint8, torch.int16, torch.int32, torch.int64, torch.float16, torch.float32, torch.float64)
_FEW_THREADS = 4
_ONE_THREAD = 2**15 - 1  # elements up to which operations of torch use one thread
_SMALL = 2**18  # elements up to which one thread gathers a batch in 0.1 ms

Example = Mapping[str, Any]


class Batch(dict[str, Tensor]):
    """A dictionary of tensors whose first dimension is the batch dimension.

    Raises
    ------
    BadSetting
        If a key is read that the dataset does not provide.

    Examples
    --------
    >>> batch = zoo.Batch(image=torch.zeros(8, 1, 28, 28), label=torch.arange(8))
    >>> batch["image"].shape
    torch.Size([8, 1, 28, 28])
    """

    def __missing__(self, key: str) -> Tensor:
        if not self:
            raise BadSetting(
                f"the trainer reads '{key}', but the recipe has no dataset, so its batches are empty.",
                "Add `dataset: {name: …}` to the recipe; see `zoo list datasets`.",
            )
        raise BadSetting(
            f"the trainer reads '{key}', but the dataset's examples have {', '.join(map(repr, self))}.",
            "Choose a dataset that provides it: `zoo list datasets`.",
        )


class Examples(Protocol):
    """A map-style dataset of PyTorch whose examples are mappings of names to values.

    `Dataset.train`, `Dataset.validation` and `Dataset.test` return one. Any object with ``__len__`` and
    ``__getitem__`` will do.

    See Also
    --------
    InMemory : Examples held as tensors.
    GeneratedExamples : Examples computed from their index.

    Notes
    -----
    Before each call of ``__getitem__`` the global generators of torch, NumPy and ``random`` are seeded with the run's
    seed and the position of the example in the epoch, or its index in a split that is evaluated. Random augmentation
    with them is the same for any number of workers and processes, and after a resume.

    Two optional members change how examples are loaded:

    - ``__getitems__(indices)`` returns a whole `Batch`; it is called instead of ``__getitem__`` and a collate function.
    - ``endless = True``: training reads examples 0, 1, 2, ... without an end, each of them once. The length is then the
      number of examples that are counted as an epoch.
    """

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Example: ...


class Dataset(ABC):
    """Base class of datasets: training, validation and test examples, created from settings alone.

    A subclass defines a class ``Config`` whose fields are made with `setting`, as for a `Model`. The methods may be
    called more than once, so keep what takes long to load.

    Parameters
    ----------
    config : Dataset.Config
        The settings, validated.

    Attributes
    ----------
    config : Dataset.Config
        The settings.

    See Also
    --------
    InMemory : Examples held as tensors.
    GeneratedExamples : Examples computed from their index.
    data_root : Folder for downloaded data.

    Examples
    --------
    >>> def noise(size: int, seed: int) -> torch.Tensor:
    ...     return torch.rand(size, 1, 28, 28, generator=torch.Generator().manual_seed(seed))
    >>>
    >>> class Noise(zoo.Dataset):
    ...     class Config:
    ...         size: int = zoo.setting(1000, "number of training examples", ge=1)
    ...
    ...     config: Config
    ...
    ...     def train(self) -> zoo.Examples:
    ...         return zoo.InMemory(image=noise(self.config.size, seed=0))
    ...
    ...     def test(self) -> zoo.Examples:
    ...         return zoo.InMemory(image=noise(100, seed=1))
    """

    Config: ClassVar[type[Any]] = NoSettings
    config: Any

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        prepare_config_class(cls)
        for name in from_dataset(cls.Config):
            raise TypeError(
                f"{cls.__name__}.Config.{name} is a setting of a dataset, which cannot ask for from_dataset. "
                "Leave from_dataset out."
            )

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def train(self) -> Examples:
        """Return the training examples.

        Returns
        -------
        zoo.Examples
            The training examples, in a fixed order. The training loop shuffles them with `Trainer.order`.
        """

    def train_unaugmented(self) -> Examples:
        """Return the training examples without random transforms, for ``zoo data``.

        Override it if `train` transforms its examples at random.

        Returns
        -------
        zoo.Examples
            The examples of `train`, in its order. By default those of `train` itself.
        """
        return self.train()

    @abstractmethod
    def test(self) -> Examples:
        """Return the test examples, which are used once, after the last step.

        Returns
        -------
        zoo.Examples
            The test examples, in a fixed order, disjoint from the training examples. If there are none, a run warns
            at its start, and ends without test metrics.
        """

    def validation(self) -> Examples:
        """Return the validation examples, which are used during training (``run.evaluate_every``) and for previews.

        By default the test examples. Override it if choices depend on the validation metrics, such as the best
        checkpoint (``run.monitor``) or the settings found by a sweep.

        Returns
        -------
        zoo.Examples
            The validation examples, in a fixed order, disjoint from the training examples.
        """
        return self.test()

    def provides(self) -> Mapping[str, Any]:
        """Return what only the data know, for the settings of models and trainers that ask for it.

        A setting that is made with ``zoo.setting(…, from_dataset="num_classes")`` takes its value from here if the
        recipe leaves it open. The run's ``config.yaml`` and its weights contain the value, so that loading them needs
        no data. A recipe that sets another value is refused, except for more classes than there are.

        Returns
        -------
        mapping of str to object
            Numbers, texts, and lists of them by name; by default none. Usual names are ``"num_classes"``,
            ``"class_names"``, ``"in_channels"`` and ``"vocabulary"``.

        Examples
        --------
        >>> def provides(self):
        ...     return {"num_classes": len(self.names), "class_names": self.names}
        """
        return {}

    def fingerprint(self) -> str:
        """Return a hash that changes with the data; it is recorded with each run.

        By default it covers the settings, and every example of the train, validation and test split: the tensors of
        `InMemory`, the version of `GeneratedExamples`, and of anything else each example in the stored order, after
        seeding torch, NumPy and ``random`` with its index. That notices one changed pixel anywhere, but reads all
        data whenever a run starts. Override it

        - with `fingerprint_files`, if the examples are read from files: it caches the hash of each file;
        - with `fingerprint_tensors`, if the examples are generated from data in memory.

        Returns
        -------
        str
            64 hexadecimal digits.

        Raises
        ------
        BadSetting
            If an example is not a mapping, or contains anything else than tensors, arrays, numbers and texts.

        See Also
        --------
        fingerprint_files : Compute the fingerprint of files.
        fingerprint_tensors : Compute the fingerprint of data in memory.
        """
        digest = Digest()
        digest.add_settings(dataclasses.asdict(self.config))
        methods = ["train", "test"] + ["validation"] * (type(self).validation is not Dataset.validation)
        for method in methods:
            digest.add(method)
            _add_split(digest, getattr(self, method)(), f"{type(self).__name__}.{method}()")
        return digest.hexdigest()


def _add_split(digest: Digest, examples: Examples, name: str) -> None:
    digest.add(len(examples))
    if type(examples) is InMemory:
        digest.add({name: _stored(tensor) for name, tensor in examples._tensors.items()})
    elif isinstance(examples, GeneratedExamples) and examples.version is not None:
        digest.add(examples.version)
    else:
        add_examples(digest, examples, name)


def _stored(tensor: Tensor | Uint8Images) -> Tensor:
    return tensor.pixels if isinstance(tensor, Uint8Images) else tensor


class GeneratedExamples:
    """Examples computed from their index, so that example k is the same in every process and every run.

    Parameters
    ----------
    make : callable
        ``make([k, ...])`` returns the `Batch` of the examples with these indices. Random numbers for example k come
        from a generator seeded with k. With ``run.workers`` it is called in other processes, so it has to be picklable
        on some platforms.
    length : int
        Number of examples; with ``endless`` the number that is counted as an epoch.
    endless : bool, default False
        Whether training reads examples 0, 1, 2, ... without an end, each of them once. `Trainer.order` is not called
        then.
    version : str, optional
        Identifies what ``make`` computes from the settings of the dataset; change it whenever the examples change.
        `Dataset.fingerprint` then covers the version instead of ``length`` examples. If ``make`` reads other data, such
        as files, override `Dataset.fingerprint`.
    render : callable, optional
        ``render(batch)`` returns the batch of the examples, given what ``make`` returned for them, such as positions.
        In a run on an accelerator it is called with tensors there, in the training process, so that neither the host
        nor ``run.workers`` spends time on it. It must draw nothing at random and give the same values on every device,
        as operations on integers, comparisons and selections do.

    See Also
    --------
    InMemory : Examples held as tensors.

    Examples
    --------
    >>> def make(indices):
    ...     generators = [torch.Generator().manual_seed(index) for index in indices]
    ...     return zoo.Batch(noise=torch.stack([torch.randn(3, generator=generator) for generator in generators]))
    >>> examples = zoo.GeneratedExamples(make, length=10_000, endless=True)
    >>> examples[7]["noise"].shape
    torch.Size([3])
    """

    def __init__(
        self,
        make: Callable[[Sequence[int]], Batch],
        length: int,
        endless: bool = False,
        *,
        version: str | None = None,
        render: Callable[[Batch], Batch] | None = None,
    ) -> None:
        self.make, self.length, self.endless, self.version = make, length, endless, version
        self.render = render

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {name: tensor[0] for name, tensor in self.__getitems__([index]).items()}

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Return a whole batch."""
        made = self.make(indices)
        return made if self.render is None else self.render(made)


class InMemory:
    """Examples held as tensors and indexed a batch at a time, which is much faster than one by one.

    Parameters
    ----------
    **tensors : torch.Tensor or Uint8Images
        The data by name, all with the same first dimension N.

    Raises
    ------
    ValueError
        If the tensors differ in their first dimension.

    See Also
    --------
    GeneratedExamples : Examples computed from their index.

    Examples
    --------
    >>> images = torch.randint(256, (100, 1, 28, 28), dtype=torch.uint8)
    >>> examples = zoo.InMemory(image=zoo.Uint8Images(images), label=torch.arange(100) % 10)
    >>> examples[3]["image"].dtype
    torch.float32
    """

    def __init__(self, **tensors: Tensor | Uint8Images) -> None:
        lengths = {name: len(tensor) for name, tensor in tensors.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"the tensors should have the same length, but have {lengths}.")
        self._tensors = tensors

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """All tensors by name, shape ``(N, ...)``; those of `Uint8Images` as float32 in [0, 1]."""
        return _FloatTensors(self._tensors)

    def __len__(self) -> int:
        return len(next(iter(self._tensors.values())))

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {name: tensor[index] for name, tensor in self._tensors.items()}

    def __getitems__(self, indices: Sequence[int] | Tensor) -> Batch:
        """Return a whole batch."""
        index = torch.as_tensor(indices)
        return Batch(
            {
                name: tensor.index_select(0, index) if isinstance(tensor, Uint8Images) else _gather(tensor, index)
                for name, tensor in self._tensors.items()
            }
        )


class Uint8Images:
    """Images stored as bytes and returned as float32 in [0, 1]; needs a quarter of the memory.

    For use in `InMemory`.

    Parameters
    ----------
    pixels : torch.Tensor
        Images, shape ``(N, C, H, W)`` or any other whose first dimension is N, of type ``torch.uint8``.

    Attributes
    ----------
    pixels : torch.Tensor
        The bytes.

    Raises
    ------
    ValueError
        If ``pixels`` are not of type ``torch.uint8``.
    """

    def __init__(self, pixels: Tensor) -> None:
        if pixels.dtype != torch.uint8:
            raise ValueError(f"pixels are {pixels.dtype}, but should be torch.uint8.")
        self.pixels = pixels
        self._divisor = torch.full((), 255, dtype=torch.float32, device=pixels.device)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int | slice) -> Tensor:
        return self._in_unit_range(self.pixels[index])

    def index_select(self, dimension: int, index: Tensor) -> Tensor:
        """Select images as ``torch.index_select`` does.

        Parameters
        ----------
        dimension : int
            Dimension to select along; 0 selects images.
        index : torch.Tensor
            Indices, shape ``(M,)``, int64 or int32.

        Returns
        -------
        torch.Tensor
            The selected images, float32 in [0, 1].
        """
        if dimension == 0 and _numpy_gathers(self.pixels, index):
            images = torch.empty((len(index), *self.pixels.shape[1:]), dtype=torch.float32)
            values = images.numpy()
            values[...] = self.pixels.numpy().take(index.numpy(), axis=0)
            values /= np.float32(255)
            return images
        return self._in_unit_range(self.pixels.index_select(dimension, index))

    def _in_unit_range(self, pixels: Tensor) -> Tensor:
        """The same values on every device: CUDA multiplies by the reciprocal of a number, which rounds differently."""
        return pixels.float().div_(self._divisor) if pixels.device.type == "cpu" else pixels.div(self._divisor)


def _gather(tensor: Tensor, index: Tensor) -> Tensor:
    """``tensor.index_select(0, index)``."""
    if not _numpy_gathers(tensor, index):
        return tensor.index_select(0, index)
    # Memory that NumPy allocates is aligned to 16 bytes; some operations of torch then round differently.
    gathered = tensor.new_empty((len(index), *tensor.shape[1:]))
    np.take(tensor.numpy(), index.numpy(), axis=0, out=gathered.numpy(), mode="clip")  # "raise" copies once more
    return gathered


def _numpy_gathers(tensor: Tensor, index: Tensor) -> bool:
    """Whether NumPy gathers the examples, in one thread: with 16 threads torch takes 1 to 4 ms for a small batch."""
    if tensor.device.type != "cpu" or torch.get_num_threads() <= _FEW_THREADS or not len(tensor):
        return False
    if not _ONE_THREAD < len(index) * (tensor.numel() // len(tensor)) <= _SMALL:
        return False
    if type(tensor) is not Tensor or tensor.dtype not in _NUMPY_TYPES or tensor.requires_grad:
        return False
    if not tensor.is_contiguous():  # NumPy would copy all of it
        return False
    numbers = index.numpy()
    return bool(numbers.min() >= 0 and numbers.max() < len(tensor))  # NumPy counts negative ones from the end


class _FloatTensors(Mapping[str, Tensor]):
    """The tensors of `InMemory`. Those stored as bytes are converted when they are read, to save memory."""

    def __init__(self, stored: Mapping[str, Tensor | Uint8Images]) -> None:
        self._stored = stored

    def __getitem__(self, name: str) -> Tensor:
        stored = self._stored[name]
        return stored[:] if isinstance(stored, Uint8Images) else stored

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)
