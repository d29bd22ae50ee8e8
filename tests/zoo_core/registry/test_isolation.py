"""Hostile plugins: each is named, what it does to the process is undone, and the command ends as it would without."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import textwrap
import threading
import warnings
from pathlib import Path

import pytest
from distributions import good, install
from repository import ROOT

from zoo_core.registry.catalog import Catalog
from zoo_core.registry.isolation import isolated
from zoo_core.registry.plugins import PluginInfo, Plugins
from zoo_core.registry.registry import Registry

RAISED = {
    "cancelled": ("raise asyncio.CancelledError", "CancelledError"),
    "interrupt": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "generator": ("raise GeneratorExit('gone')", "GeneratorExit: gone"),
    "panic": ("raise type('PanicException', (BaseException,), {})('unwrap on None')", "PanicException: unwrap on None"),
    "group": ("raise BaseExceptionGroup('two', [KeyboardInterrupt()])", "BaseExceptionGroup: two (1 sub-exception)"),
    "str-raises": ("class E(Exception):\n    def __str__(self): raise ValueError\nraise E", "E"),
    "str-exits": ("class E(Exception):\n    def __str__(self): raise SystemExit(0)\nraise E", "E"),
    "str-interrupts": ("class E(BaseException):\n    def __str__(self): raise KeyboardInterrupt\nraise E", "E"),
    "str-number": ("class E(Exception):\n    def __str__(self): return 5\nraise E", "E"),
    "str-odd": (
        "class S(str):\n    def split(self): raise SystemExit(0)\n    __getitem__ = isprintable = split\n"
        "class E(Exception):\n    def __str__(self): return S('odd')\nraise E",
        "E: odd",
    ),
    "zoo-error": (
        "import zoo_core as zoo\nerror = zoo.ZooError('x')\nerror.message = error.hint = None\nraise error",
        "None",
    ),
    "zoo-property": (
        "import zoo_core as zoo\nclass E(zoo.ZooError):\n    message = property(lambda self: 1 / 0, lambda *_: None)\n"
        "raise E('x')",
        "E, whose text can't be read",
    ),
    "odd-getattr": ("def __getattr__(name): raise KeyboardInterrupt", "KeyboardInterrupt"),
    "none": ("import sys\nsys.modules[__name__] = None", "its entry point leads to None"),
    "coroutine": (
        "import zoo_core as zoo\n@zoo.hookimpl\nasync def zoo_register(registry): pass",
        "it has zoo_register, which is a coroutine or a generator, and would never run",
    ),
    "yields": (
        "import zoo_core as zoo\n@zoo.hookimpl\ndef zoo_register(registry): yield registry",
        "it has zoo_register, which is a coroutine or a generator, and would never run",
    ),
}


def load() -> dict[str, PluginInfo]:
    plugins = Plugins(Registry())
    plugins.load_installed()
    return {info.name: info for info in plugins.infos}


@pytest.mark.parametrize("kind", RAISED)
def test_whatever_a_plugin_raises_is_named_and_the_others_are_loaded(site: Path, kind: str) -> None:
    source, why = RAISED[kind]
    install(site, f"bad_{kind.replace('-', '_')}", f"import asyncio\n{source}", name="middle")
    install(site, "good_after", good("after"), name="z-good-one")

    infos = load()

    assert infos["middle"].state == "broken"
    assert infos["middle"].why.rstrip(".") == why
    assert infos["z-good-one"].state == infos["clsgan"].state == "loaded"


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "asyncio.CancelledError", "GeneratorExit", "SystemExit(0)"])
def test_whatever_a_target_raises_when_it_is_imported_is_named(site: Path, error: str) -> None:
    install(site, "bandit", good("odd").replace("collections:Counter", "bandit_model:Model"))
    (site / "bandit_model.py").write_text(f"import asyncio\nraise {error}")

    with pytest.raises(ImportError, match="model 'bandit/odd' could not be imported from 'bandit_model:Model'"):
        Catalog().find("model", "odd").load()


def test_ctrl_c_while_a_plugin_is_loaded_is_not_taken_for_an_error_of_the_plugin(site: Path) -> None:
    install(site, "slow", "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n")
    with pytest.raises(KeyboardInterrupt):
        load()


CHANGES = {
    "os.chdir('/')": "the working directory",
    "os.umask(0o777)": "the umask",
    "signal.signal(signal.SIGINT, signal.SIG_IGN)": "the handlers of SIGINT",
    "signal.setitimer(signal.ITIMER_REAL, 1000)": "the alarm timer",
    "sys.settrace(lambda *_: None)": "the trace or profile function",
    "sys.setrecursionlimit(5000)": "the recursion limit",
    "sys.setswitchinterval(1.0)": "the switch interval",
    "sys.path.remove(os.path.dirname(__file__))": "sys.path",
    "sys.meta_path.clear()": "sys.meta_path",
    "sys.excepthook = print": "sys.excepthook",
    "sys.exit = print": "sys.exit",
    "sys.stdout = sys.stdin = None": "sys.stdout, sys.stdin",
    "os.close(1)": "standard output",
    "null = os.open(os.devnull, os.O_RDWR); os.dup2(null, 2)": "standard error",
    "import builtins; builtins.print = builtins.any = None": "builtins.any, print",
    "import gc; gc.disable()": "the garbage collection",
    "warnings.simplefilter('ignore')": "the warnings filters",
    "warnings.resetwarnings()": "the warnings filters",
    "warnings.showwarning = print": "warnings.showwarning",
    "import logging; logging.disable(50)": "the root settings of logging",
    "os.environ['HOME'] = '/nowhere'": "the environment variable HOME",
    "from resource import *; setrlimit(RLIMIT_FSIZE, (1000, getrlimit(RLIMIT_FSIZE)[1]))": "the limit RLIMIT_FSIZE",
    "import torch; torch.set_default_dtype(torch.float64)": "torch's default dtype",
    "import torch; torch.set_default_device('meta')": "torch's default device",
    "import torch; torch.set_grad_enabled(False)": "torch's grad mode",
    "import torch; torch.set_num_threads(torch.get_num_threads() + 3)": "torch's number of threads",
    "import torch; torch.use_deterministic_algorithms(True)": "torch's deterministic algorithms",
    "import torch; torch.set_flush_denormal(True)": "torch's flushing of denormal numbers",
    "import torch; torch.get_default_dtype = None": "torch, whose settings can't be read any more",
}


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("statement", CHANGES)
def test_what_a_plugin_changes_in_the_process_is_named_and_undone(
    site: Path, statement: str, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch, "get_default_dtype", torch.get_default_dtype)  # put back, whatever happens
    install(site, "bandit", f"import os, signal, sys, warnings\n{statement}\n{'1 / 0' if fails else ''}")
    before = described()

    info = load()["bandit"]

    assert described() == before
    assert info.state == ("broken" if fails else "loaded")
    assert info.effects.startswith(f"changed {CHANGES[statement]}")
    assert info.effects.endswith(", which was undone")


def described() -> list[object]:
    """State of this process, read by other means than zoo does."""
    import torch

    umask = os.umask(0o22)
    os.umask(umask)
    return [
        os.getcwd(), umask, os.environ["HOME"], sys.gettrace(), sys.getrecursionlimit(), sys.getswitchinterval(),
        sys.stdout, sys.stderr, sys.stdin, sys.excepthook, sys.exit, list(sys.path), list(sys.meta_path), print, any,
        [one for one in warnings.filters if issubclass(UserWarning, one[2])],
        warnings.showwarning,
        *(signal.getsignal(one) for one in (signal.SIGINT, signal.SIGALRM)),
        signal.getitimer(signal.ITIMER_REAL), [os.fstat(number)[:3] for number in range(3)],
        torch.zeros(1).dtype, torch.zeros(1).device, torch.is_grad_enabled(), torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(), float(torch.tensor(1e-310, dtype=torch.float64) * 1) == 0,
    ]  # fmt: skip


def test_what_programs_add_by_right_while_they_are_imported_stays(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    install(
        site,
        "neighbor",
        """
        import os, sys, warnings
        sys.path.append("/somewhere")
        os.environ["SETTING_OF_A_NEIGHBOR"] = "1"
        warnings.filterwarnings("ignore", message="of a neighbor")
        print("to standard error")
        """,
    )
    with warnings.catch_warnings():
        info = load()["neighbor"]
        warnings.warn("of a neighbor", stacklevel=1)
    assert (info.state, info.effects) == ("loaded", "")
    assert "/somewhere" in sys.path
    assert os.environ.pop("SETTING_OF_A_NEIGHBOR") == "1"


def test_streams_that_a_plugin_keeps_write_where_they_should_after_it_was_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with isolated("keeper"):
        kept = sys.stdout
        print("while loading")  # noqa: T201
        kept.buffer.write(b"and in bytes\n")
        sys.stderr.close()
    kept.write("later\n")
    sys.stderr.write("and beside\n")
    assert out.getvalue() == "later\n"
    assert err.getvalue() == "while loading\nand in bytes\nand beside\n"


def run(site: Path, source: str, *words: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    """`zoo` beside a plugin called bandit; its streams are files, which what the plugin starts may keep open."""
    install(site, "bandit", source)
    out, err = site.parent / "out", site.parent / "err"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]), "ZOO_PLUGIN_TIMEOUT": "2"}
    with out.open("w") as stdout, err.open("w") as stderr:
        command = [python, "-m", "zoo_core", *words]
        done = subprocess.run(command, stdout=stdout, stderr=stderr, env=environment, timeout=300, cwd=site.parent)
    return subprocess.CompletedProcess(command, done.returncode, out.read_text(), err.read_text())


LEFT = {
    "threading.Thread(target=time.sleep, args=(1000,), name='worker').start()": "the thread 'worker' running",
    "threading.Timer(1000, print).start()": "the thread 'Thread-",
    "from concurrent.futures import ThreadPoolExecutor as P\npool = P()\npool.submit(time.sleep, 1000)": (
        "the thread 'ThreadPoolExecutor-"
    ),
    "from multiprocessing import get_context as c\nc('fork').Process(target=time.sleep, args=(1000,)).start()": (
        "the process 'ForkProcess-"
    ),
}


@pytest.mark.parametrize("statement", LEFT)
def test_the_command_does_not_wait_for_what_a_plugin_leaves_running(site: Path, statement: str) -> None:
    done = run(site, f"import threading, time\n{statement}\n", "list")
    assert done.returncode == 0, done.stderr
    assert "clsgan-mnist" in done.stdout
    assert f"the plugin 'bandit' (zoo-bandit 1.2) left {LEFT[statement]}" in done.stderr


@pytest.mark.parametrize(
    "statement",
    [
        "sys.stdout.close(); sys.stderr.close(); sys.stdin.close()",
        "sys.__stdout__.close(); sys.__stderr__.close()",
        "os.close(0); os.close(1); os.close(2)",
        "os.closerange(0, 3); os.open(os.devnull, os.O_RDWR)",
        "sys.stdout.detach(); sys.stderr.detach()",
        "class W:\n    def write(self, text): raise KeyboardInterrupt\nsys.stdout = sys.stderr = W()",
        "sys.stdout.reconfigure(encoding='ascii', errors='strict')",
    ],
)
def test_a_plugin_that_closes_or_replaces_the_streams_costs_no_output(site: Path, statement: str) -> None:
    done = run(site, f"import os, sys\n{statement}\n", "list", "--json")
    assert done.returncode == 0, done.stderr
    assert '"clsgan-mnist"' in done.stdout
    assert "Traceback" not in done.stderr


def test_the_command_ends_if_a_plugin_catches_every_interruption_and_disabling_it_does_not_load_it(site: Path) -> None:
    source = "import time\nwhile True:\n    try: time.sleep(1000)\n    except BaseException: pass\n"
    done = run(site, source, "info", "clsgan-mnist")
    assert done.returncode == 2
    assert done.stderr == (
        "error: the plugin 'bandit' does not stop loading.\n  Disable it: zoo plugins disable bandit\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}
    words = [sys.executable, "-m", "zoo_core", "plugins", "disable", "bandit"]
    disabled = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert disabled.stdout == "disabled: bandit\n"


@pytest.mark.parametrize("words", [["list"], ["info", "clsgan-mnist"], ["weights", "list"], ["search", "clsgan"]])
def test_every_command_names_a_plugin_that_did_not_load(site: Path, words: list[str]) -> None:
    done = run(site, "raise KeyboardInterrupt", *words)
    assert done.returncode == 0
    assert done.stderr.count("the plugin 'bandit' (zoo-bandit 1.2) did not load: KeyboardInterrupt. Update it,") == 1


def test_of_an_endless_text_of_an_error_only_the_type_is_told(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_PLUGIN_TIMEOUT", "0.5")
    source = "class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E"
    install(site, "bandit", source)
    assert load()["bandit"].why == "E"


def test_plugins_are_loaded_in_threads_without_a_time_limit_one_after_the_other() -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(len(Catalog().plugins.infos))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1


REGISTERED = {
    "odd text": (
        """
        class S(str):
            def __eq__(self, other): raise KeyboardInterrupt
            __hash__ = None
        registry.model(S("odd"), S("collections:Counter"), summary=S("s"), tags=[S("t")])
        """,
        "",
    ),
    "endless tags": (
        'registry.model("odd", "a:B", summary="s", tags=map(str, iter(int, 1)))',
        "it took longer than 1 s to load.",
    ),
    "pipe": ('import os\nos.mkfifo(__file__ + ".pipe")\nregistry.recipes(__file__ + ".pipe")', "is not a file."),
    "device": ('registry.recipes("/dev/zero")', "plugin 'bandit' registers the recipes of /dev/zero, which is not"),
}


@pytest.mark.parametrize("kind", REGISTERED)
def test_odd_arguments_of_the_registry_cost_only_their_plugin(
    site: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_PLUGIN_TIMEOUT", "1")
    body, why = REGISTERED[kind]
    lines = textwrap.indent(textwrap.dedent(body), "    ")
    install(site, "bandit", f"import zoo_core as zoo\n@zoo.hookimpl\ndef zoo_register(registry):\n{lines}\n")
    catalog = Catalog()

    (info,) = [one for one in catalog.plugins.infos if one.name == "bandit"]

    assert why in info.why
    assert info.state == ("broken" if why else "loaded")
    assert "clsgan" in {row["name"] for row in catalog.rows("models")}


def test_a_name_that_is_too_long_is_left_out(site: Path) -> None:
    install(site, "bandit", good("a" * 201))
    catalog = Catalog()
    assert [one.why for one in catalog.registry.refused] == ["a name should have at most 200 characters"]
