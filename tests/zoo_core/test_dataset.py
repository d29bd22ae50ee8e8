"""The base class of datasets, and examples that are generated or held in memory."""

import random
import re
from dataclasses import dataclass

import numpy as np
import pytest
import torch

import zoo_core as zoo
from zoo_core.data.batch_maker import BatchMaker
from zoo_core.data.loader import in_order


def squares(indices):
    number = torch.tensor(indices)
    return zoo.Batch(number=number, square=number**2)


class FailsAt(zoo.Dataset):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        pass

    def __init__(self, error):
        super().__init__(self.Config())
        self.error = error

    def train(self):
        return _Failing(self.error)

    def test(self):
        return _Failing(self.error)


class _Failing:
    def __init__(self, error):
        self.error = error

    def __len__(self):
        return 9

    def __getitem__(self, index):
        if index == 7:
            raise self.error
        return {"number": index}


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            ValueError("two\nlines"),
            zoo.RunFailed,
            r"FailsAt.train\(\) raised ValueError: two lines \(zoo_core/test_dataset.py, line \d+\), at example 7",
        ),
        (OSError("half a file"), zoo.BadFile, r"FailsAt.train\(\) cannot read example 7: OSError: half a file"),
        (zoo.BadFile("it is damaged."), zoo.BadFile, r"it is damaged \(example 7 of FailsAt.train\(\)\)"),
    ],
)
def test_an_example_that_fails_while_the_fingerprint_is_computed_is_named(error, kind, message):
    with pytest.raises(kind, match=message):
        FailsAt(error).fingerprint()


def test_generated_examples_are_the_same_one_by_one_and_in_a_batch():
    examples = zoo.GeneratedExamples(squares, 5)
    assert len(examples) == 5
    assert {name: int(value) for name, value in examples[3].items()} == {"number": 3, "square": 9}
    assert examples.__getitems__([1, 4])["square"].tolist() == [1, 16]
    assert [batch["square"].tolist() for batch in in_order(BatchMaker(examples), 2)] == [[0, 1], [4, 9], [16]]


def test_generated_examples_are_endless_only_on_request():
    assert not zoo.GeneratedExamples(squares, 5).endless
    assert zoo.GeneratedExamples(squares, 5, endless=True).endless


def test_examples_are_generated_in_worker_processes_too():
    batches = in_order(BatchMaker(zoo.GeneratedExamples(squares, 5)), 2, workers=2)
    assert [batch["square"].tolist() for batch in batches] == [[0, 1], [4, 9], [16]]


def test_examples_in_memory_are_the_same_one_by_one_and_in_a_batch():
    examples = zoo.InMemory(number=torch.arange(5), square=torch.arange(5) ** 2)
    assert int(examples[3]["square"]) == 9
    batch = examples.__getitems__([4, 1])
    assert type(batch) is zoo.Batch
    assert batch["square"].tolist() == [16, 1]


def test_uint8_images_are_stored_as_bytes_and_returned_as_floats_in_0_to_1():
    pixels = torch.randint(0, 256, (5, 1, 3, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images = pixels.float() / 255
    examples = zoo.InMemory(image=zoo.Uint8Images(pixels), label=torch.arange(5))
    assert torch.equal(examples[3]["image"], images[3])
    assert torch.equal(examples.__getitems__([4, 1])["image"], images[[4, 1]])
    assert torch.equal(examples.tensors["image"], images)
    assert list(examples.tensors) == ["image", "label"]
    assert examples.tensors["label"] is examples.tensors["label"]
    with pytest.raises(ValueError, match=r"pixels are torch\.float32, but should be torch\.uint8"):
        zoo.Uint8Images(images)


def test_tensors_of_different_lengths_are_an_error():
    with pytest.raises(ValueError, match=r"should have the same length, but have \{'image': 3, 'label': 2\}"):
        zoo.InMemory(image=torch.zeros(3, 1), label=torch.zeros(2))


class Numbers(zoo.Dataset):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        count: int = zoo.setting(4, "number of training examples")

    def train(self):
        return zoo.GeneratedExamples(squares, self.config.count)

    def test(self):
        return zoo.GeneratedExamples(squares, 3)


def test_the_validation_examples_are_the_test_examples_by_default():
    assert len(Numbers(Numbers.Config()).validation()) == 3


def test_the_fingerprint_changes_with_the_data():
    one, same, other = (Numbers(Numbers.Config(count=count)).fingerprint() for count in (4, 4, 5))
    assert one == same != other


def test_the_fingerprint_covers_values_of_every_type():
    class Mixed(zoo.Dataset):
        @dataclass(frozen=True, kw_only=True)
        class Config:
            word: str = zoo.setting("a", "text of each example")

        config: Config

        def train(self):
            half = torch.ones(2, dtype=torch.bfloat16)
            return [{"half": half, "word": self.config.word, "none": None, "boxes": {"x": [1]}}] * 3

        def test(self):
            return self.train()

    class Pairs(Mixed):
        def train(self):
            return [(torch.ones(2), 1)] * 3

    with pytest.raises(zoo.BadSetting, match=r"an example of Pairs\.train\(\) is of type tuple, not a mapping"):
        Pairs(Pairs.Config()).fingerprint()
    one, same, other = (Mixed(Mixed.Config(word=word)).fingerprint() for word in "aab")
    assert one == same != other


# -- the fingerprint ---------------------------------------------------------


class Photos(zoo.Dataset):
    """A stranger's dataset: a map-style dataset that zoo knows nothing of."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        augment: bool = zoo.setting(False, "add noise")

    config: Config
    pixels = torch.zeros(200, 3, 8, 8, dtype=torch.uint8)

    def train(self):
        return Augmented(self.pixels[:150], self.config.augment)

    def validation(self):
        return Augmented(self.pixels[150:180], False)

    def test(self):
        return Augmented(self.pixels[180:], False)


class Augmented:
    def __init__(self, pixels, augment):
        self.pixels, self.augment = pixels, augment

    def __len__(self):
        return len(self.pixels)

    def __getitem__(self, index):
        image = self.pixels[index] / 255
        noise = torch.rand(8, 8) + float(np.random.rand()) + random.gauss() if self.augment else 0
        return {"image": image + noise, "name": f"photo {index}"}


@pytest.mark.parametrize("augment", [False, True])
@pytest.mark.parametrize("index", [0, 1, 73, 149, 150, 163, 179, 180, 191, 199])
def test_one_changed_pixel_of_any_example_changes_the_fingerprint(index, augment):
    photos = Photos(Photos.Config(augment=augment))
    one = photos.fingerprint()
    assert re.fullmatch("[0-9a-f]{64}", one)
    photos.pixels = photos.pixels.clone()
    photos.pixels[index, 1, 2, 3] = 1
    assert photos.fingerprint() != one


def test_the_fingerprint_neither_depends_on_the_random_state_nor_changes_it():
    photos = Photos(Photos.Config(augment=True))
    prints = set()
    for seed in range(3):
        for set_seed in (torch.manual_seed, np.random.seed, random.seed):
            set_seed(seed)
        expected = torch.rand(3), np.random.rand(3), random.gauss()
        for set_seed in (torch.manual_seed, np.random.seed, random.seed):
            set_seed(seed)
        prints.add(photos.fingerprint())
        assert torch.equal(torch.rand(3), expected[0])
        assert np.array_equal(np.random.rand(3), expected[1])
        assert random.gauss() == expected[2]
    assert len(prints) == 1


class Held(zoo.Dataset):
    """Data in memory."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        pass

    def __init__(self, config, pixels, labels):
        super().__init__(config)
        self.pixels, self.labels = pixels, labels

    def train(self):
        return zoo.InMemory(image=zoo.Uint8Images(self.pixels), label=self.labels)

    def test(self):
        return zoo.InMemory(image=zoo.Uint8Images(self.pixels[:2]), label=self.labels[:2])


def test_the_fingerprint_of_data_in_memory_changes_with_every_byte_type_and_shape():
    pixels, labels = torch.zeros(10_000, 1, 4, 4, dtype=torch.uint8), torch.zeros(10_000, dtype=torch.int64)

    def fingerprint(pixels, labels):
        return Held(Held.Config(), pixels, labels).fingerprint()

    one = fingerprint(pixels, labels)
    assert fingerprint(pixels.clone(), labels.clone()) == one
    changed = pixels.clone()
    changed[7_777, 0, 3, 1] = 1
    others = [
        (changed, labels),
        (pixels.view(10_000, 1, 2, 8), labels),
        (pixels, labels.int()),
        (pixels, labels.bool()),
    ]
    assert len({one, *(fingerprint(*other) for other in others)}) == 5


class Made(zoo.Dataset):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        size: int = zoo.setting(3, "size")

    version: str | None = "1"
    calls = 0

    def train(self):
        return zoo.GeneratedExamples(self.make, 10_000, endless=True, version=self.version)

    def test(self):
        return zoo.GeneratedExamples(self.make, 100, version=self.version)

    def make(self, indices):
        self.calls += 1
        return zoo.Batch(number=torch.tensor(indices))


def test_the_fingerprint_of_generated_data_covers_the_settings_and_the_version_of_the_generator():
    made = Made(Made.Config())
    one = made.fingerprint()
    assert made.calls == 0
    assert Made(Made.Config(size=4)).fingerprint() != one
    made.version = "2"
    assert made.fingerprint() != one
    made.version = None
    assert made.fingerprint() != one
    assert made.calls == 10_100


def test_the_fingerprint_covers_nested_values_and_refuses_what_has_no_bytes():
    def fingerprint(value):
        class One(Held):
            def train(self):
                return [{"boxes": value}]

            test = train

        return One(One.Config(), torch.zeros(0), torch.zeros(0)).fingerprint()

    long, other = torch.zeros(5_000), torch.zeros(5_000)
    other[2_500] = 1  # a repr would leave it out
    values = [{"x": long}, {"x": other}, [long, other], [other, long], (other, long, 1), {"x": other.numpy()},
              np.array(["a", "b"]), np.float32(1), 1, 1.0, True, "1", b"1", None, [], {}]  # fmt: skip
    prints = [fingerprint(value) for value in values]
    assert len(set(prints)) == len(values) - 1  # a tensor and an array of the same values are the same
    with pytest.raises(zoo.BadSetting, match="a value of type object has no fingerprint") as error:
        fingerprint(object())
    assert "zoo.fingerprint_files" in error.value.hint
