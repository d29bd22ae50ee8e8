"""Order of the training examples in groups of one label."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import zoo_core as zoo
from zoo_plugins.clsgan.sampler import same_label_order
from zoo_plugins.clsgan.trainer import CLSGANTrainer

LABELS = torch.tensor([0] * 9 + [1] * 4 + [2] * 4 + [3] * 5)[torch.randperm(22, generator=torch.Generator())]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=40), group_size=st.integers(1, 5), seed=st.integers(0, 99)
)
def test_every_group_has_one_label_and_less_than_a_group_of_each_label_is_dropped(labels, group_size, seed):
    labels = torch.tensor(labels)
    if labels.unique(return_counts=True)[1].min() < group_size:
        with pytest.raises(zoo.ZooError, match=rf"_size is {group_size}, but the label \d has \d+ training"):
            same_label_order(zoo.InMemory(label=labels), group_size, seeded(seed))
        return
    order = same_label_order(zoo.InMemory(label=labels), group_size, seeded(seed))
    assert len(order) % group_size == 0
    assert len(order.unique()) == len(order)
    for group in labels[order].view(-1, group_size):
        assert len(group.unique()) == 1
    for label in labels.unique():
        dropped = (labels == label).sum() - (labels[order] == label).sum()
        assert 0 <= dropped < group_size


def test_different_examples_are_dropped_in_different_epochs():
    examples = zoo.InMemory(label=LABELS)
    dropped = {frozenset(range(22)) - frozenset(same_label_order(examples, 4, seeded(s)).tolist()) for s in range(9)}
    assert len(dropped) > 1
    assert {len(one) for one in dropped} == {22 - 8 - 4 - 4 - 4}


def test_the_order_depends_on_the_generator_only():
    examples = zoo.InMemory(label=LABELS)
    torch.manual_seed(0)
    one = same_label_order(examples, 2, seeded(1))
    torch.manual_seed(1)
    assert torch.equal(same_label_order(examples, 2, seeded(1)), one)
    assert not torch.equal(same_label_order(examples, 2, seeded(2)), one)


def test_examples_may_be_any_sequence_with_labels():
    examples = [{"label": int(label)} for label in LABELS]
    in_memory = same_label_order(zoo.InMemory(label=LABELS), 3, seeded(1))
    assert torch.equal(same_label_order(examples, 3, seeded(1)), in_memory)


def test_the_trainer_uses_same_label_group_size():
    examples = zoo.InMemory(label=LABELS)
    grouped = CLSGANTrainer(CLSGANTrainer.Config(same_label_group_size=3, eval_classifier=None)).order(
        examples, seeded(5)
    )
    assert torch.equal(grouped, same_label_order(examples, 3, seeded(5)))
    plain = CLSGANTrainer(CLSGANTrainer.Config(eval_classifier=None)).order(examples, seeded(5))
    assert torch.equal(plain, torch.randperm(22, generator=seeded(5)))


@pytest.mark.parametrize("examples", [zoo.InMemory(image=torch.zeros(8, 1, 4, 4)), [{"image": torch.zeros(1, 4, 4)}]])
def test_images_without_labels_have_no_groups(examples):
    with pytest.raises(zoo.BadSetting, match="the dataset has no labels") as refused:
        same_label_order(examples, 4, seeded(0))
    assert "trainer.same_label_group_size=1 model.conditional=false" in refused.value.hint
