"""Names of classes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import zoo_core as zoo


def class_names(config: Any) -> list[str]:
    """The names of the classes of a model; a class without a name is called by its index.

    Raises:
        zoo.ZooError: if two classes have the same name, or there are more names than classes.
    """
    given, count = tuple(getattr(config, "class_names", ())), config.num_classes
    names = [given[k] if k < len(given) else str(k) for k in range(count)]
    if len(given) > count or len(set(names)) < count:
        twice = next((name for name, times in Counter(names).items() if times > 1), None)
        raise zoo.ZooError(
            f"model.class_names has {f'the name {twice!r} for two classes' if twice else f'{len(given)} names'}, but "
            f"there are {count} classes.",
            f"Give {count} different names, or none.",
        )
    return names
