"""The controls of a page: what a model declares, otherwise what its `predict` says of itself."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from PIL import Image

import zoo_core as zoo
from zoo_core.errors import BadSetting, ZooError
from zoo_core.tools.demo.controls import asked
from zoo_core.tools.demo.display import shown
from zoo_core.tools.demo.predict import arguments, predict


class Stranger(zoo.Model):
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


class Declaring(Stranger):
    def controls(self) -> dict[str, zoo.Control]:
        return {"image": zoo.Control("image", draw=(8, 8)), "strength": zoo.Control("float", minimum=0, maximum=1)}


class Slow(Stranger):
    def predict(self, steps: int = 1) -> dict[str, Any]:  # type: ignore[override]
        while True:
            torch.zeros(1).add(1)
            time.sleep(0.01)


def of(model: type[zoo.Model]) -> zoo.Model:
    return model.from_settings({})


def picture(path: Path, size: tuple[int, int] = (6, 5), mode: str = "L") -> str:
    Image.new(mode, size).save(path)
    return str(path)


def test_a_stranger_who_declares_nothing_gets_controls_from_the_signature() -> None:
    controls = asked(of(Stranger)).controls

    assert {name: one.kind for name, one in controls.items()} == {
        "image": "picture",
        "kind": "choice",
        "strength": "number",
        "steps": "whole",
        "loud": "switch",
        "note": "text",
    }
    assert controls["kind"].choices == ("soft", "hard")
    assert (controls["strength"].value, controls["steps"].value) == (0.5, 3)
    assert asked(of(Stranger)).required == {"image"}


def test_what_is_declared_replaces_the_signature_and_keeps_its_defaults() -> None:
    controls = asked(of(Declaring)).controls

    assert list(controls) == ["image", "strength"]
    assert controls["strength"].value == 0.5


def test_a_control_for_no_argument_is_refused_by_name() -> None:
    class Wrong(Stranger):
        def controls(self) -> dict[str, zoo.Control]:
            return {"strenght": zoo.Control("float")}

    with pytest.raises(BadSetting, match="'strenght'"):
        asked(of(Wrong))


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("clsgan", ["labels", "count", "seed", "target_seed", "interpolation"]),
        ("unet", ["frames", "ahead"]),
        ("digit-classifier", ["image"]),
    ],
)
def test_the_models_that_come_with_zoo_declare_theirs(name: str, seen: list[str]) -> None:
    assert list(asked(zoo.build(name)).controls) == seen


def test_values_are_checked_by_the_server_too(tmp_path: Path) -> None:
    declared = asked(of(Declaring))
    image = picture(tmp_path / "a.png")

    assert arguments(declared, {"image": image, "strength": 0.25}) == {"image": image, "strength": 0.25}
    with pytest.raises(BadSetting, match="at most 1"):
        arguments(declared, {"image": image, "strength": 7})
    with pytest.raises(ZooError, match="image is missing"):
        arguments(declared, {"strength": 0.5})


def test_bad_uploads_get_a_sentence_that_names_the_file_alone(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.gif").write_bytes(b"GIF89a")
    picture(tmp_path / "bomb.png", (9000, 9000), "1")
    declared = asked(of(Declaring))

    for name in ("text.png", "empty.gif", "bomb.png"):
        with pytest.raises(ZooError, match=f"^{name} ") as caught:
            arguments(declared, {"image": str(tmp_path / name)})
        assert str(tmp_path) not in str(caught.value)


def test_a_prediction_that_takes_too_long_is_ended() -> None:
    begin = time.monotonic()
    with pytest.raises(ZooError, match="longer than"):
        predict(of(Slow), {}, seconds=0.2)
    assert time.monotonic() - begin < 5


def test_what_came_out_stands_beside_what_was_given(tmp_path: Path) -> None:
    given = {"image": picture(tmp_path / "a.png")}
    html = shown(asked(of(Stranger)), given, predict(of(Stranger), given))

    assert html.index('alt="given: image"') < html.index('alt="image"')
    assert "&lt;note&gt;" in html
    assert "<note>" not in html
    assert "http" not in html
