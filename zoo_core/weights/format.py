"""One ``.safetensors`` file per model, whose header says what it is: the model's name and settings, recipe, figures."""

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
    """Write ``tensors`` and their ``story``, byte for byte the same for the same input.

    The file is whole when it appears under its name. The metadata has a single key: safetensors writes several in an
    order that changes from process to process.
    """
    metadata = {"zoo": json.dumps({"format": FORMAT, **metadata}, sort_keys=True)}
    try:
        with replacing(path) as temporary:
            save_file(apart(tensors), temporary, metadata)
    except KeyError as error:  # safetensors' table of types lacks it
        raise BadFile(f"{path} could not be written: safetensors holds no {error}.") from error
    except (OSError, SafetensorError) as error:
        raise BadFile(f"{path} could not be written: {error}.") from error


def check_ending(path: Path) -> None:
    """Raises BadSetting for a name under which the file would not be read again."""
    if path.suffix != ".safetensors":
        raise BadSetting(f"{path} should end in .safetensors.", f"Write -o {path.stem or 'model'}.safetensors")


def apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``tensors`` as safetensors takes them: on the CPU, contiguous, none in the memory of another (tied weights)."""
    whole: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        one = tensor.detach().contiguous().cpu()
        memory = one.untyped_storage().data_ptr()
        whole[name] = one.clone() if memory in seen else one
        seen.add(memory)
    return whole


def read_tensors(path: Path, device: str | torch.device = "cpu") -> dict[str, Tensor]:
    """Every tensor of a safetensors file; on the CPU they lie in the file until they are used or written to."""
    try:
        return load_file(path, device=str(device))
    except (OSError, SafetensorError) as error:
        raise BadFile(f"{path} is no safetensors file: {error}.") from error
