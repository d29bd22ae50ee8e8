"""``zoo fit`` as a command, on a folder of images and masks."""

import signal
import subprocess
import time

import numpy as np
import pytest
from PIL import Image
from warm_python import PYTHON

from zoo_core.config.recipe import read_config
from zoo_core.tools.fit import trial

QUICK = ("--device", "cpu", "model.base_channels=2", "model.depth=2", "run.batch_size=2", "run.workers=0")


@pytest.fixture
def cells(tmp_path):
    random = np.random.default_rng(0)
    for name in ("images", "masks"):
        (tmp_path / "cells" / name).mkdir(parents=True)
    for number in range(10):
        mask = (random.random((4, 5)) > 0.5).repeat(16, 0).repeat(16, 1)
        image = np.where(mask, 180, 60) + random.integers(0, 20, mask.shape)
        Image.fromarray(image.astype(np.uint8)).save(tmp_path / "cells" / "images" / f"{number}.png")
        Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / "cells" / "masks" / f"{number}.png")
    return tmp_path / "cells"


def test_it_trains_and_names_what_it_leaves(cells, run_command):
    with pytest.warns(UserWarning, match="the masks contain 0 and 255: 0 is class 0, background"):
        code, out, err = run_command("fit", "cells", *QUICK, "run.steps=20", "--folder", "run", "-o", "mine.yaml")
    assert code == 0, err
    assert "wrote mine.yaml" in out
    assert (cells.parent / "mine.yaml").is_file()
    assert "cells: 10 images with masks" in out
    assert "background " in out
    assert "64 x 80 pixels, gray" in out
    assert "plan for the task 'segment'" in out
    assert "test metrics" in out
    assert "zoo predict run image=" in out
    for file in ("plan.yaml", "report.html", "published/fit-cells.md", "model.safetensors"):
        assert (cells.parent / "run" / file).is_file(), file


@pytest.mark.filterwarnings("ignore:mask-folder")
def test_a_plan_is_written_and_nothing_else_and_can_be_trained(cells, run_command, monkeypatch):
    monkeypatch.setattr(trial, "_SECONDS", 0.1)
    code, out, _ = run_command("fit", "cells", *QUICK, "--plan-only", "--minutes", "1")
    assert code == 0
    assert "train  zoo run --config plan.yaml" in out
    assert sorted(path.name for path in cells.parent.iterdir()) == ["cells", "plan.yaml"]
    code, _, err = run_command("run", "--config", "plan.yaml", "run.steps=4", "--folder", "run")
    assert code == 0, err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gone"], "gone does not exist, but should be a folder of data."),
        (["cells", "--minutes", "0"], "--minutes"),
        (["cells", "--memory", "much"], "'much' is not a size of memory. Write for example 4GB, 512MB or 8GiB."),
        (["cells", "-o", "cells"], "cells exists, and nothing is overwritten."),
        (["cells", "--task", "segmnt"], "there is no task 'segmnt'."),
        (["cells", "--device", "abacus"], "run.device is 'abacus'"),
        (["cells", "run.device=abacus"], "run.device is 'abacus'"),
        (["cells", "model.basechannels=2", "run.steps=2"], "basechannels"),
        (["cells", "model.basechannels=2", "run.steps=2", "--plan-only"], "basechannels"),
        (["cells", "model.base_channels=many", "run.steps=2", "-o", "plan.yaml"], "model.base_channels"),
    ],
)
def test_a_mistake_is_said_before_anything_is_trained(cells, run_command, words, message):
    code, _, err = run_command("fit", *words)
    assert code == 2
    assert message in err
    assert [path.name for path in cells.parent.iterdir()] == ["cells"]


@pytest.mark.filterwarnings("ignore:mask-folder")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--folder", "taken"], "taken already exists"),
        (["run.monitor=acuracy", "run.evaluate_every=1"], "acuracy"),
        (["run.init_from=gone.safetensors"], "gone.safetensors"),
        (["run.freeze=[nothing.*]"], "nothing.*"),
    ],
)
def test_a_training_that_is_refused_leaves_no_plan(cells, run_command, words, message):
    (cells.parent / "taken").mkdir()
    (cells.parent / "taken" / "mine.txt").write_text("mine")
    code, _, err = run_command("fit", "cells", *QUICK, "run.steps=2", "-o", "plans/new/mine.yaml", *words)
    assert code == 2, err
    assert message in err
    assert sorted(path.name for path in cells.parent.iterdir()) == ["cells", "taken"]


@pytest.mark.filterwarnings("ignore:mask-folder")
def test_a_run_whose_results_cannot_be_written_is_kept_with_its_plan(cells, run_command):
    (cells.parent / "in_the_way.py").write_text(
        "import zoo_core as zoo\n\n@zoo.hookimpl\ndef zoo_run_finished(run):\n"
        "    (run.path / 'published').write_text('')\n"
    )
    words = ("fit", "cells", *QUICK, "run.steps=2", "--folder", "run", "-o", "mine.yaml")
    code, _, err = run_command("--plugin", "in_the_way.py", *words)
    assert code == 1, err
    assert "published" in err
    assert (cells.parent / "run" / "model.safetensors").is_file()
    assert (cells.parent / "run" / "plan.yaml").is_file()
    assert (cells.parent / "mine.yaml").is_file()


def test_a_signal_in_the_trial_ends_it_at_once_and_leaves_nothing(cells):
    words = ["-m", "zoo_core", "fit", "cells", *QUICK]
    with subprocess.Popen(
        [PYTHON, *words], cwd=cells.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as command:
        assert command.stdout is not None
        for line in command.stdout:
            if line.startswith("trying"):
                break
        time.sleep(2)  # into the trial
        command.send_signal(signal.SIGINT)
        assert command.wait(10) == 130
    assert [path.name for path in cells.parent.iterdir()] == ["cells"]


def test_a_signal_in_the_training_leaves_a_run_with_its_plan_that_is_resumed_to_its_end(cells):
    length = ("run.steps=200", "run.checkpoint_every=2", "run.evaluate_every=100", "run.preview_every=0")
    words = ["-m", "zoo_core", "fit", "cells", *QUICK, *length, "run.log_every=1", "--folder", "run"]
    with subprocess.Popen(
        [PYTHON, *words], cwd=cells.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as command:
        assert command.stdout is not None
        for line in command.stdout:
            if line.startswith("step "):
                break
        command.send_signal(signal.SIGTERM)
        rest = command.stdout.read()
        assert command.wait(60) == 143, rest
    run = cells.parent / "run"
    assert "zoo run --resume run" in rest
    assert not (run / "report.html").exists()
    assert read_config(run / "plan.yaml").settings("run")["steps"] == 200
    resume = [PYTHON, "-m", "zoo_core", "run", "--resume", "run"]
    done = subprocess.run(resume, cwd=cells.parent, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert (run / "model.safetensors").is_file()
