"""The name after ``-o``: which formats there are, and what can be said of a name before anything is computed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from zoo_core.errors import BadFile, BadSetting, NameTaken, did_you_mean, one_line

if TYPE_CHECKING:
    from zoo_core.data.values import Kind

IMAGES = (".png", ".gif", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
FORMATS: dict[Kind, tuple[str, ...]] = {
    "images": (*IMAGES, ".npy"),
    "clips": (*IMAGES, ".npy"),
    "classes": (".png", ".tif", ".tiff", ".npy"),
    "array": (".npy", ".tif", ".tiff"),
    "text": (".txt",),
    "table": (".csv",),
    "audio": (".wav",),
}
MEANT: dict[Kind, tuple[str, ...]] = {**FORMATS, "classes": (*IMAGES, ".npy")}
"""Endings that mean a value of the kind; those that it does not have are refused, since no other value is meant."""
NOT_NAMED = {".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}
"""Endings that a message leaves out."""
BESIDE: dict[Kind, str] = {"images": ".png", "clips": ".gif", "classes": ".png"}
"""Ending of a file beside one with another ending; otherwise the kind has only one."""
NOUNS = {**dict.fromkeys(IMAGES, "an image"), ".npy": "an array", ".txt": "text", ".csv": "a table", ".wav": "audio"}
KINDS: dict[Kind, str] = {
    "images": "images", "clips": "clips", "classes": "a class map", "array": "an array",
    "text": "text", "table": "a table", "audio": "audio",
}  # fmt: skip
ENDINGS = (*NOUNS, ".json")
TABLES = (".csv", ".json")
JOURNAL = "zoo-predictions.jsonl"
_SHOWN = (".png", ".tif", ".gif", ".npy", ".txt", ".csv", ".wav", ".json")
_SHAPE = re.compile(r"\(([^()]*)\)")


def is_folder_name(output: str) -> bool:
    """Whether a name means a folder: it ends in a slash, has no ending, or is that of a folder."""
    return output.endswith(("/", os.sep)) or not Path(output).suffix or os.path.isdir(output)


def check_file_name(output: str, *, overwrite: bool) -> None:
    """Refuse a name that no prediction can be written to.

    Raises:
        BadSetting: if it has the ending of no format.
        NameTaken: if the file exists, may not be overwritten, and is no unfinished table of many predictions.
        BadFile: if it is in no folder, or can't be written.
    """
    path = Path(output)
    if path.suffix.lower() not in ENDINGS:
        listed = f"{', '.join(_SHOWN[:-1])} or {_SHOWN[-1]}"
        example = f"Write for example -o {quote(str(path.with_suffix('.png')))}; for many files, end it in a slash."
        raise BadSetting(f"{one_line(output)} should end in {listed}.", did_you_mean(path.suffix, ENDINGS, example))
    if _exists(path, f"{one_line(output)} could not be written") and not overwrite and not journal_of(path).exists():
        refuse_existing([path])
    _check_parent(path)


def _exists(path: Path, otherwise: str) -> bool:
    """Whether there is something of this name, even a broken link; BadFile, with ``otherwise``, if no one can say."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise BadFile(f"{otherwise}: {error.strerror}.", "Choose another name or folder.") from error
    return True


def check_folder_name(output: str) -> None:
    """Refuse the name of a folder that can't be created or written into.

    Raises:
        BadFile: if it can't.
    """
    path = Path(output)
    if not _exists(path, f"{one_line(output)} can't be a folder"):
        _check_parent(path, creates=True)
    elif not path.is_dir():
        raise BadFile(f"{output} is a file, but should be a folder.", "Choose another name.")
    elif not os.access(path, os.W_OK | os.X_OK):
        raise BadFile(f"{output} could not be written: Permission denied.", "Choose another folder.")


def _check_parent(path: Path, *, creates: bool = False) -> None:
    parent = path.parent
    while creates and not os.path.lexists(parent) and parent != parent.parent:
        parent = parent.parent
    if not parent.is_dir():
        reason = "Not a directory" if os.path.lexists(parent) else "No such file or directory"
        raise BadFile(f"{path} could not be written: {reason}.", f"Create the folder {parent}, or choose another.")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise BadFile(f"{path} could not be written: Permission denied.", "Choose another folder.")


def journal_of(path: Path) -> Path:
    """The file that records what a table of many predictions has so far."""
    return path.with_name(f".{path.name}.{JOURNAL}")


def refuse_existing(paths: Sequence[Path]) -> None:
    """Raises:
    NameTaken: if there are any.
    """
    if paths:
        more = f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
        raise NameTaken(
            f"{one_line(str(paths[0]))}{more} exist{'s' * (len(paths) == 1)}, and nothing is overwritten.",
            "Choose another name, or add --overwrite.",
        )


def check_declared(outputs: Mapping[str, str], ending: str, output: str) -> None:
    """Refuse an ending that none of the declared outputs of a model has.

    Raises:
        BadSetting: if all of them are images, clips or arrays by their shapes, and none has the ending.
    """
    kinds = [_declared_kind(text) for text in outputs.values()]
    found: list[Kind] = [kind for kind in kinds if kind is not None]
    if not kinds or len(found) < len(kinds) or ending in ("", ".json"):
        return
    known = list(dict.fromkeys(one for kind in found for one in FORMATS[kind]))
    if ending not in known and not (ending == ".csv" and "array" in found):
        named = " and ".join(f"{KINDS[kind]} as '{name}'" for name, kind in zip(outputs, found, strict=True))
        shown = ", ".join(one for one in known if one not in NOT_NAMED)
        raise BadSetting(
            f"{one_line(output)} should be {NOUNS.get(ending, ending)}, but the model predicts {named}.",
            f"Choose a name that ends in {shown} or .json.",
        )


def _declared_kind(text: str) -> Kind | None:
    """What a declared output is by its shape, ``(N, 3, H, W) in [0, 1]``; None if the text does not say."""
    found = _SHAPE.match(text)
    if not found:
        return None
    sides = [one.strip() for one in found[1].split(",") if one.strip()]
    if len(sides) in (4, 5) and (sides[-3] in ("1", "3") or sides[-3].isalpha()):
        return "images" if len(sides) == 4 else "clips"
    if len(sides) == 2:  # an array, or a class map if it is of dtype uint8
        return None
    return "array" if sides and all(side.isalnum() for side in sides) else None
