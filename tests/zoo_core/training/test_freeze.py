"""Freezing: frozen parameters and statistics stay bit for bit what they were, and the rest is trained."""

import copy
import json
from dataclasses import dataclass

import pytest
import strange_models
import tiny
import torch
from replaying import Replaying
from torch import nn

import zoo_core as zoo
from zoo_core.config.recipe import read_config
from zoo_core.engine.cuda_graph import CapturedSteps
from zoo_core.errors import BadSetting, RunFailed
from zoo_core.loggers import standard
from zoo_core.registry.resolve import resolve
from zoo_core.training.assemble import try_out
from zoo_core.training.freeze import Frozen
from zoo_core.training.runner import run_recipe
from zoo_core.weights.header import read_header
from zoo_core.weights.values import same_bits


class Deep(zoo.Model):
    """Layers with every kind of statistics, and a tied one."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        pass

    config: Config

    def __init__(self, config):
        super().__init__(config)
        self.features = nn.Sequential(
            nn.Linear(3, 4),
            nn.BatchNorm1d(4),
            nn.ReLU(),
            nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4)),
            nn.BatchNorm1d(4, affine=False),
            nn.Dropout(0.5),
        )
        self.neck = nn.Linear(4, 4, bias=False)
        self.head = nn.Sequential(nn.Linear(4, 4, bias=False), nn.BatchNorm1d(4), nn.Linear(4, 1))
        self.head[0].weight = self.neck.weight

    def forward(self, point):
        return self.head(self.neck(self.features(point))).squeeze(1)


class Modes(tiny.LineTrainer):
    """Sets modes in each step, decays weights, and averages in a way that rounds."""

    @dataclass(frozen=True, kw_only=True)
    class Config(tiny.LineTrainer.Config):
        how: str = zoo.setting("train", "how the mode is set in a step")

    config: Config

    def setup(self, model, engine):
        decayed = torch.optim.AdamW(model.parameters(), lr=0.03, weight_decay=0.3)
        self.mean = copy.deepcopy(model)
        self.model, self.optimizer = engine.prepare(model, decayed)
        self.engine, self.done = engine, 0

    def step(self, batch):
        if self.config.how == "assign":
            for module in self.model.modules():
                module.training = True
        elif self.config.how == "apply":
            self.model.apply(lambda module: module.train())
        elif self.config.how == "unfreeze" or self.config.how == "toggle":
            self.model.requires_grad_(True)
        elif self.config.how == "overwrite" and self.done == 3:
            with torch.no_grad():
                self.model.features[0].weight.mul_(1.001)
        else:
            self.model.train()
        loss = (self.model(batch["point"]) - batch["height"]).square().mean()
        self.optimizer.zero_grad()
        self.engine.backward(loss)
        self.optimizer.step()
        if self.config.how == "toggle":
            self.model.features.requires_grad_(False)
        return {"loss": loss.detach()}

    def after_step(self):
        self.done += 1
        with torch.no_grad():
            for mean, one in zip(self.mean.parameters(), self.model.parameters(), strict=True):
                mean.mul_(0.9).add_(0.1 * one)
            for kept, one in zip(self.mean.buffers(), self.model.buffers(), strict=True):
                kept.copy_(one)

    def evaluate(self, batches, train_batches):
        self.model.eval()
        with torch.no_grad():
            error = sum(float((self.model(batch["point"]) - batch["height"]).abs().sum()) for batch in batches)
        self.model.train()
        return {"error": error}

    def finalize(self):
        self.model.load_state_dict(self.mean.state_dict())


class Plugin:
    @zoo.hookimpl
    def zoo_register(self, registry):
        registry.model("deep", f"{__name__}:Deep", summary="A deep line")
        registry.trainer("modes", f"{__name__}:Modes", summary="Sets modes")


RECIPE = tiny.RECIPE.with_overrides(
    ["run.device=cpu", "model.name=deep", "trainer.name=modes", "run.evaluate_every=4", "run.steps=12"]
)


def resolved(*words):
    here = tiny.catalog()
    here.plugins.add("freeze", Plugin())
    return resolve(RECIPE.with_overrides(words), here)


def train(folder, *words, callbacks=()):
    return run_recipe(resolved(*words), [*standard(), *callbacks], folder)


@pytest.fixture
def initial(tmp_path):
    """The tensors before the first step."""
    return train(tmp_path / "initial", "run.steps=0").model.state_dict()


def changed(run, initial):
    """The names of the tensors that the run has changed."""
    return {name for name, one in run.model.state_dict().items() if not same_bits(one, initial[name])}


def under(*parts):
    return {name for name in Deep(Deep.Config()).state_dict() if name.startswith(parts or "")}


FEATURES = "run.freeze=[features.*]"


@pytest.mark.parametrize("how", ["train", "assign", "apply"])
def test_what_is_frozen_stays_bit_for_bit_and_the_rest_is_trained(tmp_path, initial, how):
    run = train(tmp_path / "run", FEATURES, f"trainer.how={how}")
    assert changed(run, initial) == under("neck", "head")


@pytest.mark.parametrize(
    ("patterns", "frozen"),
    [
        ("[features]", ("features.",)),
        ("['features.?']", ("features.",)),
        ("[features.0, 'head.2']", ("features.0.", "head.2.")),
        ("['*.bias']", ("features.0.bias", "features.1.bias", "features.3.bias", "head.1.bias", "head.2.bias")),
        ("['features.[01].*']", ("features.0", "features.1")),
        ("['head.1.weight', 'head.1.bias']", ("head.1.",)),
        ("['features.4']", ("features.4.",)),  # it has statistics only
        ("[neck]", ("neck.", "head.0.")),  # they are tied
    ],
)
def test_patterns_name_parameters_and_modules_with_all_inside_them(tmp_path, initial, patterns, frozen):
    run = train(tmp_path / "run", f"run.freeze={patterns}")
    assert under() - changed(run, initial) == under(*frozen)


def test_without_patterns_every_tensor_is_trained(tmp_path, initial):
    assert changed(train(tmp_path / "run"), initial) == under()


@pytest.mark.parametrize(
    ("patterns", "message", "hint"),
    [
        ("[feature.*]", "'feature.*' matches no parameter and no module of Deep", "Did you mean 'features'"),
        ("[features.0.weights]", "'features.0.weights' matches no", "'features.0.weight'"),
        ("[features, zzz]", "'zzz' matches no parameter and no module of Deep", "It has features, neck, head."),
        ("[features.2]", "'features.2' matches only modules without parameters", "name a layer that has parameters"),
        ("['Features.*']", "'Features.*' matches no", "Did you mean 'features'"),
        ("['']", "'' matches no", "It has features, neck, head."),
        ("['*']", "run.freeze freezes every parameter of Deep", "zoo eval"),
        ("[features, neck, head]", "run.freeze freezes every parameter of Deep", "zoo eval"),
    ],
)
def test_patterns_without_effect_and_with_too_much_are_refused(tmp_path, patterns, message, hint):
    with pytest.raises(BadSetting) as refused:
        train(tmp_path / "run", f"run.freeze={patterns}")
    assert message in refused.value.message
    assert hint in refused.value.hint
    assert not (tmp_path / "run").exists()


def test_one_pattern_that_is_no_list_is_refused_with_the_list_to_write():
    with pytest.raises(BadSetting, match="should be a list of str") as refused:
        resolved("run.freeze=features.*")
    assert refused.value.hint == """Write `'run.freeze=["features.*"]'`, as a list."""
    with pytest.raises(BadSetting, match=r"run.freeze is '\[\*.bias\]', but should be a list") as refused:
        resolved("run.freeze=[*.bias]")
    assert 'run.freeze=["*.bias"]' in refused.value.hint


@pytest.mark.parametrize("how", ["train", "assign"])
def test_a_stopped_and_resumed_run_is_bit_identical(tmp_path, how):
    words = (FEATURES, f"trainer.how={how}", "run.checkpoint_every=3", f"run.init_from={tmp_path / 'first'}")
    train(tmp_path / "first")
    train(tmp_path / "whole", *words)
    train(tmp_path / "run", *words, callbacks=[tiny.Watcher(stop_at=5)])
    again = resolve(read_config(tmp_path / "run" / "config.yaml"), resolved().catalog)
    run = run_recipe(again, standard(), tmp_path / "run", resume=True)
    for name in ("model.safetensors", "metrics.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert [name for name, one in run.model.named_parameters() if not one.requires_grad]


def test_evaluating_and_drawing_more_often_changes_nothing(tmp_path):
    one = train(tmp_path / "one", FEATURES, "run.evaluate_every=0")
    other = train(tmp_path / "other", FEATURES, "run.evaluate_every=1", "run.preview_every=1")
    assert changed(other, one.model.state_dict()) == set()


@pytest.mark.parametrize("how", ["unfreeze", "toggle", "overwrite"])
def test_a_trainer_that_trains_or_overwrites_what_is_frozen_is_refused(tmp_path, how):
    with pytest.raises(RunFailed, match=r"the trainer 'modes' trains or overwrites 'features\.\d.*', which run.freeze"):
        train(tmp_path / "run", FEATURES, f"trainer.how={how}", "run.checkpoint_every=5")
    assert not list(tmp_path.glob("run/checkpoints/*"))


def test_after_the_run_the_model_is_an_ordinary_one_again(tmp_path):
    model = train(tmp_path / "run", FEATURES).model
    assert type(model.features[1]) is nn.BatchNorm1d
    assert not any(one.training for one in model.modules())
    assert all(one.training for one in model.train().modules())


def test_the_header_says_how_many_parameters_were_trained(tmp_path):
    run = train(tmp_path / "run", FEATURES)
    header = read_header(run.folder.weights)
    trained = sum(one.numel() for name, one in run.model.named_parameters() if not name.startswith("features"))
    assert (header.trainable_parameters, header.parameters) == (trained, run.model.count_parameters())
    assert json.loads(json.dumps(header.metadata["recipe"]["run"]["freeze"])) == ["features.*"]
    assert read_config(run.folder.config).values["run"]["freeze"] == ["features.*"]


def test_only_normalization_layers_stay_in_eval_mode():
    model = Deep(Deep.Config())
    frozen = Frozen(model, ["features"])
    evaluating = {name for name, one in model.train().named_modules() if not one.training}
    assert evaluating == {"features.1", "features.3.parametrizations.weight.0", "features.4"}
    copied = copy.deepcopy(model).train()
    assert {name for name, one in copied.named_modules() if not one.training} == evaluating
    frozen.release()
    assert all(one.training for one in model.train().modules())


def test_a_layer_of_which_a_part_is_frozen_keeps_counting_its_statistics():
    model = Deep(Deep.Config())
    Frozen(model, ["head.1.weight"])
    assert model.train().head[1].training


def test_a_captured_step_leaves_what_is_frozen_as_it_is(tmp_path):
    loop = try_out(resolved(FEATURES, "run.checkpoint_every=0"), tmp_path / "run")
    before = {name: one.clone() for name, one in loop.run.model.state_dict().items()}
    notes, recorder = [], Replaying(loop.run.trainer)
    steps = CapturedSteps(loop.run.trainer, recorder, lambda: None, notes.append)
    for _ in range(9):
        steps(zoo.Batch(next(loop.batches)))
        loop.run.trainer.after_step()
    assert (steps.gave_up, notes, recorder.recorded, steps.replays) == (False, [], 1, 6)
    assert changed(loop.run, before) == under("neck", "head")


def test_a_compiled_network_keeps_what_is_frozen(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "zoo_core.engine.engine.compile_module", lambda module, mode: module.compile(backend="eager", dynamic=False)
    )
    compiled = train(tmp_path / "compiled", FEATURES)
    monkeypatch.undo()
    assert changed(compiled, train(tmp_path / "plain", FEATURES).model.state_dict()) == set()


def test_parameters_without_shapes_are_not_frozen():
    model = strange_models.Lazy.from_settings({})
    with pytest.raises(BadSetting, match=r"run\.freeze freezes 'layer\.weight', which has no shape before"):
        Frozen(model, ["layer.weight"])
