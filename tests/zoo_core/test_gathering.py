"""Examples selected from tensors: the same bits for any number of threads."""

import pytest
import torch

import zoo_core as zoo
from zoo_core.data.batch_maker import BatchMaker, Part

THREADS = (1, 2, 16)


@pytest.fixture(params=THREADS)
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def index(count, length):
    return torch.randint(length, (count,), generator=torch.Generator().manual_seed(count))


@pytest.mark.parametrize("count", [1, 41, 42, 64, 256, 400])
def test_images_stored_as_bytes_are_those_of_torch(count, threads):
    pixels = torch.randint(256, (500, 1, 28, 28), dtype=torch.uint8)
    chosen = index(count, 500)
    given = zoo.Uint8Images(pixels).index_select(0, chosen)
    assert given.dtype == torch.float32
    assert torch.equal(given, pixels.index_select(0, chosen).float().div_(255))


def test_every_value_of_a_byte_is_the_same_however_it_is_converted():
    pixels = torch.arange(256, dtype=torch.uint8).expand(200, 256).contiguous()
    expected = pixels.float() / 255
    assert torch.equal(zoo.Uint8Images(pixels)[:], expected)
    assert torch.equal(zoo.Uint8Images(pixels).index_select(0, torch.arange(200)), expected)
    assert torch.equal(pixels.div(torch.tensor(255.0)), expected)  # as on an accelerator


KINDS = {
    "float32": torch.rand(300, 3, 16, 16),
    "float16": torch.rand(300, 3, 16, 16).half(),
    "bfloat16": torch.rand(300, 3, 16, 16).bfloat16(),
    "int64": torch.randint(9, (300, 28, 28)),
    "bool": torch.rand(300, 28, 28) > 0.5,
    "complex64": torch.rand(300, 28, 28, dtype=torch.complex64),
    "channels last": torch.rand(300, 3, 16, 16).contiguous(memory_format=torch.channels_last),
    "transposed": torch.rand(28 * 28, 300).T,
    "view": torch.rand(400, 28, 28)[100:],
    "strided": torch.rand(600, 28, 28)[::2],
    "requires grad": torch.rand(300, 28, 28, requires_grad=True),
    "numbers": torch.arange(300),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_tensors_of_every_kind_are_those_of_torch(kind, dtype, threads):
    tensor, chosen = KINDS[kind], index(64, 300).to(dtype)
    given, expected = zoo.InMemory(it=tensor).__getitems__(chosen)["it"], tensor.index_select(0, chosen)
    assert torch.equal(given, expected)
    assert (given.dtype, given.stride(), given.requires_grad) == (tensor.dtype, expected.stride(), tensor.requires_grad)
    assert given.data_ptr() % 64 == 0  # some operations of torch round differently if it is not


@pytest.mark.parametrize("wrong", [-1, 300])
@pytest.mark.parametrize("tensor", [KINDS["view"], zoo.Uint8Images(torch.zeros(300, 28, 28, dtype=torch.uint8))])
def test_an_index_that_does_not_exist_is_an_error(wrong, tensor, threads):
    with pytest.raises(zoo.ZooError, match=f"out of range in self, at training example {wrong}"):
        BatchMaker(zoo.InMemory(it=tensor))(Part("example", 0, range(64), [0, wrong] * 32))


def test_no_examples_are_a_batch_of_none(threads):
    for tensor in (KINDS["float32"], torch.zeros(0, 3)):
        assert zoo.InMemory(it=tensor).__getitems__(torch.arange(0))["it"].shape == (0, *tensor.shape[1:])
