"""Losses between frames, each written out, and sums of them."""

import numpy as np
import pytest
import torch

import zoo_core as zoo
from zoo_plugins.unet.losses import LOSSES, read_loss

BY_HAND = {
    "mse": lambda logits, frames, target: ((frames - target) ** 2).mean(),
    "l1": lambda logits, frames, target: np.abs(frames - target).mean(),
    "charbonnier": lambda logits, frames, target: np.sqrt((frames - target) ** 2 + 0.001**2).mean(),
    "bce": lambda logits, frames, target: -(target * np.log(frames) + (1 - target) * np.log(1 - frames)).mean(),
}


@pytest.fixture(scope="module")
def logits():
    return torch.randn(2, 3, 1, 28, 28, generator=torch.Generator().manual_seed(1), dtype=torch.double)


@pytest.fixture(scope="module")
def target():
    """Six real digits as two clips of three frames."""
    digits = zoo.build("mnist", {"source": "subset"}, kind="dataset").test().__getitems__(range(0, 600, 100))["image"]
    return digits.view(2, 3, 1, 28, 28).double()


def test_there_are_four_losses():
    assert list(LOSSES) == list(BY_HAND)


@pytest.mark.parametrize("name", BY_HAND)
def test_a_loss_is_what_its_equation_says(name, logits, target):
    frames = logits.sigmoid()
    ((weight, loss),) = read_loss(name, logits=True).values()
    assert weight == 1
    expected = BY_HAND[name](logits.numpy(), frames.numpy(), target.numpy())
    assert float(loss(logits, frames, target)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("mse", {"mse": 1}),
        ("0.5*mse+0.5*l1", {"mse": 0.5, "l1": 0.5}),
        ("0.8*mse + 1e-2*charbonnier", {"mse": 0.8, "charbonnier": 0.01}),
        ("bce+2*l1", {"bce": 1, "l1": 2}),
        (".25*bce", {"bce": 0.25}),
        ("3.*l1", {"l1": 3}),
        ("mse+l1+charbonnier+bce", dict.fromkeys(BY_HAND, 1)),
    ],
)
def test_a_sum_gives_each_loss_its_weight(text, weights):
    read = read_loss(text, logits=True)
    assert {name: weight for name, (weight, _) in read.items()} == weights
    assert all(loss is LOSSES[name] for name, (_, loss) in read.items())


@pytest.mark.parametrize(
    "text",
    ["", "mes", "mse+", "+mse", "mse l1", "0.5mse", "mse*0.5", "-1*mse", "1.2.3*mse", ".*mse", "mse+0.1*mse", "MSE",
     "0.5*", "1*2*mse", "nan*mse"],
)  # fmt: skip
def test_what_is_no_such_sum_is_an_error_that_shows_one(text):
    with pytest.raises(zoo.ZooError) as error:
        read_loss(text, logits=True)
    assert error.value.message.startswith(f"trainer.loss is '{text}', but should be mse, l1, charbonnier, bce or a")
    assert "trainer.loss=0.8*mse+0.2*l1" in error.value.hint


@pytest.mark.parametrize("text", ["bce", "mse+0.1*bce"])
def test_cross_entropy_needs_a_model_of_logits(text):
    with pytest.raises(zoo.ZooError, match="has 'bce', but the model gives frames and not their logits") as error:
        read_loss(text, logits=False)
    assert error.value.hint == "Write `model.output=frame_logits model.head=linear`."
