"""The precision of a run: the choice of auto, and TF32 or IEEE products of float32 tensors on CUDA."""

import shutil
import warnings

import pytest
import torch

from zoo_core.engine.precision import computing_in, find_precision, restoring_precision, set_precision, stored_dtype
from zoo_core.errors import BadSetting

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def products():
    backends = torch.backends
    return backends.cuda.matmul.fp32_precision, backends.cudnn.conv.fp32_precision, backends.cudnn.rnn.fp32_precision


def old_settings():
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize("name", ["cpu", "mps", "xpu"])
def test_tf32_is_refused_on_a_device_without_it(name):
    with pytest.raises(BadSetting, match=f"run.precision is 'tf32', but the device '{name}' has no TF32") as error:
        find_precision("tf32", torch.device(name))
    assert "run.precision=float32" in error.value.hint


def test_auto_is_bfloat16_only_on_a_cpu_with_a_matrix_unit_for_it():
    matrix_unit = torch.cpu.get_capabilities().get("amx_bf16")
    assert find_precision("auto", CPU) == ("bfloat16" if matrix_unit else "float32")


def test_auto_on_other_accelerators_is_what_they_have_instructions_for():
    assert find_precision("auto", torch.device("xpu")) == "bfloat16"
    assert find_precision("auto", torch.device("mps")) == "float32"


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_a_precision_by_name_is_taken_as_it_is(name):
    assert find_precision(name, CPU) == name


@pytest.mark.parametrize(
    ("precision", "expected"), [("float32", "ieee"), ("tf32", "tf32"), ("bfloat16", "ieee"), ("float16", "ieee")]
)
def test_products_and_convolutions_on_cuda_have_the_precision_of_the_run(precision, expected):
    before = products(), old_settings()
    with computing_in(precision, CUDA):
        assert products() == (expected,) * 3
        assert old_settings() == (expected == "tf32",) * 2  # which torch.compile reads
        assert torch.get_float32_matmul_precision() == ("high" if expected == "tf32" else "highest")
    assert (products(), old_settings()) == before


def test_on_a_cpu_no_setting_changes():
    before = products(), old_settings()
    with restoring_precision():
        for precision in ("float32", "bfloat16"):
            set_precision(precision, CPU)
            assert (products(), old_settings()) == before


def test_each_run_sets_its_own_precision_and_the_last_one_leaves_none():
    before = products()
    with restoring_precision():
        for precision, expected in (("tf32", "tf32"), ("float32", "ieee"), ("tf32", "tf32")):
            set_precision(precision, CUDA)
            assert products() == (expected,) * 3
    assert products() == before


def test_a_script_that_has_used_the_new_settings_only_gets_them_back():
    """PyTorch raises when the old settings are read, then."""
    with restoring_precision():
        torch.backends.cuda.matmul.fp32_precision = "tf32"
        with computing_in("float32", CUDA):
            assert products() == ("ieee",) * 3
            assert old_settings() == (False, False)
        assert products()[0] == "tf32"


def test_setting_a_precision_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with computing_in("tf32", CUDA):
            pass


def test_tf32_tensors_are_stored_in_float32():
    assert [stored_dtype(name) for name in ("float32", "tf32", "bfloat16", "float16")] == [
        torch.float32,
        torch.float32,
        torch.bfloat16,
        torch.float16,
    ]


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler for a CPU")
@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_a_network_compiles_after_a_precision_was_set(precision):
    module, points = torch.nn.Linear(4, 3), torch.randn(2, 4)
    expected = module(points)
    with computing_in(precision, CUDA):
        module.compile()
        torch.testing.assert_close(module(points), expected)
