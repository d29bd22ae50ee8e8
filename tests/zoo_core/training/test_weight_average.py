"""The moving average of the weights: what it is, that it is measured and published, and that it resumes exactly."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import pytest
import tiny
import torch
from safetensors.torch import load_file
from torch import nn

import zoo_core as zoo
from zoo_core.config.run_settings import RunSettings
from zoo_core.errors import BadSetting
from zoo_core.registry.resolve import resolve
from zoo_core.training.runner import run_recipe
from zoo_core.training.weight_average import WeightAverage

DECAY = "run.ema_decay=0.8"


class SumTrainer(zoo.Trainer):
    """Reports the sum of the weights of the model, in every step and in every evaluation."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        fails: bool = zoo.setting(False, "raise in the preview")

    config: Config
    protocol = "The sum of all weights"

    def setup(self, model: zoo.Model, engine: zoo.Engine) -> None:
        self.model, self.optimizer = engine.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))
        self.engine = engine

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        loss = (self.model(batch["point"]) - batch["height"]).square().mean()
        self.optimizer.zero_grad()
        self.engine.backward(loss)
        self.optimizer.step()
        return {"loss": loss.detach(), "sum": self._sum()}

    def evaluate(self, batches: Any, train_batches: Any) -> dict[str, float]:
        return {"sum": float(self._sum())}

    def preview(self, batch: zoo.Batch) -> torch.Tensor:
        if self.config.fails:
            raise ValueError("nothing is drawn")
        return self._sum().sigmoid().expand(1, 1, 4, 4)

    def _sum(self) -> torch.Tensor:
        parameters = self.engine.unwrap(self.model).parameters()
        return torch.stack([one.detach().double().sum() for one in parameters]).sum()


class PartTrainer(SumTrainer):
    averaged_modules = ("layers.0",)


class MisnamingTrainer(SumTrainer):
    averaged_modules = ("layers.0", "layers.7")


class UnlistedTrainer(SumTrainer):
    averaged_modules = "layers"


class NestedTrainer(SumTrainer):
    averaged_modules = (["layers"],)


class Previews:
    """Keeps the previews by their step."""

    def __init__(self):
        self.images = {}

    @zoo.hookimpl
    def zoo_preview(self, step, images):
        self.images[step] = images


def run(folder, *words, stop_at=0, trainer=SumTrainer, callbacks=()):
    here = tiny.catalog_with(trainer)
    resolved = resolve(here.recipe("other").with_overrides(["run.log_every=1", "run.evaluate_every=3", *words]), here)
    return run_recipe(resolved, [*zoo_loggers(), tiny.Watcher(stop_at), *callbacks], folder, resume=folder.exists())


def zoo_loggers():
    from zoo_core.loggers import standard

    return standard()


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def average_of(network, modules=(), **values):
    return WeightAverage(network, RunSettings(steps=1, ema_decay=0.8, **values), modules)


def network():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def fill(module, value):
    with torch.no_grad():
        for one in [*module.parameters(), module[1].running_mean, module[1].num_batches_tracked]:
            one.fill_(value)


def values(module):
    """The only value of the weights, of the running mean, and of a counter."""
    places = (module[0].weight, module[1].running_mean, module[1].num_batches_tracked)
    return [float(one.detach().flatten()[0]) for one in places]


def test_the_average_is_that_of_the_formula():
    module = network()
    average = average_of(module, ema_warmup=False)
    for step, value in enumerate([1.0, 2.0, 4.0], 1):
        fill(module, value)
        average.update(step)
    with average.applied():
        # 1, then 0.8 + 0.2 * 2 = 1.2, then 0.8 * 1.2 + 0.2 * 4; statistics and counters are those of the model.
        assert values(module) == pytest.approx([1.76, 4, 4])
    assert values(module) == [4, 4, 4]


def test_the_decay_is_warmed_up_buffers_are_averaged_and_steps_are_left_out_if_asked_for():
    module = network()
    average = average_of(module, ema_buffers=True, ema_every=2)
    for step, value in enumerate([1.0, 2.0, 3.0, 4.0], 1):
        fill(module, value)
        average.update(step)
    average.apply()
    expected = 2 * 2 / 11 + 4 * 9 / 11  # the second update of a decay of at most 2 / (9 + 2)
    assert values(module) == pytest.approx([expected, expected, 4])


def fail_while_averaged(average, module):
    with average.applied():
        assert values(module) != [5, 5, 5]
        raise ZeroDivisionError


def test_the_weights_are_put_back_at_their_places_though_the_evaluation_fails():
    module = network()
    average = average_of(module)
    average.update(1)
    fill(module, 5.0)
    places = [one.data_ptr() for one in module.parameters()]
    with pytest.raises(ZeroDivisionError):
        fail_while_averaged(average, module)
    assert values(module) == [5, 5, 5]
    assert [one.data_ptr() for one in module.parameters()] == places


def test_the_training_is_the_same_and_the_average_is_evaluated_and_published(tmp_path):
    without, averaged = tmp_path / "without", tmp_path / "averaged"
    run(without)
    trained = run(averaged, DECAY)

    steps = [
        [(line["step"], line["sum"]) for line in lines(one) if "evaluation" not in line] for one in (without, averaged)
    ]
    assert steps[0] == steps[1]
    expected, now = None, dict(steps[0])
    for number in range(1, 13):
        decay = min(0.8, number / (9 + number))
        # A step reports the weights after its update.
        expected = now[number] if expected is None else decay * expected + (1 - decay) * now[number]
    assert trained.test_metrics["sum"] == pytest.approx(expected, rel=1e-5)
    tensors = load_file(averaged / "model.safetensors")
    parameters = {name for name, _ in trained.model.named_parameters()}
    assert sum(float(tensors[name].double().sum()) for name in parameters) == pytest.approx(expected, rel=1e-5)
    evaluated = [line["sum"] for line in lines(averaged) if "evaluation" in line]
    assert evaluated != [line["sum"] for line in lines(without) if "evaluation" in line]


def test_a_stopped_run_resumes_exactly(tmp_path):
    run(tmp_path / "whole", DECAY, "run.ema_every=2", "run.ema_buffers=true")
    run(tmp_path / "parts", DECAY, "run.ema_every=2", "run.ema_buffers=true", stop_at=7)
    run(tmp_path / "parts", DECAY, "run.ema_every=2", "run.ema_buffers=true")
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())
    assert lines(tmp_path / "whole") == lines(tmp_path / "parts")


@pytest.mark.filterwarnings("ignore:no more previews")
def test_a_preview_that_fails_keeps_the_training(tmp_path):
    run(tmp_path / "without")
    run(tmp_path / "run", DECAY, "run.preview_every=2", "trainer.fails=true")
    sums = [[line["sum"] for line in lines(tmp_path / name) if "evaluation" not in line] for name in ("without", "run")]
    assert sums[0] == sums[1]


def test_a_run_is_not_resumed_without_its_average(tmp_path):
    run(tmp_path / "run", DECAY, stop_at=5)
    with pytest.raises(BadSetting, match=r"run\.ema_decay was 0\.8 and is now 0\.0"):
        run(tmp_path / "run")


def test_the_checkpoint_of_an_average_of_another_model_is_refused():
    average = average_of(network())
    with pytest.raises(KeyError, match=r"the average of the model's 0\.weight is missing"):
        average.load_state_dict(average_of(nn.Sequential(nn.Identity(), nn.BatchNorm1d(4))).state_dict())


def test_the_named_modules_alone_are_averaged():
    module = network()
    average = average_of(module, ("0",), ema_warmup=False, ema_buffers=True)
    for step, value in enumerate([1.0, 2.0], 1):
        fill(module, value)
        average.update(step)
    average.apply()
    assert values(module) == pytest.approx([1.2, 2, 2])
    assert module[1].weight.tolist() == [2] * 4
    assert set(average.state_dict()["average"]) == {"0.weight", "0.bias"}


def test_a_tensor_of_two_modules_is_averaged_once():
    shared = nn.Linear(2, 2)
    module = nn.ModuleDict({"one": shared, "other": nn.Sequential(shared)})
    for names in ("one",), ("other",), ("one", "other.0"):
        average = average_of(module, names, ema_warmup=False)
        for step, value in enumerate([1.0, 2.0], 1):
            nn.init.constant_(shared.weight, value)
            average.update(step)
        average.apply()
        assert shared.weight.flatten().tolist() == pytest.approx([1.2] * 4)


def clip_as_data(module):
    module[0].weight.data = module[0].weight.data.clamp(-100, 100)


def assign_buffer(module):
    module[1].running_mean = module[1].running_mean.clone()


def replace_parameter(module):
    module[0].weight = nn.Parameter(module[0].weight.detach().clone())


@pytest.mark.parametrize("assign", [clip_as_data, assign_buffer, replace_parameter])
def test_a_tensor_that_is_assigned_instead_of_changed_in_place_is_averaged_as_well(assign):
    module = network()
    average = average_of(module, ema_warmup=False, ema_buffers=True)
    for step, value in enumerate([1.0, 2.0, 4.0], 1):
        assign(module)
        fill(module, value)
        average.update(step)
    assign(module)
    with average.applied():
        assert values(module) == pytest.approx([1.76, 1.76, 4])
    assert values(module) == [4, 4, 4]
    average.apply()
    assert values(module) == pytest.approx([1.76, 1.76, 4])


def test_the_average_of_a_tensor_begins_when_it_exists_and_again_when_it_has_another_shape():
    module = network()
    module.register_buffer("scale", None)
    average = average_of(module, ema_warmup=False, ema_buffers=True)
    for step, value in enumerate([None, torch.ones(2), torch.full((2,), 2.0), torch.full((3,), 9.0)], 1):
        module.scale = value
        average.update(step)
        if step == 3:
            assert average.state_dict()["average"]["scale"].tolist() == pytest.approx([1.2] * 2)
    average.apply()
    assert module.scale.tolist() == [9] * 3
    module.scale = None
    average.update(5)
    assert "scale" not in average.state_dict()["average"]


def test_what_weights_files_do_not_contain_is_not_averaged():
    module = network()
    module.register_buffer("cache", torch.zeros(3), persistent=False)
    average = average_of(module, ema_buffers=True)
    assert average.state_dict()["average"].keys() == module.state_dict().keys()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_of_half_precision_have_an_average_of_float32(dtype):
    module = nn.Linear(2, 2).to(dtype)
    average = average_of(module, ema_warmup=False)
    expected = 1.0
    for step in range(1, 41):
        nn.init.constant_(module.weight, 1.0 if step == 1 else 1.015625)
        average.update(step)
        expected = expected if step == 1 else 0.8 * expected + 0.2 * 1.015625
    kept = average.state_dict()["average"]["weight"]
    assert kept.dtype == torch.float32
    assert kept.flatten().tolist() == pytest.approx([expected] * 4)
    with average.applied():
        assert module.weight.dtype == dtype
        assert torch.equal(module.weight, kept.to(dtype))


def test_a_trainer_names_the_modules_of_a_run_that_are_averaged(tmp_path):
    run(tmp_path / "without")
    run(tmp_path / "whole", DECAY)
    run(tmp_path / "part", DECAY, trainer=PartTrainer)
    without, whole, part = (load_file(tmp_path / name / "model.safetensors") for name in ("without", "whole", "part"))
    for name, tensor in part.items():
        assert torch.equal(tensor, (whole if name.startswith("layers.0.") else without)[name]), name


@pytest.mark.parametrize(
    ("trainer", "given"),
    [
        (MisnamingTrainer, r"names the module 'layers\.7', which the model 'line' does not have"),
        (UnlistedTrainer, r"is 'layers', but should be a tuple of names"),
        (NestedTrainer, r"is \(\['layers'\],\), but should be a tuple of names"),
    ],
)
def test_a_module_that_the_model_does_not_have_is_refused_before_the_first_step(tmp_path, trainer, given):
    run(tmp_path / "without", trainer=trainer)
    with pytest.raises(BadSetting, match=rf"averaged_modules of the trainer 'other' {given}") as refused:
        run(tmp_path / "run", DECAY, trainer=trainer)
    assert "layers, layers.0, " in refused.value.hint
    assert not (tmp_path / "run").exists()


def test_previews_show_the_average(tmp_path):
    previews = Previews()
    run(tmp_path / "run", DECAY, "run.preview_every=3", callbacks=[previews])
    sums = {line["step"]: line["sum"] for line in lines(tmp_path / "run") if "evaluation" in line}
    assert sums.keys() >= {3, 6, 9, 12} <= previews.images.keys()
    for step, value in sums.items():
        assert float(previews.images[step].max()) == pytest.approx(1 / (1 + math.exp(-value)), abs=1e-6)


def test_a_sharded_model_has_no_average(tmp_path):
    with pytest.raises(BadSetting, match="shards"):
        run(tmp_path / "run", DECAY, "run.fsdp=true")


def test_a_run_that_ends_before_the_first_update_says_so(tmp_path):
    with pytest.warns(UserWarning, match=r"run\.ema_every is 10, but the run has 6 steps: nothing is averaged"):
        run(tmp_path / "run", DECAY, "run.ema_every=10", "run.steps=6")


@pytest.mark.parametrize(
    ("module", "name"), [(nn.LazyLinear(4), "weight"), (nn.LazyBatchNorm1d(affine=False), "running_mean")]
)
def test_weights_without_shapes_are_not_averaged(module, name):
    with pytest.raises(BadSetting, match=rf"run\.ema_decay averages '{name}', which has no shape before") as refused:
        average_of(module)
    assert refused.value.hint
