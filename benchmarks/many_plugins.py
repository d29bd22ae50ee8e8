"""Seconds of commands that list and describe, without and with many plugins, compared with those of other programs.

zoo     `zoo list`, `zoo list models`, `zoo info RECIPE`, `zoo run RECIPE --print-config`; without plugins, and with 50
        installed distributions of four models and a file of two recipes each
others  `timm.list_models()` in Python, `llm plugins`, `kedro --help`, if they are installed

All commands alternate, and so does the start of Python without any work.

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

from measuring import as_installed, format_spread, installed, load_average, machine, ratios, spread, write

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


def write_distribution(site: Path, number: int) -> None:
    name = module = f"many{number:02}"
    (site / f"{module}.py").write_text(PLUGIN.format(names=[f"{name}-{letter}" for letter in "abcd"], module=module))
    (site / f"{module}.yaml").write_text(RECIPES.format(name=name))
    info = site / f"zoo_{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: zoo-{module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[zoo]\n{name} = {module}\n")


def seconds(arguments: list[str], site: Path, home: Path) -> tuple[float, str]:
    environment = {
        **as_installed(),
        "PYTHONPATH": os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "ZOO_HOME": str(home),
    }
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=home, capture_output=True, text=True, check=True
    )
    return time.perf_counter() - started, done.stdout


RECIPE = "clsgan-mnist"
COMMANDS = {
    "zoo list": ["list"],
    "zoo list models": ["list", "models"],
    "zoo info": ["info", RECIPE],
    "zoo run --print-config": ["run", RECIPE, "--print-config"],
}
OTHERS = {
    "timm.list_models": ("timm", ["-c", "import timm; print(*timm.list_models())"]),
    "llm plugins": ("llm", ["-m", "llm", "plugins"]),
    "kedro --help": ("kedro", ["-m", "kedro", "--help"]),
}
COMPARED_COMMAND = "zoo list"  # what the other programs, which only list, are compared with


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--plugins", type=int, default=50)
    parser.add_argument("--others", nargs="*", choices=list(OTHERS), default=list(OTHERS), help="programs to compare")
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    args = parser.parse_args()
    before = load_average()
    others = {name: OTHERS[name][1] for name in installed({name: OTHERS[name][:1] for name in args.others})}
    with TemporaryDirectory() as folder:
        many, none = Path(folder, "many"), Path(folder, "none")
        many.mkdir()
        none.mkdir()
        for number in range(args.plugins):
            write_distribution(many, number)
        check(many, none, 4 * args.plugins)
        turns = {"python": (["-c", "pass"], none), **{name: (arguments, none) for name, arguments in others.items()}}
        for name, arguments in COMMANDS.items():
            turns[name] = (["-m", "zoo_core", *arguments], none)
            turns[f"{name}, {args.plugins} plugins"] = (["-m", "zoo_core", *arguments], many)
        took: dict[str, list[float]] = {name: [] for name in turns}
        for number in range(args.rounds + 1):
            for name, (arguments, site) in turns.items():
                second, _ = seconds(arguments, site, none)
                if number:  # the first round fills file and bytecode caches
                    took[name].append(second)
    for name, values in took.items():
        print(f"{name.ljust(36)}  {format_spread(spread(values), 3)} s")
    compared = {f"{name}/{COMPARED_COMMAND}": ratios(took[name], took[COMPARED_COMMAND]) for name in others}
    for name, ratio in compared.items():
        print(f"{name.ljust(36)}  {format_spread(ratio, 1)}")
    load = {"before": before, "after": load_average()}
    print(f"load average before: {before}, afterwards: {load['after']}")
    compared |= {f"seconds of {name}": spread(values) for name, values in took.items()}
    result = {"machine": machine(), "load_average": load, "seconds": took}
    write(args.output, {**result, "ratios": compared})


def check(many: Path, none: Path, models: int) -> None:
    """Check that the timed command lists all models and does not import torch."""
    listed = seconds(["-m", "zoo_core", "list", "models"], many, none)[1]
    if listed.count("A model") != models:
        sys.exit(f"not all models are listed:\n{listed}")
    watched = "import sys; from zoo_core.cli import main\ntry: main(['list'])\nfinally: print('torch' in sys.modules)"
    if seconds(["-c", watched], many, none)[1].split()[-1] != "False":
        sys.exit("torch was imported")


if __name__ == "__main__":
    main()
