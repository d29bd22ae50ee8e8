"""Whole runs of a tiny plugin: what lies on disk, that it repeats bit for bit, and how it ends when it goes wrong."""

import json
from importlib.metadata import version

import pytest
import tiny
import torch
from safetensors.torch import load_file

import zoo_core as zoo
from zoo_core.checkpoint import directory as checkpoint
from zoo_core.config.recipe import read_config
from zoo_core.errors import BadFile, BadSetting, NameTaken, RunFailed, UnknownName


def files_of(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def lines_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights_of(folder):
    return (folder / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The folder of a run of thirty steps that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    tiny.train(folder)
    return folder


def test_the_folder_of_a_run_is_complete(done):
    files = files_of(done)
    (events,) = [file for file in files if file.startswith("events.out.tfevents")]
    state = ["model", "average", "optimizer", "schedule", "drawn"]
    expected = [
        f"checkpoints/step-{step:09d}/{name}"
        for step in (20, 30)
        for name in [*(f"{held}.safetensors" for held in state), "state.json", "SHA256SUMS"]
    ]
    expected += [f"previews/step-{step:06d}.png" for step in (10, 20, 30)]
    expected += [".lock", "config.yaml", "environment.json", "metrics.jsonl", "model.safetensors", events]
    expected += ["sessions.json"]
    held = {file for file in files if not file.endswith("schedule.safetensors")}
    assert held == {file for file in expected if not file.endswith("schedule.safetensors")}


def test_nothing_in_the_folder_is_a_pickle_or_an_archive(done):
    for file in files_of(done):
        start = (done / file).read_bytes()[:2]
        assert start not in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"), file


def test_metrics_have_a_line_every_five_steps_and_an_evaluation_at_the_end(done):
    *logged, last = lines_of(done)
    assert [line["step"] for line in logged] == [5, 10, 15, 20, 25, 30]
    assert logged[1]["epoch"] == round(10 / 6, 4)  # fifty points make six batches of eight
    assert logged[-1]["loss"] < logged[0]["loss"]
    assert last == {"step": 30, "evaluation": True, "error": last["error"], "error/points": 12}


def test_environment_says_what_it_ran_on(done):
    said = json.loads((done / "environment.json").read_text())
    assert list(said) == [
        "recipe", "command", "versions", "plugins", "device", "platform", "git", "data", "warnings", "processes",
        "sha256",
    ]  # fmt: skip
    assert said["versions"]["torch"] == version("torch")
    assert said["device"]["type"] == "cpu"
    assert (said["data"]["training_examples"], said["data"]["test_examples"]) == (50, 12)
    assert said["warnings"] == []


def test_a_data_sets_warning_is_shown_once_and_kept(tmp_path):
    with pytest.warns(UserWarning, match="these are not the real points") as shown:
        tiny.train(tmp_path / "run", "dataset.warn=true", "run.steps=1")
    assert len(shown) == 1
    said = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert said["warnings"] == ["these are not the real points"]


def test_two_runs_with_one_seed_write_the_same_bytes(done, tmp_path):
    torch.manual_seed(1234)  # what the process drew before is no matter
    tiny.train(tmp_path / "again")
    assert weights_of(tmp_path / "again") == weights_of(done)
    assert lines_of(tmp_path / "again") == lines_of(done)


def test_another_seed_gives_other_weights(done, tmp_path):
    tiny.train(tmp_path / "other", "run.seed=1")
    ours, other = load_file(done / "model.safetensors"), load_file(tmp_path / "other" / "model.safetensors")
    assert not torch.equal(ours["layers.0.weight"], other["layers.0.weight"])


@pytest.mark.parametrize("stops", [(15,), (5, 10), (7,), (8, 9), (6, 20), (1, 2, 3, 14, 29)])
def test_a_run_that_was_stopped_and_resumed_is_the_run_that_was_not(done, tmp_path, stops):
    folder = tmp_path / "stopped"
    run = tiny.train(folder, callbacks=(tiny.Watcher(stop_at=stops[0]),))
    assert (run.step, run.stopping) == (stops[0], "the watcher")
    for stop in stops[1:]:
        assert tiny.resume(folder, callbacks=(tiny.Watcher(stop_at=stop),)).step == stop
    watcher = tiny.Watcher()
    tiny.resume(folder, callbacks=(watcher,))

    assert watcher.heard[0] == f"started at {stops[-1]}"
    # A header holds the recipe and the figures, so equal bytes say that all of it is equal.
    assert weights_of(folder) == weights_of(done)
    assert (folder / "metrics.jsonl").read_text() == (done / "metrics.jsonl").read_text()


def test_a_damaged_checkpoint_is_said_and_the_one_before_it_serves(done, tmp_path):
    folder = tmp_path / "damaged"
    tiny.train(folder, callbacks=(tiny.Watcher(stop_at=20),))
    file = folder / "checkpoints" / "step-000000020" / "optimizer.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    watcher = tiny.Watcher()
    with pytest.warns(UserWarning, match=r"step-000000020/optimizer\.safetensors is damaged"):
        tiny.resume(folder, callbacks=(watcher,))
    assert watcher.heard[0] == "started at 10"
    assert weights_of(folder) == weights_of(done)
    assert lines_of(folder) == lines_of(done)


def test_a_metrics_line_that_a_kill_cut_short_is_written_anew(done, tmp_path):
    folder = tmp_path / "killed"
    tiny.train(folder, callbacks=(tiny.Watcher(stop_at=20),))
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 25, "epo')
    tiny.resume(folder)
    assert lines_of(folder) == lines_of(done)


def test_a_finished_run_that_is_resumed_stays_what_it_is(done, tmp_path):
    tiny.train(tmp_path / "run")
    tiny.resume(tmp_path / "run")
    assert weights_of(tmp_path / "run") == weights_of(done)


def test_resuming_what_has_no_checkpoint_or_another_shape_is_the_users_mistake(tmp_path):
    folder = tmp_path / "run"
    tiny.train(folder, "run.steps=2")
    config = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(config.replace("inputs: 3", "inputs: 4"))
    with pytest.raises(BadSetting, match=r"started with other settings: model\.inputs was 3 and is now 4"):
        tiny.resume(folder)
    (folder / "config.yaml").write_text(config)
    for path in (folder / "checkpoints").iterdir():
        (path / "state.json").unlink()
    with pytest.raises(BadFile, match="holds no complete checkpoint"):
        tiny.resume(folder)


def test_config_repeats_the_run(done, tmp_path):
    tiny.train(tmp_path / "repeated", recipe=read_config(done / "config.yaml"))
    assert weights_of(tmp_path / "repeated") == weights_of(done)
    assert (tmp_path / "repeated" / "config.yaml").read_text() == (done / "config.yaml").read_text()


def test_a_run_folder_that_exists_is_refused_and_untouched(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("three years of work")
    with pytest.raises(NameTaken, match="already exists") as refused:
        tiny.train(tmp_path / "mine")
    assert "--resume" in refused.value.hint
    assert files_of(tmp_path) == ["mine/thesis.txt"]


def test_the_folder_of_a_run_that_was_killed_before_it_began_is_begun_in_again(tmp_path):
    (tmp_path / "run").mkdir()
    for name in (".lock", "environment.json"):
        (tmp_path / "run" / name).touch()
    assert tiny.train(tmp_path / "run").step == 30


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["trainer.break_setup=true"], RunFailed, r"the trainer 'line' raised RuntimeError: .* before the first step"),
        (["run.batch_size=51"], BadSetting, "has only 50 training examples"),
        (["trainer.learning_rte=1"], BadSetting, r"(?s)trainer\.learning_rte.*Did you mean 'trainer\.learning_rate'"),
        (["trainer.learning_rate=fast"], BadSetting, r"trainer\.learning_rate is 'fast'"),
        (["model.name=lnie"], UnknownName, "(?s)no model is called 'lnie'.*Did you mean 'line'"),
        (["run.device=cuda:99"], BadSetting, "run.device is 'cuda:99'"),
    ],
)
def test_nothing_is_left_behind_if_a_run_cannot_begin(tmp_path, words, error, message):
    with pytest.raises(error, match=message):
        tiny.train(tmp_path / "runs" / "line" / "now", *words)
    assert list(tmp_path.rglob("*")) == []


REFUSALS = [zoo.ZooError("no"), BadSetting("no", "Write x=1."), BadFile("no"), UnknownName("no"), NameTaken("no")]


def refusing_at(step, error):
    def refuse(trainer, batch):
        trainer.done += 1
        if trainer.done == step:
            raise error
        return {"loss": torch.ones(())}

    return refuse


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: type(error).__name__)
def test_a_run_that_is_refused_in_its_first_step_leaves_nothing_behind(tmp_path, monkeypatch, error):
    monkeypatch.setattr(tiny.LineTrainer, "step", refusing_at(1, error))
    with pytest.raises(type(error)) as refused:
        tiny.train(tmp_path / "runs" / "line" / "now")
    assert refused.value.exit_code == 2
    assert list(tmp_path.rglob("*")) == []
    (tmp_path / "mine").mkdir()
    with pytest.raises(type(error)):
        tiny.train(tmp_path / "mine")
    assert list(tmp_path.rglob("*")) == [tmp_path / "mine"]


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: type(error).__name__)
def test_what_is_refused_in_a_later_step_is_a_run_that_failed(tmp_path, monkeypatch, error):
    monkeypatch.setattr(tiny.LineTrainer, "step", refusing_at(3, type(error)(error.message, error.hint)))
    with pytest.raises(type(error)) as failed:
        tiny.train(tmp_path / "run")
    assert failed.value.exit_code == 1
    assert failed.value.hint.endswith(f"The run is in {tmp_path / 'run'}.")
    assert (tmp_path / "run" / "config.yaml").is_file()


def test_a_resumed_run_that_is_refused_in_its_first_step_is_kept(tmp_path, monkeypatch):
    tiny.train(tmp_path / "run", callbacks=(tiny.Watcher(stop_at=3),))
    before = files_of(tmp_path / "run")
    monkeypatch.setattr(tiny.LineTrainer, "step", refusing_at(4, BadSetting("no")))
    with pytest.raises(BadSetting) as failed:
        tiny.resume(tmp_path / "run")
    assert failed.value.exit_code == 1
    assert set(before) <= set(files_of(tmp_path / "run"))


def test_a_trainer_that_fails_leaves_its_folder_and_tells_the_plugins(tmp_path):
    watcher = tiny.Watcher()
    said = r"the trainer 'line' raised ValueError: this trainer fails \(helpers/tiny\.py, line \d+\), after step 12\."
    with pytest.raises(RunFailed, match=said) as raised:
        tiny.train(tmp_path / "run", "trainer.raise_at=13", callbacks=(watcher,))
    assert watcher.heard == ["started at 0", "saved 10", "failed"]
    assert watcher.error is raised.value.__cause__
    assert str(tmp_path / "run") in raised.value.hint
    files = files_of(tmp_path / "run")
    assert "model.safetensors" not in files
    assert "config.yaml" in files
    assert [line["step"] for line in lines_of(tmp_path / "run")] == [5, 10]


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_good_checkpoint(tmp_path):
    watcher = tiny.Watcher()
    with pytest.raises(RunFailed, match="loss is nan at step 18") as failed:
        tiny.train(tmp_path / "run", "trainer.nan_at=18", callbacks=(watcher,))
    assert str(tmp_path / "run") in failed.value.hint
    assert watcher.heard == ["started at 0", "saved 10", "failed"]
    assert not (tmp_path / "run" / "model.safetensors").exists()
    step, captured, damaged = checkpoint.load_newest(tmp_path / "run" / "checkpoints")
    assert (step, damaged) == (10, {})
    assert all(tensor.isfinite().all() for tensor in captured["model"][0].values())


def test_weights_that_are_no_numbers_are_never_saved_even_if_the_loss_still_was_one(tmp_path):
    with pytest.raises(RunFailed, match=r"layers\.0\.weight.* step 20"):
        tiny.train(tmp_path / "run", "trainer.nan_weights_at=20")
    assert checkpoint.load_newest(tmp_path / "run" / "checkpoints")[0] == 10
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_a_data_set_without_a_length_is_named_and_no_step_is_done(tmp_path, monkeypatch):
    monkeypatch.setattr(tiny.Points, "train", lambda self: iter([]))
    with pytest.raises(BadSetting, match=r"^train of the dataset 'points' .* returns a list_iterator, but"):
        tiny.train(tmp_path / "run")
