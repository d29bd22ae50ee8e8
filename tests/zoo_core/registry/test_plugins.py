"""Installed plugins: real entry points of fake distributions, good ones and every kind of broken one."""

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


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty site-packages; what a test imports from it is forgotten afterwards."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    yield folder
    for module in set(sys.modules) - before:
        if getattr(sys.modules[module], "__file__", None) and str(folder) in str(sys.modules[module].__file__):
            del sys.modules[module]


def loaded() -> tuple[Registry, dict[str, PluginInfo]]:
    """The registry after every installed plugin was loaded, and how each of them went."""
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
    told = infos["counting"]
    assert (told.distribution, told.version, told.state, told.why) == ("zoo-counting", "1.2", "loaded", "")
    assert told.milliseconds > 0


def test_zoos_own_plugins_take_the_same_path() -> None:
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
    "shouts": (
        """
        import zoo_core as zoo

        @zoo.hookimpl
        def zoo_register(registry):
            registry.model("half", "collections:Counter", summary="Half")
            registry.model("LOUD", "collections:Counter", summary="Loud")
        """,
        "a model called 'LOUD', but a name should be lower-case words",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plugin_says_why_leaves_nothing_and_harms_nobody(site: Path, kind: str) -> None:
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


def test_of_two_distributions_with_one_plugin_name_the_first_stays_and_the_second_is_told(site: Path) -> None:
    install(site, "twin_a", good("first"), name="twin")
    install(site, "twin_b", good("second"), name="twin")
    plugins = Plugins(Registry())
    plugins.load_installed()

    first, second = [info for info in plugins.infos if info.name == "twin"]

    assert (first.distribution, first.state) == ("zoo-twin_a", "loaded")
    assert (second.distribution, second.state) == ("zoo-twin_b", "broken")
    assert "another distribution brings a plugin called 'twin', too." in second.why
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


def test_two_plugins_that_offer_one_model_are_both_loaded_and_told_apart(site: Path) -> None:
    install(site, "left", good("counter"))
    install(site, "right", good("counter"))

    registry, _ = loaded()

    with pytest.raises(NameTaken, match="2 plugins offer a model called 'counter'") as raised:
        registry.find("model", "counter")
    assert raised.value.hint == "Write 'left/counter' or 'right/counter'."


def test_a_plugin_that_imports_torch_at_registration_is_told_on(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(site, "heavy", "import sys\nsys.modules.setdefault('torch', sys)\n")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    try:
        _, infos = loaded()
    finally:
        sys.modules.pop("torch", None)
    assert (infos["heavy"].state, infos["heavy"].why) == ("loaded", "imports torch at registration")


def test_a_name_that_a_broken_plugin_may_have_brought_is_laid_at_its_door(site: Path) -> None:
    install(site, "bad_capsules", "import no_such_module_at_all", name="capsules")
    here = Catalog()

    for ask in (lambda: here.find("model", "capsules"), lambda: here.recipe("capsules/digits")):
        with pytest.raises(BrokenPlugin) as raised:
            ask()
        assert "The plugin 'capsules' is installed but did not load: ModuleNotFoundError" in raised.value.message
        assert raised.value.hint == "Mend or update it: pip install --upgrade zoo-bad_capsules"


@pytest.mark.parametrize("name", ["c", "c/thing", "c-thing"])
def test_a_plugin_is_blamed_for_names_that_begin_with_its_own(site: Path, name: str) -> None:
    install(site, "bad_import", "import no_such_module_at_all", name="c")
    with pytest.raises(BrokenPlugin, match="The plugin 'c' is installed but did not load"):
        Catalog().find("model", name)


@pytest.mark.parametrize("name", ["clsgam", "cc", "transformer"])
def test_a_plugin_with_a_short_name_is_not_blamed_for_every_word_with_its_letter(site: Path, name: str) -> None:
    install(site, "bad_import", "import no_such_module_at_all", name="c")
    with pytest.raises(UnknownName, match=f"no model is called '{name}'"):
        Catalog().find("model", name)


def test_a_misspelt_name_is_corrected_though_some_plugin_is_broken(site: Path) -> None:
    install(site, "bad_import", "import no_such_module_at_all", name="capsules")

    with pytest.raises(UnknownName) as raised:
        Catalog().find("model", "clsgam")
    assert raised.value.hint == "Did you mean 'clsgan'?"

    with pytest.raises(UnknownName, match="Some plugins did not load: 'capsules'"):
        Catalog().find("model", "transformer")


def test_a_plugin_whose_recipe_file_is_damaged_costs_only_its_own_recipes(site: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "recipes.yaml"
    damaged.write_text("recipes: [")
    install(site, "careless", good("counter", damaged))
    here = Catalog()

    with pytest.warns(UserWarning, match="the recipes of the plugin 'careless' are left out: .*this is not YAML"):
        names = [row["name"] for row in here.rows("recipes")]

    assert "clsgan-mnist" in names
    assert here.find("model", "counter").plugin == "careless"


def test_a_plugin_may_be_added_by_hand() -> None:
    class Extra:
        @zoo.hookimpl
        def zoo_register(self, registry: zoo.Registry) -> None:
            registry.model("extra", "collections:Counter", summary="By hand")

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


def test_a_file_that_takes_too_long_is_not_to_be_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_one.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setenv("ZOO_PLUGIN_TIMEOUT", "0.2")
    with pytest.raises(BrokenPlugin, match=r"it took longer than 0\.2 s to load") as error:
        Plugins(Registry()).load_files([tmp_path / "slow_one.py"])
    assert error.value.hint == "Give it more time: ZOO_PLUGIN_TIMEOUT=60"


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
