"""A language model of the characters of text.txt, which then writes a text.

zoo --plugin text_zoo.py run text
zoo --plugin text_zoo.py predict RUN prompt='The '
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

import zoo_core as zoo


class Characters(zoo.InMemoryDataset):
    def tensors(self):
        vocabulary, text = self.provides()["vocabulary"], Path("text.txt").read_text(encoding="utf-8")
        places = torch.tensor([vocabulary.index(character) for character in text])
        windows = places[: len(places) // 65 * 65].view(-1, 65)
        tenth = len(windows) // 10
        splits = {"train": windows[: -2 * tenth], "validation": windows[-2 * tenth : -tenth], "test": windows[-tenth:]}
        return {name: {"text": windows} for name, windows in splits.items()}

    def provides(self):
        return {"vocabulary": sorted(set(Path("text.txt").read_text(encoding="utf-8")))}


class LanguageModel(zoo.Model):
    class Config:
        vocabulary: list[str] = zoo.setting(["a"], "characters", from_dataset="vocabulary")
        width: int = zoo.setting(128, "units of each layer", ge=1)

    def __init__(self, config):
        super().__init__(config)
        self.embedding = nn.Embedding(len(config.vocabulary), config.width)
        self.layers = nn.GRU(config.width, config.width, num_layers=2, batch_first=True)
        self.head = nn.Linear(config.width, len(config.vocabulary))

    def forward(self, text):
        return self.head(self.layers(self.embedding(text))[0])

    @torch.no_grad()
    def predict(self, prompt: str, length: int = 200):
        vocabulary = self.config.vocabulary
        text = torch.tensor([[vocabulary.index(character) for character in prompt]])
        for _ in range(length):
            following = self(text)[:, -1].softmax(dim=1).multinomial(1)
            text = torch.cat([text, following], dim=1)
        return {"text": "".join(vocabulary[place] for place in text[0])}


class NextCharacter(zoo.SupervisedTrainer):
    def loss(self, batch):
        text = batch["text"]
        return F.cross_entropy(self.model(text[:, :-1]).flatten(0, 1), text[:, 1:].flatten())


@zoo.hookimpl
def zoo_register(registry):
    registry.dataset("text", f"{__name__}:Characters", summary="Characters of text.txt")
    registry.model("text", f"{__name__}:LanguageModel", summary="GRU with two layers")
    registry.trainer("text", f"{__name__}:NextCharacter", summary="Cross-entropy of the next character")
    trainer = {"name": "text", "learning_rate": 2e-3, "max_grad_norm": 1.0}
    run = {"steps": 1000, "batch_size": 32, "evaluate_every": 200}
    registry.recipe("text", __file__, model={"name": "text"}, dataset={"name": "text"}, trainer=trainer, run=run)
