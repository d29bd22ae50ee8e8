"""`zoo plugins search`, `zoo plugins index`, and the index that comes with the examples."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT
from weights_server import Server

EXAMPLES = ROOT / "examples" / "plugins.json"


@pytest.fixture
def example_index(monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZOO_PLUGIN_INDEX", str(EXAMPLES))
    return EXAMPLES


def test_the_index_of_the_examples_says_what_they_state_and_register() -> None:
    done = subprocess.run([sys.executable, str(ROOT / "scripts" / "make_index.py"), "--check"], check=False)
    assert done.returncode == 0, "run: python scripts/make_index.py"


def test_a_search_prints_a_table_with_the_commands_that_install(run_command, example_index: Path) -> None:
    code, output, _ = run_command("plugins", "search", "variational")
    assert code == 0
    heading, row = output.splitlines()
    assert heading.split() == ["distribution", "installed", "brings", "summary", "install"]
    assert row.startswith("zoo-vae ")
    assert row.endswith("pip install 'zoo-vae>=0.1.0'")
    assert "idx-folder, vae, vae-fashion, vae-mnist" in row


def test_a_search_without_a_word_lists_all_and_one_in_vain_says_where(run_command, example_index: Path) -> None:
    _, output, _ = run_command("plugins", "search")
    listed = [line.split()[0] for line in output.splitlines()[1:]]
    assert listed == [entry["requirement"].partition(">")[0] for entry in json.loads(EXAMPLES.read_text())["plugins"]]
    expected = f"nothing found for 'xyzzy' in {EXAMPLES}, which has {len(listed)} plugins\n"
    assert run_command("plugins", "search", "xyzzy") == (0, expected, "")
    assert run_command("plugins", "search", "xyzzy", "--json") == (0, "[]\n", "")


def test_a_search_in_json_has_what_the_index_has_and_what_is_installed(run_command, tmp_path: Path) -> None:
    entry = {"requirement": "pluggy>=1", "provides": {"models": ["plug"]}}
    (tmp_path / "mine.json").write_text(json.dumps({"format": 1, "plugins": [entry]}))
    code, output, _ = run_command("plugins", "search", "PLUG", "--index", "mine.json", "--json")
    (row,) = json.loads(output)
    assert code == 0
    assert row.pop("installed")
    assert row == {
        "distribution": "pluggy",
        "install": "pip install 'pluggy>=1'",
        "summary": "",
        "homepage": "",
        "plugins": [],
        **entry,
    }
    _, output, _ = run_command("plugins", "search", "--index", "mine.json")
    assert "pip install" not in output


def test_a_search_downloads_the_index_of_a_url_each_time(run_command) -> None:
    with Server(EXAMPLES.read_bytes()) as server:
        for _ in range(2):
            code, output, _ = run_command("plugins", "search", "timm/resnet18", "--index", server.url)
            assert (code, output.splitlines()[1].split()[0]) == (0, "zoo-timm")
        assert len(server.paths) == 2
    with pytest.warns(UserWarning, match=r"the plugin index http://127\.0\.0\.1.* The copy of .* is used"):
        code, output, _ = run_command("plugins", "search", "timm", "--index", server.url)
    assert (code, output.splitlines()[1].split()[0]) == (0, "zoo-timm")


def test_without_an_index_the_hint_is_how_to_give_one(run_command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZOO_PLUGIN_INDEX", raising=False)
    code, output, errors = run_command("plugins", "search", "nerf")
    assert (code, output) == (2, "")
    hint = "Add --index PATH, or set ZOO_PLUGIN_INDEX to a path or an https:// address."
    assert errors == f"error: no index of plugins is given.\n  {hint}\n"


@pytest.mark.parametrize("content", ["{", '{"format": 1, "plugins": [{"requirement": "zoo @ https://evil.example"}]}'])
def test_a_broken_index_is_two_lines_and_breaks_no_other_command(
    content: str, run_command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad.json").write_text(content)
    monkeypatch.setenv("ZOO_PLUGIN_INDEX", "bad.json")
    code, output, errors = run_command("plugins", "search")
    assert (code, output, len(errors.splitlines())) == (2, "", 2)
    code, _, errors = run_command("run", "zip-nerf")
    assert (code, len(errors.splitlines())) == (2, 2)
    for words in (["list"], ["plugins"], ["info", "mnist"], ["run", "clsgan-mnist", "--print-config"]):
        code, _, errors = run_command(*words)
        assert (code, errors) == (0, "")


@pytest.mark.parametrize(
    "words",
    [
        ["run", "timm-mnist"],
        ["run", "gan-mnist", "model.name=timm/resnet18"],
        ["info", "timm/resnet18"],
        ["predict", "timm-mnist"],
        ["bench", "timm/resnet18"],
        ["check", "timm"],
        ["plugins", "show", "timm"],
        ["weights", "path", "timm-mnist"],
        ["sweep", "timm-mnist", "trainer.learning_rate=1e-3,1e-2"],
    ],
    ids=" ".join,
)
def test_every_command_names_the_distribution_of_an_uninstalled_name(
    words: list[str], run_command, example_index: Path
) -> None:
    code, output, errors = run_command(*words)
    assert (code, output) == (2, "")
    message, hint = errors.splitlines()
    assert f"According to the plugin index {EXAMPLES}, the distribution 'zoo-timm' brings the " in message
    assert hint == "  Install it: pip install 'zoo-timm>=0.1.0'"


def test_listing_names_that_are_not_installed_mentions_them_without_the_network(
    run_command, example_index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = f"According to the plugin index {EXAMPLES}, 'zoo-timm' brings it: pip install 'zoo-timm>=0.1.0'"
    for match in ("timm/", "timm/*vit*", "timm/resnet18"):
        with pytest.warns(UserWarning, match=re.escape(f"nothing installed matches '{match}'. {said}")):
            assert run_command("list", "models", match) == (0, "none\n", "")
    assert run_command("list", "models", "xyzzy") == (0, "none\n", "")
    assert run_command("list", "models", "*")[2] == ""
    monkeypatch.setenv("ZOO_PLUGIN_INDEX", "https://index.invalid/plugins.json")
    monkeypatch.setattr(socket, "getaddrinfo", None)  # any use of the network fails
    assert run_command("list", "models", "timm/") == (0, "none\n", "")


def test_a_search_among_what_is_installed_points_to_the_index(run_command, example_index: Path) -> None:
    _, output, _ = run_command("search", "xyzzy")
    assert output.endswith("`zoo plugins search xyzzy` searches plugins that are not installed\n")


def test_the_index_of_an_installed_plugin_is_one_that_can_be_searched(run_command, tmp_path: Path) -> None:
    code, output, _ = run_command("plugins", "index", "unet")
    assert code == 0
    (tmp_path / "mine.json").write_text(output)
    _, output, _ = run_command("plugins", "search", "next-frame", "--index", "mine.json", "--json")
    assert [(row["distribution"], row["plugins"]) for row in json.loads(output)] == [("zoo-core", ["unet"])]


def test_the_index_of_a_plugin_that_is_not_installed_is_an_error(run_command) -> None:
    code, output, errors = run_command("plugins", "index", "unte")
    assert (code, output) == (2, "")
    assert errors == "error: no installed plugin is called 'unte'.\n  Did you mean 'unet'?\n"
    assert run_command("plugins", "index")[0] == 2
