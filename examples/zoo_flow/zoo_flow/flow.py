"""Flow matching (Lipman et al. 2023): images in IDX files, a U-Net for the velocity, and its training."""

import gzip
import zlib
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo_core as zoo


class IDXFolder(zoo.InMemoryDataset):
    """Examples are ``{"image": (1, H, W) in [0, 1], "label": int}``."""

    class Config:
        folder: str = zoo.setting(help="folder with train-images-idx3-ubyte and the three other files, gzipped or not")

    def tensors(self) -> dict[str, dict[str, Any]]:
        return {"train": self._split("train"), "test": self._split("t10k")}

    def provides(self) -> dict[str, Any]:
        image, label = (self.train().tensors[name] for name in ("image", "label"))
        return {"num_classes": int(label.max()) + 1, "image_shape": list(image.shape[2:])}

    def _split(self, prefix: str) -> dict[str, Any]:
        image, label = self._read(f"{prefix}-images?idx3-ubyte", 3), self._read(f"{prefix}-labels?idx1-ubyte", 1)
        return {"image": zoo.Uint8Images(image.unsqueeze(1)), "label": label.long()}

    def _read(self, pattern: str, dimensions: int) -> Tensor:
        path = next((path for end in ("", ".gz") for path in Path(self.config.folder).glob(pattern + end)), None)
        if path is None:
            name = pattern.replace("?", "-")
            raise zoo.BadFile(f"{self.config.folder} has no file {name}, gzipped or not.", "Set dataset.folder.")
        try:
            content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        except (OSError, EOFError, zlib.error) as error:
            raise zoo.BadFile(f"{path} can't be read: {error}.", "Download it again.") from error
        start = 4 + 4 * dimensions  # two zeros, the type 8, the number of dimensions, and the length of each
        shape = [int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4)]
        if content[:4] != bytes([0, 0, 8, dimensions]) or not start < len(content) == start + torch.Size(shape).numel():
            raise zoo.BadFile(f"{path} is no complete IDX file of {dimensions} dimensions.", "Download it again.")
        return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=start).reshape(shape)


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
        x = self.middle[1](self.middle[0](F.avg_pool2d(skip, 2), condition), condition)
        x = self.up(torch.cat([F.interpolate(x, scale_factor=2), skip], dim=1), condition)
        return F.pixel_shuffle(self.leave(F.silu(x)), 2)

    @torch.no_grad()
    def predict(self, label: list[int], seed: int = 0, guidance: float = 3.0, steps: int = 20) -> dict[str, Any]:
        """Images of the labels, from noise by ``steps`` of the midpoint method."""
        labels, device = torch.tensor(label), self.leave.weight.device
        if steps < 1 or not label or not 0 <= labels.min() <= labels.max() < self.config.num_classes:
            raise zoo.BadSetting(f"labels are 0 to {self.config.num_classes - 1}, and steps at least 1.")
        noise = torch.randn(len(labels), 1, *self.config.image_shape, generator=torch.Generator().manual_seed(seed))
        x, labels = noise.to(device), torch.cat([labels, torch.full_like(labels, -1)]).to(device)

        def velocity(x: Tensor, time: float) -> Tensor:  # Ho & Salimans 2022, eq. 6
            conditional, unconditional = self(x.repeat(2, 1, 1, 1), x.new_full((2 * len(x),), time), labels).chunk(2)
            return torch.lerp(unconditional, conditional, guidance)

        for time in torch.arange(steps).div(steps).tolist():
            x = x + velocity(x + velocity(x, time) / (2 * steps), time + 1 / (2 * steps)) / steps
        return {"image": (x.cpu() + 1).div(2).clamp(0, 1)}

    def example(self) -> dict[str, Any]:
        return {"label": [0, 0], "steps": 2}


class FlowMatching(zoo.SupervisedTrainer):
    """Minimizes the squared error of the velocity on straight lines from noise to images."""

    class Config(zoo.SupervisedTrainer.Config):
        label_dropout: float = zoo.setting(0.1, "probability that an image is trained without its label", ge=0, le=1)

    protocol = "loss: squared error of the velocity at a random time of each test image, averaged over pixels."

    def loss(self, batch: zoo.Batch) -> Tensor:
        image = 2 * batch["image"] - 1  # (N, 1, H, W)
        noise, (time, dropout) = torch.randn_like(image), torch.rand_like(image[:, 0, :2, 0]).unbind(1)
        label = batch["label"].masked_fill(dropout < self.config.label_dropout, -1)
        return F.mse_loss(self.model(torch.lerp(noise, image, time[:, None, None, None]), time, label), image - noise)

    def preview(self, batch: zoo.Batch) -> Tensor:
        model = self.engine.unwrap(self.model)
        return model.predict(label=list(range(model.config.num_classes)))["image"]  # type: ignore[no-any-return]
