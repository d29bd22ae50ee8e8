"""The benchmark suite: its rows, its page, and one of its scripts from end to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT

sys.path.append(str(ROOT))

from benchmarks.page import page
from benchmarks.rows import SCRIPTS, Row


def spread(median: float, low: float, high: float) -> dict[str, float]:
    return {"median": median, "min": low, "max": high}


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


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.key)
def test_every_script_of_the_suite_accepts_its_arguments(script) -> None:
    words = [*script.arguments, "--output", "result.json", "--help"]
    command = [sys.executable, str(ROOT / "benchmarks" / script.name), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    for word in script.arguments:
        assert not word.startswith("--") or word in done.stdout


def test_a_target_is_a_minimum_or_a_maximum() -> None:
    assert [Row("", "", 2).reaches_target(value) for value in (1.99, 2, 2.01)] == [False, True, True]
    assert [Row("", "", 2, at_least=False).reaches_target(value) for value in (1.99, 2, 2.01)] == [True, True, False]


def test_the_page_names_missed_targets_and_rows_that_were_not_measured() -> None:
    text = page(RESULTS)
    assert "1 of 2 rows reach their target." in text
    assert "| zoo.load / meta device and load_file, seconds | 1.3 (1.2 to 1.4) | ≤ 1.1 | missed |" in text
    assert "| timm.create_model / zoo.load, seconds | 4 (3.5 to 5) | ≥ 1 |  |" in text
    assert "| from_pretrained / zoo.load, seconds | not measured | ≥ 1 | |" in text
    assert "Load average 0.5 before and 1.5 after." in text
    assert "## growth.py" in text.split("Not measured: exit code 1.")[0]


def test_the_published_page_is_generated_from_the_published_measurements() -> None:
    docs = ROOT / "docs"
    results = json.loads((docs / "benchmarks.json").read_text(encoding="utf-8"))
    assert page(results) == (docs / "benchmarks.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_script_of_the_suite_is_run_and_shown_in_table_and_plot(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--only", "loading.py", "--output", str(tmp_path / "results")]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONWARNINGS": ""}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results" / "benchmarks.json").read_text(encoding="utf-8"))
    measured = results["scripts"]["loading.py"]
    assert measured["machine"]["cores"] == os.cpu_count()
    assert 0 < measured["ratios"]["zoo/bare"]["median"] < 10
    assert measured["ratios"]["peak of zoo / file"]["median"] == pytest.approx(1, abs=0.15)
    assert (tmp_path / "results" / "benchmarks.md").read_text(encoding="utf-8") in done.stdout
    assert (tmp_path / "results" / "benchmarks.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_saving_large_measures_the_current_checkpoint_writer(tmp_path: Path) -> None:
    script = str(ROOT / "benchmarks" / "saving_large.py")
    command = [sys.executable, script, "--rounds", "1", "--output", str(tmp_path / "result.json")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    ratios = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))["ratios"]
    assert ratios["stall of zoo/torch.save"]["median"] > 0
    assert ratios["bytes/s of zoo/disk"]["median"] > 0
