"""Writing weights files: the same bytes for the same weights, whole or not at all, no tensor lost."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
import torch
from safetensors.torch import load_file

from zoo_core.errors import BadFile
from zoo_core.weights.format import write
from zoo_core.weights.header import read_header

WRITES_A_LINE = """
import sys; from pathlib import Path; import torch, tiny; from zoo_core.weights.format import write
torch.manual_seed(0)
write(Path(sys.argv[1]), tiny.Line(tiny.Line.Config()).state_dict(), {"config": {"inputs": 3}, "model": "line"})
"""


def test_the_file_is_the_same_to_the_byte_in_every_process(file, tensors, tmp_path, monkeypatch):
    here = file().read_bytes()
    write(tmp_path / "turned.safetensors", dict(reversed(tensors.items())), dict(reversed(tiny.STORY.items())))
    assert (tmp_path / "turned.safetensors").read_bytes() == here
    monkeypatch.setenv("PYTHONPATH", str(Path(tiny.__file__).parent), prepend=os.pathsep)
    subprocess.run([sys.executable, "-c", WRITES_A_LINE, tmp_path / "there"], check=True)
    assert (tmp_path / "there").read_bytes() == here


def test_what_was_written_is_read(file, tensors):
    read = load_file(file())
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(read[name], tensor)
        assert read[name].dtype == tensor.dtype


def test_tensors_that_share_memory_are_written_each_by_itself(tmp_path):
    shared = torch.arange(6.0)
    held = {"encoder": shared, "decoder": shared, "bias": shared[2:4], "turned": shared.view(2, 3).T}
    write(tmp_path / "tied.safetensors", held, tiny.STORY)
    read = load_file(tmp_path / "tied.safetensors")
    assert {name: read[name].tolist() for name in held} == {name: tensor.tolist() for name, tensor in held.items()}


def test_the_metadata_is_one_key_of_json_with_sorted_keys(file):
    raw = file(metadata={"seed": 1, **tiny.STORY}).read_bytes()
    held = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]
    assert held == {"zoo": '{"config": {"inputs": 3}, "format": 1, "model": "line", "seed": 1}'}


def test_a_file_that_cannot_be_written_leaves_nothing_behind(file, tensors, tmp_path):
    before = file().read_bytes()
    (tmp_path / "taken.safetensors").mkdir()
    with pytest.raises(BadFile, match=r"taken\.safetensors could not be written"):
        write(tmp_path / "taken.safetensors", tensors, tiny.STORY)
    with pytest.raises(BadFile, match="could not be written"):
        write(tmp_path / "nowhere" / "a.safetensors", tensors, tiny.STORY)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["line.safetensors", "taken.safetensors"]
    assert (tmp_path / "line.safetensors").read_bytes() == before


def test_a_model_without_tensors_has_a_file_too(tmp_path):
    write(tmp_path / "none.safetensors", {}, tiny.STORY)
    assert read_header(tmp_path / "none.safetensors").tensors == {}
