"""What several tests of the core start from."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from distributions import install

from zoo_core.registry import catalog


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Write a file into the working folder, and give its path."""
    monkeypatch.chdir(tmp_path)

    def write(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text)
        return Path(name)

    return write


@pytest.fixture
def tiny_installed(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The plugin of tiny.py, as pip would have installed it, here and in the processes that a test starts."""
    site = tmp_path_factory.mktemp("site-packages")
    install(site, "tiny_plugin", "from tiny import Plugin\n\nzoo_register = Plugin().zoo_register\n")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(Path(__file__).parent)]), prepend=os.pathsep)
    catalog.default.cache_clear()
    yield
    catalog.default.cache_clear()
    sys.modules.pop("tiny_plugin", None)
