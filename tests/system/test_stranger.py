"""The example plugins, built and installed by pip in a separate environment."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from repository import ROOT
from warm_python import PYTHON

EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """The Python of a new environment with the example plugins; zoo is available through a .pth file."""
    folder = tmp_path_factory.mktemp("stranger")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    interpreter = folder / "venv" / "bin" / "python"
    (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (packages / "zoo.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n{_editable_root()}")
    examples = [EXAMPLES / f"zoo_{name}" for name in ("autoencoder", "vae", "timm", "smp", "flow", "text")]
    install = [sys.executable, "-m", "pip", "--python", interpreter, "install", "--quiet", "--no-compile"]
    subprocess.run([*install, "hatchling"], check=True)  # once, and not in an environment for each of them
    subprocess.run([*install, "--no-deps", "--no-build-isolation", *examples], check=True)
    return interpreter


def test_an_installed_plugin_is_listed_trained_and_loaded(python: Path, tmp_path: Path) -> None:
    assert "autoencoder-mnist" in [row["name"] for row in json.loads(_zoo(python, tmp_path, "list", "--json"))]
    assert "--resume" in _zoo(python, tmp_path, "run", "--help")

    _zoo(python, tmp_path, "run", "autoencoder-mnist", "dataset.source=subset", "run.epochs=1", "run.log_every=10")

    (folder,) = (tmp_path / "runs" / "autoencoder-mnist").iterdir()
    losses = [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.8 * losses[0]
    load = f"import zoo_core as zoo; print(type(zoo.load({str(folder)!r})).__module__)"
    assert _python(python, tmp_path, "-c", load).strip() == "zoo_autoencoder.autoencoder"


def test_an_installed_vae_trains_on_idx_files(python: Path, tmp_path: Path) -> None:
    _write_idx_files(tmp_path / "fashion")
    arguments = ["run.epochs=1", "run.batch_size=64", "run.threads=1", "run.preview_every=50", "run.log_every=10"]
    _zoo(python, tmp_path, "run", "vae-fashion", "dataset.folder=fashion", *arguments, "--folder", "run")

    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["negative_elbo"] < 0.5 * lines[0]["loss"]
    assert list((tmp_path / "run" / "previews").glob("*.png"))
    _zoo(python, tmp_path, "predict", "run", "count=4", "-o", "new.png")
    assert (tmp_path / "new.png").is_file()


def test_families_of_installed_plugins_are_listed_in_one_line_and_by_their_members(
    python: Path, tmp_path: Path
) -> None:
    rows = {row["name"]: row for row in json.loads(_zoo(python, tmp_path, "list", "models", "--json"))}
    assert re.fullmatch(r"1,\d\d\d models: Image classifiers of timm", rows["timm/"]["summary"])
    assert rows["smp/"]["summary"].endswith("models: Architectures of segmentation-models-pytorch with its encoders")
    assert "timm/resnet18" not in rows
    listed = json.loads(_zoo(python, tmp_path, "list", "models", "timm/resnet18*", "--json"))
    assert [row["name"] for row in listed] == ["timm/resnet18", "timm/resnet18d"]
    assert sorted(path.name for path in (tmp_path / "home" / "cache" / "names").iterdir()) == [
        "smp-smp.json",
        "timm-timm.json",
    ]
    listing = "import sys; from zoo_core.registry.catalog import Catalog; Catalog().rows('models'); "
    unwanted = "print({'torch', 'timm', 'segmentation_models_pytorch'} & set(sys.modules))"
    done = subprocess.run([python, "-c", listing + unwanted], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("timm-mnist", ["model.name=timm/test_resnet", "model.num_classes=10"]),
        (
            "smp-digit-scenes",
            [
                "model.name=smp/unet-mobilenet_v2",
                "model.in_channels=1",
                "model.out_channels=11",
                "dataset.test_scenes=4",
                "dataset.validation_scenes=2",
            ],
        ),
    ],
)
def test_a_member_of_an_installed_family_trains_and_is_loaded(
    python: Path, tmp_path: Path, recipe: str, words: list[str]
) -> None:
    run = ["run.steps=12", "run.batch_size=4", "run.log_every=1", "run.device=cpu", "dataset.source=subset"]
    _zoo(python, tmp_path, "run", recipe, *words, *run, "--folder", "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "evaluation" not in line]
    assert min(losses[-3:]) < losses[0]
    load = "import zoo_core as zoo; print(zoo.load('run').member)"
    member = "test_resnet" if recipe == "timm-mnist" else "unet-mobilenet_v2"
    assert _python(python, tmp_path, "-c", load).strip() == member


def test_a_missing_library_of_an_installed_plugin_is_named_with_the_command_that_installs_it(
    python: Path, tmp_path: Path
) -> None:
    hidden = "import sys; sys.modules['timm'] = None; import zoo_core as zoo; zoo.build('timm/resnet18')"
    done = _start(python, tmp_path, "-c", hidden)
    assert done.stderr.splitlines()[-1] == "  Install what the plugin 'timm' needs: pip install 'timm>=1'"


@pytest.mark.long
@pytest.mark.parametrize("plugin", ["zoo_vae", "zoo_timm", "zoo_smp", "zoo_flow", "zoo_text"])
def test_the_tests_of_an_installed_plugin_pass(python: Path, tmp_path: Path, plugin: str) -> None:
    tests = EXAMPLES / plugin / "tests"
    output = _python(
        python, tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tests), str(tests)
    )
    assert "passed" in output


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: content[:-5], "should have"),
        (lambda content: b"\x00\x00\x0d\x03" + content[4:], "is not an IDX file of bytes"),
        (None, "has no train-images-idx3-ubyte"),
    ],
)
def test_an_installed_plugin_names_a_damaged_file(python: Path, tmp_path: Path, damage, reason) -> None:
    _write_idx_files(tmp_path / "fashion")
    path = tmp_path / "fashion" / "train-images-idx3-ubyte"
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    done = _start(python, tmp_path, "-m", "zoo_core", "run", "vae-fashion", "dataset.folder=fashion", "run.steps=1")
    assert done.returncode == 2
    assert reason in done.stderr
    assert not (tmp_path / "runs").exists()


def _write_idx_files(folder: Path) -> None:
    """Write the bundled digits as four IDX files with the names of Fashion-MNIST's."""
    import zoo_core as zoo

    data = zoo.build("mnist", {"source": "subset"}, kind="dataset")
    folder.mkdir()
    for prefix, examples in (("train", data.train()), ("t10k", data.test())):
        images = examples.tensors["image"].mul(255).round().byte().numpy()[:, 0]
        labels = examples.tensors["label"].byte().numpy()
        for kind, array in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)):
            header = bytes([0, 0, 8, array.ndim]) + b"".join(length.to_bytes(4, "big") for length in array.shape)
            (folder / f"{prefix}-{kind}").write_bytes(header + array.tobytes())


def _editable_root() -> str:
    """The path of the checkout if zoo is installed in editable mode, else nothing."""
    import zoo_core

    root = Path(zoo_core.__file__).parents[1]
    return "" if root == Path(sysconfig.get_paths()["purelib"]) else f"{root}\n"


def _zoo(python: Path, folder: Path, *arguments: str) -> str:
    return _python(python, folder, "-m", "zoo_core", *arguments)


def _python(python: Path, folder: Path, *arguments: str) -> str:
    done = _start(python, folder, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _start(python: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the packages of the new environment: itself, or one that has imported torch already."""
    environment = {**os.environ, "ZOO_HOME": str(folder / "home")}
    environment.pop("PYTHONPATH", None)
    command: list[str | Path] = [python, *arguments]
    if not {"list", "--help", "pytest"} & set(arguments):
        (packages,) = (python.parents[1] / "lib").glob("python*/site-packages")
        environment["PYTHONPATH"] = os.pathsep.join([str(packages), *_editable_root().split()])
        command[0] = PYTHON
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
