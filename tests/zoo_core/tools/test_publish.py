"""Publishing the weights of a run: the files written, the errors, and that the printed registry entry works."""

import json
import re
import shutil
import warnings

import pytest
import tiny
import torch
import yaml

from zoo_core.errors import BadFile, BadSetting
from zoo_core.tools.evaluate import evaluate
from zoo_core.tools.publish import name_of, publish
from zoo_core.weights.format import read_tensors, write
from zoo_core.weights.header import read_header
from zoo_core.weights.load import load


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run of twenty steps, with a preview every ten."""
    folder = tmp_path_factory.mktemp("publishing") / "run"
    tiny.train(folder, "run.steps=20")
    return folder


@pytest.fixture
def published(run, tmp_path):
    """A function that publishes the run as ``line.safetensors``."""

    def published(license="Apache-2.0", output=tmp_path / "line.safetensors", **arguments):
        return publish(run, license, output, tiny.catalog(), **arguments)

    return published


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_weights_file_a_card_and_a_preview_are_written(run, published, tmp_path):
    done = published()
    assert names_in(tmp_path) == ["line.md", "line.png", "line.safetensors"]
    assert (done.weights.name, done.card.name, done.preview.name) == ("line.safetensors", "line.md", "line.png")
    assert done.preview.read_bytes() == (run / "previews" / "step-000020.png").read_bytes()  # the newest
    ours, theirs = read_tensors(run / "model.safetensors"), read_tensors(done.weights)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_metadata_are_those_of_the_run_and_the_license(run, published):
    before, after = (read_header(path).metadata for path in (run / "model.safetensors", published("CC-BY-4.0").weights))
    assert after == {**before, "license": "CC-BY-4.0"}
    needed = {
        "model", "config", "recipe", "versions", "plugins", "dataset", "seed", "step", "metrics", "protocol", "license",
        "git",
    }  # fmt: skip
    assert needed <= after.keys()


def test_missing_metadata_of_an_older_run_are_filled_in(run, tmp_path):
    old = tmp_path / "old"
    old.mkdir()
    (old / "environment.json").write_bytes((run / "environment.json").read_bytes())
    metadata = read_header(run / "model.safetensors").metadata
    short = {key: value for key, value in metadata.items() if key not in ("dataset", "plugins", "git", "protocol")}
    write(old / "model.safetensors", read_tensors(run / "model.safetensors"), short)
    done = publish(old, "MIT", tmp_path / "line.safetensors", tiny.catalog())
    assert read_header(done.weights).metadata == {**metadata, "license": "MIT"}
    assert done.preview is None
    assert "line.png" not in names_in(tmp_path)


def test_the_printed_entry_works_in_a_registry_file(run, published, tmp_path):
    done = published(name="my-line", summary="Draws a line: through points")
    (tmp_path / "registry.yaml").write_text(done.as_yaml("my-line"))
    here = tiny.catalog(tmp_path / "registry.yaml")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model, _ = load("my-line", here)
    assert torch.equal(model.layers[0].weight, read_tensors(run / "model.safetensors")["layers.0.weight"])
    listed = here.weights.find("my-line").listed
    assert (listed.model, listed.recipe, listed.license) == ("line", "line", "Apache-2.0")
    assert (listed.location, listed.size) == ("line.safetensors", done.weights.stat().st_size)
    assert listed.summary == "Draws a line: through points"
    assert listed.metrics.keys() == {"error"}  # a detail such as error/points is in the weights file only
    assert listed.metrics["error"] == pytest.approx(read_header(done.weights).metadata["metrics"]["error"], rel=1e-3)
    assert evaluate("my-line", here, [], tolerance=0).match


@pytest.mark.parametrize("name", ["line@1.0", "2026", "null", "true", "1e5", "a.b-c_d+e"])
def test_an_entry_with_any_valid_name_works_in_a_registry_file(published, tmp_path, name):
    (tmp_path / "registry.yaml").write_text(published(name=name).as_yaml(name))
    assert type(load(name, tiny.catalog(tmp_path / "registry.yaml"))[0]) is tiny.Line


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_metrics_of_half_precision_weights_are_measured_with_the_rounded_weights(run, published, dtype):
    original = read_header(run / "model.safetensors").metadata["metrics"]
    done = published(dtype=dtype)
    tensors = read_tensors(done.weights)
    assert {tensors[name].dtype for name in tensors if "tracked" not in name} == {getattr(torch, dtype)}
    assert tensors["layers.1.num_batches_tracked"].dtype == torch.int64
    metrics = read_header(done.weights).metadata["metrics"]
    assert metrics["error"] != original["error"]
    assert metrics["error"] == pytest.approx(original["error"], rel=0.1)
    assert evaluate(done.weights, tiny.catalog(), [], tolerance=0).match  # to the last digit
    assert done.entry["metrics"]["error"] == float(f"{metrics['error']:.4g}")
    assert done.weights.stat().st_size < (run / "model.safetensors").stat().st_size


def test_weights_that_keep_their_precision_are_not_evaluated_again(run, published, monkeypatch):
    monkeypatch.setattr(tiny.LineTrainer, "evaluate", lambda self, evaluation, training: 1 / 0)
    done = published(dtype="float32")
    assert read_header(done.weights).metadata["metrics"] == read_header(run / "model.safetensors").metadata["metrics"]


def test_the_card_has_usage_metrics_and_provenance(run, published):
    done = published("CC-BY-4.0", name="my-line", summary="Draws a line")
    text = done.card.read_text()
    metadata = read_header(done.weights).metadata
    assert text.startswith("---\nlicense: cc-by-4.0\nlibrary_name: zoo-core\n---\n\n# my-line\n\nDraws a line\n")
    for part in (
        "![Preview](line.png)",
        'zoo.load("my-line")',
        'zoo.load("line.safetensors")',
        f"| error | {metadata['metrics']['error']:.4g} |",
        "Mean absolute error of the heights",
        "zoo eval line.safetensors",
        "zoo reproduce line.safetensors",
        "seed 0, 20 steps",
        "| dataset | `points`, fingerprint " + metadata["dataset"],
        "| license | CC-BY-4.0 |",
        "| model | `line`, ",
        f"torch {metadata['versions']['torch']}",
    ):
        assert part in text, part
    assert "error/points" not in text
    assert "None" not in text


@pytest.mark.parametrize("license", ["", " ", "Apache 2.0", "proprietary!", "MIT\nlocation: elsewhere", "-"])
def test_an_invalid_license_is_refused_and_nothing_is_written(published, tmp_path, license):
    with pytest.raises(BadSetting, match="is not a valid license") as refused:
        published(license)
    assert refused.value.hint == "Write an SPDX identifier, such as Apache-2.0 or CC-BY-4.0."
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("license", ["MIT", "GPL-2.0-only WITH Classpath-exception-2.0", "MIT OR Apache-2.0"])
def test_a_license_may_be_any_spdx_expression_without_parentheses(published, license):
    assert published(license).entry["license"] == license


@pytest.mark.parametrize("there", ["line.safetensors", "line.md", "line.png"])
def test_an_existing_file_is_never_overwritten(published, tmp_path, there):
    (tmp_path / there).write_text("years of work")
    with pytest.raises(BadFile, match=rf"{re.escape(there)} already exists, and is not overwritten"):
        published()
    assert names_in(tmp_path) == [there]
    assert (tmp_path / there).read_text() == "years of work"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dtype": "int8"}, "dtype is 'int8', but should be one of float32, float16, bfloat16."),
        ({"name": "my line"}, "'my line' is not a valid name"),
        ({"name": "../line"}, "'../line' is not a valid name"),
    ],
)
def test_an_invalid_argument_writes_nothing(published, tmp_path, arguments, message):
    with pytest.raises(BadSetting) as refused:
        published(**arguments)
    assert message in refused.value.message
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("output", ["line.pt", "line", "line.md", "line.png"])
def test_an_output_file_with_another_extension_is_refused(published, tmp_path, output):
    with pytest.raises(BadSetting, match=r"should end in \.safetensors"):
        published(output=tmp_path / output)
    assert names_in(tmp_path) == []


def test_a_tensor_with_values_too_large_for_float16_keeps_its_precision(run, tmp_path):
    wide = tmp_path / "wide"
    wide.mkdir()
    (wide / "environment.json").write_bytes((run / "environment.json").read_bytes())
    tensors = {**read_tensors(run / "model.safetensors"), "layers.2.bias": torch.tensor([1e5])}
    write(wide / "model.safetensors", tensors, read_header(run / "model.safetensors").metadata)
    done = publish(wide, "MIT", tmp_path / "line.safetensors", tiny.catalog(), dtype="float16")
    stored = read_tensors(done.weights)
    assert torch.equal(stored["layers.2.bias"], torch.tensor([1e5]))
    assert {tensor.dtype for name, tensor in stored.items() if "layers.0" in name} == {torch.float16}
    done = publish(wide, "MIT", tmp_path / "other.safetensors", tiny.catalog(), dtype="bfloat16")
    assert read_tensors(done.weights)["layers.2.bias"].dtype == torch.bfloat16


def test_weights_with_nan_values_are_refused(run, tmp_path):
    not_finite = tmp_path / "not-finite"
    not_finite.mkdir()
    tensors = {**read_tensors(run / "model.safetensors"), "layers.2.bias": torch.tensor([float("nan")])}
    write(not_finite / "model.safetensors", tensors, read_header(run / "model.safetensors").metadata)
    with pytest.raises(BadFile, match=r"'layers\.2\.bias' holds NaN or infinite values, but is a parameter\."):
        publish(not_finite, "MIT", tmp_path / "line.safetensors", tiny.catalog())
    assert names_in(tmp_path) == ["not-finite"]


def test_a_run_without_a_result_is_refused(tmp_path):
    with pytest.raises(BadFile, match=r"nowhere/model\.safetensors does not exist"):
        publish(tmp_path / "nowhere", "MIT", tmp_path / "line.safetensors", tiny.catalog())
    with pytest.raises(BadFile, match="does not exist"):
        name_of(tmp_path / "nowhere")
    assert names_in(tmp_path) == []


def test_the_default_name_is_that_of_the_recipe(run, published):
    assert name_of(run) == "line"
    assert "# line\n" in published().card.read_text()


def test_the_entry_is_standard_yaml(published):
    done = published(location="https://example.com/line.safetensors")
    read = yaml.safe_load(done.as_yaml("my-line"))
    assert read == {"weights": {"my-line": json.loads(json.dumps(done.entry))}}
    assert read["weights"]["my-line"]["location"] == "https://example.com/line.safetensors"


def test_a_run_that_was_stopped_is_not_published(run, tmp_path):
    stopped = tmp_path / "stopped"
    stopped.mkdir()
    metadata = {**read_header(run / "model.safetensors").metadata, "step": 7}
    write(stopped / "model.safetensors", read_tensors(run / "model.safetensors"), metadata)
    with pytest.raises(BadFile, match="was stopped after 7 of 20 steps") as refused:
        publish(stopped, "Apache-2.0", tmp_path / "line.safetensors", tiny.catalog())
    assert refused.value.hint == f"Resume it: zoo run --resume {stopped}"
    assert names_in(tmp_path) == ["stopped"]


def test_a_stopped_run_of_epochs_is_not_published(run, tmp_path):
    stopped = tmp_path / "stopped"
    stopped.mkdir()
    original = read_header(run / "model.safetensors").metadata
    metadata = {**original, "step": 7, "recipe": {**original["recipe"], "run": {"epochs": 1}}}
    write(stopped / "model.safetensors", read_tensors(run / "model.safetensors"), metadata)
    with pytest.raises(BadFile, match=r"sessions\.json is missing, so the number of steps of the run is unknown"):
        publish(stopped, "Apache-2.0", tmp_path / "line.safetensors", tiny.catalog())
    shutil.copy(run / "sessions.json", stopped)
    with pytest.raises(BadFile, match="was stopped after 7 of 20 steps"):
        publish(stopped, "Apache-2.0", tmp_path / "line.safetensors", tiny.catalog())
    assert names_in(tmp_path) == ["stopped"]
