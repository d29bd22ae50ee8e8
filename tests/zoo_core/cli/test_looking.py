"""Commands that list and describe: tables, JSON, the version, the configuration, and shell completion."""

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
    """The output of a command in an empty working directory, which must succeed without a warning."""
    monkeypatch.chdir(tmp_path)
    catalog.default.cache_clear()

    def output(*arguments: str) -> str:
        code = _exit_code(list(arguments))
        out, err = capsys.readouterr()
        assert (code, err) == (0, "")
        return out

    return output


@pytest.mark.parametrize("kind", ["recipes", "models", "trainers", "datasets", "weights"])
def test_a_list_as_json_contains_the_rows_of_the_table(output: Any, kind: str) -> None:
    rows = json.loads(output("list", kind, "--json"))
    table = output("list", kind).splitlines()

    assert [set(row) for row in rows] == [{"name", "plugin", "tags", "summary"}] * len(rows)
    assert table[0].split() == ["name", "plugin", "summary"]
    assert [line.split()[0] for line in table[1:]] == [row["name"] for row in rows] == zoo.list(kind)


def test_plugins_are_listed_with_their_state_and_what_they_register(output: Any) -> None:
    rows = {row["name"]: row for row in json.loads(output("plugins", "--json"))}

    assert "dataset mnist" in rows["datasets"]["provides"].split(", ")
    assert rows["clsgan"]["provides"] == "model clsgan, trainer clsgan, weights clsgan-mnist"
    assert rows["zoo"]["provides"].startswith("recipe clsgan-mnist, recipe clsgan-mnist-quick, ")
    assert {row["state"] for row in rows.values()} == {"loaded"}
    assert rows["zoo"]["distribution"] == f"zoo-core {version('zoo-core')}"
    assert [row["name"] for row in json.loads(output("list", "plugins", "--json"))] == list(rows) == zoo.list("plugins")


def test_info_as_json_equals_zoo_info_in_python(output: Any) -> None:
    assert json.loads(output("info", "clsgan-mnist", "--json")) == json.loads(json.dumps(zoo.info("clsgan-mnist")))


def test_info_of_a_model_shows_paper_license_parameters_and_every_setting(output: Any) -> None:
    shown = output("info", "clsgan")

    assert "Mao et al. 2017" in shown
    assert "Apache-2.0" in shown
    assert "2,149,649" in shown
    for setting in zoo.info("clsgan")["model"]["settings"]:
        (line,) = [line for line in shown.splitlines() if line.startswith(f"{setting['name']} ")][:1]
        assert setting["type"] in line
        assert setting["help"].split("(")[0].strip() in line


def test_info_of_a_recipe_shows_its_own_settings_before_the_default_ones(output: Any) -> None:
    shown = output("info", "clsgan-mnist").splitlines()

    (first, second) = [number for number, line in enumerate(shown) if line.startswith("setting ")]
    assert shown[first].split() == ["setting", "value", "set", "in", "default", "type", "meaning"]
    assert shown[second].split() == ["setting", "default", "type", "meaning"]
    (written,) = [line for line in shown[first:second] if line.startswith("model.normalize_input ")]
    assert "registry.yaml:" in written
    assert "scale the discriminator's input from [0, 1] to [-1, 1]" in written
    (unset,) = [line for line in shown[second:] if line.startswith("model.latent_dim ")]
    assert unset.split()[1:3] == ["96", "int"]


def test_the_version_is_that_of_the_distribution(output: Any) -> None:
    assert output("--version") == f"zoo {version('zoo-core')}\n"
    assert zoo.__version__ == version("zoo-core")


def test_help_lists_every_command(output: Any) -> None:
    shown = output("--help")
    for command in ("run", "predict", "eval", "reproduce", "weights", "list", "info", "plugins"):
        assert f"\n  {command} " in shown
        assert "--traceback" in output(command, "--help")
    assert output("-h") == shown


def test_print_config_prints_a_complete_recipe_without_training(output: Any, tmp_path: Path) -> None:
    arguments = ["clsgan-mnist", "run.steps=7", "trainer.betas=[0.1, 0.2]"]
    (tmp_path / "config.yaml").write_text(output("run", *arguments, "--print-config"))

    recipe = read_config(tmp_path / "config.yaml")

    assert recipe.name == "clsgan-mnist"
    assert recipe.run_settings().steps == 7
    assert recipe.values["trainer"]["betas"] == [0.1, 0.2]
    assert recipe.values["model"]["latent_dim"] == 96  # a default, written out
    again = output("run", "--config", "config.yaml", "--print-config")
    assert again == (tmp_path / "config.yaml").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_an_additional_registry_overrides_the_others(output: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("recipes:\n  mine: {summary: Mine, extends: clsgan-mnist, run: {steps: 3}}\n")

    assert "mine" in [row["name"] for row in json.loads(output("list", "--json", "--registry", "mine.yaml"))]
    assert "steps: 3\n" in output("run", "mine", "--registry", "mine.yaml", "--print-config")
    settings = json.loads(output("info", "mine", "--json", "--registry", "mine.yaml"))["recipe"]["settings"]
    (steps,) = [setting for setting in settings if setting["key"] == "run.steps"]
    assert (steps["value"], steps["set in"]) == (3, "mine.yaml:2")


def test_a_plugin_can_add_a_command(output: Any) -> None:
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
        cli._called_plugins.discard("greeter")  # type: ignore[attr-defined]
        catalog.default.cache_clear()


def completed(tmp_path: Path, *arguments: str) -> list[str]:
    """The completions that bash gets for the last of ``arguments``."""
    variables = {
        "_ZOO_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(arguments),
        "COMP_CWORD": str(len(arguments) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-c", ZOO],
        cwd=tmp_path,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_the_shell_completes_names_of_recipes(tmp_path: Path) -> None:
    (tmp_path / "registry.yaml").write_text("recipes:\n  clsgan-mine: {extends: clsgan-mnist}\n")

    completions = completed(tmp_path, "zoo", "run", "clsgan-m")

    assert {"clsgan-mine", "clsgan-mnist", "clsgan-mnist-quick", "clsgan-mnist-reference"} <= set(completions)
    assert all(name.startswith("clsgan-m") for name in completions)
    assert completed(tmp_path, "zoo", "predict", "digit-cl") == ["digit-classifier-mnist"]
    assert completed(tmp_path, "zoo", "pl") == ["plugins"]


def test_the_shell_completes_names_of_weights(tmp_path: Path) -> None:
    (tmp_path / "registry.yaml").write_text("weights:\n  digit-mine@2: {alias: digit-classifier-mnist}\n")

    assert {"digit-mine@2", "digit-classifier-mnist"} <= set(completed(tmp_path, "zoo", "eval", "digit-"))
    assert completed(tmp_path, "zoo", "weights", "pull", "digit-m") == ["digit-mine@2"]


@pytest.mark.parametrize("text", ["recipes: [\n", "recipies: {}\n", "recipes:\n  clsgan-mine: 5\n", "5\n"])
def test_completion_ignores_a_damaged_file_without_a_warning(tmp_path: Path, text: str) -> None:
    (tmp_path / "registry.yaml").write_text(text)
    assert "clsgan-mnist-quick" in completed(tmp_path, "zoo", "run", "clsgan-mnist-q")
    assert completed(tmp_path, "zoo", "pl") == ["plugins"]


def test_lists_have_a_column_for_files_of_the_user_where_there_are_some(run_command, tmp_path: Path) -> None:
    _, out, _ = run_command("list")
    assert out.splitlines()[0].split() == ["name", "plugin", "summary"]
    (tmp_path / "registry.yaml").write_text("recipes:\n  digit-classifier-mnist:\n    run: {steps: 1}\n")
    for command in ("list", "search digit-classifier-mnist"):
        _, out, _ = run_command(*command.split())
        assert "file" in out.splitlines()[0].split()
        assert next(line for line in out.splitlines() if "digit-classifier-mnist " in line).count("registry.yaml") == 1
    with pytest.warns(UserWarning, match="^registry.yaml:2 in the working folder overrides the installed recipe"):
        code, _, _ = run_command("run", "digit-classifier-mnist", "--print-config")
    assert code == 0
