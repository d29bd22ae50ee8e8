"""Forward passes of the reference U-Net (20 RGB frames of 480 x 560 to 20) in bfloat16.

plain     the module under autocast, in channels-last memory
zoo       what `predict` runs for a model loaded with dtype=bfloat16: batch normalization fused, inference mode
captured  the same as one CUDA graph, for comparison
"""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn

import zoo_core as zoo
from benchmarks.gpu.graphs import captured
from benchmarks.gpu.results import Options, Results
from zoo_core.tools.bench.machine import synchronize
from zoo_plugins.unet.fuse import fuse_batch_norm

SIZE, QUICK_SIZE = (1, 60, 480, 560), (1, 60, 48, 64)
ROUNDS, SECONDS = 5, 0.5


def measure(results: Results, options: Options) -> None:
    device = torch.device(options.device)
    ways: dict[str, Callable[[], Tensor]] = {}
    with results.attempt("plain/zoo"):
        torch.manual_seed(0)
        model = zoo.build("unet", {"base_channels": 4} if options.quick else {})
        with torch.no_grad():
            for _ in range(2):  # changes the running statistics from their initial values
                model.train()(torch.rand(1, 60, 96, 112))
        model = model.eval().to(device).to(memory_format=torch.channels_last)
        sample = torch.rand(QUICK_SIZE if options.quick else SIZE, device=device)
        fused = fuse_batch_norm(zoo_model(model))
        half = sample.to(torch.bfloat16)

        def plain() -> Tensor:
            with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
                return model(sample.to(memory_format=torch.channels_last))  # type: ignore[no-any-return]

        def through_zoo() -> Tensor:
            with torch.inference_mode():
                return fused(half)  # type: ignore[no-any-return]

        ways = {"plain": plain, "zoo": through_zoo}
        expected, actual = plain().float(), through_zoo().float()
        difference = float((expected - actual).abs().max() / expected.abs().max())
        results.detail("largest difference over the largest value", difference)
    if not ways:
        return
    with results.attempt("plain/captured"), torch.no_grad():
        replay = captured(fused, half)
        ways["captured"] = lambda: replay(half)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(2 if options.quick else ROUNDS):
        for name, call in ways.items():
            with results.attempt(f"forward/s, {name}"):
                rates[name].append(rate(call, device, 0.05 if options.quick else SECONDS, 1 if options.quick else 10))
    for name, values in rates.items():
        if values:
            results.add(f"forward/s, {name}", values)
    for name in ("zoo", "captured"):
        if name in rates and len(rates[name]) == len(rates["plain"]):
            results.add(f"plain/{name}", [one / other for one, other in zip(rates[name], rates["plain"], strict=True)])


def zoo_model(model: nn.Module) -> nn.Module:
    """A copy in bfloat16, as ``zoo.load(..., dtype="bfloat16")`` returns it."""
    return deepcopy(model).to(torch.bfloat16)


def rate(call: Callable[[], Tensor], device: torch.device, seconds: float, at_once: int) -> float:
    """Calls per second; the device is waited for after every ``at_once`` calls."""
    for _ in range(at_once):
        call()
    synchronize(device)
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        for _ in range(at_once):
            call()
        synchronize(device)  # otherwise thousands of calls would be waiting
        count += at_once
    return count / (time.perf_counter() - started)
