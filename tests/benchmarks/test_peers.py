"""The trainings with other frameworks that zoo is compared with compute the same updates."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest
from repository import HELPERS


@pytest.mark.parametrize("framework", ["accelerate", "lightning", "mmengine"])
def test_two_steps_with_a_framework_give_the_weights_of_a_plain_loop(framework: str) -> None:
    if find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed: pip install 'zoo-core[bench]'")
    command = [sys.executable, str(HELPERS / "peer_updates.py"), framework]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    differences = [float(line) for line in done.stdout.splitlines()[-2:]]
    assert max(differences) < 1e-6, dict(zip(("generator", "discriminator"), differences, strict=True))
