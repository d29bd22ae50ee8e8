"""Loading weights: the loaded model equals the trained one, and tensors that do not fit are refused by name."""

import dataclasses
import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pickles
import pytest
import strange_models
import tiny
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.parameter import is_lazy
from warm_python import PYTHON

import zoo_core as zoo
from zoo_core.errors import BadFile, BadSetting, UnknownName
from zoo_core.weights.format import write
from zoo_core.weights.load import load
from zoo_core.weights.values import same_bits


@pytest.fixture
def roundtrip(tmp_path):
    """Write a model of strange_models.py and load it: ``roundtrip("Tied")`` returns the original and the loaded one.

    With ``loads=False`` the second value is a function that loads the file.
    """
    here = tiny.catalog()
    here.plugins.add("strange", strange_models.Plugin())

    def roundtrip(name, changes=None, loads=True, **arguments):
        torch.manual_seed(1)
        original = getattr(strange_models, name).from_settings({})
        path = tmp_path / f"{name}.safetensors"
        tensors = {key: tensor for key, tensor in original.state_dict().items() if not is_lazy(tensor)}
        write(path, {**tensors, **(changes or {})}, {"model": name.lower(), "config": {"width": 4}})
        return original, load(path, here, **arguments)[0] if loads else lambda: load(path, here, **arguments)

    return roundtrip


def test_a_loaded_run_is_the_trained_model(tmp_path):
    run = tiny.train(tmp_path / "run", "run.steps=5")
    loaded, incompatible = load(tmp_path / "run", tiny.catalog())
    assert type(loaded) is tiny.Line
    assert not incompatible
    assert not any(module.training for module in loaded.modules())
    assert loaded.config == run.model.config
    for name, tensor in run.model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    points = torch.randn(5, 3)
    assert torch.equal(loaded(points), run.model(points))  # so the trained model is in eval mode, too


def test_a_file_alone_is_enough_to_build_the_right_model(file, tensors, tmp_path):
    wide = tiny.Line(tiny.Line.Config(inputs=5))
    write(tmp_path / "wide.safetensors", wide.state_dict(), {"model": "line", "config": {"inputs": 5}})
    loaded, _ = load(tmp_path / "wide.safetensors", tiny.catalog())
    assert (loaded.config.inputs, loaded.layers[0].in_features) == (5, 5)
    assert torch.equal(loaded.layers[0].weight, wide.layers[0].weight)


def test_zoo_load_returns_the_model_and_with_strict_false_the_incompatible_keys(tiny_installed, file, tmp_path):
    tiny.train(tmp_path / "run", "run.steps=2")
    assert type(zoo.load(tmp_path / "run")).__name__ == "Line"
    assert type(zoo.load(str(tmp_path / "run" / "model.safetensors"))).__name__ == "Line"
    model, incompatible = zoo.load(file(), strict=False)
    assert (type(model).__name__, bool(incompatible)) == ("Line", False)
    model, incompatible = zoo.load(file(), {"inputs": 5}, strict=False)
    assert (model.config.inputs, list(incompatible.mismatched)) == (5, ["layers.0.weight"])


def test_a_file_is_loaded_by_its_path_in_another_process(tiny_installed, file, tmp_path):
    path = file().rename(tmp_path / "any-name.safetensors")
    program = "import sys, zoo_core as zoo; model = zoo.load(sys.argv[1]); print(type(model).__name__, model.training)"
    done = subprocess.run([PYTHON, "-c", program, path], capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("Line False\n", "")


def test_loading_all_tensors_does_not_change_the_random_state(file):
    path = file()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    load(path, tiny.catalog())
    assert torch.equal(torch.get_rng_state(), before)


def test_writing_into_a_loaded_model_does_not_change_the_file(file):
    path = file()
    before = path.read_bytes()
    model, _ = load(path, tiny.catalog())
    first = model.layers[0].weight.detach().clone()
    optimizer = torch.optim.SGD(model.train().parameters(), lr=1.0)
    model(torch.randn(8, 3)).square().mean().backward()
    optimizer.step()
    model.layers[1].running_mean.fill_(7)
    assert not torch.equal(model.layers[0].weight, first)
    assert path.read_bytes() == before
    again, _ = load(path, tiny.catalog())
    assert torch.equal(again.layers[0].weight, first)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc/self/maps of Linux")
def test_a_loaded_model_is_memory_mapped(file):
    path = file()
    model, _ = load(path, tiny.catalog())
    assert str(path) in Path("/proc/self/maps").read_text()
    assert not model.layers[0].weight.is_shared()


def test_a_loaded_model_works_after_its_file_is_deleted(file):
    path = file()
    model, _ = load(path, tiny.catalog())
    path.unlink()
    assert model(torch.zeros(2, 3)).isfinite().all()


def test_dtype_casts_floating_point_tensors(file, tensors):
    for dtype in ("bfloat16", torch.bfloat16):
        model, _ = load(file(), tiny.catalog(), dtype=dtype)
        assert model.layers[0].weight.dtype == torch.bfloat16
        assert model.layers[1].num_batches_tracked.dtype == torch.int64
    assert torch.equal(model.layers[0].weight, tensors["layers.0.weight"].bfloat16())


@pytest.mark.parametrize("dtype", ["int8", "bloat16", "nn", torch.int64])
def test_a_dtype_that_is_not_floating_point_is_refused(file, dtype):
    with pytest.raises(BadSetting, match="should be a floating-point type"):
        load(file(), tiny.catalog(), dtype=dtype)


def test_an_unavailable_device_is_refused(file):
    with pytest.raises(BadSetting, match="device is 'cuda:77', but this machine has cpu"):
        load(file(), tiny.catalog(), device="cuda:77")


def test_half_precision_on_disk_is_cast_to_the_precision_of_the_model(file, tensors, roundtrip):
    halves = {name: tensor.half() for name, tensor in tensors.items() if tensor.is_floating_point()}
    model, _ = load(file(halves), tiny.catalog())
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == tensors[name].dtype, name
    assert torch.equal(model.layers[0].weight, tensors["layers.0.weight"].half().float())
    _, bfloat16_model = roundtrip("Bfloat", {"layer.weight": torch.ones(1, 4)})
    assert bfloat16_model.layer.weight.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers.2.bias": None}, "lacks 'layers.2.bias' (1,), which Line has."),
        ({"layers.9.bias": torch.zeros(2, 5)}, "has 'layers.9.bias' (2, 5), which Line does not have."),
        ({"layers.2.bias": torch.zeros(2)}, "'layers.2.bias' has shape (2,), but Line has (1,)."),
        ({"layers.2.bias": torch.zeros(1, dtype=torch.int64)}, "'layers.2.bias' has type I64, but Line has float32."),
        ({"layers.1.num_batches_tracked": torch.tensor(1.0)}, "tracked' has type F32, but Line has int64."),
        ({"layers.1.num_batches_tracked": torch.tensor(1, dtype=torch.int32)}, "has type I32, but Line has int64."),
    ],
)
def test_a_tensor_that_does_not_fit_is_named_with_the_description_of_the_file(file, changes, message):
    metadata = {**tiny.METADATA, "recipe": {"name": "line"}, "step": 1234}
    with pytest.raises(BadFile, match=re.escape(message)) as refused:
        load(file(changes, metadata), tiny.catalog())
    assert "line.safetensors" in refused.value.message
    assert (
        refused.value.hint == "According to its header, it is model 'line', trained by the recipe 'line', 1,234 steps."
    )


def test_strict_false_skips_tensors_that_do_not_fit_and_loads_the_others(file, tensors):
    changes = {"layers.2.bias": None, "layers.9.bias": torch.zeros(2), "layers.0.weight": torch.zeros(4, 9)}
    model, incompatible = load(file(changes), tiny.catalog(), strict=False)
    assert incompatible.missing == {"layers.2.bias": (1,)}
    assert incompatible.unexpected == {"layers.9.bias": (2,)}
    assert incompatible.mismatched == {"layers.0.weight": ((4, 9), (4, 3))}
    assert incompatible
    assert torch.equal(model.layers[2].weight, tensors["layers.2.weight"])
    assert not any(tensor.is_meta for tensor in model.state_dict().values())
    assert model.layers[0].weight.std() > 0  # its initial values
    assert not model.training


def test_an_incompatible_type_is_refused_with_strict_false_too(file):
    with pytest.raises(BadFile, match="has type I64, but Line has float32"):
        load(file({"layers.2.bias": torch.zeros(1, dtype=torch.int64)}), tiny.catalog(), strict=False)


def test_a_setting_that_changes_shapes_is_refused_unless_strict_is_false(file):
    with pytest.raises(BadFile, match=r"'layers\.0\.weight' has shape \(4, 3\), but Line has \(4, 5\)") as refused:
        load(file(), tiny.catalog(), settings={"inputs": 5})
    assert refused.value.hint.endswith("To load only the tensors that fit, use strict=False.")
    model, incompatible = load(file(), tiny.catalog(), settings={"inputs": 5}, strict=False)
    assert incompatible.mismatched == {"layers.0.weight": ((4, 3), (4, 5))}
    assert model(torch.zeros(2, 5)).shape == (2,)


def test_a_setting_that_changes_no_shape_is_accepted(file):
    model, incompatible = load(file(), tiny.catalog(), settings={"inputs": 3})
    assert (model.config.inputs, bool(incompatible)) == (3, False)


def test_an_unknown_setting_or_value_is_refused(file):
    with pytest.raises(BadSetting, match=r"^input: model 'line' has no such setting") as refused:
        load(file(), tiny.catalog(), settings={"input": 5})
    assert refused.value.hint == "Did you mean 'inputs'?"
    with pytest.raises(BadSetting, match=r"^inputs is 'many'"):
        load(file(), tiny.catalog(), settings={"inputs": "many"})


def test_tied_parameters_stay_tied(roundtrip):
    original, model = roundtrip("Tied")
    assert model.head.weight is model.embedding.weight
    assert model.again is model.head
    assert torch.equal(model.embedding.weight, original.embedding.weight)
    assert len(list(model.parameters())) == 1
    with torch.no_grad():
        model.embedding.weight.zero_()
    assert not model(torch.tensor([3])).any()


def test_tied_parameters_get_the_single_value_that_the_file_holds(roundtrip, tmp_path):
    original, _ = roundtrip("Tied")
    values = original.embedding.weight.detach()
    write(tmp_path / "part.safetensors", {"head.weight": values}, {"model": "tied", "config": {"width": 4}})
    here = tiny.catalog()
    here.plugins.add("strange", strange_models.Plugin())
    model, incompatible = load(tmp_path / "part.safetensors", here, strict=False)
    assert set(incompatible.missing) == {"embedding.weight", "again.weight"}
    assert torch.equal(model.embedding.weight, values)
    assert model.again.weight is model.embedding.weight


def test_a_file_whose_tied_parameters_differ_is_refused(roundtrip):
    original, _ = roundtrip("Tied")
    load_again = roundtrip("Tied", {"head.weight": original.embedding.weight.detach() + 1}, loads=False)[1]
    with pytest.raises(BadFile, match=r"'embedding\.weight' and 'head\.weight' differ, but Tied ties them\."):
        load_again()


def test_a_buffer_shared_by_two_modules_stays_shared(roundtrip):
    _, model = roundtrip("SharesBuffer")
    assert model.left.mean is model.right.mean
    assert model.left.mean.tolist() == [1, 1, 1, 1]


def test_dtype_casts_real_tensors_only_and_refuses_overflow(roundtrip):
    original, model = roundtrip("UnusualTypes", dtype="bfloat16")
    assert (model.phase.dtype, model.large.dtype) == (torch.complex64, torch.bfloat16)
    assert torch.equal(model.phase, original.phase)
    assert model.uint64.tolist() == [1, 1, 1, 1]
    with pytest.raises(BadFile, match=r"'large' holds values that are too large for torch\.float16\."):
        roundtrip("UnusualTypes", dtype="float16")


def test_models_can_be_loaded_and_built_in_many_threads_at_once(roundtrip):
    _, load_again = roundtrip("Tied", loads=False)
    with ThreadPoolExecutor(40) as threads:
        loads = [threads.submit(load_again) for _ in range(200)]
        built = [threads.submit(lambda: nn.Sequential(*(nn.Linear(2, 2) for _ in range(600)))) for _ in range(20)]
        assert {type(done.result()[0]) for done in loads} == {strange_models.Tied}
        assert all(len(done.result()) == 600 for done in built)


def test_tied_parameters_stay_tied_after_a_cast(roundtrip):
    _, model = roundtrip("Tied", dtype="bfloat16")
    assert model.head.weight is model.embedding.weight
    assert model.head.weight.dtype == torch.bfloat16


@pytest.mark.parametrize("name", ["UnsavedBuffer", "UnsavedAttribute", "UnsavedList", "UnsavedObject"])
def test_tensors_outside_the_state_dict_are_computed_by_the_model(roundtrip, name):
    original, model = roundtrip(name)
    assert model.ramp.tolist() == [0, 1, 2, 3]
    assert torch.equal(model.layer.weight, original.layer.weight)
    assert "ramp" not in model.state_dict()


def test_computing_unsaved_tensors_does_not_change_the_random_state(roundtrip):
    _, load_again = roundtrip("UnsavedBuffer", loads=False)
    before = torch.get_rng_state()
    assert load_again()[0].ramp.tolist() == [0, 1, 2, 3]
    assert torch.equal(torch.get_rng_state(), before)


def test_frozen_parameters_stay_frozen(roundtrip):
    _, model = roundtrip("Frozen")
    requires_grad = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    assert requires_grad == {
        "frozen.weight": False,
        "frozen.bias": False,
        "trained.weight": True,
        "trained.bias": True,
    }


def test_a_model_that_does_not_support_the_meta_device_is_refused_with_a_hint(roundtrip):
    _, load_again = roundtrip("ReadsValues", loads=False)
    with pytest.raises(BadFile, match=r"ReadsValues can't be built from its settings: ") as refused:
        load_again()
    assert refused.value.hint.endswith("A model should support torch.device('meta').")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_file_with_values_that_are_not_finite_is_refused_by_tensor_name(file, value):
    path = file({"layers.2.weight": torch.tensor([[1.0, value, 1.0, 1.0]])})
    for _ in range(2):  # the second time from the cache
        with pytest.raises(BadFile, match=r"line\.safetensors: 'layers\.2\.weight' holds NaN or infinite values"):
            load(path, tiny.catalog())


@pytest.mark.parametrize("dtype", [None, "float16", "bfloat16", "float64"])
def test_buffers_may_hold_values_that_are_not_finite(roundtrip, dtype):
    original, model = roundtrip("Masked", dtype=dtype)
    for name, tensor in original.state_dict().items():
        expected = tensor if dtype is None or not tensor.is_floating_point() else tensor.to(getattr(torch, dtype))
        assert same_bits(model.state_dict()[name], expected), name


def test_half_precision_on_disk_may_hold_buffers_that_are_not_finite(roundtrip):
    half = {"ramp": torch.full((4, 4), -torch.inf).half(), "unknown": torch.tensor([torch.nan, 1.0]).bfloat16()}
    _, model = roundtrip("Masked", half)
    assert model.ramp.isneginf().all()
    assert (model.ramp.dtype, model.unknown.dtype) == (torch.float32, torch.float32)


def test_a_parameter_must_be_finite_even_where_a_buffer_need_not(roundtrip):
    _, load_again = roundtrip("Masked", {"layer.bias": torch.full((4,), -torch.inf)}, loads=False)
    with pytest.raises(BadFile, match=r"'layer\.bias' holds NaN or infinite values, but is a parameter"):
        load_again()


def test_a_parameter_keeps_its_layout_so_that_the_results_are_bit_identical(roundtrip):
    original, model = roundtrip("Transposed")
    assert model.layer.weight.stride() == original.layer.weight.stride() == (1, 4)
    point = torch.randn(5, 4)
    assert torch.equal(model(point), original(point))


def test_a_lazy_layer_has_the_shape_that_the_file_holds(roundtrip, tmp_path):
    trained = {"layer.weight": torch.randn(4, 3), "layer.bias": torch.randn(4)}
    _, model = roundtrip("Lazy", trained)
    assert torch.equal(model.layer.weight, trained["layer.weight"])
    assert model(torch.ones(2, 3)).shape == (2, 4)
    write(tmp_path / "Lazy.safetensors", {"layer.bias": torch.randn(4)}, {"model": "lazy", "config": {"width": 4}})
    here = tiny.catalog()
    here.plugins.add("strange", strange_models.Plugin())
    with pytest.raises(BadFile, match=r"lacks 'layer.weight'"):
        load(tmp_path / "Lazy.safetensors", here)


@pytest.mark.parametrize("name", ["os.system", "tiny:Line", "builtins.eval", "torch.nn.Linear", "../line", ""])
def test_a_header_must_name_a_registered_model(file, name):
    with pytest.raises((UnknownName, BadFile)) as refused:
        load(file(metadata={**tiny.METADATA, "model": name}), tiny.catalog())
    assert refused.value.message == f"no model is called '{name}'." or not name


def test_unknown_settings_in_a_file_are_reported_as_an_error_of_the_file(file):
    with pytest.raises(BadFile, match=r"line\.safetensors: model\.depth") as refused:
        load(file(metadata={**tiny.METADATA, "config": {"depth": 3}}), tiny.catalog())
    assert refused.value.hint == "According to its header, it is model 'line'; update the plugin."


def test_a_huge_network_is_refused_before_memory_is_allocated(file):
    with pytest.raises(BadFile, match=r"'layers\.0\.weight' has shape \(4, 3\), but Line has \(4, 1000000000000\)"):
        load(file(metadata={**tiny.METADATA, "config": {"inputs": 10**12}}), tiny.catalog())


def test_a_pickle_is_refused_with_the_command_that_converts_it(tmp_path, tensors):
    for name in ("model.pt", "model.safetensors"):
        pickles.save(tensors, tmp_path / name)
        with pytest.raises(BadFile, match="is a pickle, which can execute arbitrary code when loaded") as refused:
            load(tmp_path / name, tiny.catalog())
        assert "zoo weights convert " in refused.value.hint


def test_an_unknown_name_path_or_url_and_an_unfinished_run_are_refused(tmp_path):
    with pytest.raises(UnknownName, match="no weights are called 'lien'"):
        load("lien", tiny.catalog())
    with pytest.raises(UnknownName, match=r"nowhere\.safetensors does not exist"):
        load(tmp_path / "nowhere.safetensors", tiny.catalog())
    with pytest.raises(UnknownName, match=r"nowhere\.pt does not exist"):
        load("nowhere.pt", tiny.catalog())
    with pytest.raises(UnknownName, match=r"https://example\.com/a\.safetensors is a URL") as url:
        load("https://example.com/a.safetensors", tiny.catalog())
    assert "sha256, size and license in a registry.yaml" in url.value.hint
    with pytest.raises(BadFile, match=r"holds no model\.safetensors") as unfinished:
        load(tmp_path, tiny.catalog())
    assert unfinished.value.hint.endswith(f"zoo run --resume {tmp_path}")


def test_published_weights_are_found_by_name_and_verified_at_every_load(file, listed, tensors):
    path = file()
    here = listed(path)
    for _ in range(2):
        assert torch.equal(load("my-line", here)[0].layers[0].weight, tensors["layers.0.weight"])
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(BadFile, match=r"has sha256 [0-9a-f]{64}, but should have [0-9a-f]{64}"):
        load("my-line", here)
    path.unlink()
    with pytest.raises(BadFile, match=r"line\.safetensors does not exist"):
        load("my-line", here)


def test_weights_are_loaded_by_version_and_by_alias(file, listed):
    path = file()
    here = listed(path, "my-line@1", also="  theirs: {alias: my-line}")
    for name in ("my-line@1", "my-line", "theirs"):
        assert type(load(name, here)[0]) is tiny.Line


def test_deprecated_weights_load_with_a_warning_and_its_reason(file, listed):
    here = listed(file(), deprecated="it collapses; use other-line")
    with pytest.warns(UserWarning, match="weights 'my-line' are deprecated: it collapses; use other-line"):
        load("my-line", here)


def test_a_file_of_another_model_than_listed_is_an_error_of_the_registry(file, listed):
    with pytest.raises(BadFile, match=r"is of model 'line', but .*listed\.yaml:2: says 'clsgan'") as refused:
        load("my-line", listed(file(), model="clsgan"))
    assert refused.value.hint == "Correct the registry file."
    assert load("my-line", listed(file(), model="tiny/line"))[0].config.inputs == 3


def test_a_size_other_than_listed_is_an_error_of_the_registry(file, listed):
    path = file()
    with pytest.raises(BadFile, match=r"has [0-9,]+ bytes, but .*listed\.yaml:2: says 5\."):
        load("my-line", listed(path, size=5))


def test_an_existing_file_takes_precedence_over_a_name(file, listed, tmp_path, monkeypatch):
    here = listed(file())
    monkeypatch.chdir(tmp_path)
    wide = tiny.Line(tiny.Line.Config(inputs=7)).state_dict()
    write(tmp_path / "my-line", wide, {"model": "line", "config": {"inputs": 7}})
    assert load("my-line", here)[0].config.inputs == 7


def test_settings_missing_in_a_file_have_the_defaults_of_the_model(file):
    model, _ = load(file(metadata={"model": "line"}), tiny.catalog())
    assert model.config == tiny.Line.Config()
    assert dataclasses.asdict(model.config) == {"inputs": 3}


def test_a_safetensors_file_without_valid_metadata_is_refused(tensors, tmp_path):
    save_file(tensors, tmp_path / "foreign.safetensors", {"zoo": json.dumps({"format": 2})})
    with pytest.raises(BadFile, match="a format other than 1"):
        load(tmp_path / "foreign.safetensors", tiny.catalog())
    save_file(tensors, tmp_path / "anonymous.safetensors")
    with pytest.raises(BadFile, match="does not name the model that it is for") as refused:
        load(tmp_path / "anonymous.safetensors", tiny.catalog())
    assert "zoo weights convert" in refused.value.hint
    assert load_file(tmp_path / "anonymous.safetensors").keys() == tensors.keys()
