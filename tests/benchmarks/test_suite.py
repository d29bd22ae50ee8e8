"""The suite of benchmarks: its rows, its page, and one script of it from end to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from repository import ROOT

sys.path.append(str(ROOT))

from benchmarks.__main__ import read_gpu
from benchmarks.page import page
from benchmarks.rows import SCRIPTS, Row


def spread(median: float, least: float, most: float) -> dict[str, float]:
    return {"median": median, "min": least, "max": most}


RESULTS = {
    "date": "2030-01-02",
    "scripts": {
        "loading.py": {
            "machine": {"cores": 3},
            "load_average": {"before": [0.5], "after": [1.5]},
            "ratios": {"zoo/bare": spread(1.3, 1.2, 1.4), "timm/zoo": spread(4, 3.5, 5)},
        },
        "growth.py": {"failed": "exit code 1"},
    },
}


HELP = """
import contextlib, io, json, runpy, sys
from pathlib import Path

sys.path.insert(0, str(Path(sys.argv[1])))
ended = []
for name, *words in json.load(sys.stdin):
    sys.argv = [name, *words, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as said:
        try:
            runpy.run_path(str(Path(sys.path[0], name)), run_name="__main__")
        except SystemExit as exit:
            ended.append([exit.code or 0, said.getvalue()])
json.dump(ended, sys.stdout)
"""


@pytest.fixture(scope="module")
def helped() -> dict[str, tuple[int, str]]:
    """Exit code and help of every script with its arguments in the suite; one process reads them all."""
    commands = json.dumps([[script.name, *script.arguments, "--output", "result.json"] for script in SCRIPTS])
    command = [sys.executable, "-c", HELP, str(ROOT / "benchmarks")]
    done = subprocess.run(command, input=commands, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return {script.key: (code, text) for script, (code, text) in zip(SCRIPTS, json.loads(done.stdout), strict=True)}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.key)
def test_every_script_of_the_suite_accepts_its_arguments(helped, script) -> None:
    code, text = helped[script.key]
    assert code == 0
    for word in script.arguments:
        assert not word.startswith("--") or word in text


def test_a_row_compares_a_ratio_with_its_target() -> None:
    assert [Row("", "", 2).reaches_target(value) for value in (1.99, 2, 2.01)] == [False, True, True]
    assert [Row("", "", 2, at_least=False).reaches_target(value) for value in (1.99, 2, 2.01)] == [True, True, False]


def test_the_page_shows_what_misses_its_target_and_what_was_not_measured() -> None:
    text = page(RESULTS)
    assert "1 of 2 rows reach their target." in text
    assert "| zoo.load / meta device and load_file, seconds | 1.3 (1.2 to 1.4) | ≤ 1.1 | missed |" in text
    assert "| timm.create_model / zoo.load, seconds | 4 (3.5 to 5) | ≥ 1 |  |" in text
    assert "| from_pretrained / zoo.load, seconds | not measured | ≥ 1 | |" in text
    assert "Load average 0.5 before and 1.5 after." in text
    assert "## growth.py" in text.split("Not measured: exit code 1.")[0]


def test_the_published_page_is_made_from_the_published_measurements() -> None:
    docs = ROOT / "docs"
    results = json.loads((docs / "benchmarks.json").read_text(encoding="utf-8"))
    assert page(results, read_gpu(docs)) == (docs / "benchmarks.md").read_text(encoding="utf-8")


SUITE = """
import sys
from dataclasses import replace

import benchmarks.__main__ as suite

(script,) = [one for one in suite.SCRIPTS if one.name == "many_plugins.py"]
suite.SCRIPTS = (replace(script, arguments=("--rounds", "1", "--plugins", "3", "--others")),)
suite.main()
"""


def test_a_script_of_the_suite_is_measured_and_becomes_table_and_plot(tmp_path: Path) -> None:
    results = suite_results(["-c", SUITE, "--only", "many_plugins.py"], tmp_path / "results")
    measured = results["scripts"]["many_plugins.py"]
    assert measured["machine"]["cores"] == os.cpu_count()
    assert 0 < measured["ratios"]["seconds of zoo list"]["median"] < 100


@pytest.mark.long
def test_loading_is_measured_by_the_suite_and_takes_about_the_memory_of_the_file(tmp_path: Path) -> None:
    results = suite_results(["-m", "benchmarks", "--only", "loading.py"], tmp_path / "results")
    ratios = results["scripts"]["loading.py"]["ratios"]
    assert 0 < ratios["zoo/bare"]["median"] < 10
    assert ratios["peak of zoo / file"]["median"] == pytest.approx(1, abs=0.15)


def suite_results(words: list[str], output: Path) -> dict[str, Any]:
    """What a run of the suite wrote, whose table is what it printed and beside which there is a plot."""
    command = [sys.executable, *words, "--output", str(output)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONWARNINGS": ""}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert (output / "benchmarks.md").read_text(encoding="utf-8") in done.stdout
    assert (output / "benchmarks.png").read_bytes().startswith(b"\x89PNG")
    return json.loads((output / "benchmarks.json").read_text(encoding="utf-8"))


@pytest.mark.long
def test_what_a_checkpoint_costs_is_measured_on_the_trainer_state_of_today(tmp_path: Path) -> None:
    script = str(ROOT / "benchmarks" / "saving_large.py")
    command = [sys.executable, script, "--rounds", "1", "--output", str(tmp_path / "result.json")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    ratios = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))["ratios"]
    assert ratios["stall of zoo/torch.save"]["median"] > 0
    assert ratios["bytes/s of zoo/disk"]["median"] > 0
