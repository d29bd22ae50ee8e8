"""A fixture with Chromium, for tests of web pages: `from browser import chromium  # noqa: F401`."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = [
    "--no-sandbox",  # not supported for root, as in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def chromium() -> Iterator:
    """Playwright's ``Browser`` with an installed Chromium: ``chromium.new_page(viewport=…)``.

    Uses ``$ZOO_CHROMIUM``, or the one on the path. If there is none, tests are skipped, or fail if
    ``$ZOO_REQUIRE_CHROMIUM`` is set.
    """
    program = _program()
    if program is None:
        missing = "Chromium was not found: install it, or set ZOO_CHROMIUM to its path"
        if os.environ.get("ZOO_REQUIRE_CHROMIUM"):
            pytest.fail(missing)
        pytest.skip(missing)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, headless=True, args=_FLAGS)
        yield browser
        browser.close()


def _program() -> str | None:
    path = os.environ.get("ZOO_CHROMIUM")
    if path:
        return path if Path(path).is_file() else None
    return next((found for found in map(shutil.which, _NAMES) if found), None)
