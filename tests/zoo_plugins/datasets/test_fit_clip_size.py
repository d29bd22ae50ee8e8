"""The size of frames and the batch for a memory."""

import pytest

import zoo_core as zoo
from zoo_plugins.datasets.fit_clip_size import fit_batch, fit_frames

WINDOW = {"frames_in": 4, "frames_out": 4}


def budget(gib, device="cpu"):
    return zoo.Budget(minutes=5, memory=int(gib * 2**30), device=device)


def test_frames_are_smaller_and_batches_fewer_for_less_memory():
    size = (640, 710)
    assert fit_frames(size, 3, WINDOW, budget(2)) == {}
    batches = [fit_batch(size, 3, WINDOW, budget(gib)) for gib in (1, 2, 4, 8)]
    assert batches == sorted(batches)
    assert (batches[0], batches[-1] > 8) == (1, True)
    small = fit_frames(size, 3, WINDOW, budget(1.1))
    assert 64 <= small["height"] < size[0]
    assert small["width"] / small["height"] == pytest.approx(710 / 640, rel=0.2)  # the aspect is kept
    assert small["height"] % 32 == small["width"] % 32 == 0


def test_a_video_of_full_hd_fits_into_two_gib():
    small = fit_frames((1080, 1920), 3, WINDOW, budget(2))
    assert small["width"] < 1920
    assert fit_frames((small["height"], small["width"]), 3, WINDOW, budget(2)) in ({}, small)


def test_without_any_room_nothing_is_resized():
    assert fit_frames((640, 710), 3, WINDOW, budget(0.5)) == {}
    assert fit_batch((640, 710), 3, WINDOW, budget(0.5)) == 1
