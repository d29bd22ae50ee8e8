"""One of two processes that train several recipes one after the other: python trainings_in_two_processes.py FOLDER

Writes what came of each into FOLDER/NAME.json: the message of the error, or the parameters.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import uneven_plugin
import unused_plugin

from zoo_core.errors import RunFailed
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.training.assemble import try_out

FREEZE = "run.freeze=[other]"
FIND = "run.find_unused_parameters=true"
KINDS = ["unused", "sometimes", "twice", "original", "not-prepared", "added", "unfrozen", "two-backward", "warmup"]
TRAININGS = {
    **{kind: ("branches", f"trainer.kind={kind}") for kind in ["all", *KINDS]},
    **{f"found-{kind}": ("branches", f"trainer.kind={kind}", FIND) for kind in ("unused", "sometimes", "one-process")},
    "frozen": ("branches", "trainer.kind=unused", "model.freeze=true"),
    "freeze": ("branches", FREEZE),
    "freeze-unused": ("branches", "trainer.kind=unused", FREEZE),
    "freeze-two-backward": ("branches", "trainer.kind=two-backward", FREEZE),
    "freeze-in-parts": ("branches", "run.grad_accumulation_steps=2", FREEZE),
    "freeze-fsdp": ("branches", "run.fsdp=true", FREEZE),
    "unused-in-parts": ("branches", "trainer.kind=unused", "run.grad_accumulation_steps=2"),
    "all-in-parts": ("branches", "run.grad_accumulation_steps=2"),
    "other-start": ("branches", "model.per_process=true"),
    "fsdp": ("branches", "run.fsdp=true"),
    "uneven": ("uneven",),
    "uneven-in-parts": ("uneven", "run.grad_accumulation_steps=4"),
    "uneven-fsdp": ("uneven", "run.fsdp=true"),
    "one-process-ignored": ("uneven", "dataset.ignored=first-half"),
    "dice": ("uneven-segmentation", "trainer.loss=both", "trainer.class_weights=[1,5,1]"),
}


def train(name: str, folder: Path) -> dict[str, object]:
    """What comes of a training: its error, or the parameters and the last metrics."""
    recipe, *overrides = TRAININGS[name]
    here = Catalog(installed=False)
    here.plugins.add("uneven", uneven_plugin)
    here.plugins.add("unused", unused_plugin)
    import zoo_plugins.unet.plugin as unet

    here.plugins.add("unet", unet)
    overrides += ["run.checkpoint_every=0", "trainer.learning_rate=0.01"][: 2 if recipe == "uneven-segmentation" else 1]
    loop = try_out(resolve(here.recipe(recipe, *overrides), here), folder)
    try:
        loop.train()
    except RunFailed as error:
        return {"error": error.message, "hint": error.hint}
    from zoo_core.engine.fsdp import full_tensor

    parameters = {key: full_tensor(one).flatten().tolist() for key, one in loop.run.model.state_dict().items()}
    return {"parameters": parameters, "metrics": dict(loop.run.train_metrics)}


def main(folder: Path) -> None:
    for name in TRAININGS:
        result = train(name, folder / name)
        if not unused_plugin.RANK:
            (folder / f"{name}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
