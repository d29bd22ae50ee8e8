"""Measure everything on one GPU, in at most 8 minutes:

    ZOO_DATA=FOLDER python -m benchmarks --gpu --output benchmarks-gpu.json

The parts run one after the other, each in its own process; those that measure no time run together at the end. The
results are written after every part. A part or a row that fails is recorded as such, and the others go on. It needs the
checkout, torch and the pure-Python dependencies; without Lightning its rows are not measured. `--device cpu --quick`
runs the same code with a few steps on a CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from benchmarks.gpu.environment import ROOT, environment
from benchmarks.gpu.page import section
from benchmarks.gpu.parts import PARTS, TURNS, Part

from measuring import copy_data, data_root  # isort: skip  # found once the package is imported

_GRACE = 10.0  # seconds in which a part whose time is over may end by itself


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gpu", action="store_true", required=True)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--minutes", type=float, default=8.0, help="after which nothing more is measured")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="a few steps of everything, to try the code")
    parser.add_argument("--output", type=Path, default=Path("benchmarks-gpu.json"), metavar="FILE")
    args = parser.parse_args()
    args.output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        print(section(measure(args, Path(folder))))


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    started = time.monotonic()
    end = started + 60 * args.minutes
    variables = environment(copy_data(data_root(), folder / "data", packed=False), folder)
    results: dict[str, Any] = {"date": date.today().isoformat(), "quick": args.quick, "machine": {}, "parts": {}}
    # All begin at once, import what they need, and wait for their turn.
    processes = {name: start(name, args, folder, variables) for name in PARTS if name in args.only}
    describing = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.gpu.machine"], env=variables, cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        for turn in TURNS:
            running = {part: processes[part.name] for part in turn if part.name in processes}
            for name, found in run(running, folder, end, 5 if args.quick else 1).items():
                results["parts"][name] = found
            results["machine"] = results["machine"] or described(describing)
            results["minutes"] = round((time.monotonic() - started) / 60, 2)
            write(args.output, results)
    finally:
        for process in (*processes.values(), describing):
            end_all(process)
    return results


def start(name: str, args: argparse.Namespace, folder: Path, variables: Mapping[str, str]) -> subprocess.Popen[str]:
    """The process of a part, which waits for a line with its seconds."""
    words = [f"--output={folder / f'{name}.json'}", f"--device={args.device}", *(["--quick"] if args.quick else [])]
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.gpu.part", name, *words],
        stdin=subprocess.PIPE,
        env=dict(variables),
        cwd=ROOT,
        text=True,
    )


def run(
    running: Mapping[Part, subprocess.Popen[str]], folder: Path, end: float, patience: float
) -> dict[str, dict[str, Any]]:
    """The results of parts that run at once, each for its seconds times ``patience``, and none after ``end``."""
    started = time.monotonic()
    limits = {part: min(patience * part.seconds, end - started) for part in running}
    for part, process in running.items():
        print(f"\n== {part.name}: at most {max(0, limits[part]):.0f} s", flush=True)
        if limits[part] > _GRACE and process.poll() is None and process.stdin is not None:
            process.stdin.write(f"{limits[part] - _GRACE:.1f}\n")
            process.stdin.flush()
    found = {}
    for part, process in running.items():
        over = ""
        if limits[part] <= _GRACE:
            over = "skipped: no time was left"
        else:
            try:
                process.wait(max(0.1, started + limits[part] - time.monotonic()))
            except subprocess.TimeoutExpired:
                over = f"stopped after {limits[part]:.0f} s"
        end_all(process)
        found[part.name] = read(folder / f"{part.name}.json") | {"seconds": round(time.monotonic() - started, 1)}
        if not over and process.returncode:
            over = f"exit code {process.returncode}"
        if over:
            print(f"  {part.name}: {over}", flush=True)
            found[part.name].setdefault("failed", {})["part"] = {"failed": over, "traceback": ""}
    return found


def end_all(process: subprocess.Popen[str]) -> None:
    """End a part, which ends what it has started, and after some seconds whatever is left of both."""
    below: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        below = psutil.Process(process.pid).children(recursive=True)
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in below:
        with suppress(psutil.NoSuchProcess):  # it has ended
            child.kill()


def read(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}


def described(describing: subprocess.Popen[str]) -> dict[str, Any]:
    """The machine; empty if it could not be described."""
    output, _ = describing.communicate(timeout=120)
    return dict(json.loads(output)) if describing.returncode == 0 else {"gpu": "unknown"}


def write(file: Path, results: Mapping[str, Any]) -> None:
    beside = file.with_suffix(".new")
    beside.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    os.replace(beside, file)
