"""Settings that are read from source code equal those of the class; if that is uncertain, the class is imported."""

import sys
import textwrap
from dataclasses import replace
from importlib import import_module, invalidate_caches

import pytest

from zoo_core.config.settings import describe
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.config_source import _source, config_class
from zoo_core.registry.entry import Entry

HEAD = """
    from dataclasses import dataclass
    from typing import Literal

    import zoo_core as zoo
    from .constants import SIZE, WORDS
    from . import constants
"""
CONSTANTS = """
    SIZE = 7
    WORDS = "of a side"
    LEAST: int = 2
    SHAPES = ((1, 2), [3])
    TWICE = 1
    TWICE = 2
    SUM = 1 + SIZE
"""
BASES = """
    from dataclasses import dataclass
    import zoo_core as zoo

    class Base(zoo.Model):
        @dataclass(frozen=True, kw_only=True)
        class Config:
            width: int = zoo.setting(3, "of it", ge=1)

    class Derived(Base):
        pass
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch, request):
    """Create a package with a class ``Net`` and return its entry. Its name is new, so it is not imported yet."""
    name = f"strange_{abs(hash(request.node.nodeid))}"
    monkeypatch.syspath_prepend(tmp_path)

    def make(body: str, head: str = HEAD) -> Entry:
        folder = tmp_path / name
        folder.mkdir()
        files = {"constants": CONSTANTS, "bases": BASES, "net": textwrap.dedent(head) + textwrap.dedent(body)}
        for module, text in {"__init__": "", **files}.items():
            (folder / f"{module}.py").write_text(textwrap.dedent(text))
        invalidate_caches()
        return Entry("model", "net", "strange", f"{name}.net:Net", "", "", "")

    yield make
    for module in [module for module in sys.modules if module.startswith(name)]:
        del sys.modules[module]


@pytest.mark.parametrize(
    "entry",
    [one for one in Catalog().registry.entries if one.target.startswith("zoo_plugins") and one.kind != "task"],
    ids=str,
)
def test_the_settings_of_bundled_components_are_read_correctly(entry):
    module, _, name = entry.target.partition(":")
    assert describe(_source(module).config(name)) == describe(entry.load().Config)


SUPPORTED = {
    "every type": """
        class Net(zoo.Model):
            "A net."
            @dataclass(frozen=True, kw_only=True)
            class Config:
                "Its settings."
                a: int = zoo.setting(1, "a" " number", ge=0, lt=2.5)
                b: float = zoo.setting(-1e-3, help="b")
                c: str | None = zoo.setting(None, "c")
                "A docstring of the field."
                d: list[int] = zoo.setting([1, 2], "d", ge=1)
                e: tuple[float, ...] = zoo.setting((), "e")
                f: tuple[int, str] = zoo.setting((1, "x"), "f")
                g: dict[str, list[int]] = zoo.setting({"a": [1]}, "g")
                h: Literal["x", "y"] = zoo.setting("x", "h")
                i: bool = zoo.setting(True, "i")
                j: int = zoo.setting(help="required")
        """,
    "constants": """
        OWN = {"a": 1}
        class Net(zoo.Model):
            @dataclass(frozen=True, kw_only=True)
            class Config:
                a: int = zoo.setting(SIZE, WORDS, ge=constants.LEAST)
                b: dict[str, int] = zoo.setting(OWN, "b")
                c: Literal["x", WORDS] = zoo.setting(WORDS, "c")
        """,
    "a base class in another module": """
        from .bases import Derived
        class Net(Derived):
            @dataclass(frozen=True, kw_only=True)
            class Config(Derived.Config):
                depth: int = zoo.setting(1, "deep")
                width: int = zoo.setting(9, "wide")
        """,
    "an inherited Config": """
        from . import bases
        class Net(bases.Base):
            pass
        """,
    "a class of another module": "from .bases import Derived as Net",
    "no decorator": """
        class Net(zoo.Model):
            class Config:
                a: int = zoo.setting(1, "a", ge=0)
        """,
    "an undecorated Config of a decorated one": """
        from .bases import Derived
        class Net(Derived):
            class Config(Derived.Config):
                depth: int = zoo.setting(1, "deep")
        """,
    "no Config": """
        class Net(zoo.Model):
            pass
        """,
    "no Config in any base class": """
        from zoo_core.model import Model
        class Base(Model):
            "Shared by several."
        class Net(Base):
            pass
        """,
    "a Config of a base class of zoo": """
        class Net(zoo.SupervisedTrainer):
            class Config(zoo.SupervisedTrainer.Config):
                depth: int = zoo.setting(1, "deep")
            def loss(self, batch):
                return 0
        """,
    "the Config of a base class of zoo": """
        class Net(zoo.SupervisedTrainer):
            def loss(self, batch):
                return 0
        """,
    "a setting from the dataset": """
        class Net(zoo.Model):
            class Config:
                classes: int = zoo.setting(10, "classes", from_dataset="num_classes")
        """,
    "no settings": """
        class Net(zoo.Model):
            @dataclass(frozen=True, kw_only=True)
            class Config:
                "No settings."
        """,
}


@pytest.mark.parametrize("body", SUPPORTED.values(), ids=SUPPORTED.keys())
def test_a_supported_config_is_read_without_importing_it(plugin, body):
    entry = plugin(body)
    if "Trainer" in body:
        entry = replace(entry, kind="trainer")
    config = config_class(entry)
    assert entry.target.partition(":")[0] not in sys.modules
    assert describe(config) == describe(entry.load().Config)


def _with(field: str, around: str = "", decorator: str = "@dataclass(frozen=True, kw_only=True)") -> str:
    return f"""
        {around}
        class Net(zoo.Model):
            {decorator}
            class Config:
                {field}
        """


FIELD = 'a: int = zoo.setting(1, "a")'
UNSUPPORTED = {
    "a default that is computed": _with('a: int = zoo.setting(len("abc"), "a")'),
    "a constant that is computed": _with('a: int = zoo.setting(constants.SUM, "a")'),
    "a constant that is assigned twice": _with('a: int = zoo.setting(constants.TWICE, "a")'),
    "a conditional constant": _with('a: int = zoo.setting(ODD, "a")', "if SIZE % 2:\n            ODD = 1"),
    "an f-string": _with('a: int = zoo.setting(1, f"{SIZE} wide")'),
    "a __post_init__": _with(f"{FIELD}\n                def __post_init__(self): assert self.a"),
    "a field of dataclasses": _with(
        'a: int = field(default=1, metadata={"help": "a"})', "from dataclasses import field"
    ),
    "another setting": _with('a: int = setting("a")', "def setting(words): return zoo.setting(5, words)"),
    "a Config of a mixin": """
        class Mixin:
            class Config:
                a: int = zoo.setting(1, "a")
        class Net(Mixin, zoo.Model):
            pass
        """,
    "another decorator": _with(FIELD, "def dataclass(**_): return lambda kind: kind"),
    "another dataclass": _with(FIELD, "import dataclasses", "@dataclasses.dataclass(frozen=True, kw_only=True)"),
    "another meaning of int": _with(FIELD, "int = float"),
    "another meaning of list": _with('a: list[int] = zoo.setting([1], "a")', "list = tuple"),
    "a constant that is changed": _with('a: list[int] = zoo.setting(SIDES, "a")', "SIDES = [1]; SIDES.append(2)"),
    "a constant that a function changes": _with(
        'a: list[int] = zoo.setting(SIDES, "a")', "SIDES = [1]\n        list.append(SIDES, 2)"
    ),
    "a Config that is assigned later": _with(FIELD) + "\n        Net.Config = type('Config', (Net.Config,), {})\n",
    "an alias of a type": _with('a: Number = zoo.setting(1, "a")', "Number = int"),
    "a star import": _with(FIELD, "from .constants import *"),
    "a decorated class": _with(FIELD, "").replace("class Net", "@(lambda made: made)\n        class Net"),
    "a class that is defined twice": _with(FIELD) + _with(FIELD.replace("1", "2")),
    "a Config that is assigned twice": _with(FIELD) + "    Config = Config\n",
}


@pytest.mark.parametrize("body", UNSUPPORTED.values(), ids=UNSUPPORTED.keys())
def test_the_class_of_an_unsupported_config_is_imported(plugin, body):
    entry = plugin(body)
    config = config_class(entry)
    assert config is import_module(entry.target.partition(":")[0]).Net.Config


def test_the_source_of_an_imported_module_is_not_read(plugin):
    entry = plugin(SUPPORTED["constants"])
    loaded = entry.load()
    assert config_class(entry) is loaded.Config
