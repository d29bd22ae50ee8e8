"""The commands that look around: tables, JSON, the version, the configuration, and what the shell completes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import zoo_core as zoo
from zoo_core.cli import _exit_code
from zoo_core.config.recipe import read_config
from zoo_core.registry import catalog

ZOO = "import sys; sys.argv[0] = 'zoo'; from zoo_core.cli import main; main()"


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """What a command prints, in an empty working folder; it must end well and complain of nothing."""
    monkeypatch.chdir(tmp_path)
    catalog.default.cache_clear()

    def output(*words: str) -> str:
        code = _exit_code(list(words))
        out, err = capsys.readouterr()
        assert (code, err) == (0, "")
        return out

    return output


@pytest.mark.parametrize("kind", ["recipes", "models", "trainers", "datasets", "weights"])
def test_a_list_as_json_holds_the_rows_of_the_table(output: Any, kind: str) -> None:
    rows = json.loads(output("list", kind, "--json"))
    table = output("list", kind).splitlines()

    assert [set(row) for row in rows] == [{"name", "plugin", "tags", "summary"}] * len(rows)
    assert table[0].split() == ["name", "plugin", "summary"]
    assert [line.split()[0] for line in table[1:]] == [row["name"] for row in rows] == zoo.list(kind)


def test_plugins_are_shown_with_their_state_and_what_they_bring(output: Any) -> None:
    rows = {row["name"]: row for row in json.loads(output("plugins", "--json"))}

    assert "dataset mnist" in rows["datasets"]["brings"].split(", ")
    assert rows["clsgan"]["brings"] == "model clsgan, trainer clsgan, weights clsgan-mnist"
    assert rows["zoo"]["brings"].startswith("recipe clsgan-mnist, recipe clsgan-mnist-quick, ")
    assert {row["state"] for row in rows.values()} == {"loaded"}
    assert rows["zoo"]["distribution"] == f"zoo-core {version('zoo-core')}"
    assert [row["name"] for row in json.loads(output("list", "plugins", "--json"))] == list(rows) == zoo.list("plugins")


def test_info_as_json_is_what_python_gives(output: Any) -> None:
    assert json.loads(output("info", "clsgan-mnist", "--json")) == json.loads(json.dumps(zoo.info("clsgan-mnist")))


def test_info_of_a_model_shows_paper_licence_size_and_every_setting(output: Any) -> None:
    told = output("info", "clsgan")

    assert "Mao et al. 2017" in told
    assert "Apache-2.0" in told
    assert "2,149,649" in told
    for setting in zoo.info("clsgan")["model"]["settings"]:
        (line,) = [line for line in told.splitlines() if line.startswith(f"{setting['name']} ")][:1]
        assert setting["type"] in line
        assert setting["help"].split("(")[0].strip() in line


def test_info_of_a_recipe_shows_what_it_sets_first_and_then_what_it_leaves(output: Any) -> None:
    told = output("info", "clsgan-mnist").splitlines()

    (first, second) = [number for number, line in enumerate(told) if line.startswith("setting ")]
    assert told[first].split() == ["setting", "value", "set", "in", "default", "type", "meaning"]
    assert told[second].split() == ["setting", "default", "type", "meaning"]
    (written,) = [line for line in told[first:second] if line.startswith("model.normalize_input ")]
    assert "registry.yaml:" in written
    assert "scale the discriminator's input from [0, 1] to [-1, 1]" in written
    (left,) = [line for line in told[second:] if line.startswith("model.latent_dim ")]
    assert left.split()[1:3] == ["96", "int"]


def test_the_version_is_that_of_the_distribution(output: Any) -> None:
    assert output("--version") == f"zoo {version('zoo-core')}\n"
    assert zoo.__version__ == version("zoo-core")


def test_help_shows_every_command_with_one_line(output: Any) -> None:
    told = output("--help")
    for command in ("run", "predict", "eval", "reproduce", "weights", "list", "info", "plugins"):
        assert f"\n  {command} " in told
        assert "--traceback" in output(command, "--help")
    assert output("-h") == told


def test_print_config_prints_a_recipe_that_repeats_the_run_and_trains_nothing(output: Any, tmp_path: Path) -> None:
    words = ["clsgan-mnist", "run.steps=7", "trainer.betas=[0.1, 0.2]"]
    (tmp_path / "config.yaml").write_text(output("run", *words, "--print-config"))

    recipe = read_config(tmp_path / "config.yaml")

    assert recipe.name == "clsgan-mnist"
    assert recipe.run_settings().steps == 7
    assert recipe.values["trainer"]["betas"] == [0.1, 0.2]
    assert recipe.values["model"]["latent_dim"] == 96  # a default, written out
    again = output("run", "--config", "config.yaml", "--print-config")
    assert again == (tmp_path / "config.yaml").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_a_further_registry_is_laid_over_the_others(output: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("recipes:\n  mine: {summary: Mine, extends: clsgan-mnist, run: {steps: 3}}\n")

    assert "mine" in [row["name"] for row in json.loads(output("list", "--json", "--registry", "mine.yaml"))]
    assert "steps: 3\n" in output("run", "mine", "--registry", "mine.yaml", "--print-config")
    settings = json.loads(output("info", "mine", "--json", "--registry", "mine.yaml"))["recipe"]["settings"]
    (steps,) = [setting for setting in settings if setting["key"] == "run.steps"]
    assert (steps["value"], steps["set in"]) == (3, "mine.yaml:2")


def test_a_plugin_adds_a_command_of_its_own(output: Any) -> None:
    import click

    class Greeter:
        @zoo.hookimpl
        def zoo_commands(self, cli: click.Group) -> None:
            cli.add_command(click.Command("greet", callback=lambda: click.echo("hello"), help="Say hello."))

    from zoo_core.cli import cli

    catalog.default().plugins.add("greeter", Greeter())
    try:
        assert output("greet") == "hello\n"
        assert "Say hello." in output("--help")
    finally:
        cli.commands.pop("greet", None)  # type: ignore[attr-defined]
        cli._asked.discard("greeter")  # type: ignore[attr-defined]
        catalog.default.cache_clear()


def completed(tmp_path: Path, *words: str) -> list[str]:
    """What bash is offered for the last of ``words``."""
    asks = {"_ZOO_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", ZOO],
        cwd=tmp_path,
        env={**os.environ, **asks},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_the_shell_completes_names_of_recipes(tmp_path: Path) -> None:
    (tmp_path / "registry.yaml").write_text("recipes:\n  clsgan-mine: {extends: clsgan-mnist}\n")

    offered = completed(tmp_path, "zoo", "run", "clsgan-m")

    assert {"clsgan-mine", "clsgan-mnist", "clsgan-mnist-quick", "clsgan-mnist-reference"} <= set(offered)
    assert all(name.startswith("clsgan-m") for name in offered)
    assert completed(tmp_path, "zoo", "predict", "digit-cl") == ["digit-classifier-mnist"]
    assert completed(tmp_path, "zoo", "pl") == ["plugins"]


def test_the_shell_completes_names_of_weights(tmp_path: Path) -> None:
    (tmp_path / "registry.yaml").write_text("weights:\n  digit-mine@2: {alias: digit-classifier-mnist}\n")

    assert {"digit-mine@2", "digit-classifier-mnist"} <= set(completed(tmp_path, "zoo", "eval", "digit-"))
    assert completed(tmp_path, "zoo", "weights", "pull", "digit-m") == ["digit-mine@2"]


@pytest.mark.parametrize("text", ["recipes: [\n", "recipies: {}\n", "recipes:\n  clsgan-mine: 5\n", "5\n"])
def test_the_shell_completes_in_silence_beside_a_damaged_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "registry.yaml").write_text(text)
    assert "clsgan-mnist-quick" in completed(tmp_path, "zoo", "run", "clsgan-mnist-q")
    assert completed(tmp_path, "zoo", "pl") == ["plugins"]
