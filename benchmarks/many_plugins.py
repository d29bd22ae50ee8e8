"""Seconds of listing in an environment with many plugins, beside the same without them.

50 distributions of four models and a file of two recipes each are laid into a folder as pip would leave them. Whole
commands, in turns: `zoo list models` and `zoo list` with and without that folder, and Python alone.

    python benchmarks/many_plugins.py
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from measuring import load_average, machine, said, spread, write

PLUGIN = """
from pathlib import Path
import zoo_core as zoo

@zoo.hookimpl
def zoo_register(registry):
    for name in {names!r}:
        registry.model(name, "{module}.model:Model", summary="A model", tags=("many",))
    registry.recipes(Path(__file__).with_suffix(".yaml"))
"""
RECIPES = """
recipes:
  {name}-small:
    summary: A small one
    model: {{name: {name}-a}}
    dataset: {{name: mnist}}
    trainer: {{name: classifier}}
    run: {{steps: 100}}
  {name}-large: {{extends: {name}-small, run: {{steps: 10000}}}}
"""


def lay(site: Path, number: int) -> None:
    name = module = f"many{number:02}"
    (site / f"{module}.py").write_text(PLUGIN.format(names=[f"{name}-{letter}" for letter in "abcd"], module=module))
    (site / f"{module}.yaml").write_text(RECIPES.format(name=name))
    info = site / f"zoo_{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: zoo-{module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[zoo]\n{name} = {module}\n")


def seconds(words: list[str], site: Path, home: Path) -> tuple[float, str]:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "ZOO_HOME": str(home),
    }
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *words], env=environment, cwd=home, capture_output=True, text=True, check=True
    )
    return time.perf_counter() - started, done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--plugins", type=int, default=50)
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    given = parser.parse_args()
    before = load_average()
    took: dict[str, list[float]] = {}
    with TemporaryDirectory() as folder:
        many, none = Path(folder, "many"), Path(folder, "none")
        many.mkdir()
        none.mkdir()
        for number in range(given.plugins):
            lay(many, number)
        listed = seconds(["-m", "zoo_core", "list", "models"], many, none)[1]
        if listed.count("A model") != 4 * given.plugins:
            sys.exit(f"not all models are listed:\n{listed}")
        watched = (
            "import sys; from zoo_core.cli import main\ntry: main(['list'])\nfinally: print('torch' in sys.modules)"
        )
        if seconds(["-c", watched], many, none)[1].split()[-1] != "False":
            sys.exit("torch was imported")
        for number in range(given.rounds + 1):
            this_round = {
                "python": seconds(["-c", "pass"], none, none)[0],
                "list models": seconds(["-m", "zoo_core", "list", "models"], none, none)[0],
                f"list models, {given.plugins} plugins": seconds(["-m", "zoo_core", "list", "models"], many, none)[0],
                "list": seconds(["-m", "zoo_core", "list"], none, none)[0],
                f"list, {given.plugins} plugins": seconds(["-m", "zoo_core", "list"], many, none)[0],
            }
            if number:
                for name, value in this_round.items():
                    took.setdefault(name, []).append(value)
    for name, values in took.items():
        print(f"{name.ljust(26)}  {said(spread(values), 3)} s")
    load = {"before": before, "after": load_average()}
    print(f"load average before: {before}, afterwards: {load['after']}")
    write(given.output, {"machine": machine(), "load_average": load, "seconds": took})


if __name__ == "__main__":
    main()
