"""The picture of a range test: what cannot become one is found before the training."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from zoo_core.errors import BadFile, BadSetting
from zoo_core.tools.tune.learning_rate import RangeTest
from zoo_core.tools.tune.plot import check_output, draw


@pytest.mark.parametrize("name", ["rates.png", "rates.SVG", "rates"])
def test_a_picture_is_drawn_in_the_format_of_its_ending(tmp_path, name):
    rates = [10.0**number for number in range(-6, 0)]
    found = RangeTest("loss", rates, [2.0] * 6, [2.0] * 6, 1e-3, "trainer.learning_rate", {"optimizer": 1.0})
    check_output(tmp_path / name)
    draw(found, "digits", tmp_path / name)
    assert [one.name for one in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).stat().st_size > 1000


def test_an_unknown_ending_is_refused_with_one_that_works(tmp_path):
    with pytest.raises(BadSetting, match=r"does not end like a picture, but in \.xyz") as refused:
        check_output(tmp_path / "rates.xyz")
    assert refused.value.hint.startswith(f"Write for example `-o {tmp_path / 'rates.png'}`")


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(BadFile, match=f"the folder {tmp_path / 'nowhere'} does not exist") as refused:
        check_output(tmp_path / "nowhere" / "rates.png")
    assert refused.value.hint == f"Create it first: mkdir -p {tmp_path / 'nowhere'}"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_a_folder_in_which_nothing_can_be_written_is_named():
    with pytest.raises(BadFile, match="no file can be written in the folder /proc: "):
        check_output(Path("/proc/rates.png"))
