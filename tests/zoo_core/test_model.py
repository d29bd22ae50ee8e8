"""The base class of models: its usage line, its repr and its parameters."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

import zoo_core as zoo


class Silent(zoo.Model):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        width: int = zoo.setting(3, "dimension of a point", ge=1)

    def __init__(self, config):
        super().__init__(config)
        self.layer = nn.Linear(config.width, 2)


class Reader(Silent):
    def predict(self, image, labels, seed=0):
        return {"label": [0]}


class Drawer(Silent):
    def predict(self, seed=0):
        return {"image": None}


class Wordy(zoo.Model):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        words: list[str] = zoo.setting(help="words")


def of_default(kind):
    return kind(kind.Config())


def test_usage_lists_the_arguments_without_a_default():
    assert of_default(Reader).usage() == "image=… labels=…"


def test_usage_of_a_model_without_required_arguments_asks_for_an_image():
    assert of_default(Drawer).usage() == "-o image.png"


def test_predict_of_a_model_that_does_not_override_it_is_an_error():
    with pytest.raises(zoo.ZooError, match="Silent does not support predict"):
        of_default(Silent).predict()


def test_parameters_are_counted_with_the_default_settings():
    assert Silent.count_parameters() == 3 * 2 + 2
    assert Silent.from_settings({"width": 5}).layer.weight.shape == (2, 5)


def test_repr_shows_changed_settings_parameters_device_and_dtype():
    assert repr(Silent.from_settings({})) == "Silent(): 8 parameters on cpu, float32"
    model = Silent.from_settings({"width": 600})
    assert repr(model.bfloat16()) == "Silent(width=600): 1,202 parameters on cpu, bfloat16"
    model.layer.bias.data = model.layer.bias.data.double()
    assert repr(model).endswith("1,202 parameters on cpu, bfloat16 and float64")
    with torch.device("meta"):
        assert repr(Silent.from_settings({})) == "Silent(): 8 parameters on meta, float32"


def test_repr_shows_required_settings_and_shortens_long_ones():
    model = Wordy.from_settings({"words": ["zoological"] * 20})
    assert repr(model).startswith("Wordy(words=['zoological', 'zoological'")
    assert repr(model).endswith("…): no parameters")
    assert len(repr(model)) < 130


def test_the_tree_of_modules_is_still_available():
    assert "(layer): Linear(in_features=3, out_features=2, bias=True)" in nn.Module.__repr__(of_default(Silent))
