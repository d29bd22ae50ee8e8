"""Muon for matrices, AdamW for the rest."""

from __future__ import annotations

import copy

import by_name
import pytest
import torch
from torch import nn

import zoo_core as zoo
from zoo_core.errors import BadSetting
from zoo_core.optim.build import make_optimizer


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.hidden = nn.Linear(4, 4)
        self.convolution = nn.Conv1d(4, 4, 1)
        self.head = nn.Linear(4, 2)

    def forward(self, tokens):
        hidden = self.hidden(self.embedding(tokens)).relu()
        return self.head(self.convolution(hidden.mT).mT)


def muon(module, **options):
    with by_name.catalog().active():
        config = zoo.OptimizerConfig(optimizer="muon", weight_decay=0.1, optimizer_options=options)
        return make_optimizer(module, config, torch.device("cpu"))


def trained_by_muon(module, optimizer):
    names = {id(one): name for name, one in module.named_parameters()}
    return [names[id(one)] for group in optimizer.param_groups if group["muon"] for one in group["params"]]


def steps(module, optimizers, count=4):
    for _ in range(count):
        for one in optimizers:
            one.zero_grad()
        module(torch.arange(10).view(2, 5) % 5).square().mean().backward()
        for one in optimizers:
            one.step()


def test_matrices_other_than_embeddings_are_trained_by_muon():
    module = Network()
    assert trained_by_muon(module, muon(module)) == ["hidden.weight", "head.weight"]


def test_adamw_may_train_matrices_such_as_the_last_layer():
    module = Network()
    assert trained_by_muon(module, muon(module, adamw=["head.*"])) == ["hidden.weight"]


def test_a_pattern_that_matches_no_matrix_is_refused():
    with pytest.raises(BadSetting) as raised:
        muon(Network(), adamw=["last.*"])
    assert str(raised.value) == (
        "trainer.optimizer_options.adamw has 'last.*', which matches no matrix of the model.\n"
        "  Its matrices: hidden.weight, head.weight."
    )


def test_it_takes_the_steps_of_muon_and_adamw_of_torch_optim():
    torch.manual_seed(0)
    ours, theirs = Network(), Network()
    theirs.load_state_dict(ours.state_dict())
    named = dict(theirs.named_parameters())
    matrices = [named.pop("hidden.weight"), named.pop("head.weight")]
    decayed = [one for one in named.values() if one.ndim > 1]
    others = [one for one in named.values() if one.ndim < 2]
    separate = [
        torch.optim.Muon(matrices, lr=1e-3, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(decayed, lr=1e-3, weight_decay=0.1, betas=(0.9, 0.95), fused=True),
        torch.optim.AdamW(others, lr=1e-3, weight_decay=0, betas=(0.9, 0.95), fused=True),
    ]
    steps(ours, [muon(ours)])
    steps(theirs, separate)
    for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other), name


@pytest.mark.parametrize("module", [nn.Linear(4, 4, bias=False), nn.BatchNorm1d(3)])
def test_a_module_may_have_parameters_of_one_kind_only(module):
    optimizer = muon(module)
    module.weight.grad = torch.ones_like(module.weight)
    before = module.weight.detach().clone()
    optimizer.step()
    assert not torch.equal(module.weight, before)


def test_its_state_is_one_state_dict():
    module, other = Network(), Network()
    optimizer, restored = muon(module), muon(other)
    steps(module, [optimizer])
    other.load_state_dict(module.state_dict())
    restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    steps(module, [optimizer])
    steps(other, [restored])
    assert all(map(torch.equal, module.state_dict().values(), other.state_dict().values()))
