"""No pickle is read or written: no source file calls such a function, and a complete run unpickles nothing."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from repository import HELPERS, ROOT

FOLDERS = ("zoo_core", "zoo_plugins", "examples", "benchmarks", "scripts")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
THE_ONE_READER = ROOT / "zoo_core" / "tools" / "unpickle.py"
THE_ONE_WRITER = ROOT / "benchmarks" / "saving_large.py"  # times torch.save for comparison; nothing reads its file

MODULES = {  # they read or write pickles or code
    "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "jsonpickle", "marshal", "pickle", "pickletools", "shelve",
    "torch.hub", "torch.package",
}  # fmt: skip
CALLS = {
    "torch.load", "torch.save", "torch.jit.load", "torch.jit.save", "torch.export.load", "yaml.load", "yaml.load_all",
    "yaml.full_load", "yaml.full_load_all", "yaml.unsafe_load", "yaml.unsafe_load_all", "pandas.read_pickle",
}  # fmt: skip
METHODS = {  # of any object
    "load_state": "accelerate's, which unpickles",
    "save_state": "accelerate's, which pickles",
    "read_pickle": "pandas'",
    "to_pickle": "pandas'",
    "load_state_dict_from_url": "torch.hub's, which unpickles",
    "unsafe_load": "yaml's",
}


def findings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The line and the name of everything in a file that could read or write a pickle."""
    names = imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if banned_module(alias.name):
                    yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if banned_module(node.module or "") or banned_module(whole) or whole in CALLS or alias.name in METHODS:
                    yield node.lineno, whole
        elif isinstance(node, ast.Attribute):
            whole = full_name(node, names)
            if whole in CALLS or banned_module(whole) or node.attr in METHODS:
                yield node.lineno, whole
        elif isinstance(node, ast.Call):
            yield from arguments(node, full_name(node.func, names))


def arguments(call: ast.Call, name: str) -> Iterator[tuple[int, str]]:
    for keyword in call.keywords:
        if keyword.arg == "allow_pickle" and not is_constant(keyword.value, False):
            yield call.lineno, f"{name}(allow_pickle=…)"
        if keyword.arg == "weights_only" and not is_constant(keyword.value, True):
            yield call.lineno, f"{name}(weights_only=…)"
    if name == "numpy.load" and len(call.args) > 2:  # the third is allow_pickle
        yield call.lineno, name
    texts = [argument.value for argument in call.args[:1] if isinstance(argument, ast.Constant)]
    if name in ("__import__", "importlib.import_module") and any(banned_module(str(text)) for text in texts):
        yield call.lineno, f"{name}({texts[0]!r})"


def imported(tree: ast.AST) -> dict[str, str]:
    """The full name of each imported name, as of ``import numpy as np`` and ``from torch import hub``."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update({alias.asname: alias.name for alias in node.names if alias.asname})
        elif isinstance(node, ast.ImportFrom):
            names.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    return names


def full_name(node: ast.AST, names: dict[str, str]) -> str:
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    return f"{full_name(node.value, names)}.{node.attr}" if isinstance(node, ast.Attribute) else "?"


def banned_module(name: str) -> bool:
    return any(name == banned or name.startswith(f"{banned}.") for banned in MODULES)


def is_constant(node: ast.AST, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def test_every_folder_is_searched() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == set(FOLDERS)
    assert THE_ONE_READER in FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_reads_or_writes_a_pickle(path: Path) -> None:
    found = list(findings(ast.parse(path.read_text(encoding="utf-8"))))
    if path == THE_ONE_READER:
        assert [name for _, name in found] == ["torch.load"]
    elif path == THE_ONE_WRITER:
        assert [name for _, name in found] == ["torch.save"]
    else:
        assert [f"{path}:{line}: {name}" for line, name in found] == []


def test_the_one_reader_reads_only_tensors() -> None:
    tree = ast.parse(THE_ONE_READER.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    (call,) = [node for node in calls if full_name(node.func, {}) == "torch.load"]
    (only,) = [keyword.value for keyword in call.keywords if keyword.arg == "weights_only"]
    assert is_constant(only, True)


def test_nothing_imports_the_one_reader() -> None:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
            modules += [f"{node.module}.{one}" for one in modules] if isinstance(node, ast.ImportFrom) else []
            assert "zoo_core.tools.unpickle" not in modules, path


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "import pickle as p",
        "from pickle import loads",
        "import dill, json",
        "import cloudpickle",
        "from joblib import load",
        "import shelve",
        "import marshal",
        "import torch\ntorch.load('a.pt')",
        "import torch\ntorch.load('a.pt', weights_only=True)",
        "import torch as t\nt.save({}, 'a.pt')",
        "from torch import load",
        "from torch import load as fetch",
        "import torch\nread = torch.load",
        "import torch\ntorch.hub.load('a', 'b')",
        "from torch import hub",
        "from torch.hub import load_state_dict_from_url",
        "import torch\ntorch.hub.load_state_dict_from_url('a')",
        "from torchvision.models._api import load_state_dict_from_url",
        "import torch\ntorch.jit.load('a')",
        "import numpy as np\nnp.load('a.npy', allow_pickle=True)",
        "import numpy as np\nnp.load('a.npy', allow_pickle=flag)",
        "import numpy as np\nnp.load('a.npy', None, True)",
        "import numpy as np\nnp.save('a.npy', a, allow_pickle=True)",
        "import yaml\nyaml.load(text, yaml.Loader)",
        "import yaml\nyaml.unsafe_load(text)",
        "from yaml import load",
        "accelerator.load_state('a')",
        "self.accelerator.save_state('a')",
        "import pandas as pd\npd.read_pickle('a')",
        "frame.to_pickle('a')",
        "__import__('pickle')",
        "import importlib\nimportlib.import_module('pickle')",
    ],
)
def test_the_search_reports(line: str) -> None:
    assert list(findings(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    [
        "import numpy as np\nnp.load('a.npy')",
        "import numpy as np\nnp.load('a.npy', allow_pickle=False)",
        "model.load_state_dict(tensors)",
        "import yaml\nyaml.compose(text, Loader=yaml.SafeLoader)",
        "import yaml\nyaml.safe_load(text)",
        "from zoo_core.weights.load import load",
        "import zoo_core as zoo\nzoo.load('a')",
        "import json\njson.load(file)",
        "'pickle'",
    ],
)
def test_the_search_does_not_report(line: str) -> None:
    assert list(findings(ast.parse(line))) == []


WATCHED = """
import sys

seen = []


def watch(event, arguments):
    if event == "pickle.find_class":
        raise AssertionError(f"a pickle loads {arguments[0]}.{arguments[1]}")
    if event == "import" and arguments[0] == "zoo_core.tools.unpickle":
        raise AssertionError("the reader of pickles is imported")
    seen.append(event)


sys.addaudithook(watch)
"""
COMPLETE_RUN = (
    WATCHED
    + """
import warnings
from pathlib import Path

warnings.simplefilter("error")
import tiny
from zoo_core.tools.evaluate import evaluate
from zoo_core.weights.header import read_header
from zoo_core.tools.publish import publish
from zoo_core.weights.load import load

tiny.train(Path("run"), "run.steps=12", "run.workers=0", callbacks=(tiny.Watcher(stop_at=7),))
run = tiny.resume(Path("run"))
assert run.step == 12
model, _ = load(Path("run"), tiny.catalog())
assert model(tiny.torch.zeros(2, 3)).isfinite().all()
assert evaluate(Path("run"), tiny.catalog(), [], 0).match
done = publish(Path("run"), "MIT", Path("line.safetensors"), tiny.catalog(), dtype="float16")
load(done.weights, tiny.catalog(), dtype="bfloat16")
print(read_header(done.weights).metadata["license"], "open" in seen, "import" in seen)
"""
)


def watched(program: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> subprocess.CompletedProcess[str]:
    monkeypatch.setenv("PYTHONPATH", str(HELPERS), prepend=os.pathsep)
    return subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=300)


def test_a_run_from_training_to_publication_unpickles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = watched(COMPLETE_RUN, tmp_path, monkeypatch)
    assert (done.returncode, done.stdout) == (0, "MIT True True\n"), done.stderr


@pytest.mark.parametrize(
    "statement", ["import pickle; pickle.loads(pickle.dumps(watch))", "import zoo_core.tools.unpickle"]
)
def test_the_audit_hook_detects_pickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str) -> None:
    done = watched(f"{WATCHED}\n{statement}\n", tmp_path, monkeypatch)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(("AssertionError: a pickle loads", "AssertionError: the reader"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pillow_is_told_which_formats_to_open(path: Path) -> None:
    """Some of its formats start other programs."""
    if path.is_relative_to(ROOT / "zoo_core") or path.is_relative_to(ROOT / "zoo_plugins"):
        calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        opened = [call for call in calls if ast.unparse(call.func) == "Image.open"]
        assert [call.lineno for call in opened if "formats" not in {keyword.arg for keyword in call.keywords}] == []
