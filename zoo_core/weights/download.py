"""Download published files: https:// with requests, hf:// with huggingface_hub, other schemes by plugins."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from zoo_core.config import urls
from zoo_core.errors import BadFile, BrokenPlugin, one_line, raised
from zoo_core.registry.weights_index import Entry
from zoo_core.terminal import console

if TYPE_CHECKING:
    import requests

    from zoo_core.registry.catalog import Catalog

CONNECT_TIMEOUT = 10.0  # seconds
READ_TIMEOUT = 60.0  # seconds between two chunks
_MAX_ATTEMPTS = 3
_MAX_REDIRECTS = 5
_CHUNK = 2**14  # bytes; an incomplete chunk is discarded


def is_offline(location: str) -> bool:
    """Whether downloads are disabled by ``ZOO_OFFLINE=1`` or, for hf://, by ``HF_HUB_OFFLINE=1``."""
    return urls.is_offline(*(["HF_HUB_OFFLINE"] if location.startswith("hf://") else []))


def download(location: str, destination: Path, entry: Entry, catalog: Catalog) -> None:
    """Download ``location`` to ``destination``; a partial file there is continued.

    Raises:
        BadFile: if the download is incomplete; what was received is kept, and the next call continues it.
    """
    scheme = location.partition("://")[0]
    if scheme in ("https", "http"):
        _download_https(location, destination, entry)
    elif scheme == "hf":
        _download_from_hub(location, destination, entry)
    else:
        _download_by_plugin(scheme, location, destination, entry, catalog)


def _download_https(location: str, destination: Path, entry: Entry) -> None:
    import requests

    size, reason = entry.listed.size or 0, ""
    with requests.Session() as session, _progress(entry.name, size) as report:
        for _ in range(_MAX_ATTEMPTS):
            before = _length(destination)
            if before == size:
                return
            try:
                _request(session, location, destination, entry, report)
            except (requests.RequestException, ValueError) as error:  # ValueError: of an invalid URL
                reason = _reason(error)
            if _length(destination) == before:  # no progress: an immediate retry will not help
                break
    received = _length(destination)
    if received == size:
        return
    reason = reason or "the server sent no more data"
    raise BadFile(
        f"weights '{entry.name}': {location} could not be fetched: {reason} ({received:,} of {size:,} bytes received).",
        _resume_later(entry),
    )


def _request(
    session: requests.Session, location: str, destination: Path, entry: Entry, report: Callable[[int], None]
) -> None:
    offset, size = _length(destination), entry.listed.size or 0
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={offset}-"} if offset else {})}
    with _follow(session, location, headers, entry) as response:
        status = response.status_code
        other_range = status == 206 and not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")
        if offset and (status == 416 or other_range):  # the server cannot resume; the next request starts from zero
            destination.unlink()
            return
        if other_range:
            raise BadFile(
                f"weights '{entry.name}': {location} returned another range than requested.", _resume_later(entry)
            )
        if status not in (200, 206):
            raise BadFile(
                f"weights '{entry.name}': {one_line(response.url)} returned {status} {one_line(response.reason)}.",
                _resume_later(entry) if status >= 500 else _other_location(entry),
            )
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":  # may decompress to any size
            raise BadFile(
                f"weights '{entry.name}': {location} is sent compressed, which was not requested.", _resume_later(entry)
            )
        received = offset if status == 206 else 0
        with destination.open("ab" if received else "wb") as file:
            for chunk in response.iter_content(_CHUNK):
                received += len(chunk)
                if received > size:
                    file.close()
                    destination.unlink()
                    raise BadFile(
                        f"weights '{entry.name}': {location} sends more than the listed size of {size:,} bytes.",
                        "Nothing was kept. Report this to its publisher, or correct the registry file.",
                    )
                file.write(chunk)
                report(received)


@contextmanager
def _follow(
    session: requests.Session, location: str, headers: dict[str, str], entry: Entry
) -> Iterator[requests.Response]:
    """The response after following redirects, each of which must be to https."""
    url, timeout = location, (CONNECT_TIMEOUT, READ_TIMEOUT)
    for _ in range(_MAX_REDIRECTS + 1):
        _refuse_unsafe(url, location, entry)
        response = session.get(url, headers=headers, stream=True, timeout=timeout, allow_redirects=False)
        if not response.is_redirect:
            try:
                yield response
            finally:
                response.close()
            return
        response.close()
        url = urljoin(url, response.headers["Location"])
    raise BadFile(
        f"weights '{entry.name}': {location} redirects more than {_MAX_REDIRECTS} times.",
        _other_location(entry),
    )


def _refuse_unsafe(url: str, location: str, entry: Entry) -> None:
    if urls.is_safe(url, location):
        return
    subject = f"{location} redirects to {one_line(url)}, which" if url != location else url
    raise BadFile(f"weights '{entry.name}': {subject} is not https.", "Only https:// and hf:// are supported.")


def _download_from_hub(location: str, destination: Path, entry: Entry) -> None:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    repository, file, revision = read_hub_location(location, entry)
    folder = hub_folder(destination)
    try:
        size = get_hf_file_metadata(hf_hub_url(repository, file, revision=revision)).size
        if size is not None and size != entry.listed.size:
            raise BadFile(
                f"weights '{entry.name}': {location} has {size:,} bytes, but should have {entry.listed.size:,}.",
                "Report this to its publisher, or correct the registry file.",
            )
        file_path = hf_hub_download(repository, file, revision=revision, local_dir=folder)
    except BadFile:
        raise
    except Exception as error:  # also of its HTTP library, which differs between versions
        status = getattr(getattr(error, "response", None), "status_code", None)
        reason = f"the hub returned {status}" if status else _reason(error)
        private = "If the repository is private, log in: hf auth login"
        hints = {401: private, 403: private, 404: _other_location(entry)}
        raise BadFile(
            f"weights '{entry.name}': {location} could not be fetched: {reason}.",
            hints.get(status or 0, _resume_later(entry)),
        ) from error
    Path(file_path).replace(destination)
    shutil.rmtree(folder, ignore_errors=True)


def hub_folder(destination: Path) -> Path:
    """Where huggingface_hub keeps the partial download of ``destination``; deleted when it is complete."""
    return destination.with_name(f"{destination.name}.hub")


def read_hub_location(location: str, entry: Entry) -> tuple[str, str, str | None]:
    """``hf://owner/repo/folder/file@revision`` as (owner/repo, folder/file, revision)."""
    path, _, revision = location.removeprefix("hf://").partition("@")
    parts = path.split("/")
    if len(parts) < 3 or not all(parts) or ".." in parts:
        raise BadFile(
            f"{entry.where}weights '{entry.name}': {location} should be hf://owner/repo/file@revision.",
            "Correct the registry file.",
        )
    return "/".join(parts[:2]), "/".join(parts[2:]), revision or None


def _download_by_plugin(scheme: str, location: str, destination: Path, entry: Entry, catalog: Catalog) -> None:
    for implementation in reversed(catalog.plugins.manager.hook.zoo_fetch.get_hookimpls()):
        arguments = {"location": location, "destination": destination, "size": entry.listed.size}
        try:
            result = implementation.function(*(arguments[name] for name in implementation.argnames))
        except Exception as error:
            raise BrokenPlugin(
                f"weights '{entry.name}': the plugin '{implementation.plugin_name}' could not fetch {location}: "
                f"{raised(error)}."
            ) from error
        if result is None:
            continue
        if not destination.is_file():
            raise BrokenPlugin(
                f"weights '{entry.name}': the plugin '{implementation.plugin_name}' reported that it fetched "
                f"{location}, but {destination} does not exist."
            )
        return
    raise BadFile(
        f"{entry.where}weights '{entry.name}': no plugin fetches {scheme}://.",
        "Install a plugin that does; zoo itself fetches https:// and hf://.",
    )


@contextmanager
def _progress(name: str, size: int) -> Iterator[Callable[[int], None]]:
    """A callback for the number of bytes received, which draws a progress bar in a terminal."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    screen = console(err=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=screen, disable=not screen.is_terminal) as bar:
        task = bar.add_task(name, total=size)
        yield lambda received: bar.update(task, completed=received)


def _length(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _reason(error: BaseException) -> str:
    """The innermost cause in one line; it says more than the exceptions that libraries wrap around it."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    reason, kind = one_line(str(error), 100).rstrip("."), type(error).__name__
    return reason if reason and isinstance(error, (OSError, ValueError)) else f"{kind}: {reason.removeprefix(kind)}"


def _resume_later(entry: Entry) -> str:
    return f"Resume later: zoo weights pull {entry.name}"


def _other_location(entry: Entry) -> str:
    if entry.plugin:
        return f"A later version of the plugin '{entry.plugin}' may have another location."
    return f"Correct {entry.file}."
