"""A model that zoo has never seen, timed: operations are exact, and nothing is left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny import RECIPE, Line, Watcher, catalog

import zoo_core as zoo
from zoo_core.errors import BadSetting, RunFailed, UnknownName
from zoo_core.tools.bench.inference import bench_predicting
from zoo_core.tools.bench.training import QUIET, bench_training

ON_CPU = (*QUIET, "run.device=cpu", "run.steps=100000")
FORWARD = 2 * (3 * 4 + 4 * 1)  # operations for one point: two for each weight of the two layers


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Speaking(Line):
    """A line that says what its forward takes, and predicts."""

    def forward_example(self):
        return {"point": torch.rand(2, self.config.inputs)}

    def example(self):
        return {"points": [[0.1] * self.config.inputs]}

    def predict(self, points):
        return {"height": self(torch.tensor(points, dtype=self.layers[0].weight.dtype)).tolist()}


def speaking():
    here = catalog()

    class Plugin:
        @zoo.hookimpl
        def zoo_register(self, registry: zoo.Registry) -> None:
            registry.model("speaking", f"{__name__}:Speaking", summary="A line")

    here.plugins.add("speaking", Plugin())
    return here


def test_a_training_step_is_timed_and_its_operations_are_exact() -> None:
    bench = bench_training(RECIPE.with_overrides(ON_CPU), catalog(), seconds=1.0)
    (step,) = bench.measured
    # Backward, the second layer's weights and inputs and the first one's weights cost as much as forward each.
    assert step.operations == 8 * (FORWARD + 2 * (3 * 4 + 4 + 4))
    assert (step.what, step.examples, bench.parameters) == ("training step", 8, 29)
    assert 0.1 < sum(step.times) < 1.5
    assert len(step.times) >= 3
    assert 0 < bench.memory_before < bench.peak_memory
    assert 0 < step.figures()["share_of_peak"] < 1


def test_a_bench_leaves_no_run_behind_and_calls_every_hook_of_one() -> None:
    watcher = Watcher()
    bench_training(RECIPE.with_overrides(ON_CPU), catalog(), 0.3, [watcher])
    assert watcher.heard[0] == "started at 0"
    assert watcher.heard[-1] == "finished"
    assert list(Path().iterdir()) == []


def test_a_recipe_that_ends_before_it_could_be_timed_says_what_to_write() -> None:
    with pytest.raises(BadSetting, match=r"'line' ended after 6 steps.*\n.*run\.steps=10000"):
        bench_training(RECIPE.with_overrides([*ON_CPU, "run.steps=6"]), catalog(), 0.3)


def test_a_bench_that_is_interrupted_gives_no_figures() -> None:
    class Interrupting:
        @zoo.hookimpl
        def zoo_step_finished(self, run: zoo.Run, step: int) -> None:
            if step == 20:
                run.stop("SIGINT")

    with pytest.raises(KeyboardInterrupt):
        bench_training(RECIPE.with_overrides(ON_CPU), catalog(), 30, [Interrupting()])


def test_a_failed_step_leaves_no_counter_on() -> None:
    with pytest.raises(RunFailed):
        bench_training(RECIPE.with_overrides([*ON_CPU, "trainer.raise_at=2"]), catalog(), 0.3)
    assert torch.utils._python_dispatch._get_current_dispatch_mode_stack() == []


def test_predictions_are_timed_with_any_number_of_examples() -> None:
    bench = bench_predicting("speaking", [], speaking(), 0.3, batch_size=5, device_name="cpu")
    forward, predict = bench.measured
    assert (forward.what, forward.examples, forward.operations) == ("forward", 5, 5 * FORWARD)
    assert (predict.what, predict.examples, predict.operations) == ("predict", 0, FORWARD)
    wider = bench_predicting("speaking", ["inputs=30"], speaking(), 0.3, batch_size=1, device_name="cpu")
    assert wider.measured[0].operations == 2 * (30 * 4 + 4)


def test_a_model_that_predicts_in_another_precision_is_compared_with_that_precisions_peak() -> None:
    bench = bench_predicting("speaking", [], speaking(), 0.2, device_name="cpu", dtype="bfloat16")
    assert (bench.precision, bench.weights_bytes) == ("bfloat16", 2 * (29 + 8) + 8)


@pytest.mark.parametrize(
    ("name", "words", "options", "error", "said"),
    [
        ("speakin", [], {}, UnknownName, "'speakin' is no recipe, model, weights, file or run.\n  Did you mean"),
        ("speaking", ["widht=3"], {}, BadSetting, "widht"),
        ("speaking", [], {"size": (8, 8)}, BadSetting, "Speaking takes no pictures, so --size cannot be given."),
        ("line", [], {}, zoo.ZooError, "Line does not declare the inputs of its forward"),
    ],
)  # fmt: skip
def test_what_cannot_be_timed_is_said(name, words, options, error, said) -> None:
    with pytest.raises(error) as caught:
        bench_predicting(name, words, speaking(), 0.1, device_name="cpu", **options)
    assert said in str(caught.value)
