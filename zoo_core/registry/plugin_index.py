"""An index of known plugins, installed or not: which distribution brings a name, and the command that installs it.

An index is a JSON file of the user's choice. It comes from others, so that every text in it is checked, and none of it
is run: the commands are only shown.
"""

from __future__ import annotations

import codecs
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from zoo_core.errors import BadFile, nearest, one_line, printable
from zoo_core.files import parse_json

if TYPE_CHECKING:
    from packaging.requirements import Requirement

FORMAT = 1
_MOST_CHARACTERS = 512
_SHOWN_CHARACTERS = 60  # of a text that is refused
_SAFE = re.compile(r"[A-Za-z0-9._\-\[\],<>=!~*+]+")
"""What a name, extras and versions consist of, without the characters that mean something to a terminal."""
_NAME = re.compile(r"\w[\w.+-]*(/\w[\w.+-]*)*(/\*|@\w[\w.+-]*)?")
_HOMEPAGE = re.compile(r"https?://[!-~]+")


@dataclass(frozen=True)
class KnownPlugin:
    """A distribution in an index: what to install, and the names that it brings."""

    requirement: str
    """The name of the distribution with optional extras and versions, such as ``zoo-nerf>=1.2``."""
    summary: str
    homepage: str
    plugins: tuple[str, ...]
    """The names of its entry points."""
    provides: Mapping[str, tuple[str, ...]]
    """Names by kind, as in ``zoo list KIND``. One that ends with ``/*`` stands for all names with that prefix."""

    @property
    def distribution(self) -> str:
        return self._parsed.name

    @property
    def install(self) -> str:
        return f"pip install {shlex.quote(self.requirement)}"

    @property
    def installed(self) -> str | None:
        """The version that is installed, if one is."""
        try:
            return version(self.distribution)
        except PackageNotFoundError:
            return None

    @property
    def is_satisfied(self) -> bool:
        """Whether a version is installed that the index asks for."""
        from packaging.version import InvalidVersion

        try:
            return self.installed is not None and self._parsed.specifier.contains(self.installed, prereleases=True)
        except InvalidVersion:
            return False

    def kinds_of(self, name: str) -> list[str]:
        """What it brings under this name: ``["recipe", "model"]``; ``[]`` if nothing."""
        plugin, _, short = name.partition("/")
        wanted = [name, *([short] if short and plugin in self.plugins else [])]
        kinds = [kind for kind, names in self.provides.items() if any(_has(names, one) for one in wanted)]
        return [kind if kind == "weights" else kind.removesuffix("s") for kind in kinds] + (
            ["plugin"] if name in self.plugins else []
        )

    def texts(self) -> Iterator[str]:
        """All that is searched for a word."""
        yield from (self.distribution, self.summary, *self.plugins)
        for names in self.provides.values():
            yield from names

    @cached_property
    def _parsed(self) -> Requirement:
        from packaging.requirements import Requirement

        return Requirement(self.requirement)

    def as_json(self) -> dict[str, Any]:
        """The entry of the index, without what is empty."""
        values = {
            "requirement": self.requirement,
            "summary": self.summary,
            "homepage": self.homepage,
            "plugins": list(self.plugins),
            "provides": {kind: list(names) for kind, names in self.provides.items()},
        }
        return {key: value for key, value in values.items() if value}


@dataclass(frozen=True)
class PluginIndex:
    """The plugins of an index. ``source`` is the path or the URL, as messages show it."""

    source: str
    plugins: tuple[KnownPlugin, ...]

    def bringing(self, name: str) -> list[KnownPlugin]:
        """The plugins that bring ``name``."""
        return [plugin for plugin in self.plugins if plugin.kinds_of(name)]

    def similar(self, name: str) -> tuple[str, KnownPlugin] | None:
        """The name that is most similar to ``name``, of those that plugins bring that are not installed.

        The names of a family are not known. Of ``tim/resnet18``, the prefix is compared with those of the families.
        """
        brought = [
            (one, plugin)
            for plugin in self.plugins
            if not plugin.is_satisfied
            for one in (*plugin.plugins, *(one for names in plugin.provides.values() for one in names))
        ]
        prefix, _, member = name.rpartition("/")
        families = {one.removesuffix("/*"): plugin for one, plugin in brought if one.endswith("/*")}
        if member and (family := nearest(prefix, families)):
            return f"{family}/{member}", families[family]
        names = {one: plugin for one, plugin in brought if not one.endswith("/*")}
        found = nearest(name, names)
        return (found, names[found]) if found else None

    def starting(self, beginning: str) -> list[KnownPlugin]:
        """The plugins that bring a name with this beginning."""

        def fits(name: str) -> bool:
            return name.startswith(beginning) or (name.endswith("/*") and beginning.startswith(name[:-1]))

        return [one for one in self.plugins if any(fits(name) for names in one.provides.values() for name in names)]

    def search(self, word: str) -> list[KnownPlugin]:
        """The plugins whose texts contain every word of ``word``, or those that bring this name; all for ``""``."""
        texts = [(plugin, " ".join(plugin.texts()).lower()) for plugin in self.plugins]
        found = [plugin for plugin, text in texts if all(wanted in text for wanted in word.lower().split())]
        return found or self.bringing(word)


def parse(content: bytes, source: str) -> PluginIndex:
    """The index in a JSON text.

    Raises:
        BadFile: if it is not an index of this format, or one of its texts is not what it should be.
    """
    try:
        document = parse_json(content.removeprefix(codecs.BOM_UTF8))  # which editors of Windows write
    except UnicodeDecodeError as error:
        raise _bad(source, "is not text in UTF-8") from error
    except ValueError as error:
        raise _bad(source, f"is not JSON: {one_line(str(error))}") from error
    if not isinstance(document, dict) or type(document.get("format")) is not int:
        raise _bad(source, f'is not an index of plugins, which has the form {{"format": {FORMAT}, "plugins": […]}}')
    if document["format"] != FORMAT:
        raise BadFile(
            f"the plugin index {source} has format {document['format']}, but this zoo reads format {FORMAT}.",
            "Update zoo: pip install --upgrade zoo-core",
        )
    entries = document.get("plugins")
    if not isinstance(entries, list):
        raise _bad(source, f"has {_kind(entries)} as plugins, but should have a list")
    return PluginIndex(source, tuple(_Reader(source, f"plugins[{n}]").read(entry) for n, entry in enumerate(entries)))


@dataclass(frozen=True)
class _Reader:
    """Checks an entry. ``place`` is where it is in the index."""

    source: str
    place: str

    def read(self, entry: Any) -> KnownPlugin:
        if not isinstance(entry, dict):
            raise self._refused("", entry, "a mapping")
        provides = entry.get("provides", {})
        if not isinstance(provides, dict):
            raise self._refused(".provides", provides, 'a mapping of kinds to names, such as {"models": ["timm/*"]}')
        for kind in provides:
            if not (kind.isidentifier() and kind.isascii()):
                raise self._refused(".provides", kind, "kinds as keys, such as 'models'")
        return KnownPlugin(
            self._requirement(entry.get("requirement")),
            self._summary(entry.get("summary", "")),
            self._homepage(entry.get("homepage", "")),
            self._names("plugins", entry.get("plugins", [])),
            {kind: self._names(f"provides.{kind}", names) for kind, names in provides.items()},
        )

    def _requirement(self, value: Any) -> str:
        from packaging.requirements import InvalidRequirement, Requirement

        expected = "a distribution with versions, such as 'zoo-nerf>=1.2', without a URL, a marker or an option"
        if not isinstance(value, str) or len(value) > _MOST_CHARACTERS:
            raise self._refused(".requirement", value, expected)
        try:
            Requirement(value)
        except InvalidRequirement:
            raise self._refused(".requirement", value, expected) from None
        text = value.replace(" ", "")
        if not _SAFE.fullmatch(text):  # as of `zoo-nerf @ https://…` and `zoo-nerf; python_version > "3"`
            raise self._refused(".requirement", value, expected)
        return text

    def _summary(self, value: Any) -> str:
        if not isinstance(value, str) or printable(value) != value or len(value) > _MOST_CHARACTERS:
            expected = f"one line of at most {_MOST_CHARACTERS} characters that can be printed"
            raise self._refused(".summary", value, expected)
        return value

    def _homepage(self, value: Any) -> str:
        if not isinstance(value, str) or len(value) > _MOST_CHARACTERS or (value and not _HOMEPAGE.fullmatch(value)):
            raise self._refused(".homepage", value, "an address, such as https://example.org/zoo-nerf")
        return value

    def _names(self, key: str, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise self._refused(f".{key}", value, "a list of names")
        for name in value:
            if not isinstance(name, str) or len(name) > _MOST_CHARACTERS or not _NAME.fullmatch(name):
                raise self._refused(f".{key}", name, "a name such as 'zip-nerf', or 'nerf/*' for all with that prefix")
        return tuple(value)

    def _refused(self, key: str, value: Any, expected: str) -> BadFile:
        given = f"'{_shortened(value)}'" if isinstance(value, str) else _kind(value)
        return _bad(self.source, f"has {given} as {self.place}{key}, but should have {expected}")


def _shortened(text: str) -> str:
    return printable(text[:_SHOWN_CHARACTERS]) + ("…" if len(text) > _SHOWN_CHARACTERS else "")


def _has(names: tuple[str, ...], name: str) -> bool:
    """Whether the name is among these, as that of weights without their version, or as a member of a family."""
    prefix = name.rpartition("/")[0]
    while prefix:
        if f"{prefix}/*" in names:
            return True
        prefix = prefix.rpartition("/")[0]
    return any(name in (one, one.partition("@")[0]) for one in names)


def _kind(value: Any) -> str:
    kinds = {type(None): "nothing", bool: "a boolean", list: "a list", dict: "a mapping", str: "text"}
    return kinds.get(type(value), "a number")


def _bad(source: str, what: str) -> BadFile:
    return BadFile(f"the plugin index {source} {what}.", "Ask its author to correct it, or unset ZOO_PLUGIN_INDEX.")
