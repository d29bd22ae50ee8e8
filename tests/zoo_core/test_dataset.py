"""Data sets: collections of examples, made on the fly or kept in memory."""

from dataclasses import dataclass

import pytest
import torch

import zoo_core as zoo
from zoo_core.data.loader import in_order
from zoo_core.errors import BadSetting


def squares(indices):
    number = torch.tensor(indices)
    return zoo.Batch(number=number, square=number**2)


def test_examples_made_on_the_fly_are_the_same_one_by_one_and_in_a_batch():
    examples = zoo.GeneratedExamples(squares, 5)
    assert len(examples) == 5
    assert {name: int(value) for name, value in examples[3].items()} == {"number": 3, "square": 9}
    assert examples.__getitems__([1, 4])["square"].tolist() == [1, 16]
    assert [batch["square"].tolist() for batch in in_order(examples, 2)] == [[0, 1], [4, 9], [16]]


def test_examples_made_on_the_fly_are_endless_only_where_it_is_said():
    assert not zoo.GeneratedExamples(squares, 5).endless
    assert zoo.GeneratedExamples(squares, 5, endless=True).endless


def test_evaluation_makes_examples_in_other_processes_too():
    batches = in_order(zoo.GeneratedExamples(squares, 5), 2, workers=2)
    assert [batch["square"].tolist() for batch in batches] == [[0, 1], [4, 9], [16]]


def test_examples_in_memory_are_the_same_one_by_one_and_in_a_batch():
    examples = zoo.InMemory(number=torch.arange(5), square=torch.arange(5) ** 2)
    assert int(examples[3]["square"]) == 9
    batch = examples.__getitems__([4, 1])
    assert type(batch) is zoo.Batch
    assert batch["square"].tolist() == [16, 1]


def test_pixels_are_kept_as_bytes_and_given_as_numbers_from_0_to_1():
    bytes_ = torch.randint(0, 256, (5, 1, 3, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    numbers = bytes_.float() / 255
    examples = zoo.InMemory(image=zoo.Uint8Images(bytes_), label=torch.arange(5))
    assert torch.equal(examples[3]["image"], numbers[3])
    assert torch.equal(examples.__getitems__([4, 1])["image"], numbers[[4, 1]])
    assert torch.equal(examples.tensors["image"], numbers)
    assert list(examples.tensors) == ["image", "label"]
    assert examples.tensors["label"] is examples.tensors["label"]
    with pytest.raises(ValueError, match=r"pixels are torch\.float32, but should be torch\.uint8"):
        zoo.Uint8Images(numbers)


def test_tensors_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match=r"should have the same length, but have \{'image': 3, 'label': 2\}"):
        zoo.InMemory(image=torch.zeros(3, 1), label=torch.zeros(2))


class Numbers(zoo.Dataset):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        count: int = zoo.setting(4, "examples to train on")

    def train(self):
        return zoo.GeneratedExamples(squares, self.config.count)

    def test(self):
        return zoo.GeneratedExamples(squares, 3)


def test_a_data_set_validates_on_its_evaluation_unless_it_says_otherwise():
    assert len(Numbers(Numbers.Config()).validation()) == 3


def test_a_fingerprint_is_that_of_the_data():
    one, same, other = (Numbers(Numbers.Config(count=count)).fingerprint() for count in (4, 4, 5))
    assert one == same != other


def test_a_fingerprint_is_of_whatever_an_example_holds():
    class Odd(zoo.Dataset):
        @dataclass(frozen=True, kw_only=True)
        class Config:
            word: str = zoo.setting("a", "what each example says")

        config: Config

        def train(self):
            half = torch.ones(2, dtype=torch.bfloat16)
            return [{"half": half, "word": self.config.word, "none": None, "boxes": {"x": [1]}}] * 3

        def test(self):
            return self.train()

    class Pairs(Odd):
        def train(self):
            return [(torch.ones(2), 1)] * 3

    with pytest.raises(BadSetting, match="an example of Pairs is of type tuple, not a mapping"):
        Pairs(Pairs.Config()).fingerprint()
    one, same, other = (Odd(Odd.Config(word=word)).fingerprint() for word in "aab")
    assert one == same != other
