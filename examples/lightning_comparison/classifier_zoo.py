"""Digits are classified; the best checkpoint is that with the highest validation accuracy.

zoo --plugin classifier_zoo.py run digits
"""

import torch.nn.functional as F
from torch import nn

import zoo_core as zoo


class Network(zoo.Model):
    class Config:
        width: int = zoo.setting(32, "channels of the first convolution", ge=1)

    def __init__(self, config):
        super().__init__(config)
        self.layers = nn.Sequential(
            nn.Conv2d(1, config.width, 3, stride=2),
            nn.ReLU(),
            nn.Conv2d(config.width, 2 * config.width, 3, stride=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(72 * config.width, 10),
        )

    def forward(self, image):
        return self.layers(image)


class Classification(zoo.SupervisedTrainer):
    def loss(self, batch):
        return F.cross_entropy(self.model(batch["image"]), batch["label"])

    def metrics(self, batch):
        return {"accuracy": (self.model(batch["image"]).argmax(dim=1) == batch["label"]).float().mean()}


@zoo.hookimpl
def zoo_register(registry):
    registry.model("digits", f"{__name__}:Network", summary="Two convolutions")
    registry.trainer("digits", f"{__name__}:Classification", summary="Cross-entropy")
    registry.recipe(
        "digits",
        __file__,
        model={"name": "digits"},
        dataset={"name": "mnist", "validation_size": 6000},
        trainer={"name": "digits"},
        run={"epochs": 3, "batch_size": 64, "evaluate_every": 844, "monitor": "accuracy"},
    )
