"""Installed plugins: entry points of fake distributions, working ones and every kind of broken one."""

from __future__ import annotations

import sys
from pathlib import Path

import pluggy
import pytest
from distributions import good, install

import zoo_core as zoo
from zoo_core.errors import BrokenPlugin, NameTaken, UnknownName
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.plugins import PluginInfo, Plugins
from zoo_core.registry.registry import Registry


def loaded() -> tuple[Registry, dict[str, PluginInfo]]:
    """The registry after loading every installed plugin, and the outcome for each of them."""
    registry = Registry()
    plugins = Plugins(registry)
    plugins.load_installed()
    return registry, {info.name: info for info in plugins.infos}


def names_of(registry: Registry, plugin: str) -> list[str]:
    return [entry.name for entry in registry.entries if entry.plugin == plugin]


def test_an_installed_plugin_is_found_and_owns_its_names(site: Path) -> None:
    install(site, "counting", good("counter"))

    registry, infos = loaded()

    assert registry.find("model", "counter").full_name == "counting/counter"
    info = infos["counting"]
    assert (info.distribution, info.version, info.state, info.why) == ("zoo-counting", "1.2", "loaded", "")
    assert info.milliseconds > 0


def test_the_bundled_plugins_are_loaded_like_any_other() -> None:
    registry, infos = loaded()

    assert {"zoo", "datasets", "clsgan", "classifier"} <= set(infos)
    assert {info.state for info in infos.values()} == {"loaded"}
    assert names_of(registry, "clsgan") == ["clsgan", "clsgan"]


BROKEN = {
    "import": ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
    "syntax": ("def broken(:", "SyntaxError: "),
    "exits": ("import sys\nsys.exit('not on this machine')", "SystemExit: not on this machine"),
    "lines": ("raise RuntimeError('first\\nsecond\\n  third')", "RuntimeError: first second third"),
    "raises": (
        """
        import zoo_core as zoo

        @zoo.hookimpl
        def zoo_register(registry):
            registry.model("half", "collections:Counter", summary="Half")
            registry.recipes("half.yaml")
            raise ValueError("no more names")
        """,
        "ValueError: no more names",
    ),
    "quits": (
        """
        import zoo_core as zoo

        @zoo.hookimpl
        def zoo_register(registry):
            registry.model("half", "collections:Counter", summary="Half")
            raise SystemExit(3)
        """,
        "SystemExit: 3",
    ),
    "misspelt": (
        """
        import zoo_core as zoo

        @zoo.hookimpl
        def zoo_register(registry):
            registry.model("half", "collections:Counter", summary="Half")

        @zoo.hookimpl
        def zoo_run_finish(run):
            pass
        """,
        "zoo_run_finish",
    ),
    "argument": (
        """
        import zoo_core as zoo

        @zoo.hookimpl
        def zoo_register(registry):
            registry.model("half", "collections:Counter", summary="Half")

        @zoo.hookimpl
        def zoo_run_started(ran):
            pass
        """,
        "ran",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plugin_is_reported_registers_nothing_and_does_not_affect_others(site: Path, kind: str) -> None:
    source, why = BROKEN[kind]
    install(site, f"bad_{kind}", source, name="middle")
    install(site, "good_before", good("before"), name="a-good-one")
    install(site, "good_after", good("after"), name="z-good-one")

    registry, infos = loaded()

    assert infos["middle"].state == "broken"
    assert why in infos["middle"].why
    assert "\n" not in infos["middle"].why
    assert infos["middle"].distribution == f"zoo-bad-{kind}".replace("bad-", "bad_")
    assert names_of(registry, "middle") == []
    assert "middle" not in [owner for owner, _ in registry.recipe_files]
    assert infos["a-good-one"].state == infos["z-good-one"].state == infos["clsgan"].state == "loaded"
    assert names_of(registry, "a-good-one") == ["before"]
    assert names_of(registry, "z-good-one") == ["after"]


def test_hooks_of_a_broken_plugin_are_never_called(site: Path) -> None:
    install(site, "bad_hooks", BROKEN["misspelt"][0], name="middle")
    plugins = Plugins(Registry())
    plugins.load_installed()

    assert not plugins.manager.has_plugin("middle")
    callers = [getattr(plugins.manager.hook, hook) for hook in dir(plugins.manager.hook) if hook.startswith("zoo_")]
    owners = {implementation.plugin_name for caller in callers for implementation in caller.get_hookimpls()}
    assert "middle" not in owners


def test_of_two_distributions_with_the_same_plugin_name_the_second_is_reported_as_broken(site: Path) -> None:
    install(site, "twin_a", good("first"), name="twin")
    install(site, "twin_b", good("second"), name="twin")
    plugins = Plugins(Registry())
    plugins.load_installed()

    first, second = [info for info in plugins.infos if info.name == "twin"]

    assert (first.distribution, first.state) == ("zoo-twin_a", "loaded")
    assert (second.distribution, second.state) == ("zoo-twin_b", "broken")
    assert "another distribution also contains a plugin called 'twin'." in second.why
    assert names_of(plugins.registry, "twin") == ["first"]


def test_one_module_under_two_plugin_names_is_loaded_once(site: Path) -> None:
    install(site, "shared", good("counter"), name="one")
    info = site / "zoo_other-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zoo-other\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[zoo]\ntwo = shared\n")

    registry, infos = loaded()

    assert infos["one"].state == "loaded"
    assert infos["two"].state == "broken"
    assert "already registered" in infos["two"].why
    assert registry.find("model", "counter").plugin == "one"


def test_two_plugins_that_offer_the_same_model_name_are_both_loaded(site: Path) -> None:
    install(site, "left", good("counter"))
    install(site, "right", good("counter"))

    registry, _ = loaded()

    with pytest.raises(NameTaken, match="2 plugins offer a model called 'counter'") as raised:
        registry.find("model", "counter")
    assert raised.value.hint == "Write 'left/counter' or 'right/counter'."


def test_a_plugin_that_imports_torch_at_registration_is_reported(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(site, "heavy", "import sys\nsys.modules.setdefault('torch', sys)\n")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    try:
        _, infos = loaded()
    finally:
        sys.modules.pop("torch", None)
    assert (infos["heavy"].state, infos["heavy"].why) == ("loaded", "imports torch at registration")


def test_the_error_for_a_name_that_a_broken_plugin_may_offer_is_that_of_the_plugin(site: Path) -> None:
    install(site, "bad_capsules", "import no_such_module_at_all", name="capsules")
    catalog = Catalog()

    for find in (lambda: catalog.find("model", "capsules"), lambda: catalog.recipe("capsules/digits")):
        with pytest.raises(BrokenPlugin) as raised:
            find()
        assert "The plugin 'capsules' is installed but did not load: ModuleNotFoundError" in raised.value.message
        assert raised.value.hint == "Fix or update it: pip install --upgrade zoo-bad_capsules"


@pytest.mark.parametrize("name", ["c", "c/thing", "c-thing"])
def test_a_broken_plugin_is_reported_for_names_that_start_with_its_own(site: Path, name: str) -> None:
    install(site, "bad_import", "import no_such_module_at_all", name="c")
    with pytest.raises(BrokenPlugin, match="The plugin 'c' is installed but did not load"):
        Catalog().find("model", name)


@pytest.mark.parametrize("name", ["clsgam", "cc", "transformer"])
def test_a_broken_plugin_with_a_short_name_is_not_reported_for_unrelated_names(site: Path, name: str) -> None:
    install(site, "bad_import", "import no_such_module_at_all", name="c")
    with pytest.raises(UnknownName, match=f"no model is called '{name}'"):
        Catalog().find("model", name)


def test_a_misspelt_name_is_corrected_although_a_plugin_is_broken(site: Path) -> None:
    install(site, "bad_import", "import no_such_module_at_all", name="capsules")

    with pytest.raises(UnknownName) as raised:
        Catalog().find("model", "clsgam")
    assert raised.value.hint == "Did you mean 'clsgan'?"

    with pytest.raises(UnknownName, match="Some plugins did not load: 'capsules'"):
        Catalog().find("model", "transformer")


def test_a_damaged_recipe_file_of_a_plugin_does_not_affect_others(site: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "recipes.yaml"
    damaged.write_text("recipes: [")
    install(site, "careless", good("counter", damaged))
    catalog = Catalog()

    with pytest.warns(UserWarning, match="the recipes of the plugin 'careless' are ignored: .*this is not YAML"):
        names = [row["name"] for row in catalog.rows("recipes")]

    assert "clsgan-mnist" in names
    assert catalog.find("model", "counter").plugin == "careless"


def test_a_plugin_can_be_added_in_python() -> None:
    class Extra:
        @zoo.hookimpl
        def zoo_register(self, registry: zoo.Registry) -> None:
            registry.model("extra", "collections:Counter", summary="Added in Python")

    plugins = Plugins(Registry())
    plugins.add("notebook", Extra())

    assert plugins.registry.find("model", "extra").plugin == "notebook"
    with pytest.raises(NameTaken, match="a plugin called 'notebook'"):
        plugins.add("notebook", Extra())


def test_a_hook_that_is_not_marked_breaks_its_plugin() -> None:
    class Unmarked:
        def zoo_logged(self) -> None: ...

    with pytest.raises(BrokenPlugin, match="it has zoo_logged, which is not marked as a hook"):
        Plugins(Registry()).add("unmarked", Unmarked())


def test_the_hint_for_a_file_that_takes_too_long_is_the_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_one.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setenv("ZOO_PLUGIN_TIMEOUT", "0.2")
    with pytest.raises(BrokenPlugin, match=r"it took longer than 0\.2 s to load") as error:
        Plugins(Registry()).load_files([tmp_path / "slow_one.py"])
    assert error.value.hint == "Allow more time: ZOO_PLUGIN_TIMEOUT=60"


def test_a_hook_marked_optional_may_belong_to_a_newer_zoo() -> None:
    class Ahead:
        @zoo.hookimpl(optionalhook=True)
        def zoo_of_the_future(self) -> None: ...

    class Misspelt:
        @zoo.hookimpl
        def zoo_of_the_future(self) -> None: ...

    Plugins(Registry()).add("ahead", Ahead())
    with pytest.raises(pluggy.PluginValidationError, match="zoo_of_the_future"):
        Plugins(Registry()).add("misspelt", Misspelt())
