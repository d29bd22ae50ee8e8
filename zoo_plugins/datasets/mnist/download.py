"""Download of the MNIST files: all of them, or none."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import zoo_core as zoo
from zoo_plugins.datasets.mnist import idx

_TIMEOUT = 15  # seconds


class DownloadFailed(Exception):
    """No mirror sent the complete file. The message is the reason, in one line."""


def download(checksums: Mapping[str, str], root: Path, folder: Path) -> dict[str, bytearray]:
    """Download the files in ``checksums`` (name to MD5) to ``folder``, which is below ``root``; return their contents.

    The files are moved to ``folder`` after all downloads are complete and their contents have the given MD5. Concurrent
    processes download separate copies; the last one overwrites the others.

    Raises:
        DownloadFailed: if no mirror sends a complete file.
        zoo.ZooError: if a mirror sends a different file, or ``root`` can't be written.
    """
    contents = {}
    try:
        root.mkdir(parents=True, exist_ok=True)
        # Below the root, since os.replace does not work across file systems.
        with tempfile.TemporaryDirectory(prefix=".mnist-", dir=root) as temporary:
            for name, md5 in checksums.items():
                contents[name] = _from_mirrors(f"{name}.gz", md5, Path(temporary))
            folder.mkdir(parents=True, exist_ok=True)
            for name in checksums:
                os.replace(Path(temporary, f"{name}.gz"), folder / f"{name}.gz")
    except OSError as error:
        raise zoo.ZooError(
            f"the data root {root} can't be written: {error.strerror}.",
            "Set ZOO_DATA or dataset.root to a writable folder, or write `dataset.source=subset`.",
        ) from error
    return contents


def _from_mirrors(file_name: str, md5: str, folder: Path) -> bytearray:
    """The decompressed content of ``file_name`` from the first mirror that sends the complete file."""
    from torchvision.datasets import MNIST  # takes 1.4 s, and only a download needs it

    reasons, mismatches = [], []
    for mirror in MNIST.mirrors:
        url, path = f"{mirror}{file_name}", folder / file_name
        try:
            _fetch(url, path)
        except DownloadFailed as error:
            reasons.append(f"{urlsplit(url).netloc}: {error}")
            continue
        unpacked = idx.unpack(path)
        if unpacked.md5 == md5:
            return unpacked.content
        if unpacked.truncated:
            reasons.append(f"{urlsplit(url).netloc}: the transfer was incomplete")
        else:
            mismatches.append(
                f"{url} sends a different file: its decompressed content has MD5 {unpacked.md5}, not {md5}."
            )
    if mismatches:
        raise zoo.ZooError(
            f"{mismatches[0]} Nothing was saved.",
            "Try again from another network, or write `dataset.source=subset`.",
        )
    raise DownloadFailed(" ".join("; ".join(reasons).split()))


def _fetch(url: str, path: Path) -> None:
    """Download ``url`` to ``path`` with torchvision, which does not detect an incomplete transfer.

    Raises:
        DownloadFailed: if the server or the network fails.
        OSError: if ``path`` can't be written.
    """
    import ssl
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError

    from torchvision.datasets.utils import download_url

    path.unlink(missing_ok=True)  # torchvision would accept any existing file
    try:
        with _timeout(_TIMEOUT):
            # Without an MD5: torchvision would compare that of the compressed file.
            download_url(url, path.parent, path.name)
    except HTTPError as error:
        error.close()
        raise DownloadFailed(str(error)) from error
    except (URLError, HTTPException, ConnectionError, TimeoutError, ssl.SSLError, RuntimeError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise DownloadFailed(getattr(reason, "strerror", None) or str(reason) or type(reason).__name__) from error


@contextmanager
def _timeout(seconds: float) -> Iterator[None]:
    """Sets the default timeout of new sockets, since torchvision has no parameter for it."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
