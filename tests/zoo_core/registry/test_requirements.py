"""What a plugin requires: the command that installs a missing module, for packages and single files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from distributions import install

from zoo_core.errors import BrokenPlugin
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.plugins import Plugins
from zoo_core.registry.registry import Registry
from zoo_core.registry.requirements import install_command
from zoo_core.registry.resolve import build

REGISTER = """
import zoo_core as zoo

@zoo.hookimpl
def zoo_register(registry):
    registry.model("needy", f"{__name__}:Needy", summary="Needs a module")
"""
LAZY = """
def __getattr__(name):
    if name != "Needy":
        raise AttributeError(name)

    class Needy(zoo.Model):
        def __init__(self, config):
            super().__init__(config)
            import no_such_library.layers

        from dataclasses import dataclass

        @dataclass(frozen=True, kw_only=True)
        class Config:
            pass

    return Needy
"""


def require(site: Path, *lines: str, extras: str = "") -> None:
    """Add requirements to the metadata of the distribution of ``needy``, and extras to its entry point."""
    (info,) = site.glob("*.dist-info")
    metadata = info / "METADATA"
    metadata.write_text(metadata.read_text() + "".join(f"Requires-Dist: {line}\n" for line in lines))
    if extras:
        (info / "entry_points.txt").write_text(f"[zoo]\nneedy = needy [{extras}]\n")


@pytest.mark.parametrize(
    ("lines", "extras", "command"),
    [
        (["no-such-library>=2"], "", "pip install 'no-such-library>=2'"),
        (["No_Such.Library"], "", "pip install No_Such.Library"),
        (["no-such-library; python_version > '3'"], "", "pip install no-such-library"),
        (["no-such-library>=2; extra == 'nets'"], "nets", "pip install 'zoo-needy[nets]'"),
        (["other-name-of-it", "torch"], "", "pip install other-name-of-it"),
        (["no-such-library[fast]>=2,<3"], "", "pip install 'no-such-library[fast]<3,>=2'"),
        (["no-such-library; python_version < '3'"], "", None),
        (["no-such-library; extra == 'other'"], "", None),
        (["torch"], "", None),
        ([], "", None),
    ],
)
def test_the_command_follows_from_the_metadata_of_the_distribution(
    site: Path, lines: list[str], extras: str, command: str | None
) -> None:
    install(site, "needy", REGISTER)
    require(site, *lines, extras=extras)
    assert install_command("no_such_library.layers", "needy:Needy") == command


def test_a_class_whose_module_lacks_a_library_says_what_to_install(site: Path) -> None:
    install(site, "needy", REGISTER.replace("{__name__}", "needy_model"))
    (site / "needy_model.py").write_text("import no_such_library\n")
    require(site, "no-such-library>=2")
    with pytest.raises(BrokenPlugin) as raised:
        Catalog().find("model", "needy").load()
    assert str(raised.value).splitlines() == [
        "model 'needy/needy' could not be imported from 'needy_model:Needy': No module named 'no_such_library'",
        "  Install what the plugin 'needy' needs: pip install 'no-such-library>=2'",
    ]


def test_a_model_that_imports_a_missing_library_when_it_is_built_says_what_to_install(site: Path) -> None:
    install(site, "needy", REGISTER + LAZY)
    require(site, "no-such-library>=2")
    with pytest.raises(BrokenPlugin) as raised:
        build("model", "needy", {}, Catalog())
    assert str(raised.value).splitlines() == [
        "'needy' needs the module 'no_such_library', which is not installed.",
        "  Install it: pip install 'no-such-library>=2'",
    ]


def test_a_plugin_that_lacks_a_library_when_it_is_loaded_says_what_to_install(site: Path) -> None:
    install(site, "needy", "import no_such_library\n" + REGISTER)
    require(site, "no-such-library; extra == 'nets'", extras="nets")
    plugins = Plugins(Registry())
    plugins.load_installed()
    (info,) = plugins.broken
    assert info.why == "ModuleNotFoundError: No module named 'no_such_library'"
    assert info.hint == "Install what it needs: pip install 'zoo-needy[nets]'"


@pytest.mark.parametrize(
    "marker",
    [
        'zoo_requires = ["no-such-library>=2"]',
        'zoo_requires = ("torch", "no-such-library>=2")',
        'zoo_requires = "no-such-library>=2"',
        'zoo_requires: list[str] = ["no-such-library >= 2"]',
    ],
)
@pytest.mark.parametrize("after", [False, True])
def test_a_single_file_states_what_it_requires(tmp_path: Path, marker: str, after: bool) -> None:
    path = tmp_path / "single_needy.py"
    lines = [marker, "import no_such_library"]
    path.write_text("\n".join(reversed(lines) if after else lines))
    with pytest.raises(BrokenPlugin) as raised:
        Catalog(installed=False).plugins.load_files([path])
    assert str(raised.value).splitlines() == [
        f"the plugin {path} did not load: ModuleNotFoundError: No module named 'no_such_library'",
        "  Install what it needs: pip install 'no-such-library>=2'",
    ]


def test_a_single_file_that_imports_a_missing_library_when_a_model_is_built_says_what_to_install(
    tmp_path: Path,
) -> None:
    path = tmp_path / "lazy_needy.py"
    path.write_text('zoo_requires = ["no-such-library>=2"]\n' + REGISTER + LAZY)
    catalog = Catalog(installed=False)
    try:
        catalog.plugins.load_files([path])
        with pytest.raises(BrokenPlugin) as raised:
            build("model", "needy", {}, catalog)
    finally:
        sys.modules.pop("lazy_needy", None)
    assert str(raised.value).splitlines() == [
        "'lazy_needy' needs the module 'no_such_library', which is not installed.",
        "  Install it: pip install 'no-such-library>=2'",
    ]


@pytest.mark.parametrize(
    "marker", ["zoo_requires = 7", "zoo_requires = [7]", "zoo_requires = names()", "x = 1", "def ("]
)
def test_a_marker_that_states_nothing_gives_no_command(tmp_path: Path, marker: str) -> None:
    path = tmp_path / "plain_needy.py"
    path.write_text(marker)
    assert install_command("no_such_library", "plain_needy", str(path)) is None
