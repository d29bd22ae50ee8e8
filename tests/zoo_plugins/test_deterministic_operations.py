"""No step of a bundled recipe calls an operation that CUDA does not compute deterministically."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from operations import SLOW_IF_DETERMINISTIC, as_on_an_accelerator

from zoo_core.data.seeding import seed_step
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.training.assemble import try_out

GAN = ["trainer.eval_classifier=null", "trainer.cas_classifier=null", "run.batch_size=8"]
UNET = ["model.base_channels=4", "run.batch_size=2"]
RECIPES = {
    "clsgan-mnist": [*GAN, "trainer.ada_start=0"],
    "clsgan-mnist-reference": GAN,
    "cgan-mnist": GAN,
    "lsgan-mnist": GAN,
    "gan-mnist": GAN,
    "digit-classifier-mnist": ["run.batch_size=8"],
    "unet-moving-mnist": [*UNET, "model.blocks=[1]"],
    "unet-moving-mnist-large": [*UNET, "run.precision=float32"],
    "unet-digit-scenes": UNET,
}
# The settings of recipes whose data are files, on data that are generated.
OTHER_SETTINGS = {
    "as unet-frames": [
        "unet-moving-mnist",
        "model.head=reference",
        "model.output=frames",
        "trainer.loss=0.5*mse+0.5*l1",
    ],
    "as unet-pets": ["unet-digit-scenes", "trainer.loss=both"],
    "weighted classes": ["unet-digit-scenes", "trainer.class_weights=[1,2,2,2,2,2,2,2,2,2,2]"],
    "max pooling": ["unet-digit-scenes", "model.downsample=max_pool", "model.activation=gelu"],
    "checkpointing": ["unet-digit-scenes", "model.checkpointing=true", "trainer.max_grad_norm=1"],
    "charbonnier": ["unet-moving-mnist", "trainer.loss=charbonnier", "model.blocks=[]"],
}
CASES = [pytest.param(name, overrides, id=name) for name, overrides in RECIPES.items()]
CASES += [pytest.param(name, [*UNET, *more], id=label) for label, (name, *more) in OTHER_SETTINGS.items()]


def small_loop(catalog, name, overrides):
    small = ["dataset.source=subset", "run.device=cpu", "run.workers=0", "run.steps=10"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a subset of the digits is used
        return try_out(resolve(catalog.recipe(name, *small, *overrides), catalog))


@pytest.mark.parametrize(("name", "overrides"), CASES)
def test_steps_and_evaluations_call_no_nondeterministic_operation(name, overrides):
    catalog = Catalog(())
    with catalog.active():
        loop = small_loop(catalog, name, overrides)
        trainer, batches = loop.run.trainer, iter(loop.batches)
        if hasattr(trainer, "augment_p"):
            trainer.augments = True
            trainer.augment_p.fill_(0.5)
        with as_on_an_accelerator() as recorder:
            for step in range(2):
                seed_step(0, step, 0)
                trainer.step(next(batches))
            if not name.endswith("gan-mnist") and "clsgan" not in name:
                batch = next(batches)
                trainer.evaluate([batch], [batch])
        loop.batches.close()
    assert recorder.nondeterministic == set()
    assert recorder.operations & SLOW_IF_DETERMINISTIC == set()
    assert {"mm", "convolution_backward", "addmm"} & recorder.operations  # backward passes were recorded


@pytest.mark.parametrize(
    ("call", "operation"),
    [
        (lambda x: F.grid_sample(x, torch.zeros(1, 2, 2, 2), align_corners=False), "grid_sampler_2d_backward"),
        (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), "upsample_bilinear2d_backward"),
        (lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"), "upsample_bicubic2d_backward"),
        (lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"), "reflection_pad2d_backward"),
        (lambda x: F.adaptive_avg_pool2d(x, 2), "_adaptive_avg_pool2d_backward"),
        (lambda x: F.cross_entropy(x, torch.zeros(1, 4, 4, dtype=torch.int64)), "nll_loss2d_forward"),
        (lambda x: x.median(dim=1).values, "median"),
    ],
)
def test_the_recorder_notices_operations_that_are_not_deterministic(call, operation):
    image = torch.rand(1, 3, 4, 4, requires_grad=True)
    with as_on_an_accelerator() as recorder:
        call(image).sum().backward()
    assert operation in recorder.nondeterministic
