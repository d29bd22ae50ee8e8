"""Pair images with masks by the names of their files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import zoo_core as zoo
from zoo_plugins.datasets.mask_names import IMAGE_WORDS, MASK_WORDS, Marker, markers, stem

IMAGE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".gif", ".bmp"),
    *(".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pnm", ".pbm", ".pfm", ".npy"),
)
MASK_SUFFIXES = IMAGE_SUFFIXES
_LOSSY = (".jpg", ".jpeg")
_NONE = Marker("", True)
Key = Callable[[Path], str | None]


@dataclass(frozen=True)
class Pair:
    """An image with its mask, or with several masks of one object each."""

    image: Path
    masks: tuple[Path, ...]


@dataclass(frozen=True)
class Pairing:
    """Pairs in the natural order of the images, how their names are alike, and the files without a partner."""

    pairs: list[Pair]
    how: str
    images: list[Path] = field(default_factory=list)
    masks: list[Path] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        return bool(self.pairs) and not self.images and not self.masks


@dataclass(frozen=True)
class _Way:
    how: str
    image_key: Key
    mask_key: Key
    several: bool = False  # masks of one image


def files_in(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """The files in a folder with one of the endings, in natural order; without hidden ones."""
    files = (file for file in folder.iterdir() if not file.name.startswith("."))
    return sorted((file for file in files if file.suffix.lower() in suffixes), key=zoo.natural_key)


def pair_folders(images: Sequence[Path], masks: Sequence[Path]) -> Pairing:
    """Pairs of the images in one folder and the masks in another, by the first way that leaves none alone.

    If there is no such way, by the one that finds the most pairs.
    """
    first, *others = _ways(images, masks)
    best = _pair(images, masks, first) or Pairing([], first.how, list(images), list(masks))
    for way in others:
        if best.is_complete:
            break
        pairing = _pair(images, masks, way)
        if pairing is not None and len(pairing.pairs) > len(best.pairs):
            best = pairing
    return best


def _ways(images: Sequence[Path], masks: Sequence[Path]) -> Iterator[_Way]:
    yield _Way("of the same name", stem, stem)
    yield _Way("of the same name, except for upper and lower case", _lower, _lower)
    yield _Way("named after the file of the image", _name, lambda path: _stem_of_image_name(path))
    image_markers = [one for one in markers(IMAGE_WORDS) if all(one.key(stem(path)) is not None for path in images)]
    for mask_marker in [*_occurring(masks), _NONE]:
        for image_marker in [*image_markers, _NONE]:
            if mask_marker is image_marker:
                continue
            how = f"named {mask_marker_name(mask_marker, image_marker)}"
            key = _key_of(image_marker)
            if all(mask_marker.key(stem(path)) is not None for path in masks):
                yield _Way(how, key, _key_of(mask_marker))
            elif mask_marker.word:
                yield _Way(how, key, _numbered_key_of(mask_marker), several=True)


def pair_in_folder(files: Sequence[Path]) -> list[Pairing]:
    """The pairings of files in one folder, in which the masks are marked by a word, or the images are JPEGs."""
    found: dict[tuple[Pair, ...], Pairing] = {}
    image_files = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    for marker in _occurring(files):
        key = _numbered_key_of(marker)
        masks = [path for path in files if key(path) is not None]
        others = [path for path in image_files if key(path) is None]
        for image_marker in [_NONE, *markers(IMAGE_WORDS)]:
            if not masks or not all(image_marker.key(stem(path)) is not None for path in others):
                continue
            how = f"named {mask_marker_name(marker, image_marker)}"
            pairing = _pair(others, masks, _Way(how, _key_of(image_marker), key, several=True))
            if pairing is not None and pairing.pairs:
                found.setdefault(tuple(pairing.pairs), pairing)
    photos = [path for path in files if path.suffix.lower() in _LOSSY]
    others = [path for path in files if path.suffix.lower() in MASK_SUFFIXES and path not in photos]
    pairing = _pair(photos, others, _Way("of the same name, where the image is a JPEG", _lower, _lower))
    if pairing is not None and pairing.is_complete:
        found.setdefault(tuple(pairing.pairs), pairing)
    return _without_parts(list(found.values()))


def _occurring(files: Sequence[Path]) -> list[Marker]:
    """The markers of masks whose word occurs in a name; to read all names once for each word takes long."""
    text = "\n".join(stem(path).lower() for path in files)
    return [marker for marker in markers(MASK_WORDS) if marker.word in text]


def _without_parts(pairings: list[Pairing]) -> list[Pairing]:
    """The pairings without those whose pairs another one has as well, as `_labelids` and `_gtfine_labelids`."""
    kept: list[Pairing] = []
    for pairing in sorted(pairings, key=lambda one: (-len(one.pairs), len(one.images) + len(one.masks))):
        images = {pair.image for pair in pairing.pairs}
        masks = {mask for pair in pairing.pairs for mask in pair.masks}
        same = [
            one
            for one in kept
            if images <= {pair.image for pair in one.pairs}
            and masks <= {mask for pair in one.pairs for mask in pair.masks}
        ]
        if not same:
            kept.append(pairing)
    return kept


def _pair(images: Sequence[Path], masks: Sequence[Path], way: _Way) -> Pairing | None:
    """The pairs found by a way; None if it gives two images, or two masks of which one is expected, the same key."""
    images_by_key, masks_by_key = _by_key(images, way.image_key), _by_key(masks, way.mask_key)
    if any(len(twins) > 1 for twins in images_by_key.values()):
        return None
    if not way.several and any(len(twins) > 1 for twins in masks_by_key.values()):
        return None
    pairs = [Pair(path, tuple(masks_by_key[key])) for key, (path,) in images_by_key.items() if key in masks_by_key]
    with_mask = {pair.image for pair in pairs}
    used = {mask for pair in pairs for mask in pair.masks}
    how = way.how + ("" if all(len(pair.masks) == 1 for pair in pairs) else ", several for an image")
    return Pairing(
        pairs, how, [path for path in images if path not in with_mask], [path for path in masks if path not in used]
    )


def refuse_twins(files: Sequence[Path]) -> None:
    """Refuse two files of one folder with the same name but for the ending.

    Raises:
        zoo.ZooError: the message names them.
    """
    for first, *twins in _by_key(files, stem).values():
        if twins:
            raise zoo.ZooError(
                f"{first.parent} contains {first.name} and {twins[0].name}, two files with the name '{first.stem}'.",
                "Rename one of them and the file it is paired with.",
            )


def _by_key(paths: Sequence[Path], key_of: Key) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in paths:
        key = key_of(path)
        if key is not None:
            found.setdefault(key, []).append(path)
    return found


def mask_marker_name(mask_marker: Marker, image_marker: Marker) -> str:
    """How pairs are named, as in ``NAME and NAME_mask``."""
    image, mask = (
        f"NAME{one}" if one.word and one.at_end else f"{one}NAME" if one.word else "NAME"
        for one in (image_marker, mask_marker)
    )
    return f"{image} and {mask}"


def _lower(path: Path) -> str:
    return stem(path).casefold()


def _name(path: Path) -> str:
    return f"{stem(path)}{path.suffix}".casefold()


def _stem_of_image_name(path: Path) -> str | None:
    name = _lower(path)
    return name if name.endswith(IMAGE_SUFFIXES) else None


def _key_of(marker: Marker) -> Key:
    return lambda path: marker.key(stem(path))


def _numbered_key_of(marker: Marker) -> Key:
    def key(path: Path) -> str | None:
        found = marker.key(stem(path))
        return marker.numbered_key(stem(path)) if found is None else found

    return key
