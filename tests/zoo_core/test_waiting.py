"""Threads that wait for each other leave the machine to others, unless their user wants otherwise."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import json, os, sys
from zoo_core.cli import _exit_code, main
try:
    main(["list"])
except SystemExit:
    print(json.dumps([os.environ.get("GOMP_SPINCOUNT"), "torch" in sys.modules]), file=sys.stderr)
"""
IN_PYTHON = """
import json, os, sys
import zoo_core as zoo
before = os.environ.get("GOMP_SPINCOUNT")
try:
    zoo.run("no-such-recipe")
except zoo.ZooError:
    print(json.dumps([before, os.environ.get("GOMP_SPINCOUNT")]), file=sys.stderr)
"""


def told(program: str, **surroundings: str) -> list:
    inherited = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env={**inherited, **surroundings}, capture_output=True, text=True, timeout=120)
    return json.loads(done.stderr.splitlines()[-1])


@pytest.mark.parametrize(
    ("surroundings", "count"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, None)],
    ids=["nothing is said", "a count is", "a policy is"],
)
def test_the_command_says_how_threads_wait_where_its_user_does_not(surroundings, count):
    assert told(PROGRAM, **surroundings) == [count, False]


def test_importing_zoo_changes_no_environment_but_a_run_does():
    assert told(IN_PYTHON) == [None, "1000"]
