"""A model, a trainer and a dataset that do not fit together are refused with exit code 2, and nothing is written."""

import pytest

import zoo_core as zoo

QUICK = ("run.steps=1", "run.batch_size=4", "run.device=cpu", "run.workers=0", "dataset.source=subset")


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("recipe", "words", "message"),
    [
        ("digit-classifier-mnist", ["model.name=clsgan"], "a GAN generates images from noise of shape"),
        ("digit-classifier-mnist", ["model.name=clsgan", "model.conditional=false"], "is given a tensor of shape"),
        ("digit-classifier-mnist", ["model.name=unet"], "the trainer 'classifier' needs"),
        ("digit-classifier-mnist", ["dataset.name=moving-mnist"], "the trainer reads 'image'"),
        ("digit-classifier-mnist", ["trainer.name=clsgan"], "needs a model with a generator and a discriminator"),
        ("digit-classifier-mnist", ["trainer.name=next-frame"], "the trainer 'next-frame' needs"),
        ("digit-classifier-mnist", ["trainer.name=segmentation"], "the trainer 'segmentation' needs"),
        ("clsgan-mnist-quick", ["model.name=digit-classifier"], "needs a model with a generator and a discriminator"),
        ("clsgan-mnist-quick", ["model.name=unet"], "needs a model with a generator and a discriminator"),
        ("clsgan-mnist-quick", ["trainer.name=classifier"], "a GAN generates images from noise of shape"),
        ("unet-digit-scenes", ["model.name=image-classifier"], "the trainer 'segmentation' needs"),
        ("unet-digit-scenes", ["trainer.name=classifier"], "the trainer "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_components_that_do_not_fit_are_refused_and_nothing_is_written(tmp_path, recipe, words, message):
    with pytest.raises(zoo.ZooError) as refused:
        zoo.run(recipe, *words, *QUICK, folder=tmp_path / "runs" / "one")
    assert message in refused.value.message
    assert refused.value.exit_code == 2
    assert refused.value.hint
    assert not list(tmp_path.iterdir())
