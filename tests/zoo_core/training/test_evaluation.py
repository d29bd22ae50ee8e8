"""Evaluation on the validation and test splits."""

import json
import math
import warnings

import kinds_plugin
import pytest
import tiny
import torch
import uneven_plugin

import zoo_core as zoo
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.training import runner
from zoo_core.training.standalone_evaluation import evaluate


class Evaluations:
    """Keeps the step and the metrics of every evaluation."""

    def __init__(self):
        self.seen = []

    @zoo.hookimpl
    def zoo_evaluated(self, run, step, metrics):
        self.seen.append((step, metrics))


def test_validation_and_test_metrics_are_kept_apart(tmp_path):
    evaluations = Evaluations()
    run = tiny.train(
        tmp_path / "run", "run.steps=4", "run.evaluate_every=2", "dataset.apart=true", callbacks=(evaluations,)
    )
    assert evaluations.seen == [(2, run.validation_metrics), (4, run.test_metrics)]
    assert run.validation_metrics["error"] != run.test_metrics["error"]


def test_a_run_that_is_stopped_has_no_test_metrics(tmp_path):
    run = tiny.train(tmp_path / "run", "run.evaluate_every=2", callbacks=(tiny.Watcher(stop_at=3),))
    assert run.validation_metrics
    assert run.test_metrics == {}


def test_evaluating_more_often_does_not_change_the_training(tmp_path):
    plain = tiny.train(tmp_path / "plain", "run.steps=6")
    evaluated = tiny.train(tmp_path / "evaluated", "run.steps=6", "run.evaluate_every=1", "run.preview_every=1")
    assert plain.test_metrics == evaluated.test_metrics
    tensors = [run.model.state_dict() for run in (plain, evaluated)]
    assert all(tensors[0][name].equal(tensors[1][name]) for name in tensors[0])


def uneven(folder, *words, recipe="uneven", evaluated=None):
    """The finished run, or the metrics of the model ``evaluated``, and what was warned of."""
    here = Catalog()
    if "uneven" not in here.recipes:
        here.plugins.add("uneven_plugin", uneven_plugin)
    resolved = resolve(here.recipe(recipe, *words), here)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        result = evaluate(resolved, evaluated, 1) if evaluated else runner.run_recipe(resolved, (), folder)
    return result, [str(one.message) for one in caught if one.category is UserWarning]


NO_TEST = "the dataset 'uneven-masks' has no test examples, so the run ends without test metrics."
NO_PREVIEW = "the dataset 'uneven-masks' has no validation examples, so the run makes no previews."


@pytest.mark.parametrize("recipe", ["uneven", "uneven-segmentation"])
def test_a_run_without_test_examples_warns_at_its_start_and_is_not_evaluated(tmp_path, recipe):
    run, warned = uneven(tmp_path / "run", "dataset.test_count=0", "run.preview_every=2", recipe=recipe)
    assert warned == [NO_TEST, NO_PREVIEW]
    assert (run.step, run.test_metrics) == (4, {})
    recorded = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert recorded["data"]["test_examples"] == 0
    assert NO_TEST in str(recorded)


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["run.evaluate_every=2"], "run.evaluate_every is 2"),
        (["run.evaluate_every=2", "run.monitor=loss"], "run.evaluate_every is 2"),
    ],
)
@pytest.mark.parametrize("empty", ["dataset.test_count=0", "dataset.validation_count=0"])
def test_evaluations_without_validation_examples_are_refused_before_the_first_step(tmp_path, words, key, empty):
    with pytest.raises(
        zoo.BadSetting, match=f"{key}, but the dataset 'uneven-masks' has no validation examples"
    ) as error:
        uneven(tmp_path / "run", *words, empty)
    assert "run.evaluate_every=0" in error.value.hint
    assert not (tmp_path / "run").exists()


def weights_of(trainer):
    return trainer.engine.unwrap(trainer.model).layers[0].weight


def exchange_parameter(trainer):
    layer = trainer.engine.unwrap(trainer.model).layers[0]
    layer.weight = torch.nn.Parameter(layer.weight.detach().clone())


CHANGES = {
    "parameter": (lambda trainer: weights_of(trainer).data.mul_(2), r"changes the model's layers\.0\.weight"),
    "order": (lambda trainer: weights_of(trainer).data.copy_(weights_of(trainer).flip(0)), r"layers\.0\.weight"),
    "identity": (exchange_parameter, r"layers\.0\.weight, which is another tensor than the optimizer has"),
    "average": (lambda trainer: trainer.average.module.layers[2].bias.data.add_(1), r"self\.average \(module\.layers"),
    "optimizer": (lambda trainer: trainer.optimizer.param_groups[0].update(lr=0.5), r"self\.optimizer \(param_groups"),
    "moments": (
        lambda trainer: trainer.optimizer.state.clear(),
        r"self\.optimizer \(state\) from \d+ values to 0 ",
    ),
    "schedule": (lambda trainer: trainer.schedule.step(), r"self\.(optimizer|schedule) \("),
    "counter": (lambda trainer: setattr(trainer, "done", 100), r"changes self\.done from 1 to 100"),
    "tensor": (lambda trainer: trainer.drawn.add_(1), r"changes self\.drawn\."),
    "text": (lambda trainer: setattr(trainer, "phase", "late"), r"changes self\.phase from 'early' to 'late'"),
    "list": (lambda trainer: trainer.seen.append(0.5), r"changes self\.seen from 1 values to 2 values"),
    "nested": (lambda trainer: trainer.best.update(step=4), r"changes self\.best \(step\) from null to 4"),
    "new": (lambda trainer: setattr(trainer, "later", 1.5), r"changes self\.later from nothing to 1\.5"),
    "gone": (lambda trainer: delattr(trainer, "phase"), r"changes self\.phase from 'early' to nothing"),
}


def changing(method, change):
    """A trainer whose evaluate or preview changes something."""

    class Changing(tiny.LineTrainer):
        def setup(self, model, engine):
            super().setup(model, engine)
            self.phase, self.seen, self.best, self._calls = "early", [0.1], {"step": None}, 0

        def evaluate(self, batches, train_batches):
            metrics = super().evaluate(batches, train_batches)
            if method == "evaluate":
                change(self)
            return metrics

        def preview(self, batch):
            if method == "preview":
                change(self)
            return super().preview(batch)

    return Changing


@pytest.mark.parametrize("method", ["evaluate", "preview"])
@pytest.mark.parametrize("name", CHANGES)
def test_measuring_that_changes_the_state_ends_the_run_with_what_it_changes(tmp_path, monkeypatch, name, method):
    change, expected = CHANGES[name]
    monkeypatch.setattr(tiny, "LineTrainer", changing(method, change))
    every = f"run.{method}_every=1"
    with pytest.raises(zoo.RunFailed, match=rf"^{method} of the trainer 'line' .*{expected}") as error:
        tiny.train(tmp_path / "run", "run.steps=4", "run.preview_every=0", every)
    assert len(str(error.value).splitlines()) == 2
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_the_evaluation_after_the_last_step_must_not_change_what_is_published(tmp_path, monkeypatch):
    monkeypatch.setattr(tiny, "LineTrainer", changing("evaluate", CHANGES["parameter"][0]))
    with pytest.raises(zoo.RunFailed, match="evaluate of the trainer 'line' changes the model's layers"):
        tiny.train(tmp_path / "run", "run.steps=4", "run.preview_every=0")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, r"returns None, but should return a mapping"),
        ([0.5], r"returns a list, but should return a mapping"),
        (0.5, r"returns a float, but should return a mapping"),
        ({"error": 10**400}, r"gives an integer as 'error' that is too large"),
        ({"error": "0.5"}, r"gives a str as 'error', but should give a number"),
        ({"error": None}, r"gives None as 'error', but should give a number"),
        ({"error": torch.ones(2)}, r"gives a tensor of shape \(2,\) as 'error', but should give a number"),
        ({"error": 1j}, r"gives a complex as 'error', but should give a number"),
    ],
)
def test_what_is_no_metric_is_refused_with_the_name_of_the_trainer(tmp_path, monkeypatch, given, expected):
    monkeypatch.setattr(tiny.LineTrainer, "evaluate", lambda *_: given)
    with pytest.raises(zoo.RunFailed, match=rf"^evaluate of the trainer 'line' \(.*\) {expected}"):
        tiny.train(tmp_path / "run", "run.steps=2")


@pytest.mark.parametrize("given", [None, [0.5], torch.ones(())])
def test_a_step_that_returns_no_mapping_is_refused(tmp_path, monkeypatch, given):
    monkeypatch.setattr(tiny.LineTrainer, "step", lambda *_: given)
    with pytest.raises(
        zoo.RunFailed, match=r"^step of the trainer 'line' \(.*\) returns .*, but should return a mapping"
    ):
        tiny.train(tmp_path / "run", "run.steps=2")


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_finalize_that_makes_weights_infinite_is_named(tmp_path, monkeypatch, value):
    monkeypatch.setattr(tiny.LineTrainer, "finalize", lambda trainer: weights_of(trainer).data.fill_(value))
    expected = r"the model's layers\.0\.weight is not finite after finalize of the trainer 'line'"
    with pytest.raises(zoo.RunFailed, match=expected):
        tiny.train(tmp_path / "run", "run.steps=2")


def exchange_and_put_back(trainer):
    """As evaluations with averaged weights do it, with something of the trainer's own that is no state."""
    model = trainer.engine.unwrap(trainer.model)
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.load_state_dict(trainer.average.module.state_dict())
    trainer._calls += 1
    trainer.seen[0] += 1
    trainer.seen[0] = 0.1
    for parameter, name in ((one, name) for name, one in model.named_parameters()):
        parameter.data = kept[name]
    model.load_state_dict(kept)


def test_what_is_put_back_is_no_change(tmp_path, monkeypatch):
    plain = tiny.train(tmp_path / "plain", "run.steps=4")
    monkeypatch.setattr(tiny, "LineTrainer", changing("evaluate", exchange_and_put_back))
    exchanged = tiny.train(tmp_path / "run", "run.steps=4", "run.evaluate_every=1")
    assert all(tensor.equal(exchanged.model.state_dict()[name]) for name, tensor in plain.model.state_dict().items())


class LeavesOtherWeights(tiny.LineTrainer):
    def preview(self, batch):
        with torch.no_grad():
            self.engine.unwrap(self.model).layers[0].weight.zero_()
        raise ValueError("no preview\nof this")


def test_a_preview_that_fails_with_other_weights_in_the_model_ends_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(tiny, "LineTrainer", LeavesOtherWeights)
    with pytest.raises(
        zoo.RunFailed, match=r"raised ValueError: no preview of this, having changed the model's layers\.0\.weight"
    ):
        tiny.train(tmp_path / "run")


def test_a_run_without_validation_examples_is_tested(tmp_path):
    run, warned = uneven(tmp_path / "run", "dataset.validation_count=0")
    assert warned == []
    assert run.test_metrics["loss"] > 0


def test_a_run_without_training_examples_is_refused(tmp_path):
    with pytest.raises(zoo.BadSetting, match="the dataset 'uneven-masks' has no training examples"):
        uneven(tmp_path / "run", "dataset.count=0")


def test_an_evaluation_without_examples_is_refused(tmp_path):
    run, _ = uneven(tmp_path / "run")
    with pytest.raises(zoo.BadSetting, match="the dataset 'uneven-masks' has no test examples to evaluate on"):
        uneven(tmp_path, "dataset.test_count=0", evaluated=run.model)


@pytest.mark.parametrize(
    ("recipe", "metrics"),
    [("uneven", "loss is nan"), ("uneven-segmentation", "mean_iou is nan, mean_dice is nan, pixel_accuracy is nan")],
)
def test_undefined_metrics_are_named_once_and_are_never_the_best(tmp_path, recipe, metrics):
    name = metrics.partition(" ")[0]
    words = ("dataset.ignored=all", "run.evaluate_every=1", f"run.monitor={name}")
    run, warned = uneven(tmp_path / "run", *words, recipe=recipe)
    assert warned == [f"evaluated on the validation split at step 1, {metrics}. It cannot be the best by run.monitor."]
    assert math.isnan(run.test_metrics[name])
    assert [path.name for path in (tmp_path / "run" / "checkpoints").glob("step-*")] == ["step-000000004"]


def test_hooks_get_the_mean_metrics_of_the_parts_of_a_batch(tmp_path):
    losses = []

    class Listener:
        @zoo.hookimpl
        def zoo_step_finished(self, metrics):
            losses.append(float(metrics["loss"]))

    here = Catalog(installed=False)
    here.plugins.add("uneven_plugin", uneven_plugin)
    for parts in (1, 4):
        recipe = here.recipe("uneven", f"run.grad_accumulation_steps={parts}")
        runner.run_recipe(resolve(recipe, here), [Listener()], tmp_path / str(parts))
    assert losses[:4] == pytest.approx(losses[4:], rel=1e-4)


class Shown:
    """Keeps what hooks receive of every preview."""

    def __init__(self):
        self.seen = []

    @zoo.hookimpl
    def zoo_preview(self, step, images, values):
        self.seen.append((step, images is not None, list(values)))


@pytest.mark.parametrize(
    ("gives", "are_images", "names"),
    [("images", True, [""]), ("clips", True, [""]), ("text", False, [""]), ("line", False, [""])],
)
def test_hooks_receive_the_values_of_a_preview_and_images_if_it_is_nothing_else(tmp_path, gives, are_images, names):
    shown = Shown()
    kinds_plugin.train(tmp_path / "run", f"trainer.gives={gives}", callbacks=(shown,))
    assert shown.seen == [(3, are_images, names), (6, are_images, names)]


def test_a_preview_of_several_values_has_their_names_without_those_that_are_none(tmp_path):
    shown = Shown()
    kinds_plugin.train(tmp_path / "run", callbacks=(shown,))
    assert shown.seen[0] == (3, False, [f"my {name}/1" for name in kinds_plugin.KINDS])


def test_a_preview_whose_picture_is_clipped_is_a_warning_once(tmp_path, monkeypatch):
    monkeypatch.setitem(kinds_plugin.KINDS, "dark", lambda step: torch.full((1, 1, 2, 2), -1.0))
    with pytest.warns(
        UserWarning, match="preview of the trainer 'kinds' .* gives images with values from -1 to -1"
    ) as said:
        kinds_plugin.train(tmp_path / "run", "trainer.gives=dark")
    assert len(said) == 1
    assert len(list((tmp_path / "run" / "previews").iterdir())) == 2
