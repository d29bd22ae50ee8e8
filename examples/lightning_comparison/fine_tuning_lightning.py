"""A network of timm with published weights is fine-tuned; its first three stages are frozen.

python fine_tuning_lightning.py
"""

import lightning as L
import timm
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader, random_split
from torchmetrics.classification import MulticlassAccuracy
from torchvision.datasets import MNIST
from torchvision.transforms import ToTensor


class FineTuned(L.LightningModule):
    def __init__(self, name="resnet18", num_classes=10, learning_rate=1e-3, pretrained_file="resnet18.safetensors"):
        super().__init__()
        self.save_hyperparameters()
        published = {"file": pretrained_file}
        self.network = timm.create_model(name, True, num_classes=num_classes, pretrained_cfg_overlay=published)
        for stage in ("conv1", "bn1", "layer1", "layer2", "layer3"):
            self.network.get_submodule(stage).requires_grad_(False).eval()
        self.validation_accuracy = MulticlassAccuracy(num_classes, average="micro")
        self.test_accuracy = MulticlassAccuracy(num_classes, average="micro")

    def forward(self, image):
        return self.network(image.expand(-1, 3, -1, -1))

    def training_step(self, batch, batch_idx):
        image, label = batch
        loss = F.cross_entropy(self(image), label)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        image, label = batch
        self.validation_accuracy(self(image), label)
        self.log("validation_accuracy", self.validation_accuracy)

    def test_step(self, batch, batch_idx):
        image, label = batch
        self.test_accuracy(self(image), label)
        self.log("test_accuracy", self.test_accuracy)

    def configure_optimizers(self):
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return torch.optim.AdamW(trained, lr=self.hparams.learning_rate)


if __name__ == "__main__":
    L.seed_everything(0)
    train, validation = random_split(MNIST(".", download=True, transform=ToTensor()), [0.9, 0.1])
    test = MNIST(".", train=False, transform=ToTensor())
    trainer = L.Trainer(max_epochs=3, callbacks=[ModelCheckpoint(monitor="validation_accuracy", mode="max")])
    model = FineTuned()
    trainer.fit(model, DataLoader(train, batch_size=64, shuffle=True), DataLoader(validation, batch_size=64))
    trainer.test(model, DataLoader(test, batch_size=64))
