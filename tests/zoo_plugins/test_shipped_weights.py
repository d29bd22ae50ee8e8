"""The weights that come with zoo are what the registries say, and do what they are for."""

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


def test_the_models_people_ask_for_are_there():
    names = {"clsgan-mnist", "digit-classifier-mnist", "unet-moving-mnist", "unet-digit-scenes"}
    assert names <= {entry.name for entry in ENTRIES}


def test_all_together_fit_into_a_wheel():
    assert sum(local_path(entry).stat().st_size for entry in ENTRIES) <= 15 * 2**20


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_file_says_what_its_entry_says(entry):
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
def test_a_recipe_in_a_file_still_resolves(entry):
    from zoo_core.registry.catalog import default
    from zoo_core.registry.resolve import resolve
    from zoo_core.tools.evaluate import recipe_of

    assert resolve(recipe_of(read_header(local_path(entry))), default()).keys() == {"model", "dataset", "trainer"}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_loaded_they_are_ready_for_use(entry):
    model = zoo.load(entry.name)
    assert not model.training
    assert all(tensor.isfinite().all() for tensor in model.state_dict().values())
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


def test_the_digits_drawn_are_those_asked_for():
    labels = [label for label in range(10) for _ in range(20)]
    images = zoo.load("clsgan-mnist").predict(labels=labels, seed=3)["image"]
    read = zoo.load("digit-classifier-mnist").predict(images)["label"]
    assert sum(one == other for one, other in zip(read, labels, strict=True)) >= 190
    fives = images[100:120].flatten(1)
    assert torch.cdist(fives, fives).add(torch.eye(20) * 100).min() > 2, "two fives are nearly the same"


def test_the_page_of_models_is_what_the_registries_say():
    words = [sys.executable, str(ROOT / "scripts" / "make_model_table.py"), "--check"]
    done = subprocess.run(words, cwd=ROOT)
    assert done.returncode == 0, "write it anew: python scripts/make_model_table.py"
