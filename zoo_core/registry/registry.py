"""The names of models, trainers and datasets, each with the plugin that registered it and the path of its class."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args

from zoo_core.errors import BrokenPlugin, NameTaken, UnknownName, did_you_mean

Kind = Literal["model", "trainer", "dataset"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Entry:
    """One registered class. ``target`` is ``"package.module:Class"``, imported only when it is used."""

    kind: Kind
    name: str
    plugin: str
    target: str
    summary: str
    paper: str
    license: str
    tags: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        return f"{self.plugin}/{self.name}"

    def load(self) -> type[Any]:
        """Import the class.

        Raises:
            BrokenPlugin: if the module can't be imported, or the class is not there.
        """
        module, _, attribute = self.target.partition(":")
        try:
            with redirect_stdout(sys.stderr):  # a module that prints must not corrupt a command's JSON
                loaded = getattr(import_module(module), attribute)
        except BrokenPlugin:
            raise
        except Exception as error:  # a plugin's code may raise anything
            kind = "" if isinstance(error, (ImportError, AttributeError)) else f"{type(error).__name__}: "
            raise BrokenPlugin(
                f"{self.kind} '{self.full_name}' could not be imported from '{self.target}': {kind}{error}",
                f"Reinstall or update the plugin '{self.plugin}'; `zoo plugins` shows its version.",
            ) from error
        base = getattr(import_module(f"zoo_core.{self.kind}"), self.kind.capitalize())
        if not (isinstance(loaded, type) and issubclass(loaded, base)):
            raise BrokenPlugin(
                f"{self.kind} '{self.full_name}': '{self.target}' is {loaded!r}, but should be a zoo.{base.__name__}.",
                f"Ask the author of the plugin '{self.plugin}' to register a subclass of it.",
            )
        if not is_dataclass(getattr(loaded, "Config", None)):
            raise BrokenPlugin(
                f"{self.kind} '{self.full_name}': '{self.target}' has no Config.",
                "Add `@dataclass(frozen=True, kw_only=True) class Config:` to the class; it may be empty.",
            )
        return loaded


class Registry:
    """What the plugins handed over. A plugin sees it in ``zoo_register`` and calls the methods below."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.recipe_files: list[tuple[str, Path]] = []
        self.own_recipes: dict[Path, dict[str, Any]] = {}
        self._owner: str | None = None

    def model(
        self, name: str, target: str, *, summary: str, paper: str = "", license: str = "", tags: Iterable[str] = ()
    ) -> None:
        """Offer a :class:`zoo_core.Model` under ``name``; ``target`` is ``"package.module:Class"``.

        ``tags`` are words to find it by: ``zoo list models --tag gan``.
        """
        self._add("model", name, target, summary, paper, license, tags)

    def trainer(
        self, name: str, target: str, *, summary: str, paper: str = "", license: str = "", tags: Iterable[str] = ()
    ) -> None:
        """Offer a :class:`zoo_core.Trainer` under ``name``."""
        self._add("trainer", name, target, summary, paper, license, tags)

    def dataset(
        self, name: str, target: str, *, summary: str, paper: str = "", license: str = "", tags: Iterable[str] = ()
    ) -> None:
        """Offer a :class:`zoo_core.Dataset` under ``name``."""
        self._add("dataset", name, target, summary, paper, license, tags)

    def recipes(self, path: Any) -> None:
        """Offer the recipes and weights of a YAML file. It is read when a recipe is asked for, not now."""
        self.recipe_files.append((self._owning_plugin(), Path(str(path))))

    def recipe(self, name: str, file: str, **parts: Any) -> None:
        """Offer one recipe without a file of its own: ``registry.recipe("mine", __file__, model={…}, run={…})``.

        ``parts`` are those of a recipe in YAML; ``file`` is the Python file that says them, for errors.
        """
        path = Path(file)
        if path not in self.own_recipes:
            self.own_recipes[path] = {"recipes": {}}
            self.recipe_files.append((self._owning_plugin(), path))
        self.own_recipes[path]["recipes"][name] = parts

    def find(self, kind: Kind, name: str) -> Entry:
        """The entry called ``name``, or ``plugin/name``.

        Raises:
            UnknownName: if nothing of this kind has the name.
            NameTaken: if several plugins offer it and ``name`` does not say whose is meant.
        """
        found = [entry for entry in self.of_kind(kind) if name in (entry.name, entry.full_name)]
        if not found:
            known = [entry.name for entry in self.of_kind(kind)]
            raise UnknownName(
                f"no {kind} is called '{name}'.",
                did_you_mean(name, known, f"`zoo list {kind}s` shows all {len(known)}."),
            )
        if len(found) > 1:
            raise NameTaken(
                f"{len(found)} plugins offer a {kind} called '{name}'.",
                "Write " + " or ".join(f"'{entry.full_name}'" for entry in found) + ".",
            )
        return found[0]

    def of_kind(self, kind: Kind) -> list[Entry]:
        """Every entry of a kind, in the order of registration."""
        return [entry for entry in self.entries if entry.kind == kind]

    @contextmanager
    def owned_by(self, plugin: str) -> Iterator[None]:
        """Every name handed over inside belongs to ``plugin``; none of them stays if it raises."""
        entries, files, owner = list(self.entries), list(self.recipe_files), self._owner
        own = dict(self.own_recipes)
        self._owner = plugin
        try:
            yield
        except BaseException:
            self.entries[:], self.recipe_files[:], self.own_recipes = entries, files, own
            raise
        finally:
            self._owner = owner

    def _owning_plugin(self) -> str:
        if self._owner is None:
            raise RuntimeError("names can only be registered inside the hook zoo_register")
        return self._owner

    def _add(
        self, kind: Kind, name: str, target: str, summary: str, paper: str, license: str, tags: Iterable[str]
    ) -> None:
        plugin = self._owning_plugin()
        words = [tags] if isinstance(tags, str) else list(tags)
        for what, text in (
            ("a name", name),
            ("a target", target),
            ("a summary", summary),
            *(("a tag", t) for t in words),
        ):
            if not isinstance(text, str):
                raise BrokenPlugin(
                    f"plugin '{plugin}' registers a {kind} with {what} that is a {type(text).__name__}, "
                    "but should be text, such as 'package.module:Class' for a target."
                )
        if not _NAME.fullmatch(name):
            raise BrokenPlugin(
                f"plugin '{plugin}' registers a {kind} called {name!r}, "
                "but a name should be lower-case words joined by '-', '.' or '_'."
            )
        if not _TARGET.fullmatch(target):
            raise BrokenPlugin(
                f"plugin '{plugin}' registers the {kind} '{name}' with the target {target!r}, "
                "which should have the form 'package.module:Class'."
            )
        if any(entry.name == name and entry.plugin == plugin for entry in self.of_kind(kind)):
            raise BrokenPlugin(f"plugin '{plugin}' registers the {kind} '{name}' twice.")
        self.entries.append(Entry(kind, name, plugin, target, " ".join(summary.split()), paper, license, tuple(words)))
