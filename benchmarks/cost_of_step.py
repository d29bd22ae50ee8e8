"""The cost of one training step of a recipe, as a line of JSON for each of several settings; cost.py calls it.

    ZOO_DATA=FOLDER python benchmarks/cost_of_step.py clsgan-mnist run.batch_size=64 / run.batch_size=256
    ZOO_DATA=FOLDER torchrun --standalone --nproc-per-node 2 benchmarks/cost_of_step.py clsgan-mnist

The seconds are those of a whole step: loading examples, forward and backward pass, optimizer and, with several
processes, the gradient exchange. ``silent`` are those without that exchange, measured alternately. In
``processor_seconds``, the CPU time of the process, other processes on the machine and waiting do not count.
"""

from __future__ import annotations

import argparse
import json
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import torch
import unet_networks
from measuring import spread, status
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.flop_counter import FlopCounterMode

from zoo_core.data.seeding import seed_step
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.training.assemble import try_out
from zoo_core.training.loop import Loop

# Nothing is evaluated here, so the classifiers that evaluate a GAN would only need memory.
NO_CLASSIFIERS = ("trainer.eval_classifier=null", "trainer.cas_classifier=null")
# A plain U-Net instead of the recipe's: its cost is determined by channels and pixels.
PLAIN = {unet_networks.RECIPE: ("model.base_channels=16", *unet_networks.PLAIN)}
TURNS = 3


class Kept:
    """Bytes that the forward pass saves for the backward pass, without parameters; each storage counts once."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self.known = {parameter.untyped_storage()._cdata for parameter in parameters}
        self.storages: dict[int, Any] = {}

    def __call__(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self.known:
            self.storages[storage._cdata] = storage  # a reference, so that its address is not reused
        return tensor

    @property
    def bytes(self) -> int:
        return sum(storage.nbytes() for storage in self.storages.values())


def one_step(loop: Loop) -> tuple[float, float]:
    """Run one step as the loop does; returns its wall-clock seconds and its CPU seconds."""
    start, cpu_start = time.perf_counter(), time.process_time()
    seed_step(0, loop.run.step, loop.engine.rank)
    loop.run.trainer.step(loop.engine.to_device(next(loop.batches)))
    loop.run.trainer.after_step()
    loop.run.step += 1
    if loop.average:
        loop.average.update(loop.run.step)
    return time.perf_counter() - start, time.process_time() - cpu_start


def timed(loop: Loop, seconds: float) -> dict[str, Any]:
    """The seconds of a step with and without the gradient exchange, as spreads, and the seconds of loading a batch."""
    first = torch.tensor(min(one_step(loop)[0] for _ in range(3)))
    if loop.engine.world > 1:
        torch.distributed.broadcast(first, 0)  # all processes must run the same number of steps
    count = int(max(3, min(100, seconds / TURNS / float(first))))
    wrapped = [one for one in vars(loop.run.trainer).values() if isinstance(one, DistributedDataParallel)]
    kinds = ("exchanging", "silent") if wrapped else ("exchanging",)
    steps: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    for _ in range(TURNS):
        for kind, found in steps.items():
            with ExitStack() as stack:
                for network in wrapped if kind == "silent" else ():
                    stack.enter_context(network.no_sync())
                found += [one_step(loop) for _ in range(count + 1)][1:]
    start = time.process_time()
    for _ in range(5):
        next(loop.batches)
    return {
        "seconds": {kind: spread([by_clock for by_clock, _ in found]) for kind, found in steps.items()},
        "processor_seconds": {kind: spread([of_core for _, of_core in found]) for kind, found in steps.items()},
        "batch_seconds": (time.process_time() - start) / 5,
    }


def sizes(loop: Loop) -> dict[str, int]:
    """The number of parameters, and the bytes that persist between steps."""
    trainer, model = loop.run.trainer, loop.run.model
    optimizers = [one for one in vars(trainer).values() if isinstance(one, torch.optim.Optimizer)]
    states = [value for one in optimizers for state in one.state.values() for value in state.values()]
    parameters = list(model.parameters())
    return {
        "parameters": sum(one.numel() for one in parameters),
        "parameter_bytes": _bytes(parameters) + _bytes(model.buffers()),
        "gradient_bytes": _bytes(one.grad for one in parameters if one.grad is not None),
        "optimizer_bytes": _bytes(value for value in states if isinstance(value, Tensor)),
        "average_bytes": _bytes(loop.average.state_dict()["average"].values()) if loop.average else 0,
    }


def _bytes(tensors: Any) -> int:
    return sum(tensor.nbytes for tensor in tensors)


def peak_growth(loop: Loop) -> int | None:
    """The peak memory during the first steps above the memory before them, in bytes; None if not on Linux."""
    forget = Path("/proc/self/clear_refs")
    if not forget.exists():
        return None
    before = psutil.Process().memory_info().rss
    forget.write_text("5")  # resets the peak
    for _ in range(3):
        one_step(loop)
    return status("VmHWM") - before


def cost(recipe: str, overrides: list[str], seconds: float, first: bool) -> dict[str, Any]:
    catalog = Catalog()
    fixed = NO_CLASSIFIERS if catalog.recipe(recipe).component("trainer") == "clsgan" else PLAIN.get(recipe, ())
    loop = try_out(resolve(catalog.recipe(recipe, "run.device=cpu", "run.workers=0", *fixed, *overrides), catalog))
    with loop.engine.flushing_denormals():
        grown = peak_growth(loop) if first else None  # a later loop would reuse memory of the first one
        times = timed(loop, seconds)
        kept = Kept(list(loop.run.model.parameters()))
        with torch.autograd.graph.saved_tensors_hooks(kept, lambda tensor: tensor):
            one_step(loop)
        with FlopCounterMode(display=False) as counter:
            one_step(loop)
    return {
        "recipe": recipe,
        "overrides": overrides,
        "processes": loop.engine.world,
        "first": loop.engine.is_rank_zero,
        "batch_size": loop.run.settings.batch_size,
        "precision": loop.engine.precision,
        "flops": counter.get_total_flops(),
        "kept_bytes": kept.bytes,
        "peak_growth_bytes": grown,
        **times,
        **sizes(loop),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="settings; a / starts the next set")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of each measurement")
    args = parser.parse_args()
    for number, text in enumerate(" ".join(args.overrides).split("/")):
        found = cost(args.recipe, text.split(), args.seconds, number == 0)
        if found.pop("first"):
            print(json.dumps(found), flush=True)
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
