"""The rows of ``zoo list``: name, plugin, tags and summary of everything that has a name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from zoo_core.config.recipe_files import Source
from zoo_core.errors import UnknownName, ZooError
from zoo_core.registry.entry import KINDS, Kind
from zoo_core.registry.family import Family

if TYPE_CHECKING:
    from zoo_core.registry.catalog import Catalog

LISTED = ("recipes", *(f"{kind}s" for kind in KINDS), "weights")
Row = dict[str, str]
Tags = Mapping[tuple[str, str], Iterable[str]]


def rows_of(catalog: Catalog, kind: str, tag: str | None, members: bool) -> list[Row]:
    """The rows of ``zoo list KIND``; see :meth:`.catalog.Catalog.rows`.

    Raises:
        UnknownName: if there is no such kind.
    """
    if kind == "recipes":
        tags = _tags(catalog)
        rows = [_recipe_row(catalog, plugin, name, tags) for plugin, name in catalog.recipes.names()]
    elif kind == "weights":
        tags = _tags(catalog)
        rows = [_weights_row(catalog, plugin, name, tags) for plugin, name in catalog.weights]
    elif kind.removesuffix("s") in KINDS:
        rows = _component_rows(catalog, cast(Kind, kind.removesuffix("s")), members)
    else:
        raise UnknownName(f"can't list '{kind}'.", f"Choose from {', '.join(LISTED)}, plugins.")
    chosen = [row for row in rows if tag is None or tag in row["tags"].split()]
    return sorted(chosen, key=lambda row: (row["name"], row["plugin"]))


def _component_rows(catalog: Catalog, kind: Kind, members: bool) -> list[Row]:
    registry = catalog.registry
    families = [family for family in registry.families if family.template.kind == kind]
    if members:
        entries, families = registry.of_kind(kind), [one for one in families if one.problem]
    else:
        entries = [entry for entry in registry.entries if entry.kind == kind]
    rows = [_row(entry.name, entry.plugin, entry.tags, entry.summary) for entry in entries]
    return rows + [_family_row(family) for family in families]


def _recipe_row(catalog: Catalog, plugin: str, name: str, tags: Tags) -> Row:
    """A broken recipe has the error as its summary, so that the others can still be listed."""
    recipes, file = catalog.recipes, None
    known = name if not plugin or recipes.owners(name) == [plugin] else f"{plugin}/{name}"
    if plugin:
        with suppress(ZooError):
            file = recipes.user_file(known)
    try:
        recipe = recipes.find(known)
    except ZooError as error:
        return _row(name, plugin, (), f"(broken: {error.message})", file)
    parts = ((part, str((recipe.values.get(part) or {}).get("name"))) for part in recipe.parts)
    own = dict.fromkeys(tag for part in parts for tag in _tags_of(part, tags))
    return _row(name, plugin, own, recipe.summary, file)


def _weights_row(catalog: Catalog, plugin: str, name: str, tags: Tags) -> Row:
    try:
        entry = catalog.weights.get(plugin, name)
        listed = entry.listed
    except ZooError as error:
        return _row(name, plugin, (), f"(broken: {error.message})")
    summary = listed.summary or (f"the same as {listed.alias}" if listed.alias else "")
    file = entry.file if catalog.weights.overrides(plugin, name) else None
    shown = catalog.weights.name_of(plugin, name)
    return _row(shown, plugin, _tags_of(("model", listed.model or ""), tags), summary, file)


def _row(name: str, plugin: str, tags: Iterable[str], summary: str, file: Path | None = None) -> Row:
    """``file`` is the file of the user that overrides something of a plugin; without one, there is no such key."""
    where = {"file": str(Source(file))} if file else {}
    return {"name": name, "plugin": plugin or "yours", **where, "tags": " ".join(tags), "summary": summary}


def _family_row(family: Family) -> Row:
    """The row of a family. If its names are not available, its summary is the reason."""
    template, problem = family.template, family.problem
    summary = f"(broken: {problem.message})" if problem else f"{len(family):,} models: {template.summary}"
    return _row(family.prefix, template.plugin, template.tags, summary)


def _tags(catalog: Catalog) -> Tags:
    """The tags of every component by kind and name, for all rows at once; of a family by ``prefix/``."""
    tags: dict[tuple[str, str], dict[str, None]] = {}
    for entry in catalog.registry.entries:
        for name in (entry.name, entry.full_name):
            tags.setdefault((entry.kind, name), {}).update(dict.fromkeys(entry.tags))
    for family in catalog.registry.families:
        for name in (family.template.name, family.template.full_name):
            tags.setdefault((family.template.kind, f"{name}/"), {}).update(dict.fromkeys(family.template.tags))
    return tags


def _tags_of(part: tuple[str, str], tags: Tags) -> Iterable[str]:
    """The tags of a component, or of the family that it belongs to."""
    kind, name = part
    prefixes = [name[: at + 1] for at, character in enumerate(name) if character == "/"]
    return next((tags[kind, one] for one in (name, *prefixes) if (kind, one) in tags), ())
