"""While other processes compute, OpenMP threads sleep early, unless the environment sets a policy."""

import json
import multiprocessing
import os
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from zoo_core.engine import openmp

# The file that states the running threads, and the load average where there is none, are given.
PROGRAM = """
import json, os, sys
from pathlib import Path
from zoo_core.engine import openmp
openmp._LOAD = Path(sys.argv[1])
os.getloadavg = lambda: (float(sys.argv[2]), 0.0, 0.0)
"""
COMMAND = """
from zoo_core.cli import main
try:
    main(sys.argv[3:])
except SystemExit:
    print(json.dumps([os.environ.get("GOMP_SPINCOUNT"), "torch" in sys.modules]), file=sys.stderr)
"""
PYTHON_API = """
import zoo_core as zoo
before = os.environ.get("GOMP_SPINCOUNT")
try:
    zoo.run("no-such-recipe")
except zoo.ZooError:
    print(json.dumps([before, os.environ.get("GOMP_SPINCOUNT")]), file=sys.stderr)
"""
TRAIN = ("run", "no-such-recipe")
BUSY, IDLE, UNKNOWN = "0.00 0.00 0.00 2/99 1234", "9.00 3.00 1.00 1/99 1234", "1.50 1.00 1.00 0/0 0"


@pytest.fixture
def environment_after(tmp_path):
    """What a program prints that reads this line from /proc/loadavg, and else this load average."""

    def environment_after(program, line, *words, load=0.0, **variables):
        left = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "LOCAL_WORLD_SIZE")
        inherited = {name: value for name, value in os.environ.items() if name not in left}
        if line is not None:
            (tmp_path / "loadavg").write_text(line)
        command = [sys.executable, "-c", PROGRAM + program, str(tmp_path / "loadavg"), str(load), *words]
        done = subprocess.run(command, env={**inherited, **variables}, capture_output=True, text=True, timeout=120)
        return json.loads(done.stderr.splitlines()[-1])

    return environment_after


@pytest.mark.parametrize(
    ("line", "words", "variables", "spin_count"),
    [
        (BUSY, TRAIN, {}, "1000"),
        (IDLE, TRAIN, {}, None),
        (BUSY, ("list",), {}, None),
        (BUSY, TRAIN, {"GOMP_SPINCOUNT": "7"}, "7"),
        (BUSY, TRAIN, {"OMP_WAIT_POLICY": "ACTIVE"}, None),
        (BUSY, TRAIN, {"LOCAL_WORLD_SIZE": "2"}, None),
        (BUSY, TRAIN, {"LOCAL_WORLD_SIZE": "several"}, "1000"),
    ],
    ids=["busy", "idle", "nothing computed", "spin count set", "wait policy set", "own other process", "odd variable"],
)
def test_a_command_that_computes_limits_spinning_on_a_busy_machine_only(
    environment_after, line, words, variables, spin_count
):
    assert environment_after(COMMAND, line, *words, **variables) == [spin_count, False]


@pytest.mark.parametrize("line", [None, "", UNKNOWN], ids=["no file", "empty", "not counted"])
@pytest.mark.parametrize(("load", "spin_count"), [(1.3, "1000"), (0.4, None)])
def test_the_load_average_decides_where_running_threads_are_not_known(environment_after, line, load, spin_count):
    assert environment_after(COMMAND, line, *TRAIN, load=load) == [spin_count, False]


def test_importing_zoo_leaves_the_environment_unchanged_and_running_sets_it(environment_after):
    assert environment_after(PYTHON_API, BUSY) == [None, "1000"]


COMPUTING = 12  # several times what other tests of this machine start


@contextmanager
def busy_processes():
    processes = [multiprocessing.Process(target=compute, daemon=True) for _ in range(COMPUTING)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def compute():
    while True:
        pass


@pytest.mark.skipif(not openmp._LOAD.exists(), reason="running threads are not known")
def test_busy_processes_are_counted_while_they_run_and_not_once_they_have_ended():
    with busy_processes():
        during = openmp.running_threads()
        assert openmp.is_busy()
    afterwards = openmp.running_threads()
    assert during > COMPUTING
    assert afterwards < during - COMPUTING / 2


@pytest.mark.skipif(not openmp._LOAD.exists(), reason="running threads are not known")
def test_looking_takes_some_milliseconds():
    start = time.process_time()
    openmp.is_busy()
    assert time.process_time() - start < 0.05
