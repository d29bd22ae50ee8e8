"""What a weights file says of itself, read without a tensor and without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo_core.errors import BadFile

FORMAT = 1
PICKLES = {".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle", ".joblib"}
_MOST = 16 * 2**20  # bytes of a header; that of a network of 10,000 tensors has about one million
_FIELDS: dict[str, type | tuple[type, ...]] = {
    "model": str,
    "config": dict,
    "recipe": dict,
    "figures": dict,
    "versions": dict,
    "plugins": dict,
    "licence": (str, type(None)),
    "protocol": str,
    "dataset": str,
    "step": int,
    "seed": int,
}


@dataclass(frozen=True)
class Header:
    """``story`` is what docs/weights.md describes; ``tensors`` gives each one's dtype (``"F32"``) and shape."""

    path: Path
    story: Mapping[str, Any]
    tensors: Mapping[str, tuple[str, tuple[int, ...]]]

    @property
    def parameters(self) -> int:
        """Numbers in all floating-point tensors together: parameters and buffers."""
        from math import prod

        return sum(prod(shape) for dtype, shape in self.tensors.values() if "F" in dtype)

    def says(self) -> str:
        """Whose weights the file says it holds, in one line."""
        recipe = self.story.get("recipe", {}).get("name")
        parts = [f"model '{self.story.get('model')}'"]
        parts += [f"trained by the recipe '{recipe}'"] if recipe else []
        parts += [f"{self.story['step']:,} steps"] if "step" in self.story else []
        parts += [f"zoo {self.story['versions']['zoo-core']}"] if "zoo-core" in self.story.get("versions", {}) else []
        return ", ".join(parts)

    def described(self) -> dict[str, Any]:
        """What ``zoo info FILE`` shows."""
        story = self.story
        recipe = story.get("recipe", {})
        facts = {
            "model": story.get("model"),
            "recipe": recipe.get("name"),
            "seed": str(story["seed"]) if "seed" in story else None,
            "steps": story.get("step"),
            "dataset": story.get("dataset"),
            "licence": story.get("licence"),
            "numbers": self.parameters,
            "stored as": ", ".join(sorted({dtype for dtype, _ in self.tensors.values()})),
            "versions": ", ".join(f"{key} {value}" for key, value in story.get("versions", {}).items()),
            "commit": (story.get("git") or {}).get("commit"),
            "protocol": story.get("protocol"),
        }
        return {
            "name": str(self.path),
            "summary": self.says(),
            **{key: value for key, value in facts.items() if value},
            "figures": dict(story.get("figures", {})),
            "settings": [
                {"key": f"model.{key}", "value": value, "set in": "the file"}
                for key, value in story.get("config", {}).items()
            ],
        }


def read_header(path: Path) -> Header:
    """The header of a weights file.

    Raises:
        BadFile: if the file is missing, not safetensors, or was not written by zoo.
    """
    refuse_pickle(path)
    if not path.is_file():
        raise BadFile(f"{path} does not exist." if not path.is_dir() else f"{path} is a folder, but should be a file.")
    from safetensors import SafetensorError, safe_open

    try:
        _refuse_oversized(path)
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
            tensors = {name: (str(one.get_dtype()), tuple(one.get_shape())) for name, one in slices.items()}
    except (OSError, SafetensorError) as error:
        raise BadFile(f"{path} is no safetensors file: {error}.") from error
    if "zoo" not in metadata:
        raise BadFile(
            f"{path} does not say which model it is for.",
            f"Say it, and keep it: zoo weights convert {path} --model NAME -o NEW.safetensors",
        )
    return Header(path, _story(path, metadata["zoo"]), tensors)


def refuse_pickle(path: Path) -> None:
    """Raises BadFile for a file whose name or first bytes are those of a pickle, or of a zip as torch.save writes."""
    if path.suffix.lower() in PICKLES or _begins_like_pickle(path):
        raise BadFile(
            f"{path} is a pickle, which can run any code as it is read; zoo reads safetensors only.",
            f"Take its tensors out: zoo weights convert {path} --model NAME -o NEW.safetensors",
        )


def _begins_like_pickle(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            first = file.read(4)
    except OSError:
        return False
    return first == b"PK\x03\x04" or (first[:1] == b"\x80" and first[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"))


def _refuse_oversized(path: Path) -> None:
    """safetensors itself would read a header of 100 MB."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    size = path.stat().st_size
    if 8 + length > size:
        raise BadFile(f"{path} is no safetensors file: its header should have {length:,} bytes, but it has {size:,}.")
    if length > _MOST:
        raise BadFile(f"{path} has a header of {length:,} bytes, but {_MOST:,} is the most that zoo reads.")


def _story(path: Path, text: str) -> dict[str, Any]:
    try:
        story = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise BadFile(f"{path}: its header is damaged: {reason}.") from error
    if not isinstance(story, dict) or story.get("format") != FORMAT:
        raise BadFile(
            f"{path} has a header of another format than {FORMAT}.",
            "Update zoo: pip install --upgrade zoo-core",
        )
    for field, kind in _FIELDS.items():
        if field in story and (not isinstance(story[field], kind) or isinstance(story[field], bool)):
            raise BadFile(f"{path}: its header is damaged: {field} is a {type(story[field]).__name__}.")
    return story


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"it holds {name}")
