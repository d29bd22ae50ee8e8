"""Losses between frames against NumPy implementations, and weighted sums."""

import numpy as np
import pytest
import torch

import zoo_core as zoo
from zoo_plugins.unet.losses import LOSSES, parse_loss

EXPECTED = {
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
    assert list(LOSSES) == list(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_loss_equals_its_equation(name, logits, target):
    frames = logits.sigmoid()
    ((weight, loss),) = parse_loss(name, logits=True).values()
    assert weight == 1
    expected = EXPECTED[name](logits.numpy(), frames.numpy(), target.numpy())
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
        ("mse+l1+charbonnier+bce", dict.fromkeys(EXPECTED, 1)),
    ],
)
def test_a_sum_is_parsed_into_losses_and_weights(text, weights):
    terms = parse_loss(text, logits=True)
    assert {name: weight for name, (weight, _) in terms.items()} == weights
    assert all(loss is LOSSES[name] for name, (_, loss) in terms.items())


@pytest.mark.parametrize(
    "text",
    ["", "mes", "mse+", "+mse", "mse l1", "0.5mse", "mse*0.5", "-1*mse", "1.2.3*mse", ".*mse", "mse+0.1*mse", "MSE",
     "0.5*", "1*2*mse", "nan*mse"],
)  # fmt: skip
def test_any_other_text_is_an_error_with_an_example(text):
    with pytest.raises(zoo.ZooError) as error:
        parse_loss(text, logits=True)
    assert error.value.message.startswith(f"trainer.loss is '{text}', but should be mse, l1, charbonnier, bce or a")
    assert "trainer.loss=0.8*mse+0.2*l1" in error.value.hint


@pytest.mark.parametrize("text", ["bce", "mse+0.1*bce"])
def test_bce_needs_logits(text):
    with pytest.raises(zoo.ZooError, match="contains 'bce', but the model's output are frames, not logits") as error:
        parse_loss(text, logits=False)
    assert error.value.hint == "Write `model.output=frame_logits model.head=linear`."
