"""Fuzzing of weights files: each file must be refused with a ZooError, or load with exactly the tensors it contains.

Every file is a small valid one (of the model `unet`, or of a stack of layers of any size) that is randomly mutated in
one to three ways: bytes removed, flipped or inserted; wrong lengths, offsets, shapes, dtypes and names; values that are
not finite; headers with wrong types in any field, nested, duplicated or megabytes long; settings of huge networks;
links, pipes, devices, archives. A child process with limited memory loads the files, so that crashes are detected.

loaded     every parameter is finite, and every tensor has the shape of the model, and equals the bytes in the file
refused    with a ZooError; counted by message
WRONG      anything else: another exception, a crash, too much memory or time, other weights

    python benchmarks/fuzz_weights.py --files 10000 --seed 0
    python benchmarks/fuzz_weights.py --seed 0 --only 4711  # repeats one file, with the traceback

The exit code is 1 if any outcome is WRONG. Runs on Linux.
"""

from __future__ import annotations

import argparse
import copy
import faulthandler
import json
import math
import os
import queue
import random
import re
import resource
import signal
import struct
import subprocess
import sys
import threading
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from measuring import status, write
from torch import nn

import zoo_core as zoo
from zoo_core.errors import ZooError
from zoo_core.registry.catalog import Catalog
from zoo_core.weights.header import read_header
from zoo_core.weights.load import load

MEMORY = 3 * 2**29  # bytes that a child may allocate after all imports
SECONDS = 30  # time limit for a file, with a margin for a busy machine
NAMES = {torch.float32: "F32", torch.float16: "F16", torch.int64: "I64"}


class Stack(zoo.Model):
    """A stack of layers whose settings have no limits."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        width: int = zoo.setting(3, "units in each layer")
        depth: int = zoo.setting(2, "number of layers")
        table: int = zoo.setting(4, "length of a non-persistent buffer")
        words: tuple[str, ...] = zoo.setting((), "any strings")
        scale: float = zoo.setting(1.0, "factor of the result")

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.layers = nn.ModuleList([nn.Linear(config.width, config.width) for _ in range(config.depth)])
        self.norm = nn.BatchNorm1d(config.width)
        self.register_buffer("table", torch.zeros(config.table), persistent=False)


class Plugin:
    @zoo.hookimpl
    def zoo_register(self, registry: zoo.Registry) -> None:
        registry.model("stack", "fuzz_weights:Stack", summary="A stack of layers")


@dataclass
class Draft:
    """The content of a file to be written; tensors are [name, dtype, shape, bytes, offsets or None] in order."""

    metadata: dict[str, Any]
    tensors: list[list[Any]]
    text: str | None = None  # of the metadata, instead of their JSON
    also: list[str] = field(default_factory=list)  # further members of the header
    length: int | None = None  # of the header, as stated in the file
    spoils: list[Callable[[bytearray], None]] = field(default_factory=list)  # mutations of the final bytes

    def data(self) -> bytes:
        parts, end = [], 0
        text = self.text if self.text is not None else json.dumps({"format": 1, **self.metadata})
        members = [f'"__metadata__":{json.dumps({"zoo": text})}', *self.also]
        for name, dtype, shape, data, offsets in self.tensors:
            description = {"dtype": dtype, "shape": shape, "data_offsets": offsets or [end, end + len(data)]}
            members.append(f"{json.dumps(name)}:{json.dumps(description)}")
            parts.append(data)
            end += len(data)
        header = ("{" + ",".join(members) + "}").encode("utf-8", "surrogatepass")
        length = len(header) if self.length is None else self.length
        whole = bytearray(struct.pack("<Q", length % 2**64) + header + b"".join(parts))
        for spoil in self.spoils:
            spoil(whole)
        return bytes(whole)


def drafts() -> list[Draft]:
    """The valid files."""
    torch.manual_seed(0)
    recipe = {"name": "unet-frames", "model": {"name": "unet"}, "dataset": {}, "trainer": {}, "run": {}}
    more = {
        "recipe": recipe,
        "seed": 1,
        "step": 300,
        "dataset": "abc",
        "metrics": {"mse": 0.5},
        "protocol": "in words",
        "versions": {"zoo-core": "0.1.0", "torch": "2.9"},
        "plugins": {"unet": "0.1.0"},
        "git": {"commit": "abc", "changed": False},
        "license": "MIT",
    }
    made = []
    for name, settings in (
        ("unet", {"in_channels": 1, "out_channels": 1, "base_channels": 1, "depth": 1, "frame_channels": 1}),
        ("stack", {}),
    ):
        model = Stack(Stack.Config()) if name == "stack" else zoo.build(name, settings)
        config = vars(model.config)
        tensors: list[list[Any]] = []
        for key, tensor in model.state_dict().items():
            tensors.append([key, NAMES[tensor.dtype], list(tensor.shape), tensor.numpy().tobytes(), None])
        made.append(Draft({"model": name, "config": config, **more}, tensors))
    return made


# Mutations of a draft

ODD_NAMES = ["", "../../../etc/passwd", "/etc/passwd", "os.system", "a\0b", "a\nb", "\x1b[2J\x1b[H", "x" * 100_000]
ODD_NAMES += ["\ud800", "\u202etxt", "unet/unet", "stack", "__metadata__", "layers.0", "layers.0.weight", "é", "."]
ODD_VALUES: list[Any] = [None, True, 0, -1, 1.5, 10**30, 1e308, -(2**63), "x", "", "\ud800", "${x}", "\x1b[2J", "../.."]
ODD_VALUES += [
    "x" * 10_000,
    [],
    {},
    [1],
    {"a": 1},
    [[[]]],
    {"name": ["x"]},
    {"zoo-core": {}},
    {"commit": [1]},
    ["a"] * 50,
]
ODD_NUMBERS = [-1, 0, 1, 2, 10**6, 10**9, 10**12, 2**31, 2**63 - 1, 2**63, 10**30, -(2**63), 1e18, "many", None, True]
DTYPES = ["BOOL", "F4", "F6_E2M3", "F6_E3M2", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "I16", "U16", "F16", "BF16"]
DTYPES += ["I32", "U32", "F32", "C64", "F64", "I64", "U64", "X", "f32"]
FIELDS = [
    "format",
    "model",
    "config",
    "recipe",
    "seed",
    "step",
    "dataset",
    "metrics",
    "protocol",
    "versions",
    "plugins",
]
FIELDS += ["git", "license", "converted"]
NO_FILES = ["device", "full", "pipe", "folder", "nothing", "itself", "link", "zip", "pickle", "sparse", "empty"]
LENGTHS = [0, 1, 2, 7, 8, 100, 2**25, 2**31, 2**32, 2**63, 2**64 - 1]


def odd_field(chance: random.Random, draft: Draft) -> None:
    draft.metadata[chance.choice(FIELDS)] = chance.choice(ODD_VALUES)


def odd_inner_field(chance: random.Random, draft: Draft) -> None:
    outer = draft.metadata.get(chance.choice(["recipe", "metrics", "versions", "plugins", "git", "config"]))
    if isinstance(outer, dict):
        outer[chance.choice([*outer, *ODD_NAMES])] = chance.choice(ODD_VALUES)


def lost_field(chance: random.Random, draft: Draft) -> None:
    draft.metadata.pop(chance.choice(FIELDS), None)


def odd_setting(chance: random.Random, draft: Draft) -> None:
    config = draft.metadata.get("config")
    if isinstance(config, dict) and config:
        config[chance.choice([*config])] = chance.choice(ODD_NUMBERS)


def odd_model(chance: random.Random, draft: Draft) -> None:
    draft.metadata["model"] = chance.choice(ODD_NAMES)


def bomb(chance: random.Random, draft: Draft) -> None:
    """JSON that is expensive to parse."""
    depth, count = chance.choice([40, 900, 100_000]), chance.choice([1000, 100_000, 1_000_000])
    values = [
        "[" * depth + "]" * depth,
        '{"a":' * depth + "1" + "}" * depth,
        "9" * chance.choice([25, 5000, 100_000]),
        chance.choice(["1e999", "-1e999", "NaN", "Infinity", "-Infinity"]),
        "[" + ",".join(["0"] * count) + "]",
        "[" + ",".join(['"a"'] * count) + "]",
        '"' + "x" * 10 * count + '"',
        "{" + ",".join(f'"{number}":0' for number in range(count)) + "}",
        '{"a":1,"a":2}',
    ]
    text = json.dumps({"format": 1, **draft.metadata})
    where = chance.choice([*(f'"config": {{"{key}": ' for key in ("words", "class_names", "width")), '"x": ', "config"])
    if where == "config":
        draft.text = text[:-1] + f', "config": {chance.choice(values)}}}'  # a duplicate key
    elif where == '"x": ':
        draft.text = text[:-1] + f', "x": {chance.choice(values)}}}'
    else:
        draft.text = text.replace('"config": {', where + chance.choice(values) + ", ", 1)


def odd_text(chance: random.Random, draft: Draft) -> None:
    text = draft.text if draft.text is not None else json.dumps({"format": 1, **draft.metadata})
    begin, end = sorted(chance.randrange(len(text) + 1) for _ in range(2))
    parts = [text[:begin], text[begin:end], text[:begin] + text[end:], text + text]
    draft.text = chance.choice([*parts, "", "null", "[]"])


def odd_tensor_name(chance: random.Random, draft: Draft) -> None:
    if draft.tensors:
        chance.choice(draft.tensors)[0] = chance.choice([*ODD_NAMES, chance.choice(draft.tensors)[0]])


def odd_dtype(chance: random.Random, draft: Draft) -> None:
    if draft.tensors:
        chance.choice(draft.tensors)[1] = chance.choice(DTYPES)


def odd_shape(chance: random.Random, draft: Draft) -> None:
    if draft.tensors:
        one = chance.choice(draft.tensors)
        shape = list(one[2])
        if chance.random() < 0.5:
            shape = shape[::-1] or [1]
        if chance.random() < 0.5:
            shape.insert(chance.randrange(len(shape) + 1), chance.choice([0, 1, *ODD_NUMBERS]))
        if chance.random() < 0.2:
            shape = [chance.choice([0, 1, 2**40])] * chance.choice([1, 30, 100_000])
        one[2] = shape
        if 0 in shape:
            one[3] = b""


def odd_offsets(chance: random.Random, draft: Draft) -> None:
    if draft.tensors:
        one, total = chance.choice(draft.tensors), sum(len(other[3]) for other in draft.tensors)
        begin = chance.choice([0, 0, 4, total, total // 2, -4, 2**63, 2**64 - 1, chance.randrange(total + 1)])
        one[4] = chance.choice(
            [[begin, begin + len(one[3])], [begin, begin], [begin + 4, begin], [begin], [0, total], [begin, "x"]]
        )


def shuffled(chance: random.Random, draft: Draft) -> None:
    """Permute the names of the tensors."""
    names = [one[0] for one in draft.tensors]
    chance.shuffle(names)
    for one, name in zip(draft.tensors, names, strict=True):
        one[0] = name


def lost_tensor(chance: random.Random, draft: Draft) -> None:
    if draft.tensors:
        draft.tensors.remove(chance.choice(draft.tensors))


def further_tensor(chance: random.Random, draft: Draft) -> None:
    data = bytes(4 * chance.choice([0, 1, 100]))
    name = chance.choice([*ODD_NAMES, "further", *(one[0] for one in draft.tensors[:1])])
    draft.tensors.append([name, "F32", [len(data) // 4], data, None])


def no_number(chance: random.Random, draft: Draft) -> None:
    one = chance.choice(draft.tensors) if draft.tensors else None
    if one is not None and one[1] == "F32" and one[3]:
        place = 4 * chance.randrange(len(one[3]) // 4)
        value = struct.pack("<f", chance.choice([math.nan, math.inf, -math.inf]))
        one[3] = one[3][:place] + value + one[3][place + 4 :]


def other_precision(chance: random.Random, draft: Draft) -> None:
    """Another dtype, possibly with values that the original one can't represent."""
    one = chance.choice(draft.tensors) if draft.tensors else None
    if one is not None and one[1] == "F32":
        count = len(one[3]) // 4
        code, one[1] = chance.choice([("d", "F64"), ("e", "F16"), ("d", "F64")])
        value = chance.choice([0.5, 1e300, math.nan, -math.inf]) if code == "d" else 0.5
        one[3] = struct.pack(f"<{count}{code}", *[value] * count)


def doubled_member(chance: random.Random, draft: Draft) -> None:
    description = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    name = chance.choice(["__metadata__", *(one[0] for one in draft.tensors), "x"])
    value = chance.choice([json.dumps(description), "{}", "null", "[" * 500 + "]" * 500, '{"zoo":"{}"}', '{"zoo":5}'])
    draft.also.append(f"{json.dumps(name)}:{value}")


def many_tensors(chance: random.Random, draft: Draft) -> None:
    description = '{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    draft.also.append(",".join(f'"t{number}":{description}' for number in range(chance.choice([1000, 50_000]))))


def odd_length(chance: random.Random, draft: Draft) -> None:
    near = len(draft.data()) + chance.randrange(-9, 9)
    draft.length = chance.choice([*LENGTHS, near, chance.randrange(4000)])


def odd_bytes(chance: random.Random, draft: Draft) -> None:
    seed = chance.random()

    def spoil(data: bytearray) -> None:
        here = random.Random(seed)  # noqa: S311
        end = here.choice([16, 200, len(data), len(data)])
        for _ in range(here.choice([1, 1, 2, 8, 100])):
            place, way = here.randrange(max(1, min(end, len(data)))), here.randrange(6)
            if way <= 2 and place < len(data):
                data[place] ^= 1 << here.randrange(8)
            elif way == 3:
                data[place:place] = here.randbytes(here.choice([1, 8, 100]))
            elif way == 4:
                del data[place : place + here.choice([1, 8, 100])]
            else:
                data[place : place + 8] = bytes(8)

    draft.spoils.append(spoil)


def cut_off(chance: random.Random, draft: Draft) -> None:
    part = chance.random()
    keep = chance.choice([0, 1, 7, 8, 9, None, None, None])
    draft.spoils.append(lambda data: data.__delitem__(slice(int(len(data) * part) if keep is None else keep, None)))


def longer(chance: random.Random, draft: Draft) -> None:
    count = chance.choice([1, 8, 10_000])
    draft.spoils.append(lambda data: data.extend(bytes(count)))


WAYS = [odd_field, odd_inner_field, lost_field, odd_setting, odd_setting, odd_model, odd_text, odd_tensor_name]
WAYS += [odd_dtype, odd_shape, odd_offsets, shuffled, lost_tensor, further_tensor, no_number, other_precision]
WAYS += [doubled_member, odd_length, odd_bytes, odd_bytes, cut_off, longer]
COSTLY = [bomb, many_tensors]


def no_file(chance: random.Random, path: Path, data: bytes) -> str:
    """Write something that is not a file of tensors to ``path``; returns its kind."""
    kind = chance.choice(NO_FILES)
    if kind in ("device", "full"):
        path.symlink_to("/dev/zero" if kind == "device" else "/dev/full")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "nothing":
        path.symlink_to(path.with_name("nothing at all"))
    elif kind == "itself":
        path.symlink_to(path)
    elif kind == "link":
        path.with_name("linked").write_bytes(data)
        path.symlink_to("linked")
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("model/data.pkl", b"\x80\x02.")
    elif kind == "pickle":
        path.write_bytes(b"\x80" + bytes([chance.choice([0, 1, 2, 3, 4, 5, 9])]) + b"cos\nsystem\n(S'true'\ntR.")
    elif kind == "sparse":
        with path.open("wb") as file:
            file.write(struct.pack("<Q", chance.choice([2**31, 2**31 - 8, 100])) + b'{"a":')
            file.truncate(2**31 + 8)
    else:
        path.write_bytes(b"")
    return kind


def spoil(seed: int, number: int, path: Path, valid: list[Draft]) -> str:
    """Write the file ``number`` of the run ``seed``; returns the mutations."""
    chance = random.Random(f"{seed}/{number}")  # noqa: S311
    draft = copy.deepcopy(chance.choice(valid))
    if chance.random() < 0.03:
        return no_file(chance, path, draft.data())
    ways = chance.sample(WAYS, chance.choice([1, 1, 2, 3]))
    if chance.random() < 0.03:
        ways.insert(0, chance.choice(COSTLY))
    for way in ways:
        way(chance, draft)
    path.write_bytes(draft.data())
    return ", ".join(way.__name__ for way in ways)


# Outcomes


def plain(data: bytes) -> dict[str, tuple[str, list[int], bytes]]:
    """The tensors of a valid file, parsed independently of the tested code."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    found = {}
    for name, description in header.items():
        begin, end = (8 + length + offset for offset in description["data_offsets"])
        found[name] = (description["dtype"], description["shape"], data[begin:end])
    return found


def outcome(path: Path, catalog: Catalog, strict: bool) -> str:
    """``loaded``, or ``refused: reason``; raises for any other outcome."""
    why = ""
    try:
        read_header(path).describe()
    except ZooError as error:
        why = str(error)
    try:
        model, left_out = load(path, catalog, strict=strict)
    except ZooError as error:
        check_message(error)
        return f"refused: {type(error).__name__}: {gist(error, path)}"
    if why:
        raise AssertionError(f"it loads, but its header is refused: {why}")
    in_file = plain(path.read_bytes())
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in type(model)(model.config).state_dict().items()}
    parameters = {name for name, _ in model.named_parameters()}
    for name, tensor in model.state_dict().items():
        if tensor.shape != shapes[name] or tensor.is_meta:
            raise AssertionError(f"{name} has shape {tensor.shape} on {tensor.device}, not {shapes[name]}")
        if name in parameters and not tensor.isfinite().all():
            raise AssertionError(f"{name} is not finite")
        if name in left_out.missing or name in left_out.mismatched:
            continue
        dtype, shape, data = in_file[name]
        if list(tensor.shape) != shape:
            raise AssertionError(f"{name} has another shape than the file")
        if dtype == NAMES.get(tensor.dtype) and tensor.numpy().tobytes() != data:
            raise AssertionError(f"{name} differs from the file")
    return "loaded" if strict else "loaded in part" if left_out else "loaded"


def check_message(error: ZooError) -> None:
    text = str(error)
    if len(text) > 4000 or any(not one.isprintable() for one in text.replace("\n", "")) or text.count("\n") > 1:
        raise AssertionError(f"an unreadable message: {text[:500]!r}") from error


def gist(error: ZooError, path: Path) -> str:
    """The message without the parts that differ between files."""
    text = re.sub(r"\(.*\)", "(…)", error.message.replace(str(path), "FILE"))
    text = re.sub(r"'.*'", "'…'", text)
    text = re.sub(r"-?\d[\d,.e+]*", "N", text)
    return re.sub(r"(not a safetensors file: \w[^:]*:[^:,]*).*", r"\1…", text)[:110]


def child(seed: int, numbers: list[int], folder: Path, loudly: bool) -> None:
    """Load the files one after the other, and print a line before and after each."""
    os.environ["ZOO_HOME"] = str(folder)
    catalog = Catalog()
    catalog.plugins.add("fuzz", Plugin())
    valid = drafts()
    for number, draft in enumerate(valid):
        path = folder / f"valid-{number}.safetensors"
        path.write_bytes(draft.data())
        if outcome(path, catalog, True) != "loaded":  # this also imports everything that loading needs
            raise SystemExit(f"a valid file does not load: {outcome(path, catalog, True)}")
    limit = status("VmSize") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for number in numbers:
        path = folder / f"{number}.safetensors"
        done = spoil(seed, number, path, valid)
        print(json.dumps([number, "started", done]), flush=True)
        start = time.monotonic()
        faulthandler.dump_traceback_later(SECONDS - 5)  # shows where it hangs before it is killed
        try:
            found = outcome(path, catalog, strict=number % 5 != 0)
        except Exception as error:
            found = f"WRONG: {type(error).__name__}: {str(error)[:300]}"
            if loudly:
                traceback.print_exc()
        faulthandler.cancel_dump_traceback_later()
        print(json.dumps([number, found, time.monotonic() - start]), flush=True)
        if not loudly:
            remove(path)
    print(json.dumps([-1, "memory", status("VmHWM")]), flush=True)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink()


def watch(seed: int, files: int, folder: Path) -> tuple[dict[int, str], dict[int, str], dict[str, float]]:
    """Load all files in child processes, restarted after a crash; returns outcomes, mutations and the highest costs."""
    found: dict[int, str] = {}
    ways: dict[int, str] = {}
    costs = {"seconds": 0.0, "memory": 0.0}
    while len(found) < files:
        first = len(found)
        command = [sys.executable, "-W", "ignore", __file__, "--seed", str(seed), "--folder", str(folder)]
        command += ["--child", f"{first}-{min(files, first + 2000)}"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        lines = _lines(process)
        current = first
        while True:
            try:
                line = lines.get(timeout=SECONDS if current in ways and current not in found else 300)
            except queue.Empty:
                process.kill()
                found[current] = f"WRONG: it takes more than {SECONDS} s"
                break
            if line is None:
                break
            number, what, more = json.loads(line)
            if what == "started":
                current, ways[number] = number, more
            elif what == "memory":
                costs["memory"] = max(costs["memory"], more)
            else:
                found[number] = what
                costs["seconds"] = max(costs["seconds"], more)
        code = process.wait()
        if code and current not in found:
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            if current not in ways:
                raise SystemExit(f"the child that loads the files does not start: {how}")
            found[current] = f"WRONG: the process died of {how}"
    return found, ways, costs


def _lines(process: subprocess.Popen[str]) -> queue.Queue[str | None]:
    """A queue of the lines that the process prints, and None at its end."""
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        with process.stdout or sys.stdin as stream:
            for line in stream:
                lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="load only this file, with the traceback")
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        begin, end = map(int, args.child.split("-"))
        child(args.seed, list(range(begin, end)), args.folder, loudly=False)
        return
    with TemporaryDirectory() as name:
        if args.only is not None:
            child(args.seed, [args.only], Path(name), loudly=True)
            return
        start = time.monotonic()
        found, ways, costs = watch(args.seed, args.files, Path(name))
    seconds = time.monotonic() - start
    wrong = {number: what for number, what in sorted(found.items()) if what.startswith("WRONG")}
    for what, count in Counter(found.values()).most_common():
        if not what.startswith("WRONG"):
            print(f"{count:6}  {what}")
    for number, what in wrong.items():
        print(f"file {number} of seed {args.seed} ({ways[number]}): {what}")
    kinds = Counter(re.split(r": | in part", what.removeprefix("refused: "))[0] for what in found.values())
    print(", ".join(f"{kind} {count:,}" for kind, count in kinds.most_common()))
    print(f"{len(found):,} files in {seconds:.0f} s, the slowest {costs['seconds']:.1f} s; ", end="")
    print(f"memory at the peak {costs['memory'] / 2**20:,.0f} MiB, torch included")
    every = [{"file": number, "ways": ways[number], "outcome": what} for number, what in sorted(found.items())]
    write(args.output, {"seed": args.seed, "files": every, "costs": costs})
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
