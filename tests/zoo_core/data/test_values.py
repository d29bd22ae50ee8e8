"""What a preview or a prediction may contain, and what is refused with the reason."""

import math
import re

import kinds_plugin
import numpy as np
import pytest
import torch

import zoo_core as zoo
from zoo_core.data.values import as_json, as_prediction, as_preview, clipped, images_of, kind_of, unsuitable


@pytest.mark.parametrize(
    ("gives", "kind"),
    [
        ("text", "text"), ("table", "table"), ("audio", "audio"), ("line", "array"), ("matrix", "array"),
        ("volume", "array"), ("images", "images"), ("clips", "clips"), ("classes", "classes"),
    ],
)  # fmt: skip
def test_the_type_or_the_shape_of_a_value_is_its_kind(gives, kind):
    values = as_preview(kinds_plugin.KINDS[gives](1))
    assert unsuitable(values) == ""
    assert kind_of(values[""]) == kind


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (torch.zeros(2, 2, 4, 4), "array"),  # two channels
        (torch.zeros(3, 4, 4), "array"),
        (torch.zeros(4, 4, dtype=torch.int64), "array"),
        (torch.zeros(1, 1, 4, 4, dtype=torch.complex64), "array"),
        (np.zeros((2, 3, 4, 4), dtype=">f4"), "images"),
        (np.arange(12, dtype=np.uint8).reshape(3, 4)[::-1], "classes"),
        (torch.eye(3).to_sparse(), "array"),
        (torch.ones(2, requires_grad=True) * 2, "array"),
        (np.zeros(3, dtype=np.longdouble), "array"),
        (np.zeros(3, dtype=np.clongdouble), "array"),
        (np.zeros((2, 2), dtype=np.float16), "array"),
    ],
)
def test_tensors_of_any_layout_and_arrays_of_any_order_are_values(value, kind):
    (only,) = as_preview(value).values()
    assert kind_of(only) == kind
    assert (only.layout, only.requires_grad, only.device.type) == (torch.strided, False, "cpu")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 2], "gives a list, but should give a str, a zoo.Table, .*; a table is zoo.Table"),
        (["a", "b"], "gives a list, .*; several texts are a mapping"),
        (3.5, "gives a float, .*; a number is a metric, which evaluate returns"),
        (torch.tensor(1.0), r"gives a tensor of shape \(\), .*; a number is a metric"),
        ([torch.zeros(1, 2, 2)], r"gives a list, .*; several images are torch.stack\(images\)"),
        (torch.zeros(2, 3, device="meta"), r"gives a tensor of shape \(2, 3\) on the meta device, "),
        (
            torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=torch.jagged),
            "gives a nested tensor, .*; to show nothing, return None",
        ),
        (np.ma.array([1.0, 2.0], mask=[False, True]), r"gives a MaskedArray of shape \(2,\), "),
        (torch.zeros(0, 3), r"gives a tensor of shape \(0, 3\), "),
        ({"a": {"b": "c"}}, "gives a dict as 'a', .*; a table is zoo.Table"),
        ({"loss": [1, 2], "step": [1, 2]}, "gives a list as 'loss', .*; a table is zoo.Table"),
        ({1: "a"}, "gives a mapping with the key 1, but its keys should be names"),
        (np.array([object()]), r"gives an array of shape \(1,\), "),
        (b"bytes", "gives a bytes, "),
        (object(), "gives an object, "),
    ],
)
def test_what_cannot_be_shown_is_refused_with_what_was_given_and_expected(value, message):
    assert re.match(message, unsuitable(as_preview(value)))


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_a_nested_tensor_without_a_shape_is_refused():
    nested = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=torch.strided)
    assert re.match("gives a nested tensor, .*; to show nothing, return None", unsuitable(as_preview(nested)))


IMAGES = torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (IMAGES, r"gives images with values from -1 to 1, which are clipped to \[0, 1\]; \(images \+ 1\) / 2 is"),
        ({"a": IMAGES[None]}, r"gives clips as 'a' with values from -1 to 1, which are clipped"),
        (IMAGES * 100 + 100, "from 0 to 200, .*; images of dtype uint8 have values from 0 to 255"),
        ((IMAGES * 100 + 100).long(), "from 0 to 200, .*; images of dtype uint8"),
        (IMAGES * 1000, "from -1000 to 1000, .* clipped to [^;]*$"),
        ((IMAGES * 100).to(torch.float8_e5m2), "from -96 to 96, "),
        (IMAGES * math.nan, "with values that are NaN or infinite; NaN is drawn in black"),
        (torch.tensor([0.0, math.inf]).view(2, 1, 1, 1), "NaN or infinite"),
    ],
)
def test_values_that_a_picture_does_not_show_are_named_with_what_to_return(value, said):
    assert unsuitable(as_preview(value)) == ""
    assert re.search(said, clipped(as_preview(value)))


@pytest.mark.parametrize(
    "value",
    [
        IMAGES.clamp(0, 1),
        IMAGES.clamp(-0.05, 1) + 0.05,  # a network that overshoots a little
        (IMAGES * 100 + 100).byte(),
        IMAGES > 0,
        torch.tensor([-5.0, math.nan]),  # an array is drawn from its minimum to its maximum
        "text",
        zoo.Table({"a": [math.nan]}),
    ],
)
def test_other_values_are_shown_as_they_are(value):
    assert clipped(as_preview(value)) == ""


def test_a_preview_may_be_nothing_or_leave_out_a_name():
    assert as_preview(None) == {}
    assert as_preview({"a": None, "b": "text"}) == {"b": "text"}


def test_only_a_preview_of_images_alone_is_images():
    images = torch.zeros(1, 1, 2, 2)
    assert images_of(as_preview(images)) is not None
    assert images_of(as_preview({"a": images})) is None
    assert images_of(as_preview("text")) is None


def test_half_a_surrogate_pair_is_replaced_in_texts_and_cells():
    assert as_preview("a\ud800b")[""] == "a\N{REPLACEMENT CHARACTER}b"
    assert zoo.Table({"\udfff": ["\ud83d\ude00"]}).columns == {"\N{REPLACEMENT CHARACTER}": ["\N{GRINNING FACE}"]}


def test_a_table_has_columns_or_rows():
    columns = {"a": [1, 2], "b": ["x", None]}
    assert zoo.Table(columns).columns == columns
    assert zoo.Table([{"a": 1, "b": "x"}, {"a": 2, "b": None}]) == zoo.Table(columns)
    assert zoo.Table({"a": torch.tensor([1, 2]), "b": np.array([0.5, 1.5])}).columns == {"a": [1, 2], "b": [0.5, 1.5]}
    assert zoo.Table({"a": [np.float32(0.5), np.int64(3), np.bool_(True)]}).columns == {"a": [0.5, 3, True]}
    assert zoo.Table([]).columns == {}
    assert zoo.Table({"a": [math.nan]}) == zoo.Table({"a": [math.nan]})


def test_a_data_frame_is_a_table():
    pandas = pytest.importorskip("pandas")
    columns = {"a": [1, 2], "b": ["x", "y"], "c": [0.5, math.nan]}
    assert zoo.Table(pandas.DataFrame(columns)) == zoo.Table(columns)
    with pytest.raises(ValueError, match="a cell in the column 'when' of a table is a Timestamp"):
        zoo.Table(pandas.DataFrame({"when": pandas.to_datetime(["2026-11-28"])}))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"a": [1, 2], "b": [1]}, "should have the same length, but 'a' has 2, 'b' has 1"),
        (
            {"a": [torch.tensor(1.0)]},
            r"a cell in the column 'a' of a table is a tensor of shape \(\), .*; value.item\(\)",
        ),
        ({"a": [[1]]}, "a cell in the column 'a' of a table is a list"),
        ({"a": [1j]}, "a cell in the column 'a' of a table is a complex"),
        (
            {"a": torch.zeros(2, 2)},
            r"the column 'a' of a table is a tensor of shape \(2, 2\), but should have one dimension",
        ),
        ({"a": "text"}, "the column 'a' of a table is a str, but should be a list"),
        ({"a": 3}, "the column 'a' of a table is an int, but should be a list"),
        ({1: [2]}, "the name of a column of a table is 1"),
        ([{"a": 1}, {"b": 1}], r"row 1 of a table has the columns \['b'\], but row 0 has \['a'\]"),
        ([1, 2], "row 0 of a table is an int, but should be a mapping"),
        (None, "a table is given None, but should be given a mapping of columns or a list of rows"),
        (3, "a table is given an int, but should be"),
    ],
)
def test_a_table_with_something_else_in_it_is_refused(data, message):
    with pytest.raises(ValueError, match=message):
        zoo.Table(data)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_audio_has_channels_and_is_clipped_after_rounding_errors(dtype):
    samples = torch.tensor([0.0, 1.0, -1.0], dtype=dtype)
    assert zoo.Audio(samples, 8000).samples.tolist() == [[0.0, 1.0, -1.0]]
    assert zoo.Audio(torch.tensor([1 + 1e-6]), 8000).samples.tolist() == [[1.0]]
    assert zoo.Audio(np.zeros((2, 5)), np.int64(8000)) == zoo.Audio(torch.zeros(2, 5), 8000)
    assert zoo.Audio(torch.zeros(4), 8000) != zoo.Audio(torch.zeros(4), 4000)


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (torch.tensor([0.0, 1.5]), 8000, r"from 0 to 1.5, but should be in \[-1, 1\]; samples.clamp"),
        (torch.tensor([-3.0, 1.0]), 8000, "from -3 to 1"),
        (torch.tensor([0.0, math.nan]), 8000, "NaN or infinite"),
        (torch.tensor([math.inf]), 8000, "NaN or infinite"),
        (torch.zeros(4, dtype=torch.int16), 8000, "are torch.int16, but should be floating-point"),
        (
            torch.zeros(16000, 2),
            8000,
            r"\(16000, 2\): 16000 channels, but at most 8 are possible; the order is \(C, T\)",
        ),
        (
            torch.zeros(1, 1, 5),
            8000,
            r"are a tensor of shape \(1, 1, 5\), but should be a tensor of shape \(T,\) or \(C, T\)",
        ),
        (torch.zeros(0), 8000, r"are a tensor of shape \(0,\)"),
        ([0.0, 0.5], 8000, "are a list, but should be a tensor"),
        (torch.zeros(4), 0, "sample rate of audio is 0, but should be a positive integer"),
        (torch.zeros(4), 44100.0, "sample rate of audio is 44100.0"),
        (torch.zeros(4), True, "sample rate of audio is True"),
        (torch.zeros(2, 4), 2**31 - 1, "is 2147483647, but should be a positive integer below 268,435,456"),
    ],
)
def test_audio_of_another_form_is_refused(samples, rate, message):
    with pytest.raises(ValueError, match=message):
        zoo.Audio(samples, rate)


def test_a_prediction_is_a_mapping_from_names_and_keeps_plain_values():
    assert as_prediction({"label": [3], "text": "a"}, "predict") == {"label": [3], "text": "a"}
    for returned in ("text", None, [1], {1: "a"}, {"": "a"}):
        with pytest.raises(zoo.RunFailed, match=r"predict of X returns .* but should return a mapping from names"):
            as_prediction(returned, "predict of X")


def test_every_kind_has_a_form_in_json():
    assert as_json(zoo.Table({"a": [1]})) == {"a": [1]}
    assert as_json(zoo.Audio(torch.zeros(2), 8000)) == {"sample_rate": 8000, "samples": [[0.0, 0.0]]}
    assert as_json(torch.ones(2)) == [1.0, 1.0]
    assert as_json(np.float32(0.5)) == 0.5
    assert as_json({2, 1}) == [1, 2]
    with pytest.raises(TypeError, match="an object has no form in JSON"):
        as_json(object())
    with pytest.raises(TypeError, match="on the meta device has no form in JSON"):
        as_json(torch.zeros(2, device="meta"))
