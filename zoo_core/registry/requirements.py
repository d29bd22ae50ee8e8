"""Which distributions a plugin states that it requires, and the command that installs those of a missing module.

An installed plugin states them in its metadata: the dependencies of its distribution, with those of the extras that its
entry point names. A plugin that is a single file states them as a list of texts, ``zoo_requires``.
"""

from __future__ import annotations

import ast
import re
import shlex
import sys
import traceback
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from zoo_core.errors import BrokenPlugin

if TYPE_CHECKING:
    from packaging.requirements import Requirement

MARKER = "zoo_requires"


class Stated(NamedTuple):
    """A requirement of a plugin: the name of the distribution, and what to give to ``pip install``."""

    name: str
    argument: str


def install_command(missing: str, module: str, plugin: str = "", file: str | None = None) -> str | None:
    """The ``pip install …`` for the module ``missing``, which ``module`` of a plugin imports; None if it is not stated.

    The plugin is that of the name ``plugin``, and any that has its entry point in the package of ``module``. ``file``
    is that of a single-file plugin that could not be imported.
    """
    from packaging.utils import canonicalize_name

    package = _top(module)
    stated = [
        *_of_file(file or getattr(sys.modules.get(package), "__file__", None)),
        *_of_distributions(package, plugin),
    ]
    named = [one.argument for one in stated if canonicalize_name(one.name) == canonicalize_name(_top(missing))]
    # A module may have another name than the distribution that contains it: cv2 and opencv-python.
    wanted = named[:1] or list(dict.fromkeys(one.argument for one in stated if not _is_installed(one.name)))
    return f"pip install {' '.join(map(shlex.quote, wanted))}" if wanted else None


def explain(error: BaseException) -> BrokenPlugin | None:
    """The message for a missing module that the code of a plugin imports, if the plugin states what it requires."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return None
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        module = str(frame.f_globals.get("__name__", ""))
        if command := install_command(error.name, module, file=frame.f_code.co_filename):
            return BrokenPlugin(
                f"'{_top(module)}' needs the module '{error.name}', which is not installed.", f"Install it: {command}"
            )
    return None


def _of_distributions(package: str, plugin: str) -> Iterator[Stated]:
    """The requirements of the distributions whose entry points lead into ``package``, or have the name ``plugin``."""
    for point in entry_points(group="zoo"):
        if point.dist and (_top(point.value) == package or point.name == plugin):
            for requirement in _parsed(point.dist.requires or []):
                if not requirement.marker or requirement.marker.evaluate({"extra": ""}):
                    yield Stated(requirement.name, _argument(requirement))
                for extra in point.extras:
                    if requirement.marker and requirement.marker.evaluate({"extra": extra}):
                        yield Stated(requirement.name, f"{point.dist.name}[{extra}]")


def _of_file(path: str | None) -> Iterator[Stated]:
    """The requirements that a single-file plugin states, read without importing it."""
    try:
        tree = ast.parse(Path(path or "").read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for statement in tree.body:
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if any(isinstance(target, ast.Name) and target.id == MARKER for target in targets):
                for requirement in _parsed(_texts(statement.value)):
                    if not requirement.marker or requirement.marker.evaluate({"extra": ""}):
                        yield Stated(requirement.name, _argument(requirement))


def _texts(node: ast.expr) -> list[str]:
    """The texts of a literal: one, or a list or tuple of them."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError):
        return []
    listed = [value] if isinstance(value, str) else value
    return [text for text in listed if isinstance(text, str)] if isinstance(listed, (list, tuple)) else []


def _parsed(texts: list[str]) -> Iterator[Requirement]:
    from packaging.requirements import InvalidRequirement, Requirement

    for text in texts:
        try:
            yield Requirement(text)
        except InvalidRequirement:
            continue  # pip refuses it, too


def _argument(requirement: Requirement) -> str:
    return str(requirement).partition(";")[0].strip()


def _top(module: str) -> str:
    """The top-level package of a module, or of the target of an entry point."""
    found = re.match(r"\w+", module)
    return found[0] if found else ""


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except (PackageNotFoundError, ValueError):
        return False
    return True
