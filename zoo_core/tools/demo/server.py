"""The server of the page: without telemetry, sharing, or resources from other servers."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import Any

from zoo_core.engine.shutdown import RESTORING, working
from zoo_core.tools.demo.guard import Guard
from zoo_core.tools.demo.predict import MAX_BYTES
from zoo_core.tools.demo.source import Source

_SECONDS_TO_CLOSE = 2


class Server:
    """Serves the page of ``sources`` at ``address``, starting at once; ``wait`` blocks, and deletes the uploads."""

    def __init__(self, sources: Sequence[Source], host: str, port: int) -> None:
        self._uploads = TemporaryDirectory(prefix="zoo-demo-")
        _set_environment(self._uploads.name)
        from zoo_core.tools.demo import page

        self._page = page.build(sources)
        _, self.address, _ = self._page.launch(
            server_name=host,
            server_port=port,
            share=False,
            inbrowser=False,
            prevent_thread_lock=True,
            quiet=True,
            max_file_size=MAX_BYTES,
            app_kwargs={"middleware": [_middleware(host, self._uploads.name, page.inputs(self._page))]},
            ssr_mode=False,
            mcp_server=False,
            enable_monitoring=False,
            run_history=False,
            footer_links=[],
            theme=page.theme(),
            css=page.CSS,
        )

    def wait(self) -> None:
        """Wait for KeyboardInterrupt, then stop the server."""
        try:
            with working(RESTORING):
                threading.Event().wait()
        finally:
            # Open pages hold connections: Gradio waits five seconds for them and uvicorn without limit, in threads that
            # Python joins at exit. The errors that uvicorn logs for the closed connections are of no use.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            self._page.server.config.timeout_graceful_shutdown = _SECONDS_TO_CLOSE
            self._page.close(verbose=False)
            self._uploads.cleanup()


def _set_environment(folder: str) -> None:
    """Set the environment variables that Gradio reads at import."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = folder
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


def _middleware(host: str, uploads: str, inputs: Sequence[int]) -> Any:
    from starlette.middleware import Middleware

    return Middleware(Guard, host, uploads, inputs)
