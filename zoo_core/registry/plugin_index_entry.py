"""The entries of installed plugins for an index: what their metadata state, and what they register."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distribution
from typing import TYPE_CHECKING

from zoo_core.errors import BrokenPlugin
from zoo_core.registry.plugin_index import KnownPlugin

if TYPE_CHECKING:
    from zoo_core.registry.catalog import Catalog


def entries_of(catalog: Catalog, plugins: Iterable[str]) -> list[KnownPlugin]:
    """An entry for each distribution that the installed ``plugins`` belong to.

    Raises:
        BrokenPlugin: if one of them is disabled or did not load, so that it is not known what it registers.
    """
    by_distribution: dict[str, list[str]] = {}
    for name in dict.fromkeys(plugins):
        for info in (info for info in catalog.plugins.infos if info.name == name):
            if info.state != "loaded":
                raise BrokenPlugin(f"the plugin '{name}' is {info.state}: {info.why}.", f"zoo plugins show {name}")
            by_distribution.setdefault(info.distribution, []).append(name)
    return [_entry(catalog, distribution(name), tuple(names)) for name, names in by_distribution.items()]


def _entry(catalog: Catalog, installed: Distribution, plugins: tuple[str, ...]) -> KnownPlugin:
    from packaging.version import Version

    provides: dict[str, dict[str, None]] = {}
    for kind, name in sorted(_names(catalog, plugins)):
        provides.setdefault(kind, {})[name] = None
    metadata = installed.metadata
    return KnownPlugin(
        requirement=f"{metadata['Name']}>={Version(installed.version).public}",
        summary=" ".join(_stated(installed, "Summary").split()),
        homepage=_homepage(installed),
        plugins=plugins,
        provides={kind: tuple(names) for kind, names in provides.items()},
    )


def _names(catalog: Catalog, plugins: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Kind and name of all that the plugins register; a family, and other names with its prefix, by the prefix."""
    registry = catalog.registry
    prefixes = tuple(family.prefix for family in registry.families if family.template.plugin in plugins)
    yield from (("models", f"{prefix}*") for prefix in prefixes)
    for one in registry.entries:
        if one.plugin in plugins and not (one.kind == "model" and one.name.startswith(prefixes)):
            yield f"{one.kind}s", one.name
    yield from (("recipes", name) for owner, name in catalog.recipes.names() if owner in plugins)
    yield from (("weights", name) for owner, name in catalog.weights if owner in plugins)


def _homepage(installed: Distribution) -> str:
    addresses = {}
    for text in installed.metadata.get_all("Project-URL") or []:
        label, _, address = text.partition(",")
        addresses[label.strip().lower()] = address.strip()
    found = next((addresses[label] for label in ("homepage", "repository", "source") if label in addresses), "")
    return found or _stated(installed, "Home-page")


def _stated(installed: Distribution, field: str) -> str:
    """A field of the metadata, or "" if it is missing."""
    return str(next(iter(installed.metadata.get_all(field) or []), ""))
