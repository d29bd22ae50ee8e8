"""Fingerprints of files and of tensors; those of examples are tested with the datasets."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest
import torch
from PIL import Image

import zoo_core as zoo


@pytest.fixture
def images(tmp_path):
    """Three hundred BMP files in two folders, all of one size."""
    paths = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for number in range(150):
            paths.append(tmp_path / folder / f"{number}.bmp")
            Image.fromarray(np.full((4, 4, 3), number, np.uint8)).save(paths[-1])
    return paths


def test_one_changed_pixel_in_one_of_many_files_is_noticed(images, tmp_path):
    time.sleep(2.1)
    one = zoo.fingerprint_files(images, {}, tmp_path)
    assert re.fullmatch("[0-9a-f]{64}", one)
    assert zoo.fingerprint_files(images, {}, tmp_path) == one
    for path in images[::25]:
        before, status = path.read_bytes(), path.stat()
        changed = bytearray(before)
        changed[-7] ^= 1
        path.write_bytes(changed)
        assert path.stat().st_size == status.st_size
        assert zoo.fingerprint_files(images, {}, tmp_path) != one, path
        path.write_bytes(before)
        assert zoo.fingerprint_files(images, {}, tmp_path) == one, path


def test_every_pixel_changed_in_ten_files_is_noticed(tmp_path):
    paths = [tmp_path / f"{number}.bmp" for number in range(10)]
    for number, path in enumerate(paths):
        Image.fromarray(np.full((4, 4, 3), number, np.uint8)).save(path)
    one = zoo.fingerprint_files(paths, {})
    for path in paths:
        Image.fromarray(np.full((4, 4, 3), 200, np.uint8)).save(path)
    assert zoo.fingerprint_files(paths, {}) != one


def test_it_depends_on_settings_names_and_order_but_not_on_the_folder(images, tmp_path):
    one = zoo.fingerprint_files(images, {"height": 8}, tmp_path)
    assert zoo.fingerprint_files(images, {"height": 9}, tmp_path) != one
    assert zoo.fingerprint_files(images[::-1], {"height": 8}, tmp_path) != one
    assert zoo.fingerprint_files(images[:-1], {"height": 8}, tmp_path) != one
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    paths = [moved / path.relative_to(tmp_path) for path in images]
    assert zoo.fingerprint_files(paths, {"height": 8}, moved) == one
    renamed = paths[0].rename(paths[0].with_name("x.bmp"))
    assert zoo.fingerprint_files([renamed, *paths[1:]], {"height": 8}, moved) != one
    tmp_path.mkdir()


def test_a_missing_file_is_an_error_that_names_it(tmp_path):
    with pytest.raises(zoo.BadFile, match=r"absent\.png does not exist"):
        zoo.fingerprint_files([tmp_path / "absent.png"], {})


@pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.bool, torch.int64, torch.float16, torch.bfloat16, torch.float64, torch.complex64]
)
def test_every_value_of_a_tensor_counts(dtype):
    values = torch.zeros(100, 7, dtype=dtype)
    one = zoo.fingerprint_tensors({"x": values}, {})
    assert re.fullmatch("[0-9a-f]{64}", one)
    assert zoo.fingerprint_tensors({"x": values.t().contiguous().t()}, {}) == one
    changed = values.clone()
    changed[63, 5] = 1
    others = [{"x": changed}, {"y": values}, {"x": values.view(7, 100)}, {"x": values, "y": values}]
    assert len({one, *(zoo.fingerprint_tensors(other, {}) for other in others)}) == 5
    assert zoo.fingerprint_tensors({"x": values}, {"version": 2}) != one


def test_scalars_and_empty_and_sparse_tensors_have_a_fingerprint():
    tensors = [torch.tensor(3), torch.zeros(0, 2), torch.zeros(2, 0), torch.eye(3).to_sparse(), torch.tensor([3])]
    assert len({zoo.fingerprint_tensors({"x": tensor}, {}) for tensor in tensors}) == 5
