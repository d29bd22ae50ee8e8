"""Loading weights by name, compared with plain PyTorch and safetensors and with other libraries: seconds, peak memory.

The reference U-Net (31 million parameters, 126 MB) in an entry of a registry. All return the module in eval mode:

zoo    zoo.load(name) with a verified file: settings are validated, header and shapes are compared
bare   the module built on the meta device, safetensors' load_file, load_state_dict(assign=True)
timm   timm.create_model(name, pretrained=True) of the same network, registered with timm, from the same tensors
hub    from_pretrained of huggingface_hub's PyTorchModelHubMixin, the same network, from a folder that it saved

They alternate in one process; the memory is that above the imports, measured in a separate process for each.

    python benchmarks/loading.py
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import torch
from measuring import format_spread, load_average, machine, ratios, spread, status, write
from safetensors.torch import load_file

import zoo_core as zoo
from zoo_core.registry import catalog
from zoo_core.weights import format as weights_format
from zoo_core.weights.hashing import check

NAME = "reference-unet"


def bare(path: Path) -> torch.nn.Module:
    from zoo_plugins.unet.model import UNet

    with torch.device("meta"):
        model = UNet(UNet.Config())
    model.load_state_dict(load_file(path), assign=True)
    return model.eval()


def by_zoo(path: Path) -> torch.nn.Module:
    return zoo.load(NAME)


def timms(path: Path) -> torch.nn.Module:
    import timm
    from timm.models import build_model_with_cfg, is_model, register_model

    def reference_unet(pretrained: bool = False, **others: Any) -> torch.nn.Module:
        origin = {"file": str(path), "num_classes": 0, "classifier": ()}
        return build_model_with_cfg(plain_unet(), "reference_unet", pretrained, pretrained_cfg=origin)

    if not is_model("reference_unet"):
        reference_unet.__module__ = plain_unet().__module__ = "timm.models.reference_unet"
        sys.modules.setdefault("timm.models.reference_unet", ModuleType("timm.models.reference_unet")).__all__ = []
        register_model(reference_unet)
    return timm.create_model("reference_unet", pretrained=True).eval()


def hubs(path: Path) -> torch.nn.Module:
    from huggingface_hub import PyTorchModelHubMixin

    class Mixed(plain_unet(), PyTorchModelHubMixin):
        pass

    saved = path.with_name("hub")
    if not saved.is_dir():
        model = Mixed()
        model.load_state_dict(load_file(path))
        model.save_pretrained(saved, config={"network": "reference"})
    return Mixed.from_pretrained(saved).eval()


@cache
def plain_unet() -> type[torch.nn.Module]:
    """The reference network as a class that is built without arguments."""
    from zoo_plugins.unet.model import UNet

    class ReferenceUNet(UNet):
        def __init__(self, **others: Any) -> None:  # timm passes num_classes
            super().__init__(UNet.Config())

    return ReferenceUNet


WAYS: dict[str, Callable[[Path], torch.nn.Module]] = {"bare": bare, "zoo": by_zoo, "timm": timms, "hub": hubs}


def read_all(model: torch.nn.Module) -> float:
    return sum(float(tensor.sum()) for tensor in model.state_dict().values())


def publish(folder: Path) -> Path:
    """Write a weights file and a registry that lists it to ``folder``, and make that the user's registry."""
    os.environ["ZOO_HOME"] = str(folder)
    path = folder / "unet.safetensors"
    if not path.is_file():
        model = zoo.build("unet")
        metadata = {"model": "unet", "config": zoo.recipe("unet-frames").settings("model")}
        weights_format.write(path, model.state_dict(), metadata)
        entry = f"{{location: {path}, sha256: {check(path).sha256}, license: Apache-2.0, model: unet}}"
        (folder / "registry.yaml").write_text(f"weights:\n  {NAME}: {entry}\n", encoding="utf-8")
        catalog.default.cache_clear()
    return path


def peak(way: str, folder: Path) -> None:
    """Print the growth of the peak memory of this process in bytes (on Linux)."""
    path = publish(folder)
    read_all(zoo.load("digit-classifier-mnist"))  # imports everything that loading needs
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets the peak
    before = status("VmRSS")
    read_all(WAYS[way](path))
    print(status("VmHWM") - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    parser.add_argument("--peak", choices=list(WAYS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peak:
        peak(args.peak, args.folder)
        return
    before = load_average()
    ways = {name: way for name, way in WAYS.items() if name != "timm" or find_spec("timm")}
    with TemporaryDirectory() as name:
        folder = Path(name)
        path = publish(folder)
        for load in ways.values():
            read_all(load(path))
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(args.rounds):
            for way, load in ways.items():
                start = time.perf_counter()
                model = load(path)
                seconds[way].append(time.perf_counter() - start)
                del model
        command = [sys.executable, __file__, "--folder", name, "--peak"]
        peaks = {way: int(subprocess.check_output([*command, way], text=True).split()[-1]) for way in ways}
        size = path.stat().st_size
    for way in ways:
        peak_text = f"peak {peaks[way] / size:.2f} x the file's {size:,} bytes"
        print(f"{way:10} {format_spread(spread([1000 * one for one in seconds[way]]), 1)} ms, {peak_text}")
    compared = {f"{way}/zoo": ratios(seconds[way], seconds["zoo"]) for way in ways if way not in ("zoo", "bare")}
    compared["zoo/bare"] = ratios(seconds["zoo"], seconds["bare"])
    for way in ways:
        compared[f"peak of {way} / file"] = spread([peaks[way] / size])
    for way, ratio in compared.items():
        print(f"{way:20} {format_spread(ratio, 2)}")
    loads = {"before": before, "after": load_average()}
    print(f"load average before: {before}, afterwards: {loads['after']}")
    result = {"machine": machine(), "load_average": loads, "seconds": seconds, "peaks": peaks}
    write(args.output, {**result, "ratios": compared})


if __name__ == "__main__":
    main()
