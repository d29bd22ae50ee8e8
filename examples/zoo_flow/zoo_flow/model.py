"""A U-Net for the velocity from noise to images, and the images that it generates."""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo_core as zoo


class Block(nn.Module):
    """A residual block, in which time and label scale and shift the channels."""

    def __init__(self, before: int, channels: int, condition: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(width, channels, 3, padding=1) for width in (before, channels))
        self.norm, self.norm_between = nn.GroupNorm(8, before), nn.GroupNorm(8, channels)
        self.condition, self.skip = nn.Linear(condition, 2 * channels), nn.Conv2d(before, channels, 1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.condition(condition)[:, :, None, None].chunk(2, dim=1)  # each (N, channels, 1, 1)
        between = self.norm_between(self.first(F.silu(self.norm(x)))) * (1 + scale) + shift
        return self.skip(x) + self.second(F.silu(between))  # type: ignore[no-any-return]


class FlowUNet(zoo.Model):
    """Images (N, 1, H, W), times (N,) in [0, 1] and labels (N,), -1 for none, to velocities (N, 1, H, W)."""

    class Config:
        num_classes: int = zoo.setting(10, "number of classes", ge=1, from_dataset="num_classes")
        image_shape: list[int] = zoo.setting([28, 28], "height and width", ge=4, from_dataset="image_shape")
        channels: int = zoo.setting(32, "channels at half of the resolution, a multiple of 8", ge=8)

    outputs: ClassVar[dict[str, str]] = {"image": "(N, 1, H, W) in [0, 1]"}

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        if any(length % 4 for length in config.image_shape) or config.channels % 8:
            raise zoo.BadSetting("height and width should be multiples of 4, and model.channels a multiple of 8.")
        one, two, four = config.channels, 2 * config.channels, 4 * config.channels
        self.time, self.label = nn.Linear(one, four), nn.Embedding(config.num_classes + 1, four)
        self.enter, self.leave = nn.Conv2d(4, one, 3, padding=1), nn.Conv2d(one, 4, 3, padding=1)
        self.down, self.up = Block(one, one, four), Block(two + one, one, four)
        self.middle = nn.ModuleList([Block(one, two, four), Block(two, two, four)])

    def forward(self, image: Tensor, time: Tensor, label: Tensor) -> Tensor:
        angle = time[:, None] * torch.logspace(0, 2, self.config.channels // 2, device=time.device)
        condition = F.silu(self.time(torch.cat([angle.cos(), angle.sin()], dim=1)) + self.label(label + 1))
        skip = self.down(self.enter(F.pixel_unshuffle(image, 2)), condition)
        x = F.avg_pool2d(skip, 2)
        for block in self.middle:
            x = block(x, condition)
        x = self.up(torch.cat([F.interpolate(x, scale_factor=2), skip], dim=1), condition)
        return F.pixel_shuffle(self.leave(F.silu(x)), 2)

    @torch.no_grad()
    def predict(
        self, label: list[int] | None = None, seed: int = 0, guidance: float = 2.0, steps: int = 20
    ) -> dict[str, Any]:
        """Images of the labels, by default of each once, from noise by ``steps`` of the midpoint method."""
        labels = torch.tensor(range(self.config.num_classes) if label is None else label)
        if steps < 1 or not 0 <= labels.min() <= labels.max() < self.config.num_classes:
            raise zoo.BadSetting(f"labels are 0 to {self.config.num_classes - 1}, and steps at least 1.")
        noise = torch.randn(len(labels), 1, *self.config.image_shape, generator=torch.Generator().manual_seed(seed))
        x, labels = (
            one.to(self.leave.weight.device) for one in (noise, torch.cat([labels, torch.full_like(labels, -1)]))
        )

        def velocity(x: Tensor, time: float) -> Tensor:  # Ho & Salimans 2022, eq. 6
            conditional, unconditional = self(x.repeat(2, 1, 1, 1), x.new_full((2 * len(x),), time), labels).chunk(2)
            return torch.lerp(unconditional, conditional, guidance)

        for time in torch.arange(steps).div(steps).tolist():
            x = x + velocity(x + velocity(x, time) / (2 * steps), time + 1 / (2 * steps)) / steps
        return {"image": (x.cpu() + 1).div(2).clamp(0, 1)}

    def example(self) -> dict[str, Any]:
        return {"label": [0, 0], "steps": 2}
