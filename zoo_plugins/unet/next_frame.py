"""Trainer for next-frame prediction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import zoo_core as zoo
from zoo_plugins.unet.base_trainer import UNetTrainer
from zoo_plugins.unet.losses import parse_loss
from zoo_plugins.unet.model import UNet
from zoo_plugins.unet.rollout import roll_out, to_frames
from zoo_plugins.unet.video_metrics import WINDOW_SIZE, VideoMetrics

_PREVIEW_CLIPS = 3


class NextFrameTrainer(UNetTrainer):
    """Trains a U-Net on ``past`` (N, T, C, H, W) and ``future`` (N, T', C, H, W), both in [0, 1]."""

    @dataclass(frozen=True, kw_only=True)
    class Config(UNetTrainer.Config):
        loss: str = zoo.setting("mse", "mse, l1, charbonnier, bce, or a weighted sum such as 0.8*mse+0.2*l1")

    config: Config
    protocol = (
        "As in OpenSTL's Moving MNIST table: mse and mae are summed over the pixels of a frame and averaged over the "
        "frames, before clipping to [0, 1]; ssim and psnr are computed after clipping, with a data range of 1 "
        "(ssim_range_2: 2, as in that table). last_frame_mse, last_frame_ssim: persistence baseline, which repeats the "
        "last given frame. mse/k: of the k-th predicted frame."
    )

    def setup(self, model: UNet, engine: zoo.Engine) -> None:
        _check_model(model.config)
        self._losses = parse_loss(self.config.loss, logits=model.config.output == "frame_logits")
        super().setup(model, engine)

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        past, future = batch["past"], batch["future"]  # (N, T, C, H, W), (N, T', C, H, W)
        _check_clips(past, self._model.config)
        output = roll_out(self.network, past, future.shape[1], self._model.config).float()  # (N, T', C, H, W)
        frames = to_frames(output, self._model.config)
        terms = {f"{name}_loss": loss(output, frames, future) for name, (_, loss) in self._losses.items()}
        weights = [weight for weight, _ in self._losses.values()]
        loss = torch.stack([weight * term for weight, term in zip(weights, terms.values(), strict=True)]).sum()
        return self.minimize(loss, terms)

    @torch.no_grad()
    def evaluate(self, batches: Iterable[zoo.Batch], train_batches: Iterable[zoo.Batch]) -> Mapping[str, float]:
        metrics = VideoMetrics()
        for batch in batches:
            metrics.update(batch["past"], self._predict(batch["past"], batch["future"].shape[1]), batch["future"])
        return metrics.compute(self.engine.sum)

    @torch.no_grad()
    def preview(self, batch: zoo.Batch) -> Tensor:
        """The past, true and predicted frames of the first clips: (3 N, T, C, H, W)."""
        past, future = batch["past"][:_PREVIEW_CLIPS], batch["future"][:_PREVIEW_CLIPS]
        predicted = self._predict(past, future.shape[1]).clamp(0, 1)
        length = max(past.shape[1], future.shape[1])
        clips = [_repeat_last_frame(clip, length) for clip in (past, future, predicted)]
        return torch.stack(clips, dim=1).flatten(0, 1)  # (N, 3, T, C, H, W) to (3 N, T, C, H, W)

    def _predict(self, past: Tensor, count: int) -> Tensor:
        model = self._model.eval()
        predicted = to_frames(roll_out(model, past, count, self._model.config).float(), self._model.config)
        model.train()
        return predicted


def _check_model(config: Any) -> None:
    if not hasattr(config, "output") or not hasattr(config, "frame_channels"):
        raise zoo.ZooError(
            "the trainer 'next-frame' needs a model with the settings 'output' and 'frame_channels', but this model "
            "does not have them.",
            "Choose a model that has them: `model.name=unet`.",
        )
    if config.output == "frame_logits" and getattr(config, "head", "linear") != "linear":
        raise zoo.ZooError(
            f"model.output is 'frame_logits', but with model.head={config.head} the network ends in an activation and "
            "can't output logits.",
            "Write `model.head=linear`, or `model.output=frames`.",
        )
    if config.output == "class_logits" or config.out_channels % config.frame_channels:
        raise zoo.ZooError(
            f"the trainer 'next-frame' needs a model that outputs frames, but model.output is '{config.output}', "
            f"model.out_channels {config.out_channels} and model.frame_channels {config.frame_channels}.",
            "Write for example `model.output=frames model.frame_channels=1`.",
        )


def _check_clips(past: Tensor, config: Any) -> None:
    """A different number of channels could be broadcast in the loss without an error."""
    frames, channels, height, width = past.shape[1:]
    if channels != config.frame_channels or frames * channels != config.in_channels:
        raise zoo.ZooError(
            f"the clips have {frames} frames with {channels} channels, but the model has in_channels="
            f"{config.in_channels} and frame_channels={config.frame_channels}.",
            f"Write `model.in_channels={frames * channels} model.frame_channels={channels}`.",
        )
    if min(height, width) < WINDOW_SIZE:
        raise zoo.ZooError(
            f"the frames are {height} x {width}, but SSIM needs at least {WINDOW_SIZE} x {WINDOW_SIZE}.",
            f"Set `dataset.height` and `dataset.width`, or `dataset.size`, to {WINDOW_SIZE} or more.",
        )


def _repeat_last_frame(clip: Tensor, length: int) -> Tensor:
    """(N, T, C, H, W) to (N, length, C, H, W)."""
    return torch.cat([clip, clip[:, -1:].expand(-1, length - clip.shape[1], -1, -1, -1)], dim=1)
