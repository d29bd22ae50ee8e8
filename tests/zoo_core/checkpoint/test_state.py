"""What a trainer holds, as tensors and JSON and back."""

import copy
import json
import math
import re
from collections import Counter, defaultdict, deque
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from zoo_core.checkpoint.serialize import pack, unpack
from zoo_core.checkpoint.state import TrainerState
from zoo_core.errors import BadFile, ZooError

NUMBERS = [0, 1, -3]
TENSORS = st.lists(st.sampled_from(NUMBERS), max_size=4).map(torch.tensor) | st.sampled_from(NUMBERS).map(torch.tensor)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
KEYS = st.text(alphabet="ab.$-1", max_size=4) | st.integers(-2, 12) | st.none() | st.booleans()
NESTED = st.recursive(
    PLAIN | TENSORS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=12,
)


def same(one, other):
    """Equal to the type and the bit, where NaN equals NaN."""
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        # 1 and True are one key, so the keys are compared in order, with their types.
        return same(list(one), list(other)) and same(list(one.values()), list(other.values()))
    return one == other


@given(NESTED)
def test_what_is_packed_is_unpacked_the_same(value):
    tensors, structure = pack(value)
    on_disk = json.loads(json.dumps(structure, allow_nan=False))
    assert same(unpack(tensors, on_disk), value)


@pytest.mark.parametrize(
    "value",
    [
        {"a.b": torch.tensor(1), "a": {"b": torch.tensor(2)}},
        {1: torch.tensor(1), "1": torch.tensor(2)},
        {"$tensor": "not one"},
        [torch.empty(0), torch.empty(0, 3), torch.empty(0, dtype=torch.int64)],
        (math.inf, -math.inf, math.nan, (), [], {}),
    ],
)
def test_values_that_look_alike_are_told_apart(value):
    tensors, structure = pack(value)
    assert same(unpack(tensors, json.loads(json.dumps(structure))), value)


def test_tied_tensors_are_stored_once():
    weight, other = torch.randn(3), torch.randn(3)
    tensors, structure = pack({"encoder": weight, "decoder": weight, "view": weight[:2], "other": other})
    assert list(tensors) == ["encoder", "view", "other"]
    back = unpack(tensors, structure)
    assert back["encoder"] is back["decoder"]
    assert torch.equal(back["view"], weight[:2])


def test_a_value_deep_inside_that_cannot_be_kept_is_named():
    with pytest.raises(ZooError, match=r"cannot keep 'state\.0\.buffer', a deque"):
        pack({"state": [{"buffer": deque()}]})


class Trainer:
    """A trainer with everything that counts as state."""

    def __init__(self, model, seed):
        torch.manual_seed(seed)
        self.config, self.engine = object(), object()
        self._cache = deque()
        self.network = model[0]  # inside the model, so it is kept with the model
        self.critic = nn.Linear(3, 1)
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, betas=(0.5, 0.9), fused=True)
        self.critic_optimizer = torch.optim.SGD(self.critic.parameters(), lr=0.1, momentum=0.9)
        self.schedule = OneCycleLR(self.optimizer, 0.1, total_steps=50)
        self.average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
        self.best, self.seen, self.note, self.pair, self.by_label = math.inf, 0, None, (1, 2.5), {3: 0.5}
        self.noise = torch.randn(4)
        self.history = [torch.zeros(2)]

    def step(self, model):
        for optimizer, module in ((self.optimizer, model), (self.critic_optimizer, self.critic)):
            module(torch.randn(5, 3)).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
        self.schedule.step()
        self.average.update_parameters(model)
        self.seen += 1
        self.noise += torch.randn(4)
        self.history.append(torch.randn(2))
        self.best, self.pair, self.note = 1 / self.seen, (self.seen, "x"), "stepped"


class Place(NamedTuple):
    left: int
    top: int


def made(seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    return model, Trainer(model, seed + 1)


def test_underscored_names_config_engine_and_the_models_own_modules_are_no_state_of_their_own():
    model, trainer = made(0)
    assert TrainerState(model, trainer).names() == [
        "model", "critic", "optimizer", "critic_optimizer", "schedule", "average",
        "best", "seen", "note", "pair", "by_label", "noise", "history",
    ]  # fmt: skip


def test_a_trainer_that_is_restored_goes_on_bit_for_bit():
    model, trainer = made(0)
    for _ in range(5):
        trainer.step(model)
    captured = copy.deepcopy(TrainerState(model, trainer).capture())
    captured = {name: (tensors, json.loads(json.dumps(held))) for name, (tensors, held) in captured.items()}
    other_model, other = made(100)
    other.step(other_model)
    TrainerState(other_model, other).restore(captured)

    for one_model, one in ((model, trainer), (other_model, other)):
        torch.manual_seed(7)
        for _ in range(5):
            one.step(one_model)
    ours, theirs = TrainerState(model, trainer).capture(), TrainerState(other_model, other).capture()
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert same(unpack(*ours[name]), unpack(*theirs[name])), name


def test_restoring_fills_the_tensor_that_is_there():
    model, trainer = made(0)
    captured = copy.deepcopy(TrainerState(model, trainer).capture())
    noise = trainer.noise
    noise.zero_()
    TrainerState(model, trainer).restore(captured)
    assert trainer.noise is noise
    assert noise.abs().sum() > 0


OTHERS = [torch.zeros(1), torch.tensor(5.0), torch.zeros(1, 4), torch.zeros(2, 4), torch.zeros(4).double(), 3.0, None]


@pytest.mark.parametrize("other", OTHERS)
def test_a_tensor_that_is_learnt_is_not_filled_with_another_shape_though_it_would_spread_over_it(other):
    model, trainer = made(0)
    trainer.noise.requires_grad_()
    noise = trainer.noise.clone()
    captured = {**TrainerState(model, trainer).capture(), "noise": pack(other)}
    held = f"a tensor {tuple(other.shape)}" if isinstance(other, torch.Tensor) else f"a {type(other).__name__}"
    message = re.escape(f"the checkpoint's noise does not fit: it is {held}, but should be a tensor (4,), which is")
    with pytest.raises(BadFile, match=message):
        TrainerState(model, trainer).restore(captured)
    assert torch.equal(trainer.noise, noise)


@pytest.mark.parametrize("other", OTHERS)
def test_any_other_tensor_comes_back_as_it_was_saved_though_it_grew_or_became_another_thing(other):
    model, trainer = made(0)
    trainer.noise = other
    captured = TrainerState(model, trainer).capture()
    model, trainer = made(0)
    TrainerState(model, trainer).restore(captured)
    assert same(trainer.noise, other)


def test_tensors_in_lists_and_mappings_are_filled_where_an_optimizer_or_another_attribute_knows_them():
    def with_inner():
        model, trainer = made(0)
        trainer.learnt = {"log_alpha": torch.zeros(1, requires_grad=True), "pair": (torch.zeros(2), [1])}
        trainer.inner_optimizer = torch.optim.SGD([trainer.learnt["log_alpha"]], lr=0.1)
        trainer.queue = [torch.zeros(2)]
        trainer.newest = trainer.queue[0]
        return model, trainer

    def step(trainer):
        trainer.learnt["log_alpha"].exp().sum().backward()
        trainer.inner_optimizer.step()
        trainer.inner_optimizer.zero_grad()
        trainer.learnt["pair"][0].add_(1)
        trainer.newest.add_(1)

    model, trainer = with_inner()
    step(trainer)
    captured = copy.deepcopy(TrainerState(model, trainer).capture())
    step(trainer)
    other_model, other = with_inner()
    TrainerState(other_model, other).restore(captured)
    step(other)
    for name in ("learnt", "queue", "newest"):
        assert same(unpack(*pack(getattr(other, name))), unpack(*pack(getattr(trainer, name)))), name


def test_attributes_that_were_one_tensor_at_setup_and_two_when_saved_are_two_again():
    def twin():
        model, trainer = made(0)
        trainer.first = trainer.second = torch.zeros(2)
        return model, trainer

    model, trainer = twin()
    trainer.second = torch.ones(2)
    captured = copy.deepcopy(TrainerState(model, trainer).capture())
    model, trainer = twin()
    TrainerState(model, trainer).restore(captured)
    assert (trainer.first.tolist(), trainer.second.tolist()) == ([0, 0], [1, 1])


def test_what_was_frozen_or_set_to_evaluate_in_a_step_is_so_again():
    model, trainer = made(0)
    model[0].requires_grad_(False)
    trainer.critic.weight.requires_grad_(False)
    model[1].eval()
    captured = TrainerState(model, trainer).capture()
    captured = {name: (tensors, json.loads(json.dumps(held))) for name, (tensors, held) in captured.items()}
    model, trainer = made(0)
    model[2].requires_grad_(False)
    TrainerState(model, trainer).restore(captured)
    assert [one.requires_grad for one in model.parameters()] == [False, False, True, True, True, True]
    assert (trainer.critic.weight.requires_grad, trainer.critic.bias.requires_grad) == (False, True)
    assert [inner.training for inner in model] == [True, False, True]


def test_counters_and_named_tuples_come_back_as_what_they_were():
    model, trainer = made(0)
    trainer.counts, trainer.lists, trainer.place = Counter("aab"), defaultdict(list, {"x": [1]}), Place(1, 2)
    captured = json.loads(
        json.dumps({name: held for name, (_, held) in TrainerState(model, trainer).capture().items()})
    )
    tensors = {name: tensors for name, (tensors, _) in TrainerState(model, trainer).capture().items()}
    trainer.counts, trainer.lists, trainer.place = Counter(), defaultdict(list), Place(0, 0)
    TrainerState(model, trainer).restore({name: (tensors[name], captured[name]) for name in captured})
    trainer.counts["b"] += 1
    trainer.lists["y"].append(2)
    assert trainer.counts == {"a": 2, "b": 2}
    assert trainer.lists == {"x": [1], "y": [2]}
    assert trainer.place.left == 1


def test_what_a_step_gave_the_trainer_comes_back_though_it_was_not_there_at_setup():
    model, trainer = made(0)
    trainer.bank, trainer.turns, trainer.means = torch.ones(3, 2), 5, {"a": torch.zeros(1), (1, 2): 3}
    captured = TrainerState(model, trainer).capture()
    model, trainer = made(0)
    TrainerState(model, trainer).restore(captured)
    assert torch.equal(trainer.bank, torch.ones(3, 2))
    assert (trainer.turns, trainer.means) == (5, {"a": torch.zeros(1), (1, 2): 3})


@pytest.mark.parametrize("before", ["not there", None])
def test_an_object_that_a_step_makes_is_refused_as_soon_as_it_is_seen(before):
    model, trainer = made(0)
    if before is None:
        trainer.later = None
    held = TrainerState(model, trainer)
    trainer.later = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ZooError, match=r"Trainer was given self\.later, a SGD, after setup") as error:
        held.check()
    assert error.value.hint == "Make it in setup()."


def test_an_object_that_a_step_drops_is_dropped_again():
    model, trainer = made(0)
    held = TrainerState(model, trainer)
    trainer.schedule = None
    captured = held.capture()
    model, trainer = made(0)
    TrainerState(model, trainer).restore(captured)
    assert trainer.schedule is None


def test_an_object_that_was_not_there_at_setup_is_not_made_up():
    model, trainer = made(0)
    trainer.later = nn.Linear(2, 2)
    captured = TrainerState(model, trainer).capture()
    with pytest.raises(BadFile, match=r"the checkpoint holds .*later"):
        TrainerState(*made(0)).restore(captured)


def test_a_trainer_that_holds_a_deque_is_refused_at_once_and_by_name():
    model, trainer = made(0)
    trainer.replay = deque()
    with pytest.raises(ZooError, match=r"Trainer holds self\.replay, a deque, which a checkpoint cannot keep") as error:
        TrainerState(model, trainer)
    assert "self._replay" in error.value.hint


class Clock:
    def state_dict(self):
        return {"ticks": [0, {1, 2}]}

    def load_state_dict(self, state):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({frozenset(): 3}, "a key of self.odd, a frozenset"),
        ([1, deque()], "self.odd[1], a deque"),
        ({"a": object()}, "self.odd['a'], a object"),
        (lambda: 0, "self.odd, a function"),
        ([nn.Linear(1, 1)], "self.odd[0], a Linear"),
        (Clock(), "self.odd.state_dict()['ticks'][1], a set"),
        (torch.Generator(), "self.odd, a Generator"),
    ],
)
def test_what_only_a_pickle_could_keep_is_refused_at_once_and_where_it_is_said(value, place):
    model, trainer = made(0)
    trainer.odd = value
    with pytest.raises(ZooError, match=re.escape(f"Trainer holds {place}, which a checkpoint cannot keep.")):
        TrainerState(model, trainer)


def test_another_module_by_the_name_of_the_model_is_refused():
    model, trainer = made(0)
    trainer.model = nn.Sequential(model, nn.Linear(1, 1))
    with pytest.raises(ZooError, match=r"holds self\.model, a Sequential that is not the run's model or in it"):
        TrainerState(model, trainer)


def test_a_checkpoint_of_another_trainer_says_what_each_holds():
    model, trainer = made(0)
    captured = TrainerState(model, trainer).capture()
    trainer.extra = 1
    with pytest.raises(BadFile, match=r"holds average, best, .* but Trainer holds average, .* extra,"):
        TrainerState(model, trainer).restore(captured)


@pytest.mark.parametrize("name", ["critic", "critic_optimizer"])
def test_a_state_of_another_shape_is_a_bad_file_that_names_it(name):
    model, trainer = made(0)
    captured = TrainerState(model, trainer).capture()
    trainer.critic = nn.Linear(5, 1)
    trainer.critic_optimizer = torch.optim.SGD([{"params": [one]} for one in trainer.critic.parameters()])
    for other in {"critic", "critic_optimizer"} - {name}:
        setattr(trainer, other, getattr(made(0)[1], other))
    with pytest.raises(BadFile, match=f"the checkpoint's {name} does not fit"):
        TrainerState(model, trainer).restore(captured)


def test_an_optimizer_gets_its_moments_back_in_the_memory_format_of_its_weights():
    """A fused step goes by addresses: moments in another order would belong to other weights."""
    network = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    trainer = type("Trainer", (), {})()
    trainer.network, trainer.optimizer = network, torch.optim.AdamW(network.parameters(), fused=True)
    image = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    network(image).square().sum().backward()
    trainer.optimizer.step()
    held = TrainerState(network, trainer, lambda module: module)
    captured = {
        name: ({key: tensor.clone(memory_format=torch.contiguous_format) for key, tensor in tensors.items()}, plain)
        for name, (tensors, plain) in held.capture().items()
    }
    trainer.optimizer.step()
    expected = [parameter.detach().clone() for parameter in network.parameters()]
    held.restore(captured)
    trainer.optimizer.step()
    for parameter, wanted in zip(network.parameters(), expected, strict=True):
        assert torch.equal(parameter, wanted)
