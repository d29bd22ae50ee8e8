"""Refuses values of settings that a run should not, or can not, write into its files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from zoo_core.config.word import value_of
from zoo_core.errors import BadSetting


def refuse_unwritable(full_key: str, value: Any, where: Callable[[], str]) -> None:
    """Refuse what must not be, or can't be, in the files of a run.

    The secret in someone else's ``${oc.env:SECRET}`` would be written into the run's folder.

    Raises:
        BadSetting: for text with an interpolation, or that is not UTF-8.
    """
    if isinstance(value := value_of(value), str) and any("\ud800" <= one <= "\udfff" for one in value):
        raise BadSetting(
            f"{where()}{full_key} is {value!r}, but should be text in UTF-8, as which a run stores its settings.",
            "Rename the file or folder, or make a link to it with another name.",
        )
    if isinstance(value, str) and "${" in value:
        raise BadSetting(
            f"{where()}{full_key} is {value!r}, but recipes do not support interpolation.",
            "Write the value itself, or use `extends`.",
        )
    for key, element in items_of(value):
        refuse_unwritable(f"{full_key}.{key}", element, where)


def items_of(value: Any) -> Iterator[tuple[Any, Any]]:
    """Keys or indices and elements of a mapping or list; nothing of anything else."""
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, (list, tuple)):
        yield from enumerate(value)
