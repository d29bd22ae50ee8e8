"""The figures of predicted frames against each of them written out in NumPy."""

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view

import zoo_core as zoo
from zoo_plugins.unet.video_metrics import VideoMetrics


def plain_ssim(x, y, data_range):
    """Wang et al. 2004, eq. 13, of two pictures (H, W): mean over every 7 x 7 window that lies in the picture."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    x, y = sliding_window_view(x, (7, 7)), sliding_window_view(y, (7, 7))
    mean_x, mean_y = x.mean(axis=(2, 3)), y.mean(axis=(2, 3))
    covariance = (x * y).mean(axis=(2, 3)) - mean_x * mean_y
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    likeness /= (mean_x**2 + mean_y**2 + c1) * (x.var(axis=(2, 3)) + y.var(axis=(2, 3)) + c2)
    return likeness.mean()


def by_hand(past, predicted, future):
    """Every figure of every clip and frame, one at a time: name to (N, T')."""
    past, predicted, future = (clips.double().numpy() for clips in (past, predicted, future))
    clips, frames, channels = future.shape[:3]
    metrics = {name: np.zeros((clips, frames)) for name in
               ("mse", "mae", "ssim", "ssim_range_2", "psnr", "last_frame_mse", "last_frame_ssim")}  # fmt: skip
    for at in np.ndindex(clips, frames):
        true, last = future[at], past[at[0], -1]
        clipped = np.clip(predicted[at], 0, 1)
        metrics["mse"][at] = ((predicted[at] - true) ** 2).sum()
        metrics["mae"][at] = np.abs(predicted[at] - true).sum()
        for name, pictures, data_range in (
            ("ssim", clipped, 1.0),
            ("ssim_range_2", clipped, 2.0),
            ("last_frame_ssim", last, 1.0),
        ):
            metrics[name][at] = np.mean([plain_ssim(pictures[c], true[c], data_range) for c in range(channels)])
        metrics["psnr"][at] = 10 * np.log10(1 / ((clipped - true) ** 2).mean())
        metrics["last_frame_mse"][at] = ((last - true) ** 2).sum()
    return metrics


@pytest.fixture(scope="module")
def clips():
    """Five clips of bouncing digits, three frames and four, and predictions that leave [0, 1]."""
    data = zoo.build(
        "moving-mnist",
        {"source": "subset", "published": False, "frames_in": 3, "frames_out": 4, "size": 40},
        kind="dataset",
    )
    batch = data.test().__getitems__(range(5))
    noise = torch.randn(batch["future"].shape, generator=torch.Generator().manual_seed(1))
    return batch["past"], batch["future"] + 0.2 * noise, batch["future"]


def figures_of(*batches):
    metrics = VideoMetrics()
    for batch in batches:
        metrics.add(*batch)
    return metrics.read()


def test_every_figure_is_what_its_definition_says_overall_and_for_each_frame_ahead(clips):
    assert clips[1].min() < -0.3
    assert clips[1].max() > 1.3
    expected = by_hand(*clips)
    read = figures_of(clips)
    assert set(read) == {f"{name}{ahead}" for name in expected for ahead in ("", "/1", "/2", "/3", "/4")}
    for name, values in expected.items():
        assert read[name] == pytest.approx(values.mean(), rel=1e-4), name
        for ahead in range(4):
            assert read[f"{name}/{ahead + 1}"] == pytest.approx(values[:, ahead].mean(), rel=1e-4), name


def test_the_channels_of_colour_frames_are_summed_in_errors_and_averaged_in_likeness(clips):
    colored = [torch.cat([clip, clip.roll(1, dims=0), clip.roll(2, dims=0)], dim=2) for clip in clips]
    read = figures_of(colored)
    for name, values in by_hand(*colored).items():
        assert read[name] == pytest.approx(values.mean(), rel=1e-4), name


def test_batches_of_any_size_add_up_to_the_figures_of_all_clips(clips):
    whole = figures_of(clips)
    parts = figures_of([clip[:1] for clip in clips], [clip[1:] for clip in clips])
    assert parts == pytest.approx(whole, rel=1e-5)


def test_errors_are_taken_before_clipping_and_likeness_after(clips):
    past, predicted, future = clips
    raw, clipped = figures_of(clips), figures_of((past, predicted.clamp(0, 1), future))
    assert raw["mse"] > 1.2 * clipped["mse"]
    assert raw["mae"] > 1.2 * clipped["mae"]
    for name in ("ssim", "ssim_range_2", "psnr", "last_frame_mse", "last_frame_ssim"):
        assert raw[name] == clipped[name]


def test_a_copy_of_the_last_frame_has_the_figures_of_the_copy(clips):
    past, _, future = clips
    read = figures_of((past, past[:, -1:].expand_as(future), future))
    for ahead in ("", "/1", "/4"):
        assert read[f"mse{ahead}"] == pytest.approx(read[f"last_frame_mse{ahead}"])
        assert read[f"ssim{ahead}"] == pytest.approx(read[f"last_frame_ssim{ahead}"])
    assert read["last_frame_mse/1"] < read["last_frame_mse/4"]  # digits that move go on moving


def test_a_perfect_prediction_has_no_error_and_a_finite_psnr(clips):
    past, _, future = clips
    read = figures_of((past, future, future))
    assert (read["mse"], read["mae"]) == (0, 0)
    assert read["ssim"] == pytest.approx(1)
    assert read["psnr"] == pytest.approx(100)
