"""Write and read weights files: safetensors with metadata on model, settings, recipe and metrics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from zoo_core.errors import BadFile, BadSetting
from zoo_core.files import replacing
from zoo_core.weights.header import FORMAT


def write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write ``tensors`` and ``metadata`` atomically and reproducibly: the same input gives the same bytes.

    All metadata is stored under a single key, because safetensors writes several keys in random order.

    Raises:
        BadFile: if the file cannot be written, or safetensors does not support the type of a tensor.
    """
    metadata = {"zoo": json.dumps({"format": FORMAT, **metadata}, sort_keys=True)}
    try:
        with replacing(path) as temporary:
            save_file(without_shared_memory(tensors), temporary, metadata)
    except KeyError as error:  # not in safetensors' table of types
        raise BadFile(f"{path} could not be written: safetensors does not support {error}.") from error
    except (OSError, SafetensorError) as error:
        raise BadFile(f"{path} could not be written: {error}.") from error


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


def read_tensors(path: Path, device: str | torch.device = "cpu") -> dict[str, Tensor]:
    """All tensors of a safetensors file; on the CPU they are memory-mapped, copy-on-write."""
    try:
        return load_file(path, device=str(device))
    except (OSError, SafetensorError) as error:
        raise BadFile(f"{path} is not a safetensors file: {error}.") from error
