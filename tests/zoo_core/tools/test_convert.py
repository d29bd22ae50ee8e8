"""Converting weights of other programs: only tensors are extracted from a pickle, in a separate process."""

import hashlib
import json
import re
import sys

import pytest
import tiny
import torch
from pickles import Touches, read_trustingly, save, save_plain
from safetensors.torch import load_file, save_file
from warm_python import OF_MODULES

from zoo_core.errors import BadFile, BadSetting, UnknownName
from zoo_core.tools.convert import convert
from zoo_core.weights.header import read_header
from zoo_core.weights.load import load


@pytest.fixture
def converted(tmp_path, monkeypatch):
    """A function that converts a file into ``new.safetensors``; the process that reads it starts quickly."""
    monkeypatch.setattr(sys, "executable", OF_MODULES)

    def converted(source, key="", **settings):
        return convert(source, tmp_path / "new.safetensors", "line", settings, tiny.catalog(), key)

    return converted


def assert_nothing_written(tmp_path, *given):
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(given)


def test_the_tensors_of_a_pickle_are_converted_and_the_metadata_has_its_hash(tmp_path, tensors, converted, monkeypatch):
    monkeypatch.delitem(sys.modules, "zoo_core.tools.unpickle", raising=False)
    save(tensors, tmp_path / "line.bin")
    path = converted(tmp_path / "line.bin", inputs=3)
    assert "zoo_core.tools.unpickle" not in sys.modules  # another process has read it
    model, _ = load(path, tiny.catalog())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, tensors[name]), name
    metadata = read_header(path).metadata
    assert (metadata["model"], metadata["config"]) == ("line", {"inputs": 3})
    digest = hashlib.sha256((tmp_path / "line.bin").read_bytes()).hexdigest()
    assert metadata["converted"] == {"file": "line.bin", "sha256": digest}
    assert "torch" in metadata["versions"]
    assert "metrics" not in metadata


def wrapped(tensors):
    """A checkpoint of a compiled model trained with DistributedDataParallel."""
    weights = {f"_orig_mod.module.{name}": tensor for name, tensor in tensors.items()}
    return {"trainer": {"weights": weights}, "epoch": 3}


def test_wrapper_prefixes_are_removed_and_a_key_selects_the_state_dict(tmp_path, tensors, converted):
    save(wrapped(tensors), tmp_path / "line.ckpt")
    assert load_file(converted(tmp_path / "line.ckpt", "trainer.weights")).keys() == tensors.keys()


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_wrapper_prefixes_are_removed_from_a_safetensors_file(tmp_path, tensors, converted, prefix):
    save_file({prefix + name: tensor for name, tensor in tensors.items()}, tmp_path / "line.safetensors")
    assert load_file(converted(tmp_path / "line.safetensors")).keys() == tensors.keys()


def test_a_safetensors_file_without_metadata_gets_them(tmp_path, tensors, converted):
    save_file(tensors, tmp_path / "plain.safetensors", {"format": "pt"})
    model, _ = load(converted(tmp_path / "plain.safetensors"), tiny.catalog())
    assert torch.equal(model.layers[0].weight, tensors["layers.0.weight"])


@pytest.mark.parametrize("among_tensors", [False, True])
def test_a_malicious_pickle_is_refused_and_executes_nothing(tmp_path, tensors, converted, among_tensors):
    mark, path = tmp_path / "owned", tmp_path / "evil.pt"
    evil = {**tensors, "extra": Touches(mark)} if among_tensors else Touches(mark)
    save(evil, path)
    with pytest.raises(BadFile, match=r"evil\.pt can't be converted: UnpicklingError: Weights only load failed"):
        converted(path)
    assert_nothing_written(tmp_path, "evil.pt")
    read_trustingly(path)  # the pickle is really malicious
    assert mark.exists()


def test_a_malicious_pickle_named_safetensors_executes_nothing(tmp_path, converted):
    path = tmp_path / "evil.safetensors"
    save_plain(Touches(tmp_path / "owned"), path)
    with pytest.raises(BadFile, match="can't be converted: "):
        converted(path)
    assert_nothing_written(tmp_path, "evil.safetensors")


def test_a_pickle_named_safetensors_does_not_load_but_can_be_converted(tmp_path, tensors, converted):
    save(tensors, tmp_path / "line.safetensors")
    with pytest.raises(BadFile, match="is a pickle"):
        load(tmp_path / "line.safetensors", tiny.catalog())
    assert load_file(converted(tmp_path / "line.safetensors")).keys() == tensors.keys()


def test_a_module_in_the_folder_of_the_file_is_not_imported(tmp_path, tensors, converted, monkeypatch):
    save(tensors, tmp_path / "line.pt")
    for name in ("torch", "safetensors", "collections"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'owned')!r}, 'w')\nraise SystemExit('owned')\n")
    monkeypatch.chdir(tmp_path)
    converted(tmp_path / "line.pt")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("content", "key", "message"),
    [
        (
            {"epoch": 3, "model": {}},
            "",
            "it contains 'epoch' (int), 'model' (dict); select the state dict with --key",
        ),
        ({"epoch": 3}, "state_dict", "it has no 'state_dict'; it has 'epoch' (int)"),
        ({"model": {"w": 5}}, "model.w", "it contains a value of type int; select the state dict with --key"),
        ([torch.zeros(2)], "", "it contains a value of type list; select the state dict with --key"),
        ({}, "", "it contains nothing; select the state dict with --key"),
    ],
)
def test_a_pickle_that_is_not_a_state_dict_is_refused_with_its_content(tmp_path, content, key, message):
    from zoo_core.tools import unpickle

    save(content, tmp_path / "a.pt")
    with pytest.raises(SystemExit) as refused:
        unpickle.main(str(tmp_path / "a.pt"), str(tmp_path / "out"), key)
    assert refused.value.code == message
    assert_nothing_written(tmp_path, "a.pt")


def test_the_message_of_the_reading_process_is_passed_on(tmp_path, converted):
    save({"epoch": 3}, tmp_path / "a.pt")
    with pytest.raises(BadFile) as refused:
        converted(tmp_path / "a.pt", "state_dict")
    expected = f"{tmp_path / 'a.pt'} can't be converted: it has no 'state_dict'; it has 'epoch' (int)."
    assert refused.value.message == expected
    assert_nothing_written(tmp_path, "a.pt")


def test_a_file_that_is_not_a_pickle_is_refused_in_one_line(tmp_path, converted):
    (tmp_path / "a.pt").write_text("hello")
    with pytest.raises(BadFile, match=r"a\.pt can't be converted: \w+Error: .*") as refused:
        converted(tmp_path / "a.pt")
    assert "\n" not in refused.value.message
    (tmp_path / "a.safetensors").write_text("hello, this is a text")
    with pytest.raises(BadFile, match=r"a\.safetensors is not a safetensors file"):
        converted(tmp_path / "a.safetensors")


def test_tensors_that_do_not_fit_the_model_are_refused_and_not_written(tmp_path, tensors, converted):
    save_file({**tensors, "layers.0.weight": torch.zeros(4, 9)}, tmp_path / "a.safetensors")
    with pytest.raises(BadFile) as refused:
        converted(tmp_path / "a.safetensors")
    expected = f"{tmp_path / 'a.safetensors'}: 'layers.0.weight' has shape (4, 9), but Line has (4, 3)."
    assert refused.value.message == expected
    assert_nothing_written(tmp_path, "a.safetensors")


def test_an_unknown_model_setting_or_file_is_refused(tmp_path, tensors):
    save_file(tensors, tmp_path / "a.safetensors")
    source, output = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    with pytest.raises(UnknownName, match="no model is called 'lien'"):
        convert(source, output, "lien", {}, tiny.catalog())
    with pytest.raises(BadSetting, match=r"model\.input: model 'line' has no such setting"):
        convert(source, output, "line", {"input": 3}, tiny.catalog())
    with pytest.raises(BadFile, match=r"nowhere\.pt does not exist"):
        convert(tmp_path / "nowhere.pt", output, "line", {}, tiny.catalog())
    assert_nothing_written(tmp_path, "a.safetensors")


def test_an_existing_file_or_a_wrong_extension_is_refused(tmp_path, tensors):
    save_file(tensors, tmp_path / "a.safetensors")
    before = (tmp_path / "a.safetensors").read_bytes()
    with pytest.raises(BadFile, match="already exists, and is not overwritten"):
        convert(tmp_path / "a.safetensors", tmp_path / "a.safetensors", "line", {}, tiny.catalog())
    with pytest.raises(BadSetting, match=r"b\.pt should end in \.safetensors"):
        convert(tmp_path / "a.safetensors", tmp_path / "b.pt", "line", {}, tiny.catalog())
    assert (tmp_path / "a.safetensors").read_bytes() == before
    assert_nothing_written(tmp_path, "a.safetensors")


def test_a_key_for_a_safetensors_file_is_refused(tmp_path, tensors):
    save_file(tensors, tmp_path / "plain.safetensors")
    with pytest.raises(BadSetting, match="is a safetensors file, so --key state does not apply"):
        convert(tmp_path / "plain.safetensors", tmp_path / "new.safetensors", "line", {}, tiny.catalog(), "state")


class Wrapper(tiny.Line):
    """Holds the network of another library in one attribute."""

    def __init__(self, config: tiny.Line.Config) -> None:
        super().__init__(config)
        self.network, self.layers = self.layers, None


def test_the_file_of_a_wrapped_network_gets_the_prefix_of_the_model(tmp_path):
    import zoo_core as zoo

    class Registers:
        @zoo.hookimpl
        def zoo_register(self, registry):
            registry.model("wrapper", f"{__name__}:Wrapper", summary="A line of another library")

    sys.modules.setdefault(__name__, sys.modules[Wrapper.__module__])
    catalog = tiny.catalog()
    catalog.plugins.add("wrapping", Registers())
    network = Wrapper(Wrapper.Config()).network
    save_file(network.state_dict(), tmp_path / "plain.safetensors")
    path = convert(tmp_path / "plain.safetensors", tmp_path / "new.safetensors", "wrapper", {}, catalog)
    loaded, _ = load(path, catalog)
    assert all(torch.equal(one, network.state_dict()[name]) for name, one in loaded.network.state_dict().items())


def in_averaged_model(tensors):
    return {"n_averaged": torch.tensor(5), **{f"module.{name}": tensor for name, tensor in tensors.items()}}


def with_inner(part, place):
    """A function that puts a name of a wrapper into the names, behind the first ``place`` parts."""

    def rename(name):
        parts = name.split(".")
        return ".".join([*parts[:place], part, *parts[place:]])

    return lambda tensors: {rename(name): tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@pytest.mark.parametrize(
    ("wrap", "notes"),
    [
        (in_averaged_model, ["left out 'n_averaged', and 'module.' of the names: the weights are the average"]),
        (with_inner("_orig_mod", 1), ["removed '_orig_mod.' from the names, which torch.compile adds"]),
        (with_inner("_fsdp_wrapped_module", 0), ["removed '_fsdp_wrapped_module.' from the names, which FSDP adds"]),
        (with_inner("_fsdp_wrapped_module", 1), ["removed '_fsdp_wrapped_module.'"]),
        (with_inner("_checkpoint_wrapped_module", 2), ["removed '_checkpoint_wrapped_module.'"]),
        (lambda tensors: in_averaged_model(with_inner("_orig_mod", 1)(tensors)), ["left out", "_orig_mod"]),
        (lambda tensors: with_inner("module", 0)(with_inner("_orig_mod", 0)(tensors)), ["_orig_mod", "module."]),
        (dict, []),
    ],
)
def test_what_wrappers_add_to_names_is_removed_with_a_line_that_says_so(
    tmp_path, tensors, monkeypatch, wrap, notes, suffix
):
    monkeypatch.setattr(sys, "executable", OF_MODULES)
    source, told = tmp_path / f"line.{suffix}", []
    wrapped = {name: tensor.clone() for name, tensor in wrap(tensors).items()}
    save_file(wrapped, source) if suffix == "safetensors" else save(wrapped, source)
    convert(source, tmp_path / "new.safetensors", "line", {}, tiny.catalog(), tell=told.append)
    assert load_file(tmp_path / "new.safetensors").keys() == tensors.keys()
    assert len(told) == len(notes)
    assert all(note in line for note, line in zip(notes, told, strict=True)), told


def test_two_tensors_of_one_name_without_wrappers_are_refused(tmp_path, tensors, converted):
    more = {"layers._orig_mod.0.weight": tensors["layers.0.weight"].clone(), **tensors}
    save_file(more, tmp_path / "a.safetensors")
    with pytest.raises(BadFile, match=r"two tensors are called 'layers\.0\.weight' without the names of wrappers"):
        converted(tmp_path / "a.safetensors")


@pytest.fixture
def sharded(tmp_path, tensors):
    """The index of a model in two files."""
    names = list(tensors)
    files = [f"line-0000{number}-of-00002.safetensors" for number in (1, 2)]
    listed = {name: files[number % 2] for number, name in enumerate(names)}
    for file in files:
        save_file({name: tensors[name].clone() for name in names if listed[name] == file}, tmp_path / file)
    index = tmp_path / "line.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": listed}))
    return index


def test_the_files_of_a_sharded_model_are_joined(tmp_path, tensors, sharded, converted):
    joined = load_file(converted(sharded))
    assert all(torch.equal(joined[name], tensor) for name, tensor in tensors.items())
    assert read_header(tmp_path / "new.safetensors").metadata["converted"]["file"] == sharded.name


def test_one_file_of_a_sharded_model_is_refused_with_its_names_and_the_index(tmp_path, sharded, converted):
    with pytest.raises(BadFile) as refused:
        converted(tmp_path / "line-00001-of-00002.safetensors")
    assert "or give the index, *.safetensors.index.json" in refused.value.hint
    assert "According to its header" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: "{", "is not JSON"),
        (lambda content: "[]", "has no weight_map"),
        (lambda content: '{"weight_map": {}}', "has no weight_map"),
        (lambda content: '{"weight_map": {"a": 5}}', "has no weight_map"),
        (lambda content: content.replace("line-00001", "../line-00001"), "should list files beside it"),
        (lambda content: content.replace("line-00001", "/etc/line-00001"), "should list files beside it"),
        (lambda content: content.replace("00001-of-00002.safetensors", "00001-of-00002.pt"), "should list files"),
        (lambda content: content.replace("line-00001", "line-00009"), "which is not beside it"),
        (lambda content: content.replace('"layers.0.weight"', '"layers.0.other"'), "lists there"),
        (lambda content: content.replace("line-00001-of-00002", "line-00002-of-00002"), "lists there"),
        (lambda content: "[" * 100_000, "is not JSON"),
    ],
)
def test_a_damaged_index_is_refused(tmp_path, sharded, converted, change, message):
    sharded.write_text(change(sharded.read_text()))
    with pytest.raises(BadFile, match=message) as caught:
        converted(sharded)
    assert caught.value.hint
    assert not (tmp_path / "new.safetensors").exists()


def test_what_does_not_fit_is_reported_with_the_names_that_the_file_has(tmp_path, converted):
    save_file({f"t{number}": torch.zeros(1) for number in range(12)}, tmp_path / "a.safetensors")
    with pytest.raises(BadFile) as refused:
        converted(tmp_path / "a.safetensors")
    assert refused.value.hint == (
        "The file has 't0', 't1', 't10', 't11', 't2', 't3', 't4', 't5', 't6', 't7' and 2 more. "
        "Check --model and its settings."
    )
    assert "header" not in str(refused.value)


def test_the_advice_of_pytorch_to_load_a_pickle_nevertheless_is_not_repeated(tmp_path, converted):
    save({"a": Touches(tmp_path / "touched")}, tmp_path / "evil.pt")
    with pytest.raises(BadFile) as refused:
        converted(tmp_path / "evil.pt")
    text = str(refused.value)
    assert "which is no tensor" in text
    assert not re.search("trust|two options|weights_only|safe_globals|False", text), text


def test_a_name_that_no_file_of_zoo_can_have_is_one_of_the_given_file(tmp_path, tensors):
    source = tmp_path / "line.safetensors"
    save_file({**tensors, "\x1b[31mbar": torch.zeros(1)}, source)
    with pytest.raises(BadFile) as caught:
        convert(source, tmp_path / "out.safetensors", "line", {}, tiny.catalog())
    assert caught.value.message == rf"{source} holds a tensor with the invalid name '\x1b[31mbar'."
    assert r"'\x1b[31mbar'" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [("", "is a folder, but should be a file.", "the index"), ("no.pt", "no.pt does not exist.", "Check the name")],
)
def test_what_is_no_file_is_refused_as_what_it_is(tmp_path, name, message, hint):
    with pytest.raises(BadFile, match=message) as caught:
        convert(tmp_path / name, tmp_path / "out.safetensors", "line", {}, tiny.catalog())
    assert hint in caught.value.hint
