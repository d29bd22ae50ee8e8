"""The network and the batch that follow from the memory, the device and the crop."""

import pytest

import zoo_core as zoo
from zoo_plugins.datasets.fit_network import choose_network


def chosen(crop, device="cpu", memory=2**33, examples=100, minutes=5):
    return choose_network(crop, zoo.Budget(minutes=minutes, memory=memory, device=device), examples)


@pytest.mark.parametrize(
    ("crop", "device", "expected"),
    [
        ((256, 256), "cpu", {"base_channels": 16, "depth": 4, "patch": 2}),
        ((256, 128), "cpu", {"base_channels": 16, "depth": 3, "patch": 2}),
        ((96, 256), "cpu", {"base_channels": 16, "depth": 3}),
        ((32, 32), "cpu", {"base_channels": 16, "depth": 2}),
        ((512, 512), "cuda", {"base_channels": 32, "depth": 4}),
    ],
)
def test_a_small_crop_has_a_shallow_network_and_a_cpu_sees_patches(crop, device, expected):
    assert chosen(crop, device).settings == expected


def test_a_longer_training_on_a_cpu_has_a_wider_network_if_the_memory_is_sufficient():
    assert [chosen((256, 256), minutes=minutes).settings["base_channels"] for minutes in (9, 10, 40)] == [16, 32, 32]
    assert [chosen((256, 256), "cuda", minutes=minutes).settings["base_channels"] for minutes in (1, 40)] == [32, 32]
    assert chosen((256, 256), minutes=20).reason == "for a training on cpu of 20 minutes"
    short = chosen((256, 256), minutes=20, memory=900 * 2**20)
    assert (short.settings["base_channels"], short.reason) == (16, "for a memory of 0.9 GiB")


def test_with_less_memory_the_batch_is_smaller_and_then_the_network_narrower():
    found = [chosen((256, 256), memory=size * 2**20) for size in (8192, 1024, 900, 800, 700, 100)]
    batches = [one.batch_size for one in found]
    channels = [one.settings["base_channels"] for one in found]
    assert batches == sorted(batches, reverse=True)
    assert channels == sorted(channels, reverse=True)
    assert (batches[0], channels[0]) == (4, 16)
    assert (batches[-1], channels[-1]) == (1, 8)
    assert found[0].batch_reason == "for a training on cpu"
    assert found[3].batch_reason == "for a memory of 0.8 GiB"


@pytest.mark.parametrize(
    ("device", "examples", "expected"), [("cpu", 1, 1), ("cpu", 3, 3), ("cuda", 7, 7), ("cpu", 4, 4)]
)
def test_a_batch_has_no_more_images_than_there_are_for_training(device, examples, expected):
    found = chosen((256, 256), device, examples=examples)
    assert found.batch_size == expected
    assert (found.batch_reason == "all training images") is (device == "cuda" or examples < 4)
