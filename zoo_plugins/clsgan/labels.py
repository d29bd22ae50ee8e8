"""Labels that are given by a user, as names of classes or as their indices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import zoo_core as zoo

_SHOWN = 10  # names in a message


def indices_of(labels: Any, names: Sequence[str], num_classes: int) -> list[int]:
    """The indices of labels: ``names`` of classes if they have names, or integers.

    An integer is an index if no class has a number for a name. Otherwise it is a name, so that of the classes 1, 2 and
    3 the label 1 is the first one.

    Raises:
        zoo.ZooError: if there is no such class, or a label is neither.
    """
    given = labels if isinstance(labels, (list, tuple)) else [labels]
    kinds = (int, float, str) if names else (int,)
    if not given or any(type(label) not in kinds for label in given):
        expected = "names of classes or integers" if names else "integers"
        raise zoo.ZooError(f"labels is {labels!r}, but should be {expected}.", _hint(names, num_classes))
    return [_index_of(label, names, num_classes) for label in given]


def _index_of(label: float | str, names: Sequence[str], num_classes: int) -> int:
    if str(label) in names:
        return names.index(str(label))
    if isinstance(label, int) and 0 <= label < num_classes and not any(name.isdecimal() for name in names):
        return label
    if names:
        listed = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
        raise zoo.ZooError(f"labels contains {label!r}, but the classes are {listed}.", _hint(names, num_classes))
    raise zoo.ZooError(
        f"labels contains {label}, but should contain integers from 0 to {num_classes - 1}.", _hint(names, num_classes)
    )


def _hint(names: Sequence[str], num_classes: int) -> str:
    example = names[0] if names else min(5, num_classes - 1)
    return f"Write for example labels=[{example},{example},{example},{example}]."
