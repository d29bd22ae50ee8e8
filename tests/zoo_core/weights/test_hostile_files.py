"""Files that a stranger made: each is refused with a message, or holds what it says it holds.

Never another exception, a crash, a process that waits or grows without end, or a model with wrong weights.
"""

import json
import os
import signal
import struct
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest
import tiny
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from repository import ROOT
from torch import nn

import zoo_core as zoo
from zoo_core.errors import BadFile, UnknownName, ZooError, one_line
from zoo_core.weights.format import write
from zoo_core.weights.hashing import check, is_finite
from zoo_core.weights.header import read_header
from zoo_core.weights.load import load

FUZZ = ROOT / "benchmarks" / "fuzz_weights.py"
HEADERS = {"model": "line", "format": 1, "config": {"inputs": 3}}


class Boundless(zoo.Model):
    """As wide and deep as its settings say, and they may say anything."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        width: int = zoo.setting(3, "numbers of a layer")
        depth: int = zoo.setting(1, "layers")
        silent: int = zoo.setting(0, "layers without a parameter")
        table: int = zoo.setting(2, "numbers of a buffer that is in no file")
        groups: int = zoo.setting(1, "of the normalization, which refuses what does not divide the width")

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.layers = nn.ModuleList([nn.Linear(config.width, config.width) for _ in range(config.depth)])
        self.silent = nn.Sequential()
        for number in range(config.silent):
            self.silent.append(nn.ReLU() if number % 2 else nn.Identity())
        self.norm = nn.GroupNorm(config.groups, config.width)
        self.register_buffer("table", torch.zeros(config.table), persistent=False)


class Plugin:
    @zoo.hookimpl
    def zoo_register(self, registry: zoo.Registry) -> None:
        registry.model("boundless", f"{__name__}:Boundless", summary="Has no bounds")


@pytest.fixture(autouse=True)
def impatience():
    """A test that waits for what never ends is ended."""

    def give_up(*_):
        pytest.fail("it waits")  # no Exception, so that nothing takes it for a fault of the file

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def boundless(tmp_path):
    """A way to load a file of the model `boundless` whose header has other settings than its tensors."""
    catalog = tiny.catalog()
    catalog.plugins.add("boundless", Plugin())

    def read(strict=True, **config):
        torch.manual_seed(0)
        path = tmp_path / "boundless.safetensors"
        tensors = Boundless(Boundless.Config()).state_dict()
        write(path, tensors, {"model": "boundless", "config": config})
        return load(path, catalog, strict=strict)

    return read


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One folder for all examples of a property."""
    return tmp_path_factory.mktemp("examples")


def valid():
    """The bytes of a small weights file."""
    return assembled(json.dumps(HEADERS), tensors())


def tensors():
    torch.manual_seed(0)
    found = tiny.Line(tiny.Line.Config()).state_dict()
    kinds = {torch.float32: "F32", torch.int64: "I64"}
    return [(name, kinds[one.dtype], list(one.shape), one.numpy().tobytes()) for name, one in found.items()]


def assembled(metadata, listed, **told):
    """The bytes of a safetensors file with this story and these tensors; ``told`` is said of the first instead."""
    members, end = {"__metadata__": {"zoo": metadata}}, 0
    for name, dtype, shape, data in listed:
        members[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + len(data)]}
        end += len(data)
    if told:
        members[listed[0][0]].update(told)
    header = json.dumps(members).encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(header)) + header + b"".join(data for *_, data in listed)


def try_all(path):
    """Everything that is done with a file: the model if it loads, else the error, whose message is looked at."""
    try:
        read_header(path).described()
        model, _ = load(path, tiny.catalog())
    except ZooError as error:
        text = str(error)
        assert len(text) < 4000, text
        assert all(part.isprintable() for part in text.split("\n")), text
        assert text.count("\n") <= 1, text
        return error
    for name, tensor in model.state_dict().items():
        assert tensor.isfinite().all(), name
        assert not tensor.is_meta
    with torch.device("meta"):
        wanted = tiny.Line(model.config).state_dict()
    assert {name: one.shape for name, one in model.state_dict().items()} == {n: one.shape for n, one in wanted.items()}
    return model


def refused(path):
    found = try_all(path)
    assert isinstance(found, ZooError), "it loads"
    return str(found)


# Properties

several = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
_numbers = iter(range(10**9))


def new_file(folder, data):
    """Every example has a name of its own: what was seen of a file is remembered."""
    path = folder / f"{next(_numbers)}.safetensors"
    path.write_bytes(data)
    return path


def test_the_file_that_all_of_them_start_from_is_valid(folder):
    assert isinstance(try_all(new_file(folder, valid())), tiny.Line)


@several
@given(data=st.binary(max_size=300))
def test_any_bytes_are_refused(folder, data):
    refused(new_file(folder, data))


@several
@given(rest=st.binary(max_size=300), length=st.integers(0, 2**64 - 1))
@example(rest=b"{}", length=2)
@example(rest=b"{}", length=2**64 - 1)
def test_any_bytes_behind_any_length_are_refused(folder, rest, length):
    refused(new_file(folder, struct.pack("<Q", length) + rest))


@several
@given(keep=st.integers(0, len(valid()) - 1))
def test_a_file_that_is_cut_off_is_refused(folder, keep):
    refused(new_file(folder, valid()[:keep]))


@several
@given(
    changes=st.lists(st.tuples(st.integers(0, len(valid()) - 1), st.integers(0, 255)), min_size=1, max_size=6),
    inserted=st.binary(max_size=3),
)
def test_changed_bytes_are_refused_or_leave_a_whole_model(folder, changes, inserted):
    data = bytearray(valid())
    for place, value in changes:
        data[place] = value
    data[changes[0][0] : changes[0][0]] = inserted
    try_all(new_file(folder, bytes(data)))


_text = st.text(st.characters(exclude_categories=[]), max_size=30)  # also NUL, newlines, halves of pairs
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4),
    max_leaves=12,
)
_fields = [
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
_fields += ["git", "license", "converted"]


@several
@given(metadata=st.dictionaries(st.sampled_from(_fields), _values, min_size=1))
def test_any_value_in_any_documented_field_is_refused_or_told(folder, metadata):
    whole = json.dumps({**HEADERS, **metadata})
    found = try_all(new_file(folder, assembled(whole, tensors())))
    if isinstance(found, tiny.Line):
        assert found.config == tiny.Line.Config()


@several
@given(
    field=st.sampled_from(["recipe", "metrics", "versions", "plugins", "git"]),
    inner=st.dictionaries(st.sampled_from(["name", "zoo-core", "commit", "error"]) | _text, _values, max_size=4),
)
def test_any_value_inside_a_documented_field_is_refused_or_told(folder, field, inner):
    try_all(new_file(folder, assembled(json.dumps({**HEADERS, field: inner}), tensors())))


@several
@given(value=_values | st.integers(-5, 5) | st.sampled_from([10**6, 10**12, 2**63 - 1, 2**63]))
def test_any_setting_is_refused_but_the_right_one(folder, value):
    found = try_all(new_file(folder, assembled(json.dumps({**HEADERS, "config": {"inputs": value}}), tensors())))
    if isinstance(found, tiny.Line):
        assert found.config.inputs == 3


@several
@given(name=_text, model=_text)
@example(name="../../../etc/passwd", model="/etc/passwd")
@example(name="layers.0.weight\0", model="line\0")
@example(name="layers.0.weight\n", model="line\n")
@example(name="\x1b[2J", model="\x1b[2J")
def test_any_name_of_a_tensor_or_a_model_is_refused(folder, name, model):
    other, further = (name, *tensors()[0][1:]), (name, "F32", [0], b"")
    refused(new_file(folder, assembled(json.dumps(HEADERS), [other, *tensors()[1:]])))
    refused(new_file(folder, assembled(json.dumps(HEADERS), [*tensors(), further])))
    refused(new_file(folder, assembled(json.dumps({**HEADERS, "model": model}), tensors())))


@several
@given(
    told=st.fixed_dictionaries(
        {},
        optional={
            "dtype": st.sampled_from(["F64", "F16", "I32", "BOOL", "F4", "F6_E2M3", "F8_E4M3", "X"]) | _text,
            "shape": st.lists(st.integers(-2, 2**65) | st.integers(0, 5), max_size=5) | _values,
            "data_offsets": st.lists(st.integers(-8, 2**65) | st.integers(0, 200), max_size=3) | _values,
        },
    )
)
@example(told={"data_offsets": [0, 56]})  # over the next one
@example(told={"data_offsets": [48, 0]})
@example(told={"data_offsets": [0, 2**63]})
@example(told={"shape": [2**62, 4, 3]})
def test_any_lie_of_a_tensor_is_refused(folder, told):
    honest = {"dtype": "F32", "shape": [4, 3], "data_offsets": [0, 48]}
    if {**honest, **told} != honest:
        refused(new_file(folder, assembled(json.dumps(HEADERS), tensors(), **told)))


# Single files

BOMBS = {
    "nested": ("[" * 10_000 + "]" * 10_000, "nested too deeply"),
    "nested in reason": ("[" * 900 + "]" * 900, "nested too deeply"),
    "nested mappings": ('{"a":' * 900 + "1" + "}" * 900, "nested too deeply"),
    "a long number": ("9" * 5000, r"header is damaged: Exceeds the limit"),
    "a number of 65 bits": (str(2**64), "a number of more than 64 bits"),
    "a small number of 65 bits": (str(-(2**64)), "a number of more than 64 bits"),
    "infinity": ("Infinity", "it holds Infinity"),
    "minus infinity": ("-Infinity", "it holds -Infinity"),
    "no number": ("NaN", "it holds NaN"),
    "more than any number": ("1e999", "it holds an infinite number"),
    "a key twice": ('{"a": 1, "a": 2}', "a key stands in it twice"),
    "half a character": (r'"\ud800"', "surrogates not allowed"),
    "half a character for a key": (r'{"\ud800": 1}', "surrogates not allowed"),
    "ten megabytes": ('"' + "x" * 10**7 + '"', r"10,000,\d+ characters of itself, but 2,097,152 is the most"),
    "many values": ("[" + "0," * 100_000 + "0]", "more than 20,000 values"),
    "many keys": ("{" + ",".join(f'"{key}":0' for key in range(60_000)) + "}", "more than 20,000 values"),
}


@pytest.mark.parametrize("place", ["config", "further"])
@pytest.mark.parametrize("kind", BOMBS)
def test_json_that_costs_its_reader_dear_is_refused_at_once(tmp_path, kind, place):
    value, message = BOMBS[kind]
    metadata = json.dumps({**HEADERS, "config": {"inputs": 3, "more": "VALUE"}, "further": "VALUE"})
    metadata = metadata.replace('"more": "VALUE"' if place == "config" else '"further": "VALUE"', f'"here": {value}')
    path = new_file(tmp_path, assembled(metadata, tensors()))
    start = time.monotonic()
    with pytest.raises(BadFile, match=message):
        read_header(path)
    assert time.monotonic() - start < 5
    refused(path)


def test_as_many_settings_as_a_header_may_hold_do_not_take_for_ever(tmp_path):
    metadata = json.dumps({**HEADERS, "config": {"inputs": ["a"] * 19_000}})
    start = time.monotonic()
    assert "model.inputs is ['a', 'a'" in refused(new_file(tmp_path, assembled(metadata, tensors())))
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("name", ["a\0b", "a\nb", "\x1b[2J", "\u202eb", "x" * 1001])
def test_a_name_that_could_not_be_shown_is_no_name_of_a_tensor(tmp_path, name):
    path = new_file(tmp_path, assembled(json.dumps(HEADERS), [*tensors(), (name, "F32", [0], b"")]))
    assert f"holds a tensor called '{one_line(name)}', which is no name of a tensor" in refused(path)
    with pytest.raises(BadFile, match="which is no name of a tensor"):
        load(path, tiny.catalog(), strict=False)


ODD = "\x1b[31mred\x1b[0m\nand a line"


def test_what_a_stranger_wrote_moves_no_cursor(tmp_path):
    metadata = {**HEADERS, "versions": {"zoo-core": ODD}, "metrics": {ODD: 1.0}, "license": ODD}
    told = read_header(
        new_file(tmp_path, assembled(json.dumps({**metadata, "config": {ODD: 3}}), tensors()))
    ).described()
    shown = [told["summary"], told["license"], told["versions"], *told["metrics"], told["settings"][0]["key"]]
    assert all(text.isprintable() for text in shown), shown
    assert "\\x1b[31mred" in told["summary"]
    with pytest.raises(BadFile, match="which is no name") as refused:
        read_header(new_file(tmp_path, assembled(json.dumps({**metadata, "recipe": {"name": ODD}}), tensors())))
    assert refused.value.message.isprintable()


def test_one_line_of_anything():
    assert one_line("plain words") == "plain words"
    assert one_line("a\nb\tc\0d\x1b[2J\u202e") == "a b c\\x00d\\x1b[2J\\u202e"
    assert one_line("x" * 10**6) == "x" * 200 + "…"
    assert one_line("x" * 50, 10) == "x" * 10 + "…"


FILES = {
    "a device": (lambda path: path.symlink_to("/dev/zero"), "is a device or a pipe, but should be a file"),
    "a full device": (lambda path: path.symlink_to("/dev/full"), "is a device or a pipe, but should be a file"),
    "a pipe": (os.mkfifo, "is a device or a pipe, but should be a file"),
    "a link to nothing": (lambda path: path.symlink_to("gone"), "does not exist. It is a link to gone."),
    "a link to itself": (lambda path: path.symlink_to(path), "can't be read: Too many levels of symbolic links"),
}


@pytest.mark.parametrize("kind", FILES)
def test_what_is_no_file_is_refused_however_it_is_come_by(tmp_path, listed, kind):
    make, message = FILES[kind]
    path = tmp_path / "line.safetensors"
    make(path)
    for way in (
        read_header,
        check,
        lambda path: load(path, tiny.catalog()),
        lambda path: load(str(path), tiny.catalog()),
    ):
        with pytest.raises(BadFile) as error:
            way(path)
        assert message in error.value.message
    with pytest.raises(BadFile, match="weights 'my-line': "):
        load("my-line", listed(path, sha256="a" * 64))


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(BadFile, match="is a folder, but should be a file"):
        read_header(tmp_path)
    with pytest.raises(BadFile, match="is a folder, but should be a file"):
        check(tmp_path)


def test_a_link_to_a_file_is_followed(file, tmp_path):
    (tmp_path / "link.safetensors").symlink_to(file())
    assert isinstance(try_all(tmp_path / "link.safetensors"), tiny.Line)


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "a/" * 3000, "\ud800", "a\nb.safetensors", ""])
def test_names_that_no_file_can_have_are_unknown(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((UnknownName, BadFile)) as error:
        load(name, tiny.catalog())
    assert error.value.hint


@pytest.mark.parametrize("length", [2**31, 2**31 - 8, 100])
def test_a_file_of_two_gigabytes_is_not_read(tmp_path, length):
    """Its header is as long as it says, or short and spoilt; the file is sparse and takes no room."""
    path = tmp_path / "large.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", length) + b'{"a":')
        file.truncate(2**31 + 8)
    start = time.monotonic()
    message = refused(path)
    assert time.monotonic() - start < 2
    assert "has a header of 2,147," in message if length > 100 else "is no safetensors file" in message


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"depth": 10**6}, "build a network of more than 1,040 tensors and modules, but it holds 4 tensors"),
        ({"depth": 10**15}, "build a network of more than 1,040 tensors and modules, but it holds 4 tensors"),
        ({"silent": 10**6}, "build a network of more than 1,040 tensors and modules, but it holds 4 tensors"),
        ({"width": 10**6}, r"'layers\.0\.weight' has shape \(3, 3\), but Boundless has \(1000000, 1000000\)"),
        ({"width": 10**12}, "can't be built: RuntimeError: "),
        ({"width": -4}, "can't be built: RuntimeError: "),
        ({"table": 10**12}, "build a network of 1,000,000,000,018 numbers, but it holds 18"),
        ({"table": -1}, "can't be built: RuntimeError: "),
        ({"groups": 2}, "can't be built: ValueError: num_channels .* must be divisible by num_groups"),
        ({"groups": 0}, "can't be built: ZeroDivisionError: "),
        ({"depth": "many"}, "model.depth is 'many', but should be an int"),
        ({"depth": -1}, r"has 'layers\.0\.bias' \(3,\), which Boundless does not have"),
        ({"width": [3]}, "model.width is \\[3\\], but should be an int"),
        ({"width": None}, "model.width is null, but should be an int"),
        ({"width": 3.5}, "model.width is 3.5, but should be an int"),
    ],
    ids=str,
)
def test_settings_of_an_enormous_or_impossible_network_are_refused(boundless, config, message):
    with pytest.raises(BadFile, match=message) as error:
        boundless(**config)
    assert "The file says that it is model 'boundless'" in error.value.hint


@pytest.mark.parametrize("config", [{"width": 10**4}, {"width": 10**6}, {"depth": 10**6}, {"table": 10**10}], ids=str)
def test_neither_does_a_part_of_a_file_fill_the_memory(boundless, config):
    with pytest.raises(BadFile, match=r"build a network of (more than )?[\d,]+ (numbers|tensors)"):
        boundless(strict=False, **config)


def test_a_part_of_a_file_may_still_be_most_of_a_small_model(boundless):
    model, left_out = boundless(strict=False, width=8, depth=2)
    assert model.config.depth == 2
    assert set(left_out.missing) == {"layers.1.weight", "layers.1.bias"}


@pytest.mark.parametrize("kind", ["F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F4", "C64", "U16", "BOOL", "F16"])
def test_tensors_of_every_type_are_refused_or_read(tmp_path, kind):
    """Of some types PyTorch knows next to nothing but the name."""
    bytes_each = {"C64": 8, "U16": 2, "F16": 2, "F4": 0.5}.get(kind, 1)
    name, _, shape, _ = tensors()[0]
    spoilt = [(name, kind, shape, bytes(int(12 * bytes_each))), *tensors()[1:]]
    found = try_all(new_file(tmp_path, assembled(json.dumps(HEADERS), spoilt)))
    if kind in ("F8_E4M3", "F8_E5M2", "F16"):
        assert isinstance(found, tiny.Line)
        assert found.state_dict()[name].dtype == torch.float32
    else:
        assert f"'layers.0.weight' holds {kind}, but Line has float32" in str(found)


def test_a_type_that_pytorch_cannot_compute_with_may_be_left_out(tmp_path):
    path = new_file(tmp_path, assembled(json.dumps(HEADERS), [*tensors(), ("further", "F4", [2, 8], bytes(8))]))
    assert "has 'further' (2, 8), which Line does not have" in refused(path)
    _, left_out = load(path, tiny.catalog(), strict=False)
    assert left_out.surplus == {"further": (2, 8)}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("F32", struct.pack("<f", float("nan"))),
        ("F32", struct.pack("<f", float("-inf"))),
        ("F16", struct.pack("<e", float("inf"))),
        ("BF16", b"\xc0\x7f"),
        ("F64", struct.pack("<d", float("nan"))),
        ("F8_E4M3", b"\x7f"),
        ("F8_E5M2", b"\x7c"),
        ("C64", struct.pack("<ff", 0.0, float("nan"))),
    ],
)
def test_one_number_that_is_none_is_found_in_every_type(tmp_path, kind, value):
    name, _, shape, _ = tensors()[0]
    spoilt = [(name, kind, shape, bytes(11 * len(value)) + value), *tensors()[1:]]
    message = refused(new_file(tmp_path, assembled(json.dumps(HEADERS), spoilt)))
    assert f"'{name}' holds NaN or infinite numbers" in message


def test_numbers_that_are_finite_only_in_the_file_are_refused(tmp_path):
    name, _, shape, _ = tensors()[0]
    spoilt = [(name, "F64", shape, struct.pack("<12d", *[1e300] * 12)), *tensors()[1:]]
    message = refused(new_file(tmp_path, assembled(json.dumps(HEADERS), spoilt)))
    assert f"'{name}' holds numbers that are too large for torch.float32" in message


@pytest.mark.parametrize("place", [0, 2**20 - 1, 2**20, 3 * 2**20 - 1])
def test_a_large_tensor_is_looked_through_to_its_end(place):
    tensor = torch.zeros(3, 2**20)
    assert is_finite(tensor)
    tensor.view(-1)[place] = float("nan")
    assert not is_finite(tensor)


@pytest.mark.parametrize("shape", [[0, 2**63], [0, 2**64 - 1], [0] * 65, [0] * 100_000])
def test_a_shape_that_no_tensor_has_is_refused(tmp_path, shape):
    spoilt = [*tensors(), ("empty", "F32", shape, b"")]
    assert "which no tensor has" in refused(new_file(tmp_path, assembled(json.dumps(HEADERS), spoilt)))


@pytest.mark.parametrize(
    ("files", "refused", "loaded"), [(60, 35, 1), pytest.param(500, 300, 20, marks=pytest.mark.long)]
)
def test_spoilt_files_are_refused_or_hold_what_they_say(files, refused, loaded):
    """What benchmarks/fuzz_weights.py does with 10,000; a child process with little memory loads them."""
    words = [sys.executable, str(FUZZ), "--files", str(files), "--seed", "1"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = dict(part.rsplit(" ", 1) for part in done.stdout.splitlines()[-2].split(", "))
    assert int(counts["BadFile"]) > refused
    assert int(counts["loaded"]) > loaded
