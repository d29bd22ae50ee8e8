"""Exporting third-party models by what they declare; one that can't be exported is refused with a hint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor, nn

import zoo_core as zoo
from zoo_core.errors import ZooError
from zoo_core.registry.catalog import Catalog
from zoo_core.tools.export import export as exporting
from zoo_core.tools.export import onnx_file
from zoo_core.tools.export.export import ExportDiffers, Exported
from zoo_core.weights import format as weights_format


class Base(zoo.Model):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        pass

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.layer = nn.Conv2d(1, 2, 3)


class Silent(Base):
    """Declares no inputs."""


class Aside(Base):
    """Its predict does not call forward."""

    def predict(self, side: int) -> dict[str, Any]:
        return {"image": self.layer(torch.zeros(1, 1, side, side))}

    def example(self) -> dict[str, Any]:
        return {"side": 8}


class Convolution(Base):
    """Its inputs are known from predict only; it has two outputs, and accepts sizes of at least three."""

    def forward(self, image: Tensor, scale: Tensor | None = None) -> dict[str, Tensor]:
        features = self.layer(image)
        return {"features": features, "mean": features.mean(dim=(1, 2, 3))}

    @torch.inference_mode()
    def predict(self, image: Tensor) -> dict[str, Any]:
        return {"mean": self(image)["mean"].tolist()}

    def example(self) -> dict[str, Any]:
        return {"image": torch.linspace(0, 1, 400).reshape(1, 1, 20, 20)}


class Branching(Base):
    """Its control flow depends on the values of tensors."""

    def forward(self, image: Tensor) -> Tensor:
        return self.layer(image) if image.sum() > 0 else self.layer(-image)

    def forward_example(self) -> dict[str, Any]:
        return {"image": torch.ones(2, 1, 8, 8)}


class EvenOnly(Base):
    """Accepts any size, but computes something else for sizes that are not multiples of four, which can't be traced."""

    def forward(self, image: Tensor) -> Tensor:
        return self.layer(image) if int(image.shape[-1]) % 4 == 0 else self.layer(image) * 2

    def forward_example(self) -> dict[str, Any]:
        return {"image": torch.ones(2, 1, 24, 24)}


class OneBatch(Base):
    """Accepts exactly two examples."""

    def forward(self, image: Tensor) -> Tensor:
        return self.layer(image.view(2, 1, 8, 8))

    def forward_example(self) -> dict[str, Any]:
        return {"image": torch.ones(2, 1, 8, 8)}


class WithText(Base):
    def forward(self, words: str) -> Tensor:
        return self.layer(torch.zeros(1, 1, 8, 8))

    def forward_example(self) -> dict[str, Any]:
        return {"words": "three"}


class Plugin:
    @zoo.hookimpl
    def zoo_register(self, registry: zoo.Registry) -> None:
        for kind in (Silent, Aside, Convolution, Branching, EvenOnly, OneBatch, WithText):
            registry.model(kind.__name__.lower(), f"{__name__}:{kind.__name__}", summary="A third-party model")


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Exported]:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    here = Catalog(installed=False)
    here.plugins.add("third-party", Plugin())

    def export(kind: type[Base], format: str = "torch-export", tolerance: float = 1e-4) -> Exported:
        torch.manual_seed(0)
        model = kind.from_settings({})
        source = tmp_path / "a.safetensors"
        weights_format.write(source, model.state_dict(), {"model": kind.__name__.lower(), "config": {}})
        ending = ".onnx" if format == "onnx" else ".pt2"
        return exporting.export(source, here, format, tmp_path / f"a{ending}", tolerance)

    yield export
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_inputs_can_be_derived_from_predict(export: Callable[..., Exported]) -> None:
    exported = export(Convolution, "onnx")

    assert list(exported.facts["outputs"]) == ["features", "mean"]
    assert exported.facts["inputs"] == {"image": "float32 (batch, 1, height, width)"}
    assert exported.skipped_real_input.startswith("the dataset of the weights' recipe is not available: ")
    model, call = Convolution.from_settings({}), onnx_file.run(exported.file)
    assert [tuple(one.shape) for one in call({"image": torch.rand(5, 1, 9, 31)})] == [(5, 2, 7, 29), (5,)]
    assert model.example()["image"].shape[0] == 1  # a batch of one does not fix the batch size


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Silent, "Silent does not declare the inputs of its forward: it has no example()."),
        (
            Aside,
            "Aside does not declare the inputs of its forward: "
            "its predict(**example()) does not call the model itself.",
        ),
        (WithText, "WithText's forward takes 'words' as str, but should take tensors only."),
    ],
)
def test_a_model_without_declared_inputs_is_refused_with_a_hint(export, kind, message: str) -> None:
    with pytest.raises(ZooError) as caught:
        export(kind)
    assert caught.value.message == message
    assert "forward_example()" in str(caught.value.hint)


def test_a_network_that_cannot_be_traced_is_an_error_and_leaves_no_file(export, tmp_path: Path, capfd) -> None:
    with pytest.raises(ZooError, match="Branching can't be exported: ") as caught:
        export(Branching)
    assert tuple(capfd.readouterr()) == ("", "")
    assert len(str(caught.value).splitlines()) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_size_that_cannot_be_dynamic_is_fixed_with_the_reason(export) -> None:
    exported = export(EvenOnly)
    assert exported.facts["dynamic"] == ["batch"]
    assert exported.facts["fixed"]["size"].startswith("it can't be dynamic: ")


def test_a_batch_size_that_the_model_requires_is_fixed_with_the_reason(export) -> None:
    exported = export(OneBatch)
    assert exported.facts["dynamic"] == []
    assert exported.facts["fixed"]["batch"] == "the model accepts only this number of examples"


@pytest.mark.parametrize("format", ["onnx", "torch-export"])
def test_an_export_that_differs_too_much_leaves_no_file(export, tmp_path: Path, monkeypatch, format: str) -> None:
    runner = {"onnx": onnx_file, "torch-export": exporting}[format]
    name = {"onnx": "run", "torch-export": "run_program"}[format]
    original = getattr(runner, name)

    def shifted(program: Any) -> Callable[..., Any]:
        call = original(program)
        return lambda inputs: [one + 0.25 for one in exporting.tensors_of(call(inputs))]

    monkeypatch.setattr(runner, name, shifted)
    expected = r"differs from the model by 0\.25 \(.*\), but at most 0\.0001 is"
    with pytest.raises(ExportDiffers, match=expected) as caught:
        export(Convolution, format)
    assert caught.value.exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]
    assert export(Convolution, format, tolerance=0.3).largest == pytest.approx(0.25, abs=1e-4)


def test_an_export_that_fails_on_an_input_of_the_model_leaves_no_file(export, tmp_path: Path, monkeypatch) -> None:
    def refuse(inputs: Any) -> None:
        raise RuntimeError("no such shape")

    monkeypatch.setattr(exporting, "run_program", lambda program: refuse)
    with pytest.raises(
        ExportDiffers, match=r"exported program fails on an input that the model accepts .*: no such shape"
    ):
        export(Convolution)
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_run_is_exported_and_checked_on_its_dataset(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tiny.Line, "forward_example", lambda self: {"point": torch.rand(2, 3)})
    tiny.train(tmp_path / "run", "run.steps=3")
    exported = exporting.export(tmp_path / "run", tiny.catalog(), "torch-export", tmp_path / "line.pt2", 1e-5)
    assert exported.checks[-1].input == "real: points, 4x3"
    assert exported.largest <= 1e-5
