"""A small transformer that predicts the next character of a text (Vaswani et al. 2017; Radford et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from string import printable
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
import zoo_core as zoo
from torch import Tensor, nn


class Block(nn.Module):
    """Causal self-attention and a multilayer perceptron, each added to its normalized input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.perceptron = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, width) to (N, T, width)."""
        parts = self.query_key_value(self.norm_1(x)).chunk(3, dim=2)
        query, key, value = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts)  # (N, heads, T, …)
        attended = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.project(attended.transpose(1, 2).flatten(2))
        x = x + self.perceptron(self.norm_2(x))
        return x


class MyModel(zoo.Model):
    """Characters (N, T), as positions in the vocabulary, to logits (N, T, V) of each next character."""

    class Config:
        vocabulary: str = zoo.setting(printable, "all characters that occur", from_dataset="vocabulary")
        context: int = zoo.setting(64, "characters that it sees at most", ge=1, from_dataset="context")
        width: int = zoo.setting(64, "width of a layer, a multiple of the heads", ge=1)
        heads: int = zoo.setting(4, "attention heads in each layer", ge=1)
        depth: int = zoo.setting(2, "number of layers", ge=1)

        def __post_init__(self) -> None:
            if self.width % self.heads:
                raise ValueError(f"the width {self.width} is not a multiple of the {self.heads} heads")

    config: Config

    outputs: ClassVar[Mapping[str, str]] = {"text": "the prompt and its continuation"}

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.characters = nn.Embedding(len(config.vocabulary), config.width)
        self.positions = nn.Embedding(config.context, config.width)
        self.blocks = nn.Sequential(*(Block(config.width, config.heads) for _ in range(config.depth)))
        self.norm, self.head = nn.LayerNorm(config.width), nn.Linear(config.width, len(config.vocabulary))

    def forward(self, token: Tensor) -> Tensor:
        """(N, T) int64, T at most the context, to logits (N, T, V)."""
        x = self.characters(token) + self.positions.weight[: token.shape[1]]
        logits: Tensor = self.head(self.norm(self.blocks(x)))
        return logits

    @torch.no_grad()
    def predict(self, prompt: str = "", length: int = 100, temperature: float = 0.7, seed: int = 0) -> dict[str, Any]:
        """Continue a text by ``length`` characters: ``{"text": …}``, which depends on ``seed``."""
        if unknown := sorted(set(prompt) - set(self.config.vocabulary)):
            raise zoo.BadSetting(f"the model does not know the characters {unknown}.", "Leave them out of the prompt.")
        if temperature <= 0:
            raise zoo.BadSetting(f"temperature is {temperature}, but should be positive.", "Write temperature=0.7.")
        generator, device = torch.Generator().manual_seed(seed), next(self.parameters()).device
        token = [self.config.vocabulary.index(character) for character in prompt or self.config.vocabulary[0]]
        for _ in range(length):
            seen = torch.tensor([token[-self.config.context :]], device=device)
            probability = (self(seen)[0, -1] / temperature).softmax(dim=0).cpu()
            token.append(int(torch.multinomial(probability, 1, generator=generator)))
        text = "".join(self.config.vocabulary[index] for index in token)
        return {"text": text if prompt else text[1:]}

    def example(self) -> dict[str, Any]:
        return {"prompt": self.config.vocabulary[-1], "length": 8}
