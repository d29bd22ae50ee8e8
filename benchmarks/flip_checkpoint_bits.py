"""Flip random bits in the files of a stopped run, resume it, and count whether each flip is noticed or harmless:

    python benchmarks/flip_checkpoint_bits.py --flips 400 --seed 0

Each trial copies the folder of a run of `digit-classifier-mnist` that was stopped between two checkpoints, flips one
bit of one file (each file is equally likely), and resumes the run to its end in this process.

noticed    a message or an error names the file or the setting; the tensors of the result are those of the
           uninterrupted run, or there is no result
harmless   nothing is said, and the weights file is byte for byte that of the uninterrupted run
WRONG      anything else: other weights, or an exception that is not a ZooError

The exit code is 1 if any outcome is WRONG.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import torch
from measuring import status

import zoo_core as zoo
from zoo_core.config.recipe import read_config
from zoo_core.loggers import standard
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.training.runner import run_recipe
from zoo_core.weights.format import read_tensors
from zoo_core.weights.values import same_bits

SETTINGS = [
    "run.steps=8",
    "run.batch_size=16",
    "run.log_every=1",
    "run.checkpoint_every=2",
    "run.preview_every=3",
    "run.evaluate_every=0",
    "run.device=cpu",
    "run.threads=1",
    "dataset.source=subset",
    "model.num_features=8",
]
STOP_AT = 5


class Stop:
    @zoo.hookimpl
    def zoo_step_finished(self, run: zoo.Run, step: int) -> None:
        if step == STOP_AT:
            run.stop("the benchmark")


def train(folder: Path, *callbacks: object) -> None:
    catalog = Catalog()
    recipe = catalog.recipe("digit-classifier-mnist", *SETTINGS)
    run_recipe(resolve(recipe, catalog), [*standard(), *callbacks], folder)


def resume(folder: Path) -> list[str]:
    """The messages of the resumed run."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run_recipe(resolve(read_config(folder / "config.yaml"), Catalog()), standard(), folder, resume=True)
    return [str(one.message) for one in caught]


def flip(folder: Path, rng: random.Random) -> str:
    """Flip a bit of a random file; returns its name and the number of the bit."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    path = rng.choice(files)
    content = bytearray(path.read_bytes())
    bit = rng.randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    return f"{path.relative_to(folder)}, bit {bit}"


def outcome(folder: Path, whole: Path, usual: set[str]) -> tuple[str, str]:
    """The outcome of resuming ``folder``, and what was said; ``usual`` messages are not about the flip."""
    weights, expected = folder / "model.safetensors", whole / "model.safetensors"
    before = weights.stat().st_mtime_ns
    try:
        said = [message for message in resume(folder) if message not in usual]
    except zoo.ZooError as error:
        return "noticed", error.message
    except Exception as error:
        return "WRONG", f"{type(error).__name__}: {error}"
    if weights.stat().st_mtime_ns == before:
        return "WRONG", "no result was written"
    if not said:
        return ("harmless" if weights.read_bytes() == expected.read_bytes() else "WRONG"), ""
    one, other = read_tensors(weights), read_tensors(expected)
    same = one.keys() == other.keys() and all(same_bits(one[name], other[name]) for name in one)
    return ("noticed" if same else "WRONG"), "; ".join(said)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--flips", type=int, default=400)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--verbose", action="store_true", help="print each flip and what was said")
    args = arguments.parse_args()
    torch.set_num_threads(1)
    rng = random.Random(args.seed)  # noqa: S311  # no secret
    counts: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory(prefix="zoo-flips-") as name:
        root = Path(name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            train(root / "whole")
            train(root / "stopped", Stop())
        shutil.copytree(root / "stopped", root / "trial")
        usual = set(resume(root / "trial"))
        for number in range(args.flips):
            shutil.rmtree(root / "trial")
            shutil.copytree(root / "stopped", root / "trial")
            place = flip(root / "trial", rng)
            found, said = outcome(root / "trial", root / "whole", usual)
            counts[place.partition(",")[0], found] += 1
            if args.verbose or found == "WRONG":
                print(f"{found:8}  {place}  {said}", flush=True)
            status(f"{number + 1} of {args.flips} flips")
    for place in sorted({file for file, _ in counts}):
        row = "  ".join(f"{counts[place, kind]:4} {kind}" for kind in ("noticed", "harmless", "WRONG"))
        print(f"{place:60}  {row}")
    total = Counter(
        {kind: sum(n for (_, one), n in counts.items() if one == kind) for kind in ("noticed", "harmless", "WRONG")}
    )
    print(f"{args.flips} flips: {total['noticed']} noticed, {total['harmless']} harmless, {total['WRONG']} WRONG")
    sys.exit(bool(total["WRONG"]))


if __name__ == "__main__":
    main()
