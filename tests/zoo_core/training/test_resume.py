"""Resuming: bit-identical for every kind of state, from the newest whole checkpoint, with whatever else is damaged."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from pathlib import Path

import pytest
import tiny
import torch

import zoo_core as zoo
from zoo_core.config.recipe import read_config
from zoo_core.errors import BadFile, BadSetting
from zoo_core.loggers import standard
from zoo_core.registry.resolve import resolve
from zoo_core.runs.folder import RunFolder
from zoo_core.runs.paths import run_called
from zoo_core.training.resume import recipe_of
from zoo_core.training.runner import run_recipe
from zoo_core.weights.load import load


class MaskedLine(tiny.Line):
    """Holds what causal masks and observers hold, which is not finite."""

    def __init__(self, config):
        super().__init__(config)
        self.register_buffer("mask", torch.triu(torch.full((3, 3), -torch.inf), 1))
        self.register_buffer("lowest", torch.tensor(torch.inf))

    def forward(self, point):
        with torch.no_grad():
            self.lowest.copy_(torch.minimum(self.lowest, torch.tensor(torch.inf)))
        return super().forward(torch.softmax(point[:, None] + self.mask, -1).sum(1) + point)


class TransposedLine(tiny.Line):
    def __init__(self, config):
        super().__init__(config)
        self.layers[0].weight = torch.nn.Parameter(torch.randn(config.inputs, 4).T)


class LBFGSTrainer(tiny.LineTrainer):
    def setup(self, model, engine):
        super().setup(model, engine)
        self.optimizer = torch.optim.LBFGS(model.parameters(), lr=0.05, max_iter=3)

    def step(self, batch):
        def closure():
            self.optimizer.zero_grad()
            loss = (self.model(batch["point"]) - batch["height"]).square().mean()
            self.engine.backward(loss)
            return loss

        self.done += 1
        return {"loss": self.optimizer.step(closure).detach()}


class BankTrainer(tiny.LineTrainer):
    """Keeps tensors that a step makes, of odd lengths and unusual layouts, and uses their sums and products later."""

    def setup(self, model, engine):
        super().setup(model, engine)
        self.swapped = torch.zeros(7, 13)

    def step(self, batch):
        if self.done % 9 == 0:
            made = torch.randn(3, 91)
            self.bank = made[1]  # begins at 364 bytes, which no allocator would give
            self.banks = {"list": [torch.randn(89 + k) for k in range(3)], "part": (torch.randn(97)[3:],)}
            self.columns = torch.randn(61, 5)[:, 1:4]
            self.repeated = torch.randn(1, 5).expand(11, 5)
            self.empty = torch.randn(3, 0)
            self.swapped = torch.randn(13, 7).T
        vectors = [self.bank, *self.banks["list"], *self.banks["part"]]
        scale = sum(float(vector.dot(torch.arange(float(len(vector))).sin())) for vector in vectors)
        scale += float((self.columns @ torch.ones(3)).sum() + self.swapped.sum() + self.repeated.sum())
        with torch.no_grad():
            self.engine.unwrap(self.model).layers[2].bias.fill_(scale)
        return super().step(batch)


class Plugin:
    @zoo.hookimpl
    def zoo_register(self, registry):
        registry.model("masked", f"{__name__}:MaskedLine", summary="A line behind a mask")
        registry.model("transposed", f"{__name__}:TransposedLine", summary="A line with a transposed parameter")
        registry.trainer("lbfgs", f"{__name__}:LBFGSTrainer", summary="LBFGS")
        registry.trainer("bank", f"{__name__}:BankTrainer", summary="A memory bank")


class RecordAlignment:
    """The distances of the restored tensors from 64 bytes."""

    def __init__(self):
        self.found = {}

    @zoo.hookimpl
    def zoo_run_started(self, run):
        optimizer = getattr(run.trainer.optimizer, "optimizer", run.trainer.optimizer)
        self._walk("optimizer", dict(optimizer.state))
        for name, value in vars(run.trainer).items():
            self._walk(name, value)

    def _walk(self, name, value):
        if isinstance(value, torch.Tensor) and value.numel():
            self.found[name] = value.data_ptr() % 64
        elif isinstance(value, dict):
            for number, one in enumerate(value.values()):
                self._walk(f"{name}.{number}", one)
        elif isinstance(value, (list, tuple)):
            for number, one in enumerate(value):
                self._walk(f"{name}.{number}", one)


def catalog():
    here = tiny.catalog()
    here.plugins.add("resume", Plugin())
    return here


def train(folder, *words, callbacks=(), resume=False):
    recipe = read_config(folder / "config.yaml") if resume else tiny.RECIPE
    resolved = resolve(recipe.with_overrides(["run.device=cpu", *words]), catalog())
    return run_recipe(resolved, [*standard(), *callbacks], folder, resume)


def result_of(folder):
    return (folder / "model.safetensors").read_bytes(), (folder / "metrics.jsonl").read_bytes()


@pytest.mark.parametrize(
    "words",
    [("trainer.name=lbfgs",), ("trainer.name=bank",), ("model.name=masked",), ("model.name=transposed",)],
    ids=lambda words: words[0],
)
def test_a_stopped_and_resumed_run_is_bit_identical(tmp_path, words):
    train(tmp_path / "whole", *words)
    train(tmp_path / "stopped", *words, callbacks=[tiny.Watcher(stop_at=7)])
    train(tmp_path / "stopped", resume=True, callbacks=[tiny.Watcher(stop_at=17)])
    alignment = RecordAlignment()
    train(tmp_path / "stopped", resume=True, callbacks=[alignment])
    assert result_of(tmp_path / "stopped") == result_of(tmp_path / "whole")
    as_made = {"bank": 91 * 4 % 64, "banks.1.0": 12, "columns": 4}  # and every other tensor at its own address
    assert {name: distance for name, distance in alignment.found.items() if distance} == {
        name: distance for name, distance in as_made.items() if "bank" in words[0]
    }


def test_a_model_with_buffers_that_are_not_finite_trains_and_loads(tmp_path):
    run = train(tmp_path / "run", "model.name=masked", "run.steps=4")
    model, _ = load(tmp_path / "run", catalog())
    assert model.mask.isneginf().sum() == 3
    point = torch.linspace(-1, 1, 12).view(4, 3)
    assert torch.equal(model(point), run.model(point))


@pytest.fixture
def whole(tmp_path):
    """The result of a run of 30 steps."""
    tiny.train(tmp_path / "whole")
    return result_of(tmp_path / "whole")


@pytest.fixture
def stopped(tmp_path):
    """The folder of a run that was stopped after 20 of 30 steps."""
    tiny.train(tmp_path / "run", callbacks=(tiny.Watcher(stop_at=20),))
    return tmp_path / "run"


def resume(folder, *words):
    """Resume the run, and return what it warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        resolved = resolve(recipe_of(RunFolder(folder)).with_overrides(words), tiny.catalog())
        run_recipe(resolved, standard(), folder, resume=True)
    messages = [str(one.message) for one in caught]
    assert all("\n" not in message for message in messages)
    return messages


def test_a_step_in_the_state_that_is_not_that_of_the_name_is_noticed(whole, stopped):
    path = stopped / "checkpoints" / "step-000000020" / "state.json"
    path.write_text(path.read_text().replace('"step": 20', '"step": 21'))
    (message,) = resume(stopped)
    assert message.endswith(
        "state.json is damaged: its SHA-256 is not the one in SHA256SUMS. "
        "The run resumes from step 10; the damaged checkpoint is kept as step-000000020.damaged."
    )
    assert result_of(stopped) == whole
    names = sorted(path.name for path in (stopped / "checkpoints").iterdir())
    assert names == ["step-000000020", "step-000000020.damaged", "step-000000030"]


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"[" * 100_000, b'{"processes": 1}', "folder", "loop"])
def test_a_damaged_environment_does_not_block_a_resume(whole, stopped, content):
    path = stopped / "environment.json"
    before = json.loads(path.read_text())
    path.unlink()
    if content == "folder":
        path.mkdir()
    elif content == "loop":
        path.symlink_to(path)
    elif content is not None:
        path.write_bytes(content)
    (message,) = resume(stopped)
    assert "environment.json" in message
    assert "It was written again." in message
    assert result_of(stopped) == whole
    assert json.loads(path.read_text())["data"] == before["data"]
    assert (stopped / "environment.json.damaged").is_symlink() == (content == "loop")
    assert ("kept as environment.json.damaged" in message) == (content is not None)


DAMAGED = [
    None,
    b"",
    b" \n\n",
    b"\0" * 400,
    b"\xff\xfe\x00r",
    b"\x1b[0m recipe: x",
    b"rec",
    b"- a\n- b\n",
    "cut",
    "folder",
    "loop",
]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_run_with_a_damaged_config_is_resumed_with_the_settings_of_its_checkpoint(whole, stopped, content):
    path = stopped / "config.yaml"
    before = path.read_text()
    path.unlink()
    if content == "folder":
        path.mkdir()
    elif content == "loop":
        path.symlink_to(path)
    elif content == "cut":
        path.write_text(before[: before.index("trainer:")])
    elif content is not None:
        path.write_bytes(content)
    (message,) = resume(stopped)
    assert "config.yaml" in message
    assert "it was written again with the settings of the newest checkpoint." in message
    assert result_of(stopped) == whole
    assert path.read_text() == before
    kept = stopped / "config.yaml.damaged"
    assert ("kept as config.yaml.damaged" in message) == (content is not None) == (kept.is_symlink() or kept.exists())
    if isinstance(content, bytes):
        assert kept.read_bytes() == content


def test_a_damaged_config_does_not_hide_that_other_settings_are_asked_for(stopped):
    (stopped / "config.yaml").write_bytes(b"")
    with pytest.raises(BadSetting, match=r"trainer\.learning_rate was 0\.01 and is now 0\.5"):
        resume(stopped, "trainer.learning_rate=0.5")
    assert (stopped / "config.yaml").read_bytes() == b""


def test_a_mistake_in_a_changed_config_is_shown_and_not_passed_over(stopped):
    path = stopped / "config.yaml"
    path.write_text(path.read_text().replace("log_every: 5", "log_every: [5"))
    with pytest.raises(BadFile, match=r"config\.yaml:\d+: this is not YAML") as error:
        resume(stopped)
    assert error.value.hint.startswith("Correct it, or delete it to resume")


def test_a_damaged_config_without_a_checkpoint_is_refused(stopped):
    (stopped / "config.yaml").write_bytes(b"")
    (stopped / "checkpoints").rename(stopped / "elsewhere")
    with pytest.raises(BadFile, match=r"config\.yaml is empty, and the run has no checkpoint"):
        resume(stopped)


def test_the_command_resumes_the_last_run_although_its_config_is_damaged(stopped, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "line").mkdir(parents=True)
    stopped.rename(tmp_path / "runs" / "line" / "one")
    (tmp_path / "runs" / "line" / "one" / "config.yaml").unlink()
    assert run_called("last", "") == Path("runs/line/one")


def test_a_run_whose_folder_is_renamed_says_where_it_is_and_can_be_resumed(tmp_path):
    class Rename:
        @zoo.hookimpl
        def zoo_checkpoint_saved(self, run, step):
            if step == 10:
                run.path.rename(tmp_path / "mine")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run = tiny.train(tmp_path / "run", callbacks=(Rename(), tiny.Watcher(stop_at=25)))
    said = f"was renamed to {tmp_path / 'mine'} during the run; what was written before step 20 is in that folder"
    assert [one for one in caught if said in str(one.message)]
    assert run.stopping == "the watcher"
    assert (tmp_path / "mine" / "checkpoints" / "step-000000010").is_dir()
    assert resume(tmp_path / "run") == []


def test_a_plugin_that_changes_the_working_directory_does_not_lose_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    class Wander:
        @zoo.hookimpl
        def zoo_run_started(self, run):
            (tmp_path / "elsewhere").mkdir()
            os.chdir(tmp_path / "elsewhere")

    run = tiny.train(Path("runs", "line", "one"), callbacks=(Wander(),))
    assert run.path == tmp_path / "runs" / "line" / "one"
    assert (run.path / "model.safetensors").is_file()
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert Path.cwd() == tmp_path


def test_a_run_whose_folder_is_deleted_writes_it_again_and_can_be_resumed(tmp_path, capfd):
    class Delete:
        @zoo.hookimpl
        def zoo_checkpoint_saved(self, run, step):
            if step == 10:
                shutil.rmtree(run.path)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tiny.train(tmp_path / "run", callbacks=(Delete(), tiny.Watcher(stop_at=25)))
    messages = [str(one.message) for one in caught]
    assert any(
        "was deleted, emptied or moved during the run; what was written before step 20 is not in it" in one
        for one in messages
    )
    assert not any("\n" in one or "is disabled" in one for one in messages)
    assert "Traceback" not in capfd.readouterr().err
    assert resume(tmp_path / "run") == []


def test_a_changed_setting_in_the_config_is_refused(stopped):
    path = stopped / "config.yaml"
    path.write_text(path.read_text().replace("learning_rate: 0.01", "learning_rate: 0.11"))
    with pytest.raises(BadSetting, match=r"trainer\.learning_rate was 0\.01 and is now 0\.11"):
        resume(stopped)


def test_a_changed_interval_in_the_config_is_noticed(stopped):
    path = stopped / "config.yaml"
    path.write_text(path.read_text().replace("log_every: 5", "log_every: 4"))
    (message,) = resume(stopped)
    assert message == "run.log_every is 4 in config.yaml, but was 5 when the checkpoint of step 20 was written."
    assert json.loads((stopped / "environment.json").read_text())["changed"] == [
        {"step": 20, "run.log_every": ["5", "4"]}
    ]


@pytest.mark.parametrize(("key", "old", "new"), [("recipe", "line", "lime"), ("summary", "A line", "A lime")])
def test_a_changed_name_or_summary_in_the_config_is_noticed(stopped, key, old, new):
    path = stopped / "config.yaml"
    path.write_text(path.read_text().replace(f"{key}: {old}", f"{key}: {new}"))
    (message,) = resume(stopped)
    assert message.startswith(f"{key} is ")
    assert message.endswith("when the checkpoint of step 20 was written.")


def test_changed_data_is_noticed_even_if_the_environment_is_damaged(stopped, monkeypatch):
    (stopped / "environment.json").write_text("{")
    monkeypatch.setattr(tiny.Points, "fingerprint", lambda self: "other data")
    with pytest.raises(BadSetting, match=r"the data have changed since the run was started: their fingerprint was"):
        resume(stopped)


def test_a_setting_that_is_changed_on_resuming_is_not_reported_as_that_of_the_config(stopped):
    assert resume(stopped, "run.log_every=4") == []


def test_a_checkpoint_of_another_run_is_refused(tmp_path, stopped):
    tiny.train(tmp_path / "other", "run.seed=1", callbacks=(tiny.Watcher(stop_at=25),))
    (tmp_path / "other" / "checkpoints" / "step-000000025").rename(stopped / "checkpoints" / "step-000000025")
    with pytest.raises(BadSetting, match=r"run\.seed was 1 and is now 0"):
        resume(stopped)


def test_what_is_no_checkpoint_is_named_and_left_alone(whole, stopped):
    for name in ("step-12 copy", "step-abc"):
        (stopped / "checkpoints" / name).mkdir()
    (message,) = resume(stopped)
    assert message.endswith("checkpoints also holds step-12 copy, step-abc, which zoo does not use.")
    assert result_of(stopped) == whole
    assert (stopped / "checkpoints" / "step-12 copy").is_dir()


def test_checkpoints_that_cannot_be_read_are_not_taken_for_none(stopped):
    (stopped / "checkpoints").rename(stopped / "elsewhere")
    (stopped / "checkpoints").symlink_to("/nowhere/unmounted")
    with pytest.raises(BadFile, match="is a link to /nowhere/unmounted, which does not exist"):
        resume(stopped)


def test_a_setting_that_the_weights_file_could_not_state_is_refused_before_the_first_step(tmp_path):
    with pytest.raises(BadSetting, match=r"trainer\.learning_rate is inf, but should be finite") as refused:
        tiny.train(tmp_path / "run", "trainer.learning_rate=.inf")
    assert refused.value.hint == "Write a finite number, or leave it out."
    assert not (tmp_path / "run").exists()
