"""``zoo bench``: its output and its usage errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

RECIPE = "clsgan-mnist"


@pytest.fixture
def bench(run_command):
    """Run the command on the CPU; returns its exit code, stdout and stderr."""
    return lambda *arguments: run_command("bench", *arguments, "--device", "cpu")


def test_the_training_of_a_recipe_is_benchmarked(bench) -> None:
    code, out, _ = bench(
        RECIPE, "--seconds", "1", "dataset.source=subset", "trainer.eval_classifier=null", "trainer.cas_classifier=null"
    )
    assert code == 0
    assert out.startswith(f"{RECIPE}: model 'clsgan' on cpu with ")
    rows = {line[:20].strip(): line[20:].split() for line in out.splitlines()[4:]}
    assert rows["examples"] == ["64"]
    assert rows["GFLOP"] == ["1.22"]
    assert rows["fraction of peak"][1:2] == ["of"]
    assert list(Path().iterdir()) == []


def test_predictions_as_json(bench) -> None:
    code, out, err = bench(RECIPE, "--predict", "--seconds", "0.2", "--batch-size", "3", "--json")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert (document["model"], document["precision"], document["parameters"]) == ("clsgan", "float32", 2_150_161)
    assert document["measurements"]["forward"]["examples"] == 3
    assert document["measurements"]["forward"]["p50"] <= document["measurements"]["forward"]["p99"]
    assert document["measurements"]["predict"]["flops"] > 0


def test_larger_images_need_more_operations(bench) -> None:
    flops = []
    for size in ("32x32", "64x32"):
        code, out, _ = bench("unet", "base_channels=4", "--seconds", "0.1", "--size", size, "--json")
        assert code == 0
        flops.append(json.loads(out)["measurements"]["forward"]["flops"])
    assert flops[1] == 2 * flops[0]


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ([RECIPE, "--batch-size", "8"], "--batch-size applies to predictions only.", "run.batch_size=8"),
        ([RECIPE, "--size", "8x8"], "--size applies to predictions only", "zoo info RECIPE"),
        ([RECIPE, "--dtype", "bfloat16"], "--dtype applies to predictions only.", "run.precision=bfloat16"),
        ([RECIPE, "run.batchsize=8"], "run.batchsize", "run.batch_size"),
        (["clsgan-mnits", "--train"], "clsgan-mnits", "clsgan-mnist"),
        (["clsgan-mnits"], "there is no recipe, model, weights, file or run 'clsgan-mnits'.", "clsgan-mnist"),
        (["unet", "--size", "8"], "'8' should be height x width in pixels, such as 480x560.", "--help"),
    ],
)
def test_a_usage_error_has_a_hint(bench, arguments, message, hint) -> None:
    code, out, err = bench(*arguments)
    assert (code, out) == (2, "")
    first, *rest = err.splitlines()
    assert message in first
    assert hint in " ".join(rest)
