"""More than twenty kinds of broken distributions in one environment: each is named, and none harms the others."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from warm_python import PYTHON
from wheels import make_wheel, pip_install

REGISTER = """
    import zoo_core as zoo

    @zoo.hookimpl
    def zoo_register(registry):
        {}
"""


def registering(line: str) -> str:
    return REGISTER.format(line)


MODEL = 'registry.model({!r}, {!r}, summary="A counter")'
# What each plugin is, and a part of why `zoo plugins` says that it did not load.
BROKEN = {
    "raises": ("raise RuntimeError('no such machine')", "RuntimeError: no such machine"),
    "syntax": ("def broken(:", "SyntaxError"),
    "indented": ("def f():\nreturn 1", "IndentationError"),
    "exits": ("import sys\nsys.exit(3)", "SystemExit: 3"),
    "leaves": ("import os\nos._exit(0)", "os._exit(0) was called"),
    "needs": ("import no_such_package_at_all", "No module named 'no_such_package_at_all'"),
    "newer": ("from zoo_core import a_name_of_the_future", "cannot import name 'a_name_of_the_future'"),
    "encoded": ("# -*- coding: no-such-encoding -*-", "SyntaxError"),
    "deep": ("def f(): f()\nf()", "RecursionError"),
    "future": ("zoo_api_version = 99", "it needs version 99 of the plugin API, but this zoo has version 1"),
    "wordy": ("zoo_api_version = 'two'", "zoo_api_version is 'two', but should be a number"),
    "register": (registering("raise KeyError('gone')"), "KeyError: 'gone'"),
    "half": (
        registering(MODEL.format("half", "collections:Counter") + "; raise OSError('disk')"),
        "OSError: disk",
    ),
    "quits": (registering("import sys; sys.exit('bye')"), "SystemExit: bye"),
    "classy": (
        registering("import collections; registry.model('classy', collections.Counter, summary='A counter')"),
        "a target that is a type",
    ),
    "summary": (
        registering("registry.model('s', 'collections:Counter', summary=None)"),
        "a summary that is None",
    ),
    "path": (registering(MODEL.format("path", "os.path")), "should have the form 'package.module:Class'"),
    "twice": (
        registering("[" + ", ".join([MODEL.format("twin", "collections:Counter")] * 2) + "]"),
        "registers the model 'twin' twice",
    ),
    "hookless": ("import zoo_core as zoo\n@zoo.hookimpl\ndef zoo_regsiter(registry): pass", "zoo_regsiter"),
    "signed": ("import zoo_core as zoo\n@zoo.hookimpl\ndef zoo_run_started(walk): pass", "walk"),
    "hangs": ("import time\ntime.sleep(1000)", "took longer than 2 s to load"),
    "stubborn": (
        "import time\nwhile True:\n    try:\n        time.sleep(1000)\n    except Exception: pass",
        "took longer than 2 s to load",
    ),
}
HINTS = {
    "same": "Uninstall one of the two",
    "future": "Update zoo: pip install --upgrade zoo-core",
    "hangs": "Allow more time: ZOO_PLUGIN_TIMEOUT=60",
    "stubborn": "Allow more time: ZOO_PLUGIN_TIMEOUT=60",
}
LOADED = {
    "typed": registering("registry.model(7, 'collections:Counter', summary='A counter')"),
    "spaced": registering(MODEL.format("two words", "collections:Counter")),
    "climber": registering(
        MODEL.format("../up", "collections:Counter") + "; " + MODEL.format("up", "collections:Counter")
    ),
    "good": registering(MODEL.format("good-counter", "collections:Counter")),
    "noisy": "import os, sys\nprint('noise')\nos.write(1, b'raw noise\\n')\n" + "\n",
    "unresolved": registering(MODEL.format("nowhere", "no_such_module:Thing")),
    "claimer": registering(MODEL.format("clsgan", "collections:Counter")),
    "lifecycle": "import zoo_core as zoo\n@zoo.hookimpl\ndef zoo_step_finished(run): raise ValueError('in the way')",
    "commander": "import zoo_core as zoo\n@zoo.hookimpl\ndef zoo_commands(cli): raise ValueError('no command')",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with all of them, and two distributions whose plugins have one name."""
    made = tmp_path_factory.mktemp("wheels")
    sources = {**{name: source for name, (source, _) in BROKEN.items()}, **LOADED}
    wheels = [make_wheel(made, f"p_{name}", source, name=name) for name, source in sources.items()]
    for one in ("first", "second"):
        source = registering(MODEL.format(f"{one}-counter", "collections:Counter"))
        wheels.append(make_wheel(made, f"p_{one}", source, name="same"))
    wheels.append(make_wheel(made, "p_missing", "", name="missing", target="no_such_module_of_a_plugin"))
    folder = tmp_path_factory.mktemp("site")
    pip_install(wheels, folder)
    return folder


def zoo(
    site: Path, *words: str, without: str = "hangs,stubborn", **environment: str
) -> subprocess.CompletedProcess[str]:
    surroundings = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "ZOO_PLUGIN_TIMEOUT": "2",
        "ZOO_DISABLE_PLUGINS": without,  # two seconds of waiting for each
        "ZOO_HOME": str(site.parent / "home"),
        **environment,
    }
    command = [PYTHON, "-m", "zoo_core", *words]
    return subprocess.run(command, capture_output=True, text=True, env=surroundings, cwd=site.parent, timeout=120)


@pytest.fixture(scope="module")
def told(site: Path) -> dict[str, list[dict[str, str]]]:
    """What `zoo plugins --json` says, by plugin: nothing that any of them printed is in between."""
    done = zoo(site, "plugins", "--json", without="")
    assert done.returncode == 0, done.stderr
    rows: dict[str, list[dict[str, str]]] = {}
    for row in json.loads(done.stdout):
        rows.setdefault(row["name"], []).append(row)
    return rows


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_named_with_its_distribution_and_the_reason(told, name):
    (row,) = told[name]
    assert row["state"] == "broken"
    assert row["distribution"] == f"zoo-p-{name} 1.2".replace("_", "-") or row["distribution"] == f"zoo-p_{name} 1.2"
    assert BROKEN[name][1] in row["provides"]
    assert "\n" not in row["provides"]


def test_there_are_at_least_twenty_kinds():
    assert len(BROKEN) + 3 >= 20


@pytest.mark.parametrize("name", LOADED)
def test_the_others_load_beside_them(told, name):
    assert told[name][0]["state"] == "loaded"


def test_of_two_distributions_with_one_name_the_second_is_told_so(told):
    first, second = told["same"]
    assert (first["state"], second["state"]) == ("loaded", "broken")
    assert "another distribution also contains a plugin called 'same'" in second["provides"]


def test_an_entry_point_that_leads_nowhere_is_broken(told):
    assert "No module named 'no_such_module_of_a_plugin'" in told["missing"][0]["provides"]


def test_zoos_own_names_are_all_there_and_each_broken_plugin_has_one_line(site):
    done = zoo(site, "list", "models", without="")
    assert done.returncode == 0
    assert "digit-classifier" in done.stdout
    assert "good-counter" in done.stdout
    assert "half" not in done.stdout.split(), "what was registered before the failure stayed"
    assert "noise" not in done.stdout
    for name in [*BROKEN, "same", "missing"]:
        lines = [line for line in done.stderr.splitlines() if line.startswith(f"warning: the plugin '{name}' (zoo-p")]
        assert len(lines) == 1, name
        hint = HINTS.get(name, "Update it")
        assert lines[0].endswith(f". {hint}, or disable it: zoo plugins disable {name}")


def test_a_name_that_cannot_be_used_is_left_out_alone(site):
    done = zoo(site, "list", "models")
    assert "up" in done.stdout.split()
    for plugin, name in (("typed", "'7'"), ("spaced", "'two words'"), ("climber", "'../up'")):
        (line,) = [line for line in done.stderr.splitlines() if f"the plugin '{plugin}' " in line]
        assert line.startswith(f"warning: the plugin '{plugin}' registers models whose names are left out: {name}; ")


def test_asking_for_what_a_broken_plugin_would_have_brought_says_so(site):
    done = zoo(site, "info", "half")
    assert done.returncode == 2
    assert "The plugin 'half' is installed but did not load: OSError: disk" in done.stderr
    assert "pip install --upgrade zoo-p" in done.stderr


def test_a_target_that_is_not_there_is_its_plugins_fault(site):
    done = zoo(site, "info", "nowhere")
    assert done.returncode == 2
    assert "model 'unresolved/nowhere' could not be imported from 'no_such_module:Thing'" in done.stderr


def test_a_claimed_name_asks_which_is_meant(site):
    done = zoo(site, "info", "clsgan")
    assert done.returncode == 2
    assert "Write 'claimer/clsgan' or 'clsgan/clsgan'." in done.stderr


def test_the_traceback_of_a_broken_plugin_is_shown_on_request(site):
    done = zoo(site, "plugins", "show", "register")
    assert done.returncode == 0
    assert "Traceback (most recent call last)" in done.stdout
    assert "p_register.py" in done.stdout


def test_a_training_goes_on_beside_all_of_them(site):
    words = ["digit-classifier-mnist", "run.steps=2", "dataset.source=subset", "run.batch_size=8"]
    done = zoo(site, "run", *words, "--folder", str(site.parent / "run"), without="")
    assert done.returncode == 0, done.stderr
    assert "the plugin 'lifecycle' is disabled for the rest of the run" in done.stderr
    assert (site.parent / "run" / "model.safetensors").is_file()


def test_a_command_that_could_not_be_added_costs_only_itself(site):
    done = zoo(site, "--help")
    assert done.returncode == 0
    assert "the plugin 'commander' could not add its commands: ValueError: no command" in done.stderr


def test_a_plugin_that_is_left_out_is_not_imported(site):
    done = zoo(site, "plugins", "--json")
    states = {row["name"]: row for row in json.loads(done.stdout)}
    assert states["hangs"]["state"] == "disabled"
    assert "ZOO_DISABLE_PLUGINS includes it" in states["hangs"]["provides"]


def test_only_what_is_named_is_loaded(site):
    done = zoo(site, "plugins", "--json", without="", ZOO_PLUGINS="good,classifier")
    loaded = [row["name"] for row in json.loads(done.stdout) if row["state"] == "loaded"]
    assert sorted(loaded) == ["classifier", "good"]
    assert "noise" not in done.stderr
