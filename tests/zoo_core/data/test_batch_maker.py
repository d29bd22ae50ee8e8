"""What a dataset draws at random for an example follows from its place in the epoch, wherever the example is made."""

from __future__ import annotations

import random
from itertools import islice

import numpy as np
import pytest
import torch
from failing_examples import WAYS, AtOnce, Points
from torch.utils.data import StackDataset, Subset
from torchvision.transforms import v2

from zoo_core.data.batch_maker import BatchMaker, Part, loads_at_once
from zoo_core.data.loader import Batches, in_order
from zoo_core.data.seeding import seed_step
from zoo_core.dataset import Batch, GeneratedExamples, InMemory
from zoo_core.errors import BadFile, BadSetting, RunFailed

AUGMENT = v2.Compose(
    [
        v2.RandomResizedCrop(8, antialias=True),
        v2.RandomHorizontalFlip(),
        v2.ColorJitter(0.5, 0.5, 0.5),
        v2.GaussianNoise(),
    ]
)


class Augmented:
    """Images with torchvision's random transforms, and numbers from NumPy and ``random``."""

    def __init__(self, count=24):
        self.images = torch.rand(count, 3, 12, 12, generator=torch.Generator().manual_seed(0))

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        drawn = [np.random.rand(), random.random(), float(torch.rand(()))]  # noqa: S311  # not for cryptography
        seeded = np.random.default_rng(torch.initial_seed()).random(2)
        return {"image": AUGMENT(self.images[index]), "drawn": torch.tensor([*drawn, *seeded])}


class AugmentedAtOnce(Augmented):
    def __getitems__(self, indices):
        examples = [self[index] for index in indices]
        return Batch({name: torch.stack([one[name] for one in examples]) for name in examples[0]})


def batches(examples=None, seed=3, order=None, **options):
    """Four batches of six per epoch."""
    order = order or (lambda generator: torch.randperm(24, generator=generator))
    return Batches(examples or Augmented(), order, 6, seed, **options)


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize("kind", [Augmented, AugmentedAtOnce])
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_augmented_batches_do_not_depend_on_the_number_of_workers(kind, workers):
    expected = list(islice(batches(kind()), 6))
    given = list(islice(batches(kind(), workers=workers), 6))
    assert all(map(equal, expected, given))


@pytest.mark.parametrize("workers", [0, 2])
def test_augmented_batches_are_the_same_after_a_resume_in_the_middle_of_an_epoch(workers):
    expected = list(islice(batches(), 7))
    for start in (1, 3, 4, 6):
        resumed = batches(workers=workers)
        resumed.seek(start)
        assert equal(next(resumed), expected[start])


@pytest.mark.parametrize("world", [2, 3, 6])
def test_processes_together_get_the_augmented_examples_of_one_process(world):
    expected = list(islice(batches(), 5))
    parts = [list(islice(batches(rank=rank, world=world), 5)) for rank in range(world)]
    for number, batch in enumerate(expected):
        together = {name: torch.cat([part[number][name] for part in parts]) for name in batch}
        assert equal(batch, together)


@pytest.mark.parametrize(
    "wrap", [lambda one: Subset(one, range(24)), lambda one: Subset(Subset(one, range(24)), range(24))]
)
def test_a_subset_of_pytorch_is_augmented_example_by_example(wrap):
    expected = list(islice(batches(), 3))
    parts = [list(islice(batches(wrap(Augmented()), rank=rank, world=2, workers=rank), 3)) for rank in range(2)]
    for number, batch in enumerate(expected):
        assert equal(batch, {name: torch.cat([part[number][name] for part in parts]) for name in batch})


def test_wrappers_of_pytorch_make_whole_batches_if_what_they_wrap_does():
    assert not loads_at_once(Augmented())
    assert loads_at_once(AugmentedAtOnce())
    assert loads_at_once(Subset(AugmentedAtOnce(), [0]))
    assert not loads_at_once(StackDataset(image=Augmented()))
    assert loads_at_once(StackDataset(image=Augmented(), more=AugmentedAtOnce()))


def test_an_example_that_comes_twice_in_an_epoch_is_augmented_in_two_ways():
    oversampled = batches(order=lambda generator: torch.zeros(24, dtype=torch.int64))
    drawn = torch.cat([batch["drawn"] for batch in islice(oversampled, 4)])
    assert len({tuple(row.tolist()) for row in drawn}) == 24


def test_every_epoch_and_every_seed_augments_differently():
    stored = lambda generator: torch.arange(24)  # noqa: E731
    first, second = batches(order=stored), batches(order=stored)
    second.seek(4)
    assert not equal(next(first), next(second))
    assert not equal(next(batches(order=stored)), next(batches(order=stored, seed=4)))


def test_examples_that_are_computed_without_end_may_draw_as_well():
    def examples():
        return GeneratedExamples(lambda indices: Batch(noise=torch.randn(len(indices), 3)), 24, endless=True)

    expected = list(islice(batches(examples()), 6))
    assert all(map(equal, expected, islice(batches(examples(), workers=2), 6)))
    assert len({str(batch) for batch in expected}) == 6


@pytest.mark.parametrize("examples", [Augmented(), AugmentedAtOnce(), Subset(AugmentedAtOnce(), range(24))])
def test_loading_during_an_evaluation_leaves_the_random_state_as_it_was(examples):
    seed_step(0, 5, 0)
    expected = torch.randn(3), np.random.randn(3), random.random()  # noqa: S311  # not for cryptography
    seed_step(0, 5, 0)
    next(iter(in_order(BatchMaker(examples), 5)))
    given = torch.randn(3), np.random.randn(3), random.random()  # noqa: S311  # not for cryptography
    assert torch.equal(expected[0], given[0])
    assert (expected[1] == given[1]).all()
    assert expected[2] == given[2]


@pytest.mark.parametrize("draw", [torch.randperm, lambda n: torch.from_numpy(np.random.permutation(n))])
def test_an_order_that_draws_from_a_global_generator_is_reproducible(draw):
    expected = list(islice(batches(order=lambda generator: draw(24)), 6))
    torch.manual_seed(99)
    np.random.seed(99)
    resumed = batches(order=lambda generator: draw(24))
    resumed.seek(5)
    assert equal(next(resumed), expected[5])
    assert not equal(expected[0], expected[4])


def test_what_is_measured_on_augmented_examples_depends_on_the_seed_and_the_split_alone():
    expected = list(in_order(BatchMaker(Augmented(), 3, "test"), 5))
    assert all(map(equal, expected, in_order(BatchMaker(Augmented(), 3, "test"), 5, workers=2)))
    drawn = torch.cat([batch["drawn"] for batch in expected])
    for rank in range(2):  # each process measures other examples
        part = in_order(BatchMaker(Augmented(), 3, "test"), 5, rank=rank, world=2)
        assert torch.equal(torch.cat([batch["drawn"] for batch in part]), drawn[rank::2])
    other = next(iter(in_order(BatchMaker(Augmented(), 3, "validation"), 5)))
    assert not equal(other, expected[0])


def made(how, kind=Points):
    return BatchMaker(kind(12, how, 2, "."), dataset="the dataset 'failing'")(
        Part("example", 0, range(4), [4, 2, 1, 3])
    )


@pytest.mark.parametrize(
    ("how", "kind", "said"),
    [
        (
            "value",
            RunFailed,
            "the dataset 'failing' raised ValueError: no height (helpers/failing_examples.py, line {})",
        ),
        ("lines", RunFailed, "raised ValueError: first line second line third line (helpers"),
        ("exit", RunFailed, "raised SystemExit: 3 (helpers/failing_examples.py"),
        ("stop-iteration", RunFailed, "raised StopIteration: ended"),
        ("mute", RunFailed, "raised FailsToSay (helpers"),
        ("memory", RunFailed, "ran out of memory at training example 2: MemoryError: cannot allocate 10 GiB."),
        ("bad-file", BadFile, "/data/7.png is not an image (training example 2 of the dataset 'failing')."),
        ("own-bad-file", BadFile, "file 7 is not an image (training example 2 of the dataset 'failing')."),
        ("missing", BadFile, "cannot read training example 2: FileNotFoundError: [Errno 2] No such file"),
    ],
)
@pytest.mark.parametrize("examples", [Points, AtOnce])
def test_an_error_names_the_dataset_the_example_and_what_was_raised(how, kind, said, examples):
    with pytest.raises(kind) as error:
        made(how, examples)
    line = WAYS["value"].__code__.co_firstlineno + 1
    assert said.format(line) in error.value.message
    assert "training example 2" in error.value.message
    assert "\n" not in error.value.message
    assert error.value.hint


@pytest.mark.parametrize("how", ["ragged", "other-key"])
def test_examples_that_do_not_fit_into_a_batch_are_named(how):
    with pytest.raises(RunFailed, match=r"training examples 4, 2, 1, 3 of the dataset 'failing' cannot be combined"):
        made(how)


def test_one_example_that_is_not_a_mapping_is_reported():
    with pytest.raises(BadSetting, match="of type tuple, but should be mappings"):
        made("tuple")


def test_a_key_press_while_an_example_is_made_is_not_an_error_of_the_dataset():
    with pytest.raises(KeyboardInterrupt):
        made("interrupt")


def test_tensors_in_memory_are_not_seeded_since_they_draw_nothing():
    torch.manual_seed(1)
    before = torch.initial_seed()
    seen = []

    class Watched(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            seen.append(torch.initial_seed())
            return super().__torch_function__(function, types, args, kwargs or {})

    BatchMaker(InMemory(number=torch.arange(4).as_subclass(Watched)))(Part("example", 0, range(2), [1, 2]))
    assert set(seen) == {before}
