"""The controls of a page: those that a model declares, otherwise those for the signature of `predict`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from PIL import Image

import zoo_core as zoo
from zoo_core.engine import shutdown
from zoo_core.errors import BadSetting, ZooError
from zoo_core.tools.demo.controls import build_form
from zoo_core.tools.demo.display import render
from zoo_core.tools.demo.predict import arguments, predict


class ThirdParty(zoo.Model):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        pass

    config: Config

    def predict(
        self,
        image: str | Path,
        kind: Literal["soft", "hard"] = "soft",
        strength: float = 0.5,
        steps: int | None = 3,
        loud: bool = False,
        note: str = "",
        weight: torch.Tensor | None = None,
    ) -> dict[str, Any]:
        return {"image": torch.zeros(2, 1, 4, 4), "<note>": [strength, steps]}


class Declaring(ThirdParty):
    def controls(self) -> dict[str, zoo.Control]:
        return {"image": zoo.Control("image", draw=(8, 8)), "strength": zoo.Control("float", minimum=0, maximum=1)}


class Slow(ThirdParty):
    def predict(self, steps: int = 1) -> dict[str, Any]:  # type: ignore[override]
        while True:
            torch.zeros(1).add(1)
            time.sleep(0.01)


def of(model: type[zoo.Model]) -> zoo.Model:
    return model.from_settings({})


def save_image(path: Path, size: tuple[int, int] = (6, 5), mode: str = "L") -> str:
    Image.new(mode, size).save(path)
    return str(path)


def test_a_model_without_controls_gets_them_from_the_signature_of_predict() -> None:
    controls = build_form(of(ThirdParty)).controls

    assert {name: one.kind for name, one in controls.items()} == {
        "image": "image",
        "kind": "select",
        "strength": "float",
        "steps": "int",
        "loud": "bool",
        "note": "text",
    }
    assert controls["kind"].choices == ("soft", "hard")
    assert (controls["strength"].value, controls["steps"].value) == (0.5, 3)
    assert build_form(of(ThirdParty)).required == {"image"}


def test_declared_controls_replace_the_signature_and_take_its_defaults() -> None:
    controls = build_form(of(Declaring)).controls

    assert list(controls) == ["image", "strength"]
    assert controls["strength"].value == 0.5


def test_a_control_without_an_argument_is_refused_by_name() -> None:
    class Wrong(ThirdParty):
        def controls(self) -> dict[str, zoo.Control]:
            return {"strenght": zoo.Control("float")}

    with pytest.raises(BadSetting, match="'strenght'"):
        build_form(of(Wrong))


@pytest.mark.parametrize(
    ("name", "controls"),
    [
        ("clsgan", ["labels", "count", "seed", "target_seed", "interpolation"]),
        ("unet", ["frames", "ahead"]),
        ("digit-classifier", ["image"]),
    ],
)
def test_the_bundled_models_declare_their_controls(name: str, controls: list[str]) -> None:
    assert list(build_form(zoo.build(name)).controls) == controls


def test_values_are_checked_on_the_server(tmp_path: Path) -> None:
    declared = build_form(of(Declaring))
    image = save_image(tmp_path / "a.png")

    assert arguments(declared, {"image": image, "strength": 0.25}) == {"image": image, "strength": 0.25}
    with pytest.raises(BadSetting, match="at most 1"):
        arguments(declared, {"image": image, "strength": 7})
    with pytest.raises(ZooError, match="image is missing"):
        arguments(declared, {"strength": 0.5})


def test_errors_of_uploads_name_the_file_without_its_folder(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "empty.gif").write_bytes(b"GIF89a")
    save_image(tmp_path / "bomb.png", (9000, 9000), "1")
    declared = build_form(of(Declaring))

    for name in ("text.png", "empty.gif", "bomb.png"):
        with pytest.raises(ZooError, match=f"^{name} ") as caught:
            arguments(declared, {"image": str(tmp_path / name)})
        assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("error", [SystemExit(0), KeyboardInterrupt(), GeneratorExit(), ValueError("odd")], ids=repr)
def test_a_prediction_that_ends_the_process_or_fails_is_an_error(error: BaseException, monkeypatch: Any) -> None:
    def predict_badly(self: Any) -> None:
        raise error

    monkeypatch.setattr(shutdown._shutdown, "installed", True)  # as in a command
    monkeypatch.setattr(Slow, "predict", predict_badly)
    with pytest.raises(ZooError, match=rf"^Slow.predict failed: {type(error).__name__}"):
        predict(of(Slow), {})


def test_a_prediction_that_exceeds_the_time_limit_is_aborted() -> None:
    start = time.monotonic()
    with pytest.raises(ZooError, match="longer than"):
        predict(of(Slow), {}, seconds=0.2)
    assert time.monotonic() - start < 5


def test_the_html_has_the_inputs_before_the_outputs_and_is_escaped(tmp_path: Path) -> None:
    inputs = {"image": save_image(tmp_path / "a.png")}
    html = render(build_form(of(ThirdParty)), inputs, predict(of(ThirdParty), inputs))

    assert html.index('alt="input: image"') < html.index('alt="image"')
    assert "&lt;note&gt;" in html
    assert "<note>" not in html
    assert "http" not in html
