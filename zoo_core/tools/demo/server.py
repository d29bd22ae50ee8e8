"""A page on this machine: on loopback unless told, without telemetry, sharing, or anything fetched from elsewhere."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Awaitable, Callable, Sequence
from tempfile import TemporaryDirectory
from typing import Any

from zoo_core.tools.demo.predict import MOST_BYTES
from zoo_core.tools.demo.source import Source

# What the page may load: this server, and what it carries in itself. A browser refuses the rest.
_POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; connect-src 'self' data: blob:"
)

_SECONDS_TO_CLOSE = 2


class Server:
    """Shows the page of ``sources`` from now on. ``address`` is where; ``wait`` deletes uploads."""

    def __init__(self, sources: Sequence[Source], host: str, port: int) -> None:
        self._uploads = TemporaryDirectory(prefix="zoo-demo-")
        _settle(self._uploads.name)
        from zoo_core.tools.demo import page

        self._page = page.build(sources)
        _, self.address, _ = self._page.launch(
            server_name=host,
            server_port=port,
            share=False,
            inbrowser=False,
            prevent_thread_lock=True,
            quiet=True,
            max_file_size=MOST_BYTES,
            app_kwargs={"middleware": [_middleware()]},
            ssr_mode=False,
            mcp_server=False,
            enable_monitoring=False,
            run_history=False,
            footer_links=[],
            theme=page.theme(),
            css=page.CSS,
        )

    def wait(self) -> None:
        """Until KeyboardInterrupt."""
        try:
            threading.Event().wait()
        finally:
            # Pages that are open hold connections: Gradio waits five seconds for them and uvicorn for ever, in threads
            # that Python waits for. What is cut off is no error of anybody's.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            self._page.server.config.timeout_graceful_shutdown = _SECONDS_TO_CLOSE
            self._page.close(verbose=False)
            self._uploads.cleanup()


def _settle(folder: str) -> None:
    """What Gradio reads from the environment as it is imported."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = folder
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


def _middleware() -> Any:
    from starlette.middleware import Middleware

    return Middleware(_Policy)


class _Policy:
    """Adds the policy to every answer."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                added = [(b"content-security-policy", _POLICY.encode()), (b"referrer-policy", b"no-referrer")]
                message["headers"] = [*message.get("headers", []), *added]
            await send(message)

        await self._app(scope, receive, sent)
