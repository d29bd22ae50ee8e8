"""The plugins of ``hostile_plugins.py``: what each does, and what has to be said of it."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Hostile:
    """One plugin, a module."""

    source: str
    says: str = "the plugin 'PLUGIN' .*did not load"
    """What stderr has to contain, as a regular expression; "" if there is nothing to say."""
    said_by: tuple[str, ...] = ("list", "info", "run")
    registers: str = ""
    """What the lines contain that it prints, or of names that it registers, by right."""
    name: str = ""
    """The name of its entry point, if it is not that of the case."""
    code: int = 0
    """The exit code of a command that can't go on."""
    prints: bool = False
    """Whether it writes to standard error itself, where it may write anything."""


def _importing(statement: str) -> Hostile:
    return Hostile(f"import asyncio, os, sys, threading, time\n{statement}\n")


def _misnaming(line: str) -> Hostile:
    return replace(_registering(line, "left out"), said_by=("list", "run"))  # they look at all names


def _registering(body: str, says: str | None = None, registers: str = "") -> Hostile:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    source = f"import zoo_core as zoo\n\n@zoo.hookimpl\ndef zoo_register(registry):\n{lines}\n"
    return Hostile(source, "the plugin 'PLUGIN' .*did not load" if says is None else says, registers=registers)


def _hooking(hook: str, body: str) -> Hostile:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    source = f"import asyncio\nimport zoo_core as zoo\n\n@zoo.hookimpl\ndef {hook}:\n{lines}\n"
    return Hostile(source, "the plugin 'PLUGIN' is disabled for the rest of the run", ("run",))


def _changing(statement: str, what: str) -> Hostile:
    source = f"import os, signal, sys, threading, warnings\n{statement}\n"
    return Hostile(source, rf"the plugin 'PLUGIN' \(.*\) changed .*{what}")


_RAISED = {
    "exception": "raise Exception('no such machine')",
    "keyboard interrupt": "raise KeyboardInterrupt",
    "cancelled": "raise asyncio.CancelledError",
    "generator exit": "raise GeneratorExit('gone')",
    "system exit 0": "raise SystemExit(0)",
    "system exit text": "raise SystemExit('bye')",
    "os exit": "os._exit(0)",
    "stop iteration": "raise StopIteration",
    "memory error": "raise MemoryError",
    "panic": "raise type('PanicException', (BaseException,), {})('called `Option::unwrap()` on a `None` value')",
    "group": "raise BaseExceptionGroup('several', [KeyboardInterrupt(), ValueError('one')])",
    "warning": "raise UserWarning('no warning')",
    "broken pipe": "raise BrokenPipeError",
    "click abort": "import click; raise click.Abort",
    "click exit": "import click; raise click.exceptions.Exit(0)",
    "recursion": "def f(): return f()\nf()",
    "recursion in C": "x = []\nfor _ in range(100_000): x = [x]\nrepr(x)",
    "str raises": "class E(Exception):\n    def __str__(self): raise ValueError\nraise E",
    "str exits": "class E(Exception):\n    def __str__(self): raise SystemExit(0)\nraise E",
    "str interrupts": "class E(Exception):\n    def __str__(self): raise KeyboardInterrupt\nraise E",
    "str is no text": "class E(Exception):\n    def __str__(self): return 5\nraise E",
    "str is odd text": (
        "class S(str):\n"
        "    def __getitem__(self, key): raise KeyboardInterrupt\n"
        "    def split(self): raise SystemExit(0)\n"
        "    isprintable = split\n"
        "class E(Exception):\n"
        "    def __str__(self): return S('odd')\nraise E"
    ),
    "str is huge": "raise ValueError('a\\n\\x1b[31m' * 5_000_000)",
    "str never ends": "class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E",
    "repr exits": "class E(Exception):\n    def __repr__(self): raise SystemExit(0)\nraise ExceptionGroup('x', [E()])",
    "escapes": "raise ValueError('\\x1b]0;title\\x07\\x1b[2J\\u202e\\u2028\\x9b31m')",
    "name with escapes": "raise type('E\\x1b[2J', (Exception,), {})",
    "zoo error without text": "import zoo_core as zoo\nraise zoo.ZooError(None)",
    "zoo error that changes": (
        "import zoo_core as zoo\nclass E(zoo.ZooError):\n    message = property(lambda self: 1 / 0, lambda *_: None)\n"
        "    hint = message\nraise E('x')"
    ),
    "odd hint": "import zoo_core as zoo\nerror = zoo.ZooError('x')\nerror.hint = 5\nerror.message = None\nraise error",
    "module without a name": "raise ModuleNotFoundError('odd', name=5)",
    "odd notes": "error = ValueError('x')\nerror.__notes__ = 5\nraise error",
    "cause of itself": "error = ValueError('x')\nerror.__cause__ = error\nraise error",
    "many causes": (
        "error = None\nfor i in range(50_000):\n    new = ValueError(i)\n    new.__cause__ = error\n    error = new\n"
        "raise error"
    ),
}

_AT_REGISTRATION = {
    "keyboard interrupt": "raise KeyboardInterrupt",
    "cancelled": "import asyncio\nraise asyncio.CancelledError",
    "panic": "raise type('PanicException', (BaseException,), {})('unwrap')",
    "generator exit": "raise GeneratorExit",
    "os exit": "import os\nos._exit(0)",
}

_STREAMS = {
    "stdout closed": "sys.stdout.close()",
    "stderr closed": "sys.stderr.close()",
    "original stdout closed": "sys.__stdout__.close()",
    "original stderr closed": "sys.__stderr__.close()",
    "both closed": "sys.stdout.close(); sys.stderr.close(); sys.stdin.close()",
    "descriptor 1 closed": "os.close(1)",
    "descriptor 2 closed": "os.close(2)",
    "all descriptors closed": "os.close(0); os.close(1); os.close(2)",
    "a range closed": "os.closerange(0, 64)",
    "descriptors to null": "null = os.open(os.devnull, os.O_WRONLY); os.dup2(null, 1); os.dup2(null, 2)",
    "stdout None": "sys.stdout = sys.stderr = None",
    "stdout detached": "sys.stdout.detach()",
    "stderr detached": "sys.stderr.detach()",
    "buffer closed": "sys.stdout.buffer.close()",
    "stdout odd": "class W:\n    def write(self, text): raise KeyboardInterrupt\nsys.stdout = sys.stderr = W()",
    "ascii": "sys.stdout.reconfigure(encoding='ascii', errors='strict')",
}

_LEAVES = {
    "thread": "threading.Thread(target=time.sleep, args=(1000,), name='worker').start()",
    "thread of a thread": (
        "def start(): threading.Thread(target=time.sleep, args=(1000,)).start()\n"
        "one = threading.Thread(target=start); one.start(); one.join()"
    ),
    "timer": "threading.Timer(1000, print).start()",
    "executor": (
        "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor()\npool.submit(time.sleep, 1000)"
    ),
    "process": (
        "from multiprocessing import get_context\nget_context('fork').Process(target=time.sleep, args=(1000,)).start()"
    ),
}

_CHANGES = {
    "working folder": ("os.chdir('/')", "working directory"),
    "umask": ("os.umask(0o777)", "umask"),
    "signals": ("[signal.signal(one, signal.SIG_IGN) for one in (signal.SIGINT, signal.SIGTERM)]", "SIGINT"),
    "trace": ("sys.settrace(lambda *_: None)", "trace"),
    "recursion limit": ("sys.setrecursionlimit(80)", "recursion limit"),
    "warnings as errors": ("warnings.simplefilter('error')", "warnings"),
    "warnings ignored": ("warnings.simplefilter('ignore'); warnings.showwarning = print", "warnings"),
    "environment": ("os.environ.clear()", "environment"),
    "path": ("sys.path.clear(); sys.meta_path.clear()", "sys"),
    "exit": ("sys.exit = print; sys.excepthook = print", "sys"),
    "builtins": ("import builtins; builtins.open = builtins.print = builtins.len = None", "builtins"),
    "logging": ("import logging; logging.disable(50); logging.getLogger().setLevel(1)", "logging"),
    "locale": ("import locale; locale.setlocale(locale.LC_ALL, 'C.UTF-8')", ""),
    "limits": ("import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))", "limit"),
    "torch dtype": ("import torch; torch.set_default_dtype(torch.float64)", "default dtype"),
    "torch device": ("import torch; torch.set_default_device('meta')", "default device"),
    "torch gradients": ("import torch; torch.set_grad_enabled(False)", "grad"),
    "torch threads": ("import torch; torch.set_num_threads(7)", "threads"),
    "torch determinism": ("import torch; torch.use_deterministic_algorithms(True)", "deterministic"),
}

_HANGS = {
    "sleeps": "time.sleep(1000)",
    "computes": "while True: pass",
    "catches exceptions": "while True:\n    try: time.sleep(1000)\n    except Exception: pass",
    "waits in a lock": "threading.Lock().acquire() and threading.Event().wait()",
    "waits for itself": "lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "reads stdin": "time.sleep(1000) if not sys.stdin.read() else None",
}

PLUGINS = {
    **{f"import raises {name}".replace(" ", "-"): _importing(text) for name, text in _RAISED.items()},
    **{f"register raises {name}".replace(" ", "-"): _registering(text) for name, text in _AT_REGISTRATION.items()},
    **{
        f"step raises {name}".replace(" ", "-"): _hooking("zoo_step_finished(run)", text)
        for name, text in {**_AT_REGISTRATION, "exit": "raise SystemExit(0)", "error": "1 / 0"}.items()
    },
    **{
        f"started raises {name}".replace(" ", "-"): _hooking("zoo_run_started(run)", text)
        for name, text in _AT_REGISTRATION.items()
    },
    **{
        name.replace(" ", "-"): Hostile(f"import os, sys\n{text}", says="", said_by=())
        for name, text in _STREAMS.items()
    },
    **{
        f"leaves {name}".replace(" ", "-"): Hostile(
            f"import threading, time\n{text}", "the plugin 'PLUGIN' .*(thread|process|exit)"
        )
        for name, text in _LEAVES.items()
    },
    **{f"changes {name}".replace(" ", "-"): _changing(*pair) for name, pair in _CHANGES.items()},
    "traces-and-fails": _importing("sys.settrace(lambda *_: 1 / 0)"),
    **{f"hang {name}".replace(" ", "-"): _importing(text) for name, text in _HANGS.items()},
    "hang-catches-everything": Hostile(
        "import time\nwhile True:\n    try: time.sleep(1000)\n    except BaseException: pass",
        "error: the plugin 'PLUGIN' does not stop loading",
        code=2,
    ),
    "hang-without-alarm": Hostile("import signal, time\nsignal.setitimer(signal.ITIMER_REAL, 0)\ntime.sleep(1000)"),
    "prints-much": Hostile(
        "import os, sys\nprint('x' * 10_000_000)\nos.write(1, b'y' * 10_000_000)", says="", said_by=()
    ),
    "prints-escapes": Hostile("print('\\x1b[2J\\x9b31m')", says="", said_by=(), prints=True),
    "prints-json": Hostile('print(\'[{"name": "fake"}]\')', says="", said_by=()),
    "names-with-escapes": _misnaming("registry.model('a\\x1b[2Jb', 'collections:Counter', summary='A counter')"),
    "long-name": _misnaming("registry.model('a' * 1_000_000, 'collections:Counter', summary='s')"),
    "summary-with-escapes": _registering(
        "registry.model('odd', 'collections:Counter', summary='\\x1b[2J\\u202e\\n' * 1000)", ""
    ),
    "tags-without-end": _registering(
        "import itertools\nregistry.model('odd', 'collections:Counter', summary='s', tags=map(str, itertools.count()))"
    ),
    "family-without-end": _registering(
        "import itertools\nregistry.models('odd', map(str, itertools.count()), 'collections:Counter', summary='s')",
        "",
    ),
    "odd-text-as-name": _registering(
        "class S(str):\n    def __eq__(self, other): raise KeyboardInterrupt\n    __hash__ = None\n"
        "registry.model(S('odd'), S('collections:Counter'), summary=S('s'))",
        "",
    ),
    "no-text-as-name": _misnaming("registry.model(b'odd', 'collections:Counter', summary='s')"),
    "no-text-as-recipe": _registering("registry.recipe(5, __file__, model=5)", ""),
    "odd-recipe": _registering("registry.recipe('odd', __file__, model=object(), run=registry)", "", "odd"),
    "recipes-of-a-device": _registering("registry.recipes('/dev/zero')", ""),
    "recipes-of-a-pipe": _registering(
        "import os, tempfile\npath = tempfile.mkdtemp() + '/pipe'\nos.mkfifo(path)\nregistry.recipes(path)", ""
    ),
    "recipes-of-nothing": _registering("registry.recipes(None)", ""),
    "entries-deleted": _registering("registry.entries.clear()\nregistry.recipe_files.clear()"),
    "coroutine": Hostile(
        "import zoo_core as zoo\n@zoo.hookimpl\n"
        "async def zoo_register(registry): registry.model('x', 'a:B', summary='s')"
    ),
    "generator": Hostile(
        "import zoo_core as zoo\n@zoo.hookimpl\n"
        "def zoo_register(registry): yield registry.model('x', 'a:B', summary='s')"
    ),
    "hook-is-no-function": Hostile("zoo_register = 5", says="", said_by=()),
    "hook-is-odd": Hostile("def __getattr__(name): raise KeyboardInterrupt"),
    "module-replaced": Hostile("import sys\nsys.modules[__name__] = None"),
    "entry-with-escapes": Hostile("1 / 0", says="did not load", name=b"odd\\x1b[2J".decode("unicode_escape")),
    "entry-without-name": Hostile("1 / 0", says="did not load", name="a b/../c"),
    "step-changes-arguments": _hooking(
        "zoo_logged(run, step, metrics)", "metrics['loss'] = 0\nmetrics.clear()\nraise ValueError('x')"
    ),
    "hook-returns-odd": Hostile(
        "import zoo_core as zoo\n@zoo.hookimpl\ndef zoo_run_started(run): return object()\n"
        "@zoo.hookimpl\ndef zoo_step_finished(run, step): return lambda: 1 / 0",
        says="",
        said_by=(),
    ),
    "hook-prints": Hostile(
        "import os\nimport zoo_core as zoo\n@zoo.hookimpl\ndef zoo_run_started(run): print('noise')",
        says="",
        said_by=(),
        registers="noise",  # it may print
    ),
}
