"""The optimizer and the schedule that the settings of a trainer name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo_core.config.optimizer import OptimizerConfig
from zoo_core.errors import UnknownName
from zoo_core.registry.entry import Entry, Kind

if TYPE_CHECKING:
    from zoo_core.registry.catalog import Catalog


def find_named(catalog: Catalog, kind: Kind, name: str, where: str = "") -> Entry:
    """The entry of what the setting ``trainer.optimizer`` or ``trainer.schedule`` names.

    Raises:
        UnknownName: if there is none; tells the setting, with ``where`` it is.
        NameTaken: if several plugins offer it.
    """
    try:
        return catalog.find(kind, name)
    except UnknownName as error:
        raise UnknownName(f"{where}trainer.{kind}: {error.message}", _hint(catalog, kind, error.hint)) from None


def check_named(catalog: Catalog, config: Any, where: Any) -> None:
    """Check the names in the settings of a trainer, without importing anything.

    Raises:
        UnknownName: as :func:`find_named`.
    """
    if isinstance(config, OptimizerConfig):
        find_named(catalog, "optimizer", config.optimizer, where("trainer.optimizer"))
        find_named(catalog, "schedule", config.schedule, where("trainer.schedule"))


def _hint(catalog: Catalog, kind: Kind, hint: str | None) -> str | None:
    if hint and hint.startswith("Did you mean"):
        return f"{hint} `zoo list {kind}s` shows all {len(catalog.registry.of_kind(kind))}."
    return hint
