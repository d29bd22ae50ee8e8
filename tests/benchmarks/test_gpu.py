"""The benchmarks on a GPU, as far as a CPU can run them: parts, errors, time limits, and the section of the page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from repository import ROOT

sys.path.append(str(ROOT))

import zoo_core as zoo
from benchmarks.gpu.environment import described, environment
from benchmarks.gpu.page import section
from benchmarks.gpu.parts import PARTS
from benchmarks.gpu.results import Options, Results
from benchmarks.gpu.same_bits import three_runs
from benchmarks.gpu.short_runs import recipes
from benchmarks.gpu.turns import Turns
from benchmarks.gpu.unet import QUICK, RECIPES, precision_of
from benchmarks.gpu.unet_loop import batches, loss_of, network

TICKING = """
import argparse, sys, time, warnings
from taking_turns import Ticks

parser = argparse.ArgumentParser()
parser.add_argument("--seconds", type=float)
parser.add_argument("--fail-at", type=int, default=-1)
parser.add_argument("--device")
args = parser.parse_args()
ticks = Ticks()
warnings.warn("performed as it is")
while True:
    time.sleep(args.seconds)
    ticks.tick()
    if ticks.count == args.fail_at:
        sys.exit("no more")
"""


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path / "results.json")


@pytest.fixture
def variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a part, which this process has as well."""
    found = environment(tmp_path / "data", tmp_path)
    monkeypatch.setenv("PYTHONPATH", found["PYTHONPATH"])
    return found


def written(tmp_path: Path) -> dict[str, dict[str, object]]:
    return json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))


def test_a_result_is_written_at_once_and_an_error_loses_none(tmp_path: Path, results: Results) -> None:
    results.add("steps/s", [3.0, 1.0, 2.0])
    with results.attempt("quality", "steps/s"):
        raise ValueError("no such thing")
    assert written(tmp_path)["ratios"] == {"steps/s": {"median": 2, "min": 1, "max": 3}}
    failed = written(tmp_path)["failed"]
    assert list(failed) == ["quality"]
    assert failed["quality"]["failed"] == "ValueError: no such thing"
    assert "raise ValueError" in failed["quality"]["traceback"]


def test_processes_take_turns_and_one_that_fails_is_left_out(tmp_path, results, variables) -> None:
    script = tmp_path / "ticking.py"
    script.write_text(TICKING, encoding="utf-8")
    turns = Turns(results, Options("cpu", quick=True, end=time.monotonic() + 100), tmp_path)
    try:
        turns.start(
            {
                "fast": (str(script), "--seconds=0.01"),
                "slow": (str(script), "--seconds=0.05"),
                "broken": (str(script), "--seconds=0.01", "--fail-at=1"),
            },
            warm_up=3,
        )
        turns.take()
    finally:
        turns.end()
    turns.compare("fast/slow", "fast", "slow")
    turns.compare("fast/broken", "fast", "broken")
    found = written(tmp_path)
    assert 2 < found["ratios"]["fast/slow"]["median"] < 7
    assert "no more" in found["failed"]["broken"]["failed"]
    assert found["failed"]["fast/broken"]["failed"] == "RuntimeError: broken was not measured"
    assert "performed as it is" in found["details"]["warnings"]["fast"][0]


def test_a_part_measures_once_it_is_its_turn(tmp_path: Path, variables) -> None:
    output = tmp_path / "results.json"
    words = ["-m", "benchmarks.gpu.part", "weights", f"--output={output}", "--device=cpu", "--quick"]
    done = subprocess.run(
        [sys.executable, *words], input="60\n", env=variables, cwd=ROOT, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    found = written(tmp_path)
    assert found["failed"] == {}
    assert {row.ratio: 0.0 for row in PARTS["weights"].rows}.items() <= {
        key: spread["max"] for key, spread in found["ratios"].items()
    }.items()


@pytest.mark.long
def test_the_command_stops_what_takes_too_long_and_writes_the_rest(tmp_path: Path) -> None:
    output = tmp_path / "gpu.json"
    words = ["-m", "benchmarks", "--gpu", "--device=cpu", "--quick", "--minutes=0.5", f"--output={output}"]
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (raw / f"{name}-ubyte").write_bytes(b"")
    done = subprocess.run(
        [sys.executable, *words, "--only", "weights", "resume"],
        cwd=ROOT,
        env={**os.environ, "ZOO_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text(encoding="utf-8"))
    assert found["machine"]["gpu"] == "none" or torch.cuda.is_available()
    assert set(found["parts"]) == {"weights", "resume"}
    assert section(found) in done.stdout


def test_every_short_run_is_of_a_recipe_with_settings_that_exist(tmp_path: Path) -> None:
    for name, overrides in recipes(tmp_path).items():
        assert zoo.recipe(name, *overrides).run_settings().batch_size >= 1


def test_a_run_is_compared_with_itself_again_and_with_eager_steps(tmp_path: Path) -> None:
    words = ["dataset.source=subset", "trainer.eval_classifier=null", "trainer.cas_classifier=null"]
    assert three_runs("lsgan-mnist", "cpu", 2, words, tmp_path) == {"again": "", "eager": ""}


def test_the_precision_of_a_run_is_the_one_that_it_recorded(tmp_path: Path) -> None:
    words = ("run.device=cpu", "run.steps=0", "dataset.source=subset", "trainer.eval_classifier=null")
    zoo.run("clsgan-mnist-quick", *words, "run.precision=bfloat16", folder=tmp_path / "run")
    assert precision_of(tmp_path / "run") == "bfloat16"


def test_a_checkout_has_the_plugins_that_its_installation_would_have(tmp_path: Path) -> None:
    code = "from importlib.metadata import entry_points; print(*sorted(p.value for p in entry_points(group='zoo')))"
    found = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": str(described(tmp_path))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == sorted(
        ["zoo_plugins.plugin", *(f"zoo_plugins.{name}.plugin" for name in ("datasets", "clsgan", "classifier", "unet"))]
    )


def test_the_section_names_the_machine_what_was_reached_and_what_failed() -> None:
    text = section(
        {
            "date": "2030-01-02",
            "minutes": 7.5,
            "machine": {"gpu": "Some GPU", "driver": "1.2", "cuda": "13.0", "torch": "2.11"},
            "parts": {
                "clsgan": {
                    "ratios": {
                        "zoo/bare-captured": {"median": 0.95, "min": 0.9, "max": 1},
                        "zoo/lightning": {"median": 9, "min": 9, "max": 9},
                    },
                    "failed": {"bare-eager": {"failed": "out of\nmemory", "traceback": ""}},
                }
            },
        }
    )
    assert "Some GPU, driver 1.2, CUDA 13.0, torch 2.11" in text
    expected = sum(len(part.rows) for part in PARTS.values())
    assert f"1 of {expected} rows reach their target, {expected - 2} were not measured" in text
    assert "| training / bare captured loop | 0.95 (0.9 to 1) | ≥ 0.9 |  |" in text
    assert "| training / Lightning, torchvision's dataset | 9 | ≥ 10 | missed |" in text
    assert "| training / bare eager loop | not measured | ≥ 8 | |" in text
    assert "Not measured: bare-eager (out of memory)." in text


def test_without_results_the_section_says_how_to_measure() -> None:
    assert section(None).endswith("Not measured. `python -m benchmarks --gpu` measures it.\n")


@pytest.mark.parametrize("name", RECIPES)
def test_the_bare_step_has_the_network_that_the_recipe_gets_from_its_dataset(name):
    recipe = zoo.recipe(name, *QUICK)
    image, target = batches(recipe, count=1)[0]
    assert loss_of(network(recipe)(image), target).isfinite()
