"""A language model of the characters of text.txt, which then writes a text.

python text_lightning.py
"""

from pathlib import Path

import lightning as L
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader


class LanguageModel(L.LightningModule):
    def __init__(self, vocabulary, width=128, learning_rate=2e-3):
        super().__init__()
        self.save_hyperparameters()
        self.embedding = nn.Embedding(len(vocabulary), width)
        self.layers = nn.GRU(width, width, num_layers=2, batch_first=True)
        self.head = nn.Linear(width, len(vocabulary))

    def forward(self, text):
        return self.head(self.layers(self.embedding(text))[0])

    def _loss(self, text):
        return F.cross_entropy(self(text[:, :-1]).flatten(0, 1), text[:, 1:].flatten())

    def training_step(self, batch, batch_idx):
        loss = self._loss(batch)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("validation_loss", self._loss(batch))

    def test_step(self, batch, batch_idx):
        self.log("test_loss", self._loss(batch))

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=self.hparams.learning_rate)

    @torch.no_grad()
    def write(self, prompt, length=200):
        vocabulary = self.hparams.vocabulary
        text = torch.tensor([[vocabulary.index(character) for character in prompt]], device=self.device)
        for _ in range(length):
            following = self(text)[:, -1].softmax(dim=1).multinomial(1)
            text = torch.cat([text, following], dim=1)
        return "".join(vocabulary[place] for place in text[0])


if __name__ == "__main__":
    L.seed_everything(0)
    text = Path("text.txt").read_text(encoding="utf-8")
    vocabulary = sorted(set(text))
    places = torch.tensor([vocabulary.index(character) for character in text])
    windows = places[: len(places) // 65 * 65].view(-1, 65)
    tenth = len(windows) // 10
    train = DataLoader(windows[: -2 * tenth], batch_size=32, shuffle=True)
    validation = DataLoader(windows[-2 * tenth : -tenth], batch_size=32)
    test = DataLoader(windows[-tenth:], batch_size=32)
    model = LanguageModel(vocabulary)
    trainer = L.Trainer(max_steps=1000, gradient_clip_val=1.0)
    trainer.fit(model, train, validation)
    trainer.test(model, test)
    print(model.write("The "))
