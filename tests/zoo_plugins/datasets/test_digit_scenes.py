"""Digit scenes: the masks match the images, and scene k of a seed is always the same."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import zoo_core as zoo
from zoo_plugins.datasets.digit_scenes import DigitScenes, Scenes
from zoo_plugins.datasets.sprites import Digits


def make(**settings):
    return DigitScenes(DigitScenes.Config(**{"source": "subset", **settings}))


def cropped(image):
    """The bounding box of the nonzero pixels of ``image``, as bytes and shape."""
    (y, *_, bottom), (x, *_, right) = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
    crop = image[y : bottom + 1, x : right + 1]
    return crop.tobytes(), crop.shape


def bytes_of(image):
    return image.mul(255).round().byte().numpy()


def collated(batch):
    return batch


def plain_scene(digits, labels, height, width, max_digits, key):
    """A scene drawn pixel by pixel, with the random numbers in the order of the dataset."""
    random = np.random.default_rng(key)
    image, mask = np.zeros((height, width), np.uint8), np.zeros((height, width), np.int64)
    for _ in range(random.integers(1, max_digits, endpoint=True)):
        chosen = random.integers(len(digits))
        top, left = (random.integers(side - 28, endpoint=True) for side in (height, width))
        for y, x in np.ndindex(28, 28):
            value = digits[chosen, y, x]
            if value >= 128:
                image[top + y, left + x], mask[top + y, left + x] = value, labels[chosen] + 1
            else:
                image[top + y, left + x] = max(image[top + y, left + x], value)
    return image, mask


def test_scenes_are_images_in_0_to_1_with_a_class_index_for_every_pixel():
    batch = make().train().__getitems__(range(30))
    assert type(batch) is zoo.Batch
    image, mask = batch["image"], batch["mask"]
    assert (image.shape, image.dtype) == ((30, 1, 64, 84), torch.float32)
    assert (mask.shape, mask.dtype) == ((30, 64, 84), torch.int64)
    assert (float(image.min()), float(image.max())) == (0, 1)
    assert mask.unique().tolist() == list(range(11))


def test_pixels_of_at_least_half_brightness_belong_to_a_digit():
    batch = make().train().__getitems__(range(50))
    bright = batch["image"][:, 0] >= 128 / 255
    assert torch.equal(batch["mask"] > 0, bright)


def test_each_split_has_its_own_digits_with_their_classes():
    digits, known = Digits("subset", None, True), {}
    for split in ("train", "validation", "test"):
        images, labels = getattr(digits, split)
        known |= {cropped(one): (split, int(label)) for one, label in zip(images.numpy(), labels, strict=True)}
    data = make(max_digits=1, validation_scenes=40, test_scenes=40)
    for split, examples in {"train": data.train(), "validation": data.validation(), "test": data.test()}.items():
        labels = set()
        for index in range(40):
            scene = examples[index]
            split_of_digit, label = known[cropped(bytes_of(scene["image"][0]))]
            assert split_of_digit == split
            assert scene["mask"].unique().tolist() == [0, label + 1]
            labels.add(label)
        assert len(labels) > 5


@pytest.mark.parametrize("size", [(64, 84), (28, 40)])
def test_a_later_digit_covers_an_earlier_one(size):
    digits, labels = (tensor.numpy() for tensor in Digits("subset", None, True).test)
    config = DigitScenes.Config(height=size[0], width=size[1], max_digits=4)
    scenes = Scenes(digits, labels, config, (7, 1))
    batch = scenes.render(scenes.draw(range(12)))
    most_digits = 0
    for number in range(12):
        image, mask = plain_scene(digits, labels, *size, 4, [7, 1, number])
        assert np.array_equal(bytes_of(batch["image"][number, 0]), image)
        assert np.array_equal(batch["mask"][number].numpy(), mask)
        most_digits = max(most_digits, len(np.unique(mask)) - 1)
    assert most_digits >= 3


def test_digits_may_be_anywhere_up_to_the_edges():
    covered = (make().train().__getitems__(range(400))["image"] > 0).any(dim=0)[0]
    ys, xs = covered.any(dim=1).nonzero(), covered.any(dim=0).nonzero()
    assert (int(ys.min()) <= 4, int(ys.max()) >= 59) == (True, True)  # digits have a black border of four pixels
    assert (int(xs.min()) <= 4, int(xs.max()) >= 79) == (True, True)


def test_a_scene_may_be_as_small_as_a_digit():
    scene = make(height=28, width=28, max_digits=1).train()[0]
    assert scene["image"].shape == (1, 28, 28)


def test_scene_k_of_a_seed_is_the_same_in_any_batch_instance_and_process():
    examples = make(seed=3).train()
    expected = examples[7]
    others = [
        examples.__getitems__([2, 7]),
        make(seed=3, epoch_size=50).train().__getitems__([900, 7]),
        *DataLoader(examples, batch_sampler=[[0, 7], [1, 7]], num_workers=2, collate_fn=collated),
    ]
    assert len(others) == 4
    for batch in others:
        for name, tensor in expected.items():
            assert torch.equal(batch[name][1], tensor)


def test_training_scenes_are_endless_and_depend_on_the_seed_unlike_the_other_splits():
    one, other = make(epoch_size=10), make(epoch_size=10, seed=1)
    assert one.train().endless
    assert len(one.train()) == 10
    scenes = [one.train()[0], one.train()[10], one.train()[10**9], other.train()[0]]
    assert len({bytes_of(scene["image"]).tobytes() for scene in scenes}) == 4
    for split in ("validation", "test"):
        ours, theirs = getattr(one, split)(), getattr(other, split)()
        assert torch.equal(ours[4]["mask"], theirs[4]["mask"])
    assert (len(one.validation()), len(one.test())) == (1_000, 5_000)


def test_the_fingerprint_depends_on_the_settings_that_affect_the_scenes(tmp_path):
    one = make().fingerprint()
    assert one == make(root=str(tmp_path), download=False).fingerprint()
    assert len({one, make(seed=1).fingerprint(), make(max_digits=2).fingerprint()}) == 3


@pytest.mark.parametrize("settings", [{}, {"height": 28, "width": 28, "max_digits": 5}, {"width": 31, "max_digits": 1}])
def test_scenes_drawn_by_an_accelerator_are_those_of_the_cpu(settings):
    examples = make(**settings).train()
    drawn = examples.make(range(100))
    image, mask = examples.make.__self__.draw_on_device(drawn["digit"], drawn["corner"])
    expected = examples.render(drawn)
    assert torch.equal(image[:, None].float() / 255, expected["image"])
    assert (image.dtype, mask.dtype) == (torch.uint8, torch.int64)
    assert torch.equal(mask, expected["mask"])
