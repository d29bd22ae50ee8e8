"""Requirements of a demo, checked before anything heavy is imported: its packages and a free port."""

from __future__ import annotations

import socket

from zoo_core.errors import BadSetting
from zoo_core.tools import extras


def check_packages() -> None:
    """Check that the packages of the extra ``demo`` are installed.

    Raises:
        ZooError: if one is missing.
    """
    extras.check_packages("a demo", ("gradio",), "Type: pip install 'zoo-core[demo]'")


def check_free(host: str, port: int) -> None:
    """Check that the port is free and that ``host`` is an address of this machine.

    Raises:
        BadSetting: if not.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a closed connection keeps the port for a while
        try:
            probe.bind((host, port))
        except OSError as error:
            if isinstance(error, socket.gaierror):
                raise BadSetting(
                    f"--host {host} is not an address of this machine.", "Leave it out for 127.0.0.1."
                ) from None
            raise BadSetting(
                f"port {port} of {host} can't be used: {error.strerror or error}.",
                f"Type another: --port {port + 1 if port < 65535 else 7860}",
            ) from None
