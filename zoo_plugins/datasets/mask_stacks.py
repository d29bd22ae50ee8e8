"""Files of several pages: a TIFF of slices, and a TIFF of their masks beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import zoo_core as zoo
from zoo_plugins.datasets.mask_names import SPLITS, stem
from zoo_plugins.datasets.mask_pairs import Pair

_SUFFIXES = (".tif", ".tiff")
_PAGE = "#page="
_PART = re.compile(r"#(page|image)=\d+$")


def is_part(path: Path) -> bool:
    """Whether a path names a page of a stack, or an image of a file of annotations."""
    return _PART.search(path.name) is not None and not path.exists()


def file_of(path: Path) -> Path:
    """The file of a path that names a part of it."""
    return path.with_name(_PART.sub("", path.name))


def is_stack(path: Path) -> bool:
    """Whether a file is a TIFF of several pages."""
    return path.suffix.lower() in _SUFFIXES and zoo.clip_shape(path)[0] > 1


def sliced(by_split: Mapping[str, Sequence[Pair]]) -> tuple[dict[str, list[Pair]], list[str]]:
    """The pairs with a pair for each page of a stack, and a note on them.

    If no split is given and the names of stacks say several, as ``train-volume.tif`` and ``val-volume.tif``, they are
    those splits.

    Raises:
        zoo.BadFile: if a stack and its masks have different numbers of pages.
    """
    stacks = {pair.image for pairs in by_split.values() for pair in pairs if is_stack(pair.image)}
    if not stacks:
        return {split: list(pairs) for split, pairs in by_split.items()}, []
    if list(by_split) == [""]:
        by_split = _by_name(by_split[""])
    found = {split: [page for pair in pairs for page in _pages(pair, stacks)] for split, pairs in by_split.items()}
    number = sum(page.image.name.count(_PAGE) for pairs in found.values() for page in pairs)
    return found, [f"the {number} pages of {len(stacks)} TIFF file{'s' * (len(stacks) > 1)} are separate images"]


def _by_name(pairs: Sequence[Pair]) -> dict[str, list[Pair]]:
    found: dict[str, list[Pair]] = {}
    for pair in pairs:
        found.setdefault(split_in_name(pair.image), []).append(pair)
    return {"": list(pairs)} if "" in found or len(found) < 2 else found


def split_in_name(path: Path) -> str:
    """The split that a word of a file name says, or nothing."""
    words = re.split(r"[^a-z]+", stem(path).lower())
    return next((SPLITS[word] for word in words if word in SPLITS), "")


def _pages(pair: Pair, stacks: set[Path]) -> list[Pair]:
    if pair.image not in stacks:
        return [pair]
    count = zoo.clip_shape(pair.image)[0]
    for mask in pair.masks:
        if (other := zoo.clip_shape(mask)[0] if mask.suffix.lower() in _SUFFIXES else 1) != count:
            raise zoo.BadFile(
                f"{pair.image} has {count} pages, but its mask {mask} has {other}.",
                "Give a mask for each page, in a TIFF with as many pages.",
            )
    return [Pair(page(pair.image, number), tuple(page(mask, number) for mask in pair.masks)) for number in range(count)]


def page(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}{_PAGE}{number}")
