"""Metrics of predicted frames against NumPy implementations."""

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view

import zoo_core as zoo
from zoo_plugins.unet.video_metrics import VideoMetrics


def plain_ssim(x, y, data_range):
    """Wang et al. 2004, eq. 13, of two images (H, W): mean over all 7 x 7 windows inside the image."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    x, y = sliding_window_view(x, (7, 7)), sliding_window_view(y, (7, 7))
    mean_x, mean_y = x.mean(axis=(2, 3)), y.mean(axis=(2, 3))
    covariance = (x * y).mean(axis=(2, 3)) - mean_x * mean_y
    ssim = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    ssim /= (mean_x**2 + mean_y**2 + c1) * (x.var(axis=(2, 3)) + y.var(axis=(2, 3)) + c2)
    return ssim.mean()


def plain_metrics(past, predicted, future):
    """Each metric of each clip and frame, computed separately: name to (N, T')."""
    past, predicted, future = (clips.double().numpy() for clips in (past, predicted, future))
    clips, frames, channels = future.shape[:3]
    metrics = {name: np.zeros((clips, frames)) for name in
               ("mse", "mae", "ssim", "ssim_range_2", "psnr", "last_frame_mse", "last_frame_ssim")}  # fmt: skip
    for index in np.ndindex(clips, frames):
        true, last = future[index], past[index[0], -1]
        clipped = np.clip(predicted[index], 0, 1)
        metrics["mse"][index] = ((predicted[index] - true) ** 2).sum()
        metrics["mae"][index] = np.abs(predicted[index] - true).sum()
        for name, images, data_range in (
            ("ssim", clipped, 1.0),
            ("ssim_range_2", clipped, 2.0),
            ("last_frame_ssim", last, 1.0),
        ):
            metrics[name][index] = np.mean([plain_ssim(images[c], true[c], data_range) for c in range(channels)])
        metrics["psnr"][index] = 10 * np.log10(1 / ((clipped - true) ** 2).mean())
        metrics["last_frame_mse"][index] = ((last - true) ** 2).sum()
    return metrics


@pytest.fixture(scope="module")
def clips():
    """Five clips of 3 past and 4 future frames, with predictions that exceed [0, 1]."""
    settings = {"source": "subset", "use_published_test_set": False, "frames_in": 3, "frames_out": 4, "size": 40}
    data = zoo.build("moving-mnist", settings, kind="dataset")
    batch = data.test().__getitems__(range(5))
    noise = torch.randn(batch["future"].shape, generator=torch.Generator().manual_seed(1))
    return batch["past"], batch["future"] + 0.2 * noise, batch["future"]


def metrics_of(*batches):
    metrics = VideoMetrics()
    for batch in batches:
        metrics.update(*batch)
    return metrics.compute()


def test_every_metric_equals_its_definition_overall_and_for_each_predicted_frame(clips):
    assert clips[1].min() < -0.3
    assert clips[1].max() > 1.3
    expected = plain_metrics(*clips)
    computed = metrics_of(clips)
    assert set(computed) == {f"{name}{suffix}" for name in expected for suffix in ("", "/1", "/2", "/3", "/4")}
    for name, values in expected.items():
        assert computed[name] == pytest.approx(values.mean(), rel=1e-4), name
        for index in range(4):
            assert computed[f"{name}/{index + 1}"] == pytest.approx(values[:, index].mean(), rel=1e-4), name


def test_the_channels_of_color_frames_are_summed_in_mse_and_mae_and_averaged_in_ssim(clips):
    colored = [torch.cat([clip, clip.roll(1, dims=0), clip.roll(2, dims=0)], dim=2) for clip in clips]
    computed = metrics_of(colored)
    for name, values in plain_metrics(*colored).items():
        assert computed[name] == pytest.approx(values.mean(), rel=1e-4), name


def test_the_metrics_do_not_depend_on_the_batch_size(clips):
    expected = metrics_of(clips)
    computed = metrics_of([clip[:1] for clip in clips], [clip[1:] for clip in clips])
    assert computed == pytest.approx(expected, rel=1e-5)


def test_mse_and_mae_are_computed_before_clipping_and_ssim_and_psnr_after(clips):
    past, predicted, future = clips
    raw, clipped = metrics_of(clips), metrics_of((past, predicted.clamp(0, 1), future))
    assert raw["mse"] > 1.2 * clipped["mse"]
    assert raw["mae"] > 1.2 * clipped["mae"]
    for name in ("ssim", "ssim_range_2", "psnr", "last_frame_mse", "last_frame_ssim"):
        assert raw[name] == clipped[name]


def test_repeating_the_last_frame_gives_the_metrics_of_the_baseline(clips):
    past, _, future = clips
    computed = metrics_of((past, past[:, -1:].expand_as(future), future))
    for suffix in ("", "/1", "/4"):
        assert computed[f"mse{suffix}"] == pytest.approx(computed[f"last_frame_mse{suffix}"])
        assert computed[f"ssim{suffix}"] == pytest.approx(computed[f"last_frame_ssim{suffix}"])
    assert (
        computed["last_frame_mse/1"] < computed["last_frame_mse/4"]
    )  # the digits move further away from the last frame


def test_a_perfect_prediction_has_no_error_and_a_finite_psnr(clips):
    past, _, future = clips
    computed = metrics_of((past, future, future))
    assert (computed["mse"], computed["mae"]) == (0, 0)
    assert computed["ssim"] == pytest.approx(1)
    assert computed["psnr"] == pytest.approx(100)
