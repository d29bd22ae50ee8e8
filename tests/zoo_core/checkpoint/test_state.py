"""The state of a trainer as tensors and JSON, and back."""

import copy
import json
import math
import re
from collections import Counter, defaultdict, deque
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR, StepLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from zoo_core.checkpoint.serialize import ObjectState, pack, unpack
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


def identical(one, other):
    """Equal in type and value, where NaN equals NaN."""
    if type(one) is not type(other):
        return False
    if isinstance(one, ObjectState):
        return identical(one.state, other.state)
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(identical, one, other))
    if isinstance(one, dict):
        # 1 and True are equal keys, so keys are compared in order and with their types.
        return identical(list(one), list(other)) and identical(list(one.values()), list(other.values()))
    return one == other


@given(NESTED)
def test_unpack_restores_what_was_packed(value):
    tensors, structure = pack(value)
    on_disk = json.loads(json.dumps(structure, allow_nan=False))
    assert identical(unpack(tensors, on_disk), value)


@pytest.mark.parametrize(
    "value",
    [
        {"a.b": torch.tensor(1), "a": {"b": torch.tensor(2)}},
        {1: torch.tensor(1), "1": torch.tensor(2)},
        {"$tensor": "not a tensor"},
        [torch.empty(0), torch.empty(0, 3), torch.empty(0, dtype=torch.int64)],
        (math.inf, -math.inf, math.nan, (), [], {}),
    ],
)
def test_values_with_similar_encodings_are_distinguished(value):
    tensors, structure = pack(value)
    assert identical(unpack(tensors, json.loads(json.dumps(structure))), value)


def test_a_parameter_group_that_a_step_adds_is_refused_when_it_would_be_saved():
    model = nn.Linear(2, 1)
    trainer = SimpleNamespace(optimizer=torch.optim.SGD([model.weight], lr=0.1))
    state = TrainerState(model, trainer)
    trainer.optimizer.add_param_group({"params": [model.bias]})
    with pytest.raises(ZooError, match=r"changed the number of parameter groups of self\.optimizer from 1 to 2"):
        state.capture()


def test_tied_tensors_are_stored_once():
    weight, other = torch.randn(3), torch.randn(3)
    tensors, structure = pack({"encoder": weight, "decoder": weight, "view": weight[:2], "other": other})
    assert list(tensors) == ["encoder", "view", "other"]
    back = unpack(tensors, structure)
    assert back["encoder"] is back["decoder"]
    assert torch.equal(back["view"], weight[:2])


def test_a_nested_value_that_cannot_be_stored_is_named():
    with pytest.raises(ZooError, match=r"cannot store 'state\.0\.buffer', a deque"):
        pack({"state": [{"buffer": deque()}]})


class Trainer:
    """A trainer with every kind of state."""

    def __init__(self, model, seed):
        torch.manual_seed(seed)
        self.config, self.engine = object(), object()
        self._cache = deque()
        self.network = model[0]  # part of the model, so it is stored with the model
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


class Position(NamedTuple):
    left: int
    top: int


def make(seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    return model, Trainer(model, seed + 1)


def test_private_attributes_config_engine_and_modules_of_the_model_are_not_listed():
    model, trainer = make(0)
    assert TrainerState(model, trainer).names() == [
        "model", "critic", "optimizer", "critic_optimizer", "schedule", "average",
        "best", "seen", "note", "pair", "by_label", "noise", "history",
    ]  # fmt: skip


def test_a_restored_trainer_continues_bit_for_bit():
    model, trainer = make(0)
    for _ in range(5):
        trainer.step(model)
    state = copy.deepcopy(TrainerState(model, trainer).capture())
    state = {name: (tensors, json.loads(json.dumps(structure))) for name, (tensors, structure) in state.items()}
    other_model, other = make(100)
    other.step(other_model)
    TrainerState(other_model, other).restore(state)

    for one_model, one in ((model, trainer), (other_model, other)):
        torch.manual_seed(7)
        for _ in range(5):
            one.step(one_model)
    ours, theirs = TrainerState(model, trainer).capture(), TrainerState(other_model, other).capture()
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert identical(unpack(*ours[name]), unpack(*theirs[name])), name


def test_tensors_are_restored_in_place():
    model, trainer = make(0)
    state = copy.deepcopy(TrainerState(model, trainer).capture())
    noise = trainer.noise
    noise.zero_()
    TrainerState(model, trainer).restore(state)
    assert trainer.noise is noise
    assert noise.abs().sum() > 0


OTHERS = [torch.zeros(1), torch.tensor(5.0), torch.zeros(1, 4), torch.zeros(2, 4), torch.zeros(4).double(), 3.0, None]


@pytest.mark.parametrize("other", OTHERS)
def test_a_trainable_tensor_of_another_shape_is_refused_even_if_it_could_be_broadcast(other):
    model, trainer = make(0)
    trainer.noise.requires_grad_()
    noise = trainer.noise.clone()
    state = {**TrainerState(model, trainer).capture(), "noise": pack(other)}
    stored = {float: "a float", type(None): "None"}.get(type(other)) or f"a tensor of shape {tuple(other.shape)}"
    message = re.escape(
        f"the checkpoint's noise does not fit: it is {stored}, but should be a tensor of shape (4,), which requires "
        "gradients."
    )
    with pytest.raises(BadFile, match=message):
        TrainerState(model, trainer).restore(state)
    assert torch.equal(trainer.noise, noise)


@pytest.mark.parametrize("other", OTHERS)
def test_any_other_tensor_is_restored_as_saved_even_with_another_shape_or_type(other):
    model, trainer = make(0)
    trainer.noise = other
    state = TrainerState(model, trainer).capture()
    model, trainer = make(0)
    TrainerState(model, trainer).restore(state)
    assert identical(trainer.noise, other)


def test_tensors_in_lists_and_mappings_are_restored_in_place():
    def make_nested():
        model, trainer = make(0)
        trainer.trainable = {"log_alpha": torch.zeros(1, requires_grad=True), "pair": (torch.zeros(2), [1])}
        trainer.inner_optimizer = torch.optim.SGD([trainer.trainable["log_alpha"]], lr=0.1)
        trainer.queue = [torch.zeros(2)]
        trainer.newest = trainer.queue[0]
        return model, trainer

    def step(trainer):
        trainer.trainable["log_alpha"].exp().sum().backward()
        trainer.inner_optimizer.step()
        trainer.inner_optimizer.zero_grad()
        trainer.trainable["pair"][0].add_(1)
        trainer.newest.add_(1)

    model, trainer = make_nested()
    step(trainer)
    state = copy.deepcopy(TrainerState(model, trainer).capture())
    step(trainer)
    other_model, other = make_nested()
    TrainerState(other_model, other).restore(state)
    step(other)
    for name in ("trainable", "queue", "newest"):
        assert identical(unpack(*pack(getattr(other, name))), unpack(*pack(getattr(trainer, name)))), name


def test_attributes_that_shared_a_tensor_at_setup_only_are_restored_separately():
    def make_shared():
        model, trainer = make(0)
        trainer.first = trainer.second = torch.zeros(2)
        return model, trainer

    model, trainer = make_shared()
    trainer.second = torch.ones(2)
    state = copy.deepcopy(TrainerState(model, trainer).capture())
    model, trainer = make_shared()
    TrainerState(model, trainer).restore(state)
    assert (trainer.first.tolist(), trainer.second.tolist()) == ([0, 0], [1, 1])


def test_frozen_parameters_and_modules_in_eval_mode_are_restored():
    model, trainer = make(0)
    model[0].requires_grad_(False)
    trainer.critic.weight.requires_grad_(False)
    model[1].eval()
    state = TrainerState(model, trainer).capture()
    state = {name: (tensors, json.loads(json.dumps(structure))) for name, (tensors, structure) in state.items()}
    model, trainer = make(0)
    model[2].requires_grad_(False)
    TrainerState(model, trainer).restore(state)
    assert [one.requires_grad for one in model.parameters()] == [False, False, True, True, True, True]
    assert (trainer.critic.weight.requires_grad, trainer.critic.bias.requires_grad) == (False, True)
    assert [inner.training for inner in model] == [True, False, True]


def test_counters_defaultdicts_and_named_tuples_keep_their_type():
    model, trainer = make(0)
    trainer.counts, trainer.lists, trainer.position = Counter("aab"), defaultdict(list, {"x": [1]}), Position(1, 2)
    state = json.loads(
        json.dumps({name: structure for name, (_, structure) in TrainerState(model, trainer).capture().items()})
    )
    tensors = {name: tensors for name, (tensors, _) in TrainerState(model, trainer).capture().items()}
    trainer.counts, trainer.lists, trainer.position = Counter(), defaultdict(list), Position(0, 0)
    TrainerState(model, trainer).restore({name: (tensors[name], state[name]) for name in state})
    trainer.counts["b"] += 1
    trainer.lists["y"].append(2)
    assert trainer.counts == {"a": 2, "b": 2}
    assert trainer.lists == {"x": [1], "y": [2]}
    assert trainer.position.left == 1


def test_values_that_a_step_added_are_restored():
    model, trainer = make(0)
    trainer.bank, trainer.turns, trainer.means = torch.ones(3, 2), 5, {"a": torch.zeros(1), (1, 2): 3}
    state = TrainerState(model, trainer).capture()
    model, trainer = make(0)
    TrainerState(model, trainer).restore(state)
    assert torch.equal(trainer.bank, torch.ones(3, 2))
    assert (trainer.turns, trainer.means) == (5, {"a": torch.zeros(1), (1, 2): 3})


@pytest.mark.parametrize("before", ["missing", None])
def test_an_object_created_after_setup_is_refused(before):
    model, trainer = make(0)
    if before is None:
        trainer.later = None
    trainer_state = TrainerState(model, trainer)
    trainer.later = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ZooError, match=r"Trainer created self\.later, a SGD, after setup") as error:
        trainer_state.check()
    assert error.value.hint == "Create it in setup()."


@pytest.mark.parametrize("name", ["optimizer", "schedule"])
def test_an_object_of_another_type_than_that_of_setup_is_refused(name):
    model, trainer = make(0)
    trainer_state = TrainerState(model, trainer)
    setattr(trainer, name, torch.optim.RAdam(model.parameters(), lr=0.1))
    with pytest.raises(ZooError, match=rf"Trainer replaced self\.{name} by a RAdam after setup") as error:
        trainer_state.check()
    assert "choose between them in step()" in error.value.hint


def test_an_object_that_a_step_removed_stays_removed():
    model, trainer = make(0)
    trainer_state = TrainerState(model, trainer)
    trainer.schedule = None
    state = trainer_state.capture()
    model, trainer = make(0)
    TrainerState(model, trainer).restore(state)
    assert trainer.schedule is None


def test_an_object_that_setup_does_not_create_cannot_be_restored():
    model, trainer = make(0)
    trainer.later = nn.Linear(2, 2)
    state = TrainerState(model, trainer).capture()
    with pytest.raises(BadFile, match=r"the checkpoint holds .*later"):
        TrainerState(*make(0)).restore(state)


def test_a_trainer_with_a_deque_is_refused():
    model, trainer = make(0)
    trainer.replay = deque()
    with pytest.raises(
        ZooError, match=r"Trainer holds self\.replay, a deque, which a checkpoint cannot store"
    ) as error:
        TrainerState(model, trainer)
    assert "self._replay" in error.value.hint


class Clock:
    def state_dict(self):
        return {"ticks": [0, {1, 2}]}

    def load_state_dict(self, state):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({frozenset(): 3}, "a key of self.unsupported, a frozenset"),
        ([1, deque()], "self.unsupported[1], a deque"),
        ({"a": object()}, "self.unsupported['a'], an object"),
        (lambda: 0, "self.unsupported, a function"),
        ([nn.Linear(1, 1), deque()], "self.unsupported[1], a deque"),
        ({"a": [Clock()]}, "self.unsupported['a'][0].state_dict()['ticks'][1], a set"),
        (Clock(), "self.unsupported.state_dict()['ticks'][1], a set"),
        (torch.Generator(), "self.unsupported, a Generator"),
    ],
)
def test_values_that_only_a_pickle_could_store_are_refused_with_their_path(value, where):
    model, trainer = make(0)
    trainer.unsupported = value
    with pytest.raises(ZooError, match=re.escape(f"Trainer holds {where}, which a checkpoint cannot store.")):
        TrainerState(model, trainer)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_a_nested_tensor_is_refused():
    model, trainer = make(0)
    trainer.ragged = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])
    with pytest.raises(ZooError, match=r"Trainer holds self\.ragged, a nested tensor, which a checkpoint cannot store"):
        TrainerState(model, trainer)


def test_another_module_called_model_is_refused():
    model, trainer = make(0)
    trainer.model = nn.Sequential(model, nn.Linear(1, 1))
    with pytest.raises(
        ZooError, match=r"holds self\.model, a Sequential that is neither the run's model nor part of it"
    ):
        TrainerState(model, trainer)


def test_a_checkpoint_of_another_trainer_is_refused_with_both_lists_of_state():
    model, trainer = make(0)
    state = TrainerState(model, trainer).capture()
    trainer.extra = 1
    with pytest.raises(BadFile, match=r"holds average, best, .* but Trainer holds average, .* extra,"):
        TrainerState(model, trainer).restore(state)


@pytest.mark.parametrize("name", ["critic", "critic_optimizer"])
def test_state_of_another_shape_is_refused_by_name(name):
    model, trainer = make(0)
    state = TrainerState(model, trainer).capture()
    trainer.critic = nn.Linear(5, 1)
    trainer.critic_optimizer = torch.optim.SGD([{"params": [one]} for one in trainer.critic.parameters()])
    for other in {"critic", "critic_optimizer"} - {name}:
        setattr(trainer, other, getattr(make(0)[1], other))
    with pytest.raises(BadFile, match=f"the checkpoint's {name} does not fit"):
        TrainerState(model, trainer).restore(state)


def test_moments_are_restored_in_the_memory_format_of_their_parameters():
    """A fused step combines elements by position in memory, so that the formats must be equal."""
    network = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    trainer = type("Trainer", (), {})()
    trainer.network, trainer.optimizer = network, torch.optim.AdamW(network.parameters(), fused=True)
    image = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    network(image).square().sum().backward()
    trainer.optimizer.step()
    trainer_state = TrainerState(network, trainer, lambda module: module)
    state = {
        name: ({key: tensor.clone(memory_format=torch.contiguous_format) for key, tensor in tensors.items()}, plain)
        for name, (tensors, plain) in trainer_state.capture().items()
    }
    trainer.optimizer.step()
    expected = [parameter.detach().clone() for parameter in network.parameters()]
    trainer_state.restore(state)
    trainer.optimizer.step()
    for parameter, reference in zip(network.parameters(), expected, strict=True):
        assert torch.equal(parameter, reference)


def layouts():
    """Tensors in every layout that a trainer may hold."""
    matrix = torch.arange(60.0).view(6, 10)
    images = torch.arange(120.0).view(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    return {
        "whole": matrix, "row": matrix[1], "column": matrix[:, 3], "part": matrix[1:4, 2:9:3], "transposed": matrix.T,
        "images": images, "odd": torch.arange(97.0)[3:], "half": torch.arange(97.0).half()[1:], "number": matrix[2, 3],
        "empty": matrix[:0], "one": torch.ones(1, 1, 1), "repeated": matrix[:1].expand(4, 10),
        "gray": torch.arange(70.0).view(2, 1, 5, 7).contiguous(memory_format=torch.channels_last),
        "overlapping": torch.arange(9.0).unfold(0, 3, 1), "complex": torch.ones(5, dtype=torch.complex64)[2:],
    }  # fmt: skip


@pytest.mark.parametrize("name", layouts())
def test_a_tensor_is_restored_with_its_strides_and_alignment(name):
    tensor = layouts()[name]
    tensors, structure = pack([tensor, {"again": tensor}])
    contiguous = {key: one.clone(memory_format=torch.contiguous_format) for key, one in tensors.items()}
    restored, again = unpack(contiguous, json.loads(json.dumps(structure)))
    assert torch.equal(restored, tensor)
    assert again["again"] is restored or not tensor.numel()
    if name not in ("repeated", "overlapping"):  # their elements share memory, and are restored one by one
        assert restored.stride() == tensor.stride()
        assert restored.data_ptr() % 64 == tensor.data_ptr() % 64 or not tensor.numel()


def test_a_conjugate_is_not_taken_for_what_it_conjugates():
    value = torch.tensor([1 + 2j, 3 - 1j])
    held = [value, value.conj(), value.imag, value.conj().imag]
    restored = unpack(*pack(held))
    assert [one.tolist() for one in restored] == [one.tolist() for one in held]


def test_an_attribute_that_a_step_assigned_is_restored_with_its_layout():
    model, trainer = make(0)
    trainer.noise = torch.randn(7)[3:]
    state = copy.deepcopy(TrainerState(model, trainer).capture())
    model, other = make(1)
    held = other.noise
    TrainerState(model, other).restore(state)
    assert other.noise is held
    assert other.noise.data_ptr() % 64 == trainer.noise.data_ptr() % 64 == 12
    assert torch.equal(other.noise, trainer.noise)


def test_moments_keep_the_type_that_they_were_saved_in():
    def make_half():
        model = nn.Linear(3, 2, dtype=torch.bfloat16)
        trainer = type("Trainer", (), {})()
        trainer.optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        return model, trainer

    model, trainer = make_half()
    for parameter in model.parameters():
        trainer.optimizer.state[parameter]["momentum_buffer"] = torch.full(parameter.shape, 1 / 3)
    state = copy.deepcopy(TrainerState(model, trainer).capture())
    other_model, other = make_half()
    TrainerState(other_model, other).restore(state)
    for parameter in other_model.parameters():
        assert torch.equal(other.optimizer.state[parameter]["momentum_buffer"], torch.full(parameter.shape, 1 / 3))


@pytest.mark.parametrize(
    ("value", "described"),
    [
        (torch.ones(2, dtype=torch.complex128), "self.extra, a torch.complex128 tensor"),
        (torch.ones(2).to_sparse(), "self.extra, a torch.sparse_coo tensor"),
        (torch.ones(2, device="meta"), "self.extra, a meta tensor"),
    ],
)
def test_a_tensor_that_a_file_cannot_hold_is_refused_before_the_first_step(value, described):
    model, trainer = make(0)
    trainer.extra = [value]
    with pytest.raises(ZooError, match=re.escape(described.replace("extra", "extra[0]"))):
        TrainerState(model, trainer)


def test_a_list_that_contains_itself_is_refused():
    model, trainer = make(0)
    trainer.extra = []
    trainer.extra.append(trainer.extra)
    with pytest.raises(ZooError, match=r"a list below 100 others, which a checkpoint cannot store"):
        TrainerState(model, trainer)


class Held:
    """Holds objects with a state in lists, tuples and dicts, beside plain values."""

    def __init__(self, model, seed):
        torch.manual_seed(seed)
        critics = {"first": nn.Linear(3, 1), "second's": nn.Sequential(nn.Linear(3, 1), nn.BatchNorm1d(1))}
        self.networks = {"model": model, "parts": [model[0]], **critics}
        self.optimizers = [torch.optim.AdamW(one.parameters(), lr=0.1) for one in (model, *critics.values())]
        self.schedules = tuple(StepLR(one, 2, 0.5) for one in self.optimizers)
        self.nested = {"a": [torch.zeros(2), {"deep": (torch.optim.SGD(critics["first"].parameters(), lr=0.1), 0)}]}
        self.plain = [0]

    def step(self):
        for module, optimizer, schedule in zip(self._modules(), self.optimizers, self.schedules, strict=True):
            module(torch.randn(5, 3)).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
        self.nested["a"][0] += 1
        self.nested["a"][1]["deep"] = (self.nested["a"][1]["deep"][0], self.plain[0] + 1)
        self.plain[0] += 1

    def _modules(self):
        return [one for one in self.networks.values() if isinstance(one, nn.Module)]


def make_held(seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    return model, Held(model, seed + 1)


def on_disk(state):
    return {name: (tensors, json.loads(json.dumps(structure))) for name, (tensors, structure) in state.items()}


def copied(state):
    return {name: ({key: one.clone() for key, one in tensors.items()}, rest) for name, (tensors, rest) in state.items()}


def test_objects_in_lists_tuples_and_dicts_are_restored_bit_for_bit():
    model, trainer = make_held(0)
    for _ in range(3):
        trainer.step()
    trainer.networks["first"].requires_grad_(False)
    trainer.networks["second's"].eval()
    saved = copied(on_disk(TrainerState(model, trainer).capture()))
    other_model, other = make_held(7)
    kept = other.optimizers[0], other.nested["a"][1]["deep"][0], other.networks["first"]
    TrainerState(other_model, other).restore(saved)
    trainer.networks["first"].requires_grad_(True)
    assert not other.networks["first"].weight.requires_grad
    other.networks["first"].requires_grad_(True)
    assert (other.networks["second's"].training, other.nested["a"][1]["deep"][1], other.plain) == (False, 3, [3])
    assert (other.optimizers[0], other.nested["a"][1]["deep"][0], other.networks["first"]) == kept
    for one in (trainer, other):
        torch.manual_seed(1)
        one.step()
    ours, theirs = TrainerState(model, trainer).capture(), TrainerState(other_model, other).capture()
    for name in ours:
        assert identical(unpack(*ours[name]), unpack(*theirs[name])), name


def test_a_module_of_the_model_in_a_list_is_stored_once():
    model, trainer = make_held(0)
    tensors, _ = TrainerState(model, trainer).capture()["networks"]
    assert sorted(name.partition(".")[0] for name in tensors) == ["first"] * 2 + ["second's"] * 7


def grown(trainer):
    trainer.optimizers.append(torch.optim.SGD(trainer.networks["first"].parameters(), lr=0.1))


def replaced(trainer):
    trainer.later = {"a": torch.optim.SGD(trainer.networks["first"].parameters(), lr=0.1)}


def regrouped(trainer):
    trainer.optimizers[0].add_param_group({"params": [nn.Parameter(torch.zeros(1))]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (grown, r"Held created self\.optimizers\[3\], a SGD, after setup"),
        (replaced, r"Held created self\.later\['a'\], a SGD, after setup"),
        (regrouped, r"changed the number of parameter groups of self\.optimizers\[0\] from 1 to 2"),
    ],
)
def test_an_object_in_a_container_that_could_not_be_restored_is_refused(change, message):
    model, trainer = make_held(0)
    state = TrainerState(model, trainer)
    change(trainer)
    with pytest.raises(ZooError, match=message):
        state.capture()


def fewer(trainer):
    trainer.optimizers.pop()


def renamed(trainer):
    trainer.networks["third"] = trainer.networks.pop("first")


def no_object(trainer):
    trainer.schedules = (None, *trainer.schedules[1:])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (fewer, r"the checkpoint's optimizers does not fit: it has no state for \[2\], an AdamW"),
        (renamed, r"the checkpoint's networks does not fit: it has no state for \['first'\], a Linear"),
    ],
)
def test_a_checkpoint_with_other_objects_in_a_container_is_refused(change, message):
    model, trainer = make_held(0)
    change(trainer)
    saved = copied(TrainerState(model, trainer).capture())
    other_model, other = make_held(7)
    with pytest.raises(BadFile, match=message):
        TrainerState(other_model, other).restore(saved)


@pytest.mark.parametrize("change", [fewer, renamed, no_object])
def test_a_trainer_that_lacks_an_object_of_the_checkpoint_is_refused(change):
    model, trainer = make_held(0)
    saved = copied(TrainerState(model, trainer).capture())
    other_model, other = make_held(7)
    change(other)
    with pytest.raises(BadFile, match=r"does not fit: it (is the state of an object, but should be|has no state for)"):
        TrainerState(other_model, other).restore(saved)


def test_a_list_of_optimizers_that_contains_itself_is_refused():
    model, trainer = make_held(0)
    trainer.optimizers.append(trainer.optimizers)
    with pytest.raises(ZooError, match="which a checkpoint cannot store"):
        TrainerState(model, trainer)
