"""The functions of ``import zoo_core as zoo``."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor, nn

import zoo_core as zoo
from zoo_core.config.settings import read
from zoo_core.registry import catalog
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.training.runner import run_recipe
from zoo_core.weights.format import write

KEYWORDS = {"kind": 2, "source": 3, "settings": 4, "device": 5, "dtype": 6, "strict": 7, "registry": 8}


class Collisions(zoo.Model):
    """Its settings have the names of the arguments of ``zoo.build`` and ``zoo.load``."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        kind: int = zoo.setting(1, "width of the layer", ge=1)
        source: int = zoo.setting(1, "not used")
        settings: int = zoo.setting(1, "not used")
        device: int = zoo.setting(1, "not used")
        dtype: int = zoo.setting(1, "not used")
        strict: int = zoo.setting(1, "not used")
        registry: int = zoo.setting(1, "not used")

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.layer = nn.Linear(config.kind, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.layer(image)


class LoadingTrainer(tiny.LineTrainer):
    """Loads weights by a name, as a trainer does that evaluates with a published classifier."""

    def setup(self, model: Any, engine: zoo.Engine) -> None:
        super().setup(model, engine)
        self._loaded = zoo.load("my-line")


class Plugin:
    @zoo.hookimpl
    def zoo_register(self, registry: zoo.Registry) -> None:
        registry.model("collisions", f"{__name__}:Collisions", summary="Names of keyword arguments")
        registry.trainer("loading", f"{__name__}:LoadingTrainer", summary="Loads weights by name")


def here(*registries: Path) -> Catalog:
    made = tiny.catalog(*registries)
    made.plugins.add("api-tests", Plugin())
    return made


def test_a_model_whose_settings_have_the_names_of_keyword_arguments_is_built() -> None:
    with here().active():
        model = zoo.build("collisions", KEYWORDS)
    assert vars(model.config) == KEYWORDS


def test_a_model_whose_settings_have_the_names_of_keyword_arguments_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "collisions.safetensors"
    with here().active():
        write(file, zoo.build("collisions", KEYWORDS).state_dict(), {"model": "collisions", "config": KEYWORDS})
        assert vars(zoo.load(file).config) == KEYWORDS
        changed, keys = zoo.load(file, {"kind": 5, "device": 9}, strict=False, device="cpu", dtype="bfloat16")
    assert (changed.config.kind, changed.config.device) == (5, 9)
    assert keys.mismatched == {"layer.weight": ((1, 2), (1, 5))}
    assert changed.layer.weight.dtype == torch.bfloat16


def test_a_setting_given_as_a_keyword_is_refused() -> None:
    with pytest.raises(TypeError, match="latent_dim"):
        zoo.build("clsgan", latent_dim=3)  # type: ignore[call-overload]


@pytest.fixture
def my_registry(tmp_path: Path) -> Path:
    """A registry file that lists weights called ``my-line``."""
    with tiny.catalog().active():
        write(tmp_path / "line.safetensors", zoo.build("line").state_dict(), tiny.METADATA)
    sha256 = hashlib.sha256((tmp_path / "line.safetensors").read_bytes()).hexdigest()
    listed = f"weights:\n  my-line: {{location: line.safetensors, sha256: {sha256}, license: MIT}}\n"
    (tmp_path / "my.yaml").write_text(listed)
    return tmp_path / "my.yaml"


def test_weights_of_a_registry_file_are_known_to_the_trainer_of_a_run(my_registry: Path, tmp_path: Path) -> None:
    recipe = tiny.RECIPE.with_overrides(["trainer.name=loading", "run.steps=2", "run.device=cpu"])
    run = run_recipe(resolve(recipe, here(my_registry)), folder=tmp_path / "run")
    assert isinstance(run.trainer._loaded, tiny.Line)  # type: ignore[attr-defined]


def test_weights_of_a_registry_file_are_unknown_to_a_run_without_it(tmp_path: Path) -> None:
    recipe = tiny.RECIPE.with_overrides(["trainer.name=loading", "run.steps=2", "run.device=cpu"])
    with pytest.raises(zoo.ZooError, match="no weights are called 'my-line'"):
        run_recipe(resolve(recipe, here()), folder=tmp_path / "run")


def test_a_registry_file_may_be_given_to_each_function(my_registry: Path) -> None:
    assert "my-line" in zoo.list("weights", registry=[my_registry])
    assert zoo.info("my-line", registry=[my_registry])["weights"]["license"] == "MIT"
    assert "my-line" not in zoo.list("weights")


def test_a_catalog_is_the_current_one_until_its_block_ends() -> None:
    mine = here()
    with mine.active():
        assert catalog.current() is mine
        with here().active():
            assert catalog.current() is not mine
        assert catalog.current() is mine
    assert catalog.current() is catalog.default()


def test_settings_are_checked_once_for_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []

    def counting(config_class: Any, values: Any, owner: str, *rest: Any) -> Any:
        checked.append(owner)
        return read(config_class, values, owner, *rest)

    for module in ("config.recipe", "registry.resolve"):
        monkeypatch.setattr(f"zoo_core.{module}.read", counting)
    resolved = resolve(tiny.RECIPE.with_overrides(["run.steps=2", "run.device=cpu"]), tiny.catalog())
    run_recipe(resolved, folder=tmp_path / "run")
    assert sorted(checked) == ["dataset 'points'", "model 'line'", "recipe 'line'", "trainer 'line'"]


def test_the_repr_of_a_run_says_which_and_how_far(tmp_path: Path) -> None:
    run = tiny.train(tmp_path / "run", "run.steps=2")
    assert repr(run) == f"<Run line in {tmp_path / 'run'}: step 2 of 2>"


def test_one_registry_file_may_be_given_by_itself(my_registry: Path) -> None:
    assert "my-line" in zoo.list("weights", registry=str(my_registry))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: zoo.build("unet", "base_channels=8"),
            "are 'base_channels=8', but should be a mapping",
        ),
        (
            lambda: zoo.load("unet-digit-scenes", ["out_channels=27"]),
            "are ['out_channels=27'], but should be a mapping",
        ),
        (lambda: zoo.recipe("clsgan-mnist", {"run.steps": 4}), "the override {'run.steps': 4} should be text"),
        (lambda: zoo.build("mnist", kind="data"), "kind is 'data', but should be one of model, dataset, trainer"),
    ],
)
def test_an_argument_of_another_type_is_named_with_what_it_should_be(call: Any, message: str) -> None:
    with pytest.raises(zoo.ZooError) as raised:
        call()
    assert message in raised.value.message


def test_a_misspelled_setting_of_load_is_answered_with_a_name_that_works() -> None:
    with pytest.raises(zoo.BadSetting) as raised:
        zoo.load("unet-digit-scenes", {"out_channel": 27}, strict=False)
    assert raised.value.hint == "Did you mean 'out_channels'?"
    zoo.load("unet-digit-scenes", {"out_channels": 27}, strict=False)
