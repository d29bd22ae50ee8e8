"""Steps per second of clsgan-mnist-reference: a plain script, a bare loop, other frameworks and zoo, taking turns.

All do the same work: networks of 1,523,024 and 626,625 parameters in float32 on the CPU; batches of 64 of the 60,000
training digits in a new random order each epoch; the generator's step, then the discriminator's on the same generated
images, each with Adam; five losses. Each runs in its own process with the same number of threads. All are started,
warmed up and paused; then they take turns of a few seconds, and ratios are computed within a round. The warm-up is 3 %
of the recipe's 187,400 steps: by then some of Adam's moments are denormal numbers, with which a CPU computes many times
slower unless they are flushed to zero, which zoo does and the scripts do not.

plain  plain_script.py: per-example transforms, unfused Adam, two passes of the discriminator; it logs the losses every
       50 steps and writes an image every 400; plain-v1 is the same with torchvision's older ToTensor
bare   bare_loop.py: tensors in memory, fused Adam, one pass, frozen discriminator; no logging, no images
lightning, mmengine, accelerate
       lightning_script.py and so on: following the documentation of each, logging every 50 steps, with torchvision's
       dataset; -memory is the same with zoo's dataset, which returns whole batches
zoo    through_zoo.py: zoo with metrics file, TensorBoard, preview images and progress

    ZOO_DATA=FOLDER python benchmarks/training_speed.py
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from measuring import copy_data, data_root, installed, load_average, machine, write
from taking_turns import compare, report

SCRIPTS = {
    **{
        f"{peer}{'' if data == 'loader' else '-memory'}": (f"{peer}_script.py", f"--data={data}")
        for peer in ("lightning", "mmengine", "accelerate")
        for data in ("loader", "memory")
    },
    "plain-v1": ("plain_script.py", "--transforms=v1"),
    "plain": ("plain_script.py",),
    "bare": ("bare_loop.py",),
    "zoo": ("through_zoo.py",),  # next to the fastest others, since the speed of a machine may change within a round
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a turn")
    parser.add_argument("--warm-up", type=int, default=5000, help="steps before the first turn")
    parser.add_argument("--against", nargs="+", choices=[*SCRIPTS][:-1], help="otherwise all that is installed")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    args = parser.parse_args()
    against = args.against or installed({name: needed(name) for name in [*SCRIPTS][:-1]})
    before = load_average()
    with TemporaryDirectory() as folder:
        data = copy_data(data_root(), Path(folder, "data"), packed=False)
        rates, memory = compare({name: SCRIPTS[name] for name in (*against, "zoo")}, args, data, data)
    compared = report(rates, memory)
    load = {"before": before, "after": load_average()}
    print(f"load average before: {before}, afterwards: {load['after']}")
    result = {"machine": machine(), "threads": args.threads, "seconds": args.seconds, "load_average": load}
    write(args.output, {**result, "steps_per_second": rates, "memory": memory, "ratios": compared})


def needed(name: str) -> list[str]:
    """The packages that a script needs."""
    package = name.removesuffix("-memory")
    return [] if package in ("plain", "plain-v1", "bare") else [package]


if __name__ == "__main__":
    main()
