"""Next-frame prediction: the frames that follow, learnt from the frames before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import zoo_core as zoo
from zoo_plugins.unet.base_trainer import UNetTrainer
from zoo_plugins.unet.losses import read_loss
from zoo_plugins.unet.model import UNet
from zoo_plugins.unet.rollout import frames_of, roll_out
from zoo_plugins.unet.video_metrics import WINDOW, VideoMetrics

_SHOWN = 3


class NextFrameTrainer(UNetTrainer):
    """Trains a U-Net on ``past`` (N, T, C, H, W) and ``future`` (N, T', C, H, W), both in [0, 1]."""

    @dataclass(frozen=True, kw_only=True)
    class Config(UNetTrainer.Config):
        loss: str = zoo.setting("mse", "mse, l1, charbonnier, bce, or a weighted sum such as 0.8*mse+0.2*l1")

    config: Config
    protocol = (
        "As in OpenSTL's Moving MNIST table: mse and mae are sums over a frame's pixels in [0, 1], averaged over "
        "frames, before clipping; ssim and psnr after clipping, with a data range of 1 (ssim_range_2: of 2, as that "
        "table has it). last_frame_mse, last_frame_ssim: the last frame repeated. mse/k: of the k-th frame ahead."
    )

    def setup(self, model: UNet, engine: zoo.Engine) -> None:
        _check(model.config)
        self._losses = read_loss(self.config.loss, logits=model.config.output == "frame_logits")
        super().setup(model, engine)

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        past, future = batch["past"], batch["future"]  # (N, T, C, H, W), (N, T', C, H, W)
        _refuse_other_clips(past, self._model.config)
        output = roll_out(self.network, past, future.shape[1], self._model.config).float()
        frames = frames_of(output, self._model.config)
        terms = {f"{name}_loss": loss(output, frames, future) for name, (_, loss) in self._losses.items()}
        weights = [weight for weight, _ in self._losses.values()]
        loss = torch.stack([weight * term for weight, term in zip(weights, terms.values(), strict=True)]).sum()
        return self.minimize(loss, terms)

    @torch.no_grad()
    def evaluate(self, batches: Iterable[zoo.Batch], train_batches: Iterable[zoo.Batch]) -> Mapping[str, float]:
        metrics = VideoMetrics()
        for batch in batches:
            metrics.add(batch["past"], self._predict(batch["past"], batch["future"].shape[1]), batch["future"])
        return metrics.read(self.engine.sum)

    @torch.no_grad()
    def preview(self, batch: zoo.Batch) -> Tensor:
        """Of a few clips: the past, the true and the predicted frames, (3 n, T, C, H, W)."""
        past, future = batch["past"][:_SHOWN], batch["future"][:_SHOWN]
        predicted = self._predict(past, future.shape[1]).clamp(0, 1)
        length = max(past.shape[1], future.shape[1])
        clips = [_lengthened(clip, length) for clip in (past, future, predicted)]
        return torch.stack(clips, dim=1).flatten(0, 1)

    def _predict(self, past: Tensor, count: int) -> Tensor:
        network = self.published.eval()
        predicted = frames_of(roll_out(network, past, count, self._model.config).float(), self._model.config)
        network.train()
        return predicted


def _check(config: Any) -> None:
    if not hasattr(config, "output") or not hasattr(config, "frame_channels"):
        raise zoo.ZooError(
            "the trainer 'next-frame' asks a model what its channels stand for, but this has no settings 'output' and "
            "'frame_channels'.",
            "Choose a model that has them: `model.name=unet`.",
        )
    if config.output == "frame_logits" and getattr(config, "head", "linear") != "linear":
        raise zoo.ZooError(
            f"model.output is 'frame_logits', but with model.head={config.head} the network ends in an activation, "
            "which logits can't come out of.",
            "Write `model.head=linear`, or `model.output=frames`.",
        )
    if config.output == "class_logits" or config.out_channels % config.frame_channels:
        raise zoo.ZooError(
            f"the trainer 'next-frame' needs a model that gives whole frames, but model.output is '{config.output}' "
            f"and its {config.out_channels} channels are frames of {config.frame_channels}.",
            "Write for example `model.output=frames model.frame_channels=1`.",
        )


def _refuse_other_clips(past: Tensor, config: Any) -> None:
    """Frames of other channels would be broadcast against the model's, and the loss be of neither."""
    frames, channels, height, width = past.shape[1:]
    if channels != config.frame_channels or frames * channels != config.in_channels:
        raise zoo.ZooError(
            f"the clips have {frames} frames of {channels} channels, but the model takes {config.in_channels} "
            f"channels, and gives frames of {config.frame_channels}.",
            f"Write `model.in_channels={frames * channels} model.frame_channels={channels}`.",
        )
    if min(height, width) < WINDOW:
        raise zoo.ZooError(
            f"the frames are {height} x {width}, but are measured in windows of {WINDOW} x {WINDOW}.",
            f"Let `dataset.height` and `dataset.width`, or `dataset.size`, be {WINDOW} or more.",
        )


def _lengthened(clip: Tensor, length: int) -> Tensor:
    """(N, T, C, H, W) with its last frame standing still until there are ``length``."""
    return torch.cat([clip, clip[:, -1:].expand(-1, length - clip.shape[1], -1, -1, -1)], dim=1)
