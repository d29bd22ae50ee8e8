"""The engine in a single process: device, precision, gradients and accumulation."""

import shutil

import pytest
import torch
from torch import nn

from zoo_core.config.run_settings import RunSettings
from zoo_core.dataset import Batch
from zoo_core.engine.devices import find_device
from zoo_core.engine.engine import AccelerateEngine
from zoo_core.errors import BadSetting


def make_engine(**settings):
    return AccelerateEngine(RunSettings(steps=1, **{"device": "cpu", **settings}))


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 1))


def test_auto_is_the_accelerator_or_else_the_cpu():
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    assert find_device("auto") == (accelerator or torch.device("cpu"))
    assert find_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:99", "mps:7", "meta", "gpu", "", "cpu:1"])
def test_an_unavailable_device_is_refused(name):
    with pytest.raises(BadSetting, match=f"run.device is '{name}', but this machine has cpu") as error:
        make_engine(device=name)
    assert "--device cpu" in error.value.hint


def test_float16_without_an_accelerator_is_refused():
    with pytest.raises(BadSetting, match=r"run\.precision is 'float16'"):
        make_engine(precision="float16")


def test_a_single_process_has_rank_zero_and_collectives_return_their_argument():
    engine = make_engine()
    assert (engine.is_rank_zero, engine.rank, engine.world, engine.device) == (
        True,
        0,
        1,
        torch.device("cpu"),
    )
    assert torch.equal(engine.gather(torch.arange(3)), torch.arange(3))
    assert torch.equal(engine.sum(torch.arange(3)), torch.arange(3))
    assert (
        engine.process_group.broadcast_first("stop"),
        engine.process_group.broadcast_first(""),
        engine.process_group.all_equal(3),
    ) == ("stop", "", True)


def test_the_number_of_threads_is_set_only_if_the_recipe_sets_it():
    before = torch.get_num_threads()
    try:
        make_engine(threads=before + 1)
        assert torch.get_num_threads() == before + 1
        make_engine()
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_a_module_prepared_in_float32_computes_the_same():
    module, points = network(), torch.randn(4, 8)
    expected = module(points)
    (prepared,) = make_engine().prepare(module)
    assert torch.equal(prepared(points), expected)


def test_a_module_prepared_in_bfloat16_has_float32_outputs_weights_and_gradients():
    module, points = network(), torch.randn(4, 8)
    full, inner_dtypes = module(points), []
    module[0].register_forward_hook(lambda layer, inputs, output: inner_dtypes.append(output.dtype))
    engine = make_engine(precision="bfloat16")
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    prepared, optimizer = engine.prepare(module, optimizer)
    output = prepared(points)

    assert inner_dtypes == [torch.bfloat16]
    assert output.dtype == torch.float32
    assert not torch.equal(output, full)
    torch.testing.assert_close(output, full, rtol=0.05, atol=0.02)
    before = module[0].weight.detach().clone()
    engine.backward(output.square().mean())
    optimizer.step()
    assert module[0].weight.dtype == module[0].weight.grad.dtype == torch.float32
    assert not torch.equal(module[0].weight, before)


def test_a_second_run_in_the_process_may_use_another_precision():
    for precision, expected in [("bfloat16", torch.bfloat16), ("float32", torch.float32), ("bfloat16", torch.bfloat16)]:
        module, dtypes = network(), []
        module[0].register_forward_hook(lambda layer, inputs, output, dtypes=dtypes: dtypes.append(output.dtype))
        (prepared,) = make_engine(precision=precision).prepare(module)
        prepared(torch.randn(2, 8))
        assert dtypes == [expected]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_unwrap_returns_the_module_that_was_prepared(precision):
    module, engine = network(), make_engine(precision=precision)
    names = list(module.state_dict())
    (prepared,) = engine.prepare(module)
    assert engine.unwrap(prepared) is module
    assert list(module.state_dict()) == names


def test_clip_scales_the_gradients_and_returns_their_previous_norm():
    module, engine = network(), make_engine()
    engine.backward(100 * module(torch.randn(4, 8)).sum())
    before = torch.cat([parameter.grad.flatten() for parameter in module.parameters()])
    norm = engine.clip(module, 0.5)
    after = torch.cat([parameter.grad.flatten() for parameter in module.parameters()])
    assert float(norm) == pytest.approx(float(before.norm()))
    assert float(after.norm()) == pytest.approx(0.5, rel=1e-4)
    torch.testing.assert_close(after, before * 0.5 / norm)


def test_backward_with_inputs_computes_no_other_gradients():
    module, engine = network(), make_engine()
    engine.backward(module(torch.randn(4, 8)).sum(), inputs=module[0].parameters())
    assert module[0].weight.grad.abs().sum() > 0
    assert module[2].weight.grad is None


def test_to_device_returns_a_batch():
    batch = make_engine().to_device({"image": torch.zeros(2)})
    assert type(batch) is Batch
    with pytest.raises(BadSetting, match="the trainer reads 'label'"):
        batch["label"]


def test_denormals_are_flushed_inside_the_context_only():
    if not torch.set_flush_denormal(False):
        pytest.skip("this processor does not support flushing denormals")
    small = torch.tensor([1e-40])

    with make_engine().flushing_denormals():
        assert float((small * 0.5).sum()) == 0
    assert float((small * 0.5).sum()) > 0


def test_accumulated_gradients_and_the_step_equal_those_of_the_batch():
    points, heights = torch.randn(8, 8), torch.randn(8, 1)
    results = []
    for parts in (1, 4):
        module, engine = network(), make_engine(grad_accumulation_steps=parts, batch_size=8)
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        prepared, optimizer = engine.prepare(module, optimizer)
        updating = []
        for _ in range(2):
            for part in engine.in_parts(Batch({"point": points, "height": heights})):
                assert len(part["point"]) == len(part["height"]) == 8 // parts
                optimizer.zero_grad()
                engine.backward((prepared(part["point"]) - part["height"]).square().mean())
                optimizer.step()
                updating.append(engine.updating)
        assert updating == [number % parts == parts - 1 for number in range(2 * parts)]
        results.append([parameter.detach().clone() for parameter in module.parameters()])
    for expected, accumulated in zip(*results, strict=True):
        torch.testing.assert_close(accumulated, expected)


def test_gradients_are_clipped_after_the_last_part():
    module, engine = network(), make_engine(grad_accumulation_steps=2, batch_size=4)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    prepared, optimizer = engine.prepare(module, optimizer)
    norms = []
    for part in engine.in_parts(Batch({"point": torch.randn(4, 8)})):
        optimizer.zero_grad()
        engine.backward(100 * prepared(part["point"]).sum())
        norms.append(float(engine.clip(module, 0.5)))
    assert norms[0] == 0
    assert norms[1] > 0.5
    assert torch.cat([p.grad.flatten() for p in module.parameters()]).norm().item() == pytest.approx(0.5, rel=1e-3)


def mean_step(parts, weight, scaler=None):
    """Gradients, logged losses and parameters after one step on eight examples, whose losses have these weights."""
    points, heights = torch.linspace(-1, 1, 64).sin().view(8, 8), torch.linspace(0, 3, 8).cos().view(8, 1)
    module, engine = network(), make_engine(grad_accumulation_steps=parts, batch_size=8)
    engine._accelerator.scaler = scaler
    prepared, optimizer = engine.prepare(module, torch.optim.SGD(module.parameters(), lr=0.1))
    losses = []
    for part in engine.in_parts(Batch({"point": points, "height": heights, "weight": weight})):
        optimizer.zero_grad()
        total = ((prepared(part["point"]) - part["height"]).square() * part["weight"].unsqueeze(1)).sum()
        loss = total / engine.normalizer(part, lambda batch: batch["weight"].sum())
        losses.append(loss.item())
        engine.backward(loss)
        if scaler is None:  # Accelerate unscales before clipping only if the precision is float16
            engine.clip(module, 0.1)
        optimizer.step()
    return sum(losses) / parts, [parameter.detach() for parameter in module.parameters()]


@pytest.mark.parametrize("parts", [2, 4, 8])
@pytest.mark.parametrize(
    "weight",
    [
        torch.tensor([5, 0, 1, 1, 100, 3, 2, 2]),
        torch.tensor([0, 0, 0, 0, 0, 0, 0, 9]),  # parts in which nothing counts
        torch.tensor([0.2, 3.0, 0.2, 0.2, 0.2, 3.0, 0.2, 0.0]),
        torch.zeros(8),
    ],
)
def test_a_normalized_loss_is_the_mean_over_all_parts(parts, weight):
    loss, expected = mean_step(1, weight)
    loss_of_parts, parameters = mean_step(parts, weight)
    assert loss_of_parts == pytest.approx(loss, rel=1e-5)
    for one, other in zip(expected, parameters, strict=True):
        assert one.isfinite().all()
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-7)


def test_a_normalized_loss_is_scaled_like_any_other():
    weight = torch.tensor([5, 0, 1, 1, 100, 3, 2, 2])
    whole, in_parts = (mean_step(parts, weight, torch.amp.GradScaler("cpu", init_scale=1024.0))[1] for parts in (1, 4))
    for one, other in zip(whole, in_parts, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-7)


def test_the_normalizer_of_a_batch_in_one_part_is_its_count():
    engine, batch = make_engine(), Batch({"weight": torch.tensor([3, 4])})
    assert engine.normalizer(batch, lambda batch: batch["weight"].sum()) == 7
    assert engine.normalizer(batch, lambda batch: 0 * batch["weight"].sum()) == 1
    assert engine.normalizer(batch, lambda batch: len(batch["weight"])) == 2


def test_a_run_that_ends_between_parts_does_not_affect_the_next_run():
    interrupted = make_engine(grad_accumulation_steps=4, batch_size=4)
    interrupted.prepare(network())
    next(iter(interrupted.in_parts(Batch({"point": torch.randn(4, 8)}))))
    assert make_engine().updating


def test_the_state_of_the_gradient_scaler_is_restored(monkeypatch):
    states = []
    for restore in (False, True):
        engine = make_engine()
        monkeypatch.setattr(
            engine._accelerator, "scaler", torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=3)
        )
        if restore:
            engine.load_state_dict(states[0])
        module = network()
        prepared, optimizer = engine.prepare(module, torch.optim.SGD(module.parameters(), lr=0.1))
        for _ in range(2):
            optimizer.zero_grad()
            engine.backward(prepared(torch.ones(2, 8)).mean())
            optimizer.step()
        states.append(engine.state_dict())
    assert states[0]["scaler"]["scale"] == 8.0
    assert states[0]["scaler"]["_growth_tracker"] == 2
    assert states[1]["scaler"]["scale"] == 16.0  # doubled by the third step of both runs together
    assert make_engine().state_dict() == {}


def test_settings_that_need_several_processes_are_refused_in_one():
    with pytest.raises(BadSetting, match="shards a network across processes, but this run has one process") as error:
        make_engine(fsdp=True)
    assert "--processes 2" in error.value.hint
    with pytest.raises(BadSetting, match="CPUs are not supported"):
        make_engine(sync_batch_norm=True)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler for a CPU")
def test_a_compiled_network_has_the_same_parameter_names_and_results():
    module, points = network(), torch.randn(4, 8)
    names, expected = list(module.state_dict()), module(points)
    engine = make_engine(compile="default")
    (prepared,) = engine.prepare(module)
    torch.testing.assert_close(prepared(points), expected)
    assert module._compiled_call_impl is not None
    assert list(module.state_dict()) == names
    assert engine.unwrap(prepared) is module
