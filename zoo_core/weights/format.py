"""Write and read weights files: safetensors with metadata on model, settings, recipe and metrics."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from zoo_core.errors import BadFile, BadSetting
from zoo_core.files import Status, held, replacing
from zoo_core.weights.header import FORMAT, parse_metadata, read_header
from zoo_core.weights.matching import DTYPES
from zoo_core.weights.values import count_not_finite


def write(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any], parameters: Collection[str] = ()
) -> None:
    """Write ``tensors`` and ``metadata`` atomically and reproducibly: the same input gives the same bytes.

    All metadata is stored under a single key, because safetensors writes several keys in random order. ``parameters``
    names the tensors whose values must be finite.

    Raises:
        BadFile: if the file cannot be written, or could not be loaded.
    """
    text = encode_metadata(path, metadata)
    refuse_not_finite(path, [name for name in tensors if name in parameters and count_not_finite(tensors[name])])
    try:
        with replacing(path) as temporary:
            save_file(without_shared_memory(tensors), temporary, {"zoo": text})
            _check_loadable(path, temporary)
    except KeyError as error:  # not in safetensors' table of types
        raise BadFile(f"{path} could not be written: safetensors does not support {error}.") from error
    except (OSError, SafetensorError) as error:
        if isinstance(error, BadFile):
            raise
        raise BadFile(f"{path} could not be written: {error}.") from error


def encode_metadata(path: Path, metadata: Mapping[str, Any]) -> str:
    """The JSON of the metadata of the file ``path``.

    Raises:
        BadFile: if the file could not be loaded with it, for instance because a setting is not finite.
    """
    text = json.dumps({"format": FORMAT, **metadata}, sort_keys=True)
    try:
        parse_metadata(path, text)
    except BadFile as error:
        reason = error.message.replace("its header is damaged", "its header could not be read")
        raise BadFile(reason, "The header states all settings of the recipe; change the one that it cannot.") from error
    return text


def refuse_not_finite(path: Path, names: Sequence[str]) -> None:
    """Raise BadFile if there are ``names``, of parameters of a weights file whose values are not finite."""
    if names:
        raise BadFile(
            f"{path}: '{names[0]}' holds NaN or infinite values, but is a parameter.",
            "Use another file, or train again, with a lower learning rate or clipped gradients.",
        )


def _check_loadable(path: Path, written: Path) -> None:
    """Raise BadFile if the file ``written``, which is to become ``path``, could not be read."""
    try:
        header = read_header(written)
    except BadFile as error:
        raise BadFile(
            f"{path} could not be written: {error.message.replace(f'{written}: ', '')}", error.hint
        ) from error
    for name, (dtype, _) in header.tensors.items():
        if dtype not in DTYPES:
            raise BadFile(f"{path} could not be written: '{name}' has the type {dtype}, which zoo does not read.")


def check_ending(path: Path) -> None:
    """Raise BadSetting unless the name ends in .safetensors, which loading requires."""
    if path.suffix != ".safetensors":
        raise BadSetting(f"{path} should end in .safetensors.", f"Write -o {path.stem or 'model'}.safetensors")


def without_shared_memory(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``tensors`` as safetensors requires: on the CPU, contiguous, and with tied tensors cloned."""
    separate: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        contiguous = tensor.detach().contiguous().cpu()
        address = contiguous.untyped_storage().data_ptr()
        separate[name] = contiguous.clone() if address in seen else contiguous
        seen.add(address)
    return separate


def read_tensors(path: Path, device: str | torch.device = "cpu", expected: Status | None = None) -> dict[str, Tensor]:
    """All tensors of a safetensors file; on the CPU they are memory-mapped, copy-on-write.

    Raises:
        BadFile: if it can't be read, or is not the file with the status ``expected``, whose content was checked.
    """
    try:
        with held(path, expected) as (same, _):
            return load_file(same, device=str(device))
    except BadFile:
        raise
    except (OSError, SafetensorError) as error:
        raise BadFile(f"{path} is not a safetensors file: {error}.") from error
