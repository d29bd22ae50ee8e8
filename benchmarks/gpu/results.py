"""What a part of the benchmarks is given, and what it has found so far."""

from __future__ import annotations

import json
import os
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring import spread


@dataclass(frozen=True)
class Options:
    """How a part measures."""

    device: str
    quick: bool
    """A few steps of everything, to try the code: the numbers mean nothing."""
    end: float
    """The ``time.monotonic()`` after which nothing new should be begun."""

    @property
    def seconds_left(self) -> float:
        return self.end - time.monotonic()


class Results:
    """The results of a part, written to a JSON file after each of them.

    ``ratios`` has the median, minimum and maximum of each key, ``failed`` the error of each key that has none, and
    ``details`` everything else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values: dict[str, dict[str, Any]] = {"ratios": {}, "failed": {}, "details": {}}

    def add(self, key: str, values: float | Sequence[float]) -> None:
        """Record the spread of ``values``."""
        given = [float(value) for value in ([values] if isinstance(values, (int, float)) else values)]
        self._values["ratios"][key] = spread(given)
        self._values["failed"].pop(key, None)
        print(f"  {key}: {', '.join(f'{value:.4g}' for value in given)}", flush=True)
        self._write()

    def detail(self, key: str, value: Any) -> None:
        self._values["details"][key] = value
        self._write()

    def fail(self, key: str, message: str, trace: str = "") -> None:
        self._values["failed"][key] = {"failed": message, "traceback": trace}
        print(f"  {key}: failed: {message}", flush=True)
        self._write()

    @contextmanager
    def attempt(self, *keys: str) -> Iterator[None]:
        """Context whose error is recorded for ``keys``, and does not end the part."""
        try:
            yield
        except (Exception, SystemExit) as error:
            message = f"{type(error).__name__}: {error}"
            for key in keys:
                if key not in self._values["ratios"]:
                    self.fail(key, message, traceback.format_exc())

    def _write(self) -> None:
        beside = self._path.with_suffix(".new")
        beside.write_text(json.dumps(self._values), encoding="utf-8")
        os.replace(beside, self._path)
