"""The names that `zoo new` accepts: those with which the new package works, and that nothing else has."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo_core.cli import _exit_code
from zoo_core.cli.new import KINDS

REFUSED = {
    **dict.fromkeys(["My-Model", "2fast", "a_b", "../up", "a--b", "a-", "", "a" * 51], "is not a name for a plugin"),
    **dict.fromkeys(["class", "def", "import", "lambda"], "it is a keyword of Python"),
    **dict.fromkeys(["json", "typing", "site", "random"], "a module of Python has this name"),
    **dict.fromkeys(["torch", "numpy", "pytest", "zoo-core", "safetensors"], "an installed package has this name"),
    **dict.fromkeys(["zoo", "clsgan", "datasets", "unet"], "an installed plugin has this name"),
    "digit-classifier": "a model of the plugin 'classifier' has this name",
    "segmentation": "a trainer of the plugin 'unet' has this name",
    "gan-mnist": "a recipe of 'zoo' has this name",
    "tests": "the folder tests/ is that of its tests",
    **dict.fromkeys(["null"], "YAML reads it as a value other than text"),
    **dict.fromkeys(["any", "tensor", "path", "mapping", "class-var", "none"], "its class would be called"),
}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("name", "reason"), REFUSED.items(), ids=repr)
def test_a_name_with_which_the_package_would_not_work_is_refused_in_two_lines(
    name: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _exit_code(["new", name]) == 2
    message, hint = capsys.readouterr().err.splitlines()
    assert f"'{name}'" in message
    assert reason in message
    assert not list(tmp_path.iterdir())
    suggested = hint.partition("`zoo new ")[2].removesuffix("`.")
    assert _exit_code(["new", suggested]) == 0
    assert [path.name for path in tmp_path.iterdir()] == [suggested]


@pytest.mark.parametrize(("kind", "name"), [("gan", "discriminator"), ("text", "block"), ("vision", "shapes")])
def test_a_class_of_the_kind_is_no_name(kind: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _exit_code(["new", name, "--kind", kind]) == 2
    assert f"its class would be called {name.capitalize()}, as something else" in capsys.readouterr().err
    assert _exit_code(["new", name, "--kind", "diffusion" if name != "shapes" else "tabular"]) == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["a", "w" * 50])
def test_the_lines_of_a_package_fit_for_the_shortest_and_the_longest_name(kind: str, name: str, tmp_path: Path) -> None:
    assert _exit_code(["new", name, "--kind", kind]) == 0
    for path in (tmp_path / name).rglob("*.py"):
        lines = path.read_text().splitlines()
        assert all(len(line) <= 120 for line in lines if " " in line.strip()), path
    commands = [line for line in (tmp_path / name / "README.md").read_text().splitlines() if "# " in line[2:]]
    assert len(commands) == 3
    if name == "a":
        assert len({line.index("# ") for line in commands}) == 1


def test_the_next_command_quotes_the_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert _exit_code(["new", "my-model", "--dir", "my models"]) == 0
    assert "cd 'my models' && pip install" in capsys.readouterr().out


def test_a_link_to_nothing_is_not_written_through(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "my-model").symlink_to("nowhere")
    assert _exit_code(["new", "my-model"]) == 2
    assert "my-model already exists" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()
