"""The public API: its lists agree, plugins use nothing else, and all of it is documented."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT

import zoo_core as zoo
from zoo_core import errors, hookspecs

SURFACE = ast.parse(Path(zoo.__file__).read_text())
PLUGIN_FILES = sorted(path for folder in ("zoo_plugins", "examples") for path in (ROOT / folder).rglob("*.py"))


def type_checking_imports() -> dict[str, str]:
    """Name -> module of each ``from zoo_core.module import name as name`` for the type checker."""
    (block,) = [node for node in SURFACE.body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    assert len(imports) == len(block.body)
    for node in imports:
        for alias in node.names:
            assert alias.asname == alias.name, f"{alias.name} is not exported again"
    return {alias.name: str(node.module).removeprefix("zoo_core.") for node in imports for alias in node.names}


def imports_of_zoo(tree: ast.AST) -> list[ast.Import | ast.ImportFrom]:
    return [
        node
        for node in ast.walk(tree)
        if (isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "zoo_core" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "zoo_core")
    ]


def headings(path: Path, level: int) -> set[str]:
    return set(re.findall(rf"^{'#' * level} `(\w+)`", path.read_text(encoding="utf-8"), flags=re.MULTILINE))


# zoo_core.testing is public, too: the tests of plugins import the conformance checks from it.
PUBLIC_IMPORTS = ("import zoo_core as zoo", "from zoo_core.testing import conformance")


def test_public_names_their_modules_and_the_imports_for_type_checkers_agree() -> None:
    assert zoo.__all__ == sorted(zoo.__all__)
    assert set(zoo._HOME) == set(zoo.__all__)
    assert type_checking_imports() == zoo._HOME
    assert set(dir(zoo)) == {*zoo.__all__, "__api_version__", "__version__"}


@pytest.mark.parametrize("name", zoo.__all__)
def test_every_public_name_comes_from_the_module_that_defines_it(name: str) -> None:
    thing = getattr(zoo, name)
    assert thing is getattr(importlib.import_module(f"zoo_core.{zoo._HOME[name]}"), name)
    if inspect.isclass(thing) or inspect.isfunction(thing):
        assert thing.__module__ == f"zoo_core.{zoo._HOME[name]}"
        assert (thing.__doc__ or "").strip(), f"zoo.{name} has no docstring"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'zoo_core' has no attribute 'trian'"):
        _ = zoo.trian


@pytest.mark.parametrize("path", PLUGIN_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_plugin_uses_only_public_names(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in imports_of_zoo(tree):
        assert ast.unparse(node) in PUBLIC_IMPORTS, f"{path}:{node.lineno}"
    used = {
        node.attr: node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "zoo"
    }
    unknown = {name: line for name, line in used.items() if name not in zoo.__all__}
    assert unknown == {}


def test_bundled_plugins_and_their_shared_modules_do_not_import_plugins() -> None:
    folder = ROOT / "zoo_plugins"
    plugins = {path.parent.name for path in folder.glob("*/plugin.py")}
    assert plugins >= {"datasets", "clsgan", "classifier", "unet"}
    for path in folder.glob("**/*.py"):
        own = path.relative_to(folder).parts[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            others = {name.split(".")[1] for name in modules if name.startswith("zoo_plugins.")} & plugins - {own}
            assert not others, f"{path}:{node.lineno}"


def test_every_error_is_documented_and_no_other() -> None:
    known = {
        name
        for name, thing in vars(errors).items()
        if inspect.isclass(thing) and issubclass(thing, zoo.ZooError) and thing.__module__ == errors.__name__
    }
    assert headings(ROOT / "docs" / "errors.md", 2) == known


@pytest.mark.parametrize(
    ("name", "builtin", "code"),
    [
        ("UnknownName", LookupError, 2),
        ("NameTaken", zoo.ZooError, 2),
        ("BadSetting", ValueError, 2),
        ("BrokenPlugin", ImportError, 2),
        ("BadFile", OSError, 2),
        ("RunFailed", RuntimeError, 1),
    ],
)
def test_an_error_is_a_zoo_error_and_a_built_in_error(name: str, builtin: type[Exception], code: int) -> None:
    error = getattr(zoo, name)("what happened.", "What to type.")
    assert isinstance(error, zoo.ZooError)
    assert isinstance(error, builtin)
    assert error.exit_code == code
    assert str(error) == "what happened.\n  What to type."
    assert str(getattr(zoo, name)("what happened.")) == "what happened."


def test_the_public_names_for_listing_and_catching_errors_import_no_torch() -> None:
    names = [name for name, module in zoo._HOME.items() if module.split(".")[0] in ("config", "errors", "registry")]
    assert {"BadFile", "Info", "Recipe", "Registry", "setting"} <= set(names)
    program = f"import sys, zoo_core as zoo; [getattr(zoo, name) for name in {names}]; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def hooks() -> dict[str, list[str]]:
    """Every hook with the names of its arguments, as ``hookspecs.py`` declares them."""
    found = {name: thing for name, thing in vars(hookspecs).items() if name.startswith("zoo_")}
    return {name: list(inspect.signature(thing).parameters) for name, thing in found.items()}


def test_the_reference_lists_hooks_in_the_order_of_their_declaration() -> None:
    text = (ROOT / "docs" / "plugins" / "reference.md").read_text(encoding="utf-8")
    assert re.findall(r"^### `(zoo_\w+)`", text, flags=re.MULTILINE) == list(hooks())


@pytest.mark.parametrize("hook", hooks())
def test_the_reference_documents_the_arguments_of_each_hook_and_when_it_is_called(hook: str) -> None:
    text = (ROOT / "docs" / "plugins" / "reference.md").read_text(encoding="utf-8")
    (declared,) = re.findall(rf"^def {hook}\((.*)\) -> ", text, flags=re.MULTILINE)
    assert re.findall(r"(\w+): ", declared) == hooks()[hook]
    assert (getattr(hookspecs, hook).__doc__ or "").strip().split("\n")[0].replace("``", "`") in text
