"""`zoo data`: all faults of data, what they contain, and a contact sheet."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from distributions import install
from PIL import Image

from zoo_core.registry import catalog

Run = Callable[..., tuple[int, str, str]]

OWN = '''
    """A dataset, a task and a trainer of a stranger."""

    from dataclasses import dataclass

    import torch

    import zoo_core as zoo


    @zoo.hookimpl
    def zoo_register(registry):
        registry.dataset("points", "own_data:Points", summary="Points")


    class Points(zoo.Dataset):
        @dataclass(frozen=True, kw_only=True)
        class Config:
            fault: str = zoo.setting("none", "what is wrong")

        config: Config

        def train(self):
            return Examples(20, self.config.fault)

        def test(self):
            return Examples(5, "none")

        def provides(self):
            return {"num_classes": 2, "class_names": ["left", "right"]}


    class Examples:
        def __init__(self, count, fault):
            self.count, self.fault = count, fault

        def __len__(self):
            return self.count

        def __getitem__(self, index):
            example = {"point": torch.tensor([0.5, 0.25]), "label": torch.tensor(index % 2)}
            if index in (3, 7):
                if self.fault == "nan":
                    example["point"][0] = float("nan")
                if self.fault == "label":
                    example["label"] = torch.tensor(5)
                if self.fault == "raises":
                    raise zoo.BadFile(f"point {index} is missing.", "Add it.")
                if self.fault == "keys":
                    del example["label"]
            return example
'''


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, run_command: Run):
    """`zoo` with the dataset of a stranger."""
    site = tmp_path_factory.mktemp("site-packages")
    install(site, "own_data", OWN)
    monkeypatch.syspath_prepend(site)
    catalog.default.cache_clear()
    yield run_command
    catalog.default.cache_clear()
    sys.modules.pop("own_data", None)


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """12 images in color with masks of three classes, of which class 2 is one square in each."""
    rng = np.random.default_rng(0)
    for number in range(1, 13):
        mask = np.zeros((40, 48), np.uint8)
        mask[5:15, 5:25], mask[30:34, 30:34] = 1, 2
        save(tmp_path / "cells/masks" / f"{number}.png", mask)
        save(tmp_path / "cells/images" / f"{number}.png", rng.integers(0, 255, (40, 48, 3), dtype=np.uint8))
    return tmp_path / "cells"


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def faults(out: str) -> list[str]:
    return [line.removeprefix("fault: ") for line in out.splitlines() if line.startswith("fault: ")]


def test_a_sound_folder_has_no_faults(run_command: Run, cells: Path) -> None:
    code, out, _ = run_command("data", "check", "cells")
    assert code == 0
    assert out.startswith("cells: 12 images with masks\n")
    assert out.endswith("cells: no faults in 24 files and 12 examples\n")


@pytest.mark.parametrize("words", [["cells"], ["mask-folder", "folder=cells"]])
def test_all_faults_are_said_at_once_each_with_its_files(run_command: Run, cells: Path, words: list[str]) -> None:
    (cells / "images/3.png").write_bytes((cells / "images/3.png").read_bytes()[:300])
    (cells / "masks/9.png").write_bytes(b"no png")
    save(cells / "images/5.png", np.zeros((44, 48, 3), np.uint8))
    save(cells / "masks/7.png", np.zeros((20, 20), np.uint8))
    for number in (20, 21):
        save(cells / f"images/{number}.png", np.zeros((40, 48, 3), np.uint8))
    code, out, _ = run_command("data", "check", *words)
    assert code == 1
    found = faults(out)
    for expected in (
        "cells/images/3.png can't be read",
        "cells/masks/9.png is not a supported image file.",
        "cells/images/5.png is 44 x 48, but its mask cells/masks/5.png is 40 x 48.",
        "cells/images/7.png is 40 x 48, but its mask cells/masks/7.png is 20 x 20.",
        "cells/images/20.png has no mask in cells/masks, and 1 more have none",
    ):
        assert sum(one.startswith(expected) for one in found) == 1, out
    assert "    cells/images/20.png\n    cells/images/21.png\n" in out
    assert len(found) == 5 + (words[0] == "mask-folder")  # which is not told to resize images of several sizes

    code, out, _ = run_command("data", "check", *words, "--json")
    assert code == 1
    listed = json.loads(out)["faults"]
    assert [one["message"] for one in listed] == found
    assert ["cells/images/20.png", "cells/images/21.png"] in [one["files"] for one in listed]


def test_faults_of_class_folders_are_said_at_once(run_command: Run, tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        for number in range(6):
            save(tmp_path / "pets" / name / f"{number}.png", np.full((8, 8), 20 * number, np.uint8))
    (tmp_path / "pets/cat/2.png").write_bytes(b"")
    (tmp_path / "pets/dog/4.png").write_bytes(b"GIF89a")
    save(tmp_path / "pets/dog/5.png", np.zeros((9, 9), np.uint8))
    code, out, _ = run_command("data", "check", "image-folder", "folder=pets")
    assert code == 1
    assert [one.split()[0] for one in faults(out)] == ["pets/cat/2.png", "pets/dog/4.png", "pets/dog/5.png"]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("nan", "train example 3 of points: 'point' has 1 values that are NaN or infinite."),
        ("label", "train example 7 of points: its label is 5, but there are 2 classes."),
        ("raises", "point 7 is missing (training example 7 of the dataset of points)."),
        ("keys", "train example 3 of points has 'point', but the first one has 'point', 'label'."),
    ],
)
def test_every_example_of_other_datasets_is_read(own: Run, fault: str, message: str) -> None:
    code, out, _ = own("data", "check", "points", f"fault={fault}")
    assert code == 1
    assert message in faults(out)
    assert len(faults(out)) == 2
    assert out.endswith("points: 2 faults in 25 examples\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["check", "nothing"], "nothing is no folder, no dataset and no recipe."),
        (["check", "mask-foldr"], "Did you mean 'mask-folder'?"),
        (["check", "a.txt"], "a.txt is a file, but should be a folder of data."),
        (["stats", "mask-folder", "foldr=x"], "Did you mean 'folder'?"),
        (["check", "empty", "--task", "segmnt"], "Did you mean 'segment'?"),
        (["check", "mnist", "--task", "segment"], "--task is for a folder, but mnist is none."),
        (["stats", "empty"], "empty has no form that a task knows."),
        (["show", "mnist", "-o", "sheet.pdf"], "sheet.pdf should end in .png or .jpg."),
        (["show", "mnist", "-o", "a/sheet.png"], "a/sheet.png could not be written"),
        (["show", "mnist", "-o", "there.png"], "there.png exists, and nothing is overwritten."),
        (["check", "mnist", "model.depth=2"], "model.depth=2 is a setting of a recipe, but mnist is a dataset."),
        (["stats", "mnist", "run.steps=2"], "run.steps=2 is a setting of a recipe, but mnist is a dataset."),
        (["check", "pairs", "model.dept=2"], "Did you mean 'model.depth'?"),
        (["check", "pairs", "shorter_side=8", "height=8"], "dataset.shorter_side keeps the aspect of images, but"),
        (["check", "pairs", "clases=a.csv"], "Did you mean 'classes'?"),
        (["check", "digit-scenes"], "'digit-scenes' is the name of a dataset or recipe, and there is a folder"),
    ],
)
def test_a_mistake_is_two_lines(run_command: Run, tmp_path: Path, words: list[str], message: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "digit-scenes").mkdir()
    (tmp_path / "a.txt").touch()
    (tmp_path / "there.png").touch()
    for name, mode in (("images", "RGB"), ("masks", "L")):
        (tmp_path / "pairs" / name).mkdir(parents=True)
        for number in range(4):
            image = Image.new(mode, (16, 16))
            image.putpixel((number, 0), 1 if mode == "L" else (255, 255, 255))
            image.save(tmp_path / "pairs" / name / f"{number}.png")
    code, out, err = run_command("data", *words)
    assert (code, out, len(err.splitlines())) == (2, "", 2)
    assert message in err


def test_stats_describe_counts_sizes_intensities_classes_and_objects(run_command: Run, cells: Path) -> None:
    code, out, _ = run_command("data", "stats", "cells", "--json")
    assert code == 0
    found = json.loads(out)
    assert sum(found["examples"].values()) == 12
    image = found["values"]["image"]
    assert image["shapes"] == [{"shape": [3, 40, 48], "examples": 12}]
    assert len(image["mean"]) == len(image["std"]) == 3
    assert 0.45 < image["percentiles"]["50.0"] < 0.55
    background, first, second = found["classes"]["mask"]
    assert (first["examples"], first["pixels"], first["objects"]) == (12, 12 * 200, 12)
    assert second["object_sizes"] == [16] * 5
    assert background["fraction"] == pytest.approx(1 - 216 / 1920, abs=1e-5)
    code, out, _ = run_command("data", "stats", "cells")
    assert code == 0
    assert "  shape 3 x 40 x 48: 12 examples\n" in out
    assert "16/16/16/16/16" in out


def test_stats_of_a_dataset_by_name_count_labels(run_command: Run) -> None:
    code, out, _ = run_command("data", "stats", "mnist", "source=subset", "--examples", "100", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["examples"] == {"train": 4000, "validation": 1000, "test": 1000}
    assert [row["class"] for row in found["classes"]["label"]] == list("0123456789")
    assert all(row["examples"] > 5 for row in found["classes"]["label"])


@pytest.mark.parametrize(
    ("words", "columns"),
    [
        (["cells", "dataset.crop_height=32", "dataset.crop_width=32"], 1 + 3),
        (["mask-folder", "folder=cells", "augmentation=flips"], 1 + 3),
        (["mask-folder", "folder=cells"], 2),  # nothing is random: the examples themselves
        (["digit-scenes", "source=subset"], 2),
        (["moving-mnist", "source=subset", "frames_in=3", "frames_out=2"], 3 + 2),
    ],
)
def test_a_sheet_has_a_row_of_draws_for_each_example(
    run_command: Run, cells: Path, words: list[str], columns: int
) -> None:
    code, _, err = run_command("data", "show", *words, "-o", "a.png", "--examples", "2", "--draws", "3")
    assert (code, err.splitlines()[-1]) == (0, "wrote a.png"), err
    with Image.open("a.png") as sheet:
        pixels = np.asarray(sheet)
    row = pixels[22]  # through the first row of cells; between them the sheet is white
    gaps = np.flatnonzero((row == 255).all(axis=-1))
    assert sum(gap > 60 for gap in np.diff(gaps)) == columns
    assert run_command("data", "show", *words, "-o", "a.png")[0] == 2
    assert run_command("data", "show", *words, "-o", "b.png", "--examples", "2", "--draws", "3")[0] == 0
    assert Path("b.png").read_bytes() == Path("a.png").read_bytes()


def test_a_sheet_of_clips_has_a_row_for_each_draw(run_command: Run, tmp_path: Path) -> None:
    rows, columns = np.mgrid[:48, :64]
    clips = [[np.exp(-((rows - 20 - s) ** 2 + (columns - 2 * t) ** 2) / 60) for t in range(30)] for s in range(2)]
    np.save(tmp_path / "clips.npy", (255 * np.array(clips)).astype(np.uint8))
    code, _, err = run_command("data", "show", str(tmp_path), "-o", "clips.png", "--examples", "3")
    assert code == 0, err
    with Image.open("clips.png") as sheet:
        assert sheet.width < 1500
        assert sheet.height > 3 * 2 * 60


def test_a_sheet_of_class_folders_has_the_transforms_of_the_trainer(run_command: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        for number in range(6):
            save(tmp_path / "pets" / name / f"{number}.png", rng.integers(0, 255, (24, 24), dtype=np.uint8))
    run_command("data", "show", "pets", "-o", "some.png", "--examples", "2")
    run_command("data", "show", "pets", "-o", "none.png", "--examples", "2", "trainer.rotation=0", "trainer.shift=0",
                "trainer.scaling=0")  # fmt: skip
    with Image.open("some.png") as some, Image.open("none.png") as none:
        assert some.width > none.width
