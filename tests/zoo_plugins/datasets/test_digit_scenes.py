"""Scenes of the shipped digits: that masks agree with pictures, and that a scene is always the same scene."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import zoo_core as zoo
from zoo_plugins.datasets.digit_scenes import DigitScenes, Scenes
from zoo_plugins.datasets.sprites import Digits


def make(**settings):
    return DigitScenes(DigitScenes.Config(**{"source": "subset", **settings}))


def cropped(picture):
    """What of ``picture`` is not black, as bytes and shape."""
    (y, *_, bottom), (x, *_, right) = (np.flatnonzero(picture.any(axis=axis)) for axis in (1, 0))
    crop = picture[y : bottom + 1, x : right + 1]
    return crop.tobytes(), crop.shape


def bytes_of(image):
    return image.mul(255).round().byte().numpy()


def collated(batch):
    return batch


def plain_scene(pictures, labels, height, width, digits, key):
    """Digit after digit and pixel after pixel, drawn as the data set draws."""
    random = np.random.default_rng(key)
    image, mask = np.zeros((height, width), np.uint8), np.zeros((height, width), np.int64)
    for _ in range(random.integers(1, digits, endpoint=True)):
        chosen = random.integers(len(pictures))
        top, left = (random.integers(side - 28, endpoint=True) for side in (height, width))
        for y, x in np.ndindex(28, 28):
            value = pictures[chosen, y, x]
            if value >= 128:
                image[top + y, left + x], mask[top + y, left + x] = value, labels[chosen] + 1
            else:
                image[top + y, left + x] = max(image[top + y, left + x], value)
    return image, mask


def test_scenes_are_pictures_in_0_to_1_with_a_class_for_every_pixel():
    batch = make().train().__getitems__(range(30))
    assert type(batch) is zoo.Batch
    image, mask = batch["image"], batch["mask"]
    assert (image.shape, image.dtype) == ((30, 1, 64, 84), torch.float32)
    assert (mask.shape, mask.dtype) == ((30, 64, 84), torch.int64)
    assert (float(image.min()), float(image.max())) == (0, 1)
    assert mask.unique().tolist() == list(range(11))


def test_a_pixel_belongs_to_a_digit_where_it_is_bright_and_only_there():
    batch = make().train().__getitems__(range(50))
    bright = batch["image"][:, 0] >= 128 / 255
    assert torch.equal(batch["mask"] > 0, bright)


def test_a_scene_of_one_digit_has_that_digit_and_its_class():
    digits, known = Digits("subset", None, True), {}
    for part in ("train", "held_out", "test"):
        pictures, labels = getattr(digits, part)
        known |= {cropped(one): (part, int(label)) for one, label in zip(pictures.numpy(), labels, strict=True)}
    data = make(digits=1, validation_scenes=40, test_scenes=40)
    for part, examples in {"train": data.train(), "held_out": data.validation(), "test": data.test()}.items():
        labels = set()
        for number in range(40):
            scene = examples[number]
            of_part, label = known[cropped(bytes_of(scene["image"][0]))]
            assert of_part == part
            assert scene["mask"].unique().tolist() == [0, label + 1]
            labels.add(label)
        assert len(labels) > 5


@pytest.mark.parametrize("size", [(64, 84), (28, 40)])
def test_a_later_digit_covers_an_earlier_one(size):
    pictures, labels = (part.numpy() for part in Digits("subset", None, True).test)
    config = DigitScenes.Config(height=size[0], width=size[1], digits=4)
    batch = Scenes(pictures, labels, config, (7, 1))(range(12))
    most = 0
    for number in range(12):
        image, mask = plain_scene(pictures, labels, *size, 4, [7, 1, number])
        assert np.array_equal(bytes_of(batch["image"][number, 0]), image)
        assert np.array_equal(batch["mask"][number].numpy(), mask)
        most = max(most, len(np.unique(mask)) - 1)
    assert most >= 3


def test_digits_lie_anywhere_up_to_the_edges():
    covered = (make().train().__getitems__(range(400))["image"] > 0).any(dim=0)[0]
    ys, xs = covered.any(dim=1).nonzero(), covered.any(dim=0).nonzero()
    assert (int(ys.min()) <= 4, int(ys.max()) >= 59) == (True, True)  # digits have a black border of four pixels
    assert (int(xs.min()) <= 4, int(xs.max()) >= 79) == (True, True)


def test_a_scene_may_be_as_small_as_a_digit():
    scene = make(height=28, width=28, digits=1).train()[0]
    assert scene["image"].shape == (1, 28, 28)


def test_scene_k_of_a_seed_is_the_same_in_any_batch_any_instance_and_any_process():
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


def test_training_scenes_never_end_and_another_seed_gives_others_but_the_same_test():
    one, other = make(epoch_size=10), make(epoch_size=10, seed=1)
    assert one.train().endless
    assert len(one.train()) == 10
    scenes = [one.train()[0], one.train()[10], one.train()[10**9], other.train()[0]]
    assert len({bytes_of(scene["image"]).tobytes() for scene in scenes}) == 4
    for part in ("validation", "evaluation"):
        ours, theirs = getattr(one, part)(), getattr(other, part)()
        assert torch.equal(ours[4]["mask"], theirs[4]["mask"])
    assert (len(one.validation()), len(one.test())) == (1_000, 5_000)


def test_the_fingerprint_follows_the_settings_that_matter(tmp_path):
    one = make().fingerprint()
    assert one == make(root=str(tmp_path), download=False).fingerprint()
    assert len({one, make(seed=1).fingerprint(), make(digits=2).fingerprint()}) == 3
