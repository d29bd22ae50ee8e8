"""The base class of datasets, and examples that are generated or held in memory."""

from dataclasses import dataclass

import pytest
import torch

import zoo_core as zoo
from zoo_core.data.batch_maker import BatchMaker
from zoo_core.data.loader import in_order


def squares(indices):
    number = torch.tensor(indices)
    return zoo.Batch(number=number, square=number**2)


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

    with pytest.raises(zoo.BadSetting, match="an example of Pairs is of type tuple, not a mapping"):
        Pairs(Pairs.Config()).fingerprint()
    one, same, other = (Mixed(Mixed.Config(word=word)).fingerprint() for word in "aab")
    assert one == same != other
