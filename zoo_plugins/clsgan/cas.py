"""Classification accuracy score (CAS, Ravuri & Vinyals 2019).

A classifier is trained from scratch on generated images and tested on real ones. The same with real training images
is the reference value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

import zoo_core as zoo
from zoo_plugins.clsgan.classifiers import classifier_settings

EPOCHS = 5
_FEWEST_STEPS = 150  # of few images there are more epochs
_BATCH_SIZE = 128
_TEST_BATCH_SIZE = 1000
_MAX_LR, _WARMUP_FRACTION = 4e-3, 0.3


def train_and_score(
    model: str, image: Tensor, label: Tensor, test_image: Tensor, test_label: Tensor, num_classes: int
) -> float:
    """Test accuracy of a new ``model`` trained on ``image`` (N, C, H, W) and ``label`` (N,).

    AdamW with a one-cycle schedule, ``EPOCHS`` epochs but at least 150 steps, batch size 128. ``test_image`` is
    (M, C, H, W); nothing is selected on it. The random numbers are always the same, so that the score follows from the
    images alone.
    """
    with torch.random.fork_rng(), torch.enable_grad():
        torch.manual_seed(0)
        classifier = _train(model, image, label, num_classes)
    with torch.no_grad():
        predicted = torch.cat([classifier(batch).argmax(dim=1) for batch in test_image.split(_TEST_BATCH_SIZE)])
    return float((predicted == test_label).float().mean())


def _train(model: str, image: Tensor, label: Tensor, num_classes: int) -> nn.Module:
    settings = classifier_settings(model, tuple(image.shape[1:]), num_classes)
    classifier: Any = zoo.build(model, settings).to(image.device)
    classifier.to(memory_format=torch.channels_last).train()
    num_batches = max(len(image) // _BATCH_SIZE, 1)
    epochs = max(EPOCHS, math.ceil(_FEWEST_STEPS / num_batches))
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=_MAX_LR, fused=True)
    schedule = OneCycleLR(
        optimizer, _MAX_LR, total_steps=epochs * num_batches + 1, pct_start=_WARMUP_FRACTION, cycle_momentum=False
    )
    perform = zoo.captured_steps(_Training(classifier, optimizer), image.device)
    for _ in range(epochs):
        order = torch.randperm(len(image)).to(image.device)
        for indices in order.tensor_split(num_batches):
            perform(zoo.Batch(image=image[indices], label=label[indices]))
            schedule.step()
    return classifier.eval()  # type: ignore[no-any-return]


@dataclass
class _Training:
    classifier: nn.Module
    optimizer: torch.optim.Optimizer

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        loss = F.cross_entropy(self.classifier(batch["image"]), batch["label"])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": loss.detach()}
