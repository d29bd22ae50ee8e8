"""Benchmarks of a third-party model: the operation count is exact, and no files are left behind."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from tiny import RECIPE, Line, Watcher, catalog

import zoo_core as zoo
from zoo_core.errors import BadSetting, RunFailed, UnknownName
from zoo_core.tools.bench.inference import bench_inference
from zoo_core.tools.bench.training import QUIET, bench_training, ways_of

ON_CPU = (*QUIET, "run.device=cpu", "run.steps=100000")
FORWARD = 2 * (3 * 4 + 4 * 1)  # operations for one point: two for each weight of the two layers


@pytest.fixture(autouse=True)
def empty_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class PredictingLine(Line):
    """A line that declares its forward inputs and has ``predict``."""

    def forward_example(self):
        return {"point": torch.rand(2, self.config.inputs)}

    def example(self):
        return {"points": [[0.1] * self.config.inputs]}

    def predict(self, points):
        return {"height": self(torch.tensor(points, dtype=self.layers[0].weight.dtype)).tolist()}


def predicting_catalog():
    here = catalog()

    class Plugin:
        @zoo.hookimpl
        def zoo_register(self, registry: zoo.Registry) -> None:
            registry.model("predicting", f"{__name__}:PredictingLine", summary="A line")

    here.plugins.add("predicting", Plugin())
    return here


def test_a_training_step_is_timed_and_its_operations_are_exact() -> None:
    bench = bench_training(RECIPE.with_overrides(ON_CPU), catalog(), seconds=1.0)
    (step,) = bench.measurements
    # Backward, the second layer's weights and inputs and the first one's weights cost as much as forward each.
    assert step.operations == 8 * (FORWARD + 2 * (3 * 4 + 4 + 4))
    assert (step.name, step.examples, bench.parameters) == ("training step", 8, 29)
    assert 0.1 < sum(step.times) < 1.5
    assert len(step.times) >= 3
    assert 0 < bench.memory_before <= bench.peak_memory
    assert 0 < step.as_dict()["peak_fraction"] < 1


def test_a_benchmark_leaves_no_run_behind_and_calls_every_hook() -> None:
    watcher = Watcher()
    bench_training(RECIPE.with_overrides(ON_CPU), catalog(), 0.3, [watcher])
    assert watcher.heard[0] == "started at 0"
    assert watcher.heard[-1] == "finished"
    assert list(Path().iterdir()) == []


def test_a_recipe_with_too_few_steps_to_be_timed_is_refused_with_a_hint() -> None:
    with pytest.raises(BadSetting, match=r"'line' ended after 6 steps.*\n.*run\.steps=10000"):
        bench_training(RECIPE.with_overrides([*ON_CPU, "run.steps=6"]), catalog(), 0.3)


def test_what_a_run_does_beside_its_steps_is_part_of_the_measured_time() -> None:
    class Slow:
        @zoo.hookimpl
        def zoo_logged(self) -> None:
            time.sleep(0.05)

    words = [*ON_CPU, "run.log_every=7"]
    (step,) = bench_training(RECIPE.with_overrides(words), catalog(), 1.5, [Slow()]).measurements
    assert len(step.times) % 7 == 0
    assert sum(seconds > 0.05 for seconds in step.times) >= len(step.times) / 7


def test_a_log_interval_longer_than_the_benchmark_is_not_waited_for() -> None:
    words = [*ON_CPU, "run.log_every=100000"]
    (step,) = bench_training(RECIPE.with_overrides(words), catalog(), 0.4).measurements
    assert 0.1 < sum(step.times) < 1


def test_eager_captured_and_compiled_steps_are_compared_on_cuda_unless_one_is_chosen() -> None:
    assert list(ways_of(RECIPE, torch.device("cpu"))) == ["training step"]
    assert list(ways_of(RECIPE, torch.device("cuda"))) == ["eager", "captured", "compiled"]
    for chosen in ("run.cuda_graph=off", "run.compile=default"):
        assert list(ways_of(RECIPE.with_overrides([chosen]), torch.device("cuda"))) == ["training step"]


def test_an_interrupted_benchmark_returns_no_measurement() -> None:
    class Interrupting:
        @zoo.hookimpl
        def zoo_step_finished(self, run: zoo.Run, step: int) -> None:
            if step == 20:
                run.stop("SIGINT")

    with pytest.raises(KeyboardInterrupt):
        bench_training(RECIPE.with_overrides(ON_CPU), catalog(), 30, [Interrupting()])


def test_a_failed_step_leaves_no_flop_counter_active() -> None:
    with pytest.raises(RunFailed):
        bench_training(RECIPE.with_overrides([*ON_CPU, "trainer.raise_at=2"]), catalog(), 0.3)
    assert torch.utils._python_dispatch._get_current_dispatch_mode_stack() == []


def test_predictions_are_timed_with_any_number_of_examples() -> None:
    bench = bench_inference("predicting", [], predicting_catalog(), 0.3, batch_size=5, device_name="cpu")
    forward, predict = bench.measurements
    assert (forward.name, forward.examples, forward.operations) == ("forward", 5, 5 * FORWARD)
    assert (predict.name, predict.examples, predict.operations) == ("predict", 0, FORWARD)
    wider = bench_inference("predicting", ["inputs=30"], predicting_catalog(), 0.3, batch_size=1, device_name="cpu")
    assert wider.measurements[0].operations == 2 * (30 * 4 + 4)


def test_inference_in_bfloat16_reports_that_precision_and_the_smaller_weights() -> None:
    bench = bench_inference("predicting", [], predicting_catalog(), 0.2, device_name="cpu", dtype="bfloat16")
    assert (bench.precision, bench.weights_bytes) == ("bfloat16", 2 * (29 + 8) + 8)


@pytest.mark.parametrize(
    ("name", "overrides", "options", "error", "message"),
    [
        ("predictin", [], {}, UnknownName, "no recipe, model, weights, file or run 'predictin'.\n  Did you mean"),
        ("predicting", ["widht=3"], {}, BadSetting, "widht"),
        ("predicting", [], {"size": (8, 8)}, BadSetting, "PredictingLine takes no images, so --size does not apply."),
        ("line", [], {}, zoo.ZooError, "Line does not declare the inputs of its forward"),
    ],
)  # fmt: skip
def test_a_model_that_cannot_be_timed_is_refused_with_the_reason(name, overrides, options, error, message) -> None:
    with pytest.raises(error) as caught:
        bench_inference(name, overrides, predicting_catalog(), 0.1, device_name="cpu", **options)
    assert message in str(caught.value)
