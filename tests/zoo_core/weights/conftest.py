"""What tests of weights files start from: a file of the model `line`, and a registry that lists it."""

import hashlib

import pytest
import tiny
import torch

from zoo_core.weights.format import write


@pytest.fixture
def tensors():
    """Those of an untrained `line`, the same in every test."""
    torch.manual_seed(0)
    return tiny.Line(tiny.Line.Config()).state_dict()


@pytest.fixture
def file(tmp_path, tensors):
    """A way to write a weights file: ``file(changes)``, where None takes a tensor away."""

    def make(changes=None, story=tiny.STORY, name="line.safetensors"):
        changed = {key: value for key, value in {**tensors, **(changes or {})}.items() if value is not None}
        write(tmp_path / name, changed, story)
        return tmp_path / name

    return make


@pytest.fixture
def listed():
    """A way to list a file as ``my-line`` in a registry beside it; gives a catalog that holds it."""

    def listed(path, name="my-line", also="", **changes):
        values = {
            "location": path.name,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "0" * 64,
            "licence": "MIT",
            **changes,
        }
        lines = [f"    {key}: {value}" for key, value in values.items()]
        registry = path.parent / "listed.yaml"
        registry.write_text("\n".join(["weights:", f"  {name}:", *lines, also]) + "\n")
        return tiny.catalog(registry)

    return listed
