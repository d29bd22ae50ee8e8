"""The command line of the scripts that train with other frameworks."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from peer_task import DATA


def run(train: Callable[..., None], about: str | None, devices: Sequence[str] = ("cpu",)) -> None:
    """Call ``train`` with the number of steps, the kind of data and an output folder; prints steps/s.

    If it knows several devices, it is also given the chosen one.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=187_400)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--data", choices=DATA, default="loader")
    parser.add_argument("--device", choices=devices, default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        train(args.steps, args.data, Path(folder), *([args.device] if len(devices) > 1 else []))
    print(f"{args.steps / (time.perf_counter() - started):.2f} steps/s")
