"""What is promised of a plugin as a whole."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from zoo_core.errors import ZooError
from zoo_core.registry.resolve import resolve
from zoo_core.testing.check import Skip, Subject, check, require

_MILLISECONDS = 50.0
_LOADING = """
import json, sys
from zoo_core.registry.catalog import Catalog
infos = Catalog().plugins.infos
told = [(info.milliseconds, info.state, info.why) for info in infos if info.name == sys.argv[1]]
print(json.dumps([told, "torch" in sys.modules]))
"""
_PICKLING = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


@check(
    "plugin",
    "`zoo list` and shell completion start in a blink, however many plugins there are.",
    "Register targets as text, 'package.module:Class', and import nothing heavy in the module of the entry point.",
)
def registration_is_light(subject: Subject) -> None:
    """In a process of its own, without the other plugins; the fastest of three, since the first may have to compile."""
    installed = [info for info in subject.catalog.plugins.infos if info.name == subject.name]
    if not installed or installed[0].distribution == "your file":
        raise Skip("it is no installed distribution, of which a new process would know")
    took = []
    for _ in range(3):
        command = [sys.executable, "-c", _LOADING, subject.name]
        alone = {**os.environ, "ZOO_PLUGINS": subject.name}
        done = subprocess.run(command, capture_output=True, text=True, env=alone)  # noqa: S603  # this Python
        require(done.returncode == 0, f"zoo could not be started: {done.stderr.strip()[-300:]}")
        told, torch_imported = json.loads(done.stdout.splitlines()[-1])
        require(not torch_imported, "torch is imported as plugins are registered")
        milliseconds, state, why = told[0]
        require(state == "loaded", f"it does not load: {why}")
        took.append(milliseconds)
    require(
        min(took) < _MILLISECONDS, f"it took {min(took):.0f} ms to register, but should take under {_MILLISECONDS:.0f}"
    )


@check(
    "plugin",
    "Who uses a model knows under which conditions, and where it is described.",
    "Give license='Apache-2.0' (an SPDX identifier), and for a model or trainer paper='Author year', to the registry.",
)
def licence_and_source_are_stated(subject: Subject) -> None:
    for entry in subject.catalog.registry.entries:
        if entry.plugin == subject.name:
            require(bool(entry.license), f"the {entry.kind} '{entry.name}' states no license")
            require(bool(entry.paper) or entry.kind == "dataset", f"the {entry.kind} '{entry.name}' states no source")


@check(
    "plugin",
    "A recipe that is listed can be run: its names are registered, its settings fit.",
    "Run `zoo run RECIPE --print-config` and mend what it says.",
)
def recipes_resolve(subject: Subject) -> None:
    names = [name for owner, name in subject.catalog.recipes.names() if owner == subject.name]
    if not names:
        raise Skip("it brings no recipes")
    for name in names:
        recipe = subject.catalog.recipe(f"{subject.name}/{name}")
        try:
            recipe.run_settings()
            resolve(recipe, subject.catalog)
        except ZooError as error:
            if "???" not in str(recipe.values):  # a value that only its user knows
                require(False, f"the recipe '{name}': {error.message}")


@check(
    "plugin",
    "Nobody's weights or data run code: a pickle does, as it is read.",
    "Keep tensors in safetensors and the rest in JSON; for numpy, allow_pickle=False.",
)
def nothing_is_unpickled(subject: Subject) -> None:
    for path in _sources(subject):
        for line, what in _pickles(path):
            require(False, f"{path.name}, line {line}: {what}")


def _sources(subject: Subject) -> Iterator[Path]:
    modules = {
        entry.target.partition(":")[0] for entry in subject.catalog.registry.entries if entry.plugin == subject.name
    }
    folders = set()
    for module in sorted(modules):
        spec = find_spec(module)
        if spec is not None and spec.origin:
            folders.add(Path(spec.origin).parent if "." in module else Path(spec.origin))
    for place in sorted(folders):
        yield from sorted(place.rglob("*.py")) if place.is_dir() else [place]


def _pickles(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found = [name.name for name in node.names if name.name.partition(".")[0] in _PICKLING]
            yield from ((node.lineno, f"imports {name}") for name in found)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in _PICKLING:
            yield node.lineno, f"imports {node.module}"
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            allowing = any(
                word.arg == "allow_pickle" and not (isinstance(word.value, ast.Constant) and word.value.value is False)
                for word in node.keywords
            )
            if called in ("torch.load", "torch.save") or called.endswith("load_state_dict_from_url") or allowing:
                yield node.lineno, f"calls {called}{' with allow_pickle' if allowing else ''}"
