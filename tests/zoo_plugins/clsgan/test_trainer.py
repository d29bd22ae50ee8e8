"""The trainer's step against a plain implementation; schedules, averaged weights, preview and evaluation."""

import copy

import pytest
import torch
from safetensors.torch import load_file

import zoo_core as zoo
from tests.helpers.steps import Weights, perform
from zoo_core.cli import _exit_code
from zoo_core.config.run_settings import RunSettings
from zoo_core.engine.engine import AccelerateEngine
from zoo_plugins.clsgan.model import CLSGAN
from zoo_plugins.clsgan.trainer import CLSGANTrainer


def make(steps=10, model=None, **settings):
    """A trainer after setup, on the CPU and without evaluation."""
    torch.manual_seed(0)
    engine = AccelerateEngine(RunSettings(steps=steps, device="cpu"))
    engine.total_steps = steps
    trainer = CLSGANTrainer(CLSGANTrainer.Config(eval_classifier=None, **settings))
    trainer.setup(CLSGAN(CLSGAN.Config(**(model or {}))), engine)
    return trainer


def batch(count=16, seed=1):
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(count, 1, 28, 28, generator=generator)
    return zoo.Batch(image=image, label=torch.arange(count) // 4 % 10)


def reference_step(model, generator_optimizer, discriminator_optimizer, image, label):
    """The training step with separate passes of the discriminator over real and generated images."""
    generated = model.generator(torch.randn(len(image), 96), label)
    l1_loss = (generated - image).abs().mean()
    generator_loss = 0.05 * l1_loss + ((model.discriminator(generated, label) - 1) ** 2).mean()
    generator_optimizer.zero_grad()
    generator_loss.backward()
    generator_optimizer.step()

    real_loss = ((model.discriminator(image, label) - 1) ** 2).mean()
    fake_loss = (model.discriminator(generated.detach(), label) ** 2).mean()
    discriminator_optimizer.zero_grad()
    (real_loss + fake_loss).backward()
    discriminator_optimizer.step()
    return {
        "l1_loss": l1_loss.item(),
        "generator_loss": generator_loss.item(),
        "discriminator_loss": real_loss.item() + fake_loss.item(),
        "real_loss": real_loss.item(),
        "fake_loss": fake_loss.item(),
    }


def test_steps_with_the_default_settings_equal_the_reference():
    trainer = make()
    model = copy.deepcopy(trainer._model)
    optimizers = [
        torch.optim.Adam(network.parameters(), lr=3e-4, betas=(0.4, 0.8), weight_decay=1e-4, fused=False)
        for network in (model.generator, model.discriminator)
    ]
    for step in range(3):
        one = batch(seed=step)
        torch.manual_seed(step)
        metrics = perform(trainer, one)
        torch.manual_seed(step)
        expected = reference_step(model, *optimizers, one["image"], one["label"])
        assert {name: value.item() for name, value in metrics.items()} == pytest.approx(expected, abs=1e-6)
        if step == 0:  # later steps amplify rounding errors of small gradients, since Adam divides by their magnitude
            for name, tensor in trainer._model.state_dict().items():
                torch.testing.assert_close(tensor, model.state_dict()[name], rtol=0, atol=1e-6, msg=name)


def test_an_unknown_label_is_an_error_at_the_first_step():
    with pytest.raises(zoo.ZooError, match="an image has label 3, but the model has 3 classes") as error:
        make(model={"num_classes": 3}).step(batch())
    assert error.value.hint == "Write `model.num_classes=4` or more."


def test_cross_entropy_is_the_non_saturating_loss():
    for sigmoid in (True, False):
        trainer = make(loss="cross-entropy", l1_weight=0.0, model={"sigmoid": sigmoid})
        one, model = batch(), copy.deepcopy(trainer._model)
        torch.manual_seed(5)
        metrics = perform(trainer, one)
        torch.manual_seed(5)
        score = model.discriminator(model.generator(torch.randn(16, 96), one["label"]), one["label"])
        probability = score if sigmoid else torch.sigmoid(score)
        assert float(metrics["generator_loss"]) == pytest.approx(-probability.log().mean().item(), abs=1e-5)
        assert "l1_loss" not in metrics


@pytest.mark.parametrize("frozen", ["generator", "discriminator"])
def test_each_network_is_updated_by_its_own_optimizer_only(frozen):
    trainer, free = make(), {"generator": "discriminator", "discriminator": "generator"}[frozen]
    untouched = copy.deepcopy(getattr(trainer._model, frozen))
    before = copy.deepcopy(getattr(trainer._model, free))
    for group in getattr(trainer, f"{frozen}_optimizer").param_groups:
        group["lr"] = 0.0
    perform(trainer, batch())
    for old, new in zip(untouched.parameters(), getattr(trainer._model, frozen).parameters(), strict=True):
        assert torch.equal(old, new)
    assert any(
        not torch.equal(old, new)
        for old, new in zip(before.parameters(), getattr(trainer._model, free).parameters(), strict=True)
    )


def test_the_discriminators_loss_adds_nothing_to_the_generators_gradients():
    trainer = make()
    model, one = copy.deepcopy(trainer._model), batch()
    torch.manual_seed(5)
    perform(trainer, one)
    torch.manual_seed(5)
    fake = model.generator(torch.randn(16, 96), one["label"])
    loss = 0.05 * (fake - one["image"]).abs().mean() + (model.discriminator(fake, one["label"]) - 1).square().mean()
    expected = torch.autograd.grad(loss, list(model.generator.parameters()))
    for parameter, gradient in zip(trainer._model.generator.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-7)


def test_learning_rates_are_constant_and_then_decay_to_zero():
    trainer = make(steps=10, lr_decay_start=0.5, generator_learning_rate=2e-4, discriminator_learning_rate=4e-4)
    seen = []
    for _ in range(10):
        seen.append([optimizer.param_groups[0]["lr"] for optimizer in optimizers_of(trainer)])
        perform(trainer, batch(8))
    fractions = [1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2]
    assert seen == [pytest.approx([2e-4 * fraction, 4e-4 * fraction]) for fraction in fractions]
    assert [optimizer.param_groups[0]["lr"] for optimizer in optimizers_of(trainer)] == [0, 0]


def optimizers_of(trainer):
    return trainer.generator_optimizer, trainer.discriminator_optimizer


def test_a_run_of_zero_steps_has_a_schedule():
    assert make(steps=0, lr_decay_start=0.5).generator_schedule.get_last_lr() == [3e-4]


SMALL_RUN = (
    "dataset.source=subset", "trainer.eval_classifier=null", "run.steps=6", "run.batch_size=8", "run.device=cpu",
    "run.preview_every=2",
)  # fmt: skip


def test_the_generators_parameters_are_averaged_and_all_else_is_published_as_it_was_trained(tmp_path):
    weights = Weights()
    zoo.run("clsgan-mnist", *SMALL_RUN, "run.ema_decay=0.15", folder=tmp_path / "run", callbacks=[weights])
    published = load_file(tmp_path / "run" / "model.safetensors")
    parameters = {name for name, _ in zoo.load(tmp_path / "run" / "model.safetensors").named_parameters()}
    averaged = {name for name in parameters if name.startswith("generator.")}
    for name, tensor in published.items():
        expected = weights.steps[-1][name]
        if name in averaged:
            expected = weights.steps[0][name]
            for number, trained in enumerate(weights.steps[1:], 2):
                decay = min(0.15, number / (9 + number))
                expected = decay * expected + (1 - decay) * trained[name]
            assert not torch.equal(tensor, weights.steps[-1][name]), name
        torch.testing.assert_close(tensor, expected, rtol=1e-5, atol=1e-7)
    others = published.keys() - averaged
    assert all(torch.equal(published[name], weights.steps[-1][name]) for name in others)


def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(stops_at, tmp_path):
    zoo.run("clsgan-mnist", *SMALL_RUN, folder=tmp_path / "uninterrupted")
    zoo.run("clsgan-mnist", *SMALL_RUN, folder=tmp_path / "stopped", callbacks=[stops_at(3)])
    assert _exit_code(["run", "--resume", str(tmp_path / "stopped")]) == 0
    # The header contains the recipe and the metrics, so they are compared, too.
    files = [tmp_path / run / "model.safetensors" for run in ("uninterrupted", "stopped")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_preview_shows_real_next_to_generated_images_and_changes_no_state():
    trainer, one = make(), batch()
    perform(trainer, one)
    before = copy.deepcopy(trainer._model.state_dict())
    preview = trainer.preview(one)
    assert preview.shape == (16, 1, 28, 56)
    assert torch.equal(preview[..., :28], one["image"])
    assert 0 <= preview.min() <= preview.max() <= 1
    assert not preview.requires_grad
    assert all(module.training for module in trainer._model.modules())
    for name, tensor in trainer._model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_an_unconditional_model_needs_no_labels_in_the_batch():
    trainer = make(model={"conditional": False})
    image = batch()["image"]
    assert perform(trainer, zoo.Batch(image=image)).keys() >= {"generator_loss", "discriminator_loss"}
    assert trainer.preview(zoo.Batch(image=image)).shape == (16, 1, 28, 56)


def test_color_images_of_any_size_are_trained_on_and_shown():
    trainer = make(model={"height": 32, "width": 48, "channels": 3, "num_classes": 3}, ada_target=10.0, ada_start=0.0)
    one = zoo.Batch(image=torch.rand(8, 3, 32, 48), label=torch.arange(8) // 4)
    for _ in range(18):
        perform(trainer, one)
    assert trainer.augments
    assert trainer.preview(one).shape == (8, 3, 32, 96)


def test_a_model_of_another_size_than_the_images_is_an_error_at_the_first_step():
    with pytest.raises(
        zoo.BadSetting, match=r"the images are \(3, 32, 48\), but the model generates \(1, 28, 28\)"
    ) as error:
        make().step(zoo.Batch(image=torch.rand(8, 3, 32, 48), label=torch.arange(8)))
    assert error.value.hint == "Write `model.channels=3 model.height=32 model.width=48`."


def test_a_conditional_model_refuses_images_without_labels():
    with pytest.raises(zoo.BadSetting, match="the model is conditional, but the dataset has no labels") as error:
        make().step(zoo.Batch(image=batch()["image"]))
    assert error.value.hint == "Write `model.conditional=false trainer.same_label_group_size=1`."


def test_without_an_evaluation_classifier_there_are_no_metrics():
    assert make().evaluate([batch()], [batch()]) == {}


def test_training_on_one_batch_reduces_the_l1_loss():
    trainer = make(steps=60, l1_weight=1.0)
    one = batch()
    losses = [float(perform(trainer, one)["l1_loss"]) for _ in range(60)]
    assert sum(losses[-5:]) / 5 < losses[0] - 0.005


def losses_of_parts(ada_target):
    """The discriminator's losses on the real images of both parts of the batch of step 16, and the trainer."""
    torch.manual_seed(0)
    engine = AccelerateEngine(RunSettings(steps=20, device="cpu", batch_size=16, grad_accumulation_steps=2))
    engine.total_steps = 20
    config = CLSGANTrainer.Config(eval_classifier=None, ada_target=ada_target, ada_start=0.0)
    trainer = CLSGANTrainer(config)
    trainer.setup(CLSGAN(CLSGAN.Config()), engine)
    for step in range(16):
        losses = [float(trainer.step(part)["real_loss"]) for part in engine.in_parts(batch(seed=step))]
        trainer.after_step()
    return losses, trainer


def test_the_augmentation_is_adapted_to_the_mean_loss_of_all_parts():
    losses, _ = losses_of_parts(0.0)
    assert losses[0] != losses[1]
    mean = sum(losses) / 2
    _, trainer = losses_of_parts((mean + losses[1]) / 2)  # between the mean and the loss of the last part
    assert trainer.augment_p == (0.01 if mean < losses[1] else 0.0)
