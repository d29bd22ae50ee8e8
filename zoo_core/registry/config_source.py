"""Reads a component's ``Config`` from its source code, since importing the class takes seconds because of torch.

No code of the module is executed. This works for nearly every ``Config``: a frozen dataclass of annotated fields with
literals or module constants as defaults, help texts and bounds. For any other, the class is imported.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import make_dataclass
from functools import cache, reduce
from importlib.util import find_spec, resolve_name
from operator import or_
from pathlib import Path
from typing import Any, Literal

from zoo_core import _HOME
from zoo_core.config.config_class import NoSettings
from zoo_core.config.optimizer import OptimizerConfig
from zoo_core.config.settings import setting
from zoo_core.registry.entry import Entry
from zoo_core.registry.variant import with_defaults

_WITHOUT_SETTINGS = {
    *("zoo_core.Model", "zoo_core.model.Model"),
    *("zoo_core.Trainer", "zoo_core.trainer.Trainer"),
    *("zoo_core.Dataset", "zoo_core.dataset.Dataset"),
}
_MUTABLE = (list, dict, set)
_BASES = ("zoo_core.OptimizerConfig", "zoo_core.config.optimizer.OptimizerConfig")
_TYPES: dict[str, Any] = {kind.__name__: kind for kind in (bool, int, float, str, list, tuple, dict)}


def config_class(entry: Entry) -> type[Any] | None:
    """The ``Config`` of the class that ``entry`` registers, or None if it has none.

    It may be an equivalent dataclass with the same fields, types, defaults, help texts and bounds.

    Raises:
        BrokenPlugin: if the class has to be imported, and importing it fails.
    """
    module, _, name = entry.target.partition(":")
    if module not in sys.modules:
        with suppress(_Unsupported, RecursionError):
            read = _source(module).config(name)
            return with_defaults(read, entry.settings, f"{entry.kind} '{entry.full_name}'")
    found: type[Any] | None = getattr(entry.load(), "Config", None)
    return found


class _Unsupported(Exception):
    """The source contains something that this module does not support; the class is imported instead."""


class _Source:
    """One module, parsed."""

    def __init__(self, package: str, tree: ast.Module) -> None:
        self.times_bound = Counter(_bound_names(tree))
        self.statements = {name: statement for statement in tree.body for name in _bound_names(statement)}
        self.imports = dict(_imports(tree, package))
        self.times_read = Counter(_read_names(tree))
        _require("*" not in self.times_bound)  # it may rebind any name
        _require(not any(_assigns_config(node) for node in ast.walk(tree)))

    def config(self, owner: str) -> type[Any]:
        """``owner.Config``, defined in the class itself or inherited from its base class."""
        outer = self._only(owner)
        if not isinstance(outer, ast.ClassDef):
            source, name = self._elsewhere(ast.Name(owner))
            return source.config(name)
        _require(outer.name == owner and not outer.decorator_list and not outer.keywords)
        match [statement for statement in outer.body if "Config" in _bound_names(statement)]:
            case [ast.ClassDef(name="Config") as config]:
                return self._dataclass(config, owner)
            case [] if len(outer.bases) == 1:
                return self._config_of(outer.bases[0])
        raise _Unsupported

    def constant(self, name: str) -> Any:
        match self._only(name):
            case (
                ast.Assign(targets=[ast.Name()], value=value)
                | ast.AnnAssign(target=ast.Name(), value=ast.expr() as value)
            ):
                return self._value(value)
        source, name = self._elsewhere(ast.Name(name))
        return source.constant(name)

    def _dataclass(self, config: ast.ClassDef, owner: str) -> type[Any]:
        decorators = [ast.unparse(decorator) for decorator in config.decorator_list]
        _require(not config.keywords)
        if decorators:  # without one, the base class applies it
            _require(decorators == ["dataclass(frozen=True, kw_only=True)"])
            _require(self._full_name(ast.Name("dataclass")) == "dataclasses.dataclass")
        bases = list(map(self._base, config.bases))
        fields = [self._field(statement) for statement in config.body if not _is_text(statement)]
        try:
            made = make_dataclass("Config", fields, bases=tuple(bases), frozen=True, kw_only=True)
        except (TypeError, ValueError) as error:
            raise _Unsupported from error
        made.__qualname__ = f"{owner}.Config"
        return made

    def _base(self, base: ast.expr) -> type[Any]:
        """A base class of a ``Config``: that of another component, or zoo's own."""
        if isinstance(base, ast.Attribute) and base.attr == "Config":
            return self._config_of(base.value)
        _require(isinstance(base, (ast.Name, ast.Attribute)) and self._full_name(base) in _BASES)
        return OptimizerConfig

    def _config_of(self, owner: ast.expr) -> type[Any]:
        """The ``Config`` of ``owner``, a class of this module or of another one."""
        if isinstance(owner, ast.Name) and owner.id not in self.imports:
            return self.config(owner.id)
        full_name = self._full_name(owner)
        if full_name in _WITHOUT_SETTINGS:
            return NoSettings
        source, name = self._elsewhere(owner)
        return source.config(name)

    def _field(self, statement: ast.stmt) -> tuple[str, Any, Any]:
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            raise _Unsupported
        _require(statement.target.id != "name")  # importing the class raises the right error
        call = statement.value
        if not (isinstance(call, ast.Call) and all(keyword.arg for keyword in call.keywords)):
            raise _Unsupported
        _require(self._full_name(call.func) in ("zoo_core.setting", "zoo_core.config.settings.setting"))
        named = {str(keyword.arg): self._value(keyword.value) for keyword in call.keywords}
        try:
            field = setting(*map(self._value, call.args), **named)
        except TypeError as error:
            raise _Unsupported from error
        return statement.target.id, self._type(statement.annotation), field

    def _type(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant) and node.value is None:
            return None
        if isinstance(node, ast.Name) and node.id in _TYPES and not self.times_bound[node.id]:
            return _TYPES[node.id]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return reduce(or_, map(self._type, (node.left, node.right)))
        if not isinstance(node, ast.Subscript):
            raise _Unsupported
        arguments = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if isinstance(node.value, ast.Name) and node.value.id in _TYPES:
            return self._type(node.value)[tuple(... if _is_ellipsis(one) else self._type(one) for one in arguments)]
        _require(self._full_name(node.value) == "typing.Literal")
        return Literal[tuple(map(self._value, arguments))]

    def _value(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Name):
            value = self.constant(node.id)
            # Other code that reads a mutable value may have changed it.
            _require(not isinstance(value, _MUTABLE) or (self.times_read[node.id] == 1 and node.id in self.statements))
            return value
        if isinstance(node, ast.Attribute):
            source, name = self._elsewhere(node)
            value = source.constant(name)
            _require(not isinstance(value, _MUTABLE))
            return value
        try:
            return ast.literal_eval(node)
        except (ValueError, TypeError) as error:
            raise _Unsupported from error

    def _full_name(self, node: ast.expr) -> str:
        """``"package.module.name"`` of an imported name."""
        head, _, rest = ast.unparse(node).partition(".")
        _require(head in self.imports and self.times_bound[head] == 1)
        return self.imports[head] + ("." + rest if rest else "")

    def _elsewhere(self, node: ast.expr) -> tuple[_Source, str]:
        """The module that defines an imported name, and the name there."""
        module, _, name = self._full_name(node).rpartition(".")
        _require(bool(module))
        if module == "zoo_core":
            _require(name in _HOME)
            module = f"zoo_core.{_HOME[name]}"
        return _source(module), name

    def _only(self, name: str) -> ast.stmt:
        """The only statement of the module that binds ``name``."""
        _require(self.times_bound[name] == 1 and name in self.statements)
        return self.statements[name]


@cache
def _source(module: str) -> _Source:
    try:
        spec = find_spec(module)
        if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
            raise _Unsupported
        return _Source(str(spec.parent), ast.parse(Path(spec.origin).read_bytes()))
    except (
        ImportError,
        AttributeError,
        SyntaxError,
        ValueError,
        OSError,
    ) as error:  # importing it raises the right error
        raise _Unsupported from error


def _bound_names(node: ast.AST) -> Iterator[str]:
    """The names that ``node`` and the nodes in it bind, in any scope."""
    for inner in ast.walk(node):
        if isinstance(inner, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield inner.name
        elif isinstance(inner, (ast.Import, ast.ImportFrom)):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in inner.names)
        elif isinstance(inner, ast.Name) and not isinstance(inner.ctx, ast.Load):
            yield inner.id


def _read_names(tree: ast.Module) -> Iterator[str]:
    """The names that a module reads, once for every time."""
    return (node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))


def _assigns_config(node: ast.AST) -> bool:
    """Whether ``node`` assigns the attribute ``Config`` of a class from outside."""
    return isinstance(node, ast.Attribute) and node.attr == "Config" and not isinstance(node.ctx, ast.Load)


def _imports(tree: ast.Module, package: str) -> Iterator[tuple[str, str]]:
    """Each imported name, with its ``"package.module.name"``."""
    for statement in tree.body:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                package_name = alias.name.partition(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (package_name, package_name)
        elif isinstance(statement, ast.ImportFrom):
            module = resolve_name("." * statement.level + (statement.module or ""), package)
            yield from ((alias.asname or alias.name, f"{module}.{alias.name}") for alias in statement.names)


def _is_text(statement: ast.stmt) -> bool:
    """Whether a statement is the docstring of the class or of a field."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is Ellipsis


def _require(supported: bool) -> None:
    if not supported:
        raise _Unsupported
