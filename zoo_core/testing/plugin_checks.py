"""The checks of a plugin as a whole."""

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
from zoo_core.registry.entry import Entry
from zoo_core.registry.family import Family
from zoo_core.registry.resolve import resolve
from zoo_core.testing.check import Skip, Subject, check, require

_MAX_MILLISECONDS = 50.0
_LOAD = """
import json, sys
from zoo_core.registry.catalog import Catalog
infos = Catalog().plugins.infos
found = [(info.milliseconds, info.state, info.why) for info in infos if info.name == sys.argv[1]]
print(json.dumps([found, "torch" in sys.modules]))
"""
_PICKLE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


@check(
    "plugin",
    "Registration is fast, so that `zoo list` and shell completion are, with any number of plugins.",
    "Register targets as text, 'package.module:Class', and import nothing heavy in the module of the entry point.",
)
def registration_is_fast(subject: Subject) -> None:
    """In a new process without other plugins; the fastest of three, since the first may have to compile bytecode."""
    installed = [info for info in subject.catalog.plugins.infos if info.name == subject.name]
    if not installed or installed[0].distribution == "your file":
        raise Skip("it is not an installed distribution, so a new process can't load it")
    times = []
    for _ in range(3):
        command = [sys.executable, "-c", _LOAD, subject.name]
        environment = {**os.environ, "ZOO_PLUGINS": subject.name}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)  # noqa: S603  # this Python
        require(done.returncode == 0, f"zoo does not start: {done.stderr.strip()[-300:]}")
        found, torch_imported = json.loads(done.stdout.splitlines()[-1])
        require(not torch_imported, "torch is imported during registration")
        milliseconds, state, why = found[0]
        require(state == "loaded", f"it does not load: {why}")
        times.append(milliseconds)
    limit = f"{_MAX_MILLISECONDS:.0f} ms"
    require(min(times) < _MAX_MILLISECONDS, f"registration takes {min(times):.0f} ms, but should take under {limit}")


@check(
    "plugin",
    "Every component has a license, and every model and trainer a reference to its paper.",
    "Pass license='Apache-2.0' (an SPDX identifier) and, for a model or trainer, paper='Author year' to the registry.",
)
def license_and_paper_are_stated(subject: Subject) -> None:
    for entry in _entries(subject):
        require(bool(entry.license), f"the {entry.kind} '{entry.name}' has no license")
        has_paper = bool(entry.paper) or entry.kind in ("dataset", "task", "schedule", "logger")
        require(has_paper, f"the {entry.kind} '{entry.name}' has no paper")


@check(
    "plugin",
    "Every name can be used, and the names of families of models are available.",
    "Write names in lower case, joined by '-', '.', '_' or '/', and return them without importing a large library.",
)
def every_name_can_be_used(subject: Subject) -> None:
    for family in _families(subject):
        problem = family.problem
        require(problem is None, problem.message if problem else "")
    for refused in subject.catalog.registry.refused:
        if refused.plugin == subject.name:
            require(False, f"the {refused.kind} {refused.name!r} is left out: {refused.why}")


@check(
    "plugin",
    "Every recipe is valid: its components are registered, and its settings exist.",
    "Run `zoo run RECIPE --print-config` and fix the errors that it reports.",
)
def recipes_resolve(subject: Subject) -> None:
    names = [name for owner, name in subject.catalog.recipes.names() if owner == subject.name]
    if not names:
        raise Skip("it has no recipes")
    for name in names:
        recipe = subject.catalog.recipe(f"{subject.name}/{name}")
        try:
            recipe.run_settings()
            resolve(recipe, subject.catalog).load()
        except ZooError as error:
            if "???" not in str(recipe.values):  # a placeholder that the user must replace
                require(False, f"the recipe '{name}': {error.message}")


@check(
    "plugin",
    "The plugin reads no pickles, since loading a pickle can execute arbitrary code.",
    "Store tensors as safetensors and other values as JSON; for numpy, use allow_pickle=False.",
)
def nothing_is_unpickled(subject: Subject) -> None:
    for path in _sources(subject):
        for line, use in _uses_of_pickle(path):
            require(False, f"{path.name}, line {line}: {use}")


def _entries(subject: Subject) -> list[Entry]:
    """What the plugin registers, a family once."""
    single = [entry for entry in subject.catalog.registry.entries if entry.plugin == subject.name]
    return single + [family.template for family in _families(subject)]


def _families(subject: Subject) -> list[Family]:
    return [family for family in subject.catalog.registry.families if family.template.plugin == subject.name]


def _sources(subject: Subject) -> Iterator[Path]:
    modules = {entry.target.partition(":")[0] for entry in _entries(subject)}
    folders = set()
    for module in sorted(modules):
        spec = find_spec(module)
        if spec is not None and spec.origin:
            folders.add(Path(spec.origin).parent if "." in module else Path(spec.origin))
    for path in sorted(folders):
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def _uses_of_pickle(path: Path) -> Iterator[tuple[int, str]]:
    """The line and a description of each import of a pickle module and each call that may unpickle."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found = [name.name for name in node.names if name.name.partition(".")[0] in _PICKLE_MODULES]
            yield from ((node.lineno, f"imports {name}") for name in found)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in _PICKLE_MODULES:
            yield node.lineno, f"imports {node.module}"
        elif isinstance(node, ast.Call):
            function = ast.unparse(node.func)
            allowed = any(
                one.arg == "allow_pickle" and not (isinstance(one.value, ast.Constant) and one.value.value is False)
                for one in node.keywords
            )
            if function in ("torch.load", "torch.save") or function.endswith("load_state_dict_from_url") or allowed:
                yield node.lineno, f"calls {function}{' with allow_pickle' if allowed else ''}"
