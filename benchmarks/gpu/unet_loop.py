"""A bare training step of the network of a U-Net recipe, replayed as one CUDA graph on batches in the device's memory.

The network, batch size, loss, AdamW and EMA weights are those of the recipe, in the given precision (``tf32`` is
float32 with TF32 matrix products); the learning rate is set before every step, and the loss is read every 50 steps. It
prints steps/s.

    ZOO_DATA=FOLDER PYTHONPATH=.:benchmarks python benchmarks/gpu/unet_loop.py unet-moving-mnist --precision bfloat16
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from taking_turns import Ticks
from torch import Tensor

import zoo_core as zoo
from benchmarks.gpu.graphs import captured

BATCHES = 16
LOG_EVERY = 50


def train(steps: int, recipe: zoo.Recipe, device: torch.device, precision: str) -> None:
    rate, decay = recipe.settings("trainer")["learning_rate"], recipe.run_settings().ema_decay
    pairs = [(image.to(device), target.to(device)) for image, target in batches(recipe)]
    torch.manual_seed(0)
    model = network(recipe).to(device).to(memory_format=torch.channels_last)
    average = network(recipe).to(device)
    average.load_state_dict(model.state_dict())
    current_rate = torch.tensor(rate, device=device)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=current_rate, weight_decay=1e-2, fused=True, capturable=device.type == "cuda"
    )
    floats = [tensor for tensor in model.state_dict().values() if tensor.is_floating_point()]
    averages = [tensor for tensor in average.state_dict().values() if tensor.is_floating_point()]

    def advance(image: Tensor, target: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            output = model(image)
        loss = loss_of(output.float(), target)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(averages, floats, 1 - decay)
        return loss.detach()

    step_once = captured(advance, *pairs[0])
    ticks = Ticks()
    for step in range(steps):
        current_rate.fill_(rate * (1 - step / steps))
        loss = step_once(*pairs[step % BATCHES])
        if step % LOG_EVERY == 0:
            loss.item()
        ticks.tick()


def network(recipe: zoo.Recipe) -> zoo.Model:
    """The recipe's model; the dataset provides the settings that the recipe leaves open."""
    provided = dataset(recipe).provides()
    known = {"in_channels": provided.get("in_channels"), "out_channels": provided.get("num_classes")}
    settings = {name: value for name, value in known.items() if value is not None}
    return zoo.build(recipe.component("model"), settings | dict(recipe.settings("model")))


def dataset(recipe: zoo.Recipe) -> zoo.Dataset:
    return zoo.build(recipe.component("dataset"), recipe.settings("dataset"), kind="dataset")


def batches(recipe: zoo.Recipe, count: int = BATCHES) -> list[tuple[Tensor, Tensor]]:
    """Inputs (N, C, H, W) and targets of the first training batches."""
    examples: Any = dataset(recipe).train()
    size = recipe.settings("run")["batch_size"]
    return [pair(examples.__getitems__(range(k * size, (k + 1) * size))) for k in range(count)]


def pair(batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    if "past" in batch:
        return batch["past"].flatten(1, 2), batch["future"].flatten(1, 2)
    return batch["image"], batch["mask"]


def loss_of(output: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy of frames, or the cross-entropy of class indices, as in the two recipes."""
    if target.is_floating_point():
        return F.binary_cross_entropy_with_logits(output, target)
    return F.cross_entropy(output, target)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--steps", type=int, default=10_000_000)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", choices=["float32", "tf32", "bfloat16"], default="float32")
    args = parser.parse_args(words)
    if args.precision == "tf32":
        torch.set_float32_matmul_precision("high")
    started = time.perf_counter()
    train(args.steps, zoo.recipe(args.recipe, *args.overrides), torch.device(args.device), args.precision)
    print(f"{args.steps / (time.perf_counter() - started):.2f} steps/s")


if __name__ == "__main__":
    main()
