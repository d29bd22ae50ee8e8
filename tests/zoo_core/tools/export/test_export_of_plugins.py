"""A model of anybody's is exported by what it declares; what can't be is an error that says what to add."""

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
    """Declares nothing."""


class Aside(Base):
    """Its predict does not call it."""

    def predict(self, side: int) -> dict[str, Any]:
        return {"image": self.layer(torch.zeros(1, 1, side, side))}

    def example(self) -> dict[str, Any]:
        return {"side": 8}


class Convolution(Base):
    """What its predict calls it with is all it declares; it has two outputs, and takes sizes from three on."""

    def forward(self, image: Tensor, scale: Tensor | None = None) -> dict[str, Tensor]:
        features = self.layer(image)
        return {"features": features, "mean": features.mean(dim=(1, 2, 3))}

    @torch.inference_mode()
    def predict(self, image: Tensor) -> dict[str, Any]:
        return {"mean": self(image)["mean"].tolist()}

    def example(self) -> dict[str, Any]:
        return {"image": torch.linspace(0, 1, 400).reshape(1, 1, 20, 20)}


class Branching(Base):
    """The values of its tensors decide what it does."""

    def forward(self, image: Tensor) -> Tensor:
        return self.layer(image) if image.sum() > 0 else self.layer(-image)

    def forward_example(self) -> dict[str, Any]:
        return {"image": torch.ones(2, 1, 8, 8)}


class EvenOnly(Base):
    """Takes any size, but another network for sizes that are no multiples of four, which no program follows."""

    def forward(self, image: Tensor) -> Tensor:
        return self.layer(image) if int(image.shape[-1]) % 4 == 0 else self.layer(image) * 2

    def forward_example(self) -> dict[str, Any]:
        return {"image": torch.ones(2, 1, 24, 24)}


class OneBatch(Base):
    """Takes two examples and no other number."""

    def forward(self, image: Tensor) -> Tensor:
        return self.layer(image.view(2, 1, 8, 8))

    def forward_example(self) -> dict[str, Any]:
        return {"image": torch.ones(2, 1, 8, 8)}


class WithText(Base):
    def forward(self, words: str) -> Tensor:
        return self.layer(torch.zeros(1, 1, 8, 8))

    def forward_example(self) -> dict[str, Any]:
        return {"words": "three"}


class Strangers:
    @zoo.hookimpl
    def zoo_register(self, registry: zoo.Registry) -> None:
        for kind in (Silent, Aside, Convolution, Branching, EvenOnly, OneBatch, WithText):
            registry.model(kind.__name__.lower(), f"{__name__}:{kind.__name__}", summary="A stranger's")


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Exported]:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    here = Catalog(installed=False)
    here.plugins.add("strangers", Strangers())

    def export(kind: type[Base], format: str = "torch-export", tolerance: float = 1e-4) -> Exported:
        torch.manual_seed(0)
        model = kind.from_settings({})
        source = tmp_path / "a.safetensors"
        weights_format.write(source, model.state_dict(), {"model": kind.__name__.lower(), "config": {}})
        ending = ".onnx" if format == "onnx" else ".pt2"
        return exporting.export(source, here, format, tmp_path / f"a{ending}", tolerance)

    yield export
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_what_predict_calls_the_model_with_is_enough(export: Callable[..., Exported]) -> None:
    exported = export(Convolution, "onnx")

    assert list(exported.facts["outputs"]) == ["features", "mean"]
    assert exported.facts["inputs"] == {"image": "float32 (batch, 1, height, width)"}
    assert exported.unchecked.startswith("no data set of the weights' recipe: ")
    model, call = Convolution.from_settings({}), onnx_file.run(exported.file)
    assert [tuple(one.shape) for one in call({"image": torch.rand(5, 1, 9, 31)})] == [(5, 2, 7, 29), (5,)]
    assert model.example()["image"].shape[0] == 1  # an example of one is no reason to fix the batch


@pytest.mark.parametrize(
    ("kind", "problem"),
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
def test_what_declares_nothing_is_told_what_to_add(export, kind, problem: str) -> None:
    with pytest.raises(ZooError) as caught:
        export(kind)
    assert caught.value.message == problem
    assert "forward_example()" in str(caught.value.hint)


def test_a_network_that_cannot_be_followed_is_an_error_and_leaves_no_file(export, tmp_path: Path, capfd) -> None:
    with pytest.raises(ZooError, match="Branching can't be exported: ") as caught:
        export(Branching)
    assert tuple(capfd.readouterr()) == ("", "")
    assert len(str(caught.value).splitlines()) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_size_that_cannot_be_left_open_is_fixed_and_said(export) -> None:
    exported = export(EvenOnly)
    assert exported.facts["dynamic"] == ["batch"]
    assert exported.facts["fixed"]["size"].startswith("it can't be left open: ")


def test_a_number_of_examples_that_the_model_insists_on_is_fixed_and_said(export) -> None:
    exported = export(OneBatch)
    assert exported.facts["dynamic"] == []
    assert exported.facts["fixed"]["batch"] == "the model takes no other number of examples"


@pytest.mark.parametrize("format", ["onnx", "torch-export"])
def test_what_differs_too_much_leaves_no_file(export, tmp_path: Path, monkeypatch, format: str) -> None:
    runner = {"onnx": onnx_file, "torch-export": exporting}[format]
    name = {"onnx": "run", "torch-export": "run_program"}[format]
    right = getattr(runner, name)

    def wrong(given: Any) -> Callable[..., Any]:
        call = right(given)
        return lambda inputs: [one + 0.25 for one in exporting.tensors_of(call(inputs))]

    monkeypatch.setattr(runner, name, wrong)
    with pytest.raises(ExportDiffers, match=r"differs from the model by 0\.25 \(.*\), but 0\.0001 is") as caught:
        export(Convolution, format)
    assert caught.value.exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]
    assert export(Convolution, format, tolerance=0.3).largest == pytest.approx(0.25, abs=1e-4)


def test_what_refuses_an_input_of_the_models_leaves_no_file(export, tmp_path: Path, monkeypatch) -> None:
    def refuse(inputs: Any) -> None:
        raise RuntimeError("no such shape")

    monkeypatch.setattr(exporting, "run_program", lambda program: refuse)
    with pytest.raises(ExportDiffers, match=r"an input that the model takes is refused .*: no such shape"):
        export(Convolution)
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_run_is_exported_and_checked_on_its_data_set(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tiny.Line, "forward_example", lambda self: {"point": torch.rand(2, 3)})
    tiny.train(tmp_path / "run", "run.steps=3")
    exported = exporting.export(tmp_path / "run", tiny.catalog(), "torch-export", tmp_path / "line.pt2", 1e-5)
    assert exported.checks[-1].input == "real: points, 4x3"
    assert exported.largest <= 1e-5
