"""How good generated pictures are to learn from: the classification accuracy score (Ravuri & Vinyals 2019).

A new classifier is trained on labeled pictures and tested on real ones. Trained on generated pictures, it shows what
they lack; trained on as many real ones, what could be had.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.lr_scheduler import OneCycleLR

import zoo_core as zoo

EPOCHS = 5
_BATCH = 128
_CHUNK = 1000
_LEARNING_RATE = 4e-3


@torch.enable_grad()
def train_and_score(
    model: str, image: Tensor, label: Tensor, test_image: Tensor, test_label: Tensor, classes: int
) -> float:
    """The accuracy on ``test_image`` (M, C, H, W) of a new ``model`` that learnt ``image`` (N, C, H, W) and its labels.

    AdamW in one cycle, ``EPOCHS`` passes in batches of 128; nothing is chosen by the test pictures.
    """
    cas_classifier: Any = (
        zoo.build(model, {"num_classes": classes}).to(image.device).to(memory_format=torch.channels_last)
    )
    cas_classifier.train()
    batches = max(len(image) // _BATCH, 1)
    adam = torch.optim.AdamW(cas_classifier.parameters(), lr=_LEARNING_RATE, fused=True)
    schedule = OneCycleLR(adam, _LEARNING_RATE, total_steps=EPOCHS * batches + 1)
    for _ in range(EPOCHS):
        order = torch.randperm(len(image)).to(image.device)
        for part in order.tensor_split(batches):
            loss = F.cross_entropy(cas_classifier(image[part]), label[part])
            adam.zero_grad()
            loss.backward()
            adam.step()
            schedule.step()
    cas_classifier.eval()
    with torch.no_grad():
        read = torch.cat([cas_classifier(part).argmax(dim=1) for part in test_image.split(_CHUNK)])
    return float((read == test_label).float().mean())
