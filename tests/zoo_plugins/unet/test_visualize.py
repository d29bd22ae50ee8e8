"""Soft Dice and the figures of a segmentation, on masks small enough to count by hand; classes in color."""

import numpy as np
import pytest
import torch

import zoo_core as zoo
from zoo_plugins.unet.model import UNet
from zoo_plugins.unet.segmentation import figures_of, soft_dice_loss
from zoo_plugins.unet.visualize import class_names, colored, overlay, side_by_side

MASK = torch.tensor([[[0, 0, 1], [0, 0, 1], [0, 2, 2]], [[0, 0, 0], [1, 1, 0], [0, 0, 0]]])


def certain(mask, classes):
    """Scores that leave no doubt."""
    return torch.nn.functional.one_hot(mask, classes).permute(0, 3, 1, 2).float() * 60


def plain_dice_loss(score, mask, ignored):
    """Class by class and pixel by pixel."""
    exponents = np.exp(score.numpy())
    share = exponents / exponents.sum(axis=1, keepdims=True)
    dice = []
    for number in range(score.shape[1]):
        both = single = true = 0.0
        for n, y, x in np.ndindex(*mask.shape):
            if mask[n, y, x] != ignored:
                is_it = float(mask[n, y, x] == number)
                both += share[n, number, y, x] * is_it
                single += share[n, number, y, x] + is_it
                true += is_it
        if true:
            dice.append(2 * both / single)
    return 1 - sum(dice) / len(dice)


# -- soft Dice ---------------------------------------------------------------


def test_soft_dice_is_counted_over_all_pixels_of_the_batch():
    score = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(1))
    assert float(soft_dice_loss(score, MASK, 255)) == pytest.approx(plain_dice_loss(score, MASK, 255), rel=1e-5)
    even = soft_dice_loss(torch.zeros(2, 3, 3, 3), MASK, 255)  # a third of a pixel each; 12, 4 and 2 pixels
    assert float(even) == pytest.approx(1 - (8 / 18 + 8 / 30 + 4 / 24) / 3)


def test_a_certain_and_right_prediction_costs_nothing_and_a_wrong_one_everything():
    assert float(soft_dice_loss(certain(MASK, 3), MASK, 255)) == pytest.approx(0, abs=1e-6)
    assert float(soft_dice_loss(certain((MASK + 1) % 3, 3), MASK, 255)) == pytest.approx(1, abs=1e-6)


def test_a_class_that_does_not_occur_does_not_count():
    one_more = soft_dice_loss(torch.cat([certain(MASK, 3), torch.zeros(2, 1, 3, 3)], dim=1), MASK, 255)
    assert float(one_more) == pytest.approx(0, abs=1e-6)
    of_one = torch.zeros(1, 3, 3, dtype=torch.int64)
    assert float(soft_dice_loss(torch.zeros(1, 3, 3, 3), of_one, 255)) == pytest.approx(1 - 6 / 12)


@pytest.mark.parametrize("ignored", [255, 1])
def test_ignored_pixels_are_neither_learnt_nor_counted(ignored):
    mask = MASK.clone()
    mask[0, :, 2] = ignored
    score = torch.randn(2, 3, 3, 3, generator=torch.Generator().manual_seed(1)).requires_grad_()
    loss = soft_dice_loss(score, mask, ignored)
    assert loss.item() == pytest.approx(plain_dice_loss(score.detach(), mask, ignored), rel=1e-5)
    loss.backward()
    without = (mask == ignored).unsqueeze(1).expand_as(score)
    assert (score.grad[without] == 0).all()
    assert (score.grad[~without] != 0).all()


# -- figures -----------------------------------------------------------------


def test_figures_follow_from_the_confusion_matrix():
    matrix = torch.tensor([[3, 1, 0], [0, 2, 1], [0, 1, 2]])  # rows: the truth
    metrics = figures_of(matrix, ["sky", "sea", "sand"])
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


def test_a_class_neither_there_nor_predicted_is_left_out_and_a_predicted_one_counts_as_none_right():
    metrics = figures_of(torch.tensor([[4, 0, 1], [0, 0, 0], [0, 0, 0]]), ["0", "1", "2"])
    assert metrics == pytest.approx(
        {"mean_iou": 0.4, "mean_dice": 4 / 9, "pixel_accuracy": 0.8,
         "iou/0": 0.8, "iou/2": 0, "dice/0": 8 / 9, "dice/2": 0}
    )  # fmt: skip


def test_classes_without_a_name_have_their_number():
    assert class_names(UNet.Config(out_channels=3, class_names=("sky", "sea"))) == ["sky", "sea", "2"]


# -- pictures ----------------------------------------------------------------


def test_classes_have_the_colours_of_the_palette_and_what_is_ignored_is_grey():
    classes = torch.tensor([[[0, 1, 2, 255]]])
    picture = colored(classes, 3, 255)
    assert picture.shape == (1, 3, 1, 4)
    shown = picture[0, :, 0].mul(255).round().int().T.tolist()
    assert [tuple(color) for color in shown] == [*zoo.palette(3), (128, 128, 128)]


def test_an_overlay_mixes_the_colour_in_and_leaves_the_first_class_as_it_was():
    gray = torch.full((1, 2, 3), 100 / 255)
    classes = torch.tensor([[0, 1, 2], [0, 1, 2]])
    shown = overlay(gray, classes, 3).mul(255)
    assert shown.shape == (3, 2, 3)
    for number, color in enumerate(zoo.palette(3)):
        expected = [100.0] * 3 if number == 0 else [50 + value / 2 for value in color]
        assert shown[:, 1, number].tolist() == pytest.approx(expected, abs=1)


@pytest.fixture(scope="module")
def scenes():
    return (
        zoo.build("digit-scenes", {"source": "subset", "height": 64, "width": 64}, kind="dataset")
        .test()
        .__getitems__([0, 1])
    )


def test_a_preview_has_rows_of_image_truth_and_prediction(scenes):
    image, mask = scenes["image"], scenes["mask"]
    predicted = (mask + 1) % 11
    picture = side_by_side(image, mask, predicted, [str(k) for k in range(11)], 255)
    assert picture.shape[:2] == (1, 3)
    assert 0 <= picture.min() <= picture.max() <= 1
    side, gap = 128, 2  # enlarged twice
    expected = (image.expand(-1, 3, -1, -1), colored(mask, 11), colored(predicted, 11))
    for row in range(2):
        for column, pictures in enumerate(expected):
            y, x = gap + row * (side + gap), gap + column * (side + gap)
            shown = picture[0, :, y : y + side : 2, x : x + side : 2]
            torch.testing.assert_close(shown, pictures[row])


def legend_of(picture, rows=2):
    return picture[0, :, 2 + rows * 130 :]


def test_a_legend_below_shows_every_class_in_its_colour_with_its_name(scenes):
    names = ["background", *"0123456789"]
    mask = torch.zeros_like(scenes["mask"])
    picture = side_by_side(scenes["image"], mask, mask, names, 255)
    legend = legend_of(picture).mul(255).round().int().flatten(1).T
    present = {tuple(color) for color in legend.unique(dim=0).tolist()}
    assert set(zoo.palette(11)) <= present
    others = legend_of(side_by_side(scenes["image"], mask, mask, ["background", *"abcdefghij"], 255))
    assert not torch.equal(others, legend_of(picture))


def test_a_legend_takes_as_many_lines_as_it_needs(scenes):
    def height(names):
        return legend_of(side_by_side(scenes["image"], scenes["mask"], scenes["mask"], names, 255)).shape[1]

    one_line = height([str(k) for k in range(11)])
    assert height([f"a long name of a class, {k}" for k in range(11)]) >= 4 * one_line


def test_a_narrow_preview_has_room_for_a_class_a_line():
    image, mask = torch.rand(1, 3, 128, 4), torch.zeros(1, 128, 4, dtype=torch.int64)
    assert side_by_side(image, mask, mask, ["a long name", "another"], 255).shape[-2] > 128 + 2 * 16
