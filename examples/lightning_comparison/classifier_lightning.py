"""Digits are classified; the best checkpoint is that with the highest validation accuracy.

python classifier_lightning.py
"""

import lightning as L
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader, random_split
from torchmetrics.classification import MulticlassAccuracy
from torchvision.datasets import MNIST
from torchvision.transforms import ToTensor


class Classifier(L.LightningModule):
    def __init__(self, width=32, learning_rate=1e-3):
        super().__init__()
        self.save_hyperparameters()
        self.network = nn.Sequential(
            nn.Conv2d(1, width, 3, stride=2),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(72 * width, 10),
        )
        self.validation_accuracy = MulticlassAccuracy(10, average="micro")
        self.test_accuracy = MulticlassAccuracy(10, average="micro")

    def forward(self, image):
        return self.network(image)

    def training_step(self, batch, batch_idx):
        image, label = batch
        loss = F.cross_entropy(self(image), label)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        image, label = batch
        score = self(image)
        self.validation_accuracy(score, label)
        self.log("validation_loss", F.cross_entropy(score, label))
        self.log("validation_accuracy", self.validation_accuracy)

    def test_step(self, batch, batch_idx):
        image, label = batch
        score = self(image)
        self.test_accuracy(score, label)
        self.log("test_loss", F.cross_entropy(score, label))
        self.log("test_accuracy", self.test_accuracy)

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=self.hparams.learning_rate)


if __name__ == "__main__":
    L.seed_everything(0)
    train, validation = random_split(MNIST(".", download=True, transform=ToTensor()), [0.9, 0.1])
    test = MNIST(".", train=False, transform=ToTensor())
    trainer = L.Trainer(max_epochs=3, callbacks=[ModelCheckpoint(monitor="validation_accuracy", mode="max")])
    model = Classifier()
    trainer.fit(model, DataLoader(train, batch_size=64, shuffle=True), DataLoader(validation, batch_size=64))
    trainer.test(model, DataLoader(test, batch_size=64))
