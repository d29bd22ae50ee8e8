"""Send SIGTERM to runs at random moments, and count how they end:

    python benchmarks/signals_at_random.py --signals 200

A right end comes within five seconds, with exit code 143 and without a traceback, leaves no process behind, and leaves
a run that can be resumed to its end, or no folder at all. A run that was done before it received the signal is counted
by itself, and the signal is sent to another one. One in six signals goes to a command that starts Python, so that it
also meets the import of torch; the others go to commands that are forked from a process that has imported it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import psutil

SHORT = [
    "dataset.source=subset",
    "run.device=cpu",
    "run.threads=1",
    "run.steps=6",
    "run.log_every=2",
    "run.preview_every=3",
    "run.evaluate_every=3",
    "run.checkpoint_every=2",
]
SCENES = [
    "unet-digit-scenes",
    *SHORT,
    "run.batch_size=2",
    "model.base_channels=4",
    "dataset.test_scenes=4",
    "dataset.validation_scenes=2",
]
GAN = ["clsgan-mnist", *SHORT, "run.batch_size=16", "trainer.eval_classifier=", "trainer.cas_classifier="]
CLASSIFIER = ["digit-classifier-mnist", *SHORT, "run.batch_size=32", "run.evaluate_every=0"]
RUNS = {
    "loader workers": [*SCENES, "run.workers=2", "run.evaluate_every=0", "run.preview_every=0"],
    "checkpoint every step": [*GAN, "run.checkpoint_every=1", "run.evaluate_every=0"],
    "evaluation every step": [*SCENES, "run.evaluate_every=1", "run.preview_every=1"],
    "compiled": [*CLASSIFIER, "run.compile=default"],
    "two processes": [*SCENES, "--processes", "2"],
}
PROMISE = 5.0  # seconds
_HANGS = 60.0
_FRESH = 6  # one in this number starts Python


@dataclass
class Command:
    """A command that has been started, and its output."""

    process: multiprocessing.process.BaseProcess | subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """Its process ID."""
        assert self.process.pid is not None  # noqa: S101  # it has been started
        return self.process.pid

    def wait(self, seconds: float) -> int | None:
        """The exit code, or None if the command is still running after ``seconds``."""
        if isinstance(self.process, subprocess.Popen):
            try:
                return self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                return None
        self.process.join(seconds)
        return self.process.exitcode

    def output(self) -> str:
        """What it has printed."""
        return self.log.read_text(encoding="utf-8", errors="replace")


def start(words: list[str], place: Path, fresh: bool) -> Command:
    """Start ``zoo WORDS``, whose output goes to a file in ``place``."""
    log = place / "output"
    environment = {"TORCHINDUCTOR_CACHE_DIR": str(place / "compiled")}  # else the compiler would work only once
    if fresh:
        with log.open("wb") as file:
            command = [sys.executable, "-m", "zoo_core", *words]
            process = subprocess.Popen(
                command, stdout=file, stderr=file, env={**os.environ, **environment}, start_new_session=True
            )
        return Command(process, log)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["zoo_core.training.runner", "zoo_core.loggers", "zoo_core.engine.launcher"])
    forked = context.Process(target=_command, args=(words, str(log), environment))
    forked.start()
    return Command(forked, log)


def _command(words: list[str], log: str, environment: dict[str, str]) -> None:
    from zoo_core.__main__ import main

    os.setsid()
    os.environ.update(environment)
    with open(log, "wb", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["zoo", *words]
    main()


def trial(words: list[str], place: Path, moment: float, fresh: bool) -> tuple[str, float]:
    """Send the signal after ``moment`` seconds; the outcome, and the seconds from the signal to the end."""
    folder = place / "run"
    command = start(["run", *words, "--folder", str(folder)], place, fresh)
    if command.wait(moment) is not None:
        return "done first", 0.0
    started = [psutil.Process(command.pid), *_children(command.pid)]
    os.kill(command.pid, signal.SIGTERM)
    sent = time.monotonic()
    code = command.wait(_HANGS)
    seconds = time.monotonic() - sent
    time.sleep(0.2)
    left = [process for process in started if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    for process in left:
        process.kill()
    output = command.output()
    if code in (0, -signal.SIGTERM) and ": done" in output:  # Python no longer handles signals while it ends
        return "done first", seconds
    if code == -signal.SIGTERM and fresh and not output and moment < 1:
        return "ended before Python ran", seconds  # 143 in a shell
    if code is None:
        return "wrong: it hangs", seconds
    if left:
        return f"wrong: {len(left)} processes are left", seconds
    if code != EXIT_CODE or "Traceback" in output or "error:" in output:
        return f"wrong: exit code {code}: {output[-300:]}", seconds
    if seconds > PROMISE:
        return f"wrong: it took {seconds:.1f} s: {output[-300:]}", seconds
    return _resumed(folder, place), seconds


EXIT_CODE = 128 + signal.SIGTERM


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _resumed(folder: Path, place: Path) -> str:
    """Resume the stopped run, if there is one, to its end."""
    if not (folder / "config.yaml").exists():
        return "wrong: a folder without a run is left" if folder.exists() else "stopped before the run began"
    saved = any((folder / "checkpoints").glob("step-*"))
    command = start(["run", "--resume", str(folder)], place, fresh=False)
    code = command.wait(600)
    if code != 0 or not (folder / "model.safetensors").exists():
        return f"wrong: it cannot be resumed, exit code {code}: {command.output()[-3000:]}"
    return "stopped and resumed from a checkpoint" if saved else "stopped and started again"


def seconds_of(words: list[str], fresh: bool, place: Path) -> float:
    """How long the run takes if it gets no signal."""
    before = time.monotonic()
    command = start(["run", *words, "--folder", str(place / "run")], place, fresh)
    if command.wait(600) != 0:
        raise SystemExit(command.output())
    return time.monotonic() - before


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--signals", type=int, default=200)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--only", choices=RUNS, action="append", help="only this kind of run, with its part of them")
    args = arguments.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    per_kind = -(-args.signals // len(RUNS))
    total: Counter[str] = Counter()
    for number, (kind, words) in enumerate(RUNS.items()):
        if args.only and kind not in args.only:
            continue
        counts, slowest = send(kind, words, per_kind, random.Random(args.seed + number))  # noqa: S311  # no secret
        total += counts
        shown = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
        print(f"{kind:22}  {shown}; slowest {slowest:.1f} s", flush=True)
    right = sum(count for outcome, count in total.items() if outcome not in ("wrong", "done first"))
    print(f"{right} right, {total['wrong']} wrong")


def send(kind: str, words: list[str], signals: int, rng: random.Random) -> tuple[Counter[str], float]:
    """Send signals to runs of one kind: how many ended in which way, and the most seconds that one took."""
    counts: Counter[str] = Counter()
    slowest, durations = 0.0, dict[bool, float]()
    while counts.total() - counts["done first"] < signals:
        fresh = rng.randrange(_FRESH) == 0
        place = Path(tempfile.mkdtemp(prefix="zoo-signals-"))
        try:
            if fresh not in durations:
                start(["list"], place, fresh).wait(_HANGS)  # the first one that is forked waits for the imports
                durations[fresh] = seconds_of(words, fresh, place)
                shutil.rmtree(place / "run")
                shutil.rmtree(place / "compiled", ignore_errors=True)
            moment = rng.uniform(0, durations[fresh])
            outcome, seconds = trial(words, place, moment, fresh)
        finally:
            shutil.rmtree(place, ignore_errors=True)
        how = "fresh" if fresh else "forked"
        print(f"{kind}, {how}, after {moment:.1f} s: {outcome}, in {seconds:.1f} s", file=sys.stderr, flush=True)
        counts[outcome.partition(":")[0]] += 1
        slowest = max(slowest, seconds)
    return counts, slowest


if __name__ == "__main__":
    main()
