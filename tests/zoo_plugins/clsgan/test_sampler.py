"""Epochs whose neighbors share a label."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import zoo_core as zoo
from zoo_plugins.clsgan.sampler import same_label_order
from zoo_plugins.clsgan.trainer import CLSGANTrainer

LABELS = torch.tensor([0] * 9 + [1] * 4 + [2] * 3 + [3] * 6)[torch.randperm(22, generator=torch.Generator())]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@given(labels=st.lists(st.integers(0, 3), min_size=1, max_size=40), group=st.integers(1, 5), seed=st.integers(0, 99))
def test_every_group_has_one_label_and_each_label_leaves_out_less_than_a_group(labels, group, seed):
    labels = torch.tensor(labels)
    if labels.bincount().max() < group:
        with pytest.raises(zoo.ZooError, match=f"same_label_group_size is {group}, but no label has more than"):
            same_label_order(zoo.InMemory(label=labels), group, seeded(seed))
        return
    order = same_label_order(zoo.InMemory(label=labels), group, seeded(seed))
    assert len(order) % group == 0
    assert len(order.unique()) == len(order)
    for members in labels[order].view(-1, group):
        assert len(members.unique()) == 1
    for label in labels.unique():
        left_out = (labels == label).sum() - (labels[order] == label).sum()
        assert 0 <= left_out < group


def test_other_examples_are_left_out_in_another_epoch():
    examples = zoo.InMemory(label=LABELS)
    left_out = {frozenset(range(22)) - frozenset(same_label_order(examples, 4, seeded(s)).tolist()) for s in range(9)}
    assert len(left_out) > 1
    assert {len(one) for one in left_out} == {22 - 8 - 4 - 0 - 4}


def test_the_order_follows_from_the_generator_alone():
    examples = zoo.InMemory(label=LABELS)
    torch.manual_seed(0)
    one = same_label_order(examples, 2, seeded(1))
    torch.manual_seed(1)
    assert torch.equal(same_label_order(examples, 2, seeded(1)), one)
    assert not torch.equal(same_label_order(examples, 2, seeded(2)), one)


def test_any_examples_with_labels_will_do():
    examples = [{"label": int(label)} for label in LABELS]
    in_memory = same_label_order(zoo.InMemory(label=LABELS), 3, seeded(1))
    assert torch.equal(same_label_order(examples, 3, seeded(1)), in_memory)


def test_the_trainer_orders_by_its_label_group():
    examples = zoo.InMemory(label=LABELS)
    grouped = CLSGANTrainer(CLSGANTrainer.Config(same_label_group_size=3, eval_classifier=None)).order(
        examples, seeded(5)
    )
    assert torch.equal(grouped, same_label_order(examples, 3, seeded(5)))
    plain = CLSGANTrainer(CLSGANTrainer.Config(eval_classifier=None)).order(examples, seeded(5))
    assert torch.equal(plain, torch.randperm(22, generator=seeded(5)))
