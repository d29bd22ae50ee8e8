"""Which URLs may be downloaded from, and whether downloads are allowed at all."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def is_offline(*variables: str) -> bool:
    """Whether downloads are disabled by ``ZOO_OFFLINE=1``, or by another one of the environment ``variables``."""
    values = [os.environ.get(name, "") for name in ("ZOO_OFFLINE", *variables)]
    return any(value.lower() not in ("", "0", "false", "no", "off") for value in values)


def is_safe(url: str, given: str) -> bool:
    """Whether to follow ``url``, to which ``given`` redirects: https, or http from this machine to itself."""
    scheme, host = _scheme_and_host(url)
    return scheme == "https" or (scheme == "http" and {host, _scheme_and_host(given)[1]} <= _LOOPBACK)


def without_secrets(url: str) -> str:
    """``url`` without user, password and query, which may be secret."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.partition("?")[0]
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _scheme_and_host(url: str) -> tuple[str, str | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname
    except ValueError:
        return "", None
