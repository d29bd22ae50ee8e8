"""Tensors of every type: finite or not, equal bit for bit or not."""

import pytest
import torch

from zoo_core.weights.matching import DTYPES
from zoo_core.weights.values import all_finite, count_not_finite, same_bits


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (0, 4), (3,), (2, 3)])
def test_tensors_of_every_type_and_shape_are_supported(dtype, shape):
    tensor = torch.ones(shape).to(dtype)
    assert bool(all_finite(tensor))
    assert count_not_finite(tensor) == 0
    assert same_bits(tensor, tensor.clone())
    if tensor.numel():
        assert not same_bits(tensor, torch.zeros(shape).to(dtype))


@pytest.mark.parametrize(
    "name", ["F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "C64"]
)
def test_nan_is_found_in_every_type_that_has_it_and_equals_itself(name):
    tensor = torch.tensor([1, float("nan"), 2]).to(DTYPES[name])
    assert not bool(all_finite(tensor))
    assert count_not_finite(tensor) == 1
    assert same_bits(tensor, tensor.clone())


@pytest.mark.parametrize("position", [0, 2**20 - 1, 2**20, 3 * 2**20 - 1])
def test_a_large_tensor_is_checked_completely(position):
    tensor = torch.zeros(3, 2**20)
    tensor.view(-1)[position] = float("-inf")
    assert not bool(all_finite(tensor))
    assert count_not_finite(tensor) == 1


def test_the_layout_does_not_matter_but_the_sign_of_zero_type_and_shape_do():
    tensor = torch.arange(6.0).view(2, 3)
    assert same_bits(tensor.T.contiguous().T, tensor)
    assert same_bits(tensor.requires_grad_(), tensor.detach())
    assert not same_bits(torch.tensor([0.0]), torch.tensor([-0.0]))
    assert not same_bits(tensor, tensor.double())
    conjugate = torch.tensor([1 + 2j, 3 - 1j]).conj()
    assert same_bits(conjugate, conjugate.resolve_conj())
    assert not same_bits(conjugate, conjugate.conj())
    assert not same_bits(tensor, tensor.view(3, 2))
