"""Values as files, and arrays as pictures."""

import math
import wave

import kinds_plugin
import numpy as np
import pytest
import torch
from PIL import Image

import zoo_core as zoo
from zoo_core.data.image_output import grid, palette
from zoo_core.data.value_output import file_stems, picture, save_value
from zoo_core.data.values import as_preview
from zoo_core.errors import BadFile
from zoo_core.loggers.optional import as_picture


def test_a_text_is_written_as_it_is(tmp_path):
    text = "ä🎉\r\n\x1b[2Jno line break at the end"
    save_value(text, tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_bytes() == text.encode()


def test_a_table_is_written_as_csv(tmp_path):
    save_value(zoo.Table({"a": [1], "b": ["=x"]}), tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes() == b"a,b\r\n1,'=x\r\n"


@pytest.mark.parametrize("channels", [1, 2, 8])
def test_audio_is_written_as_16_bit_wav(tmp_path, channels):
    samples = torch.rand(channels, 100, generator=torch.Generator().manual_seed(0)) * 2 - 1
    save_value(zoo.Audio(samples, 22050), tmp_path / "a.wav")
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert file.getparams()[:4] == (channels, 2, 22050, 100)
        read = np.frombuffer(file.readframes(100), dtype="<i2").reshape(100, channels).T
    assert np.abs(read / 32767 - samples.numpy()).max() <= 0.5 / 32767 + 1e-7


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool, torch.complex64])
def test_an_array_is_written_with_its_values(tmp_path, dtype):
    values = torch.arange(6).view(2, 3).to(dtype)
    save_value(values, tmp_path / "a.npy")
    assert np.array_equal(
        np.load(tmp_path / "a.npy", allow_pickle=False),
        np.arange(6).reshape(2, 3).astype(bool if dtype is torch.bool else float),
    )
    save_value(values, tmp_path / "a.png")


@pytest.mark.parametrize("gives", ["text", "table", "audio", "line", "images", "clips", "classes"])
def test_a_file_that_cannot_be_written_is_named(tmp_path, gives):
    (only,) = as_preview(kinds_plugin.KINDS[gives](1)).values()
    suffix = {"text": "txt", "table": "csv", "audio": "wav", "line": "npy", "clips": "gif"}.get(gives, "png")
    path = tmp_path / "nowhere" / f"a.{suffix}"
    with pytest.raises(BadFile) as refused:
        save_value(only, path)
    assert refused.value.message == f"{path} could not be written: No such file or directory."
    assert refused.value.hint == "Choose another path."


def test_names_of_any_characters_become_names_of_files_of_their_own():
    names = ["", "a", "A", "a/b", "a\\b", "a b", "../../x", "é", "e\u0301", "\x00", "x" * 300, "x" * 299, ".."]
    stems = file_stems("step-000003", names)
    assert list(stems) == names
    assert len({stem.casefold() for stem in stems.values()}) == len(names)
    assert all(stem.startswith("step-000003") and not set(stem) & set("/\\\0 ") for stem in stems.values())
    assert max(len(stem.encode()) for stem in stems.values()) < 240
    assert (stems[""], stems["a"], stems["A"]) == ("step-000003", "step-000003-a", "step-000003-A-2")


def test_images_and_clips_are_drawn_as_a_grid():
    images = torch.rand(9, 1, 4, 5)
    assert torch.equal(picture(images), grid(images))
    assert torch.equal(picture(images[None]), grid(images[None]))


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
def test_an_array_of_short_complex_numbers_is_written_as_longer_ones(tmp_path):
    save_value(torch.tensor([1 + 2j]).to(torch.complex32), tmp_path / "a.npy")
    assert np.load(tmp_path / "a.npy", allow_pickle=False).tolist() == [1 + 2j]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float64, torch.uint16])
def test_images_of_any_type_are_files_and_pictures(tmp_path, dtype):
    images = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 1, 4, 4).to(dtype)
    save_value(images, tmp_path / "a.png")
    assert torch.equal(zoo.read_image(tmp_path / "a.png", 3), picture(images))
    save_value(images[None], tmp_path / "a.gif")


def test_a_picture_and_a_file_are_clipped_alike(tmp_path):
    images = torch.tensor([-3.0, -0.1, 0.5, 1.1, 2.0, math.nan, math.inf, -math.inf]).view(8, 1, 1, 1)
    drawn = picture(images)
    assert drawn[0, 2, 2::3].tolist() == [0.0, 0.0, 0.5, 1.0, 1.0, 0.0, 1.0, 0.0]
    save_value(images, tmp_path / "a.png")
    torch.testing.assert_close(zoo.read_image(tmp_path / "a.png", 3), drawn, rtol=0, atol=0.51 / 255)
    assert np.array_equal(as_picture(images), np.asarray(Image.open(tmp_path / "a.png")))


def test_quantized_values_are_those_that_they_stand_for():
    with pytest.warns(UserWarning, match="deprecated"):
        quantized = torch.quantize_per_tensor(torch.tensor([0.0, 1.0]), 0.5, 0, torch.quint8)
    assert as_preview(quantized)[""].tolist() == [0.0, 1.0]


def test_classes_have_the_colors_of_the_palette():
    drawn = picture(torch.arange(4, dtype=torch.uint8).view(2, 2))
    assert torch.equal(drawn.permute(1, 2, 0).reshape(4, 3), torch.tensor(palette(4)) / 255)


def test_a_matrix_is_gray_from_its_minimum_to_its_maximum_in_squares():
    drawn = picture(torch.tensor([[-2.0, 0.0], [1.0, 2.0]]))
    assert drawn.shape == (3, 256, 256)
    assert drawn[0, ::128, ::128].tolist() == [[0.0, 0.5], [0.75, 1.0]]


def test_a_vector_is_a_chart():
    drawn = picture(torch.linspace(0, 1, 64))[0]
    heights = (drawn == 0).sum(dim=0)  # of black bars, which viewers show on a white page
    assert drawn.shape == (64, 256)
    assert heights[0] == 1
    assert heights[-1] == 64
    assert (heights.diff() >= 0).all()
    assert (drawn[-1] == 0).all()
    assert (drawn[0, :-4] == 1).all()


def test_a_large_array_is_drawn_small():
    assert picture(torch.rand(5000)).shape == (3, 64, 1024)
    assert picture(torch.rand(3000, 20)).shape == (3, 1024, 20)


@pytest.mark.parametrize(
    "value", [torch.rand(1, 100_000), torch.rand(5000, 1), torch.rand(1, 1, 5000, 1), torch.rand(1, 300).mul(9).byte()]
)
def test_a_picture_is_never_so_thin_that_it_cannot_be_seen(value):
    _, height, width = picture(value).shape
    assert 1 / 65 < height / width < 65


def test_a_large_volume_is_drawn_small():
    assert max(picture(torch.rand(100, 300, 300)).shape) <= 8 * 130 + 2


@pytest.mark.parametrize(
    "array",
    [
        torch.full((2, 3), 7.0),
        torch.full((2, 3), math.nan),
        torch.tensor([[math.nan, math.inf], [-math.inf, 1.0]]),
        torch.tensor([[1e308, -1e308]], dtype=torch.float64),
        torch.tensor([1 + 2j, 3j]),
        torch.zeros(2, 2, 2, 2, 2, 2),
        torch.tensor([True, False]),
        torch.zeros(1, dtype=torch.float8_e5m2),
    ],
)
def test_any_array_has_a_picture(array):
    drawn = picture(array)
    assert drawn.isfinite().all()
    assert 0 <= drawn.min() <= drawn.max() <= 1
