"""The cost of a training step of each bundled recipe, on one process and on two, and how it scales.

It counts operations, parameters and bytes, measures seconds with one thread per process (cost_of_step.py), fits a model
of the seconds (cost_fit.py), and prints tables. For recipes that need larger machines the cost is only calculated.

    ZOO_DATA=FOLDER python benchmarks/cost.py --output cost.json
    python benchmarks/cost.py --read cost.json        # prints the tables of an earlier measurement
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from cost_fit import fit, tables
from measuring import data_root, load_average, machine, write

BATCHES = {
    "clsgan-mnist": (64, 16, 256),
    "clsgan-mnist-reference": (64, 256),
    "digit-classifier-mnist": (128, 32, 512),
    "unet-moving-mnist": (8, 2, 16),
    "unet-digit-scenes": (16, 4, 32),
}
SIDES = {
    "unet-moving-mnist": (4, [f"dataset.size={side}" for side in (32, 64, 128)]),
    "unet-digit-scenes": (4, [f"dataset.height={2 * side} dataset.width={2 * side}" for side in (16, 32, 64)]),
}
WIDTHS = [f"dataset.size=32 run.batch_size=2 model.base_channels={channels}" for channels in (16, 32, 64)]
ON_PAPER = {  # the shape of one input example of the recipe
    "unet-moving-mnist-large": (10, 64, 64),
    "unet-pets": (3, 128, 128),
    "unet-frames": (60, 480, 560),
}


def measure(recipe: str, settings: list[str], processes: int, seconds: float = 1.0) -> list[dict[str, Any]]:
    """The output of cost_of_step.py for each of ``settings``."""
    script = str(Path(__file__).with_name("cost_of_step.py"))
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    arguments = [recipe, *" / ".join(settings).split(), "--seconds", str(seconds)]
    command = [sys.executable, *(launcher if processes > 1 else []), script, *arguments]
    before = load_average()
    started = time.monotonic()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    if done.returncode:
        sys.exit(done.stderr)
    took = time.monotonic() - started
    print(f"{recipe} on {processes}: {took:.0f} s, load average {before[0]}", file=sys.stderr, flush=True)
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return [{**one, "load_average": before} for one in found]


def on_paper(recipe: str, shape: tuple[int, ...]) -> dict[str, Any]:
    """Operations, parameters and activation bytes of one example in float32, calculated on the meta device."""
    import torch
    from cost_of_step import Kept
    from torch.utils.flop_counter import FlopCounterMode

    from zoo_core.registry.catalog import Catalog
    from zoo_core.registry.resolve import resolve

    catalog = Catalog()
    chosen = catalog.recipe(recipe, *(["dataset.folder=."] if recipe == "unet-frames" else []))
    loaded, config = resolve(chosen, catalog).components["model"].load()
    with torch.device("meta"):
        model = loaded(config)
        image = torch.empty(1, *shape)
    kept = Kept(list(model.parameters()))
    with (
        FlopCounterMode(display=False) as counter,
        torch.autograd.graph.saved_tensors_hooks(kept, lambda tensor: tensor),
    ):
        model(image).square().mean().backward()
    run = chosen.run_settings()
    return {
        "recipe": recipe,
        "batch_size": run.batch_size,
        "precision": run.precision,
        "shape": shape,
        "parameters": sum(one.numel() for one in model.parameters()),
        "flops_of_one": counter.get_total_flops(),
        "kept_bytes_of_one": kept.bytes,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    parser.add_argument("--read", type=Path, help="read the measurements from such a file")
    args = parser.parse_args()
    if args.read:
        result = json.loads(args.read.read_text(encoding="utf-8"))
    else:
        data_root()
        before = load_average()
        sized = {recipe: [f"run.batch_size={size}" for size in sizes] for recipe, sizes in BATCHES.items()}
        sides = {name: [f"run.batch_size={size} {side}" for side in every] for name, (size, every) in SIDES.items()}
        of_batches = [one for processes in (1, 2) for name in sized for one in measure(name, sized[name], processes)]
        of_sides = [one for name, settings in sides.items() for one in measure(name, settings, 1)]
        of_widths = measure("unet-moving-mnist", WIDTHS, 2)
        paper = [on_paper(recipe, shape) for recipe, shape in ON_PAPER.items()]
        load = {"before": before, "after": load_average()}
        result = {"machine": machine(), "load_average": load, "batches": of_batches, "sides": of_sides}
        result |= {"widths": of_widths, "paper": paper}
    result["fit"] = fit(result)
    print(tables(result))
    write(args.output, result)


if __name__ == "__main__":
    main()
