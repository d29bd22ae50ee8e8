"""Optimizers of another package, which is imported where one is used."""

from __future__ import annotations

import sys

import by_name
import pytest

from zoo_core.errors import BrokenPlugin
from zoo_core.registry.builtin import builtin_names


def test_without_the_package_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)  # as if it were not installed
    with pytest.raises(BrokenPlugin) as raised:
        by_name.train(tmp_path / "run", "trainer.optimizer=soap")
    assert str(raised.value) == (
        "the optimizer SOAP needs the package pytorch-optimizer, which is not installed.\n"
        "  pip install 'zoo-core[optim]'"
    )
    assert not (tmp_path / "run").exists()


def test_without_the_package_the_names_are_listed(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)
    listed = [row["name"] for row in by_name.catalog().rows("optimizers")]
    assert {"soap", "schedule-free-adamw", "prodigy", "lion"} <= set(listed)


@pytest.mark.parametrize("name", builtin_names("optimizer"))
def test_every_optimizer_takes_a_learning_rate(name):
    from zoo_core.registry.signature import parameters_of

    assert "lr" in parameters_of(by_name.catalog().find("optimizer", name))
