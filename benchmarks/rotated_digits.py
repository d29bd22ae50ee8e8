"""A plugin in one file: a few digits of MNIST, rotated by a quarter turn, for fine_tuning.py.

zoo --plugin benchmarks/rotated_digits.py run rotated-digits run.init_from=digit-classifier-mnist
"""

from __future__ import annotations

from dataclasses import dataclass

import zoo_core as zoo


class RotatedDigits(zoo.Dataset):
    """The first digits of each split of MNIST, rotated counterclockwise by 90 degrees."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        training_count: int = zoo.setting(500, "training digits", ge=1)
        test_count: int = zoo.setting(2000, "test digits", ge=1)

    config: Config

    def train(self) -> zoo.InMemory:
        return rotated(upright().train(), self.config.training_count)

    def test(self) -> zoo.InMemory:
        return rotated(upright().test(), self.config.test_count)


def upright() -> zoo.Dataset:
    return zoo.build("mnist", {"source": "full"}, kind="dataset")


def rotated(digits: zoo.Examples, count: int) -> zoo.InMemory:
    batch = digits.__getitems__(range(count))  # type: ignore[attr-defined]
    return zoo.InMemory(image=batch["image"].rot90(1, (2, 3)).contiguous(), label=batch["label"])


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    registry.dataset("rotated-digits", f"{__name__}:RotatedDigits", summary="Digits rotated by a quarter turn")
    registry.recipe(
        "rotated-digits",
        __file__,
        summary="Classifies rotated digits after few examples",
        model={"name": "digit-classifier"},
        dataset={"name": "rotated-digits"},
        trainer={"name": "classifier"},
        run={"steps": 30, "batch_size": 50, "preview_every": 0, "device": "cpu"},
    )
