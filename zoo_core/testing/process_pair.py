"""One process of the check with two processes: python -m zoo_core.testing.process_pair FOLDER RECIPE [KEY=VALUE]..."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

from safetensors.torch import save_file

from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.training.assemble import try_out
from zoo_core.weights.format import without_shared_memory


def main(folder: str, recipe: str, *overrides: str) -> None:
    warnings.simplefilter("ignore", UserWarning)
    here = Catalog()
    loop = try_out(resolve(here.recipe(recipe, *overrides), here), Path(folder))
    loop.train()
    captured = loop.state.capture()
    tensors = {f"{name}: {key}": one for name, (part, _) in captured.items() for key, one in part.items()}
    save_file(without_shared_memory(tensors), Path(folder, f"rank-{loop.engine.rank}.safetensors"))
    structures = {name: structure for name, (_, structure) in captured.items()}
    Path(folder, f"rank-{loop.engine.rank}.json").write_text(json.dumps(structures))
    loop.engine.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
