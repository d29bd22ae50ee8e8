"""Writing weights files: reproducible, atomic, and without loss of shared tensors."""

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

WRITE_IN_ANOTHER_PROCESS = """
import sys; from pathlib import Path; import torch, tiny; from zoo_core.weights.format import write
torch.manual_seed(0)
write(Path(sys.argv[1]), tiny.Line(tiny.Line.Config()).state_dict(), {"config": {"inputs": 3}, "model": "line"})
"""


def test_the_file_is_bit_identical_in_every_process(file, tensors, tmp_path, monkeypatch):
    expected = file().read_bytes()
    write(tmp_path / "reversed.safetensors", dict(reversed(tensors.items())), dict(reversed(tiny.METADATA.items())))
    assert (tmp_path / "reversed.safetensors").read_bytes() == expected
    monkeypatch.setenv("PYTHONPATH", str(Path(tiny.__file__).parent), prepend=os.pathsep)
    subprocess.run([sys.executable, "-c", WRITE_IN_ANOTHER_PROCESS, tmp_path / "other"], check=True)
    assert (tmp_path / "other").read_bytes() == expected


def test_tensors_are_read_back_as_written(file, tensors):
    read = load_file(file())
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(read[name], tensor)
        assert read[name].dtype == tensor.dtype


def test_tensors_that_share_memory_are_written_separately(tmp_path):
    shared = torch.arange(6.0)
    tensors = {"encoder": shared, "decoder": shared, "bias": shared[2:4], "transposed": shared.view(2, 3).T}
    write(tmp_path / "tied.safetensors", tensors, tiny.METADATA)
    read = load_file(tmp_path / "tied.safetensors")
    assert {name: read[name].tolist() for name in tensors} == {
        name: tensor.tolist() for name, tensor in tensors.items()
    }


def test_the_metadata_is_one_key_of_json_with_sorted_keys(file):
    raw = file(metadata={"seed": 1, **tiny.METADATA}).read_bytes()
    metadata = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]
    assert metadata == {"zoo": '{"config": {"inputs": 3}, "format": 1, "model": "line", "seed": 1}'}


def test_a_failed_write_leaves_no_file_behind(file, tensors, tmp_path):
    before = file().read_bytes()
    (tmp_path / "taken.safetensors").mkdir()
    with pytest.raises(BadFile, match=r"taken\.safetensors could not be written"):
        write(tmp_path / "taken.safetensors", tensors, tiny.METADATA)
    with pytest.raises(BadFile, match="could not be written"):
        write(tmp_path / "nowhere" / "a.safetensors", tensors, tiny.METADATA)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["line.safetensors", "taken.safetensors"]
    assert (tmp_path / "line.safetensors").read_bytes() == before


def test_a_model_without_tensors_can_be_written(tmp_path):
    write(tmp_path / "none.safetensors", {}, tiny.METADATA)
    assert read_header(tmp_path / "none.safetensors").tensors == {}
