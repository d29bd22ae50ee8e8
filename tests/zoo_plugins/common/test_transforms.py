"""Affine transforms of images, and their gradients with deterministic algorithms."""

import pytest
import torch
import torch.nn.functional as F

from zoo_plugins.common.transforms import DeterministicSample, affine, affine_grid


@pytest.fixture
def deterministic_algorithms():
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def parameters(count, degrees, scaling, shift):
    draws = 2 * torch.rand(4, count, dtype=torch.float64) - 1
    return torch.deg2rad(degrees * draws[0]), 1 + scaling * draws[1], shift * draws[2], shift * draws[3]


CASES = [
    ((5, 1, 28, 28), 10, 0.1, 0.15),
    ((3, 3, 16, 16), 180, 0.9, 0.5),
    ((2, 2, 9, 20), 45, 0.5, 2.0),
    ((4, 1, 1, 7), 90, 0.3, 0.1),
    ((1, 2, 5, 1), 30, 0.2, 0.3),
    ((6, 1, 12, 12), 0, 0, 0),
]


def test_the_gradient_with_deterministic_algorithms_is_that_of_grid_sample(deterministic_algorithms):
    torch.manual_seed(0)
    for shape, degrees, scaling, shift in CASES:
        given = parameters(shape[0], degrees, scaling, shift)
        image = torch.rand(shape, dtype=torch.float64, requires_grad=True)
        moved = affine(image, *given)
        weights = torch.randn_like(moved)
        gradient = torch.autograd.grad((moved * weights).sum(), image)[0]
        torch.use_deterministic_algorithms(False)
        expected_image = affine(image, *given)
        expected = torch.autograd.grad((expected_image * weights).sum(), image)[0]
        torch.use_deterministic_algorithms(True)
        assert torch.equal(moved, expected_image)
        torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-12)


def test_a_gradient_penalty_through_the_transform_has_a_gradient(deterministic_algorithms):
    torch.manual_seed(0)
    given = parameters(2, 20, 0.2, 0.2)
    image = torch.rand(2, 1, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda one: affine(one, *given), (image,))
    assert torch.autograd.gradgradcheck(lambda one: affine(one, *given), (image,))


def test_the_grid_without_a_matrix_product_is_that_of_affine_grid():
    torch.manual_seed(0)
    for shape in [(4, 1, 28, 28), (2, 3, 5, 9), (1, 1, 1, 3)]:
        theta = torch.randn(shape[0], 2, 3)
        grid = affine_grid([theta[:, 0], theta[:, 1]], *shape[2:])
        torch.testing.assert_close(grid, F.affine_grid(theta, list(shape), align_corners=False))


def test_an_image_that_is_not_moved_stays_as_it_is(deterministic_algorithms):
    image = torch.rand(3, 1, 28, 28, requires_grad=True)
    grid = affine_grid([torch.tensor([row] * 3) for row in ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0])], 28, 28)
    moved = DeterministicSample.apply(image, grid)
    torch.testing.assert_close(moved, image, rtol=0, atol=1e-5)
    moved.sum().backward()
    torch.testing.assert_close(image.grad, torch.ones_like(image), rtol=0, atol=1e-5)
