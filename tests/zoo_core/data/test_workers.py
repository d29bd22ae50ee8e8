"""Loader workers: what goes wrong in one is an error of two lines, and however loading ends, they are gone."""

from __future__ import annotations

import errno
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from itertools import islice

import failing_examples
import psutil
import pytest
import torch
from failing_examples import AtOnce, Points
from torch.utils.data import get_worker_info
from warm_python import PYTHON

import zoo_core as zoo
from zoo_core.data.batch_maker import BatchMaker
from zoo_core.data.loader import Batches, in_order
from zoo_core.data.workers import LoadingStopped
from zoo_core.errors import BadFile, RunFailed
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.training.runner import run_recipe

SOON = 5  # seconds


before: set[int] = set()


@pytest.fixture(autouse=True)
def _known_before():
    """Workers of an earlier test may live on until Python collects the garbage that refers to them."""
    gc.collect()  # not while they are listed
    before.clear()
    before.update(child.pid for child in multiprocessing.active_children())


def workers():
    """The loader workers that this process has started in this test."""
    started = [child.pid for child in multiprocessing.active_children() if child.pid not in before]
    children = [psutil.Process(pid) for pid in started]
    return [child for child in children if child.status() != psutil.STATUS_ZOMBIE]


def maker(how="", at=7, kind=Points, folder="."):
    return BatchMaker(kind(40, how, at, folder), dataset="the dataset 'failing'")


@pytest.mark.parametrize(
    ("how", "kind", "said"),
    [
        ("value", RunFailed, "the dataset 'failing' raised ValueError: no height (helpers/failing_examples.py, line "),
        ("arguments", RunFailed, "raised NeedsArguments: two arguments (helpers/"),
        ("mute", RunFailed, "raised FailsToSay (helpers/"),
        ("exception", RunFailed, "raised NotAnException: of no kind (helpers/"),
        ("interrupt", RunFailed, "raised KeyboardInterrupt (helpers/"),
        ("stop-iteration", RunFailed, "raised StopIteration: ended (helpers/"),
        ("bad-file", BadFile, "/data/7.png is not an image (training example 7 of the dataset 'failing')."),
        ("own-bad-file", BadFile, "file 7 is not an image (training example 7 of the dataset 'failing')."),
        ("missing", BadFile, "the dataset 'failing' cannot read training example 7: FileNotFoundError: "),
        (
            "truncated",
            BadFile,
            "the dataset 'failing' cannot read training example 7: OSError: image file is truncated",
        ),
        ("exit", RunFailed, "raised SystemExit: 3 (helpers/"),
        ("exit-silently", RunFailed, "raised SystemExit: 0 (helpers/"),
        ("hard-exit", RunFailed, "exited with code 3 while it loaded training example 7."),
        ("hard-exit-0", RunFailed, "exited with code 0 while it loaded training example 7."),
        ("killed", RunFailed, "was ended by SIGKILL while it loaded training example 7."),
        ("crashes", RunFailed, "was ended by SIGSEGV while it loaded training example 7."),
        ("bus-error", RunFailed, "was ended by SIGBUS while it loaded training example 7."),
        ("one-worker", RunFailed, "raised ValueError: only in one worker (helpers/"),
    ],
)
def test_what_fails_in_a_worker_is_one_error_and_the_workers_are_gone(how, kind, said, tmp_path, capfd):
    start = time.monotonic()
    batches = in_order(maker(how, at=12 if how == "one-worker" else 7, folder=str(tmp_path)), 8, workers=2)
    with pytest.raises(kind) as error:
        list(batches)
    assert said in error.value.message
    assert "\n" not in f"{error.value.message}{error.value.hint}"
    assert error.value.hint
    assert not workers()
    assert time.monotonic() - start < SOON
    assert capfd.readouterr() == ("", "")  # no traceback of a worker


def test_a_batch_that_cannot_be_sent_is_refused():
    class Locks(Points):
        def __getitems__(self, indices):
            return zoo.Batch(lock=threading.Lock())

    with pytest.raises(RunFailed, match="cannot send a batch of the dataset: TypeError: cannot pickle") as error:
        list(in_order(BatchMaker(Locks(8, "", 0, ".")), 4, workers=1))
    assert error.value.hint == "Return tensors and numbers, or use `run.workers=0`."
    assert not workers()


def test_memory_that_ran_out_is_the_likely_cause_of_a_kill_and_zero_workers_the_remedy():
    with pytest.raises(RunFailed) as error:
        list(in_order(maker("killed"), 8, workers=2))
    assert error.value.hint.startswith("Memory ran out, most likely")
    assert "`run.workers=0`" in error.value.hint


def test_the_traceback_of_the_worker_is_the_cause_of_the_error():
    with pytest.raises(RunFailed) as error:
        list(in_order(maker("value"), 8, workers=1))
    assert "in a loader worker:\nTraceback (most recent call last):" in str(error.value.__cause__)
    assert "ValueError: no height" in str(error.value.__cause__)


def test_an_error_is_that_of_the_first_batch_with_one_whichever_worker_is_faster():
    class TwoFail(Points):
        def __getitem__(self, index):
            if index == 3:
                time.sleep(0.3)
            if index in (3, 9):
                raise ValueError(f"number {index}")
            return super().__getitem__(index)

    with pytest.raises(RunFailed, match="number 3"):
        list(in_order(BatchMaker(TwoFail(40, "", 0, ".")), 8, workers=2))


def test_a_batch_that_is_made_at_once_names_the_example_that_fails():
    with pytest.raises(RunFailed, match=r"no height .*training example 7"):
        list(in_order(maker("value", kind=AtOnce), 8, workers=2))


def test_a_batch_that_is_made_at_once_is_named_when_its_worker_dies():
    with pytest.raises(RunFailed, match="SIGKILL while it loaded training examples 0, 1, 2, 3, …"):
        list(in_order(maker("killed", kind=AtOnce), 8, workers=2))


def test_batches_before_the_one_with_an_error_are_given():
    batches = in_order(maker("value", at=20), 8, workers=2)
    assert [len(batch["height"]) for batch in islice(batches, 2)] == [8, 8]
    with pytest.raises(RunFailed, match=r"no height .*training example 20"):
        next(batches)


def test_an_iterator_that_is_dropped_leaves_no_worker():
    batches = iter(in_order(maker(), 2, workers=2))
    next(batches)
    assert len(workers()) == 2
    del batches
    assert not workers()


def test_batches_that_are_no_longer_referred_to_leave_no_worker():
    batches = Batches(maker().examples, lambda generator: torch.randperm(40, generator=generator), 2, 0, workers=2)
    next(batches)
    assert len(workers()) == 2
    del batches
    gc.collect()  # it is part of a cycle
    assert not workers()


@pytest.mark.parametrize("how", ["sleeps", "sleeps-deaf", "stops"])
def test_busy_workers_are_ended_whatever_they_ignore(how):
    batches = in_order(maker(how, at=3), 2, workers=2)
    next(batches)
    start = time.monotonic()
    batches.close()
    assert not workers()
    assert time.monotonic() - start < SOON


def test_waiting_for_a_slow_example_ends_when_the_run_stops():
    batches = Batches(Points(40, "sleeps", 3, "."), lambda generator: torch.arange(40), 2, 0, workers=2)
    assert next(batches)["height"].shape == (2,)
    start = time.monotonic()
    batches.stopping = lambda: time.monotonic() > start + 0.5
    with pytest.raises(LoadingStopped):
        next(batches)
    assert batches.position == 1
    assert not workers()
    assert time.monotonic() - start < SOON


def test_a_run_says_which_worker_it_waits_for_and_goes_on_when_that_one_does(monkeypatch):
    monkeypatch.setattr("zoo_core.data.workers._SAY_AFTER", 0.5)
    batches = in_order(maker("stops"), 4, workers=2)
    next(batches)
    stopped = max(workers(), key=lambda one: one.pid)  # the second one that was started

    def resume():
        while len(said) < 2:
            time.sleep(0.05)
        stopped.resume()

    thread = threading.Thread(target=resume)

    def finish():
        thread.start()
        return list(batches)

    with pytest.warns(UserWarning, match="has returned nothing for") as said:
        found = finish()
    thread.join()
    assert len(found) == 9
    assert [str(one.message) for one in said] == [
        f"the dataset 'failing' has returned nothing for {seconds} seconds: loader worker 2 of 2, process "
        f"{stopped.pid}, is at training example 7, and is stopped by a signal (`kill -CONT {stopped.pid}` continues "
        "it). The run waits for it."
        for seconds in ("0", "1")
    ]


def test_a_batch_that_the_run_no_longer_waited_for_can_be_loaded_after_all():
    class Slow(Points):
        def __getitem__(self, index):
            time.sleep(0.3 if index == 3 else 0)
            return super().__getitem__(index)

    batches = Batches(Slow(40, "", 0, "."), lambda generator: torch.arange(40), 2, 0, workers=1)
    next(batches)
    batches.stopping = lambda: True
    with pytest.raises(LoadingStopped):
        next(batches)
    assert torch.equal(batches.wait()["height"], torch.tensor([2 / 50, 3 / 50]))


def test_a_signal_to_end_that_all_processes_get_does_not_end_the_workers():
    batches = in_order(maker(), 2, workers=2)
    next(batches)
    for worker in workers():
        worker.send_signal(signal.SIGTERM)
        worker.send_signal(signal.SIGINT)
    assert len(list(batches)) == 19


def test_examples_that_cannot_be_sent_to_a_worker_are_refused(monkeypatch):
    spawning = multiprocessing.get_context("spawn")
    monkeypatch.setattr(multiprocessing, "get_context", lambda: spawning)
    examples = Points(4, "", 0, ".")
    examples.lock = threading.Lock()
    with pytest.raises(RunFailed, match="cannot be sent to loader workers: TypeError: cannot pickle") as error:
        list(in_order(BatchMaker(examples), 2, workers=1))
    assert "`run.workers=0`" in error.value.hint


def test_workers_that_cannot_be_started_are_an_error_and_the_others_are_gone(monkeypatch):
    fork, forks = os.fork, iter([True, True, False])

    def limited():
        if next(forks):
            return fork()
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", limited)
    with pytest.raises(RunFailed, match=r"cannot be started: BlockingIOError: .* temporarily unavailable") as error:
        list(in_order(maker(), 2, workers=3))
    assert "`run.workers=0`" in error.value.hint
    assert not workers()


def test_a_worker_knows_its_number():
    class Numbered(Points):
        def __getitem__(self, index):
            return {"worker": get_worker_info().id, "of": get_worker_info().num_workers}

    seen = [batch["worker"].tolist() for batch in in_order(BatchMaker(Numbered(8, "", 0, ".")), 2, workers=2)]
    assert seen == [[0, 0], [1, 1], [0, 0], [1, 1]]


def test_no_more_workers_are_started_than_there_are_batches():
    batches = in_order(maker(), 20, workers=8)
    next(batches)
    assert len(workers()) == 2


def test_a_batch_of_long_texts_and_many_indices_passes():
    class Texts(Points):
        def __getitem__(self, index):
            return {"text": "t" * 100, "height": index}

    batches = list(in_order(BatchMaker(Texts(20_000, "", 0, ".")), 10_000, workers=1))
    assert [len(batch["text"]) for batch in batches] == [10_000, 10_000]


STOPPED = """
    import sys, threading, time
    import psutil, tiny, failing_examples
    from zoo_core.registry.catalog import Catalog
    from zoo_core.registry.resolve import resolve
    from zoo_core.training.runner import run_recipe

    def tell():
        while len(psutil.Process().children()) < 2:
            time.sleep(0.01)
        time.sleep(0.5)
        print(*[child.pid for child in psutil.Process().children()], flush=True)

    catalog = Catalog(installed=False)
    catalog.plugins.add("failing", failing_examples)
    threading.Thread(target=tell, daemon=True).start()
    run = run_recipe(resolve(catalog.recipe("failing", *sys.argv[1:]), catalog))
    print(run.stopping, run.step)
"""


def stopped(tmp_path, number, *overrides):
    """Exit code, output and seconds of a run with slow examples after a signal."""
    command = [PYTHON, "-c", textwrap.dedent(STOPPED), *overrides]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment
    ) as run:
        children = [psutil.Process(int(pid)) for pid in run.stdout.readline().split()]
        assert len(children) == 2
        start = time.monotonic()
        run.send_signal(number)
        output, errors = run.communicate(timeout=60)
        seconds = time.monotonic() - start
        assert not psutil.wait_procs(children, timeout=1)[1]
        return run.returncode, output, errors, seconds


@pytest.mark.parametrize("how", ["sleeps", "sleeps-deaf", "stops"])
def test_a_run_that_waits_for_a_slow_example_is_saved_and_ends_soon_after_sigterm(how, tmp_path):
    code, output, errors, seconds = stopped(tmp_path, signal.SIGTERM, f"dataset.how={how}", "dataset.at=12")
    assert (code, output.split()[0], errors) == (0, "SIGTERM", "")
    assert seconds < 20  # the example takes a minute; benchmarks/failing_loaders.py measures it
    [checkpoint] = tmp_path.glob("runs/failing/*/checkpoints/step-*")
    assert checkpoint.is_dir()


def test_a_run_whose_trainer_fails_ends_its_busy_workers(tmp_path):
    catalog = Catalog(installed=False)
    catalog.plugins.add("failing", failing_examples)
    recipe = catalog.recipe("failing", "dataset.how=sleeps", "dataset.at=49", "trainer.raise_at=1", "run.batch_size=2")
    with pytest.raises(zoo.RunFailed, match="this trainer fails") as error:
        run_recipe(resolve(recipe, catalog), folder=tmp_path / "run")
    assert error.value.__traceback__  # which still refers to the loop
    assert not workers()


def test_workers_stay_from_epoch_to_epoch_and_make_the_same_batches():
    def batches(count, **options):
        def order(generator):
            return torch.randperm(40, generator=generator)

        return Batches(maker().examples, order, 8, 5, workers=count, **options)

    in_epochs = batches(0)
    expected = [next(in_epochs)["height"].tolist() for _ in range(17)]
    for first, count in ((0, 0), (3, 1), (5, 3)):
        ahead, found, pids = batches(count, order_is_pure=True), [], set()
        ahead.seek(first)
        for _ in range(first, 17):
            found.append(next(ahead)["height"].tolist())
            pids |= {worker.pid for worker in workers()}
        ahead.close()
        assert found == expected[first:]
        assert len(pids) == count
