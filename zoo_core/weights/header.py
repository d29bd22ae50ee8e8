"""What a weights file says of itself, read without a tensor and without torch."""

from __future__ import annotations

import json
import math
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo_core.config.recipe_files import NAME
from zoo_core.errors import BadFile, one_line

FORMAT = 1
PICKLES = {".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle", ".joblib"}
_MOST = 16 * 2**20  # bytes of a header; that of a network of 10,000 tensors has about one million
_MOST_STORY = 2 * 2**20  # characters
_MOST_VALUES = 20_000  # settings and the like; a class name is one
_MOST_DEPTH = 32  # mappings and lists in one another
_MOST_SIDE = 2**63 - 1  # of a tensor
_MOST_SIDES = 64
_MOST_NAME = 1000  # characters
_FIELDS: dict[str, type | tuple[type, ...]] = {
    "model": str,
    "config": dict,
    "recipe": dict,
    "metrics": dict,
    "versions": dict,
    "plugins": dict,
    "license": (str, type(None)),
    "protocol": str,
    "dataset": str,
    "git": (dict, type(None)),
    "step": int,
    "seed": int,
}


@dataclass(frozen=True)
class Header:
    """``story`` is what docs/weights.md describes; ``tensors`` gives each one's dtype (``"F32"``) and shape."""

    path: Path
    metadata: Mapping[str, Any]
    tensors: Mapping[str, tuple[str, tuple[int, ...]]]

    @property
    def parameters(self) -> int:
        """Numbers in all floating-point tensors together: parameters and buffers."""
        return sum(math.prod(shape) for dtype, shape in self.tensors.values() if "F" in dtype)

    def says(self) -> str:
        """Whose weights the file says it holds, in one line."""
        recipe = self.metadata.get("recipe", {}).get("name")
        version = self.metadata.get("versions", {}).get("zoo-core")
        parts = [f"model '{one_line(self.metadata['model'])}'"]
        parts += [f"trained by the recipe '{one_line(str(recipe))}'"] if recipe else []
        parts += [f"{self.metadata['step']:,} steps"] if "step" in self.metadata else []
        parts += [f"zoo {one_line(str(version))}"] if version else []
        return ", ".join(parts)

    def described(self) -> dict[str, Any]:
        """What ``zoo info FILE`` shows."""
        metadata = self.metadata
        recipe = metadata.get("recipe", {})
        facts = {
            "model": metadata.get("model"),
            "recipe": recipe.get("name"),
            "seed": str(metadata["seed"]) if "seed" in metadata else None,
            "steps": metadata.get("step"),
            "dataset": metadata.get("dataset"),
            "license": metadata.get("license"),
            "numbers": self.parameters,
            "stored as": ", ".join(sorted({dtype for dtype, _ in self.tensors.values()})),
            "versions": ", ".join(f"{key} {value}" for key, value in metadata.get("versions", {}).items()),
            "commit": (metadata.get("git") or {}).get("commit"),
            "protocol": metadata.get("protocol"),
        }
        return {
            "name": str(self.path),
            "summary": self.says(),
            **{
                key: value if isinstance(value, int) else one_line(str(value), 2000)
                for key, value in facts.items()
                if value
            },
            "metrics": {one_line(key): value for key, value in metadata.get("metrics", {}).items()},
            "settings": [
                {"key": f"model.{one_line(key)}", "value": value, "set in": "the file"}
                for key, value in metadata.get("config", {}).items()
            ],
        }


def read_header(path: Path) -> Header:
    """The header of a weights file.

    Raises:
        BadFile: if the file is missing, not safetensors, or was not written by zoo.
    """
    refuse_irregular(path)
    refuse_pickle(path)
    metadata, tensors = read_listing(path)
    if "zoo" not in metadata:
        raise BadFile(
            f"{path} does not say which model it is for.",
            f"Say it, and keep it: zoo weights convert {path} --model NAME -o NEW.safetensors",
        )
    return Header(path, _story(path, metadata["zoo"]), tensors)


def read_listing(path: Path) -> tuple[dict[str, str], dict[str, tuple[str, tuple[int, ...]]]]:
    """The metadata of any safetensors file, and each tensor's dtype and shape by its name.

    Raises:
        BadFile: if it is none, or one that no model can have written.
    """
    from safetensors import SafetensorError, safe_open

    refuse_irregular(path)
    try:
        _refuse_oversized(path)
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
            tensors = {name: (str(one.get_dtype()), tuple(one.get_shape())) for name, one in slices.items()}
    except BadFile:
        raise
    except (OSError, MemoryError, SafetensorError) as error:  # MemoryError: the file can't be mapped into it
        raise BadFile(f"{path} is no safetensors file: {one_line(str(error))}.") from error
    for name, (_, shape) in tensors.items():
        if len(name) > _MOST_NAME or not name.isprintable():
            raise BadFile(f"{path} holds a tensor called '{one_line(name)}', which is no name of a tensor.")
        if len(shape) > _MOST_SIDES or any(side > _MOST_SIDE for side in shape):
            raise BadFile(f"{path}: '{one_line(name)}' has shape {one_line(str(shape))}, which no tensor has.")
    return metadata, tensors


def refuse_irregular(path: Path) -> None:
    """Raises BadFile for what is no file, or none that ends: a folder, a device, a pipe, a link to nothing."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        link = f" It is a link to {path.readlink()}." if path.is_symlink() else ""
        raise BadFile(f"{path} does not exist.{link}") from None
    except (OSError, ValueError) as error:  # ValueError: its name holds a NUL
        raise BadFile(f"{one_line(str(path))} can't be read: {getattr(error, 'strerror', None) or error}.") from error
    if not stat.S_ISREG(mode):
        raise BadFile(
            f"{path} is a {'folder' if stat.S_ISDIR(mode) else 'device or a pipe'}, but should be a file.",
            "Give a .safetensors file.",
        )


def refuse_pickle(path: Path) -> None:
    """Raises BadFile for a file whose name or first bytes are those of a pickle, or of a zip as torch.save writes."""
    if path.suffix.lower() in PICKLES or begins_like_pickle(path):
        raise BadFile(
            f"{path} is a pickle, which can run any code as it is read; zoo reads safetensors only.",
            f"Take its tensors out: zoo weights convert {path} --model NAME -o NEW.safetensors",
        )


def begins_like_pickle(path: Path) -> bool:
    """Whether the first bytes are those of a pickle, or of a zip as torch.save writes."""
    try:
        with path.open("rb") as file:
            first = file.read(9)
    except OSError:
        return False
    if first[8:] == b"{":  # safetensors, whose length in front of it may be 0x0280
        return False
    return first[:4] == b"PK\x03\x04" or first[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def _refuse_oversized(path: Path) -> None:
    """safetensors itself would read a header of 100 MB."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    size = path.stat().st_size
    if size < 8 or 8 + length > size:
        raise BadFile(
            f"{path} is no safetensors file: its header should have {length:,} bytes, but the whole file has {size:,}."
        )
    if length > _MOST:
        raise BadFile(f"{path} has a header of {length:,} bytes, but {_MOST:,} is the most that zoo reads.")


def _story(path: Path, text: str) -> dict[str, Any]:
    damaged = f"{path}: its header is damaged"
    if len(text) > _MOST_STORY:
        raise BadFile(
            f"{path} tells {len(text):,} characters of itself, but {_MOST_STORY:,} is the most that zoo reads."
        )
    try:
        metadata = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_without_doubles)
        _refuse_bomb(metadata)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else one_line(str(error))
        raise BadFile(f"{damaged}: {reason}.") from error
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise BadFile(
            f"{path} has a header of another format than {FORMAT}.",
            "Update zoo: pip install --upgrade zoo-core",
        )
    for field, kind in _FIELDS.items():
        if field in metadata and (not isinstance(metadata[field], kind) or isinstance(metadata[field], bool)):
            raise BadFile(f"{damaged}: {field} is a {type(metadata[field]).__name__}.")
    for name, value in metadata.get("metrics", {}).items():
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise BadFile(f"{damaged}: figures.{one_line(name)} is a {type(value).__name__}.")
    model = metadata.get("model", "")
    if not model or len(model) > _MOST_NAME or not model.isprintable():
        named = f"its model is '{one_line(model)}', which is no name" if model else "it names no model"
        raise BadFile(f"{damaged}: {named}.")
    recipe = metadata.get("recipe", {}).get("name", "unnamed")
    if not (isinstance(recipe, str) and NAME.fullmatch(recipe)):  # it becomes a folder, or part of a file's name
        raise BadFile(f"{damaged}: its recipe is {one_line(repr(recipe))}, which is no name.")
    return metadata


def _refuse_bomb(metadata: Any) -> None:
    """Raises ValueError for values that are small to write, and large or without end to whoever reads on."""
    level, seen = [metadata], 0
    for _ in range(_MOST_DEPTH):
        seen += len(level)
        if seen > _MOST_VALUES:
            raise ValueError(f"it holds more than {_MOST_VALUES:,} values")
        for value in level:
            _refuse_odd(value)
        level = [
            inner
            for value in level
            if isinstance(value, (dict, list))
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
    if level:
        raise RecursionError


def _refuse_odd(value: Any) -> None:
    if isinstance(value, int) and abs(value) >= 2**64:
        raise ValueError("it holds a number of more than 64 bits")
    if isinstance(value, float) and math.isinf(value):  # what 1e999 is read as
        raise ValueError("it holds an infinite number")
    for text in [value] if isinstance(value, str) else value if isinstance(value, dict) else []:
        text.encode()  # half a pair of UTF-16, which can't be shown: a ValueError


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands in it twice")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"it holds {name}")
