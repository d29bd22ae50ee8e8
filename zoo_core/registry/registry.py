"""The names of models, trainers and datasets, each with the plugin that registered it and the path of its class."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, is_dataclass
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Required, TypedDict, Unpack, get_args

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
        if missing := sorted(getattr(loaded, "__abstractmethods__", ())):
            raise BrokenPlugin(
                f"{self.kind} '{self.full_name}': '{self.target}' does not define {' and '.join(missing)}.",
                f"Define {'it' if len(missing) == 1 else 'them'}: every {self.kind} needs it.",
            )
        if not is_dataclass(getattr(loaded, "Config", None)):
            raise BrokenPlugin(
                f"{self.kind} '{self.full_name}': '{self.target}' has no Config.",
                "Define it in the class, as `class Config:`, and do not replace it later.",
            )
        return loaded


class About(TypedDict, total=False):
    """What a plugin says of a component that it registers.

    Attributes
    ----------
    summary : str
        One line for ``zoo list``. Required.
    paper : str
        Publication, such as ``"Mao et al. 2017"``, or its address.
    license : str
        License of the code, or of the data of a dataset, as an SPDX identifier.
    tags : iterable of str
        Words to find it by: ``zoo list models --tag gan``.
    """

    summary: Required[str]
    paper: str
    license: str
    tags: Iterable[str]


class Registry:
    """Registry of the models, trainers, datasets and recipes of the installed plugins.

    The hook `zoo_register` receives it. The methods that register something work only within that hook.

    Examples
    --------
    >>> @zoo.hookimpl
    ... def zoo_register(registry: zoo.Registry) -> None:
    ...     registry.model("autoencoder", "zoo_autoencoder.model:Autoencoder", summary="A small autoencoder")
    ...     registry.recipes(Path(__file__).parent / "registry.yaml")
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.recipe_files: list[tuple[str, Path]] = []
        self.own_recipes: dict[Path, dict[str, Any]] = {}
        self._owner: str | None = None

    def model(self, name: str, target: str, **about: Unpack[About]) -> None:
        """Register a model.

        Parameters
        ----------
        name : str
            Name of the model: lower-case words joined by ``-``, ``.`` or ``_``.
        target : str
            Its class, a subclass of `Model`, as ``"package.module:Class"``. Imported when it is first used.
        **about : About
            ``summary``, which is required, ``paper``, ``license`` and ``tags``.

        Raises
        ------
        BrokenPlugin
            If the name or the target is malformed, or the plugin has registered the name before.
        """
        self._add("model", name, target, about)

    def trainer(self, name: str, target: str, **about: Unpack[About]) -> None:
        """Register a trainer, a subclass of `Trainer`, as `model` registers a model.

        Parameters
        ----------
        name : str
            Name of the trainer.
        target : str
            Its class.
        **about : About
            ``summary``, which is required, ``paper``, ``license`` and ``tags``.
        """
        self._add("trainer", name, target, about)

    def dataset(self, name: str, target: str, **about: Unpack[About]) -> None:
        """Register a dataset, a subclass of `Dataset`, as `model` registers a model.

        Parameters
        ----------
        name : str
            Name of the dataset.
        target : str
            Its class.
        **about : About
            ``summary``, which is required, ``paper``, ``license`` (of the data) and ``tags``.
        """
        self._add("dataset", name, target, about)

    def recipes(self, path: str | PathLike[str]) -> None:
        """Register the recipes and the weights of a YAML file.

        The file is read when a recipe is first looked up.

        Parameters
        ----------
        path : str or os.PathLike
            The file, such as ``Path(__file__).parent / "registry.yaml"``.
        """
        self.recipe_files.append((self._owning_plugin(), Path(str(path))))

    def recipe(self, name: str, file: str, **parts: Any) -> None:
        """Register one recipe that is written in Python.

        Parameters
        ----------
        name : str
            Name of the recipe.
        file : str
            ``__file__`` of the module that defines the recipe, for error messages.
        **parts : object
            The parts of the recipe, as in YAML: ``model``, ``dataset``, ``trainer``, ``run``, ``summary``, ``extends``.

        Examples
        --------
        >>> @zoo.hookimpl
        ... def zoo_register(registry: zoo.Registry) -> None:
        ...     parts = {"model": {"name": "mine"}, "dataset": {"name": "mnist"}, "trainer": {"name": "classifier"}}
        ...     registry.recipe("mine-mnist", "plugin.py", **parts, run={"epochs": 1})
        """
        path = Path(file)
        if path not in self.own_recipes:
            self.own_recipes[path] = {"recipes": {}}
            self.recipe_files.append((self._owning_plugin(), path))
        self.own_recipes[path]["recipes"][name] = parts

    def find(self, kind: Kind, name: str) -> Entry:
        """Return the entry of a name.

        Parameters
        ----------
        kind : {"model", "trainer", "dataset"}
            Kind of the component.
        name : str
            Its name, or ``plugin/name``.

        Returns
        -------
        Entry
            The entry.

        Raises
        ------
        UnknownName
            If no component of this kind has the name.
        NameTaken
            If several plugins register it; then ``plugin/name`` is required.
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
        """Return all entries of a kind, in the order of their registration.

        Parameters
        ----------
        kind : {"model", "trainer", "dataset"}
            Kind of the components.

        Returns
        -------
        list of Entry
            The entries.
        """
        return [entry for entry in self.entries if entry.kind == kind]

    @contextmanager
    def owned_by(self, plugin: str) -> Iterator[None]:
        """Attribute everything registered in the context to a plugin; register nothing of it if an error is raised.

        Parameters
        ----------
        plugin : str
            Name of the plugin.

        Yields
        ------
        None
            Nothing.
        """
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
        self,
        kind: Kind,
        name: str,
        target: str,
        about: Mapping[str, Any],
    ) -> None:
        plugin = self._owning_plugin()
        known = About.__annotations__
        if unknown := next((key for key in about if key not in known), None):
            raise BrokenPlugin(
                f"plugin '{plugin}' registers a {kind} with {unknown}=…, which registry.{kind} does not know.",
                did_you_mean(unknown, known, f"It knows {', '.join(known)}."),
            )
        if "summary" not in about:
            raise BrokenPlugin(
                f"plugin '{plugin}' registers the {kind} {name!r} without a summary.", "Add summary='…', one line."
            )
        summary, paper, license = about["summary"], about.get("paper", ""), about.get("license", "")
        tags = about.get("tags", ())
        words = [tags] if isinstance(tags, str) else list(tags)
        for what, text in (
            ("a name", name),
            ("a target", target),
            ("a summary", summary),
            ("a paper", paper),
            ("a license", license),
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
