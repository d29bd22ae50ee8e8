"""Every choice of a sweep is checked before anything is written."""

import pytest
import torch
import yaml


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run.precision=float32,float16"], "run.precision is 'float16', but"),
        (["run.precision=float32,tf32"], "run.precision is 'tf32', but"),
        (["run.device=cpu,cuda:99"], "run.device is 'cuda:99', but"),
        (["run.steps=2,3", "run.epochs=1,2"], "contradict each other: both state the length of the run"),
        (["run.steps=2", "run.epochs=1,2"], "contradict each other: both state the length of the run"),
        (["run.epochs=1,2", "run.steps=2"], "contradict each other: both state the length of the run"),
        (["trainer.draws=images,pictures"], "trainer.draws is 'pictures'"),
        (["run.steps=2,3,02"], "run.steps=2,3,02 has the duplicate choice 02."),
        (["trainer.learning_rate=1e-3,0.001"], "trainer.learning_rate=1e-3,0.001 has the duplicate choice 0.001."),
        (["run.batch_size=5,51"], "run.batch_size is 51, but the dataset has only 50 training examples"),
        (["run.loggers=[jsonl],[nope]"], "run.loggers: no logger is called 'nope'"),
        (["run.init_from=null,nothing"], "run.init_from: no weights are called 'nothing'"),
        (["run.freeze=[],[nothing]"], "run.freeze: 'nothing' matches no parameter"),
        (["run.monitor=-error,-eror", "run.evaluate_every=1"], "run.monitor: there is no metric 'eror'"),
        (["run.batch_size=51,52"], "has only 50 training examples"),
    ],
)
def test_a_choice_that_is_not_possible_is_refused(sweep, words, message):
    done = sweep("line", *words, "--metric", "error")
    assert (done.code, done.out) == (2, "")
    assert message in done.err.splitlines()[0]
    assert len(done.err.splitlines()) == 2
    assert not done.folder.exists()


@pytest.mark.filterwarnings("ignore:run.batch_size=auto")
@pytest.mark.parametrize(
    ("words", "counts"), [(["run.batch_size=auto,10"], [32, 10]), (["run.seed=1,2", "run.batch_size=auto"], [32, 32])]
)
def test_the_largest_batch_of_a_small_dataset_is_left_to_the_runs(sweep, words, counts):
    done = sweep("line", *words, "run.steps=1", "--metric", "error")  # of 50 examples
    assert done.code == 0, done.err
    settings = [yaml.safe_load((done.folder / f"trial-000{n}" / "config.yaml").read_text()) for n in range(2)]
    assert [one["run"]["batch_size"] for one in settings] == counts


@pytest.mark.parametrize("words", [[], ["run.seed=3,4"], ["--sampler", "random", "--trials", "2"]])
def test_an_unknown_metric_is_refused_with_a_suggestion(sweep, words):
    done = sweep("line", "trainer.learning_rate=1e-3,1e-2", *words, "--metric=-eror")
    assert done.code == 2
    assert done.err.splitlines() == [
        "error: --metric: there is no metric 'eror'; the evaluation returns error and 1 such as error/points.",
        "  Did you mean 'error'?",
    ]
    assert not done.folder.exists()


def test_the_metric_is_not_looked_for_if_an_evaluation_fails(sweep, monkeypatch):
    import tiny

    monkeypatch.setattr(tiny.LineTrainer, "evaluate", lambda *_: None)
    done = sweep("line", "trainer.learning_rate=1e-3,1e-2", "run.steps=2", "--metric", "eror")
    assert done.code == 1
    assert "2 failed" in done.out


def test_checking_changes_neither_the_threads_nor_the_trials(sweep):
    threads = torch.get_num_threads()
    done = sweep.json("line", "run.threads=2,3", "run.steps=2", "--metric", "error")
    assert torch.get_num_threads() in (threads, 3)
    assert [trial["state"] for trial in done.trials] == ["done", "done"]
