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
from zoo_core.weights.hashing import check
from zoo_core.weights.header import read_header
from zoo_core.weights.matching import DTYPES
from zoo_core.weights.values import same_bits

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


@pytest.mark.parametrize(
    ("changes", "metadata", "reason"),
    [
        ({"layers.2.bias": torch.tensor([torch.nan])}, {}, "'layers.2.bias' holds NaN or infinite values"),
        ({"layers.2.bias": torch.tensor([-torch.inf])}, {}, "'layers.2.bias' holds NaN or infinite values"),
        ({"layers.2.bias": torch.ones(1, dtype=torch.complex128)}, {}, "does not support torch.complex128"),
        (
            {"layers.2.bias": torch.ones(1).to(torch.float8_e8m0fnu)},
            {},
            "the type F8_E8M0, which zoo does not read",
        ),
        ({"a\nb": torch.ones(1)}, {}, "invalid name"),
        ({"a" * 1001: torch.ones(1)}, {}, "invalid name"),
        ({}, {"config": {"inputs": float("inf")}}, "it holds Infinity"),
        ({}, {"config": {"inputs": float("nan")}}, "it holds NaN"),
        ({}, {"config": {"inputs": 2**64}}, "an integer of more than 64 bits"),
        ({}, {"config": {"inputs": list(range(20_001))}}, "it holds more than 20,000 values"),
        ({}, {"model": ""}, "it names no model"),
        ({}, {"step": "many"}, "step is a str"),
    ],
)
def test_what_could_not_be_loaded_is_not_written(tensors, tmp_path, changes, metadata, reason):
    path = tmp_path / "line.safetensors"
    with pytest.raises(BadFile, match=reason) as refused:
        write(path, {**tensors, **changes}, {**tiny.METADATA, **metadata}, {*tensors, *changes})
    assert str(path) in refused.value.message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_every_type_that_is_read_is_written(tmp_path, dtype):
    held = {name: torch.ones(shape).to(dtype) for name, shape in {"a": (), "b": (0,), "c": (0, 4), "d": (3, 5)}.items()}
    held["tied"], held["transposed"], held["part"] = held["d"], held["d"].T, held["d"][1:, 1]
    write(tmp_path / "all.safetensors", held, tiny.METADATA)
    read = load_file(tmp_path / "all.safetensors")
    assert all(same_bits(read[name], tensor) for name, tensor in held.items())
    assert check(tmp_path / "all.safetensors").not_finite == []


def test_buffers_that_are_not_finite_are_written(tensors, tmp_path):
    mask = torch.full((2, 2), -torch.inf)
    write(tmp_path / "line.safetensors", {**tensors, "mask": mask}, tiny.METADATA, tensors)
    assert check(tmp_path / "line.safetensors").not_finite == ["mask"]
