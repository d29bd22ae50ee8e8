"""Classifiers that measure generated images: whether they fit the images and their classes."""

from __future__ import annotations

from typing import Any

import torch

import zoo_core as zoo
from zoo_plugins.clsgan.model import CLSGAN
from zoo_plugins.common.class_names import class_names

_SHOWN = 3  # classes in a message
_OTHERWISE = "Write `trainer.evaluation=pixels`, or give a run of `zoo run classify-images` on the same images."


def load_classifier(name: str, config: CLSGAN.Config) -> Any:
    """The classifier with these weights, or of this run.

    Raises:
        zoo.ZooError: if it can't be loaded, or is one of other images or classes.
    """
    classifier: Any = zoo.load(name)
    if not hasattr(classifier, "features"):
        raise zoo.BadSetting(
            f"trainer.eval_classifier is {name}, a {type(classifier).__name__}, which has no features.", _OTHERWISE
        )
    _check_shape("eval_classifier", name, classifier, config)
    known, wanted = class_names(classifier.config), class_names(config)
    if config.conditional and known != wanted:
        raise zoo.BadSetting(
            f"trainer.eval_classifier={name} knows the classes {_listed(known)}, but the images are of "
            f"{_listed(wanted)}.",
            _OTHERWISE,
        )
    return classifier


def check_trainable(name: str, config: CLSGAN.Config) -> None:
    """Refuse a model for the classification accuracy score that does not accept the images."""
    with torch.random.fork_rng(devices=[]):
        shape = config.channels, config.height, config.width
        model = zoo.build(name, classifier_settings(name, shape, config.num_classes)).eval()
        _check_shape("cas_classifier", name, model, config)


def classifier_settings(name: str, shape: tuple[int, ...], num_classes: int) -> dict[str, int]:
    """The settings of a model to classify images of a shape (C, H, W), as far as it has them."""
    known = {setting["name"] for setting in zoo.info(name)["model"]["settings"]}
    channels, height, width = shape
    settings = {"num_classes": num_classes, "in_channels": channels, "height": height, "width": width}
    return {key: value for key, value in settings.items() if key in known}


@torch.no_grad()
def _check_shape(setting: str, name: str, classifier: Any, config: CLSGAN.Config) -> None:
    shape = config.channels, config.height, config.width
    try:
        classifier(torch.zeros(2, *shape))
    except RuntimeError as error:
        raise zoo.BadSetting(f"trainer.{setting}={name} accepts no images {shape}.", _OTHERWISE) from error


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
