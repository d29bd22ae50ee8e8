"""Weights files: what is read is what was trained, and what does not fit is refused by name."""

import hashlib
import json
import subprocess
import sys
from importlib.metadata import version

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file

from zoo_core.catalog import Catalog
from zoo_core.errors import BadFile, UnknownName
from zoo_core.weights.format import write
from zoo_core.weights.header import read_header
from zoo_core.weights.store import load

STORY = {"model": "line", "config": {"inputs": 3}}


def tensors():
    torch.manual_seed(0)
    return tiny.Line(tiny.Line.Config()).state_dict()


@pytest.fixture
def file(tmp_path):
    """A way to write a weights file: ``file(changes)``, where None takes a tensor away."""

    def make(changes=None, story=STORY, name="line.safetensors"):
        changed = {key: value for key, value in {**tensors(), **(changes or {})}.items() if value is not None}
        write(tmp_path / name, changed, story)
        return tmp_path / name

    return make


def test_a_loaded_run_is_the_trained_model(tmp_path):
    run = tiny.train(tmp_path / "run", "run.steps=5")
    loaded = load(tmp_path / "run", tiny.catalog())
    assert type(loaded) is tiny.Line
    assert not loaded.training
    assert loaded.config == run.model.config
    for name, tensor in run.model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    points = torch.randn(5, 3)
    assert torch.equal(loaded(points), run.model(points))  # so the trained model is in eval mode, too


def test_the_header_tells_the_runs_story(tmp_path):
    tiny.train(tmp_path / "run", "run.steps=5", "run.seed=7", "model.inputs=3")
    story = read_header(tmp_path / "run" / "model.safetensors").story
    assert (story["format"], story["model"], story["config"]) == (1, "line", {"inputs": 3})
    assert (story["step"], story["seed"], story["recipe"]["name"]) == (5, 7, "line")
    assert story["figures"].keys() == {"error", "error/points"}
    assert story["versions"]["torch"] == version("torch")


def test_the_file_is_the_same_to_the_byte_in_every_process(file, tmp_path):
    here = file().read_bytes()
    write(tmp_path / "turned.safetensors", dict(reversed(tensors().items())), dict(reversed(STORY.items())))
    assert (tmp_path / "turned.safetensors").read_bytes() == here
    script = (
        f"import sys; sys.path.insert(0, {str(tiny.__file__).rpartition('/')[0]!r}); import test_weights as t\n"
        f"from pathlib import Path; t.write(Path({str(tmp_path / 'there')!r}), t.tensors(), t.STORY)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    assert (tmp_path / "there").read_bytes() == here


def test_tied_weights_are_written_and_read(tmp_path):
    shared = torch.arange(6.0)
    write(tmp_path / "tied.safetensors", {"encoder": shared, "decoder": shared, "bias": shared[2:4]}, STORY)
    read = load_file(tmp_path / "tied.safetensors")
    assert torch.equal(read["encoder"], shared)
    assert torch.equal(read["decoder"], shared)
    assert torch.equal(read["bias"], shared[2:4])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers.2.bias": None}, r"lacks 'layers\.2\.bias' \(1,\), which Line has"),
        ({"layers.9.bias": torch.zeros(1)}, r"has 'layers\.9\.bias', which Line does not have"),
        ({"layers.2.bias": torch.zeros(2)}, r"'layers\.2\.bias' has shape \(2,\), but Line has \(1,\)"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(file, changes, message):
    with pytest.raises(BadFile, match=message):
        load(file(changes), tiny.catalog())


def test_a_header_that_names_no_registered_model_builds_nothing(file):
    with pytest.raises(UnknownName, match=r"no model is called 'os\.system'"):
        load(file(story={**STORY, "model": "os.system"}), tiny.catalog())


def test_settings_that_the_model_does_not_know_are_the_files_fault(file):
    with pytest.raises(BadFile, match=r"line\.safetensors: model\.depth"):
        load(file(story={**STORY, "config": {"depth": 3}}), tiny.catalog())


@pytest.mark.parametrize("ending", [".pt", ".pth", ".bin", ".ckpt", ".pkl"])
def test_a_pickle_is_refused_unread(tmp_path, ending):
    path = tmp_path / f"model{ending}"
    path.write_bytes(b"cos\nsystem\n(S'touch /tmp/owned'\ntR.")
    with pytest.raises(BadFile, match="is a pickle, which runs code as it is read"):
        load(path, tiny.catalog())


def test_a_file_that_is_no_safetensors_is_refused(file, tmp_path):
    (tmp_path / "text.safetensors").write_text("hello")
    with pytest.raises(BadFile, match=r"text\.safetensors is no safetensors file"):
        load(tmp_path / "text.safetensors", tiny.catalog())
    whole = file().read_bytes()
    (tmp_path / "half.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadFile, match=r"half\.safetensors is no safetensors file"):
        load(tmp_path / "half.safetensors", tiny.catalog())


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "does not say which model it is for"),
        ({"zoo": "{"}, "its header is damaged"),
        ({"zoo": json.dumps({"format": 99})}, "another format than 1"),
        ({"zoo": "[]"}, "another format than 1"),
    ],
)
def test_a_strangers_header_is_refused(tmp_path, metadata, message):
    save_file(tensors(), tmp_path / "strange.safetensors", metadata)
    with pytest.raises(BadFile, match=message):
        load(tmp_path / "strange.safetensors", tiny.catalog())


def test_a_name_a_path_and_an_unfinished_run_that_are_not_there(tmp_path):
    with pytest.raises(UnknownName, match="no weights are called 'lien'"):
        load("lien", tiny.catalog())
    with pytest.raises(UnknownName, match=r"nowhere\.safetensors does not exist"):
        load(tmp_path / "nowhere.safetensors", tiny.catalog())
    with pytest.raises(BadFile, match=r"holds no model\.safetensors") as unfinished:
        load(tmp_path, tiny.catalog())
    assert f"zoo run --resume {tmp_path}" in unfinished.value.cure


def published(file, sha256):
    """A catalog whose user publishes ``file`` as ``my-line``."""
    registry = file.parent / "registry.yaml"
    registry.write_text(f"weights:\n  my-line: {{location: {file.name}, sha256: {sha256}}}\n")
    here = Catalog([registry], installed=False)
    here.plugins.add("tiny", tiny.Plugin())
    return here


def test_published_weights_are_found_by_name_and_checked(file):
    path = file()
    here = published(path, hashlib.sha256(path.read_bytes()).hexdigest())
    assert torch.equal(load("my-line", here).state_dict()["layers.0.weight"], tensors()["layers.0.weight"])
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(BadFile, match=r"has sha256 [0-9a-f]{64}, but should have [0-9a-f]{64}"):
        load("my-line", here)
    path.unlink()
    with pytest.raises(BadFile, match=r"line\.safetensors does not exist"):
        load("my-line", here)


def test_published_weights_without_a_sum_are_refused(file):
    with pytest.raises(BadFile, match="should have None"):
        load("my-line", published(file(), "null"))
