"""The bundled plugins and recipes pass the conformance checks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from warm_python import OF_MODULES

from zoo_core.testing import conformance
from zoo_core.testing.collect import Case


@pytest.fixture(autouse=True)
def warm_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes that a check starts have imported torch already."""
    monkeypatch.setattr("sys.executable", OF_MODULES)


test_classifier = conformance("classifier")
test_clsgan = conformance("clsgan")
test_unet = conformance("unet")
test_datasets = conformance("datasets")


def variant(name: str, overrides: list[str]) -> Callable[[Case], None]:
    """The checks of a recipe whose trainer is also that of another one: here the two processes are a long test."""
    test = conformance(name, overrides)
    (mark,) = test.pytestmark
    mark.args[1][:] = [
        pytest.param(case, marks=pytest.mark.long if case.check.name == "two-processes-agree" else ())
        for case in mark.args[1]
    ]
    return test


_SUBSET = "dataset.source=subset"
test_digit_classifier_mnist = conformance("digit-classifier-mnist", [_SUBSET])
test_clsgan_mnist = conformance("clsgan-mnist", [_SUBSET, "trainer.eval_classifier=null"])
test_clsgan_mnist_reference = variant("clsgan-mnist-reference", [_SUBSET, "trainer.eval_classifier=null"])
test_cgan_mnist = variant("cgan-mnist", [_SUBSET, "trainer.eval_classifier=null"])
test_lsgan_mnist = variant("lsgan-mnist", [_SUBSET, "trainer.eval_classifier=null"])
test_gan_mnist = variant("gan-mnist", [_SUBSET, "trainer.eval_classifier=null"])
test_unet_moving_mnist = variant("unet-moving-mnist", [_SUBSET, "run.batch_size=2", "model.base_channels=4"])
test_unet_digit_scenes = conformance("unet-digit-scenes", [_SUBSET, "run.batch_size=2", "model.base_channels=4"])
