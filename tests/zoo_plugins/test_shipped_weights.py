"""The bundled weights: their files match the registry, they load, and the GAN's digits have the given labels."""

import subprocess
import sys

import pytest
import torch
from repository import ROOT

import zoo_core as zoo
from zoo_core.registry.catalog import Catalog
from zoo_core.weights.cache import local_path
from zoo_core.weights.header import read_header

WEIGHTS = Catalog().weights
ENTRIES = [entry for entry in (WEIGHTS.get(*key) for key in WEIGHTS) if "zoo_plugins" in entry.file.parts]


def test_the_expected_weights_are_bundled():
    names = {"clsgan-mnist", "digit-classifier-mnist", "unet-moving-mnist", "unet-digit-scenes"}
    assert names <= {entry.name for entry in ENTRIES}


def test_all_files_together_have_at_most_15_mib():
    assert sum(local_path(entry).stat().st_size for entry in ENTRIES) <= 15 * 2**20


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_the_metadata_of_a_file_match_its_registry_entry(entry):
    metadata = read_header(local_path(entry)).metadata
    listed = entry.listed
    assert (metadata["model"], metadata["recipe"]["name"], metadata["license"]) == (
        listed.model,
        listed.recipe,
        listed.license,
    )
    assert listed.size == local_path(entry).stat().st_size
    assert metadata["protocol"]
    assert metadata["dataset"]
    assert listed.metrics
    for name, value in listed.metrics.items():
        assert value == pytest.approx(metadata["metrics"][name], rel=1e-3), name


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_the_recipe_in_a_file_resolves(entry):
    from zoo_core.registry.catalog import default
    from zoo_core.registry.resolve import resolve
    from zoo_core.tools.evaluate import recipe_of

    resolved = resolve(recipe_of(read_header(local_path(entry))), default())
    assert resolved.load().keys() == {"model", "dataset", "trainer"}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_loaded_models_are_in_eval_mode_finite_and_float32(entry):
    model = zoo.load(entry.name)
    assert not model.training
    assert all(tensor.isfinite().all() for tensor in model.state_dict().values())
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


def test_generated_digits_have_the_given_labels_and_differ():
    labels = [label for label in range(10) for _ in range(20)]
    images = zoo.load("clsgan-mnist").predict(labels=labels, seed=3)["image"]
    predicted = zoo.load("digit-classifier-mnist").predict(images)["label"]
    assert sum(one == other for one, other in zip(predicted, labels, strict=True)) >= 190
    fives = images[100:120].flatten(1)
    assert torch.cdist(fives, fives).add(torch.eye(20) * 100).min() > 2, "two fives are almost identical"


def test_the_table_in_docs_models_matches_the_registry():
    command = [sys.executable, str(ROOT / "scripts" / "make_model_table.py"), "--check"]
    done = subprocess.run(command, cwd=ROOT)
    assert done.returncode == 0, "write it again: python scripts/make_model_table.py"
