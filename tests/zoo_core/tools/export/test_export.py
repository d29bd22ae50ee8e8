"""Bundled weights, exported and run by onnxruntime and PyTorch, give the outputs of the model."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import onnx
import pytest
import torch
from repository import ROOT

import zoo_core as zoo
from zoo_core.data.forward_inputs import declared
from zoo_core.registry.catalog import Catalog
from zoo_core.tools.export import onnx_file
from zoo_core.tools.export.compare import largest_difference
from zoo_core.tools.export.export import export

TOLERANCE = 1e-4
SMALL = ["clsgan-mnist", "digit-classifier-mnist"]
LARGE = ["unet-moving-mnist", "unet-digit-scenes"]  # the exporter takes half a minute for each
NAMES = [*SMALL, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)]
OPEN = {name: ["batch", "height", "width"] if name in LARGE else ["batch"] for name in SMALL + LARGE}


@pytest.fixture(autouse=True)
def no_local_data(tmp_path, monkeypatch):
    """Real inputs then come from the MNIST subset in the package."""
    monkeypatch.setenv("ZOO_DATA", str(tmp_path / "data"))


def inputs_of(name: str, model: zoo.Model) -> list[dict[str, torch.Tensor]]:
    """More inputs than the export itself checks."""
    example = declared(model)
    sizes = [(64, 64), (48, 80), (33, 70), (16, 17), (5, 100)] if name in LARGE else [None]
    return [example.drawn(count, size, seed=count) for count in (1, 2, 7) for size in sizes]


@pytest.mark.parametrize("name", NAMES)
def test_an_onnx_file_gives_the_outputs_of_the_model(name: str, tmp_path: Path) -> None:
    exported = export(name, Catalog(), "onnx", tmp_path / "a.onnx", TOLERANCE)

    assert exported.facts["dynamic"] == OPEN[name]
    assert exported.skipped_real_input == ""
    assert exported.checks[-1].input.startswith("real: ")
    assert set(exported.checks[0].differences) == {"exported program", "onnxruntime"}
    model, call = zoo.load(name), onnx_file.run(exported.file)
    with torch.no_grad():
        for inputs in inputs_of(name, model):
            expected = model(**inputs)
            assert largest_difference([expected], call(inputs)) < TOLERANCE * max(1, expected.abs().max())


@pytest.mark.parametrize("name", NAMES)
def test_an_exported_program_gives_the_outputs_of_the_model(name: str, tmp_path: Path) -> None:
    exported = export(name, Catalog(), "torch-export", tmp_path / "a.pt2", TOLERANCE)

    assert exported.facts["dynamic"] == OPEN[name]
    metadata = {"zoo.json": "", "zoo_export.json": ""}
    program = torch.export.load(exported.file, extra_files=metadata)
    assert json.loads(metadata["zoo.json"]) == exported.header.metadata
    assert json.loads(metadata["zoo_export.json"]) == exported.facts
    model, call = zoo.load(name), program.module()
    with torch.no_grad():
        for inputs in inputs_of(name, model):
            expected = model(**inputs)
            assert largest_difference([expected], [call(**inputs)]) < TOLERANCE * max(1, expected.abs().max())


def test_an_onnx_file_has_the_metadata_and_no_paths_of_this_machine(tmp_path: Path) -> None:
    exported = export("clsgan-mnist", Catalog(), "onnx", tmp_path / "a.onnx", TOLERANCE)

    model = onnx.load(str(exported.file))
    metadata = {one.key: json.loads(one.value) for one in model.metadata_props}
    assert metadata == {"zoo": exported.header.metadata, "zoo_export": exported.facts}
    assert metadata["zoo_export"]["sha256"] == Catalog().weights.find("clsgan-mnist").listed.sha256
    assert (metadata["zoo"]["license"], metadata["zoo"]["recipe"]["name"]) == ("Apache-2.0", "clsgan-mnist")
    shapes = {one.name: [dim.dim_param or dim.dim_value for dim in one.type.tensor_type.shape.dim]
              for one in [*model.graph.input, *model.graph.output]}  # fmt: skip
    assert shapes == {"noise": ["batch", 96], "label": ["batch"], "output": ["batch", 1, 28, 28]}
    assert not any("discriminator" in one.name for one in model.graph.initializer)
    assert str(ROOT).encode() not in exported.file.read_bytes()


def test_an_exported_program_has_no_pickle_no_discriminator_and_no_paths_of_this_machine(tmp_path: Path) -> None:
    exported = export("clsgan-mnist", Catalog(), "torch-export", tmp_path / "a.pt2", TOLERANCE)

    with zipfile.ZipFile(exported.file) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            assert not content.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")), name
            assert b"discriminator" not in content or not name.endswith("weights_config.json")
            assert str(ROOT).encode() not in content


WATCHED = """
import sys
from pathlib import Path

seen = []


def watch(event, arguments):
    seen.append(event)
    if event == "pickle.find_class":
        raise AssertionError(f"a pickle loads {arguments[0]}.{arguments[1]}")


sys.addaudithook(watch)
from zoo_core.registry.catalog import Catalog
from zoo_core.tools.export.export import export

for format, name in (("torch-export", "a.pt2"), ("onnx", "a.onnx")):
    print(export("digit-classifier-mnist", Catalog(), format, Path(name), 1e-4).file, "open" in seen)
"""


@pytest.mark.slow
def test_an_export_unpickles_nothing(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", WATCHED], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, "a.pt2 True\na.onnx True\n"), done.stderr
