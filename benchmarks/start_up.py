"""Start-up time of zoo.

list, help   `zoo list` and `zoo --help`, and whether they import torch
first step   from the start of the process of `zoo run clsgan-mnist` to the end of the first training step, where a
             callback prints the time and ends the process. It is compared with a script that imports torch and
             torchvision and loads both splits of MNIST with torchvision.datasets.MNIST, which verifies no checksums.
             Measured with files that are not gzipped, which both can read, and for zoo also with gzipped files, which
             it downloads and keeps.

Times start just before the parent process starts the child. Commands alternate; the first round, which fills file and
bytecode caches, does not count; ratios are computed within a round.

    ZOO_DATA=FOLDER python benchmarks/start_up.py
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from measuring import as_installed, copy_data, data_root, format_spread, load_average, machine, ratios, spread, write

ZOO = str(Path(sys.executable).with_name("zoo"))

IMPORTED = """
import sys
from zoo_core.cli import main
try:
    main(sys.argv[1:])
finally:
    print("torch" in sys.modules)
"""

FIRST_STEP = """
import os, sys, time
import zoo_core.loggers
from zoo_core.cli import main
from zoo_core.hookspecs import hookimpl

class FirstStep:
    @hookimpl
    def zoo_step_finished(self):
        print(time.time(), flush=True)
        os._exit(0)

standard = zoo_core.loggers.standard
zoo_core.loggers.standard = lambda: [*standard(), FirstStep()]
main(["run", "clsgan-mnist", "--device", "cpu", "--folder", sys.argv[1]])
"""

BARE = """
import os, sys, time
import torch, torchvision
train = torchvision.datasets.MNIST(os.environ["ZOO_DATA"], train=True)
test = torchvision.datasets.MNIST(os.environ["ZOO_DATA"], train=False)
print(time.time(), flush=True)
os._exit(0)
"""


def seconds(command: list[str], place: Path, data: Path | None = None) -> tuple[float, str]:
    """Seconds from the start of ``command`` to its end, and its output."""
    environment = {**as_installed(), "ZOO_HOME": str(place / "home")}
    if data is not None:
        environment["ZOO_DATA"] = str(data)
    started = time.time()
    done = subprocess.run(command, env=environment, cwd=place, capture_output=True, text=True)
    ended = time.time()
    if done.returncode:
        sys.exit(f"{command[:2]} failed:\n{done.stderr}")
    return ended - started, done.stdout


def seconds_until_printed(code: str, place: Path, data: Path, *arguments: str) -> float:
    """Seconds from the start of a Python that runs ``code`` to the time it prints."""
    started = time.time()
    _, printed = seconds([sys.executable, "-c", code, *arguments], place, data)
    return float(printed.split()[-1]) - started


def imports_torch(place: Path, argument: str) -> bool:
    return seconds([sys.executable, "-c", IMPORTED, argument], place)[1].split()[-1] == "True"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    args = parser.parse_args()
    before = load_average()
    print(f"{args.rounds} rounds, load average: {before}", flush=True)
    took: dict[str, list[float]] = {}
    with TemporaryDirectory() as folder:
        place = Path(folder)
        plain = copy_data(data_root(), place / "plain", packed=False)
        packed = copy_data(data_root(), place / "packed", packed=True)
        torch_imported = {word: imports_torch(place, word) for word in ("list", "--help")}
        for number in range(args.rounds + 1):
            this_round = {
                "zoo list": seconds([ZOO, "list"], place)[0],
                "zoo --help": seconds([ZOO, "--help"], place)[0],
                "torch, torchvision, data": seconds_until_printed(BARE, place, plain),
                "first step": seconds_until_printed(FIRST_STEP, place, plain, f"runs/plain-{number}"),
                "first step, gzipped data": seconds_until_printed(FIRST_STEP, place, packed, f"runs/packed-{number}"),
            }
            if number:
                for name, value in this_round.items():
                    took.setdefault(name, []).append(value)
    after = load_average()
    for name, values in took.items():
        print(f"{name.ljust(26)}  {format_spread(spread(values), 3)} s")
    for word, imported in torch_imported.items():
        print(f"torch in sys.modules after `zoo {word}`: {imported}")
    bare = took["torch, torchvision, data"]
    compared = {name: ratios(took[name], bare) for name in ("first step", "first step, gzipped data")}
    for name, ratio in compared.items():
        print(f"{name} / torch, torchvision, data: {format_spread(ratio, 3)}")
    print(f"load average afterwards: {after}")
    result = {
        "machine": machine(),
        "load_average": {"before": before, "after": after},
        "seconds": took,
        "torch_imported": torch_imported,
        "ratios": compared,
    }
    write(args.output, result)


if __name__ == "__main__":
    main()
