"""A function of a table's columns, with averaged weights, a cosine schedule, early stopping and the best checkpoint.

python regression_lightning.py
"""

import lightning as L
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import EarlyStopping, EMAWeightAveraging, ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Regression(L.LightningModule):
    def __init__(self, width=64, learning_rate=1e-2, weight_decay=1e-2):
        super().__init__()
        self.save_hyperparameters()
        self.layers = nn.Sequential(nn.Linear(10, width), nn.SiLU(), nn.Linear(width, 1))

    def forward(self, x):
        return self.layers(x).squeeze(1)

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = F.mse_loss(self(x), y)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        x, y = batch
        self.log("validation_loss", F.mse_loss(self(x), y))

    def test_step(self, batch, batch_idx):
        x, y = batch
        self.log("test_loss", F.mse_loss(self(x), y))

    def configure_optimizers(self):
        settings = {"lr": self.hparams.learning_rate, "weight_decay": self.hparams.weight_decay}
        optimizer = torch.optim.AdamW(self.parameters(), **settings)
        steps = self.trainer.estimated_stepping_batches
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


if __name__ == "__main__":
    L.seed_everything(0)
    x = torch.rand(3000, 10)
    y = 10 * torch.sin(torch.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    train = DataLoader(TensorDataset(x[:2000], y[:2000]), batch_size=32, shuffle=True)
    validation = DataLoader(TensorDataset(x[2000:2500], y[2000:2500]), batch_size=32)
    test = DataLoader(TensorDataset(x[2500:], y[2500:]), batch_size=32)
    average = EMAWeightAveraging(decay=0.99)
    stop, best = EarlyStopping(monitor="validation_loss", patience=5), ModelCheckpoint(monitor="validation_loss")
    trainer = L.Trainer(max_epochs=60, callbacks=[average, stop, best])
    model = Regression()
    trainer.fit(model, train, validation)
    trainer.test(model, test)
