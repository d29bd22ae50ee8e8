"""The files that `images=FOLDER`, `images=*.png` or `images=list.txt` name."""

from __future__ import annotations

import glob
import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo_core.data.animations import SUFFIXES as ANIMATION_SUFFIXES
from zoo_core.data.arrays import SUFFIXES as ARRAY_SUFFIXES
from zoo_core.data.arrays import load_clip_arrays
from zoo_core.data.image_io import IMAGE_SUFFIXES, natural_key
from zoo_core.data.video import SUFFIXES as VIDEO_SUFFIXES
from zoo_core.errors import BadFile, one_line
from zoo_core.files import split_clip
from zoo_core.tools.predict_many.arguments import FileArgument

_LISTS = (".txt", ".lst")
_ENDINGS = {
    "image": (*IMAGE_SUFFIXES, ".npy"),
    "video": (*ANIMATION_SUFFIXES, *VIDEO_SUFFIXES, *ARRAY_SUFFIXES),
}
_STILLS = set(IMAGE_SUFFIXES) - set(ANIMATION_SUFFIXES)


@dataclass(frozen=True)
class Input:
    """A file to predict for, or a folder of frames."""

    path: Path
    name: str
    """Its path below the folder of all inputs, with slashes, which names its output."""


@dataclass(frozen=True)
class Inputs:
    """The files in natural order, and what was left out of folders."""

    files: list[Input]
    left_out: str


def find_inputs(argument: FileArgument, value: object, output: Path | None = None) -> Inputs:
    """The files that ``value`` names: a file, a folder with its sub-folders, a pattern, a list of these, or the path of
    a text file with one of them in each line. ``output`` is not looked into.

    Raises:
        BadFile: if there are none, or a path that is not in a list does not exist.
    """
    sources = [str(one) for one in value] if isinstance(value, list) else [str(value)]
    finder = _Finder(argument, output)
    found = [path for source in sources for path in finder.expand(source)]
    paths = [one for path in found for one in (_clips(path) if argument.kind == "video" else [path])]
    unique = list(dict.fromkeys(paths))
    if not unique:
        raise _nothing_found(argument, sources, finder)
    one_folder = len(sources) == 1 and finder.folders
    base = finder.folders[0] if one_folder else _common_folder(unique)
    named = sorted(((_name(path, base), path) for path in unique), key=lambda one: _key(one[0]))
    return Inputs([Input(path, name) for name, path in named], _counted(finder.left_out))


def output_names(inputs: Sequence[Input]) -> dict[str, str]:
    """The path of the output of each input, without its ending: that of the input, which has its own ending as well if
    there is another input of the same name."""
    stems = {one.name: one.name if one.path.is_dir() else _stem(Path(one.name)) for one in inputs}
    keys: dict[str, list[str]] = {}
    for name, stem in stems.items():
        keys.setdefault(unicodedata.normalize("NFC", stem).casefold(), []).append(name)
    several = {name for names in keys.values() if len(names) > 1 for name in names}
    return {name: name if name in several else stem for name, stem in stems.items()}


def _stem(name: Path) -> str:
    """The name without its ending; ``many-3`` for ``many.npy#clip=3``."""
    file, clip = split_clip(name)
    return str(file.with_suffix("")) + ("" if clip is None else f"-{clip}")


def _clips(path: Path) -> list[Path]:
    """The clips of a file of several, such as ``many.npy#clip=3``; else the path itself."""
    if path.suffix.lower() not in ARRAY_SUFFIXES:
        return [path]
    try:
        count = len(load_clip_arrays(path))
    except BadFile:  # which is said when it is read
        return [path]
    return [path.with_name(f"{path.name}#clip={number}") for number in range(count)] if count > 1 else [path]


class _Finder:
    def __init__(self, argument: FileArgument, output: Path | None) -> None:
        self.argument, self.output = argument, output
        self.folders: list[Path] = []
        self.left_out: list[Path] = []

    def expand(self, source: str, *, in_list: Path | None = None) -> Iterator[Path]:
        path = _located(source, in_list)
        if not source:
            return
        if _is_dir(path):
            if self.output and _same(path, self.output):
                raise BadFile(f"{path} is the folder of the inputs.", "Choose another folder with -o.")
            self.folders.append(path)
            yield from self._in_folder(path, set())
        elif path.suffix.lower() in _LISTS and self.argument.kind != "any" and path.is_file():
            yield from self._in_list(path)
        elif os.path.lexists(path) or in_list:  # of a list, a missing file is one that fails
            yield path
        elif glob.has_magic(source):
            found = [Path(one) for one in glob.iglob(os.path.expanduser(source), recursive=True)]
            is_clips = self.argument.kind == "video"
            yield from (one for one in found if not _is_dir(one) or (is_clips and _holds_frames(one)))
        else:
            raise BadFile(
                f"{self.argument.plural} is {one_line(source)}, which does not exist.",
                "Give a folder, a pattern such as '*.png', or a text file with a path in each line.",
            )

    def _in_list(self, path: Path) -> Iterator[Path]:
        try:
            lines = path.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
        except OSError as error:
            raise BadFile(f"{path} can't be read: {error.strerror}.", "Make it a readable text file.") from error
        for line in lines:
            if line.strip("\r\n \t"):
                found = line.rstrip("\r")
                yield from self.expand(found, in_list=path.parent)

    def _in_folder(self, folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
        try:
            status = folder.stat()
            entries = sorted((one for one in folder.iterdir() if _is_visible(one)), key=natural_key)
        except OSError as error:
            raise BadFile(f"{folder} can't be read: {error.strerror}.", "Make it a readable folder.") from error
        identity = (status.st_dev, status.st_ino)
        if identity in seen or (self.output and _same(folder, self.output)):
            return  # a link that leads back, or predictions
        seen.add(identity)
        if self.argument.kind == "video" and _holds_frames(folder):
            yield folder
            return
        endings = _ENDINGS.get(self.argument.kind)
        for entry in entries:
            if _is_dir(entry):
                yield from self._in_folder(entry, seen)
            elif endings is None or entry.suffix.lower() in endings:
                yield entry
            else:
                self.left_out.append(entry)


def _located(source: str, in_list: Path | None) -> Path:
    """The path of a source; a relative one in a list is below the folder of the list, or else the working folder.

    Raises:
        BadFile: if it is in both, and not the same.
    """
    path = Path(os.path.expanduser(source))  # Path.expanduser raises for ~.png
    if in_list is None or path.is_absolute():
        return path
    beside = in_list / path
    if os.path.lexists(beside) and os.path.lexists(path) and not _same(beside, path):
        raise BadFile(
            f"{one_line(source)} is a file in {in_list} and another one in the working folder.",
            "Write absolute paths into the list.",
        )
    return beside if os.path.lexists(beside) or not os.path.lexists(path) else path


def _same(first: Path, second: Path) -> bool:
    try:
        return os.path.samefile(first, second)
    except OSError:
        return False


def _is_dir(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def _is_visible(path: Path) -> bool:
    return not path.name.startswith(".") and path.name != "__MACOSX"


def _holds_frames(folder: Path) -> bool:
    """Whether the folder itself is a clip: it contains images, and no files that are clips."""
    endings = {file.suffix.lower() for file in folder.iterdir() if _is_visible(file) and not _is_dir(file)}
    return bool(endings & _STILLS) and not endings & set(_ENDINGS["video"])


def _common_folder(paths: Sequence[Path]) -> Path:
    return Path(os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths]))


def _name(path: Path, base: Path) -> str:
    if path == base:
        return os.path.basename(os.path.abspath(path))
    return Path(os.path.relpath(os.path.abspath(path), os.path.abspath(base))).as_posix()


def _key(name: str) -> list[Any]:
    parts = name.split("/")
    # Files before the sub-folders beside them would separate what belongs together; each part is compared by itself.
    return [natural_key(part) for part in parts]


def _counted(paths: Iterable[Path]) -> str:
    """What was left out of folders: ``2 files ending in .txt``."""
    endings = Counter(path.suffix.lower() for path in paths)
    return ", ".join(
        f"{count:,} file{'s' * (count > 1)} {f'ending in {ending}' if ending else 'without an ending'}"
        for ending, count in sorted(endings.items())
    )


def _nothing_found(argument: FileArgument, sources: Sequence[str], finder: _Finder) -> BadFile:
    given = one_line(", ".join(sources))
    endings = _ENDINGS.get(argument.kind)
    expected = f"files ending in {', '.join(endings)}" if endings else "files"
    left_out = _counted(finder.left_out)
    but = f", but {left_out}" if left_out else ""
    return BadFile(
        f"{argument.plural} is {given}, where there are no {expected}{but}."
        if given
        else f"{argument.plural} is empty.",
        "Give a folder, a pattern such as '*.png', or a text file with a path in each line.",
    )
