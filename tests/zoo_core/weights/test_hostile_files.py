"""Untrusted files: each is refused with a message, or contains what its header says.

There is never another exception, a crash, a hang, unbounded memory usage, or a model with wrong weights.
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
from zoo_core.weights.hashing import check
from zoo_core.weights.header import read_header
from zoo_core.weights.load import load

FUZZ = ROOT / "benchmarks" / "fuzz_weights.py"
HEADERS = {"model": "line", "format": 1, "config": {"inputs": 3}}


class Unbounded(zoo.Model):
    """A model whose settings do not limit its size."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        width: int = zoo.setting(3, "units of a layer")
        depth: int = zoo.setting(1, "layers")
        no_params: int = zoo.setting(0, "layers without parameters")
        table: int = zoo.setting(2, "size of a non-persistent buffer")
        groups: int = zoo.setting(1, "groups of the normalization, which must divide the width")

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.layers = nn.ModuleList([nn.Linear(config.width, config.width) for _ in range(config.depth)])
        self.no_params = nn.Sequential()
        for number in range(config.no_params):
            self.no_params.append(nn.ReLU() if number % 2 else nn.Identity())
        self.norm = nn.GroupNorm(config.groups, config.width)
        self.register_buffer("table", torch.zeros(config.table), persistent=False)


class Plugin:
    @zoo.hookimpl
    def zoo_register(self, registry: zoo.Registry) -> None:
        registry.model("unbounded", f"{__name__}:Unbounded", summary="Unlimited size")


@pytest.fixture(autouse=True)
def time_limit():
    """Fail a test that hangs."""

    def fail(*_):
        pytest.fail("the test hangs")  # not an Exception, so that the code under test does not catch it

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def unbounded(tmp_path):
    """Load a file of the model `unbounded` with settings in its header that do not match its tensors."""
    catalog = tiny.catalog()
    catalog.plugins.add("unbounded", Plugin())

    def read(strict=True, **config):
        torch.manual_seed(0)
        path = tmp_path / "unbounded.safetensors"
        tensors = Unbounded(Unbounded.Config()).state_dict()
        write(path, tensors, {"model": "unbounded", "config": config})
        return load(path, catalog, strict=strict)

    return read


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One folder for all examples of a property."""
    return tmp_path_factory.mktemp("examples")


def valid_file():
    """The bytes of a small weights file."""
    return assemble(json.dumps(HEADERS), tensors())


def tensors():
    torch.manual_seed(0)
    state = tiny.Line(tiny.Line.Config()).state_dict()
    dtypes = {torch.float32: "F32", torch.int64: "I64"}
    return [(name, dtypes[one.dtype], list(one.shape), one.numpy().tobytes()) for name, one in state.items()]


def assemble(metadata, listed, **overrides):
    """The bytes of a safetensors file; ``overrides`` replaces fields in the listing of the first tensor."""
    members, end = {"__metadata__": {"zoo": metadata}}, 0
    for name, dtype, shape, data in listed:
        members[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + len(data)]}
        end += len(data)
    if overrides:
        members[listed[0][0]].update(overrides)
    header = json.dumps(members).encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(header)) + header + b"".join(data for *_, data in listed)


def load_or_error(path):
    """The model if the file loads, else the error, whose message is checked."""
    try:
        read_header(path).describe()
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
        expected = tiny.Line(model.config).state_dict()
    assert {name: one.shape for name, one in model.state_dict().items()} == {
        n: one.shape for n, one in expected.items()
    }
    return model


def error_of(path):
    error = load_or_error(path)
    assert isinstance(error, ZooError), "the file loads"
    return str(error)


# Properties

property_settings = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
_numbers = iter(range(10**9))


def new_file(folder, data):
    """Every example has its own file name, since results are cached by file."""
    path = folder / f"{next(_numbers)}.safetensors"
    path.write_bytes(data)
    return path


def test_the_unmodified_file_is_valid(folder):
    assert isinstance(load_or_error(new_file(folder, valid_file())), tiny.Line)


@property_settings
@given(data=st.binary(max_size=300))
def test_random_bytes_are_refused(folder, data):
    error_of(new_file(folder, data))


@property_settings
@given(rest=st.binary(max_size=300), length=st.integers(0, 2**64 - 1))
@example(rest=b"{}", length=2)
@example(rest=b"{}", length=2**64 - 1)
def test_random_bytes_after_any_header_length_are_refused(folder, rest, length):
    error_of(new_file(folder, struct.pack("<Q", length) + rest))


@property_settings
@given(keep=st.integers(0, len(valid_file()) - 1))
def test_a_truncated_file_is_refused(folder, keep):
    error_of(new_file(folder, valid_file()[:keep]))


@property_settings
@given(
    changes=st.lists(st.tuples(st.integers(0, len(valid_file()) - 1), st.integers(0, 255)), min_size=1, max_size=6),
    inserted=st.binary(max_size=3),
)
def test_changed_bytes_are_refused_or_load_as_a_complete_model(folder, changes, inserted):
    data = bytearray(valid_file())
    for position, value in changes:
        data[position] = value
    data[changes[0][0] : changes[0][0]] = inserted
    load_or_error(new_file(folder, bytes(data)))


_text = st.text(st.characters(exclude_categories=[]), max_size=30)  # also NUL, newlines and surrogates
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


@property_settings
@given(metadata=st.dictionaries(st.sampled_from(_fields), _values, min_size=1))
def test_any_value_of_a_documented_field_is_refused_or_described(folder, metadata):
    text = json.dumps({**HEADERS, **metadata})
    found = load_or_error(new_file(folder, assemble(text, tensors())))
    if isinstance(found, tiny.Line):
        assert found.config == tiny.Line.Config()


@property_settings
@given(
    field=st.sampled_from(["recipe", "metrics", "versions", "plugins", "git"]),
    inner=st.dictionaries(st.sampled_from(["name", "zoo-core", "commit", "error"]) | _text, _values, max_size=4),
)
def test_any_value_inside_a_documented_field_is_refused_or_described(folder, field, inner):
    load_or_error(new_file(folder, assemble(json.dumps({**HEADERS, field: inner}), tensors())))


@property_settings
@given(value=_values | st.integers(-5, 5) | st.sampled_from([10**6, 10**12, 2**63 - 1, 2**63]))
def test_any_setting_but_the_right_one_is_refused(folder, value):
    found = load_or_error(new_file(folder, assemble(json.dumps({**HEADERS, "config": {"inputs": value}}), tensors())))
    if isinstance(found, tiny.Line):
        assert found.config.inputs == 3


@property_settings
@given(name=_text, model=_text)
@example(name="../../../etc/passwd", model="/etc/passwd")
@example(name="layers.0.weight\0", model="line\0")
@example(name="layers.0.weight\n", model="line\n")
@example(name="\x1b[2J", model="\x1b[2J")
def test_any_other_name_of_a_tensor_or_a_model_is_refused(folder, name, model):
    other, further = (name, *tensors()[0][1:]), (name, "F32", [0], b"")
    error_of(new_file(folder, assemble(json.dumps(HEADERS), [other, *tensors()[1:]])))
    error_of(new_file(folder, assemble(json.dumps(HEADERS), [*tensors(), further])))
    error_of(new_file(folder, assemble(json.dumps({**HEADERS, "model": model}), tensors())))


@property_settings
@given(
    overrides=st.fixed_dictionaries(
        {},
        optional={
            "dtype": st.sampled_from(["F64", "F16", "I32", "BOOL", "F4", "F6_E2M3", "F8_E4M3", "X"]) | _text,
            "shape": st.lists(st.integers(-2, 2**65) | st.integers(0, 5), max_size=5) | _values,
            "data_offsets": st.lists(st.integers(-8, 2**65) | st.integers(0, 200), max_size=3) | _values,
        },
    )
)
@example(overrides={"data_offsets": [0, 56]})  # overlaps the next tensor
@example(overrides={"data_offsets": [48, 0]})
@example(overrides={"data_offsets": [0, 2**63]})
@example(overrides={"shape": [2**62, 4, 3]})
def test_any_wrong_listing_of_a_tensor_is_refused(folder, overrides):
    correct = {"dtype": "F32", "shape": [4, 3], "data_offsets": [0, 48]}
    if {**correct, **overrides} != correct:
        error_of(new_file(folder, assemble(json.dumps(HEADERS), tensors(), **overrides)))


# Examples

BOMBS = {
    "nested": ("[" * 10_000 + "]" * 10_000, "nested too deeply"),
    "nested in reason": ("[" * 900 + "]" * 900, "nested too deeply"),
    "nested mappings": ('{"a":' * 900 + "1" + "}" * 900, "nested too deeply"),
    "a long number": ("9" * 5000, r"header is damaged: Exceeds the limit"),
    "a number of 65 bits": (str(2**64), "an integer of more than 64 bits"),
    "a negative number of 65 bits": (str(-(2**64)), "an integer of more than 64 bits"),
    "infinity": ("Infinity", "it holds Infinity"),
    "minus infinity": ("-Infinity", "it holds -Infinity"),
    "NaN": ("NaN", "it holds NaN"),
    "overflow to infinity": ("1e999", "it holds an infinite number"),
    "a duplicate key": ('{"a": 1, "a": 2}', "duplicate key"),
    "a surrogate": (r'"\ud800"', "surrogates not allowed"),
    "a surrogate in a key": (r'{"\ud800": 1}', "surrogates not allowed"),
    "ten megabytes": ('"' + "x" * 10**7 + '"', r"metadata of 10,000,\d+ characters, but zoo reads at most 2,097,152"),
    "many values": ("[" + "0," * 100_000 + "0]", "more than 20,000 values"),
    "many keys": ("{" + ",".join(f'"{key}":0' for key in range(60_000)) + "}", "more than 20,000 values"),
}


@pytest.mark.parametrize("field", ["config", "extra"])
@pytest.mark.parametrize("case", BOMBS)
def test_json_that_is_expensive_to_process_is_refused_quickly(tmp_path, case, field):
    value, message = BOMBS[case]
    metadata = json.dumps({**HEADERS, "config": {"inputs": 3, "more": "VALUE"}, "extra": "VALUE"})
    metadata = metadata.replace('"more": "VALUE"' if field == "config" else '"extra": "VALUE"', f'"here": {value}')
    path = new_file(tmp_path, assemble(metadata, tensors()))
    start = time.monotonic()
    with pytest.raises(BadFile, match=message):
        read_header(path)
    assert time.monotonic() - start < 5
    error_of(path)


def test_the_maximal_number_of_settings_is_processed_quickly(tmp_path):
    metadata = json.dumps({**HEADERS, "config": {"inputs": ["a"] * 19_000}})
    start = time.monotonic()
    assert "model.inputs is ['a', 'a'" in error_of(new_file(tmp_path, assemble(metadata, tensors())))
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("name", ["a\0b", "a\nb", "\x1b[2J", "\u202eb", "x" * 1001])
def test_an_unprintable_tensor_name_is_refused(tmp_path, name):
    path = new_file(tmp_path, assemble(json.dumps(HEADERS), [*tensors(), (name, "F32", [0], b"")]))
    assert f"holds a tensor with the invalid name '{one_line(name)}'" in error_of(path)
    with pytest.raises(BadFile, match="holds a tensor with the invalid name"):
        load(path, tiny.catalog(), strict=False)


UNPRINTABLE = "\x1b[31mred\x1b[0m\nand a line"


def test_control_characters_of_a_file_are_escaped(tmp_path):
    metadata = {**HEADERS, "versions": {"zoo-core": UNPRINTABLE}, "metrics": {UNPRINTABLE: 1.0}, "license": UNPRINTABLE}
    described = read_header(
        new_file(tmp_path, assemble(json.dumps({**metadata, "config": {UNPRINTABLE: 3}}), tensors()))
    ).describe()
    shown = [described[key] for key in ("summary", "license", "versions")]
    shown += [*described["metrics"], described["settings"][0]["key"]]
    assert all(text.isprintable() for text in shown), shown
    assert "\\x1b[31mred" in described["summary"]
    with pytest.raises(BadFile, match="its recipe has the invalid name") as refused:
        read_header(new_file(tmp_path, assemble(json.dumps({**metadata, "recipe": {"name": UNPRINTABLE}}), tensors())))
    assert refused.value.message.isprintable()


def test_one_line_escapes_and_shortens():
    assert one_line("plain text") == "plain text"
    assert one_line("a\nb\tc\0d\x1b[2J\u202e") == "a b c\\x00d\\x1b[2J\\u202e"
    assert one_line("x" * 10**6) == "x" * 200 + "…"
    assert one_line("x" * 50, 10) == "x" * 10 + "…"


FILES = {
    "a device": (lambda path: path.symlink_to("/dev/zero"), "is a device, but should be a file"),
    "a full device": (lambda path: path.symlink_to("/dev/full"), "is a device, but should be a file"),
    "a pipe": (os.mkfifo, "is a pipe, but should be a file"),
    "a link to nothing": (lambda path: path.symlink_to("gone"), "is a link to gone, which does not exist."),
    "a link to itself": (lambda path: path.symlink_to(path), "can't be read: Too many levels of symbolic links"),
}


@pytest.mark.parametrize("case", FILES)
def test_what_is_not_a_regular_file_is_refused_by_every_function(tmp_path, listed, case):
    make, message = FILES[case]
    path = tmp_path / "line.safetensors"
    make(path)
    for read in (
        read_header,
        check,
        lambda path: load(path, tiny.catalog()),
        lambda path: load(str(path), tiny.catalog()),
    ):
        with pytest.raises(BadFile) as error:
            read(path)
        assert message in error.value.message
    with pytest.raises(BadFile, match="weights 'my-line': "):
        load("my-line", listed(path, sha256="a" * 64))


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(BadFile, match="is a folder, but should be a file"):
        read_header(tmp_path)
    with pytest.raises(BadFile, match="is a folder, but should be a file"):
        check(tmp_path)


def test_a_symbolic_link_is_followed(file, tmp_path):
    (tmp_path / "link.safetensors").symlink_to(file())
    assert isinstance(load_or_error(tmp_path / "link.safetensors"), tiny.Line)


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "a/" * 3000, "\ud800", "a\nb.safetensors", ""])
def test_names_that_no_file_can_have_are_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((UnknownName, BadFile)) as error:
        load(name, tiny.catalog())
    assert error.value.hint


@pytest.mark.parametrize("length", [2**31, 2**31 - 8, 100])
def test_a_file_of_two_gigabytes_is_refused_without_reading_it(tmp_path, length):
    """The header length is too large, or the header is damaged; the file is sparse."""
    path = tmp_path / "large.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", length) + b'{"a":')
        file.truncate(2**31 + 8)
    start = time.monotonic()
    message = error_of(path)
    assert time.monotonic() - start < 2
    assert "has a header of 2,147," in message if length > 100 else "is not a safetensors file" in message


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"depth": 10**6}, "build a network of more than 1,040 tensors and modules, but the file holds 4 tensors"),
        ({"depth": 10**15}, "build a network of more than 1,040 tensors and modules, but the file holds 4 tensors"),
        ({"no_params": 10**6}, "build a network of more than 1,040 tensors and modules, but the file holds 4 tensors"),
        ({"width": 10**6}, r"'layers\.0\.weight' has shape \(3, 3\), but Unbounded has \(1000000, 1000000\)"),
        ({"width": 10**12}, "can't be built from its settings: RuntimeError: "),
        ({"width": -4}, "can't be built from its settings: RuntimeError: "),
        ({"table": 10**12}, "build a network of 1,000,000,000,018 values, but the file holds 18"),
        ({"table": -1}, "can't be built from its settings: RuntimeError: "),
        (
            {"groups": 2},
            "can't be built from its settings: ValueError: num_channels .* must be divisible by num_groups",
        ),
        ({"groups": 0}, "can't be built from its settings: ZeroDivisionError: "),
        ({"depth": "many"}, "model.depth is 'many', but should be an int"),
        ({"depth": -1}, r"has 'layers\.0\.bias' \(3,\), which Unbounded does not have"),
        ({"width": [3]}, "model.width is \\[3\\], but should be an int"),
        ({"width": None}, "model.width is null, but should be an int"),
        ({"width": 3.5}, "model.width is 3.5, but should be an int"),
    ],
    ids=str,
)
def test_settings_of_a_huge_or_invalid_network_are_refused(unbounded, config, message):
    with pytest.raises(BadFile, match=message) as error:
        unbounded(**config)
    assert "According to its header, it is model 'unbounded'" in error.value.hint


@pytest.mark.parametrize("config", [{"width": 10**4}, {"width": 10**6}, {"depth": 10**6}, {"table": 10**10}], ids=str)
def test_a_huge_network_is_refused_with_strict_false_too(unbounded, config):
    with pytest.raises(BadFile, match=r"build a network of (more than )?[\d,]+ (values|tensors)"):
        unbounded(strict=False, **config)


def test_a_small_model_may_be_loaded_in_part(unbounded):
    model, incompatible = unbounded(strict=False, width=8, depth=2)
    assert model.config.depth == 2
    assert set(incompatible.missing) == {"layers.1.weight", "layers.1.bias"}


@pytest.mark.parametrize("case", ["F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F4", "C64", "U16", "BOOL", "F16"])
def test_tensors_of_every_type_are_loaded_or_refused(tmp_path, case):
    """PyTorch does not support some of the types."""
    bytes_each = {"C64": 8, "U16": 2, "F16": 2, "F4": 0.5}.get(case, 1)
    name, _, shape, _ = tensors()[0]
    changed = [(name, case, shape, bytes(int(12 * bytes_each))), *tensors()[1:]]
    found = load_or_error(new_file(tmp_path, assemble(json.dumps(HEADERS), changed)))
    if case in ("F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F16"):
        assert isinstance(found, tiny.Line)
        assert found.state_dict()[name].dtype == torch.float32
    else:
        assert f"'layers.0.weight' has type {case}, but Line has float32" in str(found)


def test_an_unexpected_tensor_may_have_an_unsupported_type(tmp_path):
    path = new_file(tmp_path, assemble(json.dumps(HEADERS), [*tensors(), ("extra", "F4", [2, 8], bytes(8))]))
    assert "has 'extra' (2, 8), which Line does not have" in error_of(path)
    _, incompatible = load(path, tiny.catalog(), strict=False)
    assert incompatible.unexpected == {"extra": (2, 8)}


@pytest.mark.parametrize(
    ("case", "value"),
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
def test_a_single_value_that_is_not_finite_is_found_in_every_type(tmp_path, case, value):
    name, _, shape, _ = tensors()[0]
    changed = [(name, case, shape, bytes(11 * len(value)) + value), *tensors()[1:]]
    message = error_of(new_file(tmp_path, assemble(json.dumps(HEADERS), changed)))
    assert f"'{name}' holds NaN or infinite values" in message


def test_values_that_overflow_when_cast_are_refused(tmp_path):
    name, _, shape, _ = tensors()[0]
    changed = [(name, "F64", shape, struct.pack("<12d", *[1e300] * 12)), *tensors()[1:]]
    message = error_of(new_file(tmp_path, assemble(json.dumps(HEADERS), changed)))
    assert f"'{name}' holds values that are too large for torch.float32" in message


@pytest.mark.parametrize("shape", [[0, 2**63], [0, 2**64 - 1], [0] * 65, [0] * 100_000])
def test_an_invalid_shape_is_refused(tmp_path, shape):
    changed = [*tensors(), ("empty", "F32", shape, b"")]
    assert "has the invalid shape" in error_of(new_file(tmp_path, assemble(json.dumps(HEADERS), changed)))


@pytest.mark.parametrize(
    ("files", "refused", "loaded"), [(60, 35, 1), pytest.param(500, 300, 20, marks=pytest.mark.long)]
)
def test_damaged_files_are_refused_or_load_correctly(files, refused, loaded):
    """A short run of benchmarks/fuzz_weights.py, which loads 10,000 files in a child process with little memory."""
    words = [sys.executable, str(FUZZ), "--files", str(files), "--seed", "1"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = dict(part.rsplit(" ", 1) for part in done.stdout.splitlines()[-2].split(", "))
    assert int(counts["BadFile"]) > refused
    assert int(counts["loaded"]) > loaded
