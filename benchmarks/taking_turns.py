"""Processes that take turns on one machine, a few seconds each, so that the load of the machine affects all alike."""

from __future__ import annotations

import argparse
import mmap
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path

import psutil
from measuring import format_spread, ratios, spread, status

ENVIRONMENT = "BENCHMARK_TICKS"
_RECORD = struct.Struct("@qq")  # number of steps, and the monotonic time at the end of the last one in nanoseconds


class Ticks:
    """Counts the steps of this process in shared memory for the measuring process, if there is one."""

    def __init__(self) -> None:
        self.count = 0
        path = os.environ.get(ENVIRONMENT)
        self._shared = _map(Path(path)) if path else None

    def tick(self) -> None:
        self.count += 1
        if self._shared is not None:
            _RECORD.pack_into(self._shared, 0, self.count, time.monotonic_ns())


class Runner:
    """A process that is stopped except in its turns."""

    def __init__(
        self,
        command: Sequence[str],
        ticks: Path,
        environment: Mapping[str, str],
        folder: Path,
        patience: float = inf,
    ) -> None:
        """``patience``: seconds without the awaited steps after which a method raises RuntimeError."""
        ticks.write_bytes(bytes(_RECORD.size))
        self._ticks = _map(ticks)
        self._patience = patience
        self._errors = ticks.with_suffix(".log")
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                command,
                env={**environment, ENVIRONMENT: str(ticks)},
                cwd=folder,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,  # a stopped process is continued when its process group is orphaned
            )

    def warm_up(self, steps: int) -> None:
        """Wait for ``steps`` steps, then pause the process."""
        started = time.monotonic()
        while self._read()[0] < steps:
            self._check(started)
            time.sleep(0.05)
        self._process.send_signal(signal.SIGSTOP)

    def turn(self, seconds: float, settle: float = 0) -> float:
        """Run the process for a turn; returns steps per second between the ends of two steps.

        The first step, which may have started in the turn before, does not count, and the turn ends with a step. Nor do
        those of the first ``settle`` seconds, in which a process fills the queue of a GPU faster than it is emptied.
        """
        started, before = time.monotonic(), self._read()[0]
        self._process.send_signal(signal.SIGCONT)
        while (first := self._read())[0] == before:
            self._check(started)
            time.sleep(0.001)
        if settle:
            time.sleep(settle)
            first = self._read()
        time.sleep(seconds)
        while (last := self._read())[0] == first[0]:
            self._check(started + settle + seconds)
            time.sleep(0.001)
        self._process.send_signal(signal.SIGSTOP)
        return (last[0] - first[0]) / (last[1] - first[1]) * 1e9

    def peak_memory(self) -> int:
        """The sum of the peak memory of the process and its children in bytes, counting shared pages in each."""
        process = psutil.Process(self._process.pid)
        return sum(_peak(one) for one in (process, *process.children(recursive=True)))

    def end(self) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self) -> tuple[int, int]:
        """Read the record until it is the same twice, since the other process may be writing it."""
        previous = None
        while previous != (current := _RECORD.unpack_from(self._ticks, 0)):
            previous = current
            time.sleep(0.0002)
        return current

    def _check(self, started: float) -> None:
        if self._process.poll() is not None:
            raise RuntimeError(f"the process ended:\n{self._errors.read_text()}")
        if time.monotonic() - started > self._patience:
            raise RuntimeError(f"no step within {self._patience:.0f} s:\n{self._errors.read_text()}")


def compare(
    scripts: Mapping[str, tuple[str, ...]],
    args: argparse.Namespace,
    folder: Path,
    data: Path,
    variables: Mapping[str, Mapping[str, str]] | None = None,
) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Steps/s of each script in every turn, and its peak memory in bytes.

    ``args`` has rounds, seconds, warm_up and threads; ``variables`` are additional environment variables by script.
    """
    rates: dict[str, list[float]] = {name: [] for name in scripts}
    print(f"{args.rounds} rounds of {args.seconds} s, threads: {args.threads}", flush=True)
    environment = {**os.environ, "ZOO_DATA": str(data), "OMP_NUM_THREADS": str(args.threads)}
    runners: dict[str, Runner] = {}
    try:
        for name, (script, *options) in scripts.items():
            path = str(Path(__file__).with_name(script).absolute())
            command = [sys.executable, path, *options, f"--threads={args.threads}"]
            own = (variables or {}).get(name, {})
            runners[name] = Runner(command, folder / name, {**environment, **own}, folder)
            runners[name].warm_up(args.warm_up)
        for number in range(1, args.rounds + 1):
            for name, runner in runners.items():
                rates[name].append(runner.turn(args.seconds))
            listed = "  ".join(f"{name} {values[-1]:.2f}" for name, values in rates.items())
            print(f"  round {number}: {listed}", flush=True)
        memory = {name: runner.peak_memory() for name, runner in runners.items()}
    finally:
        for runner in runners.values():
            runner.end()
    return rates, memory


def report(rates: Mapping[str, Sequence[float]], memory: Mapping[str, int]) -> dict[str, dict[str, float]]:
    """Print rates and memory, and the ratios of zoo to the others; returns the ratios."""
    for name, values in rates.items():
        print(f"{name.ljust(18)}  {format_spread(spread(values), 2)} steps/s, peak {memory[name] / 2**20:,.0f} MiB")
    others = [name for name in rates if name != "zoo"]
    compared = {f"zoo/{name}": ratios(rates["zoo"], rates[name]) for name in others}
    compared |= {f"memory of zoo/{name}": spread([memory["zoo"] / memory[name]]) for name in others}
    for name, ratio in compared.items():
        print(f"{name.ljust(28)}  {format_spread(ratio, 3)}")
    return compared


def _peak(process: psutil.Process) -> int:
    return status("VmHWM", process.pid) if psutil.LINUX else int(process.memory_info().rss)


def _map(path: Path) -> mmap.mmap:
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), _RECORD.size)
