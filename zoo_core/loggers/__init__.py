"""The loggers of runs, as hook implementations: metrics file, TensorBoard, preview images, Weights & Biases, MLflow,
sessions, progress lines. Imports ``runs``, ``engine``, ``data``, ``registry`` and the modules below them; ``api``,
``tools``, ``testing`` and ``cli`` may import it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo_core.errors import BadSetting, BrokenPlugin, NameTaken, UnknownName, ZooError, raised
from zoo_core.registry.core_loggers import REQUIRED

if TYPE_CHECKING:
    from zoo_core.registry.entry import Entry
    from zoo_core.registry.resolve import ResolvedRecipe


def loggers_of(resolved: ResolvedRecipe) -> list[object]:
    """New loggers for a run of a recipe: those that ``run.loggers`` names, and the record of its sessions.

    Raises:
        UnknownName: if no logger has one of the names.
        BadSetting: if a name is repeated, or the metrics file is missing.
        BrokenPlugin: if a logger cannot be imported or created.
        ZooError: if a logger says itself why it cannot be used, such as a package that is not installed.
    """
    from zoo_core.loggers.sessions import Sessions

    return [*map(_create, _entries(resolved)), Sessions()]


def standard() -> list[object]:
    """New loggers as a run has them by default."""
    from zoo_core.loggers.images import Previews
    from zoo_core.loggers.jsonl import MetricsFile
    from zoo_core.loggers.sessions import Sessions
    from zoo_core.loggers.tensorboard import TensorBoard

    return [MetricsFile(), TensorBoard(), Previews(), Sessions()]


def _entries(resolved: ResolvedRecipe) -> list[Entry]:
    names, where = resolved.settings.loggers, resolved.recipe.where("run.loggers")
    try:
        found = [resolved.catalog.find("logger", name) for name in names]
    except (UnknownName, NameTaken) as error:
        raise type(error)(f"{where}run.loggers: {error.message}", error.hint) from None
    full_names = [entry.full_name for entry in found]
    if twice := next((name for name, full in zip(names, full_names, strict=True) if full_names.count(full) > 1), None):
        raise BadSetting(f"{where}run.loggers names '{twice}' more than once.", "Name each logger once.")
    if REQUIRED not in full_names:
        raise BadSetting(
            f"{where}run.loggers is [{', '.join(names)}], without jsonl, whose metrics.jsonl `zoo run --resume`, "
            "`zoo top` and `zoo report` read.",
            f"Write `run.loggers=[{','.join(['jsonl', *names])}]`.",
        )
    return found


def _create(entry: Entry) -> Any:
    logger = entry.load()
    try:
        return logger()
    except ZooError:
        raise
    except Exception as error:  # of a plugin's code
        raise BrokenPlugin(
            f"logger '{entry.full_name}' could not be created: {raised(error)}.",
            f"Leave it out of run.loggers, or update the plugin '{entry.plugin}'.",
        ) from error
