"""Nothing is left out of a folder without a word."""

from __future__ import annotations

from zoo_plugins.datasets.mask_layouts import find_layout


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_of_the_folders_of_pairs_everything_is_counted_and_of_others_what_looks_like_an_image(tmp_path):
    touch(tmp_path, "images/a.png", "masks/a.png", "images/notes.txt", "masks/b.jxl", "more/c.png", "more/d.txt")
    touch(tmp_path, "README.md", "preview.png", "images/.hidden", "images/old/a.doc")
    layout = find_layout(tmp_path)
    assert layout.left_out == [
        f"left out of {tmp_path.name}: 1 file ending in .png",
        "left out of images: 1 file ending in .txt, 1 sub-folder",
        "left out of masks: 1 file ending in .jxl",
        "left out of more: 1 file ending in .png",
    ]
    names = {path.relative_to(tmp_path).as_posix() for path in layout.files_left_out}
    assert names == {"preview.png", "images/notes.txt", "images/old", "masks/b.jxl", "more/c.png"}


def test_many_folders_are_counted_together(tmp_path):
    touch(tmp_path, "images/a.png", "masks/a.png", *(f"p{number}/a.png" for number in range(9)))
    assert find_layout(tmp_path).left_out == ["left out of 9 folders, as p0: 9 files ending in .png"]


def test_images_below_the_others_that_have_no_masks(tmp_path):
    touch(tmp_path, "images/a.png", "masks/a.png", "images/old/b.png")
    assert find_layout(tmp_path).left_out == ["left out of images/old: 1 file ending in .png, which have no masks"]
