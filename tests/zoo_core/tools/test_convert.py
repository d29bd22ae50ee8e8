"""Weights from elsewhere: tensors are taken out of a pickle in a process of its own, and nothing else is."""

import hashlib
import sys

import pytest
import tiny
import torch
from pickles import Touches, read_trustingly, save, save_plain
from safetensors.torch import load_file, save_file

from zoo_core.errors import BadFile, BadSetting, UnknownName
from zoo_core.tools.convert import convert
from zoo_core.weights.header import read_header
from zoo_core.weights.load import load


@pytest.fixture
def converted(tmp_path):
    """A way to convert a file into ``new.safetensors``."""

    def converted(source, key="", **settings):
        return convert(source, tmp_path / "new.safetensors", "line", settings, tiny.catalog(), key)

    return converted


def assert_nothing_was_written(tmp_path, *given):
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(given)


def test_the_tensors_of_a_pickle_load_afterwards_and_say_what_they_were_made_from(
    tmp_path, tensors, converted, monkeypatch
):
    monkeypatch.delitem(sys.modules, "zoo_core.tools.unpickle", raising=False)
    save(tensors, tmp_path / "line.bin")
    path = converted(tmp_path / "line.bin", inputs=3)
    assert "zoo_core.tools.unpickle" not in sys.modules  # it was another process that read it
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
    """As a script saves a compiled model that runs on several devices."""
    weights = {f"_orig_mod.module.{name}": tensor for name, tensor in tensors.items()}
    return {"trainer": {"weights": weights}, "epoch": 3}


def test_what_training_wrapped_around_a_model_is_taken_off_and_a_key_says_where_it_lies(tmp_path, tensors, converted):
    save(wrapped(tensors), tmp_path / "line.ckpt")
    assert load_file(converted(tmp_path / "line.ckpt", "trainer.weights")).keys() == tensors.keys()


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_prefixes_of_wrappers_are_stripped_off_a_safetensors_file_too(tmp_path, tensors, converted, prefix):
    save_file({prefix + name: tensor for name, tensor in tensors.items()}, tmp_path / "line.safetensors")
    assert load_file(converted(tmp_path / "line.safetensors")).keys() == tensors.keys()


def test_a_safetensors_file_without_a_story_gets_one(tmp_path, tensors, converted):
    save_file(tensors, tmp_path / "mute.safetensors", {"format": "pt"})
    model, _ = load(converted(tmp_path / "mute.safetensors"), tiny.catalog())
    assert torch.equal(model.layers[0].weight, tensors["layers.0.weight"])


@pytest.mark.parametrize("among_tensors", [False, True])
def test_a_malicious_pickle_is_refused_and_runs_nothing(tmp_path, tensors, converted, among_tensors):
    mark, path = tmp_path / "owned", tmp_path / "evil.pt"
    evil = {**tensors, "extra": Touches(mark)} if among_tensors else Touches(mark)
    save(evil, path)
    with pytest.raises(BadFile, match=r"evil\.pt can't be converted: UnpicklingError: Weights only load failed"):
        converted(path)
    assert_nothing_was_written(tmp_path, "evil.pt")
    read_trustingly(path)  # it would have done harm
    assert mark.exists()


def test_a_plain_malicious_pickle_by_the_name_of_safetensors_runs_nothing_either(tmp_path, converted):
    path = tmp_path / "evil.safetensors"
    save_plain(Touches(tmp_path / "owned"), path)
    with pytest.raises(BadFile, match="can't be converted: "):
        converted(path)
    assert_nothing_was_written(tmp_path, "evil.safetensors")


def test_a_pickle_by_the_name_of_safetensors_is_converted_as_the_refusal_to_load_it_says(tmp_path, tensors, converted):
    save(tensors, tmp_path / "line.safetensors")
    with pytest.raises(BadFile, match="is a pickle"):
        load(tmp_path / "line.safetensors", tiny.catalog())
    assert load_file(converted(tmp_path / "line.safetensors")).keys() == tensors.keys()


def test_a_module_that_lies_beside_the_file_is_not_imported(tmp_path, tensors, converted, monkeypatch):
    save(tensors, tmp_path / "line.pt")
    for name in ("torch", "safetensors", "collections"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'owned')!r}, 'w')\nraise SystemExit('owned')\n")
    monkeypatch.chdir(tmp_path)
    converted(tmp_path / "line.pt")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("held", "key", "said"),
    [
        ({"epoch": 3, "model": {}}, "", "it holds 'epoch' (int), 'model' (dict); say which of them with --key"),
        ({"epoch": 3}, "state_dict", "it has no 'state_dict'; it has 'epoch' (int)"),
        ({"model": {"w": 5}}, "model.w", "it holds a int; say which of them with --key"),
        ([torch.zeros(2)], "", "it holds a list; say which of them with --key"),
        ({}, "", "it holds nothing; say which of them with --key"),
    ],
)
def test_a_file_whose_tensors_lie_elsewhere_shows_what_it_holds(tmp_path, held, key, said):
    from zoo_core.tools import unpickle

    save(held, tmp_path / "a.pt")
    with pytest.raises(SystemExit) as refused:
        unpickle.main(str(tmp_path / "a.pt"), str(tmp_path / "out"), key)
    assert refused.value.code == said
    assert_nothing_was_written(tmp_path, "a.pt")


def test_what_the_reader_says_is_said_by_who_asked(tmp_path, converted):
    save({"epoch": 3}, tmp_path / "a.pt")
    with pytest.raises(BadFile) as refused:
        converted(tmp_path / "a.pt", "state_dict")
    expected = f"{tmp_path / 'a.pt'} can't be converted: it has no 'state_dict'; it has 'epoch' (int)."
    assert refused.value.message == expected
    assert_nothing_was_written(tmp_path, "a.pt")


def test_a_file_that_is_no_pickle_is_refused_in_one_line(tmp_path, converted):
    (tmp_path / "a.pt").write_text("hello")
    with pytest.raises(BadFile, match=r"a\.pt can't be converted: \w+Error: .*") as refused:
        converted(tmp_path / "a.pt")
    assert "\n" not in refused.value.message
    (tmp_path / "a.safetensors").write_text("hello, this is a text")
    with pytest.raises(BadFile, match=r"a\.safetensors is not a safetensors file"):
        converted(tmp_path / "a.safetensors")


def test_what_does_not_fit_the_model_is_refused_and_not_written(tmp_path, tensors, converted):
    save_file({**tensors, "layers.0.weight": torch.zeros(4, 9)}, tmp_path / "a.safetensors")
    with pytest.raises(BadFile) as refused:
        converted(tmp_path / "a.safetensors")
    expected = f"{tmp_path / 'a.safetensors'}: 'layers.0.weight' has shape (4, 9), but Line has (4, 3)."
    assert refused.value.message == expected
    assert_nothing_was_written(tmp_path, "a.safetensors")


def test_the_model_and_its_settings_must_be_known(tmp_path, tensors):
    save_file(tensors, tmp_path / "a.safetensors")
    source, output = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    with pytest.raises(UnknownName, match="no model is called 'lien'"):
        convert(source, output, "lien", {}, tiny.catalog())
    with pytest.raises(BadSetting, match=r"model\.input: model 'line' has no such setting"):
        convert(source, output, "line", {"input": 3}, tiny.catalog())
    with pytest.raises(BadFile, match=r"nowhere\.pt does not exist"):
        convert(tmp_path / "nowhere.pt", output, "line", {}, tiny.catalog())
    assert_nothing_was_written(tmp_path, "a.safetensors")


def test_nothing_is_overwritten_and_no_name_is_given_that_would_not_be_read(tmp_path, tensors):
    save_file(tensors, tmp_path / "a.safetensors")
    before = (tmp_path / "a.safetensors").read_bytes()
    with pytest.raises(BadFile, match="is there already, and nothing is overwritten"):
        convert(tmp_path / "a.safetensors", tmp_path / "a.safetensors", "line", {}, tiny.catalog())
    with pytest.raises(BadSetting, match=r"b\.pt should end in \.safetensors"):
        convert(tmp_path / "a.safetensors", tmp_path / "b.pt", "line", {}, tiny.catalog())
    assert (tmp_path / "a.safetensors").read_bytes() == before
    assert_nothing_was_written(tmp_path, "a.safetensors")


def test_a_key_into_a_file_that_has_no_parts_is_refused(tmp_path, tensors):
    save_file(tensors, tmp_path / "plain.safetensors")
    with pytest.raises(BadSetting, match="holds tensors right away, so --key state says nothing"):
        convert(tmp_path / "plain.safetensors", tmp_path / "new.safetensors", "line", {}, tiny.catalog(), "state")
