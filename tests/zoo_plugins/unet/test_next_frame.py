"""The trainer for next-frame prediction, on Moving MNIST of the bundled digits."""

import copy

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

import zoo_core as zoo
from tests.helpers.steps import Weights, perform
from zoo_core.cli import _exit_code
from zoo_core.config.run_settings import RunSettings
from zoo_core.engine.engine import AccelerateEngine
from zoo_plugins.unet.model import UNet
from zoo_plugins.unet.next_frame import NextFrameTrainer
from zoo_plugins.unet.video_metrics import VideoMetrics

SMALL = {"in_channels": 4, "out_channels": 4, "base_channels": 4, "depth": 2, "frame_channels": 1}
LOGITS = {"output": "frame_logits", "head": "linear"}


def make(steps=10, model=None, **settings):
    """A trainer after setup, on the CPU."""
    torch.manual_seed(0)
    engine = AccelerateEngine(RunSettings(steps=steps, device="cpu"))
    engine.total_steps = steps
    trainer = NextFrameTrainer(NextFrameTrainer.Config(**settings))
    trainer.setup(UNet(UNet.Config(**(SMALL | (model or {})))), engine)
    return trainer


@pytest.fixture(scope="module")
def clips():
    """Training clips with 4 past and 4 future frames, 32 x 32."""
    settings = {"frames_in": 4, "frames_out": 4, "size": 32, "source": "subset", "use_published_test_set": False}
    return zoo.build("moving-mnist", settings, kind="dataset").train()


@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        (
            {"frame_channels": 2},
            (4, 4, 1, 32, 32),
            "the clips have 4 frames with 1 channels, but the model has in_channels=4",
        ),
        ({}, (4, 2, 3, 32, 32), "the clips have 2 frames with 3 channels"),
        ({}, (4, 4, 1, 6, 32), "the frames are 6 x 32, but SSIM needs at least 7 x 7"),
    ],
)
def test_clips_that_do_not_fit_the_model_are_an_error_at_the_first_step(model, shape, message):
    trainer = make(model=model)
    with pytest.raises(zoo.ZooError, match=message):
        perform(trainer, zoo.Batch(past=torch.rand(shape), future=torch.rand(shape)))


def test_logits_need_a_linear_head():
    with pytest.raises(zoo.ZooError, match=r"with model\.head=reference the network ends in an activation"):
        make(model={"output": "frame_logits", "head": "reference"})


def learning_rate(trainer):
    return trainer.optimizer.param_groups[0]["lr"]


# -- a step ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "model"),
    [("mse", {}), ("0.5*mse+0.5*l1", {"head": "linear"}), ("bce", LOGITS), ("charbonnier", {"downsample": "max_pool"})],
)
def test_the_loss_falls_within_thirty_steps(clips, loss, model):
    trainer = make(30, model, loss=loss, learning_rate=1e-2)
    losses = []
    for step in range(30):
        metrics = perform(trainer, clips.__getitems__(range(8 * step, 8 * step + 8)))
        assert not metrics["loss"].requires_grad
        losses.append(float(metrics["loss"]))
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


def test_a_step_minimizes_the_weighted_sum_and_returns_each_term(clips):
    trainer, batch = make(loss="0.25*mse+2*l1"), clips.__getitems__(range(4))
    model = copy.deepcopy(trainer._model).train()
    frames = model(batch["past"].flatten(1, 2)).unsqueeze(2)
    mse, l1 = F.mse_loss(frames, batch["future"]), F.l1_loss(frames, batch["future"])
    expected = 0.25 * mse + 2 * l1
    metrics = perform(trainer, batch)
    assert list(metrics) == ["loss", "mse_loss", "l1_loss"]
    assert [float(value) for value in metrics.values()] == pytest.approx([expected.item(), mse.item(), l1.item()])

    expected.backward()
    for ours, theirs in zip(trainer._model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-5)


def test_a_single_loss_is_returned_once(clips):
    assert list(make().step(clips.__getitems__(range(2)))) == ["loss"]


def test_training_is_autoregressive_if_the_model_outputs_fewer_frames_than_the_clips_have(clips):
    trainer = make(30, {"out_channels": 2, **LOGITS}, loss="bce", learning_rate=1e-2)
    model, batch = copy.deepcopy(trainer._model).train(), clips.__getitems__(range(8))
    first = model(batch["past"][:, :, 0])
    second = model(torch.cat([batch["past"][:, 2:, 0], first.sigmoid()], dim=1))
    expected = F.binary_cross_entropy_with_logits(torch.cat([first, second], dim=1), batch["future"][:, :, 0])
    losses = [float(perform(trainer, batch)["loss"])]
    assert losses[0] == pytest.approx(expected.item(), rel=1e-5)
    losses += [float(perform(trainer, clips.__getitems__(range(8 * k, 8 * k + 8)))["loss"]) for k in range(1, 30)]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    assert trainer.evaluate([batch], []).keys() >= {"mse/1", "mse/4"}
    assert trainer.preview(batch).shape == (9, 4, 1, 32, 32)


def test_gradients_are_clipped_to_max_grad_norm(clips):
    norms = {}
    for max_grad_norm in (0.0, 1e-3):
        trainer = make(max_grad_norm=max_grad_norm, loss="l1")
        perform(trainer, clips.__getitems__(range(4)))
        gradients = [parameter.grad.flatten() for parameter in trainer._model.parameters()]
        norms[max_grad_norm] = float(torch.cat(gradients).norm())
    assert norms[1e-3] == pytest.approx(1e-3, rel=1e-3)
    assert norms[0.0] > 1e-2


# -- the run -----------------------------------------------------------------


def test_the_learning_rate_rises_and_falls_and_stays_after_the_planned_steps(clips):
    trainer, learning_rates = make(20, learning_rate=4e-3, warmup=0.25), []
    for _ in range(22):
        learning_rates.append(learning_rate(trainer))
        perform(trainer, clips.__getitems__(range(2)))
    assert max(learning_rates) == pytest.approx(4e-3)
    assert learning_rates.index(max(learning_rates)) == 4
    assert learning_rates[19] < 1e-6
    assert learning_rates[20:] == [learning_rates[19]] * 2


@pytest.mark.parametrize(("steps", "warmup"), [(0, 0.1), (1, 0.1), (2, 0.5), (5, 0.2), (10, 0.1), (20, 0.05)])
def test_a_run_of_any_length_has_a_schedule(clips, steps, warmup):
    trainer = make(steps, warmup=warmup)
    for _ in range(steps):
        assert 0 < learning_rate(trainer) <= 1e-3
        perform(trainer, clips.__getitems__(range(2)))


def test_the_recipe_averages_parameters_and_statistics(tmp_path):
    weights = Weights()
    overrides = [
        "dataset.source=subset", "dataset.size=32", "dataset.use_published_test_set=false", "dataset.test_clips=3",
        "dataset.validation_clips=3", "model.base_channels=4", "run.steps=6", "run.batch_size=4", "run.device=cpu",
        "run.preview_every=0", "run.precision=float32", "run.ema_decay=0.15",
    ]  # fmt: skip
    zoo.run("unet-moving-mnist", *overrides, folder=tmp_path / "run", callbacks=[weights])
    published = load_file(tmp_path / "run" / "model.safetensors")
    assert any("running_mean" in name for name in published)
    for name, tensor in published.items():
        expected = weights.steps[0][name]
        for number, trained in enumerate(weights.steps[1:], 2):
            decay = min(0.15, number / (9 + number)) if tensor.is_floating_point() else 0
            expected = decay * expected + (1 - decay) * trained[name]
        torch.testing.assert_close(tensor, expected, rtol=1e-5, atol=1e-6, msg=name, check_dtype=False)


def test_finalize_keeps_the_weights(clips):
    trainer = make()
    perform(trainer, clips.__getitems__(range(4)))
    before = copy.deepcopy(trainer._model.state_dict())
    trainer.finalize()
    for name, tensor in trainer._model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


@pytest.mark.parametrize("stop", [2, 7])  # within an epoch, which has six steps
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(stops_at, tmp_path, stop):
    overrides = [
        "dataset.source=subset", "dataset.size=32", "dataset.use_published_test_set=false", "dataset.epoch_size=24",
        "run.device=cpu",
        "dataset.test_clips=3", "dataset.validation_clips=3", "model.base_channels=4", "model.depth=2",
        "model.out_channels=5", "run.ema_decay=0.9", "run.steps=9", "run.batch_size=4", "run.preview_every=3",
        "run.precision=float32",
    ]  # fmt: skip
    uninterrupted = zoo.run("unet-moving-mnist", *overrides, folder=tmp_path / "uninterrupted")
    stopped = zoo.run("unet-moving-mnist", *overrides, folder=tmp_path / "stopped", callbacks=[stops_at(stop)])
    assert (uninterrupted.step, stopped.step) == (9, stop)
    assert _exit_code(["run", "--resume", str(tmp_path / "stopped")]) == 0
    # The header contains the recipe and the metrics, so they are compared, too.
    files = [tmp_path / run / "model.safetensors" for run in ("uninterrupted", "stopped")]
    assert files[0].read_bytes() == files[1].read_bytes()


# -- evaluation and preview --------------------------------------------------


def test_evaluation_uses_eval_mode_and_changes_no_state(clips):
    trainer = make(model=LOGITS, loss="bce")
    batches = [clips.__getitems__(range(k, k + 3)) for k in (0, 3)]
    for batch in batches:
        perform(trainer, batch)
    before = copy.deepcopy(trainer._model.state_dict())
    metrics = trainer.evaluate(batches, [])

    model = copy.deepcopy(trainer._model).eval()
    expected = VideoMetrics()
    for batch in batches:
        predicted = model(batch["past"][:, :, 0]).sigmoid().unsqueeze(2)
        expected.update(batch["past"], predicted.detach(), batch["future"])
    assert metrics == pytest.approx(expected.compute(), rel=1e-4)
    assert all(module.training for module in trainer._model.modules())
    for name, tensor in trainer._model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_the_preview_has_rows_of_past_future_and_prediction(clips):
    trainer, batch = make(model={"head": "linear"}), clips.__getitems__(range(5))
    preview = trainer.preview(batch)
    assert preview.shape == (9, 4, 1, 32, 32)  # of the first three clips
    assert 0 <= preview.min() <= preview.max() <= 1
    assert not preview.requires_grad
    assert torch.equal(preview[0::3], batch["past"][:3])
    assert torch.equal(preview[1::3], batch["future"][:3])
    model = copy.deepcopy(trainer._model).eval()
    expected = model(batch["past"][:3, :, 0]).clamp(0, 1).unsqueeze(2)
    torch.testing.assert_close(preview[2::3], expected.detach(), rtol=1e-4, atol=1e-5)
    assert all(module.training for module in trainer._model.modules())


def test_in_a_preview_the_last_frame_of_a_shorter_clip_is_repeated(clips):
    batch = clips.__getitems__(range(1))
    short_past = zoo.Batch(past=batch["past"][:, :2], future=batch["future"])
    preview = make(model={"in_channels": 2}).preview(short_past)
    assert preview.shape == (3, 4, 1, 32, 32)
    assert torch.equal(preview[0, :2], short_past["past"][0])
    assert torch.equal(preview[0, 2], preview[0, 1])
    assert torch.equal(preview[0, 3], preview[0, 1])
    short_future = zoo.Batch(past=batch["past"], future=batch["future"][:, :1])
    preview = make(model={"out_channels": 1}).preview(short_future)
    assert preview.shape == (3, 4, 1, 32, 32)
    for row in (1, 2):
        assert torch.equal(preview[row], preview[row, :1].expand(4, -1, -1, -1))


def test_color_frames_are_predicted_in_color(clips):
    gray = clips.__getitems__(range(3))
    batch = zoo.Batch({name: torch.cat([clip, clip / 2, 1 - clip], dim=2) for name, clip in gray.items()})
    trainer = make(model={"in_channels": 12, "out_channels": 12, "frame_channels": 3})
    assert perform(trainer, batch)["loss"] > 0
    assert trainer.preview(batch).shape == (9, 4, 3, 32, 32)
    assert trainer.evaluate([batch], [])["mse"] > 0


# -- errors ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"output": "class_logits", "head": "linear"}, "model.output is 'class_logits'"),
        ({"out_channels": 4, "frame_channels": 3}, "model.out_channels 4 and model.frame_channels 3"),
    ],
)
def test_a_model_that_does_not_output_whole_frames_is_an_error(model, message):
    with pytest.raises(zoo.ZooError, match=r"the trainer 'next-frame' needs a model that outputs frames") as error:
        make(model=model)
    assert message in error.value.message
    assert "model.frame_channels=1" in error.value.hint


def test_bce_is_an_error_if_the_output_is_not_logits():
    with pytest.raises(zoo.ZooError, match="contains 'bce'"):
        make(loss="bce")
    make(loss="bce", model=LOGITS)


def test_clips_of_another_length_are_an_error_that_names_both_lengths(clips):
    with pytest.raises(zoo.ZooError, match="the clips have 4 frames with 1 channels, but the model has in_channels=3"):
        make(model={"in_channels": 3}).step(clips.__getitems__(range(2)))
