"""Brings published files here: https by requests, hf by huggingface_hub, any other scheme by a plugin."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from zoo_core.errors import BadFile, BrokenPlugin, one_line
from zoo_core.registry.weights_index import Entry

if TYPE_CHECKING:
    import requests

    from zoo_core.registry.catalog import Catalog

CONNECT_TIMEOUT = 10.0  # seconds
READ_TIMEOUT = 60.0  # seconds between two pieces
_ATTEMPTS = 3
_REDIRECTS = 5
_PIECE = 2**14  # bytes; of a piece that breaks off nothing is kept
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def is_offline(location: str) -> bool:
    """Whether the user has switched fetching off: ``ZOO_OFFLINE=1``, and for hf:// ``HF_HUB_OFFLINE=1``."""
    names = ["ZOO_OFFLINE", *(["HF_HUB_OFFLINE"] if location.startswith("hf://") else [])]
    return any(os.environ.get(name, "").lower() not in ("", "0", "false", "no", "off") for name in names)


def bring(location: str, destination: Path, entry: Entry, catalog: Catalog) -> None:
    """Write the file at ``location`` to ``destination``, of which a beginning may be there already.

    Raises:
        BadFile: if it can't be had whole; what came is kept, to go on with the next time.
    """
    scheme = location.partition("://")[0]
    if scheme in ("https", "http"):
        _bring_by_https(location, destination, entry)
    elif scheme == "hf":
        _bring_by_hub(location, destination, entry)
    else:
        _bring_by_plugin(scheme, location, destination, entry, catalog)


def _bring_by_https(location: str, destination: Path, entry: Entry) -> None:
    import requests

    size, problem = entry.listed.size or 0, ""
    with requests.Session() as session, _progress(entry.name, size) as show:
        for _ in range(_ATTEMPTS):
            before = _length(destination)
            if before == size:
                return
            try:
                _ask_once(session, location, destination, entry, show)
            except (requests.RequestException, ValueError) as error:  # ValueError: of an address that is none
                problem = _reason(error)
            if _length(destination) == before:  # nothing more came: asking at once will not help
                break
    came = _length(destination)
    if came == size:
        return
    problem = problem or "the server sent no more"
    raise BadFile(
        f"weights '{entry.name}': {location} could not be fetched: {problem} ({came:,} of {size:,} bytes are here).",
        _go_on_later(entry),
    )


def _ask_once(
    session: requests.Session, location: str, destination: Path, entry: Entry, show: Callable[[int], None]
) -> None:
    begun, size = _length(destination), entry.listed.size or 0
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={begun}-"} if begun else {})}
    with _follow(session, location, headers, entry) as response:
        status = response.status_code
        other_part = status == 206 and not response.headers.get("Content-Range", "").startswith(f"bytes {begun}-")
        if begun and (status == 416 or other_part):  # the server can't go on from here: the next time it is asked anew
            destination.unlink()
            return
        if other_part:
            raise BadFile(
                f"weights '{entry.name}': {location} sends another part than was asked for.", _go_on_later(entry)
            )
        if status not in (200, 206):
            raise BadFile(
                f"weights '{entry.name}': {one_line(response.url)} answers {status} {one_line(response.reason)}.",
                _go_on_later(entry) if status >= 500 else _other_location(entry),
            )
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":  # may unpack to any size
            raise BadFile(
                f"weights '{entry.name}': {location} is sent compressed, which was not asked for.", _go_on_later(entry)
            )
        came = begun if status == 206 else 0
        with destination.open("ab" if came else "wb") as file:
            for piece in response.iter_content(_PIECE):
                came += len(piece)
                if came > size:
                    file.close()
                    destination.unlink()
                    raise BadFile(
                        f"weights '{entry.name}': {location} sends more than the {size:,} bytes it should have.",
                        "Nothing was kept. Tell whoever published it, or correct the registry file.",
                    )
                file.write(piece)
                show(came)


@contextmanager
def _follow(
    session: requests.Session, location: str, headers: dict[str, str], entry: Entry
) -> Iterator[requests.Response]:
    """The answer at the end of the redirects, each of which must lead to https again."""
    here, timeout = location, (CONNECT_TIMEOUT, READ_TIMEOUT)
    for _ in range(_REDIRECTS + 1):
        _refuse_unsafe(here, location, entry)
        response = session.get(here, headers=headers, stream=True, timeout=timeout, allow_redirects=False)
        if not response.is_redirect:
            try:
                yield response
            finally:
                response.close()
            return
        response.close()
        here = urljoin(here, response.headers["Location"])
    raise BadFile(
        f"weights '{entry.name}': {location} leads on and on to other places, and {_REDIRECTS} are the most that are "
        "followed.",
        _other_location(entry),
    )


def _refuse_unsafe(here: str, location: str, entry: Entry) -> None:
    try:
        parts = urlsplit(here)
        scheme, host = parts.scheme, parts.hostname
    except ValueError:
        scheme, host = "", None
    if scheme == "https" or (scheme == "http" and host in _LOOPBACK and urlsplit(location).hostname in _LOOPBACK):
        return
    leads = f"{location} leads to {one_line(here)}, which" if here != location else here
    raise BadFile(f"weights '{entry.name}': {leads} is not https.", "Only https:// and hf:// are fetched.")


def _bring_by_hub(location: str, destination: Path, entry: Entry) -> None:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    repository, file, revision = read_hub_location(location, entry)
    aside = hub_folder(destination)
    try:
        there = get_hf_file_metadata(hf_hub_url(repository, file, revision=revision)).size
        if there is not None and there != entry.listed.size:
            raise BadFile(
                f"weights '{entry.name}': {location} has {there:,} bytes, but should have {entry.listed.size:,}.",
                "Tell whoever published it, or correct the registry file.",
            )
        fetched = hf_hub_download(repository, file, revision=revision, local_dir=aside)
    except BadFile:
        raise
    except Exception as error:  # also those of the HTTP library under it, which is another one from version to version
        status = getattr(getattr(error, "response", None), "status_code", None)
        reason = f"the hub answers {status}" if status else _reason(error)
        private = "If it is not public, log in: hf auth login"
        cures = {401: private, 403: private, 404: _other_location(entry)}
        raise BadFile(
            f"weights '{entry.name}': {location} could not be fetched: {reason}.",
            cures.get(status or 0, _go_on_later(entry)),
        ) from error
    Path(fetched).replace(destination)
    shutil.rmtree(aside, ignore_errors=True)


def hub_folder(destination: Path) -> Path:
    """Where huggingface_hub writes what it fetches for ``destination``; gone once that is there."""
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


def _bring_by_plugin(scheme: str, location: str, destination: Path, entry: Entry, catalog: Catalog) -> None:
    for implementation in reversed(catalog.plugins.manager.hook.zoo_fetch.get_hookimpls()):
        given = {"location": location, "destination": destination, "size": entry.listed.size}
        try:
            brought = implementation.function(*(given[name] for name in implementation.argnames))
        except Exception as error:
            raise BrokenPlugin(
                f"weights '{entry.name}': the plugin '{implementation.plugin_name}' could not fetch {location}: "
                f"{type(error).__name__}: {error}"
            ) from error
        if brought is None:
            continue
        if not destination.is_file():
            raise BrokenPlugin(
                f"weights '{entry.name}': the plugin '{implementation.plugin_name}' says that it fetched {location}, "
                f"but there is no {destination}."
            )
        return
    raise BadFile(
        f"{entry.where}weights '{entry.name}': no plugin fetches {scheme}://.",
        "Install the plugin that does; zoo itself fetches https:// and hf://.",
    )


@contextmanager
def _progress(name: str, size: int) -> Iterator[Callable[[int], None]]:
    """What to call with the bytes that are here; draws a bar where a person looks on."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=size)
        yield lambda came: bar.update(task, completed=came)


def _length(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _reason(error: BaseException) -> str:
    """The innermost cause in one line: what the libraries put around it says less."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    reason, kind = one_line(str(error), 100).rstrip("."), type(error).__name__
    return reason if reason and isinstance(error, (OSError, ValueError)) else f"{kind}: {reason.removeprefix(kind)}"


def _go_on_later(entry: Entry) -> str:
    return f"Go on later: zoo weights pull {entry.name}"


def _other_location(entry: Entry) -> str:
    if entry.plugin:
        return f"A later version of the plugin '{entry.plugin}' may have another location."
    return f"Correct {entry.file}."
