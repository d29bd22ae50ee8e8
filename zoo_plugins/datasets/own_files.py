"""What the datasets of a user's own files have in common: what is left out, converted or refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import zoo_core as zoo
from zoo_plugins.datasets.white import check_depth as check_depth

_SHOWN = 3


def visible(folder: Path) -> list[Path]:
    """The entries of a folder without hidden ones, such as the ``._NAME`` that macOS writes beside each file."""
    return [entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.name != "__MACOSX"]


def left_out(folder: Path, used: Iterable[Path]) -> list[Path]:
    """The entries of a folder that are neither hidden nor ``used``."""
    known = set(used)
    return [entry for entry in visible(folder) if entry not in known]


def counted(entries: Sequence[Path]) -> str:
    """Entries counted by their ending: ``2 files ending in .tif, 1 sub-folder``."""
    endings = Counter(entry.suffix.lower() for entry in entries if not entry.is_dir())
    parts = [
        f"{count} file{'s' * (count > 1)} {f'ending in {ending}' if ending else 'without an ending'}"
        for ending, count in sorted(endings.items())
    ]
    folders = sum(entry.is_dir() for entry in entries)
    return ", ".join(parts + [f"{folders} sub-folder{'s' * (folders > 1)}"] * (folders > 0))


def listed(names: Sequence[str], most: int = _SHOWN) -> str:
    """The first few names."""
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


OTHER_IMAGES = (".jp2", ".avif", ".heic", ".jxl", ".exr", ".tga")
VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".m4v")


ARCHIVES = (".zip", ".tar", ".tgz", ".rar", ".7z")
_ARRAYS_OF_OTHERS = (
    ".parquet",
    ".arrow",
    ".h5",
    ".hdf5",
    ".mat",
    ".tfrecord",
    ".tfrecords",
    ".pkl",
    ".pickle",
    ".lmdb",
)
_VOLUMES = (".nii", ".nii.gz", ".dcm", ".nrrd", ".mha", ".mhd", ".czi", ".nd2", ".svs", ".ndpi")
TABLES = (".csv", ".tsv")
_SIDECARS = (".json", ".xml", ".txt", ".mat")


def how_to_read(entries: Sequence[Path], otherwise: str) -> str:
    """What to do about entries that are in none of the forms that are read: also archives, volumes and tables."""
    if hint := how_to_convert(entries, ""):
        return hint
    by_ending: dict[str, Path] = {}
    for entry in entries:
        by_ending.setdefault(_ending(entry), entry)
    for endings, hint in (
        (ARCHIVES, "Unpack {name}, and give the folder with its content."),
        (
            _VOLUMES,
            "Save the slices of the files ending in {ending} as PNG or TIFF, or a volume as a TIFF of its pages.",
        ),
        (_ARRAYS_OF_OTHERS, "Save the images and masks in the files ending in {ending} as PNG."),
        (TABLES, "If {name} says the class of each image, put the images of each class into a folder of its own."),
    ):
        for ending in endings:
            if ending in by_ending:
                return hint.format(name=by_ending[ending].name, ending=ending)
    return otherwise


def _ending(path: Path) -> str:
    return ".nii.gz" if path.name.lower().endswith(".nii.gz") else path.suffix.lower()


def annotation_files(folder: Path, images: Sequence[Path]) -> list[Path]:
    """Files of text that have the names of images, as the annotations of LabelMe, YOLO and PASCAL VOC have."""
    stems = {image.stem for image in images}
    found = [path for path in folder.rglob("*") if path.suffix.lower() in _SIDECARS and path.stem in stems]
    return sorted((path for path in found if path.is_file()), key=zoo.natural_key)


def how_to_convert(entries: Sequence[Path], otherwise: str) -> str:
    """What to do about entries that were left out, if they are images or videos of formats that are not read."""
    endings = {entry.suffix.lower() for entry in entries if not entry.is_dir()}
    images, videos = sorted(endings.intersection(OTHER_IMAGES)), sorted(endings.intersection(VIDEO_SUFFIXES))
    if images:
        return f"Convert the files ending in {' and '.join(images)} to PNG."
    if ".npy" in endings:
        return "Save the arrays in the files ending in .npy as PNG."
    if videos:
        return f"Save the frames of the files ending in {' and '.join(videos)} as PNG, a sub-folder for each."
    return otherwise


def check_channels(files: Sequence[Path], facts: Sequence[zoo.ImageFacts], channels: int) -> None:
    """Refuse images that do not have the channels: 0 for gray or RGB, or the number of channels as they are stored.

    Raises:
        zoo.BadFile: the message names a file.
    """
    for file, one in zip(files, facts, strict=True):
        if channels and one.bands != channels:
            raise zoo.BadFile(
                f"{file} has {one.bands} channel{'s' * (one.bands > 1)}, but dataset.channels is {channels}.",
                f"Write `dataset.channels={one.bands}` if all images have as many; leave it out for gray and RGB.",
            )
        if not channels and one.channels not in (1, 3) and one.channels == one.bands:
            raise zoo.BadFile(
                f"{file} has {one.channels} channels, which are neither gray nor RGB.",
                f"Write `dataset.channels={one.channels}` to use all of its channels, or save those that are meant.",
            )


def conversions(files: Sequence[Path], facts: Sequence[zoo.ImageFacts], channels: int) -> list[str]:
    """What reading changes in some of the images, a phrase each."""
    gray = [file.name for file, one in zip(files, facts, strict=True) if one.channels == 1]
    transparent = [file.name for file, one in zip(files, facts, strict=True) if one.transparent]
    cmyk = [file.name for file, one in zip(files, facts, strict=True) if one.channels == 4 and one.bands == 3]
    notes = []
    if 0 < len(gray) < len(files) and channels in (1, 3):
        kind = "RGB" if channels == 3 else "gray"
        notes.append(f"{len(gray)} of {len(files)} images are gray and the others have colors; all are read as {kind}")
    if transparent and channels in (1, 3):
        notes.append(f"transparent pixels of {len(transparent)} images are blended with black ({listed(transparent)})")
    if cmyk:
        notes.append(f"{len(cmyk)} CMYK images are converted without their color profile ({listed(cmyk)})")
    return notes
