"""Kill runs at random moments, resume them, and count how often the result is bit for bit that of an uninterrupted run:

    python benchmarks/kill_and_resume.py --kills 200

The kills (SIGKILL) are distributed over the recipes: a GAN with EMA weights and a label-grouped sampler, a classifier
with augmentation, generated clips in bfloat16 with loader workers, and segmentation. One in five happens while a run
starts, the others after its first line of metrics, including while checkpoints and the result are saved.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
from pathlib import Path

from zoo_core.tools.verify_resume import Kill, verify

SHORT = [
    "run.steps=24",
    "run.checkpoint_every=3",
    "run.log_every=5",
    "run.preview_every=10",
    "run.keep_checkpoints=1000",
    "run.threads=1",
    "run.device=cpu",
    "dataset.source=subset",
]
RECIPES = {
    "clsgan-mnist": ["trainer.eval_classifier=", "trainer.cas_classifier="],
    "digit-classifier-mnist": ["run.batch_size=32", "run.evaluate_every=9", "run.monitor=accuracy"],
    "unet-moving-mnist": [
        "run.batch_size=2",
        "run.workers=2",
        "run.precision=bfloat16",
        "dataset.test_clips=4",
        "dataset.validation_clips=4",
        "model.base_channels=4",
    ],
    "unet-digit-scenes": ["run.batch_size=2", "dataset.test_scenes=8", "dataset.validation_scenes=4"],
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--kills", type=int, default=200)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument(
        "--only", choices=RECIPES, action="append", help="only this recipe, with its part of the kills"
    )
    args = arguments.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    kills_per_recipe = -(-args.kills // len(RECIPES))
    same = total = 0
    for number, (recipe, overrides) in enumerate(RECIPES.items()):
        if args.only and recipe not in args.only:
            continue
        rng = random.Random(args.seed + number)  # noqa: S311  # no secret
        kills: list[Kill] = []
        with tempfile.TemporaryDirectory(prefix="zoo-kills-") as folder:
            verdict = verify(recipe, [*SHORT, *overrides], kills_per_recipe, Path(folder), rng, kills.append)
        total += kills_per_recipe
        same += kills_per_recipe if not verdict.difference else 0
        early = sum(kill.step < 0 for kill in kills)
        print(
            f"{recipe:24}  {kills_per_recipe} kills ({early} before the first checkpoint) in {verdict.runs} runs: "
            f"{verdict.difference or 'identical'}",
            flush=True,
        )
    print(f"{same} of {total} identical")


if __name__ == "__main__":
    main()
