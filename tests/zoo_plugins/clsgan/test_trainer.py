"""One step of the trainer against the paper's, written out; and what is around it."""

import copy

import pytest
import torch

import zoo_core as zoo
from zoo_core.config.recipe import RunSettings
from zoo_core.engine.engine import AccelerateEngine
from zoo_plugins.clsgan.model import CLSGAN
from zoo_plugins.clsgan.trainer import CLSGANTrainer


def make(steps=10, model=None, **settings):
    """A trainer that is set up, on the CPU and without a judge."""
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


def reference_step(model, of_generator, of_discriminator, image, label):
    """The training step as the issue describes it: two separate passes of the discriminator, plain losses."""
    generated = model.generator(torch.randn(len(image), 96), label)
    l1_weight = (generated - image).abs().mean()
    generator_loss = 0.05 * l1_weight + ((model.discriminator(generated, label) - 1) ** 2).mean()
    of_generator.zero_grad()
    generator_loss.backward()
    of_generator.step()

    real_loss = ((model.discriminator(image, label) - 1) ** 2).mean()
    fake_loss = (model.discriminator(generated.detach(), label) ** 2).mean()
    of_discriminator.zero_grad()
    (real_loss + fake_loss).backward()
    of_discriminator.step()
    return {
        "l1_loss": l1_weight.item(),
        "generator_loss": generator_loss.item(),
        "discriminator_loss": real_loss.item() + fake_loss.item(),
        "real_loss": real_loss.item(),
        "fake_loss": fake_loss.item(),
    }


def test_steps_with_the_default_settings_are_those_of_the_reference():
    trainer = make()
    model = copy.deepcopy(trainer._model)
    optimizers = [
        torch.optim.Adam(network.parameters(), lr=3e-4, betas=(0.4, 0.8), weight_decay=1e-4, fused=False)
        for network in (model.generator, model.discriminator)
    ]
    for step in range(3):
        one = batch(seed=step)
        torch.manual_seed(step)
        metrics = trainer.step(one)
        torch.manual_seed(step)
        expected = reference_step(model, *optimizers, one["image"], one["label"])
        assert {name: value.item() for name, value in metrics.items()} == pytest.approx(expected, abs=1e-6)
        if step == 0:  # later, Adam's division magnifies what rounding did to the smallest gradients
            for name, tensor in trainer._model.state_dict().items():
                torch.testing.assert_close(tensor, model.state_dict()[name], rtol=0, atol=1e-6, msg=name)


def test_a_label_that_the_model_does_not_have_is_refused_at_the_first_step():
    with pytest.raises(zoo.ZooError, match="a picture has label 3, but the model has 3 classes") as error:
        make(model={"num_classes": 3}).step(batch())
    assert error.value.hint == "Write `model.num_classes=4` or more."


def test_cross_entropy_is_the_non_saturating_loss():
    for sigmoid in (True, False):
        trainer = make(loss="cross-entropy", l1_weight=0.0, model={"sigmoid": sigmoid})
        one, model = batch(), copy.deepcopy(trainer._model)
        torch.manual_seed(5)
        metrics = trainer.step(one)
        torch.manual_seed(5)
        score = model.discriminator(model.generator(torch.randn(16, 96), one["label"]), one["label"])
        chance = score if sigmoid else torch.sigmoid(score)
        assert float(metrics["generator_loss"]) == pytest.approx(-chance.log().mean().item(), abs=1e-5)
        assert "l1_loss" not in metrics


@pytest.mark.parametrize("frozen", ["generator", "discriminator"])
def test_each_network_learns_from_its_own_loss_alone(frozen):
    trainer, free = make(), {"generator": "discriminator", "discriminator": "generator"}[frozen]
    untouched = copy.deepcopy(getattr(trainer._model, frozen))
    before = copy.deepcopy(getattr(trainer._model, free))
    for group in getattr(trainer, f"{frozen}_optimizer").param_groups:
        group["lr"] = 0.0
    trainer.step(batch())
    for old, new in zip(untouched.parameters(), getattr(trainer._model, frozen).parameters(), strict=True):
        assert torch.equal(old, new)
    assert any(
        not torch.equal(old, new)
        for old, new in zip(before.parameters(), getattr(trainer._model, free).parameters(), strict=True)
    )


def test_no_gradient_of_one_networks_step_reaches_the_other():
    trainer = make()
    model, one = copy.deepcopy(trainer._model), batch()
    torch.manual_seed(5)
    trainer.step(one)
    torch.manual_seed(5)
    fake = model.generator(torch.randn(16, 96), one["label"])
    loss = 0.05 * (fake - one["image"]).abs().mean() + (model.discriminator(fake, one["label"]) - 1).square().mean()
    expected = torch.autograd.grad(loss, list(model.generator.parameters()))
    for parameter, gradient in zip(trainer._model.generator.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-7)


def test_step_sizes_stay_and_then_fall_to_zero():
    trainer = make(steps=10, lr_decay_start=0.5, generator_learning_rate=2e-4, discriminator_learning_rate=4e-4)
    seen = []
    for _ in range(10):
        seen.append([optimizer.param_groups[0]["lr"] for optimizer in optimizers_of(trainer)])
        trainer.step(batch(8))
    share = [1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2]
    assert seen == [pytest.approx([2e-4 * part, 4e-4 * part]) for part in share]
    assert [optimizer.param_groups[0]["lr"] for optimizer in optimizers_of(trainer)] == [0, 0]


def optimizers_of(trainer):
    return trainer.generator_optimizer, trainer.discriminator_optimizer


def test_a_run_of_no_steps_has_a_schedule_too():
    assert make(steps=0, lr_decay_start=0.5).generator_schedule.get_last_lr() == [3e-4]


def test_what_is_published_is_the_average_of_the_generators_weights():
    trainer = make(ema_decay=0.1)
    expected = copy.deepcopy(trainer._model.generator.layers[0].weight.detach())
    for step in range(4):
        trainer.step(batch(seed=step))
        current = trainer._model.generator.layers[0].weight.detach()
        expected = current.clone() if step == 0 else 0.1 * expected + 0.9 * current
    assert not torch.allclose(current, expected)
    trainer.finalize()
    torch.testing.assert_close(trainer._model.generator.layers[0].weight.detach(), expected)


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_a_preview_shows_real_beside_generated_and_leaves_the_training_as_it_was(ema_decay):
    trainer, one = make(ema_decay=ema_decay), batch()
    trainer.step(one)
    before = copy.deepcopy(trainer._model.state_dict())
    pictures = trainer.preview(one)
    assert pictures.shape == (16, 1, 28, 56)
    assert torch.equal(pictures[..., :28], one["image"])
    assert 0 <= pictures.min() <= pictures.max() <= 1
    assert not pictures.requires_grad
    assert all(module.training for module in trainer._model.modules())
    for name, tensor in trainer._model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_without_labels_a_batch_needs_none():
    trainer = make(model={"conditional": False})
    image = batch()["image"]
    assert trainer.step(zoo.Batch(image=image)).keys() >= {"generator_loss", "discriminator_loss"}
    assert trainer.preview(zoo.Batch(image=image)).shape == (16, 1, 28, 56)


def test_without_a_judge_nothing_is_evaluated():
    assert make().evaluate([batch()], [batch()]) == {}


def test_training_on_one_batch_brings_the_generated_pictures_nearer_to_it():
    trainer = make(steps=60, l1_weight=1.0)
    one = batch()
    losses = [float(trainer.step(one)["l1_loss"]) for _ in range(60)]
    assert sum(losses[-5:]) / 5 < losses[0] - 0.005
