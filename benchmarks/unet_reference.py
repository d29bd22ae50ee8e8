"""The reference U-Net (31,430,416 parameters, 20 RGB frames to 20) on one sample of 480 x 560, on the CPU.

forward   seconds of a plain forward pass (contiguous memory, eval mode, no gradients) and of zoo's predictions
          (channels last, folded normalization, inference mode), alternating; and the largest difference of the results
training  peak memory of a process that runs training steps with AdamW, with and without model.checkpointing

    python benchmarks/unet_reference.py
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from measuring import format_spread, load_average, machine, ratios, spread, write
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

import zoo_core as zoo
from zoo_core.tools.bench.machine import matrix_products
from zoo_plugins.unet.fuse import fuse_batch_norm

SIZE = (1, 60, 480, 560)


def forward(rounds: int) -> dict[str, Any]:
    torch.manual_seed(0)
    plain = zoo.build("unet")
    plain.train()
    with torch.no_grad():
        for _ in range(2):  # changes the running statistics from their initial values
            plain(torch.rand(1, 60, 96, 112))
    plain.eval()
    fast = fuse_batch_norm(plain)
    sample = torch.rand(SIZE)
    times: dict[str, list[float]] = {"plain": [], "zoo": []}
    peaks: list[float] = []
    max_difference = 0.0
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        plain(sample)
    for number in range(rounds + 1):
        with torch.no_grad():
            seconds, expected = timed(plain, sample)
        with torch.inference_mode():
            zoo_seconds, actual = timed(fast, sample)
        if number:  # the first round allocates memory
            times["plain"].append(seconds)
            times["zoo"].append(zoo_seconds)
            peaks.append(matrix_products(torch.device("cpu"), "float32"))
        max_difference = max(max_difference, float((expected - actual).abs().max()))
    compared = ratios(times["plain"], times["zoo"])
    for name, values in times.items():
        print(f"{name.ljust(12)}  {format_spread(spread(values), 2)} s")
    print(f"{'plain/zoo'.ljust(12)}  {format_spread(compared, 3)}")
    operations = counter.get_total_flops()
    fraction = spread([operations / seconds / peak for seconds, peak in zip(times["zoo"], peaks, strict=True)])
    print(f"{'fraction of peak'.ljust(12)}  {format_spread(fraction, 3)}")
    print(f"largest difference {max_difference:.1e}, largest value {float(expected.abs().max()):.2f}")
    return {
        "seconds": times,
        "peaks": peaks,
        "operations": operations,
        "ratio": compared,
        "fraction_of_peak": fraction,
        "max_difference": max_difference,
    }


def timed(network: torch.nn.Module, sample: Tensor) -> tuple[float, Tensor]:
    started = time.perf_counter()
    result = network(sample)
    return time.perf_counter() - started, result


def train(checkpointing: bool) -> None:
    """Run two training steps; prints the peak memory of this process in GiB and the seconds of the second step."""
    model = zoo.build("unet", {"checkpointing": checkpointing}).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    sample, target = torch.rand(SIZE), torch.rand(SIZE)
    for _ in range(2):
        started = time.perf_counter()
        loss = (model(sample) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{peak:.2f} {time.perf_counter() - started:.1f}")


def training() -> dict[str, tuple[float, ...]]:
    found = {}
    for name, word in (("kept", "false"), ("checkpointed", "true")):
        command = [sys.executable, str(Path(__file__).absolute()), "--train", word]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peak, seconds = map(float, done.stdout.split())
        found[name] = (peak, seconds)
        print(f"{name.ljust(12)}  peak {peak:.2f} GiB, a step {seconds:.1f} s")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--train", choices=["true", "false"], help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    args = parser.parse_args()
    if args.train:
        train(args.train == "true")
        return
    before = load_average()
    print(f"{args.rounds} rounds, threads: {torch.get_num_threads()}, load average: {before}", flush=True)
    result: dict[str, Any] = {"machine": machine(), "forward": forward(args.rounds), "training": training()}
    result["ratios"] = {
        "plain/zoo": result["forward"]["ratio"],
        "fraction of peak": result["forward"]["fraction_of_peak"],
    }
    write(args.output, {**result, "load_average": {"before": before, "after": load_average()}})


if __name__ == "__main__":
    main()
