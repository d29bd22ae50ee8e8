"""Commands beside hostile plugins: one that is installed must neither stop nor falsify what has nothing to do with it.

Each plugin is a distribution of its own. With it, `zoo list`, `zoo info RECIPE` and `zoo run RECIPE` (two steps) of a
recipe that comes with zoo have a right end if

- they exit with 0, and before a time limit (with 2, and the name of the plugin, if nothing can interrupt it),
- stdout is what it is without the plugin, and valid names that the plugin registers,
- stderr has a warning with the name of the plugin, where there is something to say, and no traceback,
- neither has a control character.

What no program can contain from within its own process is not tried: a crash of native code, a signal that a plugin
sends to its own process, code that holds Python's global lock in C for ever. See docs/security.md.

    python benchmarks/hostile_plugins.py
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import textwrap
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from hostile_plugin_sources import PLUGINS, Hostile
from measuring import as_installed, machine, write

RECIPE = "digit-classifier-mnist"
COMMANDS = {
    "list": ["list"],
    "info": ["info", RECIPE],
    "run": ["run", RECIPE, "dataset.source=subset", "run.steps=2", "run.batch_size=8", "run.device=cpu"],
}
SECONDS = {"list": 120, "info": 120, "run": 900}
LOAD_LIMIT = 2  # seconds that a plugin may take to load, so that those that hang do not take half a minute each
_VARIES = re.compile(r"(steps/s|time|loss|metrics|accuracy|run |curves|predict).*")


@dataclass(frozen=True)
class End:
    """How a command ended."""

    code: int | None
    """None if it was killed at the time limit."""
    stdout: str
    stderr: str


def install(site: Path, name: str, plugin: Hostile) -> None:
    """Write the distribution ``zoo-hostile 1.0`` with this one plugin."""
    (site / "hostile.py").write_text(textwrap.dedent(plugin.source), encoding="utf-8")
    info = site / "zoo_hostile-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zoo-hostile\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[zoo]\n{plugin.name or name} = hostile\n", encoding="utf-8")


def ended(words: list[str], site: Path, folder: Path, seconds: float) -> End:
    """Run a command. Its output goes to files, since what a plugin starts may keep a pipe open."""
    environment = {
        **as_installed(),
        "PYTHONPATH": os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "ZOO_HOME": str(folder / "home"),
        "ZOO_PLUGIN_TIMEOUT": str(LOAD_LIMIT),
        "COLUMNS": "120",
    }
    out, err = folder / "stdout", folder / "stderr"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "zoo_core", *words],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # and what the plugin has started
        process.wait()
    with err.open("rb") as file:
        said = file.read(1_000_000).decode(errors="replace")
    return End(code, out.read_bytes()[:1_000_000].decode(errors="replace"), said)


def problems(name: str, plugin: Hostile, command: str, end: End, without: End) -> list[str]:
    """What is wrong with the end of a command."""
    found = []
    if end.code is None:
        found.append("hangs")
    elif end.code != plugin.code:
        found.append(f"exit code {end.code}")
    if not plugin.code and _comparable(end.stdout, plugin) != _comparable(without.stdout, plugin):
        found.append("another stdout")
    if "Traceback" in end.stderr or "Exception ignored" in end.stderr:
        found.append("a traceback")
    says = plugin.says.replace("PLUGIN", re.escape(name))
    if says and command in plugin.said_by and not re.search(says, end.stderr):
        found.append("the plugin is not named")
    if any(not one.isprintable() and one not in "\n\t" for one in end.stdout + ("" if plugin.prints else end.stderr)):
        found.append("a control character")
    return found


def _comparable(text: str, plugin: Hostile) -> list[str]:
    """The lines of stdout without what differs between two runs, and without the names of the plugin."""
    lines = [line for line in text.splitlines() if not (plugin.registers and plugin.registers in line)]
    return [re.sub(r"\s+", " ", _VARIES.sub("", line)) for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plugins", nargs="*", choices=list(PLUGINS), default=list(PLUGINS), metavar="NAME")
    parser.add_argument("--commands", nargs="*", choices=list(COMMANDS), default=list(COMMANDS))
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    args = parser.parse_args()
    wrong: dict[str, list[str]] = {}
    with TemporaryDirectory() as folder:
        without = {}
        for command in args.commands:
            place = Path(folder, f"without-{command}")
            (place / "site").mkdir(parents=True)
            without[command] = ended(COMMANDS[command], place / "site", place, SECONDS[command])
            if without[command].code:
                sys.exit(f"zoo {command} fails without any hostile plugin:\n{without[command].stderr}")
        for name in args.plugins:
            for command in args.commands:
                place = Path(folder, f"{name}-{command}")
                (place / "site").mkdir(parents=True)
                install(place / "site", name, PLUGINS[name])
                end = ended(COMMANDS[command], place / "site", place, SECONDS[command])
                if found := problems(name, PLUGINS[name], command, end, without[command]):
                    wrong[f"{name}, zoo {command}"] = found
                    print(f"{name}, zoo {command}: {', '.join(found)}", flush=True)
                    print(textwrap.indent(end.stderr[:1500], "    "))
    tried = len(args.plugins) * len(args.commands)
    print(f"{len(args.plugins)} plugins, {tried} commands: {tried - len(wrong)} right ends, {len(wrong)} wrong ones")
    write(args.output, {"machine": machine(), "plugins": args.plugins, "commands": args.commands, "wrong": wrong})
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
