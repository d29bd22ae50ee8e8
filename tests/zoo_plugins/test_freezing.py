"""The bundled trainers leave frozen parts of their networks as they are, and train the rest."""

import pytest

from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.training.assemble import try_out
from zoo_core.weights.values import same_bits

SMALL = ("dataset.source=subset", "run.device=cpu", "run.preview_every=0", "run.checkpoint_every=1", "run.steps=3")
UNET = ("model.base_channels=4", "run.batch_size=2", "trainer.max_grad_norm=1", "run.ema_decay=0.9")
GAN = ("trainer.eval_classifier=null", "trainer.weight_decay=0.5", "run.ema_decay=0.9", "run.batch_size=8")


@pytest.mark.parametrize(
    ("recipe", "words", "frozen"),
    [
        ("digit-classifier-mnist", ("trainer.weight_decay=0.5", "run.grad_accumulation_steps=2"), "layers."),
        ("clsgan-mnist", GAN, "discriminator.layers.0."),
        ("clsgan-mnist", GAN, "discriminator."),
        ("clsgan-mnist-reference", GAN, "generator.layers.0."),
        ("clsgan-mnist-reference", GAN, "generator."),
        ("unet-digit-scenes", (*UNET, "trainer.loss=both"), "encoder."),
        ("unet-moving-mnist", UNET, "encoder."),
    ],
)
def test_frozen_parts_stay_bit_for_bit_and_the_others_are_trained(tmp_path, recipe, words, frozen):
    here = Catalog()
    loop = try_out(resolve(here.recipe(recipe, *SMALL, *words, f"run.freeze=[{frozen}*]"), here), tmp_path / "run")
    before = {name: one.clone() for name, one in loop.run.model.state_dict().items()}
    loop.train()
    loop.finalize()  # assigns the moving average
    same = {name for name, one in loop.run.model.state_dict().items() if same_bits(one, before[name])}
    assert {name for name in before if name.startswith(frozen)} <= same
    assert {name for name, _ in loop.run.model.named_parameters() if not name.startswith(frozen)}.isdisjoint(same)
