"""The docstrings of the public interface are complete, in numpydoc form, and their examples run."""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
import torch
from numpydoc.docscrape import ClassDoc
from numpydoc.validate import ERROR_MSGS, validate
from torch.nn import functional as F

import zoo_core as zoo
from zoo_core import hookspecs, testing

NOT_CHECKED = {
    "ES01": "a function that one sentence describes needs no second paragraph",
    "SA01": "See Also is for names that a reader would not find otherwise",
    "EX01": "examples are for classes and functions that are called in more than one way",
    "GL01": "the summary starts on the line of the opening quotes, as in the rest of the code",
}
NO_CONSTRUCTOR = {
    "zoo_core.Engine": "a protocol",
    "zoo_core.Examples": "a protocol",
    "zoo_core.IncompatibleKeys": "load returns it",
    "zoo_core.Info": "info returns it",
    "zoo_core.Recipe": "recipe returns it",
    "zoo_core.Run": "run returns it, and hooks receive it",
    "zoo_core.testing.Case": "cases returns it",
    "zoo_core.testing.Outcome": "Case.run returns it",
}
"""Classes that document Attributes instead of Parameters, since only zoo creates them."""
NO_DOCSTRING = {"zoo_core.Metrics", "zoo_core.hookimpl"}
"""An alias of a type, which has no docstring at run time, and a marker that pluggy makes."""


def public_names() -> list[str]:
    hooks = [f"zoo_core.hookspecs.{name}" for name in vars(hookspecs) if name.startswith("zoo_")]
    names = [f"zoo_core.{name}" for name in zoo.__all__] + [f"zoo_core.testing.{name}" for name in testing.__all__]
    return [name for name in names if name not in NO_DOCSTRING] + hooks


def members(name: str) -> Iterator[str]:
    """The public methods and properties that a public class defines."""
    thing = find(name)
    if inspect.isclass(thing):
        kinds = (staticmethod, classmethod, property)
        for member, value in vars(thing).items():
            if not member.startswith("_") and (inspect.isfunction(value) or isinstance(value, kinds)):
                yield f"{name}.{member}"


@cache
def find(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ImportError:
        return getattr(find(module), attribute)


NAMES = public_names()
MEMBERS = [member for name in NAMES for member in members(name)]


def is_checked(code: str, name: str) -> bool:
    thing = find(name)
    inherits_constructor = inspect.isclass(thing) and "__init__" not in vars(thing)
    return code not in NOT_CHECKED and not (code == "PR01" and (name in NO_CONSTRUCTOR or inherits_constructor))


@pytest.mark.parametrize("name", [*NAMES, *MEMBERS])
def test_a_docstring_is_valid_numpydoc(name: str) -> None:
    errors = [f"{code}: {text}" for code, text in validate(name)["errors"] if is_checked(code, name)]
    assert errors == []


@pytest.mark.parametrize("name", [name for name in NAMES if dataclasses.is_dataclass(find(name))])
def test_every_field_of_a_public_dataclass_is_documented(name: str) -> None:
    thing = find(name)
    section = "Attributes" if name in NO_CONSTRUCTOR else "Parameters"
    documented = [entry.name for entry in ClassDoc(thing)[section]]
    assert documented == [field.name for field in dataclasses.fields(thing)]


@pytest.mark.parametrize("name", [name for name in [*NAMES, *MEMBERS] if inspect.isroutine(find(name))])
def test_a_function_documents_the_public_errors_that_it_raises_itself(name: str) -> None:
    source = inspect.getsource(find(name))
    raised = {error for error in re.findall(r"\braise (\w+)\(", source) if error in zoo.__all__}
    documented = {error for error in raised if re.search(rf"^ +{error}\n +\w", source, flags=re.MULTILINE)}
    assert documented == raised


@pytest.mark.parametrize("name", [name for name in [*NAMES, *MEMBERS] if ">>>" in (find(name).__doc__ or "")])
def test_the_examples_of_a_docstring_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = {"zoo": zoo, "torch": torch, "F": F, "click": click, "Path": Path, "dataclass": dataclasses.dataclass}
    names |= {"cases": testing.cases, "conformance": testing.conformance}
    (example,) = doctest.DocTestFinder(recurse=False).find(find(name), name, module=False, globs=names)
    failed, _ = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example)
    assert example.examples
    assert failed == 0


def test_the_lists_of_exceptions_name_what_exists() -> None:
    assert set(NOT_CHECKED) <= set(ERROR_MSGS)
    assert set(NO_CONSTRUCTOR) <= set(NAMES)
    assert all(find(name) is not None for name in NO_DOCSTRING)
