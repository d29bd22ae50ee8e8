"""The training of unet-moving-mnist as a bare loop without a framework, on batches in memory.

The network, loss, optimizer, schedule, EMA weights and precision are those of the recipe, with the given channels and
batch size; nothing is logged, but the loss is read every 50 steps. It prints steps/s.

    ZOO_DATA=FOLDER python benchmarks/unet_bare_loop.py
"""

from __future__ import annotations

import argparse
import time

import torch
import torch.nn.functional as F
from taking_turns import Ticks
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from unet_networks import BASES, settings

import zoo_core as zoo
from zoo_plugins.datasets.moving_mnist import MovingMNIST

BATCHES = 64
LOG_EVERY = 50


def train(steps: int, base: int, batch_size: int, precision: str) -> None:
    recipe = settings(base, batch_size, precision)
    rate, ema_decay = recipe["trainer"]["learning_rate"], recipe["run"]["ema_decay"]
    clips = MovingMNIST(MovingMNIST.Config()).train()
    batches = [clips.__getitems__(range(k * batch_size, (k + 1) * batch_size)) for k in range(BATCHES)]
    pairs = [(batch["past"].flatten(1, 2), batch["future"].flatten(1, 2)) for batch in batches]

    torch.manual_seed(0)
    model = zoo.build("unet", recipe["model"]).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=1e-2, fused=True)
    schedule = OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(ema_decay), use_buffers=True)

    ticks = Ticks()
    for step in range(steps):
        past, future = pairs[step % BATCHES]
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            output = model(past)
        loss = F.binary_cross_entropy_with_logits(output.float(), future)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        average.update_parameters(model)
        if step % LOG_EVERY == 0:
            loss.item()
        ticks.tick()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--base", type=int, choices=BASES, default=16, help="channels of the first stage")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    started = time.perf_counter()
    train(args.steps, args.base, args.batch_size, args.precision)
    print(f"{args.steps / (time.perf_counter() - started):.2f} steps/s")


if __name__ == "__main__":
    main()
