"""The network that tells real images from generated ones. Only the training needs it; the weights are without it."""

from __future__ import annotations

from torch import Tensor, nn


class Discriminator(nn.Module):
    """Images (N, 1, 16, 16) to logits (N,), which are high for real ones."""

    def __init__(self, pixels: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(pixels, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, 1),
            nn.Flatten(0),
        )

    def forward(self, image: Tensor) -> Tensor:
        """(N, 1, 16, 16) to (N,)."""
        logits: Tensor = self.layers(image)
        return logits
