"""What several tests of the core start from."""

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tiny
import torch
from distributions import install
from repository import HELPERS

from zoo_core.registry import catalog
from zoo_core.weights.format import write as write_weights


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
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(HELPERS)]), prepend=os.pathsep)
    catalog.default.cache_clear()
    yield
    catalog.default.cache_clear()
    sys.modules.pop("tiny_plugin", None)


@pytest.fixture
def tensors():
    """Those of an untrained `line`, the same in every test."""
    torch.manual_seed(0)
    return tiny.Line(tiny.Line.Config()).state_dict()


@pytest.fixture
def file(tmp_path, tensors):
    """A way to write a weights file: ``file(changes)``, where None takes a tensor away."""

    def make(changes=None, metadata=tiny.METADATA, name="line.safetensors"):
        changed = {key: value for key, value in {**tensors, **(changes or {})}.items() if value is not None}
        write_weights(tmp_path / name, changed, metadata)
        return tmp_path / name

    return make


@pytest.fixture
def listed():
    """A way to list a file as ``my-line`` in a registry beside it; gives a catalog that holds it."""

    def listed(path, name="my-line", also="", **changes):
        values = {
            "location": path.name,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "0" * 64,
            "license": "MIT",
            **changes,
        }
        lines = [f"    {key}: {value}" for key, value in values.items()]
        registry = path.parent / "listed.yaml"
        registry.write_text("\n".join(["weights:", f"  {name}:", *lines, also]) + "\n")
        return tiny.catalog(registry)

    return listed
