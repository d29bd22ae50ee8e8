"""Classifiers for the evaluation are of the same images and classes, or refused before the first step."""

import pytest

import zoo_core as zoo
from zoo_plugins.clsgan.classifiers import check_trainable, classifier_settings, load_classifier
from zoo_plugins.clsgan.model import CLSGAN

DIGITS = "digit-classifier-mnist"


def test_the_digit_classifier_is_one_of_digits():
    for names in ((), tuple(map(str, range(10)))):
        assert load_classifier(DIGITS, CLSGAN.Config(class_names=names)).config.num_classes == 10


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"height": 32, "width": 48, "channels": 3}, r"accepts no images \(3, 32, 48\)"),
        ({"height": 20, "width": 20}, r"accepts no images \(1, 20, 20\)"),
        ({"num_classes": 3}, "knows the classes 0, 1, 2, …, but the images are of 0, 1, 2"),
        ({"num_classes": 26}, "knows the classes 0, 1, 2, …, but the images are of 0, 1, 2, …"),
        ({"num_classes": 3, "class_names": ("cat", "cow", "dog")}, "but the images are of cat, cow, dog"),
    ],
)
def test_a_classifier_of_other_images_or_classes_is_refused(settings, message):
    with pytest.raises(zoo.BadSetting, match=message) as refused:
        load_classifier(DIGITS, CLSGAN.Config(**settings))
    assert "trainer.evaluation=pixels" in refused.value.hint


def test_a_model_without_features_is_refused():
    with pytest.raises(zoo.BadSetting, match="eval_classifier is clsgan-mnist, a CLSGAN, which has no features"):
        load_classifier("clsgan-mnist", CLSGAN.Config())


def test_a_classifier_gets_the_settings_that_it_has():
    assert classifier_settings("digit-classifier", (1, 28, 28), 10) == {"num_classes": 10}
    expected = {"num_classes": 3, "in_channels": 3, "height": 32, "width": 48}
    assert classifier_settings("image-classifier", (3, 32, 48), 3) == expected


def test_a_model_to_train_for_the_score_accepts_the_images():
    own = CLSGAN.Config(height=32, width=48, channels=3, num_classes=3)
    check_trainable("image-classifier", own)
    check_trainable("digit-classifier", CLSGAN.Config())
    with pytest.raises(zoo.BadSetting, match=r"cas_classifier=digit-classifier accepts no images \(3, 32, 48\)"):
        check_trainable("digit-classifier", own)
