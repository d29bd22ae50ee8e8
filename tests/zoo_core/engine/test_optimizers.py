"""Optimizers compute on a CPU as before they were used on CUDA."""

import pytest
import torch
from torch import nn

from zoo_core.engine.optimizers import fit_to_device

CPU = torch.device("cpu")


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop])
def test_state_of_cuda_is_used_on_a_cpu(kind):
    module = nn.Linear(2, 1)
    optimizer, expected = kind(module.parameters(), lr=0.25), kind(module.parameters(), lr=0.25)
    for group in optimizer.param_groups:
        group["lr"] = torch.tensor(0.25)
        if "capturable" in group:
            group["capturable"] = True
    fit_to_device([optimizer, "another attribute", None], CPU)
    settings = [
        {key: value for key, value in one.param_groups[0].items() if key != "params"} for one in (optimizer, expected)
    ]
    assert settings[0] == settings[1]
    assert type(settings[0]["lr"]) is float
    module(torch.ones(1, 2)).sum().backward()
    optimizer.step()


def test_groups_that_are_added_later_have_the_settings_of_the_others():
    module = nn.Linear(2, 1)
    optimizer = torch.optim.Adam([module.weight], lr=0.1, capturable=True)
    fit_to_device([optimizer], CPU)
    optimizer.add_param_group({"params": [module.bias]})
    assert [group["capturable"] for group in optimizer.param_groups] == [False, False]
