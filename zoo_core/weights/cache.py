"""From an entry to its file on this machine: where it lies, fetched if it must be, and what was published."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from zoo_core.config.paths import weights_folder
from zoo_core.errors import BadFile, one_line
from zoo_core.files import move_synced
from zoo_core.registry.weights_index import Entry
from zoo_core.weights.hashing import check
from zoo_core.weights.header import Header, read_header

if TYPE_CHECKING:
    from zoo_core.registry.catalog import Catalog


def place(entry: Entry) -> Path:
    """Where the file of ``entry`` lies, or will lie once it is fetched: its name holds the first part of its hash."""
    if not entry.is_remote:
        return entry.path
    return weights_folder() / f"{entry.name}.{(entry.listed.sha256 or '')[:12]}.safetensors"


def fetch(entry: Entry, catalog: Catalog, again: bool = False) -> Path:
    """The file of ``entry``, fetched if it is not here. Its SHA-256 is compared every time; ``again`` reads it anew.

    Raises:
        BadFile: if it can't be had, or is not the file that was published.
    """
    path = place(entry)
    if entry.is_remote and not path.is_file():
        _fetch(entry, path, catalog)
    if not path.exists():
        raise BadFile(f"weights '{entry.name}': {path} does not exist.", _cure(entry))
    compare(entry, path, again)
    return path


def compare(entry: Entry, path: Path, again: bool = False) -> None:
    """Raises BadFile if ``path`` is not the file that ``entry`` describes."""
    try:
        checked = check(path, again)
    except BadFile as error:
        raise BadFile(f"weights '{entry.name}': {error.message}", _cure(entry)) from error
    except OSError as error:
        raise BadFile(f"weights '{entry.name}': {path} can't be read: {error.strerror}.", _cure(entry)) from error
    listed = entry.listed
    if checked.sha256 != listed.sha256:
        raise BadFile(
            f"weights '{entry.name}': {path} has sha256 {checked.sha256}, but should have {listed.sha256}.",
            _cure(entry),
        )
    if listed.size is not None and checked.size != listed.size:
        raise BadFile(
            f"weights '{entry.name}': {path} has {checked.size:,} bytes, but {entry.where}says {listed.size:,}.",
            "Correct the registry file.",
        )


def refuse_other_model(entry: Entry, header: Header) -> None:
    """Raises BadFile if the published file ``header`` is not weights of the model that its ``entry`` names."""
    listed, held = entry.listed.model, str(header.metadata["model"])
    if listed is not None and listed.rpartition("/")[2] != held.rpartition("/")[2]:
        raise BadFile(
            f"weights '{entry.name}': {header.path} is of model '{one_line(held)}', but {entry.where}says '{listed}'.",
            "Correct the registry file.",
        )


def remove(entry: Entry) -> int:
    """Delete what was fetched of ``entry``, whole or in part; gives the bytes that are free now."""
    path, freed = place(entry), 0
    for file in (path, _partial(path)):
        if entry.is_remote and file.is_file():
            freed += file.stat().st_size
            file.unlink()
    if entry.is_remote:
        from zoo_core.weights.download import hub_folder

        shutil.rmtree(hub_folder(_partial(path)), ignore_errors=True)  # left by a process that was killed
    return freed


def _fetch(entry: Entry, path: Path, catalog: Catalog) -> None:
    from zoo_core.weights.download import is_offline

    location, partial = entry.listed.location or "", _partial(path)
    if is_offline(location):
        raise BadFile(
            f"weights '{entry.name}' are not on this machine, and fetching is switched off.",
            "Unset ZOO_OFFLINE and HF_HUB_OFFLINE, or fetch them where there is a network: "
            f"zoo weights pull {entry.name}",
        )
    with _alone(entry, partial):
        if path.is_file():  # another process was faster
            return
        _refuse_if_no_room(entry, partial)
        try:
            _bring_whole(entry, partial, catalog)
            move_synced(partial, path)
        except BadFile:
            raise
        except OSError as error:
            raise BadFile(
                f"weights '{entry.name}' could not be written to {partial.parent}: {error.strerror or error}.",
                "Make room, or let ZOO_HOME be a folder on another disk.",
            ) from error


def _bring_whole(entry: Entry, partial: Path, catalog: Catalog) -> None:
    """Let ``partial`` be the file that was published, or raise BadFile and leave at most a beginning of it."""
    from zoo_core.weights.download import bring

    location, begun = entry.listed.location or "", partial.is_file()
    bring(location, partial, entry, catalog)
    if begun and not _is_published(entry, partial):  # its beginning may have been of another file
        partial.unlink()
        bring(location, partial, entry, catalog)
    try:
        compare(entry, partial)
        refuse_other_model(entry, read_header(partial))
    except BadFile as error:
        partial.unlink()
        raise BadFile(
            error.message.replace(str(partial), location),
            "Nothing was kept. Tell whoever published it, or correct the registry file.",
        ) from error


def _is_published(entry: Entry, path: Path) -> bool:
    return check(path).sha256 == entry.listed.sha256


@contextmanager
def _alone(entry: Entry, partial: Path) -> Iterator[None]:
    """One process at a time fetches a file; the others wait for it. A killed process leaves no lock behind."""
    from filelock import FileLock

    lock = FileLock(f"{partial}.lock")
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise BadFile(
            f"weights '{entry.name}': {partial.parent} can't be written: {error.strerror or error}.",
            "Let ZOO_HOME be a folder of yours.",
        ) from error
    try:
        yield
    finally:
        lock.release()


def _refuse_if_no_room(entry: Entry, partial: Path) -> None:
    begun = partial.stat().st_size if partial.is_file() else 0
    needed, free = (entry.listed.size or 0) - begun, shutil.disk_usage(partial.parent).free
    if free < needed:
        raise BadFile(
            f"weights '{entry.name}' need {needed:,} bytes, but {partial.parent} has room for {free:,}.",
            "Make room, or let ZOO_HOME be a folder on another disk.",
        )


def _partial(path: Path) -> Path:
    return path.parent / "partial" / path.name


def _cure(entry: Entry) -> str:
    if entry.is_remote:
        return f"Fetch it anew: zoo weights remove {entry.name} && zoo weights pull {entry.name}"
    return f"Reinstall the plugin '{entry.plugin}'." if entry.plugin else f"Correct {entry.file}."
