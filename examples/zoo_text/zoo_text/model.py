"""A transformer that predicts the next character, and the texts that it writes."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

import zoo_core as zoo


class CharGPT(zoo.Model):
    """Characters (N, L) as places in the vocabulary to the logits (N, L, V) of the character that follows each."""

    class Config:
        vocabulary: str = zoo.setting(" abcdefghijklmnopqrstuvwxyz", "characters it knows", from_dataset="vocabulary")
        context: int = zoo.setting(64, "characters it looks back on", ge=1, from_dataset="context")
        width: int = zoo.setting(128, "values for each character, a multiple of 4", ge=4)
        layers: int = zoo.setting(3, "transformer layers", ge=1)

    outputs: ClassVar[dict[str, str]] = {"text": "the prompt and its continuation"}

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        width, size = config.width, len(config.vocabulary)
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, config.layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.character, self.position = nn.Embedding(size, width), nn.Embedding(config.context, width)
        self.head = nn.Linear(width, size)

    def forward(self, text: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(text.shape[1], device=text.device)
        x = self.character(text) + self.position.weight[: text.shape[1]]  # (N, L, width)
        return self.head(self.layers(x, mask, is_causal=True))  # type: ignore[no-any-return]

    @torch.no_grad()
    def predict(self, prompt: str, length: int = 200, temperature: float = 0.8, seed: int = 0) -> dict[str, Any]:
        """The prompt, continued by ``length`` characters; the lower the temperature, the likelier ones."""
        vocabulary, generator = self.config.vocabulary, torch.Generator().manual_seed(seed)
        if (unknown := sorted(set(prompt) - set(vocabulary))) or not prompt:
            reason = f"the model does not know the characters {unknown}" if unknown else "the prompt is empty"
            raise zoo.BadSetting(f"{reason}.", "Write for example prompt='The '.")
        if temperature <= 0:
            raise zoo.BadSetting(f"temperature is {temperature}, but should be positive.", "Write temperature=0.8.")
        text = torch.tensor([[vocabulary.index(character) for character in prompt]])
        for _ in range(length):
            logits = self(text[:, -self.config.context :].to(self.head.weight.device))[0, -1].cpu()
            text = torch.cat([text, (logits / temperature).softmax(0).multinomial(1, generator=generator)[None]], dim=1)
        return {"text": "".join(vocabulary[place] for place in text[0])}

    def example(self) -> dict[str, Any]:
        return {"prompt": self.config.vocabulary[:2], "length": 3}
