"""A model: what it says of itself."""

from dataclasses import dataclass

import pytest
from torch import nn

import zoo_core as zoo


class Silent(zoo.Model):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        width: int = zoo.setting(3, "numbers of a point", ge=1)

    def __init__(self, config):
        super().__init__(config)
        self.layer = nn.Linear(config.width, 2)


class Reader(Silent):
    def predict(self, image, labels, seed=0):
        return {"label": [0]}


class Drawer(Silent):
    def predict(self, seed=0):
        return {"image": None}


def of_default(kind):
    return kind(kind.Config())


def test_what_to_type_behind_predict_is_what_it_needs():
    assert of_default(Reader).usage() == "image=… labels=…"


def test_a_model_that_needs_nothing_is_asked_for_a_picture():
    assert of_default(Drawer).usage() == "-o picture.png"


def test_a_model_without_predictions_says_so():
    with pytest.raises(zoo.ZooError, match="Silent offers no predictions"):
        of_default(Silent).predict()


def test_parameters_are_counted_with_the_default_settings():
    assert Silent.count_parameters() == 3 * 2 + 2
    assert Silent.from_settings({"width": 5}).layer.weight.shape == (2, 5)
