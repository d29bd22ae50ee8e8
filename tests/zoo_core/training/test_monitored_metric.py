"""A misspelled ``run.monitor`` is refused before the first step, and finding out changes nothing else."""

import random
from collections import deque
from dataclasses import dataclass

import pytest
import tiny
import torch
from safetensors.torch import load_file

import zoo_core as zoo
from zoo_core.loggers import standard
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.training.assemble import try_out
from zoo_core.training.monitored_metric import check_monitored_metric
from zoo_core.training.runner import run_recipe


class CountingTrainer(tiny.LineTrainer):
    """Keeps what it has seen in attributes of every kind, which are no state of the run."""

    @dataclass(frozen=True, kw_only=True)
    class Config(tiny.LineTrainer.Config):
        fails_below: int = zoo.setting(0, "examples without which an evaluation raises an error")
        states: bool = zoo.setting(False, "state the names of the metrics")
        swaps: bool = zoo.setting(False, "exchange a weight during the evaluation, and forget to put it back")
        late: bool = zoo.setting(False, "return no metrics before the first step")

    def setup(self, model, engine):
        super().setup(model, engine)
        self._first, self._seen, self._sums, self._calls = None, [], {}, torch.zeros(1)
        self._recent, self._set, self._counts = deque(maxlen=4), set(), Counts()
        self._generator = torch.Generator()

    def evaluation_metrics(self):
        return ["stated", "error"] if self.config.states else None

    def evaluate(self, batches, train_batches):
        if self.config.swaps:
            self.model.layers[0].weight.data.add_(1)
        points = torch.cat([batch["point"] for batch in batches])
        if len(points) < self.config.fails_below:
            raise ValueError("too few examples")
        if self._first is None:  # computed once, from all examples
            self._first = float(points.mean()) + len(list(train_batches))
        self._seen.append(len(points))
        self._sums["points"] = self._sums.get("points", 0) + len(points)
        self._calls += 1
        self._recent.append(len(points))
        self._set.add(len(points))
        self._counts.evaluations += 1
        self.model.layers[1].momentum, self._scratch = 0.5, torch.rand(1)
        drawn = torch.rand(1, generator=self._generator) + random.random() + torch.rand(1)  # noqa: S311
        counted = len(self._seen) + self._sums["points"] + self._calls + len(self._recent) + self._counts.evaluations
        few = {f"of/{number}": 1.0 for number in range(3 * len(points))}  # depend on the examples
        if self.config.late and not self.done:
            return {}
        return (
            super().evaluate(batches, train_batches) | few | {"counted": counted + drawn + self._first + len(self._set)}
        )


class Counts:
    __slots__ = ("evaluations",)

    def __init__(self):
        self.evaluations = 0


def train(folder, *words, trainer=CountingTrainer, callbacks=()):
    here = tiny.catalog_with(trainer)
    return run_recipe(resolve(here.recipe("other", *words), here), [*standard(), *callbacks], folder)


EVERY = "run.evaluate_every=3"


def test_a_misspelled_metric_is_refused_before_the_first_step_and_leaves_no_folder(tmp_path):
    watcher = tiny.Watcher()
    with pytest.raises(zoo.BadSetting) as error:
        train(tmp_path / "run", EVERY, "run.monitor=-eror", callbacks=(watcher,))
    assert error.value.message == (
        "run.monitor: there is no metric 'eror'; the evaluation returns error, counted and 37 such as error/points."
    )
    assert error.value.hint == "Did you mean 'error'?"
    assert watcher.heard == []
    assert not (tmp_path / "run").exists()


def test_one_that_resembles_none_is_refused_with_an_example(tmp_path):
    with pytest.raises(zoo.BadSetting) as error:
        train(tmp_path / "run", EVERY, "run.monitor=-xyz")
    assert error.value.hint == "Write for example `run.monitor=-error`."


def test_a_metric_that_few_examples_do_not_have_is_found_among_all(tmp_path):
    run = train(tmp_path / "run", EVERY, "run.monitor=of/30")
    assert run.validation_metrics["of/30"] == 1.0


def test_the_training_and_its_metrics_are_those_without_the_check(tmp_path):
    plain = train(tmp_path / "plain", EVERY, "run.log_every=1")
    for number, monitor in enumerate(["counted", "-of/30"]):
        monitored = train(tmp_path / f"run-{number}", EVERY, "run.log_every=1", f"run.monitor={monitor}")
        assert monitored.test_metrics["error"] == plain.test_metrics["error"]
        lines = [(tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("plain", f"run-{number}")]
        # The last step is validated as well, which only a run with a monitor does.
        assert lines[1][: len(lines[0]) - 1] == lines[0][:-1]
        assert monitored.model.state_dict().keys() == plain.model.state_dict().keys()
        for name, tensor in plain.model.state_dict().items():
            assert tensor.equal(monitored.model.state_dict()[name])


def test_what_an_evaluation_raises_for_few_examples_is_no_error(tmp_path):
    run = train(tmp_path / "run", EVERY, "trainer.fails_below=3", "run.monitor=-error")
    assert run.step == 12
    with pytest.raises(zoo.BadSetting, match="there is no metric 'eror'; the evaluation returns error, counted and"):
        train(tmp_path / "other", EVERY, "trainer.fails_below=3", "run.monitor=-eror")
    assert (tmp_path / "other" / "metrics.jsonl").read_text().count('"evaluation"') == 1


def test_names_that_a_trainer_states_are_not_looked_for(tmp_path):
    with pytest.raises(zoo.BadSetting, match="the evaluation returns stated, error"):
        train(tmp_path / "run", EVERY, "trainer.states=true", "trainer.fails_below=99", "run.monitor=counted")


def test_an_evaluation_without_metrics_says_so(tmp_path):
    with pytest.raises(zoo.BadSetting, match="the evaluation returns no metrics") as error:
        train(tmp_path / "run", EVERY, "trainer.late=true", "run.monitor=error")
    assert error.value.hint == "Leave run.monitor out."


def test_an_evaluation_that_changes_what_is_trained_is_refused_at_once(tmp_path):
    with pytest.raises(zoo.RunFailed, match="evaluate of the trainer 'other' changes the model's layers"):
        train(tmp_path / "run", EVERY, "trainer.swaps=true", "run.monitor=-error")


def test_without_a_monitor_nothing_is_evaluated_before_the_first_step(tmp_path):
    run = train(tmp_path / "run", EVERY)
    assert run.trainer._seen == [12] * 4  # at steps 3, 6 and 9, and at the end


def test_a_resumed_run_finds_a_metric_that_was_misspelled_since(tmp_path):
    here = tiny.catalog_with(CountingTrainer)
    train(tmp_path / "run", EVERY, "run.monitor=-error", callbacks=(tiny.Watcher(stop_at=4),))
    with pytest.raises(zoo.BadSetting, match="there is no metric 'eror'"):
        run_recipe(resolve(here.recipe("other", EVERY, "run.monitor=-eror"), here), (), tmp_path / "run", resume=True)
    assert run_recipe(resolve(here.recipe("other", EVERY), here), (), tmp_path / "run", resume=True).step == 12


class LazyLine(tiny.Line):
    def __init__(self, config):
        super().__init__(config)
        self.layers = torch.nn.Sequential(torch.nn.LazyLinear(4), torch.nn.LazyBatchNorm1d(), torch.nn.Linear(4, 1))


class LeastSquares(zoo.SupervisedTrainer):
    def loss(self, batch):
        return (self.model(batch["point"]) - batch["height"]).square().mean()


class LazyPlugin:
    @zoo.hookimpl
    def zoo_register(self, registry):
        registry.model("lazy-line", f"{__name__}:LazyLine", summary="A line whose layers take their sizes from a batch")


def test_a_lazy_model_is_trained_and_resumed_exactly_with_a_monitor(tmp_path):
    def train_lazy(folder, *callbacks):
        here = tiny.catalog_with(LeastSquares)
        here.plugins.add("lazy", LazyPlugin())
        resolved = resolve(here.recipe("other", EVERY, "run.monitor=-loss", "model.name=lazy-line"), here)
        return run_recipe(resolved, callbacks, tmp_path / folder, resume=(tmp_path / folder).exists())

    whole = train_lazy("whole")
    train_lazy("parts", tiny.Watcher(stop_at=4))
    resumed = train_lazy("parts")
    assert resumed.test_metrics == whole.test_metrics
    tensors = [load_file(tmp_path / name / "model.safetensors") for name in ("whole", "parts")]
    assert all(torch.equal(one, tensors[1][name]) for name, one in tensors[0].items())


@pytest.mark.parametrize(
    ("recipe", "metric"),
    [
        ("digit-classifier-mnist", "acuracy"),
        ("clsgan-mnist", "frechet_ration"),
        ("gan-mnist", "accuracy"),
        ("unet-moving-mnist", "msee"),
        ("unet-digit-scenes", "iou/11"),
    ],
)
def test_every_shipped_trainer_refuses_a_misspelled_metric(recipe, metric):
    here = Catalog()
    words = ("dataset.source=subset", "run.device=cpu", "run.evaluate_every=9", f"run.monitor={metric}")
    if recipe.startswith("unet"):
        words = (*words, "dataset.validation_scenes=4" if "scenes" in recipe else "dataset.validation_clips=4")
    loop = try_out(resolve(here.recipe(recipe, *words), here))
    with pytest.raises(zoo.BadSetting, match=f"there is no metric '{metric}'"):
        check_monitored_metric(loop.evaluator)
