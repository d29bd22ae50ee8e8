"""The names of checkpoints."""

import pytest

from zoo_core.checkpoint.names import name_of, others_in, steps_in
from zoo_core.errors import BadFile


def test_steps_are_sorted_as_numbers(tmp_path):
    for step in (999_999_999, 1_000_000_000, 0, 20):
        (tmp_path / name_of(step)).mkdir()
    assert steps_in(tmp_path) == [0, 20, 999_999_999, 1_000_000_000]


def test_only_folders_with_the_name_of_a_checkpoint_are_checkpoints(tmp_path):
    (tmp_path / name_of(10)).mkdir()
    foreign = ["step-12", "step-0000000012", "step-000000012 copy", "step-abc", "step-00000001٣", "step--00000012"]
    for name in (*foreign, ".step-000000030.17", "step-000000040.damaged"):
        (tmp_path / name).mkdir()
    (tmp_path / "step-000000050").touch()
    (tmp_path / "step-000000060").symlink_to(tmp_path / "nowhere")
    (tmp_path / "step-000000070").symlink_to(tmp_path / "step-000000070")
    assert steps_in(tmp_path) == [10]
    assert others_in(tmp_path) == sorted([*foreign, "step-000000050", "step-000000060", "step-000000070"])


def test_a_folder_that_does_not_exist_has_no_checkpoints(tmp_path):
    assert steps_in(tmp_path / "nowhere") == []


def test_a_folder_that_cannot_be_read_is_not_taken_for_an_empty_one(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadFile, match="file can't be read: Not a directory"):
        steps_in(tmp_path / "file")
    (tmp_path / "unmounted").symlink_to("/nowhere/disk")
    with pytest.raises(BadFile, match="unmounted is a link to /nowhere/disk, which does not exist"):
        steps_in(tmp_path / "unmounted")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(BadFile, match="loop can't be read: Too many levels of symbolic links"):
        steps_in(tmp_path / "loop")
