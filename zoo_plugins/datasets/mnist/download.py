"""Files of the MNIST database from the network, whole or not at all."""

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

_SECONDS_OF_SILENCE = 15


class NotReached(Exception):
    """No mirror sent the whole file. The message says why, in one line."""


def download(sums: Mapping[str, str], root: Path, folder: Path) -> dict[str, bytearray]:
    """Bring the files named in ``sums`` into ``folder``, which lies below ``root``; return their contents.

    They are put there only when all have come and their contents have the given MD5 sums. Processes that do
    this at once each bring their own copy, and the last one stays.

    Raises:
        NotReached: if no mirror sends a file, or all break off.
        zoo.ZooError: if a mirror sends something else, or ``root`` can't be written.
    """
    contents = {}
    try:
        root.mkdir(parents=True, exist_ok=True)
        # below the root, so that os.replace stays on one file system
        with tempfile.TemporaryDirectory(prefix=".mnist-", dir=root) as temporary:
            for name, md5 in sums.items():
                contents[name] = _from_a_mirror(f"{name}.gz", md5, Path(temporary))
            folder.mkdir(parents=True, exist_ok=True)
            for name in sums:
                os.replace(Path(temporary, f"{name}.gz"), folder / f"{name}.gz")
    except OSError as error:
        raise zoo.ZooError(
            f"the data root {root} can't be written: {error.strerror}.",
            "Set ZOO_DATA or dataset.root to a folder you can write to, or type `dataset.source=subset`.",
        ) from error
    return contents


def _from_a_mirror(file_name: str, md5: str, folder: Path) -> bytearray:
    """The content of ``file_name``, from the first mirror that sends it whole."""
    from torchvision.datasets import MNIST  # 1.4 s that only a download needs

    reasons, altered = [], []
    for mirror in MNIST.mirrors:
        url, path = f"{mirror}{file_name}", folder / file_name
        try:
            _fetch(url, path)
        except NotReached as error:
            reasons.append(f"{urlsplit(url).netloc}: {error}")
            continue
        unpacked = idx.unpack(path)
        if unpacked.md5 == md5:
            return unpacked.content
        if unpacked.breaks_off:
            reasons.append(f"{urlsplit(url).netloc}: the transfer broke off")
        else:
            altered.append(f"{url} sends another file: its decompressed content has MD5 {unpacked.md5}, not {md5}.")
    if altered:
        raise zoo.ZooError(
            f"{altered[0]} Nothing was kept.",
            "Try again from another network, or type `dataset.source=subset`.",
        )
    raise NotReached(" ".join("; ".join(reasons).split()))


def _fetch(url: str, path: Path) -> None:
    """Download ``url`` to ``path`` with torchvision, which does not notice a transfer that breaks off.

    Raises:
        NotReached: if the server or the network fails.
        OSError: if ``path`` can't be written.
    """
    import ssl
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError

    from torchvision.datasets.utils import download_url

    path.unlink(missing_ok=True)  # torchvision takes any file that lies there for the one it should bring
    try:
        with _timeout(_SECONDS_OF_SILENCE):
            # no sum is given: torchvision would check the packed file
            download_url(url, path.parent, path.name)
    except HTTPError as error:
        error.close()
        raise NotReached(str(error)) from error
    except (URLError, HTTPException, ConnectionError, TimeoutError, ssl.SSLError, RuntimeError) as error:
        plain = error.reason if isinstance(error, URLError) else error
        raise NotReached(getattr(plain, "strerror", None) or str(plain) or type(plain).__name__) from error


@contextmanager
def _timeout(seconds: float) -> Iterator[None]:
    """Sockets opened inside give up after ``seconds`` of silence; torchvision has no other way to say so."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
