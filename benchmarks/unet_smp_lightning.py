"""A U-Net of segmentation_models_pytorch under Lightning's Trainer, on the task of unet-moving-mnist.

The same clips, loss, optimizer, schedule and averaged weights as the recipe's; a network of about as many operations
(unet_networks.py). Shaped as the libraries' documentation advises: a LightningModule with automatic optimization
("Optimization") around ``smp.Unet`` ("Segmentation Models"), a schedule by the step, weights averaged by a callback
("WeightAveraging"), the loss by ``log`` into a CSVLogger every 50 steps, and what a Trainer has on by itself: progress
bar, a checkpoint every epoch. The clips are zoo's, made as they are needed, in whole batches through an ordinary
DataLoader. It prints steps/s, and the operations of both networks.

    ZOO_DATA=FOLDER python benchmarks/unet_smp_lightning.py --base 16
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lightning
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.loggers import CSVLogger
from taking_turns import Ticks
from torch import Tensor
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader
from unet_networks import BASES, operations, settings, smp_unet, zoo_unet

import zoo_core as zoo

LOG_EVERY = 50
PRECISIONS = {"float32": "32-true", "bfloat16": "bf16-mixed"}


class NextFrames(lightning.LightningModule):
    def __init__(self, base: int, learning_rate: float) -> None:
        super().__init__()
        self.network, self.learning_rate = smp_unet(base), learning_rate

    def configure_optimizers(self) -> dict[str, Any]:
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.learning_rate, weight_decay=1e-2)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = OneCycleLR(optimizer, self.learning_rate, total_steps=steps, pct_start=0.1)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def training_step(self, batch: dict[str, Tensor]) -> Tensor:
        past, future = (batch[name].flatten(1, 2) for name in ("past", "future"))
        loss = F.binary_cross_entropy_with_logits(self.network(past), future)
        self.log("loss", loss)
        return loss


class Counter(lightning.Callback):
    """Counts the steps for the one that measures."""

    def __init__(self) -> None:
        self.ticks = Ticks()

    def on_train_batch_end(self, *given: Any) -> None:
        self.ticks.tick()


def train(given: argparse.Namespace, folder: Path) -> None:
    recipe = settings(given.base, given.batch_size, given.precision)["trainer"]
    clips = zoo.build("moving-mnist", kind="dataset").train()
    loader = DataLoader(clips, batch_size=given.batch_size, drop_last=True, collate_fn=_whole)
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=1,
        precision=PRECISIONS[given.precision],
        max_steps=given.steps,
        log_every_n_steps=LOG_EVERY,
        logger=CSVLogger(folder),
        callbacks=[EMAWeightAveraging(decay=recipe["averaging"]), Counter()],
    )
    trainer.fit(NextFrames(given.base, recipe["learning_rate"]), loader)


def _whole(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """zoo's data set gives whole batches, which stay as they are."""
    return batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--base", type=int, choices=BASES, default=16, help="of zoo's U-Net, to be like")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        train(given, Path(folder))
    print(f"{given.steps / (time.perf_counter() - started):.2f} steps/s")
    ours, theirs = (operations(network(given.base)) / 1e9 for network in (zoo_unet, smp_unet))
    print(f"operations of an example's step: smp {theirs:.3f} G, zoo {ours:.3f} G, {theirs / ours:.2f} times as many")


if __name__ == "__main__":
    main()
