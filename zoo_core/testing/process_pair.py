"""One process of the check with two processes: python -m zoo_core.testing.process_pair FOLDER RECIPE [KEY=VALUE]..."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

from safetensors.torch import save_file

from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.testing.check import Skip
from zoo_core.testing.first_gradients import Gradients, first_gradients
from zoo_core.testing.sample_evaluation import evaluate
from zoo_core.training.assemble import try_out
from zoo_core.training.loop import Loop
from zoo_core.weights.format import read_tensors, without_shared_memory


def main(folder: str, recipe: str, *overrides: str) -> None:
    warnings.simplefilter("ignore", UserWarning)
    here = Catalog()
    resolved = resolve(here.recipe(recipe, *overrides), here)
    _sample(try_out(resolved), Path(folder))
    loop = try_out(resolved, Path(folder))
    loop.train()
    captured = loop.state.capture()
    tensors = {f"{name}: {key}": one for name, (part, _) in captured.items() for key, one in part.items()}
    save_file(without_shared_memory(tensors), Path(folder, f"rank-{loop.engine.rank}.safetensors"))
    structures = {name: structure for name, (_, structure) in captured.items()}
    Path(folder, f"rank-{loop.engine.rank}.json").write_text(json.dumps(structures))
    loop.engine.close()


def _sample(loop: Loop, folder: Path) -> None:
    """Write what the check compares with a single process."""
    try:
        gradients = first_gradients(loop)
    except Skip:
        gradients = []
    metrics = evaluate(loop, 3) if loop.splits.distributed else {}  # otherwise every process evaluates all examples
    if loop.engine.is_rank_zero:
        flat = {f"{number}/{name}": one for number, batch in enumerate(gradients) for name, one in batch.items()}
        save_file(without_shared_memory(flat), folder / "gradients.safetensors")
        (folder / "metrics.json").write_text(json.dumps(metrics))
    loop.engine.release(loop.run.model)


def read_sample(folder: Path) -> tuple[list[Gradients], dict[str, float]]:
    """The gradients of some batches, and the metrics of the evaluation of a few examples, in two processes."""
    gradients: dict[str, Gradients] = {}
    for key, tensor in read_tensors(folder / "gradients.safetensors").items():
        number, _, name = key.partition("/")
        gradients.setdefault(number, {})[name] = tensor
    metrics: dict[str, float] = json.loads((folder / "metrics.json").read_text())
    return [gradients[number] for number in sorted(gradients)], metrics


if __name__ == "__main__":
    main(*sys.argv[1:])
