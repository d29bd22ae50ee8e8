"""On a busy machine OpenMP threads sleep early, unless the environment sets a policy."""

import json
import os
import subprocess
import sys

import pytest

COMMAND = """
import json, os, sys
os.getloadavg = lambda: (float(sys.argv[1]), 0.0, 0.0)
from zoo_core.cli import main
try:
    main(["list"])
except SystemExit:
    print(json.dumps([os.environ.get("GOMP_SPINCOUNT"), "torch" in sys.modules]), file=sys.stderr)
"""
PYTHON_API = """
import json, os, sys
os.getloadavg = lambda: (float(sys.argv[1]), 0.0, 0.0)
import zoo_core as zoo
before = os.environ.get("GOMP_SPINCOUNT")
try:
    zoo.run("no-such-recipe")
except zoo.ZooError:
    print(json.dumps([before, os.environ.get("GOMP_SPINCOUNT")]), file=sys.stderr)
"""


def environment_after(program: str, load: float, **variables: str) -> list:
    """What ``program`` prints at this load average."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    command = [sys.executable, "-c", program, str(load)]
    done = subprocess.run(command, env={**inherited, **variables}, capture_output=True, text=True, timeout=120)
    return json.loads(done.stderr.splitlines()[-1])


@pytest.mark.parametrize(
    ("load", "variables", "spin_count"),
    [
        (1.3, {}, "1000"),
        (0.4, {}, None),
        (1.3, {"GOMP_SPINCOUNT": "7"}, "7"),
        (1.3, {"OMP_WAIT_POLICY": "ACTIVE"}, None),
    ],
    ids=["busy", "idle", "spin count set", "wait policy set"],
)
def test_the_command_limits_spinning_on_a_busy_machine_only(load, variables, spin_count):
    assert environment_after(COMMAND, load, **variables) == [spin_count, False]


def test_importing_zoo_leaves_the_environment_unchanged_and_running_sets_it():
    assert environment_after(PYTHON_API, 1.3) == [None, "1000"]
