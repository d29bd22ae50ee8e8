"""Training processes that take turns on one GPU, so that the state of the machine affects all alike."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from taking_turns import Runner

from benchmarks.gpu.results import Options, Results

HERE = Path(__file__).parent.parent
_PATIENCE = 90.0  # seconds in which a process should start and make its first steps


class Turns:
    """Scripts that are started together, warmed up and stopped, except in their turns.

    A script that fails is left out from then on, and its error is recorded under its name.
    """

    def __init__(self, results: Results, options: Options, folder: Path) -> None:
        self.results, self.options, self.folder = results, options, folder
        self.rates: dict[str, list[float]] = {}
        self.rounds, self.seconds, self.settle = (2, 0.3, 0.1) if options.quick else (3, 1.5, 0.7)
        self._runners: dict[str, Runner] = {}

    def start(self, scripts: Mapping[str, Sequence[str]], warm_up: int) -> None:
        """Start the scripts, all at once, and stop each after ``warm_up`` steps."""
        for name, (script, *words) in scripts.items():
            command = [sys.executable, str(HERE / script), *words, f"--device={self.options.device}"]
            ticks = self.folder / name
            self._runners[name] = Runner(command, ticks, os.environ, self.folder, _PATIENCE)
        for name in scripts:
            with self._attempt(name):
                self._runners[name].warm_up(3 if self.options.quick else warm_up)

    def take(self) -> None:
        """Let every script have its turn in each round; the rates are in ``rates``."""
        for number in range(self.rounds):
            for name in list(self._runners):
                with self._attempt(name):
                    rate = self._runners[name].turn(self.seconds, self.settle)
                    self.rates.setdefault(name, []).append(rate)
            listed = "  ".join(f"{name} {values[-1]:.1f}" for name, values in self.rates.items())
            print(f"  round {number + 1}: {listed}", flush=True)
            self.results.detail("steps_per_second", self.rates)
            self.results.detail("warnings", {name: self._warnings(name) for name in self._runners})
            if self.options.seconds_left < 0:
                print("  no further round: the time of this part is over", flush=True)
                break

    def compare(self, key: str, one: str, other: str) -> None:
        """Record ``one / other`` within each round."""
        with self.results.attempt(key):
            for name in (one, other):
                if name not in self.rates:
                    raise RuntimeError(f"{name} was not measured")
            pairs = zip(self.rates[one], self.rates[other], strict=False)  # one that failed has fewer rounds
            self.results.add(key, [first / second for first, second in pairs])

    def report(self, key: str, name: str) -> None:
        """Record the steps per second of ``name``."""
        if name in self.rates:
            self.results.add(key, self.rates[name])

    def _warnings(self, name: str) -> list[str]:
        """Such as that zoo performs steps as they are, and why."""
        text = (self.folder / name).with_suffix(".log").read_text(encoding="utf-8", errors="replace")
        return [line[:500] for line in text.splitlines() if "arning" in line][:20]

    def end(self) -> None:
        for runner in self._runners.values():
            runner.end()

    @contextmanager
    def _attempt(self, name: str) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            self._runners.pop(name).end()
            self.results.fail(name, str(error)[-4000:])
