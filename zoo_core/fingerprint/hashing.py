"""Fingerprints of data: SHA-256 of settings and contents, 64 hexadecimal digits."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from zoo_core.errors import BadSetting
from zoo_core.fingerprint.example_errors import as_zoo_error
from zoo_core.fingerprint.per_file import map_files
from zoo_core.fingerprint.progress import ProgressLine
from zoo_core.fingerprint.random_state import random_state_kept, seed_cpu

_CHUNK_BYTES = 2**20


def fingerprint_files(
    files: Sequence[str | Path], settings: Mapping[str, Any], folder: str | Path | None = None
) -> str:
    """Compute the fingerprint of a dataset that reads files: it changes with any byte of any file.

    The hash of each file is cached in ``ZOO_HOME/cache`` until the size, the times or the inode of the file change, so
    that only the first call reads all files. Files are read in threads; a line on stderr shows the progress if that
    takes more than two seconds.

    Parameters
    ----------
    files : sequence of str or os.PathLike
        The files, in a fixed order.
    settings : mapping
        The settings that affect the examples, and the version of the code that makes examples of the files, if there is
        one. Leave out settings that say only where the files are.
    folder : str or os.PathLike, optional
        Folder that the names of the files are relative to, so that the fingerprint stays if the folder is moved. By
        default only the last part of each name counts.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    BadFile
        If a file is missing, can't be read, or changes while it is read.

    See Also
    --------
    fingerprint_tensors : Compute the fingerprint of data in memory.
    Dataset.fingerprint : Default that reads every example.

    Examples
    --------
    >>> def fingerprint(self):
    ...     settings = {"height": self.config.height, "width": self.config.width}
    ...     return zoo.fingerprint_files(self.files, settings, folder=self.config.folder)
    """
    paths = [Path(file) for file in files]
    names = [os.path.relpath(path, folder).replace(os.sep, "/") if folder else path.name for path in paths]
    hashes = map_files(_sha256, paths, cache="sha256-1", task="hashing the data")
    digest = Digest()
    digest.add_settings(settings)
    for name, one in zip(names, hashes, strict=True):
        digest.add([os.fsencode(name), one])
    return digest.hexdigest()


def fingerprint_tensors(tensors: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Compute the fingerprint of data in memory, such as what a generator of examples draws on.

    Parameters
    ----------
    tensors : mapping of str to torch.Tensor or numpy.ndarray
        The data by name.
    settings : mapping
        The settings that affect the examples, and the version of the generator.

    Returns
    -------
    str
        64 hexadecimal digits.

    See Also
    --------
    fingerprint_files : Compute the fingerprint of files.

    Examples
    --------
    >>> len(zoo.fingerprint_tensors({"points": torch.arange(3)}, {"version": 1}))
    64
    """
    digest = Digest()
    digest.add_settings(settings)
    digest.add(tensors)
    return digest.hexdigest()


class Digest:
    """A SHA-256 of nested mappings and sequences of tensors, arrays, texts and numbers.

    Different values have different encodings: each is preceded by its type and its length or shape.
    """

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()

    def add(self, value: Any) -> None:
        """Add a value; BadSetting if it contains anything that has no bytes of its own."""
        if isinstance(value, Mapping):
            self._start("mapping", len(value))
            for key in sorted(value, key=str):
                self.add(str(key))
                self.add(value[key])
        elif isinstance(value, (list, tuple)):
            self._start("sequence", len(value))
            for element in value:
                self.add(element)
        elif isinstance(value, Tensor):
            self._add_array(str(value.dtype), tuple(value.shape), _tensor_bytes(value))
        elif isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind not in "OUS":
            array = np.ascontiguousarray(value)
            self._add_array(str(value.dtype), value.shape, array.reshape(-1).view(np.uint8).data)
        elif isinstance(value, (np.ndarray, np.generic)):
            self.add(value.tolist())
        elif value is None or isinstance(value, (str, bytes, bool, int, float, complex)):
            content = value if isinstance(value, bytes) else repr(value).encode("utf-8", "surrogatepass")
            self._start(type(value).__name__, len(content))
            self._sha256.update(content)
        else:
            raise BadSetting(
                f"a value of type {type(value).__name__} has no fingerprint.",
                "Return tensors, arrays, numbers and texts, or implement Dataset.fingerprint: see "
                "zoo.fingerprint_files and zoo.fingerprint_tensors.",
            )

    def add_settings(self, settings: Mapping[str, Any]) -> None:
        """Add settings, of whatever types a plugin's author chose."""
        self.add(json.dumps(dict(settings), sort_keys=True, default=str))

    def hexdigest(self) -> str:
        """The 64 hexadecimal digits of what was added so far."""
        return self._sha256.hexdigest()

    def _start(self, kind: str, *size: int) -> None:
        self._sha256.update(f"{kind} {json.dumps(size)}\n".encode())

    def _add_array(self, dtype: str, shape: tuple[int, ...], content: Any) -> None:
        self._start(dtype.removeprefix("torch."), *shape)
        self._sha256.update(content)


class Indexed(Protocol):
    """Examples by index."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Mapping[str, Any]: ...


def add_examples(digest: Digest, examples: Indexed, name: str) -> None:
    """Add every example in the stored order, each after seeding torch, NumPy and ``random`` with its index.

    The random state of the process is restored. BadSetting if an example is not a mapping.
    """
    task = f"reading the data once for the fingerprint of {name}"
    with random_state_kept(), ProgressLine(task, len(examples), "examples") as progress:
        for index in range(len(examples)):
            seed_cpu(index)
            try:
                example = examples[index]
            except Exception as error:  # of a plugin's code
                raise as_zoo_error(error, name, f"example {index}") from error
            if not isinstance(example, Mapping):
                raise BadSetting(
                    f"an example of {name} is of type {type(example).__name__}, not a mapping.",
                    'Return for example `{"image": image, "label": label}`.',
                )
            digest.add(example)
            progress.update(index + 1)


def _sha256(path: Path, stopped: threading.Event) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while not stopped.is_set() and (chunk := file.read(_CHUNK_BYTES)):
            digest.update(chunk)
    return digest.hexdigest()


def _tensor_bytes(tensor: Tensor) -> Any:
    """The values of a tensor of any type in memory order, without a copy where it is on the CPU and contiguous."""
    dense = tensor.detach().to_dense() if tensor.layout != torch.strided else tensor.detach()
    return dense.cpu().contiguous().resolve_conj().resolve_neg().reshape(-1).view(torch.uint8).numpy().data
