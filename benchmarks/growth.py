"""Scaling of the run time with the size of a batch, an image, a dataset or a registry: the exponent p of c * size^p.

batch     a training step of clsgan-mnist-reference with 16 to 1,024 examples
pixels    a forward pass of the U-Net with 16 channels on 64 x 64 to 480 x 560 pixels
examples  1,000 to 10,000,000 examples, generated on access: from the start of an epoch to its first batch
names     10 to 10,000 recipes in the user's registry: `zoo list recipes` without the start of Python
processes a training step of clsgan-mnist-reference on one process and on two, with one thread and 64 examples each

1 is linear, less is better. The exponent is the slope of a line fitted to the logarithms; that of the last two sizes is
reported as well, since a constant part hides the growth at small sizes.

    ZOO_DATA=FOLDER python benchmarks/growth.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from cost import measure
from measuring import data_root, load_average, machine, spread, write

import zoo_core as zoo
from zoo_core.data.loader import Batches
from zoo_core.registry import catalog
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.training.assemble import try_out
from zoo_plugins.unet.fuse import fuse_batch_norm

Work = tuple[int, Callable[[], object]]
ROUNDS = 3
_COUNTS = (1, 2)


def batch() -> Iterator[Work]:
    here = catalog.default()
    for size in (16, 32, 64, 128, 256, 512, 1024):
        overrides = [f"run.batch_size={size}", "trainer.eval_classifier=null", "run.device=cpu"]
        loop = try_out(resolve(here.recipe("clsgan-mnist-reference", *overrides), here))

        def step(loop: object = loop) -> None:
            loop.run.trainer.step(next(loop.batches))

        yield size, step


def pixels() -> Iterator[Work]:
    model = fuse_batch_norm(zoo.build("unet", {"base_channels": 16}))  # as `zoo predict` has it
    for height, width in ((64, 64), (128, 128), (240, 272), (480, 560)):
        sample = torch.rand(1, 60, height, width).contiguous(memory_format=torch.channels_last)

        def forward(sample: torch.Tensor = sample) -> None:
            with torch.inference_mode():
                model(sample)

        yield height * width, forward


class Numbers:
    """Examples that contain their own index."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        return self.__getitems__([number])

    def __getitems__(self, numbers: list[int]) -> dict[str, torch.Tensor]:
        return {"number": torch.tensor(numbers)}


def examples() -> Iterator[Work]:
    for count in (1_000, 10_000, 100_000, 1_000_000, 10_000_000):
        numbers = Numbers(count)

        def first_batch(numbers: Numbers = numbers, count: int = count) -> None:
            next(Batches(numbers, lambda generator: torch.randperm(count, generator=generator), 64, seed=0))

        yield count, first_batch


def names() -> Iterator[Work]:
    with TemporaryDirectory() as folder:
        for count in (10, 100, 1_000, 10_000):
            path = Path(folder, f"{count}.yaml")
            entry = "  mine-{0}: {{extends: clsgan-mnist, run: {{seed: {0}}}}}\n"
            path.write_text("recipes:\n" + "".join(map(entry.format, range(count))), encoding="utf-8")

            def listing(path: Path = path, count: int = count) -> None:
                assert len(Catalog([path]).rows("recipes")) > count  # noqa: S101  # the bundled ones are listed as well

            yield count, listing


def processes(seconds: float) -> dict[int, float]:
    """Weak scaling: the work per process is constant, so ideally the seconds are too."""
    measured = {}
    for count in _COUNTS:
        (found,) = measure("clsgan-mnist-reference", [f"run.batch_size={64 * count}"], count, seconds)
        measured[count] = found["seconds"]["exchanging"]["median"]
    return measured


def each(works: Callable[[], Iterator[Work]], seconds: float) -> dict[int, float]:
    """The median time for each size, measured for ``seconds`` in rounds, so that the load affects all sizes alike."""
    times: dict[int, list[float]] = {}
    for _ in range(ROUNDS):
        for size, work in works():
            times.setdefault(size, []).extend(timed(work, seconds / ROUNDS))
    return {size: median(found) for size, found in times.items()}


KINDS: dict[str, Callable[[float], dict[int, float]]] = {
    **{works.__name__: partial(each, works) for works in (batch, pixels, examples, names)},
    "processes": processes,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seconds", type=float, default=2.0, help="minimum for each size")
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    args = parser.parse_args()
    data_root()
    before = load_average()
    torch.set_flush_denormal(True)
    measured: dict[str, dict[int, float]] = {}
    for kind in args.only:
        measured[kind] = KINDS[kind](args.seconds)
        for size, taken in measured[kind].items():
            print(f"{kind:10} {size:>12,}  {taken:.6f} s", flush=True)
    exponents = {kind: exponent(found) for kind, found in measured.items()}
    last = {kind: exponent(dict([*found.items()][-2:])) for kind, found in measured.items()}
    for kind in measured:
        print(f"{kind:10} exponent {exponents[kind]:.2f}, between the last two sizes {last[kind]:.2f}")
    loads = {"before": before, "after": load_average()}
    print(f"load average before: {before}, afterwards: {loads['after']}")
    compared = {f"exponent of {kind}": spread([value]) for kind, value in last.items()}
    compared |= {f"exponent of {kind}, all sizes": spread([value]) for kind, value in exponents.items()}
    result = {"machine": machine(), "load_average": loads, "seconds": measured, "exponents": exponents, "last": last}
    write(args.output, {**result, "ratios": compared})


def timed(work: Callable[[], object], seconds: float) -> list[float]:
    """The times of calls for ``seconds`` in total, after one call that is not counted."""
    work()
    times: list[float] = []
    while sum(times) < seconds:
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return times


def exponent(found: dict[int, float]) -> float:
    slope, _ = np.polyfit(np.log([*found]), np.log([*found.values()]), 1)
    return float(slope)


if __name__ == "__main__":
    main()
