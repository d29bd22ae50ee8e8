"""The code of a plugin is identified by a version, or by a hash where there is none that changes with it."""

from __future__ import annotations

import sys

from zoo_core.registry.catalog import Catalog
from zoo_core.registry.plugin_code import plugin_code
from zoo_core.registry.plugins import PluginInfo

PLUGIN = "import zoo_core as zoo\n\n@zoo.hookimpl\ndef zoo_register(registry):\n    pass\n"


def code_of_file(path):
    catalog = Catalog(installed=False)
    catalog.plugins.load_files([path])
    (info,) = catalog.plugins.infos
    return plugin_code(info)


def test_a_plugin_file_is_identified_by_its_content(tmp_path):
    file = tmp_path / "kit.py"
    file.write_text(PLUGIN)
    first = code_of_file(file)
    assert first.startswith("your file, sha256 ")
    assert code_of_file(file) == first
    file.write_text(PLUGIN + "# another line\n")
    assert code_of_file(file) != first


def test_modules_beside_a_plugin_file_belong_to_its_code(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "beside_kit.py").write_text("WIDTH = 3\n")
    (tmp_path / "other_kit.py").write_text("import beside_kit\n" + PLUGIN)
    first = code_of_file(tmp_path / "other_kit.py")
    (tmp_path / "beside_kit.py").write_text("WIDTH = 4\n")
    assert code_of_file(tmp_path / "other_kit.py") != first
    del sys.modules["beside_kit"]


def test_an_installed_plugin_is_identified_by_its_version():
    info = PluginInfo("kit", "pluggy", "1.6", "loaded", target="pluggy:plugin")
    assert plugin_code(info) == "pluggy 1.6"


def test_an_editable_plugin_is_identified_by_its_files(tmp_path, monkeypatch):
    package, metadata = tmp_path / "zoo_kit", tmp_path / "zoo_kit-1.0.dist-info"
    package.mkdir()
    metadata.mkdir()
    (package / "__init__.py").write_text("")
    (package / "plugin.py").write_text(PLUGIN)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: zoo-kit\nVersion: 1.0\n")
    (metadata / "direct_url.json").write_text('{"url": "file:///kit", "dir_info": {"editable": true}}')
    monkeypatch.syspath_prepend(str(tmp_path))
    __import__("zoo_kit.plugin")
    info = PluginInfo("kit", "zoo-kit", "1.0", "loaded", target="zoo_kit.plugin")
    first = plugin_code(info)
    assert first.startswith("zoo-kit 1.0, sha256 ")
    (package / "model.py").write_text("WIDTH = 3\n")
    assert plugin_code(info) != first
    for name in ("zoo_kit.plugin", "zoo_kit"):
        del sys.modules[name]
