"""One process of the check that two agree: python -m zoo_core.testing.process_pair FOLDER RECIPE [KEY=VALUE]..."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

from safetensors.torch import save_file

from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.training.assemble import try_out
from zoo_core.weights.format import apart


def main(folder: str, recipe: str, *words: str) -> None:
    warnings.simplefilter("ignore", UserWarning)
    here = Catalog()
    loop = try_out(resolve(here.recipe(recipe, *words), here), Path(folder))
    loop.train()
    captured = loop.state.capture()
    tensors = {f"{name}: {key}": one for name, (held, _) in captured.items() for key, one in held.items()}
    save_file(apart(tensors), Path(folder, f"rank-{loop.engine.rank}.safetensors"))
    rest = {name: structure for name, (_, structure) in captured.items()}
    Path(folder, f"rank-{loop.engine.rank}.json").write_text(json.dumps(rest))
    loop.engine.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
