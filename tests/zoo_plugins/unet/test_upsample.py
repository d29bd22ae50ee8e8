"""Bilinear upsampling of the U-Net, and its gradient with deterministic algorithms."""

import pytest
import torch
import torch.nn.functional as F

from zoo_plugins.unet.upsample import upsample_twice


@pytest.fixture
def deterministic_algorithms():
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("shape", [(2, 3, 1, 1), (1, 4, 2, 3), (3, 2, 7, 5), (2, 8, 16, 21), (1, 1, 1, 6)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_gradient_with_deterministic_algorithms_is_that_of_interpolate(shape, layout, deterministic_algorithms):
    torch.manual_seed(0)
    tensor = torch.randn(shape, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    output = upsample_twice(tensor)
    expected = F.interpolate(tensor, scale_factor=2, mode="bilinear", align_corners=True)
    assert torch.equal(output, expected)
    weights = torch.randn_like(output)
    gradients = [torch.autograd.grad(one, tensor, weights)[0] for one in (output, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-12)


def test_the_gradient_stays_channels_last_also_behind_a_concatenation(deterministic_algorithms):
    tensor = torch.randn(2, 4, 6, 8).to(memory_format=torch.channels_last).requires_grad_()
    other = torch.randn(2, 4, 12, 16).to(memory_format=torch.channels_last)
    output = torch.cat([upsample_twice(tensor), other], dim=1)
    gradient = torch.autograd.grad(output.square().sum(), tensor)[0]
    assert output.is_contiguous(memory_format=torch.channels_last)
    assert gradient.is_contiguous(memory_format=torch.channels_last)


def test_a_gradient_penalty_through_the_upsampling_has_a_gradient(deterministic_algorithms):
    tensor = torch.randn(2, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(upsample_twice, (tensor,))
    assert torch.autograd.gradgradcheck(upsample_twice, (tensor,))


def test_in_bfloat16_the_gradient_is_that_of_float32_rounded(deterministic_algorithms):
    torch.manual_seed(0)
    tensor = torch.randn(2, 4, 8, 10)
    gradients = []
    for dtype in (torch.float32, torch.bfloat16):
        leaf = tensor.detach().to(dtype).clone().requires_grad_()
        upsample_twice(leaf).square().sum().backward()
        gradients.append(leaf.grad.float())
    torch.testing.assert_close(*gradients, rtol=0.03, atol=0.1)
