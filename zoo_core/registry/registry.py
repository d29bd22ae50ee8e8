"""The registry: what plugins register, by kind and name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice, zip_longest
from os import PathLike
from pathlib import Path
from typing import Any, Required, TypedDict, Unpack

from zoo_core.config.types import article
from zoo_core.errors import BrokenPlugin, NameTaken, UnknownName, describe_type, did_you_mean, plain_text
from zoo_core.registry.component_name import RefusedName, why_refused
from zoo_core.registry.entry import BUILT_IN, CALLED, KINDS, Entry, Kind
from zoo_core.registry.family import MOST_NAMES, Family, Names
from zoo_core.registry.name_index import Index
from zoo_core.registry.variant import check_defaults

_LISTS = ("entries", "families", "recipe_files", "refused")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


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
    settings : mapping of str to object
        Other defaults of settings than those of the class: ``{"depth": 50}``.
    """

    summary: Required[str]
    paper: str
    license: str
    tags: Iterable[str]
    settings: Mapping[str, Any]


class Registry:
    """Registry of the components, loggers and recipes of the installed plugins.

    Components are models, trainers, datasets, optimizers and schedules.

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
        self._index = Index()
        self._prefixes: set[tuple[str, str]] = set()
        self.families: list[Family] = []
        self.refused: list[RefusedName] = []
        self.recipe_files: list[tuple[str, Path]] = []
        self.own_recipes: dict[Path, dict[str, Any]] = {}
        self._owner: str | None = None

    def model(self, name: str, target: str, **about: Unpack[About]) -> None:
        """Register a model.

        Parameters
        ----------
        name : str
            Name of the model: lower-case words joined by ``-``, ``.`` or ``_``, or several of them joined by ``/``. A
            name of another form is left out, with a warning; the other names of the plugin are registered.
        target : str
            Its class, a subclass of `Model`, as ``"package.module:Class"``. Imported when it is first used.
        **about : About
            ``summary``, which is required, ``paper``, ``license``, ``tags``, and ``settings``: defaults that differ
            from those of the class, so that one class may have several names.

        Raises
        ------
        BrokenPlugin
            If the target is malformed, or the plugin has registered the name before.

        Examples
        --------
        >>> @zoo.hookimpl
        ... def zoo_register(registry: zoo.Registry) -> None:
        ...     summary = "A residual network"
        ...     registry.model("resnet", "mine.resnet:ResNet", summary=summary)
        ...     registry.model("resnet-50", "mine.resnet:ResNet", summary=summary, settings={"depth": 50})
        """
        self._add("model", name, target, about)

    def models(self, prefix: str, names: Names, factory: str, *, library: str = "", **about: Unpack[About]) -> None:
        """Register a family of models: each of ``names`` as ``prefix/name``, built by one class.

        The names are asked for when they are first needed, and ``factory`` is imported when a member is first used.
        ``zoo list models`` shows a family in one line, ``zoo list models PREFIX/`` its members.

        Parameters
        ----------
        prefix : str
            The prefix, which is a name as `model` takes it: ``"timm"`` for ``timm/resnet18``.
        names : iterable of str, or callable
            The names of the members, or a function without arguments that returns them. It should not import a large
            library. A name that is not valid is left out, with a warning.
        factory : str
            The class of every member, a subclass of `Model`, as ``"package.module:Class"``. For each member a subclass
            is made whose attribute ``member`` is the name without the prefix, ``"resnet18"``.
        library : str, optional
            The distribution that the names come from. The names are then kept in ``$ZOO_HOME/cache/names``, and
            ``names`` is called again when another version of the library, or of the function's file, is installed.
        **about : About
            As for `model`; of every member.

        Raises
        ------
        BrokenPlugin
            If the factory is malformed, or the plugin has registered the prefix before.

        Examples
        --------
        >>> @zoo.hookimpl
        ... def zoo_register(registry: zoo.Registry) -> None:
        ...     names = ("resnet-18", "resnet-34")
        ...     registry.models("mine", names, "mine.resnet:ResNet", summary="Residual networks")
        """
        if not callable(names) and (isinstance(names, str) or not isinstance(names, Iterable)):
            raise BrokenPlugin(
                f"plugin '{self._owning_plugin()}' registers the models '{prefix}/…' with names that are a "
                f"{type(names).__name__}, but should be a sequence of names, or a function that returns one."
            )
        template = self._checked("model", prefix, factory, about)
        if template is None:
            return
        if (template.plugin, template.name) in self._prefixes:
            raise BrokenPlugin(f"plugin '{template.plugin}' registers the models '{prefix}/…' twice.")
        members = names if callable(names) else tuple(islice(names, MOST_NAMES + 1))
        self.families.append(Family(template, members, library, self.refused))
        self._prefixes.add((template.plugin, template.name))

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

    def task(self, name: str, target: str, **about: Unpack[About]) -> None:
        """Register a task of ``zoo fit``, a subclass of `Task`.

        Parameters
        ----------
        name : str
            Name of the task, for ``zoo fit --task``.
        target : str
            Its class.
        **about : About
            ``summary``, which is required and says what the folder should contain, ``paper``, ``license`` and
            ``tags``.

        Examples
        --------
        >>> @zoo.hookimpl
        ... def zoo_register(registry: zoo.Registry) -> None:
        ...     registry.task("denoise", "zoo_denoise.task:Denoise", summary="Folders noisy/ and clean/")
        """
        self._add("task", name, target, about)

    def logger(self, name: str, target: str, **about: Unpack[About]) -> None:
        """Register a logger, which a run has if ``run.loggers`` names it.

        Parameters
        ----------
        name : str
            Name of the logger.
        target : str
            Its class, which is called without arguments once for each run. Its methods are life-cycle hooks, such as
            `zoo_logged`, marked with `hookimpl`. It may raise `ZooError` if it cannot be used, for example because a
            package is not installed.
        **about : About
            ``summary``, which is required, ``paper``, ``license`` and ``tags``.

        Examples
        --------
        >>> @zoo.hookimpl
        ... def zoo_register(registry: zoo.Registry) -> None:
        ...     registry.logger("csv", "zoo_csv.logger:CSVFile", summary="Writes metrics.csv")
        """
        self._add("logger", name, target, about)

    def optimizer(self, name: str, target: str, **about: Unpack[About]) -> None:
        """Register an optimizer, for the setting `OptimizerConfig.optimizer`, as `model` registers a model.

        Parameters
        ----------
        name : str
            Name of the optimizer.
        target : str
            Its class, or a function that returns one: ``target(params, lr=…, weight_decay=…, **options)``, as the
            optimizers of torch.optim. The options are its other parameters, with their annotations as types. If it has
            no ``weight_decay``, that setting has to be 0. If it has a parameter ``module``, it gets the module.
        **about : About
            ``summary``, which is required, ``paper``, ``license`` and ``tags``.
        """
        self._add("optimizer", name, target, about)

    def schedule(self, name: str, target: str, **about: Unpack[About]) -> None:
        """Register a learning rate schedule, for the setting `OptimizerConfig.schedule`.

        Parameters
        ----------
        name : str
            Name of the schedule.
        target : str
            A function ``target(optimizer, total_steps, warmup_steps, **options)`` that returns a
            ``torch.optim.lr_scheduler.LRScheduler``. The options are its other parameters.
        **about : About
            ``summary``, which is required, ``paper``, ``license`` and ``tags``.
        """
        self._add("schedule", name, target, about)

    def recipes(self, path: str | PathLike[str]) -> None:
        """Register the recipes and the weights of a YAML file.

        The file is read when a recipe is first looked up.

        Parameters
        ----------
        path : str or os.PathLike
            The file, such as ``Path(__file__).parent / "registry.yaml"``.

        Raises
        ------
        BrokenPlugin
            If it is something else than a file, such as a pipe.
        """
        plugin, file = self._owning_plugin(), Path(str(path))
        if file.exists() and not file.is_file():  # reading a pipe or a device might never end
            raise BrokenPlugin(f"plugin '{plugin}' registers the recipes of {file}, which is not a file.")
        self.recipe_files.append((plugin, file))

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

        Raises
        ------
        BrokenPlugin
            If the module has registered the name before.

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
        if name in self.own_recipes[path]["recipes"]:
            raise BrokenPlugin(f"plugin '{self._owning_plugin()}' registers the recipe '{name}' twice.")
        self.own_recipes[path]["recipes"][name] = parts

    def find(self, kind: Kind, name: str) -> Entry:
        """Return the entry of a name.

        Parameters
        ----------
        kind : {"model", "trainer", "dataset", "task", "logger", "optimizer", "schedule"}
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
        found = [entry for entry in self.named(name) if entry.kind == kind]
        if not found:
            raise self._unknown(kind, name)
        if len(found) > 1:
            raise NameTaken(
                f"{len(found)} plugins offer {article(kind)} called '{name}'.",
                "Write " + " or ".join(f"'{entry.full_name}'" for entry in found) + ".",
            )
        return found[0]

    def named(self, name: str) -> list[Entry]:
        """Return the entries of every kind that have a name, those of families included.

        Parameters
        ----------
        name : str
            Their name, or ``plugin/name``; a component whose full name it is goes before others called so.

        Returns
        -------
        list of Entry
            The entries.
        """
        entries = self._index.named(self.entries, name)
        plugin, _, short = name.partition("/")
        own = [family for family in self.families if family.template.plugin == plugin]
        members = [family.find(short) for family in own if short.startswith(family.prefix)]
        if not any(members):
            members = [family.find(name) for family in self.families if name.startswith(family.prefix)]
        taken = {(entry.kind, entry.full_name) for entry in entries}
        return entries + [one for one in members if one and (one.kind, one.full_name) not in taken]

    def of_kind(self, kind: Kind) -> list[Entry]:
        """Return all entries of a kind, in the order of their registration; those of families come last.

        Parameters
        ----------
        kind : {"model", "trainer", "dataset", "task", "logger", "optimizer", "schedule"}
            Kind of the components.

        Returns
        -------
        list of Entry
            The entries.
        """
        single = [entry for entry in self.entries if entry.kind == kind]
        names = {entry.full_name for entry in single}
        members = (entry for family in self.families if family.template.kind == kind for entry in family.entries())
        return single + [entry for entry in members if entry.full_name not in names]

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

        Raises
        ------
        BrokenPlugin
            If names that other plugins have registered are removed in the context.
        """
        before = [(name, one := vars(self)[name], list(one)) for name in _LISTS]
        recipes = {path: dict(file["recipes"]) for path, file in self.own_recipes.items()}
        owner, self._owner = self._owner, plugin
        try:
            yield
            # Without built-in functions, which the plugin may have replaced; they are restored later.
            removed = [name for name, _, kept in before if not _continues(self.__dict__[name], kept)]
            for path, known in recipes.items():
                removed += known.keys() - self.own_recipes.get(path, {"recipes": {}})["recipes"].keys()
            if removed:
                raise BrokenPlugin("it removes names that other plugins have registered.")
        except BaseException:
            for name, one, kept in before:
                one[:] = kept
                self.__dict__[name] = one
            self._prefixes = {(family.template.plugin, family.template.name) for family in self.families}
            self.own_recipes = {path: {"recipes": names} for path, names in recipes.items()}
            raise
        finally:
            self._owner = owner

    def _owning_plugin(self) -> str:
        if self._owner is None:
            raise RuntimeError("names can only be registered inside the hook zoo_register")
        return self._owner

    def why_unknown(self, name: str, kinds: Sequence[Kind] = KINDS) -> UnknownName | None:
        """Return the error for a name that is that of a family, or that was refused.

        Parameters
        ----------
        name : str
            The name.
        kinds : iterable of str
            Kinds of components that it may be the name of.

        Returns
        -------
        UnknownName or None
            The error; None for any other name.
        """
        for family in self.families:
            if name.rstrip("/") in (family.template.name, family.template.full_name) and "model" in kinds:
                return UnknownName(
                    f"'{name}' is not a model, but a family of {len(family):,}.",
                    f"`zoo list models {family.prefix}` shows them.",
                )
        for refused in self.refused:
            if refused.name == name and refused.kind in kinds:
                return UnknownName(
                    f"no {refused.kind} is called '{name}': the plugin '{refused.plugin}' registers it, but "
                    f"{refused.why}.",
                    f"Ask the author of the plugin '{refused.plugin}' to rename it.",
                )
        return None

    def _unknown(self, kind: Kind, name: str) -> UnknownName:
        known = [entry.name for entry in self.of_kind(kind)]
        prefixes = [family.prefix for family in self.families if name.startswith(family.prefix)] * (kind == "model")
        if prefixes:
            known = [one for one in known if one.startswith(prefixes[0])]
        shown = f"`zoo list {kind}s {prefixes[0]}`" if prefixes else f"`zoo list {kind}s`"
        hint = did_you_mean(name, known, f"{shown} shows all {len(known):,}.")
        return self.why_unknown(name, [kind]) or UnknownName(f"no {kind} is called '{name}'.", hint)

    def _add(self, kind: Kind, name: str, target: str, about: Mapping[str, Any]) -> None:
        entry = self._checked(kind, name, target, about)
        if entry is None:
            return
        if any(one.kind == kind for one in self._index.with_full_name(self.entries, entry.full_name)):
            raise BrokenPlugin(f"plugin '{entry.plugin}' registers the {kind} '{name}' twice.")
        self.entries.append(entry)

    def _checked(self, kind: Kind, name: str, target: str, about: Mapping[str, Any]) -> Entry | None:
        """The entry with these arguments, or None if only the name is refused."""
        plugin = self._owning_plugin()
        name, target = _plain(name), _plain(target)
        known = About.__annotations__
        if unknown := next((key for key in about if key not in known), None):
            raise BrokenPlugin(
                f"plugin '{plugin}' registers {article(kind)} with {unknown}=…, which registry.{kind} does not know.",
                did_you_mean(unknown, known, f"It knows {', '.join(known)}."),
            )
        if "summary" not in about:
            raise BrokenPlugin(
                f"plugin '{plugin}' registers the {kind} {name!r} without a summary.", "Add summary='…', one line."
            )
        summary, paper, license = (_plain(about.get(key, "")) for key in ("summary", "paper", "license"))
        tags, settings = about.get("tags", ()), about.get("settings", {})
        words = [_plain(tag) for tag in ([tags] if isinstance(tags, str) else tags)]
        for what, text in (
            ("a target", target),
            ("a summary", summary),
            ("a paper", paper),
            ("a license", license),
            *(("a tag", t) for t in words),
        ):
            if not isinstance(text, str):
                raise BrokenPlugin(
                    f"plugin '{plugin}' registers {article(kind)} with {what} that is {describe_type(text)}, "
                    "but should be text, such as 'package.module:Class' for a target."
                )
        if not _TARGET.fullmatch(target):
            raise BrokenPlugin(
                f"plugin '{plugin}' registers the {kind} '{name}' with the target {target!r}, "
                "which should have the form 'package.module:Class'."
            )
        built_in = kind in CALLED and self._index.with_full_name(self.entries, f"{BUILT_IN}/{name}")
        if any(entry.kind == kind for entry in built_in or ()):
            # It would make the name ambiguous in the recipes of all other plugins.
            raise BrokenPlugin(
                f"plugin '{plugin}' registers the {kind} '{name}', which zoo itself offers.", "Give it another name."
            )
        check_defaults(settings, f"plugin '{plugin}' registers the {kind} '{name}'")
        if why := why_refused(name):
            self.refused.append(RefusedName(plugin, kind, str(name), why))
            return None
        return Entry(
            kind, name, plugin, target, " ".join(summary.split()), paper, license, tuple(words), dict(settings)
        )


def _continues(now: Any, before: list[Any]) -> bool:
    """Whether a list is what it was before, with further elements or none."""
    if now.__class__ is not before.__class__:
        return False
    return not [one for one, other in zip_longest(before, now) if one is not None and one is not other]


def _plain(value: Any) -> Any:
    """Text without the methods of a subclass of ``str``, which may raise anything; other values as they are."""
    return plain_text(value) if issubclass(type(value), str) else value
