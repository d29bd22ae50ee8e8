"""``zoo bench``: what it prints, and what it says of a mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

RECIPE = "clsgan-mnist"


@pytest.fixture
def bench(typed):
    """The command on the CPU: its exit code, and what it says."""
    return lambda *words: typed("bench", *words, "--device", "cpu")


def test_a_recipe_is_trained_and_its_rates_are_shown(bench) -> None:
    code, out, _ = bench(
        RECIPE, "--seconds", "1", "dataset.source=subset", "trainer.eval_classifier=null", "trainer.cas_classifier=null"
    )
    assert code == 0
    assert out.startswith(f"{RECIPE}: model 'clsgan' on cpu with ")
    rows = {line[:18].strip(): line[18:].split() for line in out.splitlines()[4:]}
    assert rows["examples"] == ["64"]
    assert rows["GFLOP"] == ["1.22"]
    assert rows["share of the peak"][1:2] == ["of"]
    assert list(Path().iterdir()) == []


def test_predictions_as_json(bench) -> None:
    code, out, err = bench(RECIPE, "--predict", "--seconds", "0.2", "--batch-size", "3", "--json")
    told = json.loads(out)
    assert (code, err) == (0, "")
    assert (told["model"], told["precision"], told["parameters"]) == ("clsgan", "float32", 2_150_161)
    assert told["measurements"]["forward"]["examples"] == 3
    assert told["measurements"]["forward"]["p50"] <= told["measurements"]["forward"]["p99"]
    assert told["measurements"]["predict"]["flops"] > 0


def test_pictures_of_another_size_take_more_operations(bench) -> None:
    flops = []
    for size in ("32x32", "64x32"):
        code, out, _ = bench("unet", "base_channels=4", "--seconds", "0.1", "--size", size, "--json")
        assert code == 0
        flops.append(json.loads(out)["measurements"]["forward"]["flops"])
    assert flops[1] == 2 * flops[0]


@pytest.mark.parametrize(
    ("words", "problem", "hint"),
    [
        ([RECIPE, "--batch-size", "8"], "--batch-size is of predictions.", "run.batch_size=8"),
        ([RECIPE, "--size", "8x8"], "--size is of predictions", "zoo info RECIPE"),
        ([RECIPE, "--dtype", "bfloat16"], "--dtype is of predictions.", "run.precision=bfloat16"),
        ([RECIPE, "run.batchsize=8"], "run.batchsize", "run.batch_size"),
        (["clsgan-mnits", "--train"], "clsgan-mnits", "clsgan-mnist"),
        (["clsgan-mnits"], "there is no recipe, model, weights, file or run 'clsgan-mnits'.", "clsgan-mnist"),
        (["unet", "--size", "8"], "'8' should be height x width in pixels, such as 480x560.", "--help"),
    ],
)
def test_a_mistake_is_said_with_its_cure(bench, words, problem, hint) -> None:
    code, out, err = bench(*words)
    assert (code, out) == (2, "")
    first, *rest = err.splitlines()
    assert problem in first
    assert hint in " ".join(rest)
