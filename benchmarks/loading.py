"""Loading weights by name against PyTorch and safetensors alone: seconds, and memory at the peak.

The reference U-Net (31 million parameters, 126 MB) in an entry of a registry. Both ways give the module in eval mode:

bare   the module built on the meta device, safetensors' load_file, load_state_dict(assign=True)
zoo    zoo.load(name), whose file was checked before: settings read and checked, header and shapes compared

In turns in one process; memory in a process of its own each, above what it had with everything imported.

    python benchmarks/loading.py
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from measuring import load_average, machine, write
from safetensors.torch import load_file

import zoo_core as zoo
from zoo_core import catalog
from zoo_core.weights import format as weights_format
from zoo_core.weights.checked import check

NAME = "reference-unet"


def bare(path: Path) -> torch.nn.Module:
    from zoo_plugins.unet.model import UNet

    with torch.device("meta"):
        model = UNet(UNet.Config())
    model.load_state_dict(load_file(path), assign=True)
    return model.eval()


def by_zoo(path: Path) -> torch.nn.Module:
    return zoo.load(NAME)


WAYS: dict[str, Callable[[Path], torch.nn.Module]] = {"bare": bare, "zoo": by_zoo}


def read_all(model: torch.nn.Module) -> float:
    return sum(float(tensor.sum()) for tensor in model.state_dict().values())


def publish(folder: Path) -> Path:
    """A weights file in ``folder`` and a registry that lists it, which is the user's own from now on."""
    os.environ["ZOO_HOME"] = str(folder)
    path = folder / "unet.safetensors"
    if not path.is_file():
        model = zoo.build("unet")
        story = {"model": "unet", "config": zoo.recipe("unet-frames").settings("model")}
        weights_format.write(path, model.state_dict(), story)
        entry = f"{{location: {path}, sha256: {check(path).sha256}, licence: Apache-2.0, model: unet}}"
        (folder / "registry.yaml").write_text(f"weights:\n  {NAME}: {entry}\n", encoding="utf-8")
        catalog.default.cache_clear()
    return path


def peak(way: str, folder: Path) -> None:
    """Print the bytes by which this process grew at its peak (on Linux)."""
    path = publish(folder)
    read_all(zoo.load("digit-classifier-mnist"))  # imports all that a load needs
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak from now on
    before = _status("VmRSS")
    read_all(WAYS[way](path))
    print(_status("VmHWM") - before)


def _status(name: str) -> int:
    """A line of this process's status, in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    parser.add_argument("--peak", choices=list(WAYS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peak:
        peak(given.peak, given.folder)
        return
    before = load_average()
    with TemporaryDirectory() as name:
        folder = Path(name)
        path = publish(folder)
        for load in WAYS.values():
            read_all(load(path))
        seconds: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(given.rounds):
            for way, load in WAYS.items():
                start = time.perf_counter()
                model = load(path)
                seconds[way].append(time.perf_counter() - start)
                del model
        words = [sys.executable, __file__, "--folder", name, "--peak"]
        peaks = {way: int(subprocess.check_output([*words, way], text=True)) for way in WAYS}
        size = path.stat().st_size
    ratios = [one / other for one, other in zip(seconds["zoo"], seconds["bare"], strict=True)]
    for way in WAYS:
        print(
            f"{way:6} {1000 * median(seconds[way]):7.1f} ms, peak {peaks[way] / size:.2f} x the file's {size:,} bytes"
        )
    print(f"zoo/bare  {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) x the time")
    load_averages = {"before": before, "after": load_average()}
    print(f"load average before: {before}, afterwards: {load_averages['after']}")
    write(given.output, {"machine": machine(), "load_average": load_averages, "seconds": seconds, "peaks": peaks})


if __name__ == "__main__":
    main()
