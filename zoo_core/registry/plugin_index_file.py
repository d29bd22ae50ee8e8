"""Reads the index of known plugins from a file or a URL, of which a copy is kept."""

from __future__ import annotations

import hashlib
import os
import shlex
import time
import warnings
from contextlib import suppress
from datetime import date
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from urllib.parse import unquote, urljoin, urlsplit

from zoo_core.config.paths import zoo_home
from zoo_core.config.urls import is_offline, is_safe, without_secrets
from zoo_core.errors import BadFile, ZooError, one_line, raised
from zoo_core.files import stat_regular, write_atomically
from zoo_core.registry.plugin_index import PluginIndex, parse

VARIABLE = "ZOO_PLUGIN_INDEX"
"""The environment variable with the path or the URL of the index."""
MOST_BYTES = 2**22
_FRESH = 24 * 3600.0  # seconds
_MAX_REDIRECTS = 5
_HINT = f"Give the path or the https:// address of an index in {VARIABLE}, or unset it."


def given_index() -> str | None:
    """The path or the URL of the user's index, if one is given."""
    return os.environ.get(VARIABLE) or None


def read_index(source: str, seconds: float = 3.0, *, refresh: bool = False) -> PluginIndex:
    """The index at ``source``, a path or a URL.

    Of a URL a copy is kept and used for a day. After that, or to ``refresh`` it, it is downloaded within ``seconds``.
    If that fails, the copy is used with a warning.

    Raises:
        BadFile: if it can't be read or downloaded, or is not an index.
    """
    if "://" not in source:
        return _read_file(Path(os.path.expanduser(source)))
    shown, copy = without_secrets(source), _copy(source)
    kept = _read_copy(copy, shown)
    if kept and not refresh and _age(copy) < _FRESH:
        return kept
    try:
        content = _download(source, seconds)
        index = parse(content, shown)
    except ZooError as error:
        if not kept:
            raise
        day = date.fromtimestamp(copy.stat().st_mtime)
        warnings.warn(f"{error.message} The copy of {day} is used.", stacklevel=2)
        return kept
    with suppress(OSError):  # without a copy, it is downloaded again
        copy.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(copy, content)
    return index


def read_without_network(source: str) -> PluginIndex | None:
    """The index at ``source`` as far as it is on this machine: the file, or the kept copy of a URL of any age."""
    if "://" in source:
        return _read_copy(_copy(source), without_secrets(source))
    return _read_file(Path(os.path.expanduser(source)))


def _read_file(path: Path) -> PluginIndex:
    size = stat_regular(path, _HINT).st_size
    if size > MOST_BYTES:
        raise BadFile(f"the plugin index {path} has {size:,} bytes, but at most {MOST_BYTES:,} are read.", _HINT)
    try:
        return parse(path.read_bytes(), str(path))
    except OSError as error:
        if isinstance(error, ZooError):
            raise
        raise BadFile(f"the plugin index {path} can't be read: {error.strerror}.", _HINT) from error


def _copy(url: str) -> Path:
    return zoo_home() / "cache" / "plugin-index" / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}.json"


def _read_copy(copy: Path, shown: str) -> PluginIndex | None:
    """The kept copy, unless there is none or it is damaged."""
    try:
        return parse(copy.read_bytes(), shown)
    except OSError:  # also BadFile
        return None


def _age(copy: Path) -> float:
    """Seconds since it was downloaded; a clock that was set back makes it old."""
    age = time.time() - copy.stat().st_mtime
    return age if age >= 0 else _FRESH


def _download(url: str, seconds: float) -> bytes:
    """The content of ``url``, within ``seconds``: the timeouts of requests are those of each read."""
    shown = without_secrets(url)
    if url.lower().startswith("file:"):
        raise BadFile(f"the plugin index {shown} is a file: address.", f"Give its path, {_path_of(url)}, instead.")
    if is_offline():
        raise BadFile(
            f"the plugin index {shown} can't be downloaded, since ZOO_OFFLINE is set.",
            f"Unset ZOO_OFFLINE, or give the path of a file in {VARIABLE}.",
        )
    ended: Queue[bytes | BaseException] = Queue()

    def work() -> None:
        try:
            ended.put(_get(url, seconds))
        except BaseException as error:  # raised below
            ended.put(error)

    Thread(target=work, daemon=True).start()
    try:
        result = ended.get(timeout=seconds)
    except Empty:
        raise _not_downloaded(shown, f"it took more than {seconds:g} s") from None
    if isinstance(result, BadFile):
        raise result
    if isinstance(result, BaseException):
        raise _not_downloaded(shown, raised(_innermost(result), 200).replace(url, shown)) from result
    return result


def _path_of(url: str) -> str:
    return shlex.quote(unquote(urlsplit(url).path))


def _not_downloaded(shown: str, reason: str) -> BadFile:
    return BadFile(f"the plugin index {shown} could not be downloaded: {reason}.", _HINT)


def _get(url: str, seconds: float) -> bytes:
    import requests

    shown, at = without_secrets(url), url
    with requests.Session() as session:
        for _ in range(_MAX_REDIRECTS + 1):
            if not is_safe(at, url):
                where = shown if at == url else f"{shown} redirects to {one_line(without_secrets(at))}, which"
                raise BadFile(f"the plugin index {where} is not https.", _HINT)
            headers = {"Accept-Encoding": "identity"}
            with session.get(at, headers=headers, stream=True, timeout=seconds, allow_redirects=False) as response:
                if response.is_redirect:
                    at = urljoin(at, response.headers["Location"])
                    continue
                if response.status_code != 200:
                    raise _not_downloaded(shown, f"{response.status_code} {one_line(response.reason)}")
                return _content(response.raw.read(MOST_BYTES + 1, decode_content=False), shown)
    raise BadFile(f"the plugin index {shown} redirects more than {_MAX_REDIRECTS} times.", _HINT)


def _content(content: bytes, shown: str) -> bytes:
    if len(content) > MOST_BYTES:
        raise BadFile(f"the plugin index {shown} has more than the {MOST_BYTES:,} bytes that are read.", _HINT)
    return content


def _innermost(error: BaseException) -> BaseException:
    """The cause, which says more than the exceptions that libraries wrap around it."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return error
