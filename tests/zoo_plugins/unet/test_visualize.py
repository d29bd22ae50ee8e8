"""Soft Dice loss and segmentation metrics on small masks, and the visualization of masks."""

import numpy as np
import pytest
import torch

import zoo_core as zoo
from zoo_plugins.unet.model import UNet
from zoo_plugins.unet.segmentation import segmentation_metrics, soft_dice_loss
from zoo_plugins.unet.visualize import class_names, colorize, overlay, side_by_side

MASK = torch.tensor([[[0, 0, 1], [0, 0, 1], [0, 2, 2]], [[0, 0, 0], [1, 1, 0], [0, 0, 0]]])


def confident_score(mask, num_classes):
    """Logits whose softmax is the one-hot mask up to rounding."""
    return torch.nn.functional.one_hot(mask, num_classes).permute(0, 3, 1, 2).float() * 60


def plain_dice_loss(score, mask, ignore_index):
    """Computed class by class and pixel by pixel."""
    exponents = np.exp(score.numpy())
    probability = exponents / exponents.sum(axis=1, keepdims=True)
    dice = []
    for number in range(score.shape[1]):
        intersection = total = true = 0.0
        for n, y, x in np.ndindex(*mask.shape):
            if mask[n, y, x] != ignore_index:
                target = float(mask[n, y, x] == number)
                intersection += probability[n, number, y, x] * target
                total += probability[n, number, y, x] + target
                true += target
        if true:
            dice.append(2 * intersection / total)
    return 1 - sum(dice) / len(dice)


# -- soft Dice ---------------------------------------------------------------


def test_soft_dice_is_computed_over_all_pixels_of_the_batch():
    score = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(1))
    assert float(soft_dice_loss(score, MASK, 255)) == pytest.approx(plain_dice_loss(score, MASK, 255), rel=1e-5)
    uniform = soft_dice_loss(torch.zeros(2, 3, 3, 3), MASK, 255)  # probability 1/3; 12, 4 and 2 pixels
    assert float(uniform) == pytest.approx(1 - (8 / 18 + 8 / 30 + 4 / 24) / 3)


def test_the_dice_loss_is_0_for_a_correct_and_1_for_a_wrong_confident_prediction():
    assert float(soft_dice_loss(confident_score(MASK, 3), MASK, 255)) == pytest.approx(0, abs=1e-6)
    assert float(soft_dice_loss(confident_score((MASK + 1) % 3, 3), MASK, 255)) == pytest.approx(1, abs=1e-6)


def test_a_class_that_does_not_occur_is_left_out_of_the_mean():
    with_extra_class = soft_dice_loss(torch.cat([confident_score(MASK, 3), torch.zeros(2, 1, 3, 3)], dim=1), MASK, 255)
    assert float(with_extra_class) == pytest.approx(0, abs=1e-6)
    one_class = torch.zeros(1, 3, 3, dtype=torch.int64)
    assert float(soft_dice_loss(torch.zeros(1, 3, 3, 3), one_class, 255)) == pytest.approx(1 - 6 / 12)


@pytest.mark.parametrize("ignore_index", [255, 1])
def test_ignored_pixels_have_no_effect_on_the_dice_loss(ignore_index):
    mask = MASK.clone()
    mask[0, :, 2] = ignore_index
    score = torch.randn(2, 3, 3, 3, generator=torch.Generator().manual_seed(1)).requires_grad_()
    loss = soft_dice_loss(score, mask, ignore_index)
    assert loss.item() == pytest.approx(plain_dice_loss(score.detach(), mask, ignore_index), rel=1e-5)
    loss.backward()
    ignored = (mask == ignore_index).unsqueeze(1).expand_as(score)
    assert (score.grad[ignored] == 0).all()
    assert (score.grad[~ignored] != 0).all()


# -- metrics -----------------------------------------------------------------


def test_metrics_are_computed_from_the_confusion_matrix():
    matrix = torch.tensor([[3, 1, 0], [0, 2, 1], [0, 1, 2]])  # rows: true classes
    metrics = segmentation_metrics(matrix, ["sky", "sea", "sand"])
    assert metrics == pytest.approx(
        {
            "mean_iou": (3 / 4 + 2 / 5 + 2 / 4) / 3,
            "mean_dice": (6 / 7 + 4 / 7 + 4 / 6) / 3,
            "pixel_accuracy": 7 / 10,
            "iou/sky": 3 / 4,
            "iou/sea": 2 / 5,
            "iou/sand": 2 / 4,
            "dice/sky": 6 / 7,
            "dice/sea": 4 / 7,
            "dice/sand": 4 / 6,
        }
    )


def test_a_class_that_neither_occurs_nor_is_predicted_is_left_out_and_one_only_predicted_counts_as_0():
    metrics = segmentation_metrics(torch.tensor([[4, 0, 1], [0, 0, 0], [0, 0, 0]]), ["0", "1", "2"])
    assert metrics == pytest.approx(
        {"mean_iou": 0.4, "mean_dice": 4 / 9, "pixel_accuracy": 0.8,
         "iou/0": 0.8, "iou/2": 0, "dice/0": 8 / 9, "dice/2": 0}
    )  # fmt: skip


def test_classes_without_a_name_are_called_by_their_index():
    assert class_names(UNet.Config(out_channels=3, class_names=("sky", "sea"))) == ["sky", "sea", "2"]


# -- images ----------------------------------------------------------------


def test_classes_have_the_colors_of_the_palette_and_ignored_pixels_are_gray():
    classes = torch.tensor([[[0, 1, 2, 255]]])
    image = colorize(classes, 3, 255)
    assert image.shape == (1, 3, 1, 4)
    colors = image[0, :, 0].mul(255).round().int().T.tolist()
    assert [tuple(color) for color in colors] == [*zoo.palette(3), (128, 128, 128)]


def test_an_overlay_blends_the_colors_and_leaves_class_0_unchanged():
    gray = torch.full((1, 2, 3), 100 / 255)
    classes = torch.tensor([[0, 1, 2], [0, 1, 2]])
    image = overlay(gray, classes, 3).mul(255)
    assert image.shape == (3, 2, 3)
    for number, color in enumerate(zoo.palette(3)):
        expected = [100.0] * 3 if number == 0 else [50 + value / 2 for value in color]
        assert image[:, 1, number].tolist() == pytest.approx(expected, abs=1)


@pytest.fixture(scope="module")
def scenes():
    return (
        zoo.build("digit-scenes", {"source": "subset", "height": 64, "width": 64}, kind="dataset")
        .test()
        .__getitems__([0, 1])
    )


def test_a_preview_has_rows_of_image_ground_truth_and_prediction(scenes):
    image, mask = scenes["image"], scenes["mask"]
    predicted = (mask + 1) % 11
    preview = side_by_side(image, mask, predicted, [str(k) for k in range(11)], 255)
    assert preview.shape[:2] == (1, 3)
    assert 0 <= preview.min() <= preview.max() <= 1
    side, gap = 128, 2  # enlarged twice
    expected = (image.expand(-1, 3, -1, -1), colorize(mask, 11), colorize(predicted, 11))
    for row in range(2):
        for column, images in enumerate(expected):
            y, x = gap + row * (side + gap), gap + column * (side + gap)
            shown = preview[0, :, y : y + side : 2, x : x + side : 2]
            torch.testing.assert_close(shown, images[row])


def legend_of(preview, rows=2):
    return preview[0, :, 2 + rows * 130 :]


def test_the_legend_shows_the_color_and_the_name_of_every_class(scenes):
    names = ["background", *"0123456789"]
    mask = torch.zeros_like(scenes["mask"])
    preview = side_by_side(scenes["image"], mask, mask, names, 255)
    legend = legend_of(preview).mul(255).round().int().flatten(1).T
    present = {tuple(color) for color in legend.unique(dim=0).tolist()}
    assert set(zoo.palette(11)) <= present
    others = legend_of(side_by_side(scenes["image"], mask, mask, ["background", *"abcdefghij"], 255))
    assert not torch.equal(others, legend_of(preview))


def test_a_legend_is_wrapped_to_several_lines(scenes):
    def height(names):
        return legend_of(side_by_side(scenes["image"], scenes["mask"], scenes["mask"], names, 255)).shape[1]

    one_line = height([str(k) for k in range(11)])
    assert height([f"a long name of a class, {k}" for k in range(11)]) >= 4 * one_line


def test_a_narrow_legend_has_one_class_per_line():
    image, mask = torch.rand(1, 3, 128, 4), torch.zeros(1, 128, 4, dtype=torch.int64)
    assert side_by_side(image, mask, mask, ["a long name", "another"], 255).shape[-2] > 128 + 2 * 16
