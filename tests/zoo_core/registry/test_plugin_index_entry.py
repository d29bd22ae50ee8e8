"""The index entries of installed plugins: their metadata, and what they register."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from distributions import install

import zoo_core as zoo
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.plugin_index_entry import entries_of

SOURCE = """
    from pathlib import Path
    import zoo_core as zoo

    @zoo.hookimpl
    def zoo_register(registry):
        registry.model("mip", "collections:Counter", summary="A counter")
        registry.model("nerf/base", "collections:Counter", summary="A counter")
        registry.models("nerf", ["small", "large"], "collections:Counter", summary="Counters")
        registry.schedule("rays", "collections:Counter", summary="A counter")
        registry.recipe("zip-nerf", __file__, model={"name": "mip"})
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    install(tmp_path, "nerf", SOURCE)
    with (tmp_path / "zoo_nerf-1.2.dist-info" / "METADATA").open("a") as file:
        file.write("Summary: Radiance fields\nProject-URL: Issues, https://example.org/Issues\n")
        file.write("Project-URL: Homepage, https://example.org/Nerf\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("nerf", None)


def test_an_entry_has_the_metadata_and_the_registered_names_with_families_by_their_prefix(site: Path) -> None:
    (entry,) = entries_of(Catalog(), ["nerf", "nerf"])
    assert entry.as_json() == {
        "requirement": "zoo-nerf>=1.2",
        "summary": "Radiance fields",
        "homepage": "https://example.org/Nerf",
        "plugins": ["nerf"],
        "provides": {"models": ["mip", "nerf/*"], "recipes": ["zip-nerf"], "schedules": ["rays"]},
    }


def test_plugins_of_one_distribution_have_one_entry() -> None:
    (entry,) = entries_of(Catalog(), ["unet", "datasets"])
    assert entry.plugins == ("unet", "datasets")
    assert {"models", "trainers", "datasets", "weights"} <= set(entry.provides)


def test_a_plugin_that_is_not_loaded_has_none(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_DISABLE_PLUGINS", "nerf")
    with pytest.raises(zoo.BrokenPlugin, match="the plugin 'nerf' is disabled"):
        entries_of(Catalog(), ["nerf"])
