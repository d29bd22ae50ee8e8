"""The trainer for semantic segmentation, on digit scenes."""

import copy
from dataclasses import dataclass

import pytest
import torch

import zoo_core as zoo
from tests.helpers.steps import perform
from zoo_core.cli import _exit_code
from zoo_core.config.run_settings import RunSettings
from zoo_core.engine.engine import AccelerateEngine
from zoo_plugins.unet.model import UNet
from zoo_plugins.unet.segmentation import SegmentationTrainer, soft_dice_loss

SMALL = {
    "in_channels": 1, "out_channels": 11, "base_channels": 4, "depth": 2, "head": "linear", "output": "class_logits",
}  # fmt: skip
WEIGHTS = (0.2, *[1.0] * 9, 3.0)


def make(steps=10, model=None, **settings):
    """A trainer after setup, on the CPU."""
    torch.manual_seed(0)
    engine = AccelerateEngine(RunSettings(steps=steps, device="cpu"))
    engine.total_steps = steps
    trainer = SegmentationTrainer(SegmentationTrainer.Config(**settings))
    trainer.setup(UNet(UNet.Config(**(SMALL | (model or {})))), engine)
    return trainer


@pytest.fixture(scope="module")
def scenes():
    return zoo.build(
        "digit-scenes", {"source": "subset", "height": 32, "width": 40, "max_digits": 2}, kind="dataset"
    ).train()


def partly_ignored(batch):
    mask = batch["mask"].clone()
    mask[:, :9] = 255
    return zoo.Batch(image=batch["image"], mask=mask)


def plain_cross_entropy(score, mask, weights=None, ignore_index=255):
    """Weighted mean over the pixels, computed one by one."""
    probability = score.detach().double().softmax(dim=1)
    total = total_weight = 0.0
    for n, y, x in (mask != ignore_index).nonzero().tolist():
        weight = 1.0 if weights is None else weights[mask[n, y, x]]
        total -= weight * float(probability[n, mask[n, y, x], y, x].log())
        total_weight += weight
    return total / total_weight


# -- a step ------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["cross-entropy", "dice", "both"])
def test_the_loss_falls_within_forty_steps(scenes, loss):
    trainer = make(40, {"base_channels": 8}, loss=loss, learning_rate=1e-2)
    losses = []
    for step in range(40):
        metrics = perform(trainer, scenes.__getitems__(range(8 * (step % 3), 8 * (step % 3) + 8)))
        assert not metrics["loss"].requires_grad
        losses.append(float(metrics["loss"]))
    assert sum(losses[-5:]) < 0.95 * sum(losses[:5])


def test_training_on_a_few_scenes_fits_them(scenes):
    trainer, batch = make(60, {"base_channels": 8}, learning_rate=1e-2, loss="both"), scenes.__getitems__(range(4))
    before = trainer.evaluate([batch], [])
    for _ in range(60):
        perform(trainer, batch)
    after = trainer.evaluate([batch], [])
    assert after["pixel_accuracy"] > 0.9
    assert after["mean_iou"] > before["mean_iou"] + 0.1


@pytest.mark.parametrize("weights", [(), WEIGHTS])
def test_a_step_minimizes_the_weighted_cross_entropy_of_pixels_that_are_not_ignored(scenes, weights):
    trainer, batch = make(class_weights=weights), partly_ignored(scenes.__getitems__(range(2)))
    score = copy.deepcopy(trainer._model).train()(batch["image"])
    metrics = perform(trainer, batch)
    assert list(metrics) == ["loss"]
    assert float(metrics["loss"]) == pytest.approx(plain_cross_entropy(score, batch["mask"], weights or None), rel=1e-4)


@pytest.mark.parametrize("ignore_index", [255, 0])
def test_both_losses_are_summed_and_each_is_returned(scenes, ignore_index):
    trainer, batch = make(loss="both", ignore_index=ignore_index), scenes.__getitems__(range(2))
    score = copy.deepcopy(trainer._model).train()(batch["image"]).detach()
    dice = float(soft_dice_loss(score, batch["mask"], ignore_index))
    entropy = plain_cross_entropy(score, batch["mask"], ignore_index=ignore_index)
    metrics = {name: float(value) for name, value in perform(trainer, batch).items()}
    assert metrics == pytest.approx({"loss": entropy + dice, "cross_entropy": entropy, "dice_loss": dice}, rel=1e-4)


def test_ignored_pixels_do_not_affect_the_metrics(scenes):
    trainer, batch = make(), partly_ignored(scenes.__getitems__(range(4)))
    predicted = trainer._model.eval()(batch["image"]).argmax(dim=1)
    trainer._model.train()
    correct_or_ignored = zoo.Batch(image=batch["image"], mask=predicted.where(batch["mask"] != 255, 255))
    assert trainer.evaluate([correct_or_ignored], [])["pixel_accuracy"] == 1


# -- the run -----------------------------------------------------------------


@pytest.mark.parametrize("ema_decay", ["0", "0.9"])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(stops_at, tmp_path, ema_decay):
    overrides = [
        "dataset.source=subset", "dataset.height=32", "dataset.width=32", "dataset.epoch_size=20",
        "dataset.test_scenes=4",
        "dataset.validation_scenes=4", "model.base_channels=4", "model.depth=2", "trainer.loss=both", "run.steps=8",
        f"run.ema_decay={ema_decay}", "run.batch_size=4", "run.preview_every=4", "run.device=cpu",
        "run.precision=float32",
    ]  # fmt: skip
    zoo.run("unet-digit-scenes", *overrides, folder=tmp_path / "uninterrupted")
    zoo.run("unet-digit-scenes", *overrides, folder=tmp_path / "stopped", callbacks=[stops_at(3)])
    assert _exit_code(["run", "--resume", str(tmp_path / "stopped")]) == 0
    # The header contains the recipe and the metrics, so they are compared, too.
    files = [tmp_path / run / "model.safetensors" for run in ("uninterrupted", "stopped")]
    assert files[0].read_bytes() == files[1].read_bytes()


# -- evaluation and preview --------------------------------------------------


def test_metrics_are_computed_over_all_pixels_that_are_not_ignored_of_all_batches(scenes):
    trainer = make(model={"class_names": ("ground", *"0123456789")})
    batches = [partly_ignored(scenes.__getitems__(range(3))), scenes.__getitems__(range(3, 5))]
    for batch in batches:
        perform(trainer, batch)
    metrics = trainer.evaluate(batches, [])
    model = copy.deepcopy(trainer._model).eval()
    predicted = torch.cat([model(batch["image"]).argmax(dim=1).flatten() for batch in batches])
    true = torch.cat([batch["mask"].flatten() for batch in batches])
    predicted, true = predicted[true != 255], true[true != 255]
    assert metrics["pixel_accuracy"] == pytest.approx(float((predicted == true).float().mean()))
    ious = {}
    for number, name in enumerate(["ground", *"0123456789"]):
        intersection, union = (
            int(((predicted == number) & (true == number)).sum()),
            int(((predicted == number) | (true == number)).sum()),
        )
        if union:
            ious[f"iou/{name}"] = intersection / union
    assert {name: value for name, value in metrics.items() if name.startswith("iou/")} == pytest.approx(ious)
    assert metrics["mean_iou"] == pytest.approx(sum(ious.values()) / len(ious))
    assert all(module.training for module in trainer._model.modules())


def test_the_preview_is_one_image_of_at_most_eight_rows_with_a_legend(scenes):
    trainer, batch = make(), scenes.__getitems__(range(10))
    perform(trainer, batch)
    before = copy.deepcopy(trainer._model.state_dict())
    preview = trainer.preview(partly_ignored(batch))
    grid = 8 * (3 * 32 + 2) + 2, 3 * (3 * 40 + 2) + 2  # enlarged three times
    assert preview.shape[:2] == (1, 3)
    assert preview.shape[3] == grid[1]
    assert grid[0] < preview.shape[2] < grid[0] + 60
    assert 0 <= preview.min() <= preview.max() <= 1
    assert trainer.preview(scenes.__getitems__(range(2))).shape[2] == preview.shape[2] - 6 * (3 * 32 + 2)
    assert all(module.training for module in trainer._model.modules())
    for name, tensor in trainer._model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


# -- errors ----------------------------------------------------------------


@pytest.mark.parametrize("model", [{"output": "frames"}, {"output": "frame_logits"}, {"head": "reference"}])
def test_a_model_that_does_not_output_class_logits_is_an_error(model):
    with pytest.raises(
        zoo.ZooError, match="the trainer 'segmentation' needs a model that outputs class logits"
    ) as error:
        make(model=model)
    (setting, value), *_ = model.items()
    assert f"model.{setting} is '{value}'" in error.value.message
    assert error.value.hint == "Write `model.output=class_logits model.head=linear`."


class Pixelwise(zoo.Model):
    """A model of another plugin with the setting ``out_channels``."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        out_channels: int = zoo.setting(11, "classes", ge=2)

    def __init__(self, config):
        super().__init__(config)
        self.layer = torch.nn.Conv2d(1, config.out_channels, 3, padding=1)

    def forward(self, image):
        return self.layer(image)


class WithoutOutChannels(Pixelwise):
    """A model of another plugin without the setting ``out_channels``."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        classes: int = zoo.setting(11, "classes", ge=2)

    def __init__(self, config):
        zoo.Model.__init__(self, config)


def test_another_model_is_trained_that_says_how_many_classes_it_has(scenes):
    trainer = SegmentationTrainer(SegmentationTrainer.Config(learning_rate=1e-2))
    model = Pixelwise.from_settings({})
    trainer.setup(model, make().engine)
    batch = scenes.__getitems__(range(8))
    losses = [float(perform(trainer, batch)["loss"]) for _ in range(10)]
    assert losses[-1] < losses[0]
    metrics = trainer.evaluate([batch], [])
    assert 0 < metrics["pixel_accuracy"] <= 1
    assert "iou/0" in metrics


def test_a_model_without_the_setting_out_channels_is_an_error():
    trainer = SegmentationTrainer(SegmentationTrainer.Config())
    with pytest.raises(zoo.ZooError, match="needs a model with the setting 'out_channels'"):
        trainer.setup(WithoutOutChannels.from_settings({}), make().engine)


def test_a_wrong_number_of_class_weights_is_an_error_that_names_both():
    with pytest.raises(zoo.ZooError, match="has 2 values, but the model has 11 classes"):
        make(class_weights=(1.0, 2.0))


def test_an_unknown_class_index_is_an_error(scenes):
    batch = scenes.__getitems__(range(8))
    highest = int(batch["mask"].max())
    with pytest.raises(
        zoo.ZooError, match=f"a mask contains class index {highest}, but the model has {highest} classes"
    ) as error:
        make(model={"out_channels": highest}).step(batch)
    assert f"model.out_channels={highest + 1}" in error.value.hint
    make(model={"out_channels": highest}, ignore_index=highest).step(batch)


def test_an_unknown_class_index_is_an_error_at_a_later_step_and_in_evaluation(scenes):
    trainer, batch = make(), scenes.__getitems__(range(4))
    perform(trainer, batch)
    unknown = zoo.Batch(image=batch["image"], mask=torch.full_like(batch["mask"], 77))
    for function in (trainer.step, lambda batch: trainer.evaluate([batch], [])):
        with pytest.raises(zoo.ZooError, match="a mask contains class index 77, but the model has 11 classes"):
            function(unknown)


@pytest.mark.parametrize("weights", [(), (2.0, *[1.0] * 10)])
@pytest.mark.parametrize("loss", ["cross-entropy", "both"])
def test_a_batch_of_ignored_pixels_gives_finite_losses_and_parameters(scenes, loss, weights):
    trainer, batch = make(loss=loss, class_weights=weights), scenes.__getitems__(range(2))
    ignored = zoo.Batch(image=batch["image"], mask=torch.full_like(batch["mask"], 255))
    assert all(value.isfinite() for value in perform(trainer, ignored).values())
    assert all(parameter.isfinite().all() for parameter in trainer._model.parameters())


@pytest.mark.parametrize("loss", ["dice", "both"])
def test_the_dice_loss_of_a_batch_in_parts_is_refused(loss):
    trainer = SegmentationTrainer(SegmentationTrainer.Config(loss=loss))
    engine = AccelerateEngine(RunSettings(steps=1, device="cpu", grad_accumulation_steps=4))
    message = f"run.grad_accumulation_steps is 4, but trainer.loss is '{loss}', and the Dice loss is a ratio of sums"
    with pytest.raises(zoo.ZooError, match=message) as error:
        trainer.setup(UNet(UNet.Config(**SMALL)), engine)
    assert "trainer.loss=cross-entropy" in error.value.hint


def test_a_model_with_one_class_is_an_error():
    with pytest.raises(zoo.ZooError, match=r"model\.out_channels is 1"):
        make(model={"out_channels": 1})


# -- images of several sizes, and large ones ------------------------------------


def test_padded_images_are_evaluated_at_their_own_sizes(scenes):
    trainer, batch = make(model={"normalization": "image"}), scenes.__getitems__(range(4))
    padded = {name: torch.nn.functional.pad(batch[name], (0, 24, 0, 16), value=255) for name in ("image", "mask")}
    size = torch.tensor([batch["mask"].shape[1:]] * 4)
    expected = trainer.evaluate([batch], [])
    assert trainer.evaluate([zoo.Batch(**padded, size=size)], []) == pytest.approx(expected, abs=1e-3)
    assert trainer.preview(zoo.Batch(**padded, size=size)).shape[:2] == (1, 3)


def test_images_that_are_larger_than_a_tile_are_evaluated_in_tiles(scenes):
    batch = scenes.__getitems__(range(4))
    for tile, expected in (((), [(4, 1, 32, 40)]), ((32, 40), [(4, 1, 32, 40)]), ((24, 24), [(1, 1, 24, 24)] * 4 * 4)):
        trainer, seen = make(model={"tile": tile}), []
        trainer._model.encoder[0].register_forward_pre_hook(
            lambda module, given, seen=seen: seen.append(tuple(given[0].shape))
        )
        metrics = trainer.evaluate([batch], [])
        assert seen == expected
        assert 0 <= metrics["pixel_accuracy"] <= 1
        assert trainer.preview(batch).shape[:2] == (1, 3)
