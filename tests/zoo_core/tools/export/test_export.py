"""Bundled weights, exported and run by onnxruntime and PyTorch, give the outputs of the model."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from repository import ROOT

import zoo_core as zoo
from zoo_core.data.forward_inputs import declared
from zoo_core.registry.catalog import Catalog
from zoo_core.tools.export import onnx_file
from zoo_core.tools.export.compare import largest_difference
from zoo_core.tools.export.export import Exported, export

TOLERANCE = 1e-4
SMALL = ["clsgan-mnist", "digit-classifier-mnist"]
LARGE = ["unet-moving-mnist", "unet-digit-scenes"]  # the exporter takes half a minute for each
NAMES = [*SMALL, *(pytest.param(name, marks=pytest.mark.long) for name in LARGE)]  # test_export_page exports one
OPEN = {name: ["batch", "height", "width"] if name in LARGE else ["batch"] for name in SMALL + LARGE}


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Exported]:
    """A way to export weights, each once in a format. Real input is the digits that ship with zoo."""
    folder = tmp_path_factory.mktemp("exported")

    @cache
    def exports(name: str, format: str) -> Exported:
        ending = {"onnx": "onnx", "torch-export": "pt2"}[format]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ZOO_DATA", str(folder / "data"))
            return export(name, Catalog(), format, folder / f"{name}.{ending}", TOLERANCE)

    return exports


def inputs_of(name: str, model: zoo.Model) -> list[dict[str, torch.Tensor]]:
    """More inputs than the export itself checks."""
    example = declared(model)
    sizes = [(64, 64), (48, 80), (33, 70), (16, 17), (5, 100)] if name in LARGE else [None]
    return [example.sample(count, size, seed=count) for count in (1, 2, 7) for size in sizes]


@pytest.mark.parametrize("name", NAMES)
def test_an_onnx_file_gives_what_the_model_gives(name: str, exports: Any) -> None:
    exported = exports(name, "onnx")

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
def test_an_exported_program_gives_what_the_model_gives(name: str, exports: Any) -> None:
    exported = exports(name, "torch-export")

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


def test_an_onnx_file_says_whose_it_is_and_nothing_of_this_machine(exports: Any) -> None:
    exported = exports("clsgan-mnist", "onnx")

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


def test_an_exported_program_holds_no_pickle_no_discriminator_and_no_folder_of_this_machine(exports: Any) -> None:
    exported = exports("clsgan-mnist", "torch-export")

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


@pytest.mark.long
def test_an_export_unpickles_nothing(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", WATCHED], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, "a.pt2 True\na.onnx True\n"), done.stderr
