"""Headers of weights files: read without torch, and refused if they are invalid."""

import functools
import json
import struct
import subprocess
import sys
from importlib.metadata import version

import pickles
import pytest
import strange_models
import tiny
import torch
from safetensors.torch import save_file

from zoo_core.errors import BadFile
from zoo_core.weights.format import write
from zoo_core.weights.header import read_header
from zoo_core.weights.metadata import sizes


def test_the_header_describes_the_run(tmp_path):
    tiny.train(tmp_path / "run", "run.steps=5", "run.seed=7", "model.inputs=3")
    header = read_header(tmp_path / "run" / "model.safetensors")
    metadata = header.metadata
    assert (metadata["format"], metadata["model"], metadata["config"]) == (1, "line", {"inputs": 3})
    assert (metadata["step"], metadata["seed"], metadata["recipe"]["name"]) == (5, 7, "line")
    assert metadata["recipe"]["trainer"]["learning_rate"] == 1e-2  # a default, written out
    assert metadata["metrics"].keys() == {"error", "error/points"}
    assert metadata["protocol"] == "Mean absolute error of the heights"
    assert metadata["versions"]["torch"] == version("torch")
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert metadata["dataset"] == environment["data"]["fingerprint"]
    assert (metadata["git"], metadata["plugins"]) == (environment["git"], environment["plugins"])
    zoo = version("zoo-core")
    assert header.summary() == f"model 'line', trained by the recipe 'line', 5 steps, zoo {zoo}"


def test_a_metric_that_is_nan_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(
        tiny.LineTrainer, "evaluate", lambda self, evaluation, training: {"error": 0.5, "missing": float("nan")}
    )
    with pytest.warns(UserWarning, match="evaluated on the test split at step 2, missing is nan"):
        tiny.train(tmp_path / "run", "run.steps=2")
    assert read_header(tmp_path / "run" / "model.safetensors").metadata["metrics"] == {"error": 0.5}


def test_tensors_are_listed_with_type_and_shape(file, tensors):
    header = read_header(file({"layers.0.weight": tensors["layers.0.weight"].half()}))
    assert header.tensors["layers.0.weight"] == ("F16", (4, 3))
    assert header.tensors["layers.1.num_batches_tracked"] == ("I64", ())
    assert header.elements == sum(one.numel() for one in tensors.values() if one.is_floating_point())


def test_parameters_are_told_from_buffers(tmp_path, file):
    run = tiny.train(tmp_path / "run", "run.steps=2")
    for path in (run.folder.weights, file()):  # the second does not state it, as older files
        header = read_header(path)
        assert (header.parameters, header.trainable_parameters) == (run.model.count_parameters(),) * 2
        assert header.buffers == 4 + 4 + 1  # mean, variance and count of the batch normalization
        described = header.describe()
        assert (described["parameters"], described["buffers"]) == (29, 9)
        assert "trainable" not in described


def test_tied_parameters_count_once_and_frozen_ones_are_stated(tmp_path):
    model = strange_models.Tied.from_settings({})
    model.embedding.weight.requires_grad_(False)
    model.scale = torch.nn.Parameter(torch.ones(3))
    model.register_buffer("mask", torch.ones(5))
    model.register_buffer("cache", torch.ones(50), persistent=False)
    write(tmp_path / "tied.safetensors", model.state_dict(), {"model": "tied", "config": {}, **sizes(model)})
    header = read_header(tmp_path / "tied.safetensors")
    assert (header.parameters, header.trainable_parameters, header.buffers) == (4 * 7 + 3, 3, 5)
    assert header.describe()["trainable"] == 3


def test_sizes_that_the_file_cannot_hold_are_not_believed(file):
    header = read_header(file(metadata={**tiny.METADATA, "parameters": 10**9, "trainable_parameters": 1, "buffers": 0}))
    assert (header.parameters, header.buffers) == (29, 9)


def test_a_header_is_read_without_torch(file):
    program = (
        "import sys; from pathlib import Path; from zoo_core.weights.header import read_header\n"
        "print(read_header(Path(sys.argv[1])).summary(), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, file()], capture_output=True, text=True, check=True)
    assert done.stdout == "model 'line' False\n"


def test_a_header_of_any_length_is_not_mistaken_for_a_pickle(file):
    """The file starts with the length in eight bytes; that of 640 equals the start of a pickle of protocol 2."""
    lengths = {}
    for padding in range(0, 1300, 8):
        path = file(metadata={**tiny.METADATA, "note": "x" * padding})
        lengths[int.from_bytes(path.read_bytes()[:8], "little")] = read_header(path).metadata["note"]
    assert {0x0280, 0x0380, 0x0480, 0x0580} & lengths.keys()


@pytest.mark.parametrize("ending", [".pt", ".pth", ".bin", ".ckpt", ".pkl", ".PT"])
def test_a_pickle_is_refused_by_its_suffix(tmp_path, ending):
    path = tmp_path / f"model{ending}"
    path.write_bytes(b"cos\nsystem\n(S'touch /tmp/owned'\ntR.")
    with pytest.raises(BadFile, match="is a pickle, which can execute arbitrary code when loaded") as refused:
        read_header(path)
    assert refused.value.hint.endswith(f"zoo weights convert {path} --model NAME -o NEW.safetensors")


@pytest.mark.parametrize(
    "write",
    [pickles.save, functools.partial(pickles.save, archive=False), pickles.save_plain],
    ids=["zip", "legacy", "plain"],
)
def test_a_pickle_with_another_suffix_is_refused_by_its_first_bytes(tmp_path, write):
    path = tmp_path / "model.safetensors"
    write({"w": torch.zeros(2)}, path)
    with pytest.raises(BadFile, match=r"model\.safetensors is a pickle"):
        read_header(path)


def test_a_file_that_is_not_safetensors_is_refused(file, tmp_path):
    (tmp_path / "text.safetensors").write_text("hello, this is text")
    (tmp_path / "empty.safetensors").write_bytes(b"")
    data = file().read_bytes()
    (tmp_path / "half.safetensors").write_bytes(data[: len(data) // 2])
    (tmp_path / "short.safetensors").write_bytes(data[:-1])
    for name in ("text", "empty", "half", "short"):
        with pytest.raises(BadFile, match=rf"{name}\.safetensors is not a safetensors file"):
            read_header(tmp_path / f"{name}.safetensors")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(BadFile, match=r"nowhere\.safetensors does not exist"):
        read_header(tmp_path / "nowhere.safetensors")
    with pytest.raises(BadFile, match="is a folder, but should be a file"):
        read_header(tmp_path)


def test_a_header_that_is_too_long_is_not_read(tmp_path):
    path = tmp_path / "long.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 2**25))
        file.truncate(2**25 + 8)  # sparse
    with pytest.raises(BadFile, match=r"has a header of 33,554,432 bytes, but zoo reads at most 16,777,216"):
        read_header(path)


NESTED = "[" * 200_000


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "does not name the model that it is for"),
        ({"format": "pt"}, "does not name the model that it is for"),
        ({"zoo": "{"}, "its header is damaged: "),
        ({"zoo": NESTED}, "its header is damaged: it is nested too deeply"),
        ({"zoo": json.dumps({"format": 99})}, "a format other than 1"),
        ({"zoo": json.dumps(tiny.METADATA)}, "a format other than 1"),
        ({"zoo": "[]"}, "a format other than 1"),
        ({"zoo": '{"format": 1, "metrics": {"error": NaN}}'}, "its header is damaged: it holds NaN"),
        ({"zoo": '{"format": 1, "model": "line", "metrics": {"error": "low"}}'}, r"damaged: metrics\.error is a str"),
        ({"zoo": '{"format": 1, "metrics": [1]}'}, "damaged: metrics is a list"),
        ({"zoo": '{"format": 1, "model": ["line"]}'}, "damaged: model is a list"),
        ({"zoo": '{"format": 1, "config": 5}'}, "damaged: config is an int"),
        ({"zoo": '{"format": 1, "recipe": "line"}'}, "damaged: recipe is a str"),
        ({"zoo": '{"format": 1, "versions": []}'}, "damaged: versions is a list"),
        ({"zoo": '{"format": 1, "step": "many"}'}, "damaged: step is a str"),
        ({"zoo": '{"format": 1, "step": true}'}, "damaged: step is a bool"),
        ({"zoo": '{"format": 1, "license": {}}'}, "damaged: license is a dict"),
        (
            {"zoo": '{"format": 1, "model": "line", "recipe": {"name": "../x"}}'},
            r"its recipe has the invalid name '\.\./x'\.",
        ),
        ({"zoo": '{"format": 1, "model": "line", "recipe": {"name": "/x"}}'}, "its recipe has the invalid name '/x'"),
        ({"zoo": '{"format": 1, "model": "line", "recipe": {"name": 5}}'}, "its recipe has the invalid name 5"),
        ({"zoo": '{"format": 1, "git": "abc"}'}, "damaged: git is a str"),
    ],
    ids=lambda value: None if value is None or isinstance(value, str) else str(value)[:50],
)
def test_invalid_metadata_is_refused(tmp_path, tensors, metadata, message):
    save_file(tensors, tmp_path / "invalid.safetensors", metadata)
    with pytest.raises(BadFile, match=message):
        read_header(tmp_path / "invalid.safetensors")


def test_an_unknown_key_is_kept(file):
    assert read_header(file(metadata={**tiny.METADATA, "extra": "value"})).metadata["extra"] == "value"


def test_the_description_omits_what_is_missing_in_the_file(file):
    description = read_header(file()).describe()
    assert description["model"] == "line"
    assert description["stored as"] == "F32, I64"
    assert description["settings"] == [{"key": "model.inputs", "value": 3, "set in": "the file"}]
    assert not {"seed", "license", "steps", "commit"} & description.keys()


@pytest.mark.parametrize(("count", "refused"), [(20_000, False), (20_001, True), (100_000, True)])
def test_a_header_of_too_many_tensors_is_refused(tmp_path, count, refused):
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    members = {"__metadata__": {"zoo": json.dumps({"format": 1, "model": "line"})}}
    header = json.dumps({**members, **{str(number): empty for number in range(count)}}).encode()
    (tmp_path / "many.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    if not refused:
        assert len(read_header(tmp_path / "many.safetensors").tensors) == count
        return
    with pytest.raises(BadFile, match=f"has {count:,} tensors, but zoo reads at most 20,000 of a file"):
        read_header(tmp_path / "many.safetensors")
