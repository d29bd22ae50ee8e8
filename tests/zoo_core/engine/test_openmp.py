"""On a busy machine threads that wait for each other leave it to others, unless their user wants otherwise."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import json, os, sys
os.getloadavg = lambda: (float(sys.argv[1]), 0.0, 0.0)
from zoo_core.cli import main
try:
    main(["list"])
except SystemExit:
    print(json.dumps([os.environ.get("GOMP_SPINCOUNT"), "torch" in sys.modules]), file=sys.stderr)
"""
IN_PYTHON = """
import json, os, sys
os.getloadavg = lambda: (float(sys.argv[1]), 0.0, 0.0)
import zoo_core as zoo
before = os.environ.get("GOMP_SPINCOUNT")
try:
    zoo.run("no-such-recipe")
except zoo.ZooError:
    print(json.dumps([before, os.environ.get("GOMP_SPINCOUNT")]), file=sys.stderr)
"""


def told(program: str, load: float, **surroundings: str) -> list:
    inherited = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    command = [sys.executable, "-c", program, str(load)]
    done = subprocess.run(command, env={**inherited, **surroundings}, capture_output=True, text=True, timeout=120)
    return json.loads(done.stderr.splitlines()[-1])


@pytest.mark.parametrize(
    ("load", "surroundings", "count"),
    [
        (1.3, {}, "1000"),
        (0.4, {}, None),
        (1.3, {"GOMP_SPINCOUNT": "7"}, "7"),
        (1.3, {"OMP_WAIT_POLICY": "ACTIVE"}, None),
    ],
    ids=["busy", "idle", "a count is given", "a policy is given"],
)
def test_the_command_says_how_threads_wait_where_others_are_at_work(load, surroundings, count):
    assert told(PROGRAM, load, **surroundings) == [count, False]


def test_importing_zoo_changes_no_environment_but_a_run_does():
    assert told(IN_PYTHON, 1.3) == [None, "1000"]
