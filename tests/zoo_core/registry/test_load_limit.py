"""The time limit of plugins counts their own time: no import of torch, and no waiting for a core."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from distributions import good, install
from repository import ROOT

PROGRAM = """
import json, os, sys
{before}
from zoo_core.registry.plugins import Plugins
from zoo_core.registry.registry import Registry
plugins = Plugins(Registry())
plugins.load_installed()
(info,) = [one for one in plugins.infos if one.name == "bandit"]
{after}
print(json.dumps([info.state, info.why, info.effects]))
"""


def loaded(site: Path, source: str, seconds: float, before: str = "", after: str = "") -> list[str]:
    """State, reason and effects of a plugin called bandit, loaded in a process of its own."""
    install(site, "bandit", source)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]),
        "ZOO_PLUGIN_TIMEOUT": str(seconds),
        "ZOO_PLUGINS": "bandit",
    }
    words = [sys.executable, "-c", PROGRAM.format(before=before, after=after)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


COMPUTES = "import time\nstart = time.thread_time()\nwhile time.thread_time() - start < {}: pass\n"


@pytest.mark.skipif(sys.platform != "linux", reason="it is Linux that tells how long a thread waits for a core")
def test_waiting_for_a_core_does_not_count(site: Path) -> None:
    core = min(os.sched_getaffinity(0))
    spin = f"import os; os.sched_setaffinity(0, [{core}])\nwhile True: pass"
    source = (
        "import os, time\ncores = os.sched_getaffinity(0)\n"
        f"os.sched_setaffinity(0, [{core}])\nclock = time.monotonic()\n{COMPUTES.format(0.4)}"
        "took = time.monotonic() - clock\nos.sched_setaffinity(0, cores)\n"
    )
    others = [subprocess.Popen([sys.executable, "-c", spin]) for _ in range(3)]
    try:
        after = "import bandit; assert bandit.took > 0.7, bandit.took"
        assert loaded(site, source, 0.7, after=after) == ["loaded", "", ""]
    finally:
        for one in others:
            one.kill()
            one.wait()


@pytest.mark.parametrize(
    "source", [COMPUTES.format(1000), "import time\ntime.sleep(1000)", "input() or open(0).read()"]
)
def test_computing_and_waiting_for_anything_else_count(site: Path, source: str) -> None:
    # Standard input is a pipe that nobody writes to.
    never = "import subprocess as s; p = s.Popen(['sleep', '900'], stdout=s.PIPE); os.dup2(p.stdout.fileno(), 0)"
    state, why, _ = loaded(site, source, 0.5, before=never, after="p.kill()")
    assert (state, why) == ("broken", "it took longer than 0.5 s to load.")


@pytest.mark.parametrize(
    "statement", ["import torch", "import torch.nn", "__import__('importlib').import_module('torch')"]
)
def test_the_import_of_torch_does_not_count_and_what_a_plugin_then_changes_in_it_is_undone(
    site: Path, statement: str
) -> None:
    after = (
        "import torch; assert torch.zeros(1).dtype == torch.float32\n"
        "for one in (torch.__loader__, torch.__spec__.loader, torch.nn.__loader__, *sys.meta_path):\n"
        "    assert 'zoo_core' not in str(type(one)), one\n"
    )
    source = f"{statement}\nimport torch\ntorch.set_default_dtype(torch.float64)\n"
    state, why, effects = loaded(site, source, 0.3, before="import numpy, sympy, typing_extensions", after=after)
    assert (state, why) == ("loaded", "imports torch at registration")
    assert effects == "changed torch's default dtype, which was undone"


def test_what_a_plugin_computes_after_the_import_of_torch_counts(site: Path) -> None:
    state, why, _ = loaded(site, f"import torch\n{COMPUTES.format(1000)}", 1)
    assert (state, why) == ("broken", "it took longer than 1 s to load.")


@pytest.mark.parametrize("limit", ["0", "-3", "no number"])
def test_no_limit_and_one_that_is_no_number_do_not_stop_a_quick_plugin(
    site: Path, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_PLUGIN_TIMEOUT", limit)
    from zoo_core.registry.catalog import Catalog

    install(site, "bandit", good("counter"))
    assert Catalog().find("model", "counter").plugin == "bandit"


def test_a_plugin_that_ends_just_when_its_time_is_over_does_not_end_the_process(site: Path) -> None:
    before = """
import time
from zoo_core.registry.isolation import isolated
from zoo_core.errors import BrokenPlugin
os.environ["ZOO_PLUGIN_TIMEOUT"] = "0.005"
for number in range(300):
    try:
        with isolated("bandit"):
            time.sleep(0.005 + number % 7 / 10_000)
    except BrokenPlugin:
        pass
os.environ["ZOO_PLUGIN_TIMEOUT"] = "30"
"""
    assert loaded(site, good("counter"), 30, before) == ["loaded", "", ""]
