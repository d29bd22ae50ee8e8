"""A range of steps in a setting, such as ``20:30``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from zoo_core.errors import BadSetting, in_yaml

_FORM = re.compile(r"(\d{1,18}):(\d{1,18})", re.ASCII)


@dataclass(frozen=True)
class StepRange:
    """The steps from ``first`` to ``last``, both included; the first step of a run is 1."""

    first: int
    last: int

    @classmethod
    def read(cls, key: str, value: str | int, where: str = "") -> StepRange:
        """The range that the setting ``key`` gives; ``where`` is its source.

        Raises:
            BadSetting: if it has another form, or is empty.
        """
        found = _FORM.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            raise BadSetting(
                f"{where}{key} is {in_yaml(value)}, but should be the first and the last step with a colon.",
                f"Write for example `{key}=20:30`; in a file, in quotes: '20:30'.",
            )
        first, last = int(found[1]), int(found[2])
        if not 1 <= first <= last:
            why = "steps are counted from 1" if first < 1 else "its last step is before its first"
            right = f"{max(first, 1)}:{max(last, first, 1)}" if first < 1 else f"{last}:{first}"
            raise BadSetting(f"{where}{key} is {value}, but {why}.", f"Write for example `{key}={right}`.")
        return cls(first, last)

    def __str__(self) -> str:
        return f"step {self.first:,}" if self.first == self.last else f"steps {self.first:,} to {self.last:,}"
