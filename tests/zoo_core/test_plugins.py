"""Plugins are loaded one by one: a broken one is named, and harms nobody else."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import zoo_core as zoo
from zoo_core.catalog import Catalog
from zoo_core.errors import BrokenPlugin, NameTaken, UnknownName

HEAD = "import zoo_core as zoo\n"
REGISTER = HEAD + "@zoo.hookimpl\ndef zoo_register(registry):\n    "
MODEL = "registry.model('{0}', 'somewhere:Net', summary='A net')\n"

PLUGINS = {
    "good": REGISTER + MODEL.format("good-net"),
    "missing": "import a_package_that_is_not_there\n",
    "half": REGISTER + MODEL.format("half-net") + "    raise RuntimeError('boom')\n",
    "typo": HEAD + "@zoo.hookimpl\ndef zoo_step_finshed(run):\n    pass\n",
    "leaver": "raise SystemExit(3)\n",
    "spaces": REGISTER + MODEL.format("../a net"),
    "later": REGISTER + MODEL.format("later-net"),
}


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Catalog:
    """A catalog that finds a real distribution for each of ``PLUGINS`` beside zoo's own."""
    for name, source in PLUGINS.items():
        (tmp_path / f"stranger_{name}.py").write_text(source)
        info = tmp_path / f"stranger_{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: stranger-{name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[zoo]\n{name} = stranger_{name}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Catalog()
    for name in PLUGINS:
        sys.modules.pop(f"stranger_{name}", None)


def test_each_broken_plugin_is_named_with_its_reason_and_the_others_work(catalog: Catalog) -> None:
    broken = {info.name: info.why for info in catalog.plugins.broken}

    assert set(broken) == {"missing", "half", "typo", "leaver", "spaces"}
    assert broken["missing"] == "ModuleNotFoundError: No module named 'a_package_that_is_not_there'"
    assert broken["half"] == "RuntimeError: boom"
    assert "zoo_step_finshed" in broken["typo"]
    assert "SystemExit" in broken["leaver"]
    assert {"good-net", "later-net", "clsgan"} <= {row["name"] for row in catalog.rows("models")}


def test_nothing_stays_of_a_plugin_that_fails_half_way(catalog: Catalog) -> None:
    assert "half-net" not in {row["name"] for row in catalog.rows("models")}
    assert not catalog.plugins.manager.has_plugin("half")


def test_a_name_that_a_broken_plugin_would_have_brought_says_so(catalog: Catalog) -> None:
    with pytest.raises(BrokenPlugin, match="plugin 'half' is installed but did not load: RuntimeError: boom"):
        catalog.find("model", "half-net")


def test_two_plugins_with_one_name_are_both_named_and_full_names_work(catalog: Catalog) -> None:
    catalog.plugins.add("twin", twin("good-net"))

    with pytest.raises(NameTaken) as caught:
        catalog.find("model", "good-net")

    assert str(caught.value) == (
        "2 plugins offer a model called 'good-net'.\n  Write 'good/good-net' or 'twin/good-net'."
    )
    assert catalog.find("model", "twin/good-net").plugin == "twin"


def test_a_plugin_name_that_is_taken_is_refused_and_the_first_stays(catalog: Catalog) -> None:
    with pytest.raises(NameTaken):
        catalog.plugins.add("good", twin("other-net"))

    assert catalog.find("model", "good-net").plugin == "good"


def test_an_unknown_name_gets_the_nearest_one(catalog: Catalog) -> None:
    with pytest.raises(UnknownName) as caught:
        catalog.find("model", "clsgna")

    assert str(caught.value) == "no model is called 'clsgna'.\n  Did you mean 'clsgan'?"


def test_a_target_that_cannot_be_imported_is_the_plugins_fault(catalog: Catalog) -> None:
    with pytest.raises(BrokenPlugin, match=r"'good/good-net' could not be imported from 'somewhere:Net'"):
        catalog.find("model", "good-net").load()


def twin(name: str) -> SimpleNamespace:
    @zoo.hookimpl
    def zoo_register(registry: zoo.Registry) -> None:
        registry.model(name, "somewhere:Net", summary="Another net")

    return SimpleNamespace(zoo_register=zoo_register)
