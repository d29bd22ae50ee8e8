"""`zoo new` creates plugins of each kind, which install, train, and pass their own tests and every check."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from warm_python import PYTHON

import zoo_core as zoo

NAME = "cool-gan"
KINDS = ("vision", "text", "tabular", "gan", "diffusion")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The new plugin, created by the command."""
    folder = tmp_path_factory.mktemp("new")
    done = run([sys.executable, "-m", "zoo_core", "new", NAME], folder)
    assert f"zoo run {NAME}" in done.stdout
    return folder / NAME


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A plugin of each kind, with the metadata of an installed one beside its package."""
    folder = tmp_path_factory.mktemp("kinds")
    for kind in KINDS:
        run([PYTHON, "-m", "zoo_core", "new", f"my-{kind}", "--kind", kind], folder)
        info = folder / f"my-{kind}" / f"my_{kind}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: my-{kind}\nVersion: 0.1.0\n")
        (info / "entry_points.txt").write_text(f"[zoo]\nmy-{kind} = my_{kind}\n")
    return {kind: folder / f"my-{kind}" for kind in KINDS}


@pytest.fixture(scope="module")
def python(project: Path) -> Path:
    """A new environment with the plugin installed; zoo and torch are available through a .pth file."""
    folder = project.parent / "venv"
    run([sys.executable, "-m", "venv", "--without-pip", str(folder)], project)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    roots = [str(Path(zoo.__file__).parents[1]), sysconfig.get_paths()["purelib"]]
    (packages / "zoo.pth").write_text("\n".join(dict.fromkeys(roots)) + "\n")
    interpreter = folder / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(interpreter), "install", "--quiet", "--no-compile"]
    run([*install, "--no-deps", "-e", "."], project)
    return interpreter


def run(command: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "ZOO_HOME": str(folder / "home"), **environment}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


def run_warm(python: Path, project: Path, words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a Python that has imported torch already, with the packages of the new environment."""
    (packages,) = (python.parents[1] / "lib").glob("python*/site-packages")
    paths = [*filter(None, [os.environ.get("PYTHONPATH")]), str(packages), str(project)]
    return run([PYTHON, *words], folder, PYTHONPATH=os.pathsep.join(paths))


def test_the_name_of_the_template_does_not_remain(project, projects):
    for folder in (project, *projects.values()):
        for path in folder.rglob("*"):
            assert "my-model" not in path.name
            assert "my_model" not in path.name
            if path.is_file():
                text = path.read_text()
                assert not any(
                    word in text for word in ("my-model", "my_model", "MyModel", "{{summary", "{{predict")
                ), path


def test_the_name_is_used_for_class_and_entry_point(project):
    assert "class CoolGan(zoo.Model)" in (project / "cool_gan" / "model.py").read_text()
    assert 'cool-gan = "cool_gan"' in (project / "pyproject.toml").read_text()


def test_the_installed_plugin_trains(python, project, tmp_path):
    done = run([str(python), "-m", "zoo_core", "run", NAME, "run.threads=1", "--folder", "run"], tmp_path)
    assert "cool-gan: done, step 2,000" in done.stdout
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["accuracy"] > 0.95
    assert list((tmp_path / "run" / "previews").glob("*.png"))
    words = ["-m", "zoo_core", "predict", "run", "rows=[[0.1, 0.2]]"]
    predicted = run_warm(python, project, words, tmp_path).stdout
    assert json.loads(predicted)["label"][0] in (0, 1)


def test_the_tests_of_the_plugin_pass(python, project):
    done = run_warm(python, project, ["-m", "pytest", "-q", "-p", "no:cacheprovider"], project)
    assert "passed" in done.stdout
    assert "failed" not in done.stdout


@pytest.mark.long
def test_every_conformance_check_passes_or_is_skipped(python, tmp_path):
    done = run([str(python), "-m", "zoo_core", "check", NAME, "--json"], tmp_path)
    rows = json.loads(done.stdout)
    states = {(row["subject"], row["check"]): row["state"] for row in rows}
    skipped = [check for (_, check), state in states.items() if state == "skipped"]
    assert skipped == ["step-keeps-frozen-parameters", "parts-have-the-gradients-of-the-batch"]
    assert {subject.split()[0] for subject, _ in states} == {"plugin", "model", "dataset", "recipe"}
    assert len(states) >= 20


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "tabular"])  # the default, which is tested above
def test_a_plugin_of_each_kind_learns_and_passes_its_tests(kind: str, projects: dict[str, Path]) -> None:
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not two-processes"]  # which a long test checks
    paths = [str(projects[kind]), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = run([PYTHON, *words], projects[kind], PYTHONPATH=os.pathsep.join(paths))
    assert "passed" in done.stdout


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_a_plugin_of_each_kind_trains_in_two_processes(kind: str, projects: dict[str, Path]) -> None:
    paths = [str(projects[kind]), *filter(None, [os.environ.get("PYTHONPATH")])]
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "two-processes"]
    assert "1 passed" in run([sys.executable, *words], projects[kind], PYTHONPATH=os.pathsep.join(paths)).stdout


@pytest.mark.skipif(find_spec("ruff") is None or find_spec("mypy") is None, reason="needs ruff and mypy")
def test_ruff_and_mypy_find_nothing(project: Path, projects: dict[str, Path]) -> None:
    for one in (project, *projects.values()):
        run([sys.executable, "-m", "ruff", "check", "."], one)
        run([sys.executable, "-m", "ruff", "format", "--check", "."], one)
    packages = [str(projects[kind] / f"my_{kind}") for kind in KINDS]
    run([sys.executable, "-m", "mypy", "--cache-dir", os.devnull, *packages], project)


def test_a_text_file_and_a_table_of_the_user_are_read(projects: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("Grüße aus Köln. " * 200)
    (tmp_path / "table.csv").write_text("a,b,c,class\n" + "".join(f"{n},{n * n},1,{n % 3}\n" for n in range(200)))
    settings = {"text": "text.txt", "tabular": "table.csv"}
    for kind, file in settings.items():
        paths = [str(projects[kind]), *filter(None, [os.environ.get("PYTHONPATH")])]
        train = ["run", f"my-{kind}", f"dataset.file={file}", "run.steps=2", "run.device=cpu", "--folder", kind]
        run([PYTHON, "-m", "zoo_core", *train], tmp_path, PYTHONPATH=os.pathsep.join(paths))
    config = (tmp_path / "text" / "config.yaml").read_text()
    assert all(letter in config for letter in "üßö")
    assert "num_classes: 3" in (tmp_path / "tabular" / "config.yaml").read_text()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "at least two rows and two columns of finite numbers"),
        ("a,b,class\n", "at least two rows and two columns of finite numbers"),
        ("a,b,class\n1,2,0\n", "at least two rows"),
        ("class\n0\n1\n", "two columns"),
        ("a,b,class\nnan,2,0\n1,2,1\n", "finite numbers"),
        ("a,b,class\n1,2,0.7\n1,2,1\n", "classes in its last column, which are 0, 1"),
        ("a,b,class\n1,2,-1\n1,2,1\n", "classes in its last column"),
        ("a,b,class\n1,2,cat\n", "can't be read: could not convert string 'cat' to float64 at row 0, column 3."),
    ],
)
@pytest.mark.filterwarnings("ignore:loadtxt")
def test_a_table_of_another_form_is_refused(
    content: str, said: str, projects: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(projects["tabular"])
    dataset = import_module("my_tabular.dataset")
    (tmp_path / "table.csv").write_text(content)
    table = dataset.Table(dataset.Table.Config(file=str(tmp_path / "table.csv")))
    with pytest.raises(zoo.BadFile) as refused:
        table.tensors()
    assert said in refused.value.message
    assert refused.value.hint == "Give a CSV file of numbers with a heading."


def test_the_kinds_are_listed_with_a_line_each_and_another_one_is_refused(tmp_path: Path) -> None:
    help_text = run([PYTHON, "-m", "zoo_core", "new", "--help"], tmp_path).stdout
    for kind in KINDS:
        assert re.search(rf"^ +{kind} +a .{{20,}}", help_text, flags=re.MULTILINE)
    for given, hint in (("visoin", "Did you mean 'vision'?"), ("audio", "`zoo new --help` describes them.")):
        words = [PYTHON, "-m", "zoo_core", "new", "x", "--kind", given]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 2
        message = f"error: --kind is '{given}', but should be one of vision, text, tabular, gan, diffusion."
        assert done.stderr == f"{message}\n  {hint}\n"
    assert not (tmp_path / "x").exists()


def test_an_existing_folder_is_not_overwritten(tmp_path):
    (tmp_path / NAME).mkdir()
    done = subprocess.run([sys.executable, "-m", "zoo_core", "new", NAME], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert f"{NAME} already exists" in done.stderr
