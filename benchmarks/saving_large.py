"""Saving 31 million parameters with their Adam state (377 MB): the time that it blocks training, and bytes per second.

zoo     a checkpoint as zoo writes it during training: to a temporary folder, with checksums, synced, renamed. Training
        is blocked while the state is copied in memory; a thread does the rest
torch   torch.save of the same state dicts into one file, then a sync; training is blocked throughout
disk    the same number of bytes written sequentially into one file, then a sync

They alternate in one process. No training runs at the same time, so the writing thread has a core to itself.

    python benchmarks/saving_large.py
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import torch
from measuring import format_spread, load_average, machine, ratios, spread, write

import zoo_core as zoo
from zoo_core.checkpoint.state import TrainerState
from zoo_core.checkpoint.writer import AsyncCheckpointWriter


class Trained:
    """The state of a trainer: the reference U-Net after a step of Adam."""

    def __init__(self) -> None:
        self.model = zoo.build("unet")
        self.optimizer = torch.optim.Adam(self.model.parameters(), fused=True)
        for parameter in self.model.parameters():
            parameter.grad = torch.ones_like(parameter)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.state = TrainerState(self.model, SimpleNamespace(optimizer=self.optimizer))

    def bytes(self) -> int:
        return sum(
            one.numel() * one.element_size() for part, _ in self.state.capture().values() for one in part.values()
        )


def by_zoo(trained: Trained, folder: Path) -> tuple[float, float]:
    """Seconds that training is blocked, and seconds until the checkpoint is on disk."""
    with AsyncCheckpointWriter(folder, keep=1) as saver:
        started = time.perf_counter()
        saver.begin(1, trained.state.capture())
        waited = time.perf_counter() - started
        saved = saver.wait()
        took = time.perf_counter() - started
    assert saved is not None  # noqa: S101  # a checkpoint was started
    assert saved.path is not None, saved.error  # noqa: S101
    return waited, took


def by_torch(trained: Trained, folder: Path) -> tuple[float, float]:
    def save(path: Path) -> None:
        state = {"model": trained.model.state_dict(), "optimizer": trained.optimizer.state_dict()}
        torch.save(state, path)  # noqa: TID251  # for comparison; the file is never read

    took = timed(save, folder / "state.pt")
    return took, took


def by_disk(trained: Trained, folder: Path) -> tuple[float, float]:
    data = memoryview(torch.zeros(trained.bytes(), dtype=torch.uint8).numpy())
    took = timed(lambda path: path.write_bytes(data), folder / "bytes")
    return took, took


def timed(write_to: Callable[[Path], object], path: Path) -> float:
    started = time.perf_counter()
    write_to(path)
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    return time.perf_counter() - started


WAYS = {"zoo": by_zoo, "torch": by_torch, "disk": by_disk}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--folder", type=Path, help="a folder on the disk to be measured; otherwise that of temporary files"
    )
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    args = parser.parse_args()
    before = load_average()
    trained = Trained()
    size = trained.bytes()
    waited: dict[str, list[float]] = {name: [] for name in WAYS}
    took: dict[str, list[float]] = {name: [] for name in WAYS}
    for number in range(args.rounds + 1):
        for name, way in WAYS.items():
            with TemporaryDirectory(dir=args.folder) as folder:
                seconds = way(trained, Path(folder))
            if number:  # the first round allocates memory and loads code
                waited[name].append(seconds[0])
                took[name].append(seconds[1])
    for name in WAYS:
        rate = spread([size / second / 1e6 for second in took[name]])
        blocked, on_disk = (format_spread(spread(values[name]), 3) for values in (waited, took))
        print(f"{name:6} blocks for {blocked} s, on disk after {on_disk} s: ", end="")
        print(f"{format_spread(rate, 0)} MB/s")
    compared = {
        "stall of zoo/torch.save": ratios(waited["zoo"], waited["torch"]),
        "bytes/s of zoo/disk": ratios(took["disk"], took["zoo"]),
        "bytes/s of torch.save/disk": ratios(took["disk"], took["torch"]),
    }
    for name, ratio in compared.items():
        print(f"{name:28} {format_spread(ratio, 2)}")
    loads = {"before": before, "after": load_average()}
    print(f"{size:,} bytes; load average before: {before}, afterwards: {loads['after']}")
    result = {"machine": machine(), "load_average": loads, "bytes": size, "waited": waited, "took": took}
    write(args.output, {**result, "ratios": compared})


if __name__ == "__main__":
    main()
