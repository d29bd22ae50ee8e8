"""Which checkpoints are kept and which are deleted."""

import shutil

import pytest
import torch

from zoo_core.checkpoint import directory as checkpoint
from zoo_core.checkpoint.integrity import read_verified
from zoo_core.checkpoint.retention import Retention
from zoo_core.checkpoint.serialize import pack


def save(folder, step, retention, protected=()):
    return checkpoint.save(folder, step, {"model": pack({"weight": torch.zeros(4)})}, retention, protected)


def damage(path):
    file = path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_only_the_newest_checkpoints_are_kept(tmp_path):
    retention = Retention(2)
    for step in (10, 20, 30, 1_000_000_000 - 1, 1_000_000_000):
        save(tmp_path, step, retention)
    assert names_in(tmp_path) == ["step-1000000000", "step-999999999"]


def test_protected_checkpoints_are_kept_and_do_not_count(tmp_path):
    retention = Retention(2)
    for step in (10, 20, 30, 40):
        save(tmp_path, step, retention, protected=[10])
    assert names_in(tmp_path) == ["step-000000010", "step-000000030", "step-000000040"]


@pytest.mark.parametrize("same_process", [True, False])
def test_a_damaged_checkpoint_does_not_count_and_is_deleted_with_those_of_its_age(tmp_path, same_process):
    retention = Retention(2)
    save(tmp_path, 10, retention)
    damage(save(tmp_path, 20, retention))
    retention = retention if same_process else Retention(2)
    save(tmp_path, 30, retention)
    assert names_in(tmp_path) == ["step-000000010", "step-000000020", "step-000000030"]
    save(tmp_path, 40, retention)
    assert names_in(tmp_path) == ["step-000000030", "step-000000040"]


@pytest.mark.parametrize("name", ["step-abc", "step-000000020 copy", "step-20", "notes", "step-000000020.damaged"])
def test_other_folders_and_files_neither_count_nor_are_deleted(tmp_path, name):
    retention = Retention(2)
    shutil.copytree(save(tmp_path, 20, retention), tmp_path / name)
    (tmp_path / "step-000000025").write_text("a file")
    for step in (30, 40, 50):
        save(tmp_path, step, retention)
    assert names_in(tmp_path) == sorted([name, "step-000000025", "step-000000040", "step-000000050"])


def test_checkpoints_of_later_steps_neither_count_nor_are_deleted(tmp_path):
    save(tmp_path, 99, Retention(2))
    retention = Retention(2)
    for step in (10, 20, 30):
        save(tmp_path, step, retention)
    assert names_in(tmp_path) == ["step-000000020", "step-000000030", "step-000000099"]


def test_a_whole_checkpoint_of_the_same_step_is_replaced(tmp_path):
    save(tmp_path, 5, Retention(2))
    save(tmp_path, 5, Retention(2))
    assert names_in(tmp_path) == ["step-000000005"]


@pytest.mark.parametrize("kind", ["file", "folder", "damaged", "link"])
def test_what_is_in_the_way_of_a_checkpoint_is_renamed_with_a_warning(tmp_path, kind):
    path = tmp_path / "step-000000005"
    if kind == "damaged":
        damage(save(tmp_path, 5, Retention(2)))
    elif kind == "file":
        path.write_text("mine")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path)
    with pytest.warns(UserWarning, match="is not a complete checkpoint; it is kept as step-000000005.damaged"):
        save(tmp_path, 5, Retention(2))
    assert names_in(tmp_path) == ["step-000000005", "step-000000005.damaged"]
    assert read_verified(path)["step"] == 5


def test_a_checkpoint_on_another_disk_counts_and_only_its_link_is_deleted(tmp_path):
    folder, other = tmp_path / "checkpoints", tmp_path / "other"
    retention = Retention(2)
    save(folder, 10, retention).rename(other)
    (folder / "step-000000010").symlink_to(other)
    save(folder, 20, retention)
    assert names_in(folder) == ["step-000000010", "step-000000020"]
    save(folder, 30, retention)
    assert names_in(folder) == ["step-000000020", "step-000000030"]
    assert other.is_dir()
