"""Disabling and enabling plugins, searching, and plugins that are a single file."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from warm_python import PYTHON

ONE_FILE = '''
"""A plugin in one file."""
from dataclasses import dataclass
import torch
import zoo_core as zoo

@zoo.hookimpl
def zoo_register(registry):
    registry.model("dot", f"{__name__}:Dot", summary="One number", tags=("tiny", "numbers"))
    registry.trainer("dot", f"{__name__}:DotTrainer", summary="Makes it small")
    registry.recipe(
        "small-dot", __file__, summary="In one file", model={"name": "dot"}, trainer={"name": "dot"},
        dataset={"name": "mnist", "source": "subset"}, run={"steps": 3},
    )

class Dot(zoo.Model):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        start: float = zoo.setting(1.0, "initial value")
    config: Config

    def __init__(self, config):
        super().__init__(config)
        self.number = torch.nn.Parameter(torch.tensor(config.start))

class DotTrainer(zoo.Trainer):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        fails_at: int = zoo.setting(0, "the step that raises; 0: none")
    config: Config

    def setup(self, model, engine):
        self.model, self.optimizer = engine.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))
        self.engine, self.steps = engine, 0

    def step(self, batch):
        self.steps += 1
        if self.steps == self.config.fails_at:
            raise ValueError("the loss is negative")
        loss = self.model.number.square()
        self.optimizer.zero_grad()
        self.engine.backward(loss)
        self.optimizer.step()
        return {"loss": loss.detach()}
'''


@pytest.fixture
def zoo(tmp_path: Path):
    """The command in a subprocess, in an empty working directory with its own ZOO_HOME."""

    def zoo(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, "ZOO_HOME": str(tmp_path / "home"), **environment}
        command = [PYTHON, "-m", "zoo_core", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=variables, cwd=tmp_path)

    return zoo


@pytest.fixture
def one_file(tmp_path: Path) -> Path:
    path = tmp_path / "dot_plugin.py"
    path.write_text(ONE_FILE)
    return path


def states(zoo, **environment: str) -> dict[str, str]:
    return {row["name"]: row["state"] for row in json.loads(zoo("plugins", "--json", **environment).stdout)}


def test_a_disabled_plugin_is_not_loaded_until_it_is_enabled(zoo):
    assert zoo("plugins", "disable", "unet").stdout == "disabled: unet\n"
    assert states(zoo)["unet"] == "disabled"
    assert "unet" not in [line.split()[0] for line in zoo("list", "models").stdout.splitlines()]
    assert zoo("plugins", "enable", "unet").stdout == "enabled: unet\n"
    assert states(zoo)["unet"] == "loaded"


def test_the_hint_for_a_name_of_a_disabled_plugin_is_how_to_enable_it(zoo):
    zoo("plugins", "disable", "clsgan")
    done = zoo("info", "clsgan/clsgan")
    assert done.returncode == 2
    assert "The plugin 'clsgan' is disabled." in done.stderr
    assert "zoo plugins enable clsgan" in done.stderr


def test_an_unknown_plugin_cannot_be_disabled(zoo, tmp_path):
    done = zoo("plugins", "disable", "unte")
    assert done.returncode == 2
    assert "no plugin is called 'unte'.\n  Did you mean 'unet'?" in done.stderr
    assert not (tmp_path / "home").exists()


def test_environment_variables_select_plugins_for_one_command(zoo):
    assert states(zoo, ZOO_DISABLE_PLUGINS="unet, clsgan") == {
        "classifier": "loaded", "clsgan": "disabled", "datasets": "loaded", "unet": "disabled", "zoo": "loaded",
    }  # fmt: skip
    zoo("plugins", "disable", "clsgan")
    assert [name for name, state in states(zoo, ZOO_PLUGINS="clsgan").items() if state == "loaded"] == ["clsgan"]


def test_the_hint_for_a_damaged_plugins_file_is_to_delete_it(zoo, tmp_path):
    zoo("plugins", "disable", "unet")
    (tmp_path / "home" / "plugins.json").write_text("{")
    done = zoo("list")
    assert done.returncode == 2
    assert "plugins.json can't be read" in done.stderr
    assert "Delete it" in done.stderr


def test_a_single_file_is_loaded_only_with_the_option(zoo, one_file, tmp_path):
    done = zoo("--plugin", str(one_file), "run", "small-dot", "--folder", "run")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "model.safetensors").is_file()
    assert "small-dot" not in zoo("list").stdout
    resumed = zoo("--plugin", str(one_file), "run", "--resume", "run")
    assert resumed.returncode == 0, resumed.stderr


@pytest.mark.long
def test_a_single_file_may_use_a_trainer_that_loads_weights(zoo, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import zoo_core as zoo\n"
        "@zoo.hookimpl\n"
        "def zoo_register(registry):\n"
        "    registry.recipe('mine', __file__, extends='clsgan-mnist-quick')\n"
    )
    arguments = ("run.steps=1", "dataset.source=subset", "--folder", "run")
    done = zoo("--plugin", "mine.py", "run", "mine", *arguments)
    assert done.returncode == 0, done.stderr
    assert "accuracy" in (tmp_path / "run" / "metrics.jsonl").read_text()


def test_the_registry_in_zoo_home_can_load_single_files(zoo, one_file, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "registry.yaml").write_text("plugins:\n  - ../dot_plugin.py\n")
    assert "small-dot" in zoo("list").stdout


def test_a_registry_in_the_working_directory_does_not_load_plugins(zoo, one_file, tmp_path):
    (tmp_path / "registry.yaml").write_text("plugins: [dot_plugin.py]\n")
    done = zoo("list")
    assert "small-dot" not in done.stdout
    assert "the plugins that registry.yaml lists are not loaded" in done.stderr
    assert "small-dot" in zoo("list", "--registry", "registry.yaml").stdout


def test_a_single_file_that_does_not_load_is_an_error(zoo, tmp_path):
    (tmp_path / "bad.py").write_text("1 / 0\n")
    done = zoo("--plugin", "bad.py", "list")
    assert done.returncode == 2
    assert "bad.py did not load: ZeroDivisionError: division by zero" in done.stderr
    assert "does not exist" in zoo("--plugin", "nowhere.py", "list").stderr
    (tmp_path / "json.py").write_text("")
    assert "there is another module called 'json'" in zoo("--plugin", "json.py", "list").stderr


def test_an_error_in_a_trainer_is_attributed_to_it_and_its_checkpoints_are_kept(zoo, one_file, tmp_path):
    arguments = ("run", "small-dot", "trainer.fails_at=3", "run.checkpoint_every=1", "--folder", "run")
    done = zoo("--plugin", str(one_file), *arguments)
    assert done.returncode == 1
    line = next(number for number, text in enumerate(ONE_FILE.splitlines(), 1) if "the loss is negative" in text)
    expected = f"the trainer 'dot' raised ValueError: the loss is negative ({tmp_path.name}/dot_plugin.py, line {line})"
    assert expected in done.stderr
    assert "after step 2" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(list((tmp_path / "run" / "checkpoints").iterdir())) == 2


def test_entries_are_found_by_tag_and_by_text(zoo, one_file):
    by_tag = zoo("--plugin", str(one_file), "list", "--tag", "numbers").stdout.splitlines()
    assert [line.split()[0] for line in by_tag[1:]] == ["small-dot"]
    found = json.loads(zoo("search", "BOUNCE", "--json").stdout)
    assert [(row["kind"], row["name"]) for row in found] == [("dataset", "moving-mnist")]
    assert zoo("search", "no-such-thing").stdout == "nothing found for 'no-such-thing'; `zoo list` shows all recipes\n"
