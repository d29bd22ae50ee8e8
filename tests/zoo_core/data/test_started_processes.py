"""What a dataset starts in a loader worker ends with the worker, however that ends, and nothing else does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest
from failing_examples import Points
from warm_python import PYTHON

from zoo_core.data.batch_maker import BatchMaker
from zoo_core.data.loader import in_order
from zoo_core.data.started_processes import ends_by_itself
from zoo_core.errors import RunFailed

SLEEP = ["sleep", "600"]
IN_SHELLS = [
    "sleep 600 & echo $! >> pids",  # the shell ends, and so do its descendants' ties to the worker
    "setsid sh -c 'echo $$ >> pids; exec sleep 600' & sleep 0.2",
    "sh -c 'trap \"\" TERM HUP; echo $$ >> pids; sleep 600; sleep 600' & sleep 0.2",
]


class Starting(Points):
    """Points, one of which starts processes in many ways, whose process IDs are written to a file."""

    def __getitem__(self, index):
        if index == self.at:
            os.chdir(self.folder)
            for command in IN_SHELLS:
                subprocess.run(["sh", "-c", command], check=True)
            self._note(subprocess.Popen(SLEEP).pid)
            self._note(subprocess.Popen(SLEEP, start_new_session=True).pid)
            self._note(subprocess.Popen(SLEEP, env={}).pid)
            self._fork(lambda: time.sleep(600))
            self._fork(lambda: (os.setsid(), self._fork(lambda: time.sleep(600))))
            if self.how == "raises":
                raise ValueError("no height")
            if self.how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.how == "exits":
                os._exit(3)
            if self.how == "sleeps":
                time.sleep(600)
        return super().__getitem__(-1)

    def _fork(self, work):
        if not os.fork():
            self._note(os.getpid())
            work()
            os._exit(0)
        time.sleep(0.2)

    def _note(self, pid):
        with Path("pids").open("a") as file:
            file.write(f"{pid}\n")


def living(folder):
    pids = {int(line) for line in (folder / "pids").read_text().split()}
    assert len(pids) == 9
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


@pytest.mark.skipif(not Path("/proc/self/comm").exists(), reason="copies of a worker are found by their name")
@pytest.mark.parametrize("how", ["", "raises", "killed", "exits", "sleeps"])
def test_what_a_dataset_starts_in_a_worker_ends_with_it(how, tmp_path):
    with subprocess.Popen(SLEEP) as other:  # that the program has started
        batches = in_order(BatchMaker(Starting(8, how, 5, str(tmp_path))), 2, workers=2)
        if how == "sleeps":
            next(batches)
            while not (tmp_path / "pids").exists() or len((tmp_path / "pids").read_text().split()) < 9:
                time.sleep(0.05)
            batches.close()
        elif how:
            with pytest.raises(RunFailed):
                list(batches)
        else:
            assert len(list(batches)) == 4
        assert not living(tmp_path)
        assert other.poll() is None
        other.kill()


def test_a_worker_that_ends_is_noticed_although_a_process_that_it_has_forked_keeps_its_pipes_open(tmp_path):
    class Forking(Points):
        def __getitem__(self, index):
            if index == 5:
                if not os.fork():
                    time.sleep(600)
                os.kill(os.getpid(), signal.SIGKILL)
            return super().__getitem__(index)

    with pytest.raises(RunFailed, match="was ended by SIGKILL while it loaded training example 5"):
        list(in_order(BatchMaker(Forking(8, "", 0, ".")), 2, workers=2))


def test_a_copy_of_a_worker_that_goes_on_as_the_worker_sends_no_batches():
    class Forking(Points):
        def __getitem__(self, index):
            if index == 1:
                os.fork()
            return {"index": index}

    batches = list(in_order(BatchMaker(Forking(12, "", 0, ".")), 2, workers=1))
    assert [batch["index"].tolist() for batch in batches] == [[k, k + 1] for k in range(0, 12, 2)]


def test_a_program_that_a_dataset_starts_in_a_worker_can_be_ended():
    class Ending(Points):
        def __getitem__(self, index):
            with subprocess.Popen(SLEEP) as program:
                program.terminate()
            return {"code": program.returncode}

    [batch] = in_order(BatchMaker(Ending(1, "", 0, ".")), 1, workers=1)
    assert batch["code"].tolist() == [-signal.SIGTERM]


HERE = """
    import subprocess, sys, threading, time
    from failing_examples import Points
    from zoo_core.data.batch_maker import BatchMaker
    from zoo_core.data.loader import in_order

    class Starting(Points):
        def __getitem__(self, index):
            if index == 3:
                shell = subprocess.Popen(["sh", "-c", "sleep 600 & echo $!; wait"], stdout=subprocess.PIPE, text=True)
                print(shell.pid, shell.stdout.readline().strip(), flush=True)
                start_another.set()
                thread.join()  # the process that it has started is then a child of this thread
            return {"index": index}

    def work():
        start_another.wait()
        print(subprocess.Popen(["sleep", "600"]).pid, flush=True)

    start_another, thread = threading.Event(), threading.Thread(target=work)
    thread.start()
    print(subprocess.Popen(["sleep", "600"]).pid, flush=True)
    list(in_order(BatchMaker(Starting(8, "", 0, ".")), 2, workers=0))
    if sys.argv[1:]:
        raise ZeroDivisionError
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the children of a thread are known on Linux only")
@pytest.mark.parametrize("raises", [[], ["raises"]])
def test_what_a_dataset_starts_in_the_training_process_ends_with_it_and_other_things_do_not(raises):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [PYTHON, "-c", textwrap.dedent(HERE), *raises], env=environment, stdout=subprocess.PIPE, text=True
    ) as run:
        other = psutil.Process(int(run.stdout.readline()))
        own = [int(pid) for pid in run.stdout.readline().split()]
        of_a_thread = psutil.Process(int(run.stdout.readline()))
        assert run.wait() == len(raises)
        run.stdout.close()
    end = time.monotonic() + 60
    while any(map(psutil.pid_exists, own)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(psutil.pid_exists, own))
    for one in (other, of_a_thread):
        assert one.is_running()
        one.kill()


KILLED = """
    import os, signal, sys, time
    from test_started_processes import Starting
    from zoo_core.data.batch_maker import BatchMaker
    from zoo_core.data.loader import in_order

    batches = in_order(BatchMaker(Starting(8, "sleeps", 5, sys.argv[1])), 2, workers=2)
    next(batches)
    next(batches)
    while not os.path.exists(sys.argv[1] + "/pids") or len(open(sys.argv[1] + "/pids").read().split()) < 9:
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_ends_when_the_training_process_is_killed(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)])}
    killed = subprocess.run([PYTHON, "-c", textwrap.dedent(KILLED), str(tmp_path)], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    end = time.monotonic() + 60
    while living(tmp_path) and time.monotonic() < end:
        time.sleep(0.1)
    assert not living(tmp_path)


def test_what_removes_the_traces_of_others_is_not_killed():
    assert ends_by_itself(["/usr/bin/python", "-c", "from multiprocessing.resource_tracker import main;main(7)"])
    assert ends_by_itself(["/venv/torch/bin/torch_shm_manager"])
    assert not ends_by_itself(["ffmpeg", "-i", "clip.mp4"])


def test_a_batch_whose_indices_and_texts_fill_both_pipes_passes():
    class Texts(Points):
        def __getitems__(self, indices):
            return {"text": "t" * 2_000_000, "sum": sum(indices)}

    size = 60_000
    batches = in_order(BatchMaker(Texts(5 * size, "", 0, ".")), size, workers=1)
    next(batches)
    time.sleep(1)  # the worker sends the second batch meanwhile, and then gets the indices of the fourth
    assert [batch["sum"] for batch in batches][-1] == sum(range(4 * size, 5 * size))
