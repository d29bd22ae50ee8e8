"""Files that list the images of each split: ``train.txt`` with an image and its mask on each line, or with names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import zoo_core as zoo
from zoo_plugins.datasets.mask_folders import list_folder
from zoo_plugins.datasets.mask_names import SPLITS, normalized
from zoo_plugins.datasets.mask_pairs import IMAGE_SUFFIXES, MASK_SUFFIXES, Pair

_FOLDERS = (".", "ImageSets/Segmentation", "ImageSets", "splits", "split", "lists", "list")
_SUFFIXES = (".txt", ".lst", ".csv")
_HEADER = re.compile(r"^(image|img|file|filename|name|id|path)s?\b", re.IGNORECASE)


@dataclass(frozen=True)
class ListFile:
    """The lines of a list, with their numbers."""

    path: Path
    name: str
    split: str
    lines: list[tuple[int, str]]


def find_lists(root: Path) -> list[ListFile]:
    """The lists of the first folder that has any.

    Raises:
        zoo.ZooError: if one of them is no text, or two are for one split.
    """
    for name in _FOLDERS:
        folder = root / name
        files = [path for path in list_folder(folder) if path.is_file()] if folder.is_dir() else []
        files = [path for path in files if path.suffix.lower() in _SUFFIXES]
        found = {path: SPLITS[path.stem.lower()] for path in files if path.stem.lower() in SPLITS}
        if "train" in found.values():
            for path, split in found.items():
                twin = next(other for other in found if found[other] == split)
                if twin is not path:
                    raise zoo.ZooError(
                        f"{folder} contains {twin.name} and {path.name}, two lists for {split}.",
                        "Remove one of them.",
                    )
            lists = [
                ListFile(path, path.relative_to(root).as_posix(), split, _read(path)) for path, split in found.items()
            ]
            return [one for one in lists if one.lines]
    return []


def _read(path: Path) -> list[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise zoo.BadFile(
            f"{path} can't be read as a list of images: {error}.", "Save it as UTF-8 text, or rename it."
        ) from error
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if lines and path.suffix.lower() == ".csv" and _HEADER.match(lines[0][1]):
        return lines[1:]
    return lines


def apply_lists(
    root: Path, lists: Sequence[ListFile], pairs: Mapping[Pair, str | None]
) -> dict[str, list[Pair]] | None:
    """The pairs of each split that has a list, with the splits of the ``pairs`` by their folders; None without lists.

    Raises:
        zoo.ZooError: if a line names no pair, a pair is in two lists, or in the list of another split than its folder.
    """
    if not lists:
        return None
    index = _Index(root, list(pairs))
    by_split: dict[str, list[Pair]] = {}
    seen: dict[Path, ListFile] = {}
    for one in sorted(lists, key=lambda one: ("train", "validation", "test").index(one.split)):
        found = list(_pairs_of(one, index))
        for pair in found:
            other = seen.setdefault(pair.image, one)
            if other is not one:
                raise zoo.ZooError(
                    f"{other.path} and {one.path} both name {pair.image}.", "Remove it from one of the lists."
                )
            folder_split = pairs.get(pair)
            if folder_split is not None and folder_split != one.split:
                raise zoo.ZooError(
                    f"two layouts fit {root}: {pair.image} is in a folder for {folder_split}, but {one.path} lists it "
                    f"for {one.split}.",
                    f"Correct {one.name}, or remove the lists to use the folders.",
                )
        if found:
            by_split[one.split] = list(dict.fromkeys(found))
    return by_split


def _pairs_of(one: ListFile, index: _Index) -> Iterator[Pair]:
    found = [(number, line, index.pair(line)) for number, line in one.lines]
    missing = [(number, line) for number, line, pair in found if pair is None]
    if len(missing) == len(found) and one.split == "test" and all(index.is_image(line) for _, line in missing):
        return  # images whose masks are not published
    if missing:
        number, line = missing[0]
        more = f", and {len(missing) - 1} more lines do not either" if len(missing) > 1 else ""
        raise zoo.ZooError(
            f"{one.path}, line {number}, names no image with a mask: {line!r:.200}{more}.",
            "Write `IMAGE MASK` or the name of an image on each line, or rename the list if it is for something else.",
        )
    yield from (pair for _, _, pair in found if pair is not None)


class _Index:
    """Finds the pair that a line names, in the folders and among the known pairs."""

    def __init__(self, root: Path, pairs: Sequence[Pair]) -> None:
        self.root = root
        self._by_tail: dict[str, set[Pair]] = {}
        for pair in pairs:
            relative = PurePosixPath(normalized(pair.image.relative_to(root).as_posix()))
            for tail in _tails(relative):
                self._by_tail.setdefault(tail, set()).add(pair)
                self._by_tail.setdefault(str(PurePosixPath(tail).with_suffix("")), set()).add(pair)

    def pair(self, line: str) -> Pair | None:
        """The pair of a line: two files, or the name of an image."""
        for words in _columns(line):
            if len(words) == 2:
                image, mask = (self._file(word) for word in words)
                if image and mask and _ends(image, IMAGE_SUFFIXES) and _ends(mask, MASK_SUFFIXES):
                    known = self._known(words[0])
                    return known if known is not None and known.masks == (mask,) else Pair(image, (mask,))
            elif (found := self._known(words[0])) is not None:
                return found
        return None

    def is_image(self, line: str) -> bool:
        """Whether a line names an image, whose mask need not be there."""
        name = _relative(_columns(line)[0][0])
        names = [name.name] if name.suffix else [f"{name}{suffix}" for suffix in IMAGE_SUFFIXES]
        folders = [self.root, *(path for path in list_folder(self.root) if path.is_dir())]
        return any((folder / one).is_file() for folder in folders for one in names)

    def _file(self, word: str) -> Path | None:
        """The file of a path, which may begin with folders of another computer."""
        relative = _relative(word)
        for tail in _tails(relative):
            if (self.root / tail).is_file() and (tail.count("/") or not relative.parts[:-1]):
                return self.root / tail
        return None

    def _known(self, word: str) -> Pair | None:
        relative = _relative(word)
        for tail in _tails(relative):
            found = self._by_tail.get(tail, set())
            if len(found) == 1 and (tail.count("/") or not relative.parts[:-1]):
                return next(iter(found))
        return None


def _columns(line: str) -> list[list[str]]:
    """The ways to read a line: as one name, which may contain spaces, or as two columns."""
    ways = [[line]]
    for separator in ("\t", ";", ",", None):
        words = [word.strip().strip('"') for word in line.split(separator)]
        words = [word for word in words if word]
        if len(words) == 2:
            ways.append(words)
    return ways


def _relative(word: str) -> PurePosixPath:
    return PurePosixPath(normalized(word.replace("\\", "/").lstrip("/")))


def _tails(path: PurePosixPath) -> Iterator[str]:
    """The path, and what remains of it without its first folders."""
    parts = [part for part in path.parts if part != "."]
    for start in range(len(parts)):
        yield "/".join(parts[start:])


def _ends(path: Path, suffixes: Sequence[str]) -> bool:
    return path.suffix.lower() in suffixes
