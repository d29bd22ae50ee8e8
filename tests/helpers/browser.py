"""Chromium for tests of pages. `from browser import chromium  # noqa: F401` makes it a fixture of a test file."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = [
    "--no-sandbox",  # root, as in a container, has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def chromium() -> Iterator:
    """Playwright's ``Browser`` around the Chromium of this machine: ``chromium.new_page(viewport=…)``.

    It is ``$ZOO_CHROMIUM``, or the one on the path. Without one the tests are skipped, or fail if
    ``$ZOO_REQUIRE_CHROMIUM`` is set.
    """
    program = _program()
    if program is None:
        missing = "no Chromium on this machine: install one, or name it in ZOO_CHROMIUM"
        if os.environ.get("ZOO_REQUIRE_CHROMIUM"):
            pytest.fail(missing)
        pytest.skip(missing)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, headless=True, args=_FLAGS)
        yield browser
        browser.close()


def _program() -> str | None:
    named = os.environ.get("ZOO_CHROMIUM")
    if named:
        return named if Path(named).is_file() else None
    return next((found for found in map(shutil.which, _NAMES) if found), None)
