"""Read the header of a weights file: its metadata and the types and shapes of its tensors, without torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from zoo_core.config.recipe_files import NAME
from zoo_core.errors import BadFile, describe_type, one_line
from zoo_core.files import Status, held, parse_json, stat_regular

FORMAT = 1
PICKLES = {".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle", ".joblib"}
_GIVE_A_FILE = "Give a .safetensors file."
_MAX_HEADER_BYTES = 16 * 2**20  # the header of a network of 10,000 tensors has about 1 MB
_MAX_TENSORS = 20_000  # of a file; each takes about 50 microseconds to be read and matched
_MAX_METADATA_LENGTH = 2 * 2**20  # characters
_MAX_VALUES = 20_000  # of the metadata, including each class name
_MAX_DEPTH = 32  # of nested mappings and lists
_MAX_DIMENSION = 2**63 - 1
_MAX_NDIM = 64
_MAX_NAME_LENGTH = 1000  # characters
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
    "init_from": dict,
    "step": int,
    "weights_step": int,
    "seed": int,
    "parameters": int,
    "trainable_parameters": int,
    "buffers": int,
}
_SIZES = ("parameters", "trainable_parameters", "buffers")
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class Header:
    """The header of a weights file.

    ``metadata`` is described in docs/weights.md; ``tensors`` maps names to dtype (such as ``"F32"``) and shape.
    """

    path: Path
    metadata: Mapping[str, Any]
    tensors: Mapping[str, tuple[str, tuple[int, ...]]]
    status: Status | None = None
    """That of the file when the header was read."""

    @property
    def elements(self) -> int:
        """Number of elements of all floating-point tensors, both parameters and buffers."""
        return sum(math.prod(shape) for dtype, shape in self.tensors.values() if "F" in dtype)

    @property
    def parameters(self) -> int:
        """Number of parameters, where tied ones count once."""
        return self._sizes()[0]

    @property
    def trainable_parameters(self) -> int:
        """Number of parameters that were not frozen."""
        return self._sizes()[1]

    @property
    def buffers(self) -> int:
        """Number of elements of the buffers, such as running statistics."""
        return self._sizes()[2]

    def _sizes(self) -> tuple[int, int, int]:
        """As stated in the metadata. Older files do not state it; there, statistics of normalizations are buffers."""
        everything = sum(math.prod(shape) for _, shape in self.tensors.values())
        sizes = [self.metadata.get(key) for key in _SIZES]
        if all(isinstance(size, int) and 0 <= size <= everything for size in sizes):
            return cast(tuple[int, int, int], tuple(sizes))
        buffers = sum(math.prod(shape) for name, (_, shape) in self.tensors.items() if name.endswith(_STATISTICS))
        return everything - buffers, everything - buffers, buffers

    def summary(self) -> str:
        """Model, recipe, steps and version in one line, as stated by the file."""
        recipe = self.metadata.get("recipe", {}).get("name")
        version = self.metadata.get("versions", {}).get("zoo-core")
        parts = [f"model '{one_line(self.metadata['model'])}'" if "model" in self.metadata else "of no model of zoo"]
        parts += [f"trained by the recipe '{one_line(str(recipe))}'"] if recipe else []
        parts += [f"{self.metadata['step']:,} steps"] if "step" in self.metadata else []
        parts += [f"zoo {one_line(str(version))}"] if version else []
        return ", ".join(parts)

    def describe(self) -> dict[str, Any]:
        """What ``zoo info FILE`` prints."""
        metadata = self.metadata
        recipe, start = metadata.get("recipe", {}), metadata.get("init_from", {})
        facts = {
            "model": metadata.get("model"),
            "recipe": recipe.get("name"),
            "seed": str(metadata["seed"]) if "seed" in metadata else None,
            "steps": metadata.get("step"),
            "weights of step": metadata.get("weights_step"),
            "dataset": metadata.get("dataset"),
            "license": metadata.get("license"),
            "started from": start.get("name") and f"{start['name']}, SHA-256 {start.get('sha256')}",
            "parameters": self.parameters,
            "trainable": self.trainable_parameters if self.trainable_parameters < self.parameters else None,
            "buffers": self.buffers,
            "stored as": ", ".join(sorted({dtype for dtype, _ in self.tensors.values()})),
            "versions": ", ".join(f"{key} {value}" for key, value in metadata.get("versions", {}).items()),
            "commit": (metadata.get("git") or {}).get("commit"),
            "protocol": metadata.get("protocol"),
        }
        return {
            "name": str(self.path),
            "summary": self.summary(),
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


def read_header(path: Path, *, of_any_origin: bool = False) -> Header:
    """The header of a weights file.

    With ``of_any_origin`` it may be a safetensors file that another library wrote, which has no metadata.

    Raises:
        BadFile: if the file does not exist, is not a safetensors file, or was not written by zoo.
    """
    stat_regular(path, _GIVE_A_FILE)
    refuse_pickle(path)
    metadata, tensors, status = read_listing(path)
    if "zoo" not in metadata and of_any_origin:
        return Header(path, {}, tensors, status)
    if "zoo" not in metadata:
        raise BadFile(
            f"{path} does not name the model that it is for.",
            f"Convert it: zoo weights convert {path} --model NAME -o NEW.safetensors",
        )
    return Header(path, parse_metadata(path, metadata["zoo"]), tensors, status)


def read_listing(path: Path) -> tuple[dict[str, str], dict[str, tuple[str, tuple[int, ...]]], Status]:
    """The metadata of a safetensors file, the dtype and shape of each tensor by its name, and the file's status.

    Raises:
        BadFile: if it is not a safetensors file, or has invalid tensor names or shapes.
    """
    from safetensors import SafetensorError, safe_open

    stat_regular(path, _GIVE_A_FILE)
    try:
        with held(path) as (same, status), safe_open(_short(path, same), framework="numpy") as file:
            metadata = file.metadata() or {}
            names = file.keys()
            if len(names) > _MAX_TENSORS:
                raise BadFile(f"{path} has {len(names):,} tensors, but zoo reads at most {_MAX_TENSORS:,} of a file.")
            slices = {name: file.get_slice(name) for name in names}
            tensors = {name: (str(one.get_dtype()), tuple(one.get_shape())) for name, one in slices.items()}
    except BadFile:
        raise
    except (OSError, MemoryError, SafetensorError) as error:  # MemoryError: the file can't be memory-mapped
        raise BadFile(f"{path} is not a safetensors file: {one_line(str(error))}.") from error
    for name, (_, shape) in tensors.items():
        if len(name) > _MAX_NAME_LENGTH or not name.isprintable():
            raise BadFile(f"{path} holds a tensor with the invalid name '{one_line(name)}'.")
        if len(shape) > _MAX_NDIM or any(size > _MAX_DIMENSION for size in shape):
            raise BadFile(f"{path}: '{one_line(name)}' has the invalid shape {one_line(str(shape))}.")
    return metadata, tensors, status


def refuse_pickle(path: Path) -> None:
    """Raise BadFile for a file that has the suffix or the first bytes of a pickle or of a ``torch.save`` archive."""
    if path.suffix.lower() in PICKLES or starts_like_pickle(path):
        raise BadFile(
            f"{path} is a pickle, which can execute arbitrary code when loaded; zoo reads safetensors only.",
            f"Convert it: zoo weights convert {path} --model NAME -o NEW.safetensors",
        )


def starts_like_pickle(path: Path) -> bool:
    """Whether the first bytes are those of a pickle or of a ``torch.save`` archive."""
    try:
        with path.open("rb") as file:
            first = file.read(9)
    except OSError:
        return False
    if first[8:] == b"{":  # safetensors, whose length prefix may be 0x0280 by chance
        return False
    return first[:4] == b"PK\x03\x04" or first[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def _short(path: Path, same: Path) -> Path:
    """``same``, the file of ``path``, whose header is not too long; safetensors accepts up to 100 MB.

    Raises:
        BadFile: if the length of its header is invalid or too large.
    """
    with same.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    size = same.stat().st_size
    if size < 8 or 8 + length > size:
        raise BadFile(
            f"{path} is not a safetensors file: its header should have {length:,} bytes, but the file has {size:,}."
        )
    if length > _MAX_HEADER_BYTES:
        raise BadFile(f"{path} has a header of {length:,} bytes, but zoo reads at most {_MAX_HEADER_BYTES:,}.")
    return same


def parse_metadata(path: Path, text: str) -> dict[str, Any]:
    """The metadata of the file ``path``, from its JSON.

    Raises:
        BadFile: if it is damaged, too large, or of another format.
    """
    damaged = f"{path}: its header is damaged"
    if len(text) > _MAX_METADATA_LENGTH:
        raise BadFile(
            f"{path} has metadata of {len(text):,} characters, but zoo reads at most {_MAX_METADATA_LENGTH:,}."
        )
    try:
        metadata = parse_json(text.encode())
        _check_size_and_depth(metadata)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else one_line(str(error))
        raise BadFile(f"{damaged}: {reason}.") from error
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise BadFile(
            f"{path} has a header of a format other than {FORMAT}.",
            "Update zoo: pip install --upgrade zoo-core",
        )
    for field, kind in _FIELDS.items():
        if field in metadata and (not isinstance(metadata[field], kind) or isinstance(metadata[field], bool)):
            raise BadFile(f"{damaged}: {field} is {describe_type(metadata[field])}.")
    for name, value in metadata.get("metrics", {}).items():
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise BadFile(f"{damaged}: metrics.{one_line(name)} is {describe_type(value)}.")
    model = metadata.get("model", "")
    if not model or len(model) > _MAX_NAME_LENGTH or not model.isprintable():
        reason = f"its model has the invalid name '{one_line(model)}'" if model else "it names no model"
        raise BadFile(f"{damaged}: {reason}.")
    recipe = metadata.get("recipe", {}).get("name", "unnamed")
    if not (isinstance(recipe, str) and NAME.fullmatch(recipe)):  # it becomes a folder or part of a file name
        raise BadFile(f"{damaged}: its recipe has the invalid name {one_line(repr(recipe))}.")
    return metadata


def _check_size_and_depth(metadata: Any) -> None:
    """Raise ValueError for metadata of too many values, and RecursionError for metadata nested too deeply."""
    level, count = [metadata], 0
    for _ in range(_MAX_DEPTH):
        count += len(level)
        if count > _MAX_VALUES:
            raise ValueError(f"it holds more than {_MAX_VALUES:,} values")
        for value in level:
            _check_value(value)
        level = [
            element
            for value in level
            if isinstance(value, (dict, list))
            for element in (value.values() if isinstance(value, dict) else value)
        ]
    if level:
        raise RecursionError


def _check_value(value: Any) -> None:
    if isinstance(value, int) and abs(value) >= 2**64:
        raise ValueError("it holds an integer of more than 64 bits")
    for text in [value] if isinstance(value, str) else value if isinstance(value, dict) else []:
        text.encode()  # an unpaired surrogate, which can't be printed, raises ValueError
