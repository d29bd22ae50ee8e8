"""Recipes: one model, one data set, one trainer and their settings, read from layers of YAML, later wins."""

from __future__ import annotations

import math
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from zoo_core.errors import BadFile, BadSetting, NameTaken, UnknownName, ZooError, did_you_mean, nearest
from zoo_core.settings import read, setting

PARTS = ("model", "dataset", "trainer")
_KEYS = ("summary", "extends", "run", *PARTS)
Key = tuple[str, ...]
_NAME = re.compile(r"(\w[\w.+-]*/)?\w[\w.+-]*")


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """The part ``run`` of a recipe: what the loop itself needs to know."""

    steps: int | None = setting(None, "optimisation steps; give this or epochs", least=0)
    epochs: float | None = setting(
        None, "passes over the training examples; give this or steps", least=0, below=math.inf
    )
    batch_size: int = setting(64, "examples in a step, over all processes together", least=1)
    seed: int = setting(0, "every draw of the run follows from it", least=0)
    device: str = setting("auto", "auto (an accelerator if there is one), cpu, cuda, cuda:1, mps, xpu")
    precision: Literal["float32", "bfloat16", "float16", "auto"] = setting(
        "float32", "of the forward pass; auto: bfloat16 where the device computes in it, else float32"
    )
    threads: int | None = setting(None, "CPU threads of one operation; null leaves torch's choice", least=1)
    workers: int = setting(0, "processes that load data; 0 for data kept in memory", least=0)
    log_every: int = setting(50, "steps between two lines of metrics", least=1)
    preview_every: int = setting(400, "steps between two pictures; 0 draws none", least=0)
    evaluate_every: int = setting(0, "steps between two evaluations; 0 evaluates once, at the end", least=0)
    checkpoint_every: int = setting(1000, "steps between two checkpoints; 0 saves one, at the end", least=0)
    keep_checkpoints: int = setting(2, "newest checkpoints kept on disk", least=1)


@dataclass(frozen=True)
class Source:
    """Where a value was set: a key of a YAML file, or a word of the command line."""

    file: Path | None
    key: Key = ()

    def __str__(self) -> str:
        if self.file is None:
            return "command line"
        line = _line_of(self.file, self.key)
        return _shorten(self.file) + (f":{line}" if line else "")


@dataclass(frozen=True)
class Recipe:
    """A resolved recipe. ``values`` are plain Python, by part.

    {"model": {"name": …, …}, "dataset": …, "trainer": …, "run": …}
    """

    name: str
    values: Mapping[str, Any]
    plugin: str = ""
    sources: Mapping[Key, Source] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        return str(self.values.get("summary", ""))

    def component(self, part: str) -> str:
        """The registered name of the recipe's model, dataset or trainer."""
        name = (self.values.get(part) or {}).get("name")
        if not isinstance(name, str):
            raise BadSetting(
                f"{self.where(part)}recipe '{self.name}' names no {part}.",
                f"Add `{part}: {{name: …}}`; see `zoo list {part}s`.",
            )
        return name

    def settings(self, part: str) -> dict[str, Any]:
        """The settings of a part, without its name."""
        return {key: value for key, value in (self.values.get(part) or {}).items() if key != "name"}

    def run_settings(self) -> RunSettings:
        """The part ``run``, checked."""
        settings = read(RunSettings, self.settings("run"), f"recipe '{self.name}'", "run", self.where)
        if (settings.steps is None) == (settings.epochs is None):
            raise BadSetting(
                f"recipe '{self.name}' should give either run.steps or run.epochs.", "Add `run.steps=1000`."
            )
        return settings

    def where(self, full_key: str) -> str:
        """``"registry.yaml:14: "`` for a dotted key, or "" where nothing is known of it."""
        key = tuple(full_key.split("."))
        while key and key not in self.sources:
            key = key[:-1]
        if not key or self.sources[key].file is None:
            return ""
        return f"{self.sources[key]}: "

    def with_overrides(self, overrides: Iterable[str]) -> Recipe:
        """This recipe with ``key=value`` words laid over it, the last one winning."""
        values, sources = dict(self.values), dict(self.sources)
        for word in overrides:
            values = merge(values, _parse_override(word, self), sources, Source(None))
        return Recipe(self.name, values, self.plugin, sources)

    def as_yaml(self) -> str:
        """The recipe as a file that ``zoo run --config`` reads."""
        return OmegaConf.to_yaml(OmegaConf.create({"recipe": self.name, **self.values}))


class Recipes:
    """Every recipe and every weights entry of a list of YAML files, later files laid over earlier ones."""

    def __init__(self, plugin_files: Iterable[tuple[str, Path]] = (), user_files: Iterable[Path] = ()) -> None:
        self.files = [*plugin_files, *(("", path) for path in user_files)]
        self._documents: dict[Path, dict[str, Any]] = {}

    def names(self) -> list[tuple[str, str]]:
        """(plugin, name) of every recipe, those of the user's files with an empty plugin."""
        seen: dict[tuple[str, str], None] = {}
        offered: set[str] = set()
        for plugin, path in self.files:
            for name in self._section(plugin, path, "recipes"):
                if plugin or (name not in offered and name not in (f"{p}/{n}" for p, n in seen)):
                    seen[plugin, name] = None
                offered.add(name)
        return list(seen)

    def find(self, name: str, _asking: tuple[str, ...] = ()) -> Recipe:
        """The recipe called ``name`` or ``plugin/name``, with what it extends laid under it.

        Raises:
            UnknownName: if no file has it.
            NameTaken: if several plugins have it and ``name`` does not say whose.
            BadSetting: if it is not a recipe, or extends itself.
        """
        layers = self._layers(name, _asking[-1] if _asking else None)
        extends, source = None, None
        for _, path, own in layers:
            if "extends" in own:
                extends, source = own["extends"], Source(path, ("recipes", name, "extends"))
        plugin = next((plugin for plugin, _, _ in layers if plugin), "")
        values: dict[str, Any] = {}
        sources: dict[Key, Source] = {}
        if extends is not None:
            chain = (*_asking, name)
            if extends in chain:
                raise BadSetting(
                    f"{source}: recipe '{name}' extends itself: {' → '.join([*chain, str(extends)])}.",
                    "Leave `extends` out: a recipe of the same name in a later file is laid over the earlier one.",
                )
            try:
                parent = self.find(str(extends), chain)
            except UnknownName as error:
                raise UnknownName(f"{source}: {error.problem}", error.cure) from None
            sources = {key: value for key, value in parent.sources.items() if key[0] != "summary"}
            values = {key: value for key, value in parent.values.items() if key != "summary"}
        for _, path, own in layers:
            own = {key: value for key, value in own.items() if key != "extends"}
            values = merge(values, own, sources, Source(path, ("recipes", name.rpartition("/")[2])))
        return Recipe(name.rpartition("/")[2], values, plugin, sources)

    def weights(self) -> dict[str, tuple[str, Path, Mapping[str, Any]]]:
        """Weights entries: name -> (plugin, the file that lists them, entry)."""
        found: dict[str, tuple[str, Path, Mapping[str, Any]]] = {}
        for plugin, path in self.files:
            for name, entry in self._section(plugin, path, "weights").items():
                if name in found and found[name][0] not in ("", plugin) and plugin:
                    raise NameTaken(
                        f"the plugins '{found[name][0]}' and '{plugin}' both offer weights called '{name}'."
                    )
                found[name] = (plugin, path, entry)
        return found

    def _layers(self, name: str, asked_by: str | None) -> list[tuple[str, Path, Mapping[str, Any]]]:
        owner, _, short = name.rpartition("/")
        layers = []
        for plugin, path in self.files:
            for key, own in self._section(plugin, path, "recipes").items():
                mine = key == name if not plugin else key == short and owner in ("", plugin)
                if mine or (not plugin and key == short and not owner):
                    layers.append((plugin, path, _checked(own, key, path)))
        owners = list(dict.fromkeys(plugin for plugin, _, _ in layers if plugin))
        if not layers:
            known = [known for _, known in self.names()]
            asking = f", which '{asked_by}' extends" if asked_by else ""
            raise UnknownName(
                f"no recipe is called '{name}'{asking}.",
                did_you_mean(name, known, f"`zoo list` shows all {len(known)}."),
            )
        if len(owners) > 1:
            raise NameTaken(
                f"{len(owners)} plugins offer a recipe called '{name}'.",
                "Write " + " or ".join(f"'{plugin}/{short}'" for plugin in owners) + ".",
            )
        return layers

    def _section(self, plugin: str, path: Path, section: str) -> dict[str, Any]:
        if path not in self._documents:
            try:
                self._documents[path] = _read_document(path)
            except ZooError as error:
                if not plugin:
                    raise
                self._documents[path] = {}  # a plugin's damaged file costs only its own recipes
                warnings.warn(f"the recipes of the plugin '{plugin}' are left out: {error.problem}", stacklevel=2)
        return self._documents[path].get(section) or {}


def read_config(path: Path) -> Recipe:
    """A run's ``config.yaml``, or any file of the same form, as a recipe."""
    values = read_yaml(path)
    if "recipe" in values:
        _check_name(values["recipe"], Source(path, ("recipe",)))
    name = str(values.pop("recipe", path.stem))
    _checked(values, name, path, ("recipe", *_KEYS))
    sources: dict[Key, Source] = {}
    return Recipe(name, merge({}, values, sources, Source(path)), "", sources)


def user_files(registry: Iterable[Path] = ()) -> list[Path]:
    """The user's own layers that exist: ``$ZOO_HOME/registry.yaml``, ``./registry.yaml``, then each ``--registry``."""
    from zoo_core.folder import zoo_home

    found = [path for path in (zoo_home() / "registry.yaml", Path("registry.yaml")) if path.is_file()]
    return found + [Path(path) for path in registry]


def merge(
    base: Mapping[str, Any], over: Mapping[str, Any], sources: dict[Key, Source], source: Source, at: Key = ()
) -> dict[str, Any]:
    """``over`` laid over ``base``: mappings merge, all else replaces; ``sources`` learns where each value came from.

    A part that gets another ``name`` loses the settings of the old one, and of ``steps`` and ``epochs`` the newer wins.
    """
    merged = dict(base)
    if "name" in over and "name" in base and over["name"] != base["name"] and len(at) == 1:
        merged = {}
        _forget(sources, at)
    for one, other in (("steps", "epochs"), ("epochs", "steps")):
        if at == ("run",) and over.get(one) is not None and other not in over and other in merged:
            del merged[other]
            _forget(sources, (*at, other))
    for key, value in over.items():
        place, origin = (*at, key), Source(source.file, (*source.key, key))
        if isinstance(value, Mapping):
            below = merged.get(key)
            sources[place] = origin
            merged[key] = merge(below if isinstance(below, Mapping) else {}, value, sources, origin, place)
        else:
            _forget(sources, place)
            sources[place] = origin
            merged[key] = value
    return merged


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that holds one mapping with string keys, as plain Python values.

    Raises:
        BadFile: if it is missing, unreadable, not YAML, or not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadFile(f"{path} could not be read: {reason}.") from error
    try:
        document = OmegaConf.create(text) if text.strip() else OmegaConf.create({})
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or error
        line = f":{mark.line + 1}" if mark else ""
        raise BadFile(f"{_shorten(path)}{line}: this is not YAML: {problem}.") from error
    except OmegaConfBaseException as error:
        raise BadFile(f"{_shorten(path)}: {str(error).splitlines()[0]}.") from error
    except AssertionError:  # what OmegaConf makes of a lone number
        document = None
    plain = OmegaConf.to_container(document, resolve=False) if document is not None else None
    if not isinstance(plain, dict):
        held = "a list" if isinstance(plain, list) else "a single value"
        raise BadFile(f"{_shorten(path)} holds {held}, but should hold a mapping: lines of `key: value`.")
    return {str(key): value for key, value in plain.items()}


def _read_document(path: Path) -> dict[str, Any]:
    document = read_yaml(path)
    for key, section in document.items():
        place = Source(path, (key,))
        if key not in ("recipes", "weights"):
            raise BadSetting(
                f"{place}: a registry has no section '{key}'.",
                did_you_mean(key, ["recipes", "weights"], "It has recipes and weights."),
            )
        if section is not None and not isinstance(section, Mapping):
            raise BadSetting(f"{place}: {key} is {section!r}, but should be a mapping from names to entries.")
        for name, entry in (section or {}).items():
            _check_name(name, Source(path, (key, str(name))))
            if not isinstance(entry, Mapping):
                raise BadSetting(f"{Source(path, (key, name))}: {key}.{name} is {entry!r}, but should be a mapping.")
    return document


def _check_name(name: Any, place: Source) -> None:
    """A name becomes a folder below ``runs``, and a word of the command line."""
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise BadSetting(
            f"{place}: {name!r} is no name, which has letters, digits, '-', '_' and '.'.",
            "Put a number in quotes." if not isinstance(name, str) else None,
        )


def _checked(own: Mapping[str, Any], name: str, path: Path, known: tuple[str, ...] = _KEYS) -> Mapping[str, Any]:
    base: Key = ("recipes", name) if known is _KEYS else ()
    for key, value in own.items():
        place = Source(path, (*base, str(key)))
        if key not in known:
            raise BadSetting(
                f"{place}: recipe '{name}' has no part '{key}'.",
                did_you_mean(str(key), known, f"Its parts: {', '.join(known)}."),
            )
        if key in ("run", *PARTS) and not isinstance(value, Mapping):
            raise BadSetting(f"{place}: {key} is {value!r}, but should be a mapping.", f"Write `{key}: {{name: …}}`.")
    return own


def parse_value(word: str, text: str) -> Any:
    """The value ``text`` of the ``key=value`` word that ends in it, read as YAML."""
    try:
        parsed: Any = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]), resolve=False)
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        raise BadSetting(
            f"the value of '{word}' is not YAML.", "Quote it for the shell, for example 'labels=[1, 2]'."
        ) from error
    return parsed["value"]


def _parse_override(word: str, recipe: Recipe) -> dict[str, Any]:
    """``"trainer.learning_rate=1e-4"`` as a nested mapping."""
    key, equals, text = word.partition("=")
    path = key.split(".")
    if not equals or not all(path):
        raise BadSetting(f"'{word}' should be key=value.", "Write for example `trainer.learning_rate=1e-4`.")
    if path[0] not in ("summary", "run", *PARTS) or (len(path) == 1 and path[0] != "summary"):
        known = {known[-1]: ".".join(known) for known in recipe.sources if len(known) == 2}
        known |= {name: f"run.{name}" for name in RunSettings.__dataclass_fields__}
        near = nearest(path[-1], known)
        parts = "Keys start with run., model., dataset. or trainer."
        raise BadSetting(f"'{key}' is no setting of a recipe.", f"Did you mean '{known[near]}'?" if near else parts)
    nested = parse_value(word, text)
    for part in reversed(path):
        nested = {part: nested}
    return dict(nested)


def _forget(sources: dict[Key, Source], key: Key) -> None:
    for known in [known for known in sources if known[: len(key)] == key]:
        del sources[known]


def _line_of(path: Path, key: Key) -> int | None:
    """The line of ``key`` in a YAML file; only an error or ``zoo info`` asks, so the file is parsed anew."""
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, yaml.YAMLError):
        return None
    line = None
    for part in key:
        for key_node, value_node in _pairs(node):
            if key_node.value == part:
                line, node = key_node.start_mark.line + 1, value_node
                break
        else:
            break
    return line


def _pairs(node: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(node, yaml.MappingNode):
        yield from node.value


def _shorten(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
