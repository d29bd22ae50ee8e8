"""Deterministic algorithms: PyTorch's flags, their end with the run, and the names of operations that have none."""

import os
import warnings

import pytest
import torch

from zoo_core.engine.deterministic import (
    naming_operations,
    nondeterministic_operation,
    use_deterministic_algorithms,
)
from zoo_core.registry.process_state import restoring_process

TORCH_WARNING = (
    "{} does not have a deterministic implementation, but you set 'torch.use_deterministic_algorithms(True, "
    "warn_only=True)'. You can file an issue at https://github.com/pytorch/pytorch/issues to help us prioritize adding "
    "deterministic support for this operation. (Triggered internally at /pytorch/aten/src/ATen/Context.cpp:96.)"
)
CUBLAS_WARNING = (
    "Deterministic behavior was enabled with either `torch.use_deterministic_algorithms(True)` or "
    "`at::Context::setDeterministicAlgorithms(true)`, but this operation is not deterministic because it uses CuBLAS "
    "and you have CUDA >= 10.2."
)


def flags():
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
    )


@pytest.mark.parametrize("name", ["cuda", "cuda:1", "mps", "xpu"])
def test_an_accelerator_uses_deterministic_algorithms_until_the_run_ends(name, monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    before = flags()
    with restoring_process():
        use_deterministic_algorithms(torch.device(name))
        assert flags() == (True, True, False, True, False)
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert flags() == before


def test_the_flags_end_with_a_run_that_fails_as_well():
    before = flags()
    run = restoring_process()
    run.__enter__()
    use_deterministic_algorithms(torch.device("cuda"))
    run.__exit__(KeyError, KeyError(), None)
    assert flags() == before


def test_flags_that_a_script_has_set_are_kept():
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = True
    try:
        with restoring_process():
            use_deterministic_algorithms(torch.device("cuda"))
        assert flags() == (True, False, True, False, True)
    finally:
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.benchmark = False


def test_on_a_cpu_nothing_changes(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    before = flags()
    use_deterministic_algorithms(torch.device("cpu"))
    assert flags() == before
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ


def test_a_workspace_that_the_user_has_chosen_is_kept(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    with restoring_process():
        use_deterministic_algorithms(torch.device("cuda"))
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


@pytest.mark.parametrize(
    ("warning", "operation"),
    [
        (TORCH_WARNING.format("grid_sampler_2d_backward_cuda"), "grid_sampler_2d_backward_cuda"),
        (TORCH_WARNING.format("median CUDA with indices output"), "median CUDA with indices output"),
        (TORCH_WARNING.format("scatter_reduce with reduce='prod'"), "scatter_reduce with reduce='prod'"),
        ("Memory Efficient attention defaults to a non-deterministic algorithm. To ...", "Memory Efficient attention"),
        (CUBLAS_WARNING, "a matrix product"),
        ("the data have changed", None),
        ("this metric has no deterministic implementation", None),
    ],
)
def test_the_operation_is_read_from_the_warning_of_pytorch(warning, operation):
    assert nondeterministic_operation(warning) == operation


def test_each_operation_is_named_once_in_one_line(monkeypatch):
    shown = []
    monkeypatch.setattr(warnings, "showwarning", lambda message, category, *place: shown.append((message, category)))
    own = warnings.showwarning
    with naming_operations():
        for name in ("first_cuda", "second_cuda", "first_cuda"):
            warnings.showwarning(UserWarning(TORCH_WARNING.format(name)), UserWarning, "step.py", 3)
        warnings.showwarning(UserWarning("another"), UserWarning, "step.py", 4)
    assert warnings.showwarning is own
    first, second, other = (str(message) for message, _ in shown)
    assert first == (
        "the operation first_cuda has no deterministic implementation on this device, so two runs with one seed may "
        "differ; write run.deterministic=false to accept it."
    )
    assert "second_cuda" in second
    assert other == "another"


def test_a_warning_of_pytorch_itself_is_named():
    """PyTorch warns of this operation on every device once it is asked to fail, or to warn."""
    lines = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *rest: lines.append(str(message))
        with naming_operations(), restoring_process():
            torch.use_deterministic_algorithms(True, warn_only=True)
            for _ in range(3):
                torch.zeros(4).put_(torch.tensor([1, 1]), torch.ones(2), accumulate=False)
    assert len(lines) == 1
    assert lines[0].startswith("the operation put_ has no deterministic implementation on this device")
