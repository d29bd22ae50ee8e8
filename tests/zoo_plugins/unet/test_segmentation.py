"""The trainer of segmentation, on scenes of the shipped digits."""

import copy
from dataclasses import dataclass

import pytest
import torch

import zoo_core as zoo
from zoo_core.cli import _exit_code
from zoo_core.config.recipe import RunSettings
from zoo_core.engine.engine import AccelerateEngine
from zoo_plugins.unet.model import UNet
from zoo_plugins.unet.segmentation import SegmentationTrainer, soft_dice_loss

SMALL = {
    "in_channels": 1, "out_channels": 11, "base_channels": 4, "depth": 2, "head": "linear", "output": "class_logits",
}  # fmt: skip
WEIGHTS = (0.2, *[1.0] * 9, 3.0)


def make(steps=10, model=None, **settings):
    """A trainer that is set up, on the CPU."""
    torch.manual_seed(0)
    engine = AccelerateEngine(RunSettings(steps=steps, device="cpu"))
    engine.total_steps = steps
    trainer = SegmentationTrainer(SegmentationTrainer.Config(**settings))
    trainer.setup(UNet(UNet.Config(**(SMALL | (model or {})))), engine)
    return trainer


@pytest.fixture(scope="module")
def scenes():
    return zoo.build(
        "digit-scenes", {"source": "subset", "height": 32, "width": 40, "digits": 2}, kind="dataset"
    ).train()


def partly_ignored(batch):
    mask = batch["mask"].clone()
    mask[:, :9] = 255
    return zoo.Batch(image=batch["image"], mask=mask)


def plain_cross_entropy(score, mask, weights=None, ignored=255):
    """Of each pixel, weighted by its class; a weighted mean."""
    share = score.detach().double().softmax(dim=1)
    total = weight = 0.0
    for n, y, x in (mask != ignored).nonzero().tolist():
        one = 1.0 if weights is None else weights[mask[n, y, x]]
        total -= one * float(share[n, mask[n, y, x], y, x].log())
        weight += one
    return total / weight


# -- a step ------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["cross-entropy", "dice", "both"])
def test_the_loss_falls_within_forty_steps(scenes, loss):
    trainer = make(40, {"base_channels": 8}, loss=loss, learning_rate=1e-2)
    losses = []
    for step in range(40):
        metrics = trainer.step(scenes.__getitems__(range(8 * (step % 3), 8 * (step % 3) + 8)))
        assert not metrics["loss"].requires_grad
        losses.append(float(metrics["loss"]))
    assert sum(losses[-5:]) < 0.95 * sum(losses[:5])


def test_training_on_a_few_scenes_finds_their_classes(scenes):
    trainer, batch = make(60, {"base_channels": 8}, learning_rate=1e-2, loss="both"), scenes.__getitems__(range(4))
    before = trainer.evaluate([batch], [])
    for _ in range(60):
        trainer.step(batch)
    after = trainer.evaluate([batch], [])
    assert after["pixel_accuracy"] > 0.9
    assert after["mean_iou"] > before["mean_iou"] + 0.1


@pytest.mark.parametrize("weights", [(), WEIGHTS])
def test_a_step_minimises_the_weighted_cross_entropy_of_pixels_that_are_not_ignored(scenes, weights):
    trainer, batch = make(class_weights=weights), partly_ignored(scenes.__getitems__(range(2)))
    score = copy.deepcopy(trainer._model).train()(batch["image"])
    metrics = trainer.step(batch)
    assert list(metrics) == ["loss"]
    assert float(metrics["loss"]) == pytest.approx(plain_cross_entropy(score, batch["mask"], weights or None), rel=1e-4)


@pytest.mark.parametrize("ignored", [255, 0])
def test_both_losses_are_their_sum_and_each_is_reported(scenes, ignored):
    trainer, batch = make(loss="both", ignore_index=ignored), scenes.__getitems__(range(2))
    score = copy.deepcopy(trainer._model).train()(batch["image"]).detach()
    dice = float(soft_dice_loss(score, batch["mask"], ignored))
    entropy = plain_cross_entropy(score, batch["mask"], ignored=ignored)
    metrics = {name: float(value) for name, value in trainer.step(batch).items()}
    assert metrics == pytest.approx({"loss": entropy + dice, "cross_entropy": entropy, "dice_loss": dice}, rel=1e-4)


def test_what_an_ignored_pixel_shows_is_not_measured(scenes):
    trainer, batch = make(), partly_ignored(scenes.__getitems__(range(4)))
    right = trainer._model.eval()(batch["image"]).argmax(dim=1)
    trainer._model.train()
    wrong_where_ignored = zoo.Batch(image=batch["image"], mask=right.where(batch["mask"] != 255, 255))
    assert trainer.evaluate([wrong_where_ignored], [])["pixel_accuracy"] == 1


# -- the run -----------------------------------------------------------------


def test_what_is_published_and_measured_are_the_averaged_weights(scenes):
    trainer = make(ema_decay=0.8, learning_rate=1e-2)
    for number in range(6):
        trainer.step(scenes.__getitems__(range(4 * number, 4 * number + 4)))
    trained = copy.deepcopy(trainer._model.state_dict())
    average = copy.deepcopy(trainer.ema.module.state_dict())
    assert any(not torch.equal(tensor, average[name]) for name, tensor in trained.items())
    measured = trainer.evaluate([scenes.__getitems__(range(4))], [])
    trainer.finalize()
    for name, tensor in trainer._model.state_dict().items():
        assert torch.equal(tensor, average[name]), name
    assert trainer.evaluate([scenes.__getitems__(range(4))], []) == measured


@pytest.mark.parametrize("ema_decay", ["0", "0.9"])
def test_a_run_that_was_stopped_and_resumed_is_bit_for_bit_the_run_that_was_not(stops_at, tmp_path, ema_decay):
    words = [
        "dataset.source=subset", "dataset.height=32", "dataset.width=32", "dataset.epoch_size=20",
        "dataset.test_scenes=4",
        "dataset.validation_scenes=4", "model.base_channels=4", "model.depth=2", "trainer.loss=both", "run.steps=8",
        f"trainer.ema_decay={ema_decay}", "run.batch_size=4", "run.preview_every=4", "run.device=cpu",
        "run.precision=float32",
    ]  # fmt: skip
    zoo.run("unet-digit-scenes", *words, folder=tmp_path / "whole")
    zoo.run("unet-digit-scenes", *words, folder=tmp_path / "stopped", callbacks=[stops_at(3)])
    assert _exit_code(["run", "--resume", str(tmp_path / "stopped")]) == 0
    # A header holds the recipe and the figures, so equal bytes say that all of it is equal.
    files = [tmp_path / run / "model.safetensors" for run in ("whole", "stopped")]
    assert files[0].read_bytes() == files[1].read_bytes()


# -- evaluation and preview --------------------------------------------------


def test_figures_are_of_all_pixels_of_all_batches_but_the_ignored_ones(scenes):
    trainer = make(model={"class_names": ("ground", *"0123456789")})
    batches = [partly_ignored(scenes.__getitems__(range(3))), scenes.__getitems__(range(3, 5))]
    for batch in batches:
        trainer.step(batch)
    metrics = trainer.evaluate(batches, [])
    model = copy.deepcopy(trainer._model).eval()
    found = torch.cat([model(batch["image"]).argmax(dim=1).flatten() for batch in batches])
    true = torch.cat([batch["mask"].flatten() for batch in batches])
    found, true = found[true != 255], true[true != 255]
    assert metrics["pixel_accuracy"] == pytest.approx(float((found == true).float().mean()))
    ious = {}
    for number, name in enumerate(["ground", *"0123456789"]):
        both, either = (
            int(((found == number) & (true == number)).sum()),
            int(((found == number) | (true == number)).sum()),
        )
        if either:
            ious[f"iou/{name}"] = both / either
    assert {name: value for name, value in metrics.items() if name.startswith("iou/")} == pytest.approx(ious)
    assert metrics["mean_iou"] == pytest.approx(sum(ious.values()) / len(ious))
    assert all(module.training for module in trainer._model.modules())


def test_a_preview_is_one_picture_of_at_most_eight_rows_with_a_legend(scenes):
    trainer, batch = make(), scenes.__getitems__(range(10))
    trainer.step(batch)
    before = copy.deepcopy(trainer._model.state_dict())
    picture = trainer.preview(partly_ignored(batch))
    grid = 8 * (3 * 32 + 2) + 2, 3 * (3 * 40 + 2) + 2  # enlarged three times
    assert picture.shape[:2] == (1, 3)
    assert picture.shape[3] == grid[1]
    assert grid[0] < picture.shape[2] < grid[0] + 60
    assert 0 <= picture.min() <= picture.max() <= 1
    assert trainer.preview(scenes.__getitems__(range(2))).shape[2] == picture.shape[2] - 6 * (3 * 32 + 2)
    assert all(module.training for module in trainer._model.modules())
    for name, tensor in trainer._model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


# -- refusals ----------------------------------------------------------------


@pytest.mark.parametrize("model", [{"output": "frames"}, {"output": "frame_logits"}, {"head": "reference"}])
def test_a_model_that_gives_no_logits_of_classes_is_refused(model):
    with pytest.raises(zoo.ZooError, match="the trainer 'segmentation' needs logits of classes") as error:
        make(model=model)
    (setting, value), *_ = model.items()
    assert f"model.{setting} is '{value}'" in error.value.message
    assert error.value.hint == "Write `model.output=class_logits model.head=linear`."


class Pixelwise(zoo.Model):
    """A stranger's model: no more than the number of its classes is known of it."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        out_channels: int = zoo.setting(11, "classes", ge=2)

    def __init__(self, config):
        super().__init__(config)
        self.layer = torch.nn.Conv2d(1, config.out_channels, 3, padding=1)

    def forward(self, image):
        return self.layer(image)


class Nameless(Pixelwise):
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
    losses = [float(trainer.step(batch)["loss"]) for _ in range(10)]
    assert losses[-1] < losses[0]
    metrics = trainer.evaluate([batch], [])
    assert 0 < metrics["pixel_accuracy"] <= 1
    assert "iou/0" in metrics


def test_a_model_that_does_not_say_how_many_classes_it_has_is_refused():
    trainer = SegmentationTrainer(SegmentationTrainer.Config())
    with pytest.raises(zoo.ZooError, match="has no setting 'out_channels'"):
        trainer.setup(Nameless.from_settings({}), make().engine)


def test_a_wrong_number_of_class_weights_is_an_error_that_names_both_numbers():
    with pytest.raises(zoo.ZooError, match="has 2 numbers, but the model has 11 classes"):
        make(class_weights=(1.0, 2.0))


def test_a_mask_with_a_class_that_the_model_does_not_have_is_refused(scenes):
    batch = scenes.__getitems__(range(8))
    highest = int(batch["mask"].max())
    with pytest.raises(zoo.ZooError, match=f"a mask has class {highest}, but the model has {highest}") as error:
        make(model={"out_channels": highest}).step(batch)
    assert f"model.out_channels={highest + 1}" in error.value.hint
    make(model={"out_channels": highest}, ignore_index=highest).step(batch)


def test_so_is_one_that_comes_later_in_training_or_evaluation(scenes):
    trainer, batch = make(), scenes.__getitems__(range(4))
    trainer.step(batch)
    unknown = zoo.Batch(image=batch["image"], mask=torch.full_like(batch["mask"], 77))
    for given in (trainer.step, lambda batch: trainer.evaluate([batch], [])):
        with pytest.raises(zoo.ZooError, match="a mask has class 77, but the model has 11"):
            given(unknown)


@pytest.mark.parametrize("weights", [(), (2.0, *[1.0] * 10)])
@pytest.mark.parametrize("loss", ["cross-entropy", "both"])
def test_a_batch_of_nothing_but_ignored_pixels_teaches_nothing_and_does_no_harm(scenes, loss, weights):
    trainer, batch = make(loss=loss, class_weights=weights), scenes.__getitems__(range(2))
    nothing = zoo.Batch(image=batch["image"], mask=torch.full_like(batch["mask"], 255))
    assert all(value.isfinite() for value in trainer.step(nothing).values())
    assert all(parameter.isfinite().all() for parameter in trainer._model.parameters())


def test_a_model_of_one_class_is_refused():
    with pytest.raises(zoo.ZooError, match=r"model\.out_channels is 1"):
        make(model={"out_channels": 1})
