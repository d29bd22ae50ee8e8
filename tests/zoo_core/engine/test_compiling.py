"""torch.compile: once for each shape, without graph breaks, in steps only."""

import warnings

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters

from zoo_core.config.run_settings import RunSettings
from zoo_core.data.seeding import seed_step
from zoo_core.engine import engine as engine_module
from zoo_core.engine.compiling import compile_module, not_compiled, uses_own_graphs
from zoo_core.engine.engine import AccelerateEngine
from zoo_core.errors import BadSetting
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.training.assemble import try_out
from zoo_plugins.unet.upsample import upsample_twice

GAN = ["trainer.eval_classifier=null", "trainer.cas_classifier=null"]
UNET = ["model.base_channels=4", "run.batch_size=2"]


@pytest.fixture(autouse=True)
def nothing_compiled_yet():
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


def graphs():
    return counters["stats"]["unique_graphs"]


def test_each_shape_is_compiled_once_with_its_own_sizes():
    module = nn.Sequential(nn.Linear(4, 8), nn.GELU())
    compile_module(module, "default", "eager")
    for count in (64, 128, 64, 128, 32, 64):
        module(torch.randn(count, 4))
    assert graphs() == 3


def test_off_compiles_nothing():
    module = nn.Linear(4, 8)
    compile_module(module, "off")
    module(torch.randn(2, 4))
    assert module._compiled_call_impl is None


def test_evaluations_run_the_module_as_it_is_written():
    module = nn.Linear(4, 8)
    compile_module(module, "default", "eager")
    with not_compiled("default"):
        module(torch.randn(3, 4))
    assert graphs() == 0
    module(torch.randn(3, 4))
    assert graphs() == 1


@pytest.mark.parametrize(
    ("mode", "own"), [("off", False), ("default", False), ("reduce-overhead", True), ("max-autotune", False)]
)
def test_only_reduce_overhead_captures_graphs_of_its_own(mode, own):
    assert uses_own_graphs(mode) is own
    assert AccelerateEngine(RunSettings(steps=1, device="cpu", compile=mode)).uses_own_graphs is own


def test_a_boolean_is_refused_with_what_to_write():
    recipe = Catalog(()).recipe("clsgan-mnist", "run.compile=true")
    with pytest.raises(BadSetting, match=r"run\.compile is true, but should be one of off, default") as error:
        recipe.run_settings()
    assert "run.compile=default" in error.value.hint


@pytest.mark.parametrize("text", ["off", "'off'", "false"])
def test_off_can_be_written_as_a_boolean(text):
    assert Catalog(()).recipe("clsgan-mnist", f"run.compile={text}").run_settings().compile == "off"


@pytest.mark.parametrize(
    ("name", "overrides", "expected"),
    [
        ("clsgan-mnist-reference", [*GAN, "run.batch_size=8"], 3),  # the discriminator takes N and 2 N images
        ("clsgan-mnist", [*GAN, "run.batch_size=8", "trainer.ada_start=0", "trainer.ada_target=100"], 3),
        ("digit-classifier-mnist", ["run.batch_size=8", "run.precision=bfloat16"], 1),
        pytest.param("unet-moving-mnist", [*UNET, "model.blocks=[1]"], 1, marks=pytest.mark.long),
        ("unet-digit-scenes", [*UNET, "model.depth=1", "run.precision=bfloat16"], 1),
    ],
)
def test_a_bundled_recipe_is_compiled_in_its_first_step_only(name, overrides, expected, monkeypatch):
    monkeypatch.setattr(engine_module, "compile_module", lambda module, mode: compile_module(module, mode, "eager"))
    small = ["dataset.source=subset", "run.device=cpu", "run.workers=0", "run.steps=40", "run.compile=default"]
    catalog = Catalog(())
    torch.use_deterministic_algorithms(True)  # as on an accelerator
    try:
        with catalog.active(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that a subset of the digits is used
            loop = try_out(resolve(catalog.recipe(name, *small, *overrides), catalog))
            batches = iter(loop.batches)
            for step in range(18 if name == "clsgan-mnist" else 3):  # augmentation may begin after 16 steps
                seed_step(0, step, 0)
                loop.run.trainer.step(next(batches))
                assert graphs() == expected
            loop.evaluator.preview()
            assert graphs() == expected
            loop.batches.close()
    finally:
        torch.use_deterministic_algorithms(False)
    assert counters["graph_break"] == {}


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_deterministic_upsampling_has_the_same_gradient_when_compiled(memory_format):
    class Upsampling(nn.Module):
        def forward(self, tensor):
            return upsample_twice(tensor)

    image = torch.randn(2, 3, 4, 5).to(memory_format=memory_format)
    gradients, module = [], Upsampling()
    torch.use_deterministic_algorithms(True)
    try:
        for compiled in (False, True):
            if compiled:
                compile_module(module, "default", "aot_eager")
            leaf = image.detach().clone().requires_grad_()
            module(leaf).square().sum().backward()
            gradients.append(leaf.grad)
    finally:
        torch.use_deterministic_algorithms(False)
    torch.testing.assert_close(*gradients)
    assert counters["graph_break"] == {}
