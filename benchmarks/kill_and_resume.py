"""How many of so many kills at random moments leave a run that, resumed, ends bit for bit as if nothing had been:

    python benchmarks/kill_and_resume.py --kills 200

Kills are SIGKILL, spread over the recipes: a GAN with averaged weights and batches of a kind, a classifier with moved
pictures, clips made on the fly in bfloat16 with loader processes, scenes with a mask. One in five falls while a run is
built, the others anywhere from its first line on, the saving of checkpoints and of the result included.
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
    arguments.add_argument("--only", choices=RECIPES, action="append", help="this recipe's share of them alone")
    given = arguments.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    share = -(-given.kills // len(RECIPES))
    same = total = 0
    for number, (recipe, words) in enumerate(RECIPES.items()):
        if given.only and recipe not in given.only:
            continue
        draw = random.Random(given.seed + number)  # noqa: S311  # no secret
        moments: list[Kill] = []
        with tempfile.TemporaryDirectory(prefix="zoo-kills-") as folder:
            verdict = verify(recipe, [*SHORT, *words], share, Path(folder), draw, moments.append)
        total += share
        same += share if not verdict.difference else 0
        early = sum(kill.step < 0 for kill in moments)
        print(
            f"{recipe:24}  {share} kills ({early} before a first checkpoint) in {verdict.runs} runs: "
            f"{verdict.difference or 'the same'}",
            flush=True,
        )
    print(f"{same} of {total}")


if __name__ == "__main__":
    main()
