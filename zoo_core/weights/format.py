"""One ``.safetensors`` file per model, whose header says what it is: the model's name and settings, recipe, figures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from zoo_core.errors import BadFile

FORMAT = 1
_PICKLES = {".pt", ".pth", ".bin", ".ckpt", ".pkl"}


def write(path: Path, tensors: Mapping[str, Tensor], story: Mapping[str, Any]) -> None:
    """Write ``tensors`` and their ``story``, byte for byte the same for the same input.

    The metadata has a single key: safetensors writes several in an order that changes from process to process.
    """
    metadata = {"zoo": json.dumps({"format": FORMAT, **story}, sort_keys=True)}
    try:
        save_file(apart(tensors), path, metadata)
    except (OSError, SafetensorError) as error:
        raise BadFile(f"{path} could not be written: {error}.") from error


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


def read_story(path: Path) -> dict[str, Any]:
    """What the file says of itself, without reading a tensor.

    Raises:
        BadFile: if it is missing, not safetensors, or was not written by zoo.
    """
    if path.suffix in _PICKLES:
        raise BadFile(f"{path} is a pickle, which runs code as it is read; zoo reads safetensors only.")
    if not path.is_file():
        raise BadFile(f"{path} does not exist.")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise BadFile(f"{path} is no safetensors file: {error}.") from error
    if "zoo" not in metadata:
        raise BadFile(f"{path} does not say which model it is for.", "zoo reads files that `zoo run` wrote.")
    try:
        story = json.loads(metadata["zoo"])
    except json.JSONDecodeError as error:
        raise BadFile(f"{path}: its header is damaged: {error}.") from error
    if not isinstance(story, dict) or story.get("format") != FORMAT:
        raise BadFile(
            f"{path} has a header of another format than {FORMAT}.",
            "Update zoo: pip install --upgrade zoo-core",
        )
    return story


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a safetensors file, on the CPU."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise BadFile(f"{path} is no safetensors file: {error}.") from error


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
