"""The local files of published weights: their paths, downloading, verification and removal."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from zoo_core.config.naming import are_same, file_name
from zoo_core.config.paths import weights_folder
from zoo_core.errors import BadFile, one_line
from zoo_core.files import move_synced
from zoo_core.registry.weights_index import Entry
from zoo_core.weights.hashing import check
from zoo_core.weights.header import Header, read_header

if TYPE_CHECKING:
    from zoo_core.registry.catalog import Catalog


def local_path(entry: Entry) -> Path:
    """The path of the file of ``entry`` on this machine, whether it is downloaded yet or not.

    The names of downloaded files contain the first digits of their SHA-256.
    """
    if not entry.is_remote:
        return entry.path
    return weights_folder() / f"{file_name(entry.name)}.{(entry.listed.sha256 or '')[:12]}.safetensors"


def fetch(entry: Entry, catalog: Catalog, again: bool = False) -> Path:
    """The path of the file of ``entry``, which is downloaded if necessary.

    Its SHA-256 is verified at every call. With ``again`` the hash is computed even if it is cached.

    Raises:
        BadFile: if the file cannot be downloaded or read, or is not the one that was published.
    """
    path = local_path(entry)
    if entry.is_remote and not path.is_file():
        _fetch(entry, path, catalog)
    if not path.exists():
        raise BadFile(f"weights '{entry.name}': {path} does not exist.", _hint(entry))
    compare(entry, path, again)
    return path


def compare(entry: Entry, path: Path, again: bool = False) -> None:
    """Raise BadFile if ``path`` does not have the SHA-256 and size that ``entry`` lists."""
    try:
        checked = check(path, again)
    except BadFile as error:
        raise BadFile(f"weights '{entry.name}': {error.message}", _hint(entry)) from error
    except OSError as error:
        raise BadFile(f"weights '{entry.name}': {path} can't be read: {error.strerror}.", _hint(entry)) from error
    listed = entry.listed
    if checked.sha256 != listed.sha256:
        raise BadFile(
            f"weights '{entry.name}': {path} has sha256 {checked.sha256}, but should have {listed.sha256}.",
            _hint(entry),
        )
    if listed.size is not None and checked.size != listed.size:
        raise BadFile(
            f"weights '{entry.name}': {path} has {checked.size:,} bytes, but {entry.where}says {listed.size:,}.",
            "Correct the registry file.",
        )


def refuse_other_model(entry: Entry, header: Header) -> None:
    """Raise BadFile if the header of the file names another model than ``entry``."""
    listed, actual = entry.listed.model, str(header.metadata["model"])
    if listed is not None and not are_same(listed, actual):
        raise BadFile(
            f"weights '{entry.name}': {header.path} is of model '{one_line(actual)}', "
            f"but {entry.where}says '{listed}'.",
            "Correct the registry file.",
        )


def remove(entry: Entry) -> int:
    """Delete the downloaded file of ``entry``, complete or partial, and return the number of bytes freed."""
    path, freed = local_path(entry), 0
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
            f"weights '{entry.name}' are not on this machine, and downloads are disabled.",
            f"Unset ZOO_OFFLINE and HF_HUB_OFFLINE, then run: zoo weights pull {entry.name}",
        )
    with _locked(entry, partial):
        if path.is_file():  # downloaded by another process meanwhile
            return
        _check_free_space(entry, partial)
        try:
            _download_and_verify(entry, partial, catalog)
            move_synced(partial, path)
        except BadFile:
            raise
        except OSError as error:
            raise BadFile(
                f"weights '{entry.name}' could not be written to {partial.parent}: {error.strerror or error}.",
                "Free disk space, or set ZOO_HOME to a folder on another disk.",
            ) from error


def _download_and_verify(entry: Entry, partial: Path, catalog: Catalog) -> None:
    """Download the published file to ``partial``; on failure raise BadFile and keep only what can be resumed."""
    from zoo_core.weights.download import download

    location, resumed = entry.listed.location or "", partial.is_file()
    download(location, partial, entry, catalog)
    if resumed and not _is_published(entry, partial):  # the partial file may have been of another version
        partial.unlink()
        download(location, partial, entry, catalog)
    try:
        compare(entry, partial)
        refuse_other_model(entry, read_header(partial))
    except BadFile as error:
        partial.unlink()
        raise BadFile(
            error.message.replace(str(partial), location),
            "The file was deleted. Report this to its publisher, or correct the registry file.",
        ) from error


def _is_published(entry: Entry, path: Path) -> bool:
    return check(path).sha256 == entry.listed.sha256


@contextmanager
def _locked(entry: Entry, partial: Path) -> Iterator[None]:
    """Lock a file, so that one process downloads it and the others wait; a killed process leaves no lock behind."""
    from filelock import FileLock

    lock = FileLock(f"{partial}.lock")
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise BadFile(
            f"weights '{entry.name}': {partial.parent} can't be written: {error.strerror or error}.",
            "Set ZOO_HOME to a folder that you can write to.",
        ) from error
    try:
        yield
    finally:
        lock.release()


def _check_free_space(entry: Entry, partial: Path) -> None:
    received = partial.stat().st_size if partial.is_file() else 0
    needed, free = (entry.listed.size or 0) - received, shutil.disk_usage(partial.parent).free
    if free < needed:
        raise BadFile(
            f"weights '{entry.name}' need {needed:,} bytes, but {partial.parent} has {free:,} bytes of free space.",
            "Free disk space, or set ZOO_HOME to a folder on another disk.",
        )


def _partial(path: Path) -> Path:
    return path.parent / "partial" / path.name


def _hint(entry: Entry) -> str:
    if entry.is_remote:
        return f"Download it again: zoo weights remove {entry.name} && zoo weights pull {entry.name}"
    return f"Reinstall the plugin '{entry.plugin}'." if entry.plugin else f"Correct {entry.file}."
