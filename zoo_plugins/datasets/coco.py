"""Annotations in the format of COCO: which images a JSON file lists, with their objects and categories."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import zoo_core as zoo
from zoo_plugins.datasets.mask_folders import list_folder
from zoo_plugins.datasets.mask_names import SPLITS, normalized

_NAME = re.compile(r"(instances|annotations?|labels|coco|train|val|valid|validation|test)\b|.*coco|instances_", re.I)
_OTHER_KINDS = ("captions_", "person_keypoints_", "image_info_", "panoptic_")
_LISTS = ("images", "annotations", "categories")
_FOLDERS = ("", "annotations", "annotation", "labels")
_HOW = "A COCO file has the lists `images`, `annotations` and `categories`."


@dataclass(frozen=True)
class CocoImage:
    """An image with its objects.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    height, width : int
        The size that the annotations are for.
    objects : list of dict
        Its annotations.
    """

    path: Path
    height: int
    width: int
    objects: list[dict[str, Any]] = field(default_factory=list, compare=False)


@dataclass(frozen=True)
class CocoFile:
    """The images and the categories, by their numbers, of a file."""

    path: Path
    split: str
    images: list[CocoImage]
    categories: dict[int, dict[str, Any]]


def find_coco(root: Path) -> list[CocoFile]:
    """The COCO files of a folder, one for each split or one for all; none if there are none.

    Raises:
        zoo.ZooError: if one is damaged, lists an image that is missing, or two are for one split.
    """
    found: dict[str, CocoFile] = {}
    for path in _candidates(root):
        content = _content(path, path.stat().st_mtime_ns)
        if content is None:
            continue
        split = _split(root, path)
        if split in found:
            raise zoo.ZooError(
                f"two layouts fit {root}: the annotations in {found[split].path.name}, and those in {path.name}.",
                "Move one of them elsewhere, or name them `train.json` and `val.json` if they are for splits.",
            )
        found[split] = _read(root, path, split, content)
    if "" in found and len(found) > 1:
        raise zoo.ZooError(
            f"two layouts fit {root}: {found[''].path} is for no split, and there are others for splits.",
            "Move it elsewhere, or name it `train.json`, `val.json` or `test.json`.",
        )
    return list(found.values())


def _candidates(root: Path) -> list[Path]:
    folders = [root / name for name in _FOLDERS]
    folders += [entry for entry in list_folder(root) if entry.is_dir() and entry.name.lower() in SPLITS]
    files = [path for folder in dict.fromkeys(folders) if folder.is_dir() for path in list_folder(folder)]
    return [
        path
        for path in files
        if path.suffix.lower() == ".json"
        and path.is_file()
        and _NAME.match(path.stem.lstrip("_"))
        and not path.name.startswith(_OTHER_KINDS)
    ]


@lru_cache(maxsize=8)
def _content(path: Path, _modified: int) -> dict[str, Any] | None:
    """The object in a JSON file if it has the lists of a COCO file."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise zoo.BadFile(
            f"{path} can't be read as JSON: {str(error)[:200]}.", "Export it again, or move it elsewhere."
        ) from error
    if not isinstance(content, dict) or not all(isinstance(content.get(name), list) for name in _LISTS):
        return None
    return content


def _split(root: Path, path: Path) -> str:
    for name in (path.stem, path.parent.name if path.parent != root else ""):
        words = re.split(r"[^a-z]+", name.lower())
        if split := next((SPLITS[word] for word in words if word in SPLITS), None):
            return split
    return ""


def _read(root: Path, path: Path, split: str, content: Mapping[str, Any]) -> CocoFile:
    categories: dict[int, dict[str, Any]] = {}
    for one in content["categories"]:
        number, name = _field(one, "id", int, path, "category"), _field(one, "name", str, path, "category")
        if number in categories or any(name == other["name"] for other in categories.values()):
            raise zoo.BadFile(f"{path} has the category {number}, {name!r}, twice.", "Correct the file.")
        categories[number] = one
    bases = _bases(root, path, split)
    images: dict[Any, CocoImage] = {}
    names: set[Path] = set()
    for one in content["images"]:
        number = _field(one, "id", (int, str), path, "image")
        file = _image_file(path, bases, _field(one, "file_name", str, path, "image"))
        height, width = (_field(one, side, int, path, "image") for side in ("height", "width"))
        if number in images or file in names:
            raise zoo.BadFile(f"{path} lists the image {number}, {file.name}, twice.", "Remove one of them.")
        if height < 1 or width < 1 or height * width > 2**30:
            raise zoo.BadFile(f"{path} says that {file.name} has {height} x {width} pixels.", "Correct the file.")
        names.add(file)
        images[number] = CocoImage(file, height, width)
    for one in content["annotations"]:
        image = images.get(_field(one, "image_id", (int, str), path, "annotation"))
        category = _field(one, "category_id", int, path, "annotation")
        if image is None or category not in categories:
            unknown = f"the image {one['image_id']}" if image is None else f"the category {category}"
            raise zoo.BadFile(
                f"{path}: the annotation {one.get('id', '')} is for {unknown}, which is not listed.",
                "Correct the file.",
            )
        image.objects.append(one)
    ordered = sorted(images.values(), key=lambda one: zoo.natural_key(one.path))
    return CocoFile(path, split, ordered, dict(sorted(categories.items())))


def _field(record: Any, name: str, kind: Any, path: Path, what: str) -> Any:
    value = record.get(name) if isinstance(record, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise zoo.BadFile(f"{path}: an entry of {what} has no valid `{name}`: {str(record)[:100]}.", _HOW)
    return value


def _bases(root: Path, path: Path, split: str) -> list[Path]:
    """The folders that names of images may begin in."""
    suffix = re.sub(r"^(instances|annotations?|coco)[-_]?", "", path.stem.lstrip("_"), flags=re.I)
    below = [suffix, split, *[name for name, said in SPLITS.items() if split and said == split], ""]
    bases = [path.parent, *[folder / name for folder in (root / "images", root / "data", root) for name in below]]
    return [base for base in dict.fromkeys(bases) if base.is_dir()]


def _image_file(path: Path, bases: Sequence[Path], name: str) -> Path:
    relative = PurePosixPath(name.replace("\\", "/"))
    if relative.is_absolute() or ".." in relative.parts or re.match(r"[A-Za-z]:|\w+://", name) or "\0" in name:
        raise zoo.BadFile(
            f"{path} lists the image {name!r:.200}, which is outside of the folder.",
            "Write names that are relative to the folder of the images.",
        )
    for base in bases:
        for spelled in (str(relative), normalized(str(relative))):
            if (base / spelled).is_file():
                return base / spelled
    raise zoo.BadFile(
        f"{path} lists the image {name!r:.200}, which is not in {bases[0]}, nor in {bases[-1]} or its `images`.",
        "Put the images there, or remove the entry from the file.",
    )
