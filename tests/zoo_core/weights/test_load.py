"""Loading weights: what is read is what was trained, and what does not fit is refused by name."""

import dataclasses
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pickles
import pytest
import strange
import tiny
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import zoo_core as zoo
from zoo_core.errors import BadFile, BadSetting, UnknownName
from zoo_core.weights.format import write
from zoo_core.weights.load import load


@pytest.fixture
def odd(tmp_path):
    """A way to write and load one of strange.py: ``odd("Tied")`` gives the model that was written, and the file."""
    here = tiny.catalog()
    here.plugins.add("strange", strange.Plugin())

    def odd(name, changes=None, loads=True, **arguments):
        torch.manual_seed(1)
        made = getattr(strange, name).from_settings({})
        path = tmp_path / f"{name}.safetensors"
        write(path, {**made.state_dict(), **(changes or {})}, {"model": name.lower(), "config": {"width": 4}})
        return made, load(path, here, **arguments)[0] if loads else lambda: load(path, here, **arguments)

    return odd


def test_a_loaded_run_is_the_trained_model(tmp_path):
    run = tiny.train(tmp_path / "run", "run.steps=5")
    loaded, left_out = load(tmp_path / "run", tiny.catalog())
    assert type(loaded) is tiny.Line
    assert not left_out
    assert not any(module.training for module in loaded.modules())
    assert loaded.config == run.model.config
    for name, tensor in run.model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    points = torch.randn(5, 3)
    assert torch.equal(loaded(points), run.model(points))  # so the trained model is in eval mode, too


def test_a_file_builds_the_right_model_with_nothing_else(file, tensors, tmp_path):
    wide = tiny.Line(tiny.Line.Config(inputs=5))
    write(tmp_path / "wide.safetensors", wide.state_dict(), {"model": "line", "config": {"inputs": 5}})
    loaded, _ = load(tmp_path / "wide.safetensors", tiny.catalog())
    assert (loaded.config.inputs, loaded.layers[0].in_features) == (5, 5)
    assert torch.equal(loaded.layers[0].weight, wide.layers[0].weight)


def test_zoo_load_gives_the_model_or_with_strict_false_what_was_left_out_as_well(tiny_installed, file, tmp_path):
    tiny.train(tmp_path / "run", "run.steps=2")
    assert type(zoo.load(tmp_path / "run")).__name__ == "Line"
    assert type(zoo.load(str(tmp_path / "run" / "model.safetensors"))).__name__ == "Line"
    model, left_out = zoo.load(file(), strict=False)
    assert (type(model).__name__, bool(left_out)) == ("Line", False)
    model, left_out = zoo.load(file(), {"inputs": 5}, strict=False)
    assert (model.config.inputs, list(left_out.reshaped)) == (5, ["layers.0.weight"])


def test_a_file_is_loaded_in_a_process_that_knows_nothing_but_its_path(tiny_installed, file, tmp_path):
    path = file().rename(tmp_path / "without-a-hint.safetensors")
    program = "import sys, zoo_core as zoo; model = zoo.load(sys.argv[1]); print(type(model).__name__, model.training)"
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("Line False\n", "")


def test_nothing_is_drawn_for_a_model_whose_tensors_are_all_in_the_file(file):
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


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="where Linux tells what is mapped")
def test_a_loaded_model_lies_in_its_file(file):
    path = file()
    model, _ = load(path, tiny.catalog())
    assert str(path) in Path("/proc/self/maps").read_text()
    assert not model.layers[0].weight.is_shared()


def test_a_loaded_model_outlives_its_file(file):
    path = file()
    model, _ = load(path, tiny.catalog())
    path.unlink()
    assert model(torch.zeros(2, 3)).isfinite().all()


def test_a_model_is_given_in_the_precision_that_is_asked_for(file, tensors):
    for dtype in ("bfloat16", torch.bfloat16):
        model, _ = load(file(), tiny.catalog(), dtype=dtype)
        assert model.layers[0].weight.dtype == torch.bfloat16
        assert model.layers[1].num_batches_tracked.dtype == torch.int64
    assert torch.equal(model.layers[0].weight, tensors["layers.0.weight"].bfloat16())


@pytest.mark.parametrize("dtype", ["int8", "bloat16", "nn", torch.int64])
def test_a_precision_that_is_none_is_refused(file, dtype):
    with pytest.raises(BadSetting, match="should be a floating-point type"):
        load(file(), tiny.catalog(), dtype=dtype)


def test_a_device_that_is_not_here_is_refused(file):
    with pytest.raises(BadSetting, match="device is 'cuda:77', but this machine has cpu"):
        load(file(), tiny.catalog(), device="cuda:77")


def test_half_precision_on_disk_comes_back_in_the_models_own(file, tensors, odd):
    halves = {name: tensor.half() for name, tensor in tensors.items() if tensor.is_floating_point()}
    model, _ = load(file(halves), tiny.catalog())
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == tensors[name].dtype, name
    assert torch.equal(model.layers[0].weight, tensors["layers.0.weight"].half().float())
    _, short = odd("Bfloat", {"layer.weight": torch.ones(1, 4)})
    assert short.layer.weight.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers.2.bias": None}, "lacks 'layers.2.bias' (1,), which Line has."),
        ({"layers.9.bias": torch.zeros(2, 5)}, "has 'layers.9.bias' (2, 5), which Line does not have."),
        ({"layers.2.bias": torch.zeros(2)}, "'layers.2.bias' has shape (2,), but Line has (1,)."),
        ({"layers.2.bias": torch.zeros(1, dtype=torch.int64)}, "'layers.2.bias' holds I64, but Line has float32."),
        ({"layers.1.num_batches_tracked": torch.tensor(1.0)}, "tracked' holds F32, but Line has int64."),
        ({"layers.1.num_batches_tracked": torch.tensor(1, dtype=torch.int32)}, "holds I32, but Line has int64."),
    ],
)
def test_a_tensor_that_does_not_fit_is_named_with_what_the_file_says_it_is(file, changes, message):
    metadata = {**tiny.STORY, "recipe": {"name": "line"}, "step": 1234}
    with pytest.raises(BadFile, match=re.escape(message)) as refused:
        load(file(changes, metadata), tiny.catalog())
    assert "line.safetensors" in refused.value.message
    assert refused.value.hint == "The file says that it is model 'line', trained by the recipe 'line', 1,234 steps."


def test_strict_false_leaves_out_what_does_not_fit_and_takes_the_rest(file, tensors):
    changes = {"layers.2.bias": None, "layers.9.bias": torch.zeros(2), "layers.0.weight": torch.zeros(4, 9)}
    model, left_out = load(file(changes), tiny.catalog(), strict=False)
    assert left_out.missing == {"layers.2.bias": (1,)}
    assert left_out.surplus == {"layers.9.bias": (2,)}
    assert left_out.reshaped == {"layers.0.weight": ((4, 9), (4, 3))}
    assert left_out
    assert torch.equal(model.layers[2].weight, tensors["layers.2.weight"])
    assert not any(tensor.is_meta for tensor in model.state_dict().values())
    assert model.layers[0].weight.std() > 0  # its initial values
    assert not model.training


def test_a_type_that_does_not_fit_is_refused_with_strict_false_too(file):
    with pytest.raises(BadFile, match="holds I64, but Line has float32"):
        load(file({"layers.2.bias": torch.zeros(1, dtype=torch.int64)}), tiny.catalog(), strict=False)


def test_a_setting_that_changes_shapes_is_refused_unless_they_may_be_left_out(file):
    with pytest.raises(BadFile, match=r"'layers\.0\.weight' has shape \(4, 3\), but Line has \(4, 5\)") as refused:
        load(file(), tiny.catalog(), settings={"inputs": 5})
    assert refused.value.hint.endswith("To leave out what no longer fits: strict=False.")
    model, left_out = load(file(), tiny.catalog(), settings={"inputs": 5}, strict=False)
    assert left_out.reshaped == {"layers.0.weight": ((4, 3), (4, 5))}
    assert model(torch.zeros(2, 5)).shape == (2,)


def test_a_setting_that_changes_no_shape_is_taken(file):
    model, left_out = load(file(), tiny.catalog(), settings={"inputs": 3})
    assert (model.config.inputs, bool(left_out)) == (3, False)


def test_a_setting_that_the_model_does_not_have_is_the_users_mistake(file):
    with pytest.raises(BadSetting, match=r"model\.input: model 'line' has no such setting") as refused:
        load(file(), tiny.catalog(), settings={"input": 5})
    assert refused.value.hint == "Did you mean 'model.inputs'?"
    with pytest.raises(BadSetting, match=r"model\.inputs is 'many'"):
        load(file(), tiny.catalog(), settings={"inputs": "many"})


def test_tied_parameters_stay_tied(odd):
    made, model = odd("Tied")
    assert model.head.weight is model.words.weight
    assert model.again is model.head
    assert torch.equal(model.words.weight, made.words.weight)
    assert len(list(model.parameters())) == 1
    with torch.no_grad():
        model.words.weight.zero_()
    assert not model(torch.tensor([3])).any()


def test_a_tied_parameter_has_the_one_value_that_the_file_holds(odd, tmp_path):
    made, _ = odd("Tied")
    words = made.words.weight.detach()
    write(tmp_path / "part.safetensors", {"head.weight": words}, {"model": "tied", "config": {"width": 4}})
    here = tiny.catalog()
    here.plugins.add("strange", strange.Plugin())
    model, left_out = load(tmp_path / "part.safetensors", here, strict=False)
    assert set(left_out.missing) == {"words.weight", "again.weight"}
    assert torch.equal(model.words.weight, words)
    assert model.again.weight is model.words.weight


def test_a_file_whose_tied_parameters_differ_is_refused(odd):
    made, _ = odd("Tied")
    load_it = odd("Tied", {"head.weight": made.words.weight.detach() + 1}, loads=False)[1]
    with pytest.raises(BadFile, match=r"'words\.weight' and 'head\.weight' differ, but Tied has them as one\."):
        load_it()


def test_a_buffer_of_two_modules_stays_one(odd):
    _, model = odd("SharesBuffer")
    assert model.left.mean is model.right.mean
    assert model.left.mean.tolist() == [1, 1, 1, 1]


def test_another_precision_is_for_real_numbers_that_it_holds(odd):
    made, model = odd("Unsigned", dtype="bfloat16")
    assert (model.turn.dtype, model.large.dtype) == (torch.complex64, torch.bfloat16)
    assert torch.equal(model.turn, made.turn)
    assert model.uint64.tolist() == [1, 1, 1, 1]
    with pytest.raises(BadFile, match=r"'large' holds numbers that are too large for torch\.float16\."):
        odd("Unsigned", dtype="float16")


def test_models_are_loaded_in_many_threads_at_once_and_built_beside_them(odd):
    _, load_it = odd("Tied", loads=False)
    with ThreadPoolExecutor(40) as threads:
        loads = [threads.submit(load_it) for _ in range(200)]
        built = [threads.submit(lambda: nn.Sequential(*(nn.Linear(2, 2) for _ in range(600)))) for _ in range(20)]
        assert {type(done.result()[0]) for done in loads} == {strange.Tied}
        assert all(len(done.result()) == 600 for done in built)


def test_tied_parameters_stay_tied_in_another_precision(odd):
    _, model = odd("Tied", dtype="bfloat16")
    assert model.head.weight is model.words.weight
    assert model.head.weight.dtype == torch.bfloat16


@pytest.mark.parametrize("name", ["HoldsBuffer", "HoldsAttribute", "HoldsList", "HoldsObject"])
def test_tensors_that_are_in_no_file_have_the_values_that_the_model_gives_them(odd, name):
    made, model = odd(name)
    assert model.ramp.tolist() == [0, 1, 2, 3]
    assert torch.equal(model.layer.weight, made.layer.weight)
    assert "ramp" not in model.state_dict()


def test_only_what_is_in_no_file_gets_an_initial_value(odd):
    _, load_it = odd("HoldsBuffer", loads=False)
    before = torch.get_rng_state()
    assert load_it()[0].ramp.tolist() == [0, 1, 2, 3]
    assert torch.equal(torch.get_rng_state(), before)  # nothing was drawn


def test_what_was_not_trained_is_not_trained_afterwards_either(odd):
    _, model = odd("Frozen")
    asked = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    assert asked == {"fixed.weight": False, "fixed.bias": False, "free.weight": True, "free.bias": True}


def test_a_model_that_does_not_build_without_values_says_what_to_mend(odd):
    _, loading = odd("Unmeant", loads=False)
    with pytest.raises(BadFile, match=r"a Unmeant of its settings can't be built: ") as refused:
        loading()
    assert refused.value.hint.endswith("A model should build under torch.device('meta').")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_file_that_holds_no_numbers_is_refused_by_the_tensors_name(file, value):
    path = file({"layers.2.weight": torch.tensor([[1.0, value, 1.0, 1.0]])})
    for _ in range(2):  # the second time it is remembered
        with pytest.raises(BadFile, match=r"line\.safetensors: 'layers\.2\.weight' holds NaN or infinite numbers"):
            load(path, tiny.catalog())


@pytest.mark.parametrize("name", ["os.system", "tiny:Line", "builtins.eval", "torch.nn.Linear", "../line", ""])
def test_a_header_that_names_no_registered_model_builds_nothing(file, name):
    with pytest.raises((UnknownName, BadFile)) as refused:
        load(file(metadata={**tiny.STORY, "model": name}), tiny.catalog())
    assert refused.value.message == f"no model is called '{name}'." or not name


def test_settings_that_the_model_does_not_know_are_the_files_fault(file):
    with pytest.raises(BadFile, match=r"line\.safetensors: model\.depth") as refused:
        load(file(metadata={**tiny.STORY, "config": {"depth": 3}}), tiny.catalog())
    assert refused.value.hint == "The file says that it is model 'line'; update the plugin."


def test_a_header_that_asks_for_a_huge_network_takes_no_memory(file):
    with pytest.raises(BadFile, match=r"'layers\.0\.weight' has shape \(4, 3\), but Line has \(4, 1000000000000\)"):
        load(file(metadata={**tiny.STORY, "config": {"inputs": 10**12}}), tiny.catalog())


def test_a_pickle_is_refused_and_how_to_take_its_tensors_is_said(tmp_path, tensors):
    for name in ("model.pt", "model.safetensors"):
        pickles.save(tensors, tmp_path / name)
        with pytest.raises(BadFile, match="is a pickle, which can run any code as it is read") as refused:
            load(tmp_path / name, tiny.catalog())
        assert "zoo weights convert " in refused.value.hint


def test_a_name_a_path_a_url_and_an_unfinished_run_that_are_not_there(tmp_path):
    with pytest.raises(UnknownName, match="no weights are called 'lien'"):
        load("lien", tiny.catalog())
    with pytest.raises(UnknownName, match=r"nowhere\.safetensors does not exist"):
        load(tmp_path / "nowhere.safetensors", tiny.catalog())
    with pytest.raises(UnknownName, match=r"nowhere\.pt does not exist"):
        load("nowhere.pt", tiny.catalog())
    with pytest.raises(UnknownName, match=r"https://example\.com/a\.safetensors is a location") as location:
        load("https://example.com/a.safetensors", tiny.catalog())
    assert "sha256, size and license in a registry.yaml" in location.value.hint
    with pytest.raises(BadFile, match=r"holds no model\.safetensors") as unfinished:
        load(tmp_path, tiny.catalog())
    assert unfinished.value.hint.endswith(f"zoo run --resume {tmp_path}")


def test_published_weights_are_found_by_name_and_compared_at_every_load(file, listed, tensors):
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


def test_a_version_and_an_alias_load_what_they_stand_for(file, listed):
    path = file()
    here = listed(path, "my-line@1", also="  theirs: {alias: my-line}")
    for name in ("my-line@1", "my-line", "theirs"):
        assert type(load(name, here)[0]) is tiny.Line


def test_deprecated_weights_load_with_a_warning_that_says_why(file, listed):
    here = listed(file(), deprecated="it collapses; use other-line")
    with pytest.warns(UserWarning, match="weights 'my-line' should no longer be used: it collapses; use other-line"):
        load("my-line", here)


def test_a_file_of_another_model_than_is_listed_is_the_registrys_fault(file, listed):
    with pytest.raises(BadFile, match=r"is of model 'line', but .*listed\.yaml:2: says 'clsgan'") as refused:
        load("my-line", listed(file(), model="clsgan"))
    assert refused.value.hint == "Correct the registry file."
    assert load("my-line", listed(file(), model="tiny/line"))[0].config.inputs == 3


def test_a_size_that_is_not_the_files_is_the_registrys_fault(file, listed):
    path = file()
    with pytest.raises(BadFile, match=r"has [0-9,]+ bytes, but .*listed\.yaml:2: says 5\."):
        load("my-line", listed(path, size=5))


def test_a_file_wins_over_a_name_and_a_name_over_nothing(file, listed, tmp_path, monkeypatch):
    here = listed(file())
    monkeypatch.chdir(tmp_path)
    wide = tiny.Line(tiny.Line.Config(inputs=7)).state_dict()
    write(tmp_path / "my-line", wide, {"model": "line", "config": {"inputs": 7}})
    assert load("my-line", here)[0].config.inputs == 7


def test_what_a_file_does_not_say_is_the_models_default(file):
    model, _ = load(file(metadata={"model": "line"}), tiny.catalog())
    assert model.config == tiny.Line.Config()
    assert dataclasses.asdict(model.config) == {"inputs": 3}


def test_a_strangers_safetensors_is_refused_by_load_as_by_the_header(tensors, tmp_path):
    save_file(tensors, tmp_path / "strange.safetensors", {"zoo": json.dumps({"format": 2})})
    with pytest.raises(BadFile, match="another format than 1"):
        load(tmp_path / "strange.safetensors", tiny.catalog())
    save_file(tensors, tmp_path / "mute.safetensors")
    with pytest.raises(BadFile, match="does not say which model it is for") as mute:
        load(tmp_path / "mute.safetensors", tiny.catalog())
    assert "zoo weights convert" in mute.value.hint
    assert load_file(tmp_path / "mute.safetensors").keys() == tensors.keys()
