"""Processes that take turns on one machine, a few seconds each, so that a busy moment hits all of them alike."""

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
from pathlib import Path

import psutil
from measuring import ratios, said, spread, status

ENVIRONMENT = "BENCHMARK_TICKS"
_RECORD = struct.Struct("@qq")  # steps done, and the monotonic clock at the end of the last one in nanoseconds


class Ticks:
    """Counts the steps of this process where the one that measures can read them; nowhere if none asks."""

    def __init__(self) -> None:
        self.count = 0
        path = os.environ.get(ENVIRONMENT)
        self._shared = _map(Path(path)) if path else None

    def tick(self) -> None:
        self.count += 1
        if self._shared is not None:
            _RECORD.pack_into(self._shared, 0, self.count, time.monotonic_ns())


class Runner:
    """A process that runs only in its turns."""

    def __init__(self, command: Sequence[str], ticks: Path, environment: Mapping[str, str], folder: Path) -> None:
        ticks.write_bytes(bytes(_RECORD.size))
        self._ticks = _map(ticks)
        self._errors = ticks.with_suffix(".log")
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                command,
                env={**environment, ENVIRONMENT: str(ticks)},
                cwd=folder,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,  # a stopped process goes on when its group loses the shell that began it
            )

    def warm_up(self, steps: int) -> None:
        """Wait for so many steps, then pause."""
        while self._read()[0] < steps:
            self._check()
            time.sleep(0.05)
        self._process.send_signal(signal.SIGSTOP)

    def turn(self, seconds: float) -> float:
        """Steps per second over one turn, between the ends of two steps; its first step, half done before, is left.

        A turn is as much longer as a slow step needs to end.
        """
        before = self._read()[0]
        self._process.send_signal(signal.SIGCONT)
        while (first := self._read())[0] == before:
            self._check()
            time.sleep(0.001)
        time.sleep(seconds)
        while (last := self._read())[0] == first[0]:
            self._check()
            time.sleep(0.001)
        self._process.send_signal(signal.SIGSTOP)
        return (last[0] - first[0]) / (last[1] - first[1]) * 1e9

    def peak_memory(self) -> int:
        """The most that the process and those it started took at a time, in bytes, shared pages in each."""
        process = psutil.Process(self._process.pid)
        return sum(_peak(one) for one in (process, *process.children(recursive=True)))

    def end(self) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self) -> tuple[int, int]:
        """What stands still for a moment: the other process may be in the middle of writing it."""
        read = None
        while read != (again := _RECORD.unpack_from(self._ticks, 0)):
            read = again
            time.sleep(0.0002)
        return again

    def _check(self) -> None:
        if self._process.poll() is not None:
            raise RuntimeError(f"it ended by itself:\n{self._errors.read_text()}")


def compare(
    scripts: Mapping[str, tuple[str, ...]],
    given: argparse.Namespace,
    folder: Path,
    data: Path,
    surroundings: Mapping[str, Mapping[str, str]] | None = None,
) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Steps/s of each script, turn by turn, and its memory at the peak in bytes.

    ``given`` has rounds, seconds, warm_up and threads; ``surroundings`` what a script finds in its environment besides.
    """
    rates: dict[str, list[float]] = {name: [] for name in scripts}
    print(f"{given.rounds} rounds of {given.seconds} s, threads: {given.threads}", flush=True)
    environment = {**os.environ, "ZOO_DATA": str(data), "OMP_NUM_THREADS": str(given.threads)}
    runners: dict[str, Runner] = {}
    try:
        for name, (script, *options) in scripts.items():
            path = str(Path(__file__).with_name(script).absolute())
            command = [sys.executable, path, *options, f"--threads={given.threads}"]
            own = (surroundings or {}).get(name, {})
            runners[name] = Runner(command, folder / name, {**environment, **own}, folder)
            runners[name].warm_up(given.warm_up)
        for number in range(1, given.rounds + 1):
            for name, runner in runners.items():
                rates[name].append(runner.turn(given.seconds))
            words = "  ".join(f"{name} {values[-1]:.2f}" for name, values in rates.items())
            print(f"  round {number}: {words}", flush=True)
        memory = {name: runner.peak_memory() for name, runner in runners.items()}
    finally:
        for runner in runners.values():
            runner.end()
    return rates, memory


def report(rates: Mapping[str, Sequence[float]], memory: Mapping[str, int]) -> dict[str, dict[str, float]]:
    """Print rates and memory, and zoo's over each other one's; gives the latter."""
    for name, values in rates.items():
        print(f"{name.ljust(18)}  {said(spread(values), 2)} steps/s, at most {memory[name] / 2**20:,.0f} MiB")
    others = [name for name in rates if name != "zoo"]
    compared = {f"zoo/{name}": ratios(rates["zoo"], rates[name]) for name in others}
    compared |= {f"memory of zoo/{name}": spread([memory["zoo"] / memory[name]]) for name in others}
    for name, ratio in compared.items():
        print(f"{name.ljust(28)}  {said(ratio, 3)}")
    return compared


def _peak(process: psutil.Process) -> int:
    return status("VmHWM", process.pid) if psutil.LINUX else int(process.memory_info().rss)


def _map(path: Path) -> mmap.mmap:
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), _RECORD.size)
