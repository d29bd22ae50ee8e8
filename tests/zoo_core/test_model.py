"""The base class of models: its usage line, its repr and its parameters."""

import copy
from dataclasses import dataclass

import pytest
import torch
from torch import nn

import zoo_core as zoo


class Plain(zoo.Model):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        width: int = zoo.setting(3, "dimension of a point", ge=1)

    def __init__(self, config):
        super().__init__(config)
        self.layer = nn.Linear(config.width, 2)


class Labeled(Plain):
    def predict(self, image, labels, seed=0):
        return {"label": [0]}


class Generative(Plain):
    def predict(self, seed=0):
        return {"image": None}


class Writer(Plain):
    outputs = {"text": "a sentence"}  # noqa: RUF012

    def predict(self, seed=0):
        return {"text": "once"}


class Wordy(zoo.Model):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        words: list[str] = zoo.setting(help="words")


def default_of(kind):
    return kind(kind.Config())


def test_usage_lists_the_arguments_without_a_default():
    assert default_of(Labeled).usage() == "image=… labels=…"


def test_usage_of_a_model_without_required_arguments_asks_for_an_image():
    assert default_of(Generative).usage() == "-o image.png"


@pytest.mark.parametrize("outputs", [{"text": "a sentence"}, {"probability": "(5,) in [0, 1]"}])
def test_usage_of_a_model_that_states_outputs_without_an_image_asks_for_no_file(monkeypatch, outputs):
    monkeypatch.setattr(Writer, "outputs", outputs)
    assert default_of(Writer).usage() == ""


def test_predict_of_a_model_that_does_not_override_it_is_an_error():
    with pytest.raises(zoo.ZooError, match="Plain does not support predict"):
        default_of(Plain).predict()


def test_count_parameters_counts_those_of_the_default_settings():
    assert Plain.count_parameters() == 3 * 2 + 2
    assert Plain.from_settings({"width": 5}).layer.weight.shape == (2, 5)


def test_count_parameters_counts_those_of_the_model_that_it_is_called_on():
    model = Plain.from_settings({"width": 5})
    assert (model.count_parameters(), Plain.count_parameters(), type(model).count_parameters()) == (12, 8, 8)
    model.extra = nn.Linear(2, 1)
    assert (model.count_parameters(), copy.deepcopy(model).count_parameters()) == (15, 15)


def test_count_parameters_counts_tied_ones_once_and_no_buffers_or_lazy_parameters():
    model = Plain.from_settings({})
    model.again, model.norm = model.layer, nn.BatchNorm1d(2)
    assert model.count_parameters() == 8 + 4
    model.lazy = nn.LazyLinear(7)
    assert model.count_parameters() == 8 + 4
    model.lazy(torch.zeros(1, 3))
    assert model.count_parameters() == 8 + 4 + 28


def test_frozen_parameters_are_told_from_trainable_ones():
    model = Plain.from_settings({})
    model.layer.weight.requires_grad_(False)
    assert (model.count_parameters(), model.count_parameters(trainable=True)) == (8, 2)
    assert repr(model) == "Plain(): 8 parameters (2 trainable) on cpu, float32"


def test_count_parameters_of_a_class_with_required_settings_names_them():
    with pytest.raises(zoo.BadSetting, match="words"):
        Wordy.count_parameters()
    assert Wordy.from_settings({"words": []}).count_parameters() == 0


def test_repr_shows_changed_settings_parameters_device_and_dtype():
    assert repr(Plain.from_settings({})) == "Plain(): 8 parameters on cpu, float32"
    model = Plain.from_settings({"width": 600})
    assert repr(model.bfloat16()) == "Plain(width=600): 1,202 parameters on cpu, bfloat16"
    model.layer.bias.data = model.layer.bias.data.double()
    assert repr(model).endswith("1,202 parameters on cpu, bfloat16 and float64")
    with torch.device("meta"):
        assert repr(Plain.from_settings({})) == "Plain(): 8 parameters on meta, float32"


def test_repr_shows_required_settings_and_shortens_long_ones():
    model = Wordy.from_settings({"words": ["zoological"] * 20})
    assert repr(model).startswith("Wordy(words=['zoological', 'zoological'")
    assert repr(model).endswith("…): no parameters")
    assert len(repr(model)) < 130


def test_the_tree_of_modules_is_still_available():
    assert "(layer): Linear(in_features=3, out_features=2, bias=True)" in nn.Module.__repr__(default_of(Plain))
