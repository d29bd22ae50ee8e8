"""Give hostile registry files to `zoo list`, `zoo list weights`, `zoo info` and `zoo run --print-config`, and count.

listed     the names of the plugins are listed among those of the file, and what is wrong with an entry is said there
refused    the file as a whole, in two lines
WRONG      anything else: another exception, a control character in what is printed, other names missing, more than
           10 seconds of CPU time

    python benchmarks/hostile_registries.py
    python benchmarks/hostile_registries.py --only 17
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from measuring import write

from zoo_core.cli import _exit_code

COMMANDS = ["list", "list weights", "info a", "run a --print-config"]
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
CONTROLS = [
    r"\e]0;title\a", r"\e[2J", r"\x9b31m", r"\u202e", r"\u2028", r"\u2066", r"\x85", r"\r", r"\0", r"\u200e",
    r"\nerror: x",
]  # fmt: skip
PLACES = [
    "recipes:\n  a:\n    extends: {}\n",
    "recipes:\n  a:\n    summary: {}\n    extends: clsgan-mnist\n",
    "recipes:\n  a:\n    {}: 1\n",
    "recipes:\n  {}: {{summary: x}}\n",
    "recipes:\n  a:\n    extends: clsgan-mnist\n    model: {{{}: 1}}\n",
    "recipes:\n  a:\n    extends: clsgan-mnist\n    model: {{name: {}}}\n",
    "{}: {{}}\n",
    "weights:\n  a: {{alias: {}}}\n",
    "weights:\n  a: {{location: {}, license: {}, sha256: {}}}\n",
    "plugins: [{}]\n",
]
NUMBERS = [
    "1e999",
    "-.inf",
    ".nan",
    "9" * 5000,
    "9" * 200_000,
    "0x" + "f" * 5000,
    "1" + ":1" * 5000,
    "-0",
    "1e-999",
    "0o8",
]


def registries() -> Iterator[bytes | None]:
    """The content of each file; None is a file of 40 GB without content."""
    for place in PLACES:
        for control in CONTROLS:
            yield place.replace("{{", "{").replace("}}", "}").replace("{}", f'"x{control}y"').encode()
    for number in NUMBERS:
        yield f"recipes:\n  a:\n    extends: clsgan-mnist\n    run: {{steps: {number}}}\n".encode()
        yield f"recipes:\n  a:\n    extends: clsgan-mnist\n    model: {{latent_dim: {number}}}\n".encode()
    for count in (2, 500, 3000):
        chain = [f"  r{number}: {{extends: r{number + 1}}}\n" for number in range(count - 1)]
        yield ("recipes:\n  a: {extends: r0}\n" + "".join(chain) + f"  r{count - 1}: {{extends: r0}}\n").encode()
        yield (
            "recipes:\n  a: {extends: r0}\n" + "".join(chain) + f"  r{count - 1}: {{extends: clsgan-mnist}}\n"
        ).encode()
        aliases = "".join(f"  w{number}: {{alias: w{(number + 1) % count}}}\n" for number in range(count))
        yield f"weights:\n  a: {{alias: w0}}\n{aliases}".encode()
    bomb = "".join(f"  b{number}: &b{number} [{', '.join([f'*b{number - 1}'] * 10)}]\n" for number in range(1, 12))
    yield f"recipes:\n  b0: &b0 [1, 1]\n{bomb}".encode()
    yield b"recipes: &a\n  a: *a\n"
    yield b"recipes:\n  a: &a {model: *a}\n"
    yield b"recipes:\n  a: {<<: {<<: {extends: clsgan-mnist}}}\n"
    yield b"recipes:\n  a: " + b"[" * 100_000
    yield b"recipes:\n  a: " + b"{a: " * 5000
    yield b"a: 1\n" * 100_000
    yield b"recipes:\n" + b"".join(b"  r%d: {extends: clsgan-mnist}\n" % number for number in range(9000))
    yield b"recipes:\n" + b"".join(b"  r%d: {}\n" % number for number in range(20_000))
    yield b"weights:\n" + b"".join(b"  w%d: {alias: clsgan-mnist}\n" % number for number in range(9000))
    yield b"# " + b"x" * 50_000_000
    yield b"recipes:\n" + b"  a: {}\n" * 2
    yield None
    for tag in (
        "!!python/object/apply:os.system ['touch touched']",
        "!!python/name:os.system",
        "!!binary AAAA",
        "!x 1",
    ):
        yield f"recipes:\n  a: {tag}\n".encode()
        yield f"recipes:\n  a: {{extends: clsgan-mnist, model: {{sigmoid: {tag}}}}}\n".encode()
    yield from (
        b"",
        b"\x00",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"---\n---\n",
        b"- a\n",
        b"5",
        b"null",
        b"{",
        b"%YAML 9.9\n---\n",
    )
    for name in ("../a", "/etc/a", "a b", "a\\b", ".", "..", "a/b/c", "-a", "a" * 5000, "${HOME}", "con", "a:b"):
        yield f"recipes:\n  {name!r}: {{extends: clsgan-mnist}}\n".encode()
    for value in ("${HOME}", "${oc.env:HOME}", "$(touch touched)", "`touch touched`", "{{ a }}", "%(a)s"):
        yield f"recipes:\n  a: {{extends: clsgan-mnist, dataset: {{root: {value!r}}}}}\n".encode()
    for target in ("os:system", "zoo_core.cli:main", "../evil.py", "os.system", "__main__"):
        yield f"recipes:\n  a: {{extends: clsgan-mnist, trainer: {{name: {target!r}}}}}\n".encode()
    for place in ("file:///etc/passwd", "http://evil.example/a", "/etc/passwd", "../../../../etc/passwd", "/dev/zero"):
        entry = f"location: {place!r}, license: MIT, size: 5, model: clsgan, sha256: {'a' * 64}"
        yield f"weights:\n  a: {{{entry}}}\n".encode()


def run(words: list[str]) -> tuple[object, str, float]:
    """The exit code or the exception of a command, what it printed, and its CPU time."""
    printed, begun = io.StringIO(), time.process_time()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            code: object = _exit_code(words)
        except BaseException as error:
            code = repr(error)[:200]
    return code, printed.getvalue(), time.process_time() - begun


def outcome(path: Path, content: bytes | None) -> str:
    with path.open("wb") as file:
        if content is None:
            file.truncate(40 * 2**30)
        else:
            file.write(content)
    what = "listed"
    for command in COMMANDS:
        code, printed, seconds = run([*command.split(), "--registry", str(path)])
        if code not in (0, 2) or "It was raised in a plugin" in printed or "Traceback" in printed:
            return f"WRONG: {command}: {code}, {printed[:200]!r}"
        if RAW.search(printed) or "\nerror: x" in printed:
            return f"WRONG: {command}: prints {printed[:200]!r}"
        if seconds > 10:
            return f"WRONG: {command}: {seconds:.0f} s"
        errors = [line for line in printed.split("\n") if not line.startswith("warning: ")]
        if code == 2 and (not errors[0].startswith("error: ") or len(errors) > 3):
            return f"WRONG: {command}: {printed[:200]!r}"
        if command == "list":
            what = "listed" if code == 0 else "refused"
            if code == 0 and "clsgan-mnist-quick" not in printed:
                return "WRONG: other recipes are missing"
    return "WRONG: code was executed" if Path("touched").exists() else what


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=int, help="number of one file")
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    found: dict[int, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ZOO_HOME"] = str(Path(folder, "home"))
        os.chdir(folder)
        for number, content in enumerate(registries()):
            if args.only in (None, number):
                found[number] = outcome(Path(folder, "given.yaml"), content)
                if found[number].startswith("WRONG"):
                    print(f"registry {number}: {found[number]}", flush=True)
                if args.only is not None:
                    print((content or b"40 GB")[:500], found[number], sep="\n")
        os.chdir("/")
    counts = Counter(what.partition(":")[0] for what in found.values())
    for what, count in counts.most_common():
        print(f"{count:6}  {what}")
    wrong = counts["WRONG"]
    print(f"{len(found)} registries, {wrong} wrong")
    write(args.output, {"registries": found})
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
