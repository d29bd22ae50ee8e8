"""The device, its precision, and what a trainer asks of them."""

import shutil

import pytest
import torch
from torch import nn

from zoo_core.config.recipe import RunSettings
from zoo_core.dataset import Batch
from zoo_core.engine.devices import find_device
from zoo_core.engine.engine import AccelerateEngine
from zoo_core.errors import BadSetting


def engine(**settings):
    return AccelerateEngine(RunSettings(steps=1, **{"device": "cpu", **settings}))


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 1))


def test_auto_is_the_accelerator_that_is_there_or_else_the_cpu():
    there = torch.accelerator.current_accelerator(check_available=True)
    assert find_device("auto") == (there or torch.device("cpu"))
    assert find_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:99", "mps:7", "meta", "gpu", "", "cpu:1"])
def test_a_device_that_is_not_there_is_the_users_mistake(name):
    with pytest.raises(BadSetting, match=f"run.device is '{name}', but this machine has cpu") as error:
        engine(device=name)
    assert "--device cpu" in error.value.hint


def test_half_precision_without_an_accelerator_is_the_users_mistake():
    with pytest.raises(BadSetting, match=r"run\.precision is 'float16'"):
        engine(precision="float16")


def test_one_process_is_the_main_one_and_gathers_what_it_has():
    one = engine()
    assert (one.is_rank_zero, one.rank, one.world, one.device) == (True, 0, 1, torch.device("cpu"))
    assert torch.equal(one.gather(torch.arange(3)), torch.arange(3))
    assert torch.equal(one.sum(torch.arange(3)), torch.arange(3))
    assert (
        one.process_group.broadcast_first("stop"),
        one.process_group.broadcast_first(""),
        one.process_group.all_equal(3),
    ) == ("stop", "", True)


def test_threads_are_set_where_the_recipe_says_so():
    before = torch.get_num_threads()
    try:
        engine(threads=before + 1)
        assert torch.get_num_threads() == before + 1
        engine()
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_prepared_in_full_precision_a_module_computes_what_it_did():
    module, points = network(), torch.randn(4, 8)
    expected = module(points)
    (prepared,) = engine().prepare(module)
    assert torch.equal(prepared(points), expected)


def test_prepared_in_bfloat16_products_are_short_and_results_and_weights_are_not():
    module, points = network(), torch.randn(4, 8)
    full, inside = module(points), []
    module[0].register_forward_hook(lambda layer, inputs, output: inside.append(output.dtype))
    one = engine(precision="bfloat16")
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    prepared, optimizer = one.prepare(module, optimizer)
    short = prepared(points)

    assert inside == [torch.bfloat16]
    assert short.dtype == torch.float32
    assert not torch.equal(short, full)
    torch.testing.assert_close(short, full, rtol=0.05, atol=0.02)
    before = module[0].weight.detach().clone()
    one.backward(short.square().mean())
    optimizer.step()
    assert module[0].weight.dtype == module[0].weight.grad.dtype == torch.float32
    assert not torch.equal(module[0].weight, before)


def test_a_second_run_in_the_process_may_have_another_precision():
    for precision, expected in [("bfloat16", torch.bfloat16), ("float32", torch.float32), ("bfloat16", torch.bfloat16)]:
        module, inside = network(), []
        module[0].register_forward_hook(lambda layer, inputs, output, inside=inside: inside.append(output.dtype))
        (prepared,) = engine(precision=precision).prepare(module)
        prepared(torch.randn(2, 8))
        assert inside == [expected]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_unwrapping_gives_the_module_that_was_prepared(precision):
    module, one = network(), engine(precision=precision)
    names = list(module.state_dict())
    (prepared,) = one.prepare(module)
    assert one.unwrap(prepared) is module
    assert list(module.state_dict()) == names


def test_clipping_scales_the_gradients_and_gives_their_norm_before():
    module, one = network(), engine()
    one.backward(100 * module(torch.randn(4, 8)).sum())
    before = torch.cat([parameter.grad.flatten() for parameter in module.parameters()])
    norm = one.clip(module, 0.5)
    after = torch.cat([parameter.grad.flatten() for parameter in module.parameters()])
    assert float(norm) == pytest.approx(float(before.norm()))
    assert float(after.norm()) == pytest.approx(0.5, rel=1e-4)
    torch.testing.assert_close(after, before * 0.5 / norm)


def test_backward_with_inputs_leaves_all_other_gradients_alone():
    module, one = network(), engine()
    one.backward(module(torch.randn(4, 8)).sum(), inputs=module[0].parameters())
    assert module[0].weight.grad.abs().sum() > 0
    assert module[2].weight.grad is None


def test_a_batch_on_the_device_is_a_batch():
    batch = engine().to_device({"image": torch.zeros(2)})
    assert type(batch) is Batch
    with pytest.raises(BadSetting, match="the trainer reads 'label'"):
        batch["label"]


def test_denormals_are_flushed_in_a_run_and_kept_outside_of_it():
    if not torch.set_flush_denormal(False):
        pytest.skip("this processor has no such mode")
    small = torch.tensor([1e-40])

    with engine().flushing_denormals():
        assert float((small * 0.5).sum()) == 0
    assert float((small * 0.5).sum()) > 0


def test_parts_of_a_batch_add_up_to_its_gradient_and_one_step():
    points, heights = torch.randn(8, 8), torch.randn(8, 1)
    ends = []
    for parts in (1, 4):
        module, one = network(), engine(grad_accumulation_steps=parts, batch_size=8)
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        prepared, optimizer = one.prepare(module, optimizer)
        updating = []
        for _ in range(2):
            for part in one.in_parts(Batch({"point": points, "height": heights})):
                assert len(part["point"]) == len(part["height"]) == 8 // parts
                optimizer.zero_grad()
                one.backward((prepared(part["point"]) - part["height"]).square().mean())
                optimizer.step()
                updating.append(one.updating)
        assert updating == [number % parts == parts - 1 for number in range(2 * parts)]
        ends.append([parameter.detach().clone() for parameter in module.parameters()])
    for whole, added in zip(*ends, strict=True):
        torch.testing.assert_close(added, whole)


def test_gradients_are_clipped_once_all_parts_are_there():
    module, one = network(), engine(grad_accumulation_steps=2, batch_size=4)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    prepared, optimizer = one.prepare(module, optimizer)
    norms = []
    for part in one.in_parts(Batch({"point": torch.randn(4, 8)})):
        optimizer.zero_grad()
        one.backward(100 * prepared(part["point"]).sum())
        norms.append(float(one.clip(module, 0.5)))
    assert norms[0] == 0
    assert norms[1] > 0.5
    assert torch.cat([p.grad.flatten() for p in module.parameters()]).norm().item() == pytest.approx(0.5, rel=1e-3)


def test_a_run_that_ended_amid_the_parts_of_a_batch_leaves_the_next_one_whole():
    broken = engine(grad_accumulation_steps=4, batch_size=4)
    broken.prepare(network())
    next(iter(broken.in_parts(Batch({"point": torch.randn(4, 8)}))))
    assert engine().updating


def test_the_scale_of_half_precision_gradients_is_kept(monkeypatch):
    ends = []
    for state in (None, "kept"):
        one = engine()
        monkeypatch.setattr(one._accelerator, "scaler", torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=3))
        if state:
            one.load_state_dict(ends[0])
        module = network()
        prepared, optimizer = one.prepare(module, torch.optim.SGD(module.parameters(), lr=0.1))
        for _ in range(2):
            optimizer.zero_grad()
            one.backward(prepared(torch.ones(2, 8)).mean())
            optimizer.step()
        ends.append(one.state_dict())
    assert ends[0]["scaler"]["scale"] == 8.0
    assert ends[0]["scaler"]["_growth_tracker"] == 2
    assert ends[1]["scaler"]["scale"] == 16.0  # the third step of the two runs together
    assert engine().state_dict() == {}


def test_several_processes_are_asked_for_where_a_setting_needs_them():
    with pytest.raises(BadSetting, match="divides a network among processes") as error:
        engine(fsdp=True)
    assert "--processes 2" in error.value.hint
    with pytest.raises(BadSetting, match="PyTorch has it for no CPU"):
        engine(sync_batch_norm=True)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler for a CPU")
def test_a_compiled_network_has_the_names_and_the_results_of_the_plain_one():
    module, points = network(), torch.randn(4, 8)
    names, expected = list(module.state_dict()), module(points)
    one = engine(compile=True)
    (prepared,) = one.prepare(module)
    torch.testing.assert_close(prepared(points), expected)
    assert module._compiled_call_impl is not None
    assert list(module.state_dict()) == names
    assert one.unwrap(prepared) is module
