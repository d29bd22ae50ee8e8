"""The trials of a sweep: their settings, their results, and what is saved."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest
import tiny
from PIL import Image

import zoo_core as zoo
from zoo_core.config.recipe import read_config

RATES = ("line", "trainer.learning_rate=1e-3,1e-2,1e-1", "--metric=-error")
RANGE = ("line", "trainer.learning_rate=log:1e-4..1", "run.batch_size=4..16", "--metric=-error")


def evaluation(run: Path) -> dict[str, float]:
    return json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])


def test_every_combination_of_choices_is_a_trial_and_each_trial_is_a_run(sweep):
    done = sweep.json(*RATES, "run.batch_size=4,8")
    assert done.code == 0
    assert [tuple(trial["settings"].values()) for trial in done.trials] == [
        (rate, size) for rate in (1e-3, 1e-2, 1e-1) for size in (4, 8)
    ]
    for trial in done.trials:
        run = done.folder / f"trial-{trial['trial']:04d}"
        recipe = read_config(run / "config.yaml")
        assert recipe.values["trainer"]["learning_rate"] == trial["settings"]["trainer.learning_rate"]
        assert recipe.values["run"]["batch_size"] == trial["settings"]["run.batch_size"]
        assert recipe.values["run"]["seed"] == 0
        assert "sweep" not in recipe.values
        assert evaluation(run)["error"] == trial["value"]
        assert (trial["state"], trial["step"]) == ("done", 30)
        assert (run / "model.safetensors").is_file()


def test_the_best_trial_has_the_lowest_or_highest_value_as_requested(sweep):
    low, high = sweep.json(*RATES), sweep.json(*RATES[:2], "--metric", "error", folder="other")
    assert low.values == high.values
    assert low.values[low.result["best"]] == min(low.values)
    assert high.values[high.result["best"]] == max(high.values)


def test_the_printed_command_repeats_the_best_trial(sweep):
    done = sweep(*RATES, "run.steps=12")
    (line,) = [line for line in done.out.splitlines() if line.startswith("  train ")]
    assert line.split()[1:4] == ["zoo", "run", "--config"]
    from zoo_core.cli import _exit_code

    assert _exit_code([*line.split()[2:], "--folder", "again"]) == 0
    (best,) = [row.split() for row in done.out.splitlines() if row[1:].startswith(" *")]
    assert evaluation(Path("again")) == evaluation(done.folder / best[-1])
    assert (Path("again") / "config.yaml").read_text() == (done.folder / best[-1] / "config.yaml").read_text()


def test_choices_may_be_names_and_lists(sweep, capsys):
    done = sweep.json("line", "model.name=line", "dataset.apart=true,false", "run.steps=3", "--metric", "error")
    assert [trial["settings"] for trial in done.trials] == [{"dataset.apart": True}, {"dataset.apart": False}]


def test_overrides_of_a_component_apply_to_every_choice_of_its_name(sweep):
    sweep.write(
        "second.py",
        "import tiny\nimport zoo_core as zoo\n\n\nclass Second(tiny.LineTrainer):\n    pass\n\n\n@zoo.hookimpl\n"
        "def zoo_register(registry):\n    registry.trainer('second', f'{__name__}:Second', summary='Another')\n",
    )
    from zoo_core.registry import catalog

    sweep.write("more.yaml", "plugins: [second.py]\n")
    catalog.default.cache_clear()
    words = ("trainer.name=line,second", "trainer.learning_rate=0.05", "--metric", "error", "--registry", "more.yaml")
    done = sweep.json("line", *words)
    for number, name in enumerate(("line", "second")):
        trainer = read_config(done.folder / f"trial-{number:04d}" / "config.yaml").values["trainer"]
        assert (trainer["name"], trainer["learning_rate"]) == (name, 0.05)


@pytest.mark.parametrize(("sampler", "trials"), [("random", 4), pytest.param("tpe", 13, marks=pytest.mark.long)])
def test_the_sampled_settings_depend_on_the_seed_alone(sweep, sampler, trials):
    words = (*RANGE, "--sampler", sampler, "--trials", trials, "run.steps=5")
    one, same, other = (
        sweep.json(*words, "--seed", seed, folder=folder) for seed, folder in (("1", "a"), ("1", "b"), ("2", "c"))
    )
    settings = [[tuple(trial["settings"].values()) for trial in done.trials] for done in (one, same, other)]
    assert settings[0] == settings[1] != settings[2]
    assert one.values == same.values
    assert len(set(settings[0])) == trials
    for rate, size in settings[0]:
        assert 1e-4 <= rate <= 1
        assert isinstance(size, int)
        assert 4 <= size <= 16


@pytest.mark.long
def test_tpe_samples_more_often_near_the_best_trial(sweep):
    words = ("line", "trainer.learning_rate=log:1e-6..1", "--metric=-error", "--trials", "40", "run.steps=10")
    done = sweep.json(*words)
    rates = [trial["settings"]["trainer.learning_rate"] for trial in done.trials]
    assert done.result["trials"][done.result["best"]]["value"] == min(done.values)
    best = rates[done.result["best"]]
    near = [sum(best / 10 < rate < best * 10 for rate in part) / len(part) for part in (rates[:10], rates[10:])]
    assert near[1] > near[0]


def test_a_failed_trial_is_saved_with_its_reason_and_the_sweep_continues(sweep):
    done = sweep.json("line", "trainer.nan_at=0,7", "trainer.raise_at=0,9", "--metric", "error")
    assert done.code == 0
    assert [trial["state"] for trial in done.trials] == ["done", "failed", "failed", "failed"]
    assert "this trainer fails" in done.trials[1]["reason"]
    assert "loss" in done.trials[2]["reason"]
    assert (done.folder / "trial-0001" / "config.yaml").is_file()
    assert "trial 1 failed: the trainer 'line' raised ValueError: this trainer fails" in done.err


def test_a_trial_that_cannot_be_built_does_not_end_the_sweep(sweep):
    done = sweep("line", "trainer.break_setup=true,false", "--metric", "error")
    assert done.code == 0
    assert "trial 0 failed: the trainer 'line' raised RuntimeError: this trainer cannot be set up" in done.out
    assert "Traceback" not in done.out + done.err


def test_a_sweep_whose_trials_all_fail_exits_with_1(sweep):
    done = sweep("line", "trainer.nan_at=7,8", "--metric", "error")
    assert done.code == 1
    assert "line: 2 failed, of 2 trials" in done.out
    assert "best" not in done.out


ERRORS = [zoo.BadSetting("not\ntogether", "x"), zoo.BadFile("not\ntogether"), ValueError("not"), SystemExit(0)]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_combination_that_is_not_possible_is_a_failed_trial_and_the_others_go_on(sweep, monkeypatch, error):
    setup = tiny.LineTrainer.setup

    def refusing(trainer, model, engine):
        if (trainer.config.learning_rate, trainer.config.nan_at) == (1e-2, 99):
            raise error
        setup(trainer, model, engine)

    monkeypatch.setattr(tiny.LineTrainer, "setup", refusing)
    words = ("trainer.learning_rate=1e-2,1e-3", "trainer.nan_at=0,99", "run.steps=3", "--metric", "error")
    done = sweep.json("line", *words)
    assert done.code == 0
    assert [trial["state"] for trial in done.trials] == ["done", "failed", "done", "done"]
    assert len(done.trials[1]["reason"].splitlines()) == 1
    assert "not" in done.trials[1]["reason"] or "SystemExit" in done.trials[1]["reason"]
    again = sweep.json("--resume", done.folder)
    assert again.code == 0
    assert [trial["state"] for trial in again.trials] == ["done", "failed", "done", "done"]


def test_trials_are_compared_on_the_validation_split_if_there_is_one(sweep):
    done = sweep.json("line", "trainer.learning_rate=1e-3,1e-2", "dataset.apart=true", "--metric", "error/points")
    assert done.values == [3, 3]
    assert [trial["metrics"]["error/points"] for trial in done.trials] == [12, 12]


def test_the_pruner_stops_unpromising_trials_and_keeps_their_runs(sweep):
    rates = ",".join(["3e-2", "3.1e-2", "3.2e-2", "2.9e-2", "2.8e-2", "1e-9", "2e-9"])
    words = ("line", f"trainer.learning_rate={rates}", "run.evaluate_every=10", "--pruner", "median")
    done = sweep.json(*words, "--metric=-error")
    assert Counter(trial["state"] for trial in done.trials[:5]) == {"done": 5}
    for trial in done.trials[5:]:
        assert trial["state"] == "pruned"
        assert trial["step"] in (10, 20)
        assert trial["value"] == trial["intermediate_values"][str(trial["step"])]
        run = done.folder / f"trial-{trial['trial']:04d}"
        assert evaluation(run)["step"] == trial["step"]
        assert sorted((run / "checkpoints").iterdir())[-1].name == f"step-{trial['step']:09d}"
    assert done.result["best"] < 5


def test_a_pruner_requires_evaluations_during_training(sweep):
    done = sweep(*RATES, "--pruner", "median")
    assert done.code == 2
    assert "a pruner needs evaluations during training, but run.evaluate_every is 0" in done.err
    assert not done.folder.exists()


def test_the_folder_has_a_table_and_a_plot(sweep):
    done = sweep.json(*RATES)
    with (done.folder / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["value"]) for row in rows] == done.values
    assert [row["trainer.learning_rate"] for row in rows] == ["1e-3", "1e-2", "1e-1"]
    assert [row["state"] for row in rows] == ["done"] * 3
    with Image.open(done.folder / "sweep.png") as plot:
        assert plot.size[0] > 500


def test_sweep_yaml_can_be_run_as_a_config(sweep, capsys):
    done = sweep(*RATES)
    from zoo_core.cli import _exit_code

    assert _exit_code(["run", "--config", str(done.folder / "sweep.yaml"), "--print-config"]) == 0
    assert capsys.readouterr().out == (done.folder / "trial-0000" / "config.yaml").read_text()


def test_showing_a_sweep_runs_no_trial(sweep):
    done = sweep.json(*RATES)
    assert sweep.json("--show", "swept").result == done.result
    heading = sweep("--show", "swept").out.splitlines()[0]
    assert heading.split() == ["trial", "state", "error", "trainer.learning_rate", "steps", "time", "folder"]


def test_a_completed_sweep_can_be_resumed_with_more_trials(sweep):
    words = (*RANGE, "--sampler", "random", "run.steps=5")
    whole = sweep.json(*words, "--trials", "4", folder="whole")
    sweep.json(*words, "--trials", "2", folder="less")
    more = sweep.json("--resume", "less", "--trials", "4")
    assert more.values == whole.values
    assert sweep.json("--show", "less").values == whole.values
    fewer = sweep("--resume", "less", "--trials", "3")
    assert (fewer.code, fewer.out) == (2, "")
    assert "error: --trials is 3, but 4 have already started." in fewer.err


LATE = """
import os, signal
import tiny
import zoo_core as zoo

sent = []


class Late(tiny.LineTrainer):
    def evaluate(self, batches, train_batches):
        sent.append(len(sent) == 1)  # the first evaluation only looks for the metric
        if sent[-1]:
            os.kill(os.getpid(), signal.SIGINT)
        return super().evaluate(batches, train_batches)


@zoo.hookimpl
def zoo_register(registry):
    registry.trainer("late", f"{__name__}:Late", summary="Interrupted")
"""


def test_a_signal_during_the_final_evaluation_completes_the_trial_and_stops_the_sweep(sweep):
    sweep.write("late.py", LATE)
    sweep.write("more.yaml", "plugins: [late.py]\n")
    done = sweep.json("line", "trainer.name=late", "run.seed=1,2", "--metric=-error", "--registry", "more.yaml")
    assert done.code == 130
    assert [trial["state"] for trial in done.trials] == ["done"]


def test_the_number_of_threads_of_a_trial_does_not_affect_the_next_one(sweep):
    import torch

    before = torch.get_num_threads()
    sweep.json("line", f"run.threads={before + 1},null", "--metric", "error", "run.steps=3")
    assert torch.get_num_threads() == before
