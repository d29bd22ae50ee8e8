"""Metrics of generated images without a classifier: what generators of known quality get."""

import pytest
import torch
from torch import nn

import zoo_core as zoo
from zoo_plugins.clsgan import cas
from zoo_plugins.clsgan.model import CLSGAN
from zoo_plugins.clsgan.pixel_metrics import PixelEvaluator, PrincipalComponents, frechet_distance

COUNT = 400


class Shows(nn.Module):
    """A generator that returns stored images."""

    def __init__(self, images):
        super().__init__()
        self.images = images

    def forward(self, noise, label=None):
        return self.images[: len(noise)]


def real_images(seed, count=COUNT):
    """Smooth color images (count, 3, 12, 20) of two classes, in the order of the classes 0, 1, 0, …"""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 3, 5, generator=generator)
    coarse[1::2, 0] *= 0.2
    return nn.functional.interpolate(coarse, (12, 20), mode="bilinear")


def batches(image, labeled=True):
    labels = torch.arange(len(image)) % 2
    for start in range(0, len(image), 64):
        part = slice(start, start + 64)
        yield zoo.Batch(image=image[part], **({"label": labels[part]} if labeled else {}))


def evaluate(shown, conditional=True, labeled=True, cas_classifier=None):
    config = CLSGAN.Config(height=12, width=20, channels=3, num_classes=2, conditional=conditional)
    evaluator = PixelEvaluator(cas_classifier, torch.device("cpu"), config)
    metrics = evaluator.evaluate(Shows(shown), batches(real_images(2), labeled), batches(real_images(1), labeled))
    assert list(metrics) == evaluator.names
    return metrics


def test_images_of_the_same_kind_are_as_near_as_real_ones():
    metrics = evaluate(real_images(3))
    assert metrics["pixel_frechet_distance"] < 0.1
    assert metrics["pixel_frechet_ratio"] == pytest.approx(1, abs=0.5)
    assert metrics["total_variation_ratio"] == pytest.approx(1, abs=0.05)
    assert metrics["intra_class_std_ratio"] == pytest.approx(1, abs=0.05)


def test_noise_has_a_large_distance_and_a_large_total_variation():
    metrics = evaluate(torch.rand(COUNT, 3, 12, 20))
    assert metrics["pixel_frechet_ratio"] > 10
    assert metrics["total_variation_ratio"] > 2


def test_a_generator_of_the_mean_image_has_a_distance_of_about_one_and_no_deviation():
    metrics = evaluate(real_images(1).mean(dim=0).expand(COUNT, -1, -1, -1))
    assert metrics["pixel_frechet_distance"] == pytest.approx(1, abs=0.1)
    assert metrics["intra_class_std_ratio"] == pytest.approx(0, abs=1e-4)


def test_one_image_for_each_class_is_mode_collapse():
    image = real_images(1)
    collapsed = image[:2].repeat(COUNT // 2, 1, 1, 1)
    assert evaluate(collapsed)["intra_class_std_ratio"] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("labeled", [True, False])
def test_unconditional_models_are_measured_without_labels(labeled):
    metrics = evaluate(real_images(3), conditional=False, labeled=labeled)
    assert metrics["std_ratio"] == pytest.approx(1, abs=0.05)
    assert "intra_class_std_ratio" not in metrics


def test_the_classification_accuracy_score_is_that_of_a_classifier_for_any_size(monkeypatch):
    monkeypatch.setattr(cas, "_FEWEST_STEPS", 30)
    metrics = evaluate(real_images(3), cas_classifier="image-classifier")
    assert metrics["cas"] > 0.9
    assert metrics["cas_real"] > 0.9


def test_the_distance_of_normal_distributions_is_that_of_the_formula():
    torch.manual_seed(0)
    one, other = torch.randn(20_000, 2).double() * 2, torch.randn(20_000, 2).double() + torch.tensor([3.0, 0.0])
    assert frechet_distance(one, other) == pytest.approx(9 + 2 * (2 - 1) ** 2, rel=0.05)  # |m|^2 + sum (s1 - s2)^2
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6)


def test_components_are_those_of_a_singular_value_decomposition():
    image = real_images(1, 50)
    features = PrincipalComponents(image)(image)
    centered = (image - image.mean(dim=0)).flatten(1).double()
    expected = torch.linalg.svdvals(centered)
    rank = features.shape[1]
    total = centered.square().sum() / len(image)
    torch.testing.assert_close(
        features.square().sum(dim=0).sqrt().flip(0), (expected[:rank] / total.sqrt()), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("count", [1, 2])
def test_few_or_equal_images_give_finite_distances(count):
    image = torch.zeros(count, 3, 4, 4)
    components = PrincipalComponents(image)
    assert frechet_distance(components(image), components(image)) == 0
