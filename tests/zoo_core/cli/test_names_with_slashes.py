"""Names such as ``timm/resnet18`` of recipes, models and weights, in every command."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from distributions import install

import zoo_core as zoo
from zoo_core.registry import catalog
from zoo_core.runs.paths import last_run

PLUGIN = """
import zoo_core as zoo

@zoo.hookimpl
def zoo_register(registry):
    about = {"license": "MIT", "paper": "Gauss 1809", "tags": ("regression",)}
    registry.models("lines", ["short", "long"], "tiny:Line", summary="Lines of some length", **about)
    registry.dataset("lines/points", "tiny:Points", summary="Points", license="MIT")
    registry.trainer("lines/fit", "tiny:LineTrainer", summary="Fits a line", **about)
    parts = {"model": {"name": "lines/short"}, "dataset": {"name": "lines/points"}, "trainer": {"name": "lines/fit"}}
    run = {"steps": 8, "batch_size": 8, "checkpoint_every": 4, "device": "cpu", "threads": 1}
    registry.recipe("lines/short-fit", __file__, **parts, summary="Fits a short line", run=run)
"""

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_command: Command, run_in_process: None) -> Command:
    """A command with the plugin above, in an empty working folder."""
    return run_command


@pytest.fixture
def run_in_process(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    site = tmp_path_factory.mktemp("site-packages")
    install(site, "lines_plugin", PLUGIN, name="geometry")
    monkeypatch.syspath_prepend(site)
    yield
    catalog.default.cache_clear()
    sys.modules.pop("lines_plugin", None)


def succeed(done: tuple[int, str, str]) -> str:
    assert done[0] == 0, done[2]
    return done[1]


def test_a_family_has_one_line_and_its_members_are_listed_and_searched(command: Command) -> None:
    lines = succeed(command("list", "models")).splitlines()
    (family,) = [line for line in lines if line.startswith("lines/")]
    assert family.split(maxsplit=2) == ["lines/", "geometry", "2 models: Lines of some length"]
    for match in ("lines/", "lines/*"):
        listed = succeed(command("list", "models", match)).splitlines()[1:]
        assert [line.split()[0] for line in listed] == ["lines/long", "lines/short"]
    rows = json.loads(succeed(command("list", "models", "lines/s", "--json")))
    assert [row["name"] for row in rows] == ["lines/short"]
    assert succeed(command("list", "models", "nothing/")) == "none\n"
    found = json.loads(succeed(command("search", "SHORT", "--json")))
    assert [(row["kind"], row["name"]) for row in found] == [("recipe", "lines/short-fit"), ("model", "lines/short")]
    found = json.loads(succeed(command("search", "some length", "--json")))
    assert [(row["kind"], row["name"]) for row in found] == [("model", "lines/")]
    assert {"lines/long", "lines/short"} <= set(zoo.list("models"))
    assert zoo.list("models", "lines/*") == ["lines/long", "lines/short"]


WRONG = """
import zoo_core as zoo

@zoo.hookimpl
def zoo_register(registry):
    registry.models("wrong", ["a", "B", "C", "D", "E"], "tiny:Line", summary="Lines")
    registry.model("Wrong", "tiny:Line", summary="A line")
"""


def test_names_that_are_left_out_are_warned_of_when_they_are_listed(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wrong.py").write_text(WRONG)
    monkeypatch.setenv("ZOO_PLUGIN_FILES", str(tmp_path / "wrong.py"))
    with pytest.warns(UserWarning, match="the plugin 'wrong' registers models whose names are left out") as warned:
        listed = succeed(command("list", "models"))
    assert "1 models: Lines" in listed
    (text,) = [str(one.message) for one in warned]
    assert "left out: 'Wrong', 'wrong/B', 'wrong/C' and 2 more; a name should be lower-case words" in text
    (row,) = [one for one in json.loads(succeed(command("plugins", "--json"))) if one["name"] == "wrong"]
    assert row["state"] == "loaded"
    (check,) = json.loads(command("check", "wrong", "--only", "every-name", "--json")[1])
    assert (check["state"], "'Wrong' is left out" in check["why"]) == ("failed", True)


def test_a_recipe_with_a_slash_is_run_resumed_loaded_and_evaluated(command: Command) -> None:
    folder = Path("runs", "lines", "short-fit")
    succeed(command("run", "lines/short-fit"))
    (run,) = folder.iterdir()
    assert last_run() == run
    assert [one["recipe"] for one in json.loads(succeed(command("top", "--json")))] == ["lines/short-fit"]
    model = zoo.load(run)
    assert (model.member, type(model).__name__) == ("short", "Line[short]")
    assert "lines/short-fit" in succeed(command("info", str(run / "model.safetensors")))
    succeed(command("eval", str(run)))
    (run / "model.safetensors").rename("kept.safetensors")
    succeed(command("run", "--resume", "last"))
    assert (run / "model.safetensors").read_bytes() == Path("kept.safetensors").read_bytes()
    assert zoo.info("lines/short-fit")["recipe"]["name"] == "lines/short-fit"
    assert zoo.build("lines/long").member == "long"
    assert zoo.recipe("geometry/lines/short-fit").name == "lines/short-fit"
    assert zoo.run("lines/short-fit", "model.name=lines/long", "run.steps=2", folder="other").model.member == "long"


def test_a_member_that_is_run_or_loaded_is_explained(command: Command) -> None:
    assert command("run", "lines/short")[2].splitlines()[-2:] == [
        "error: no recipe is called 'lines/short'; it is a model.",
        "  Use it in a recipe: zoo run RECIPE model.name=lines/short",
    ]
    assert "Did you mean 'lines/short-fit'?" in command("run", "lines/shrot-fit")[2]
    assert "Did you mean 'lines/short'?" in command("info", "lines/shrot")[2]
    assert "'lines/' is not a model, but a family of 2." in command("info", "lines/")[2]


def test_weights_with_a_slash_are_published_listed_and_loaded(command: Command) -> None:
    succeed(command("run", "lines/short-fit", "--folder", "run"))
    entry = succeed(command("weights", "publish", "run", "--license", "MIT"))
    assert Path("lines-short-fit.safetensors").is_file()
    Path("registry.yaml").write_text(entry.replace("lines/short-fit:", "lines/short-fit@1:"))
    catalog.default.cache_clear()
    assert "lines/short-fit@1" in succeed(command("weights", "list"))
    for name in ("lines/short-fit", "lines/short-fit@1"):
        assert zoo.load(name).member == "short"
        succeed(command("weights", "verify", name))
    assert "no version '2'" in command("weights", "path", "lines/short-fit@2")[2]
    assert "lines/short" in succeed(command("info", "lines/short-fit@1"))


def test_a_member_is_checked_by_name_and_a_family_of_a_plugin_by_those_that_its_recipes_use(command: Command) -> None:
    rows = json.loads(succeed(command("check", "lines/long", "--only", "build", "--json")))
    assert {row["subject"] for row in rows} == {"model geometry/lines/long"}
    rows = json.loads(command("check", "geometry", "--only", "builds-on-the-cpu", "--json")[1])
    assert {row["subject"] for row in rows} == {"model geometry/lines/short"}


def test_a_sweep_of_a_recipe_with_a_slash_is_found_as_the_last(command: Command) -> None:
    succeed(command("sweep", "lines/short-fit", "trainer.learning_rate=0.01,0.02", "--metric", "-error"))
    shown = succeed(command("sweep", "--show", "last"))
    assert re.search(r"sweeps/lines/short-fit/\S+/trial-000[01]/config\.yaml", shown)
