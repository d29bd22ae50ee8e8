"""A network of timm with published weights is fine-tuned; its first three stages are frozen.

zoo --plugin fine_tuning_zoo.py weights convert model.safetensors --model fine-tuned -o resnet18.safetensors
zoo --plugin fine_tuning_zoo.py run fine-tuned
"""

import timm
import torch.nn.functional as F

import zoo_core as zoo


class Network(zoo.Model):
    class Config:
        timm_name: str = zoo.setting("resnet18", "name of the network in timm")
        num_classes: int = zoo.setting(1000, "number of classes", ge=1, from_dataset="num_classes")

    def __init__(self, config):
        super().__init__(config)
        self.network = timm.create_model(config.timm_name, num_classes=config.num_classes)

    def forward(self, image):
        return self.network(image.expand(-1, 3, -1, -1))


class Classification(zoo.SupervisedTrainer):
    def loss(self, batch):
        return F.cross_entropy(self.model(batch["image"]), batch["label"])

    def metrics(self, batch):
        return {"accuracy": (self.model(batch["image"]).argmax(dim=1) == batch["label"]).float().mean()}


@zoo.hookimpl
def zoo_register(registry):
    registry.model("fine-tuned", f"{__name__}:Network", summary="Network of timm")
    registry.trainer("fine-tuned", f"{__name__}:Classification", summary="Cross-entropy")
    registry.recipe(
        "fine-tuned",
        __file__,
        model={"name": "fine-tuned"},
        dataset={"name": "mnist", "validation_size": 6000},
        trainer={"name": "fine-tuned"},
        run={
            "epochs": 3,
            "batch_size": 64,
            "evaluate_every": 844,
            "monitor": "accuracy",
            "init_from": "resnet18.safetensors",
            "init_strict": False,
            "freeze": ["network.conv1", "network.bn1", "network.layer[1-3]"],
        },
    )
