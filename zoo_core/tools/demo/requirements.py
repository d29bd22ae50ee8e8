"""What is asked of a demo before anything heavy is imported: its packages, and a port that is free."""

from __future__ import annotations

import socket

from zoo_core.errors import BadSetting
from zoo_core.tools import extras


def check_packages() -> None:
    """Refuse to begin without the packages of the extra ``demo``.

    Raises:
        ZooError: if one is missing.
    """
    extras.check_packages("a demo", ("gradio",), "Type: pip install 'zoo-core[demo]'")


def check_free(host: str, port: int) -> None:
    """Refuse a port that is in use, or a host that is not this machine.

    Raises:
        BadSetting: says which, and what to type.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that has just ended keeps it a while
        try:
            tried.bind((host, port))
        except OSError as error:
            if isinstance(error, socket.gaierror):
                raise BadSetting(
                    f"--host {host} is no address of this machine.", "Leave it out for 127.0.0.1."
                ) from None
            raise BadSetting(
                f"port {port} of {host} can't be used: {error.strerror or error}.",
                f"Type another: --port {port + 1 if port < 65535 else 7860}",
            ) from None
