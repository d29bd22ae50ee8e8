"""Small tensors that a loader worker sends through its pipe."""

import pytest
import torch

from zoo_core.data.batch_maker import BatchMaker
from zoo_core.data.loader import in_order
from zoo_core.data.small_tensors import as_arrays, from_arrays
from zoo_core.dataset import Batch, GeneratedExamples

VALUES = {
    "uint8": torch.arange(12, dtype=torch.uint8).view(4, 3),
    "float16": torch.rand(4, 5).half(),
    "float64": torch.rand(4, dtype=torch.float64),
    "bool": torch.tensor([True, False, False, True]),
    "bfloat16": torch.rand(4, 3).bfloat16(),
    "complex": torch.rand(4, 3, dtype=torch.complex64),
    "transposed": torch.rand(3, 4).T,
    "view": torch.rand(9, 3)[1:5],
    "repeated": torch.rand(4, 1).expand(4, 7),
    "channels last": torch.rand(4, 3, 5, 5).contiguous(memory_format=torch.channels_last),
    "without values": torch.zeros(4, 0),
    "negated": torch.rand(4, 3, dtype=torch.complex64).conj().imag,
    "conjugated": torch.rand(4, 3, dtype=torch.complex64).conj(),
    "large": torch.rand(4, 20_000),
}


STRIDES_CHANGE = ("repeated", "view", "without values", "negated")


def make(indices):
    return Batch({**VALUES, "name": ["a", "b", "c", "d"]})


@pytest.fixture(params=["directly", "from a worker"])
def received(request):
    if request.param == "directly":
        return from_arrays(as_arrays(make([0])))
    return next(iter(in_order(BatchMaker(GeneratedExamples(make, 4)), 4, workers=1)))


def test_every_tensor_arrives_as_it_was(received):
    assert received["name"] == ["a", "b", "c", "d"]
    assert received.keys() == make([0]).keys()
    for name, value in VALUES.items():
        assert torch.equal(received[name], value), name
        assert received[name].dtype == value.dtype
        assert received[name].stride() == value.stride() or name in STRIDES_CHANGE


def test_what_arrives_is_aligned_and_can_be_modified(received):
    for name in ("uint8", "float16", "float64", "view", "bool"):
        assert received[name].data_ptr() % 64 == 0
        received[name].zero_()


def test_the_batch_of_the_worker_keeps_its_tensors():
    batch = make([0])
    assert as_arrays(batch) is not batch
    assert torch.is_tensor(batch["uint8"])
