"""The Python code of the README and of docs/weights.md runs as it is written."""

import re
import shutil
import subprocess
import textwrap
from pathlib import Path

import torch
from repository import ROOT
from warm_python import PYTHON

import zoo_core as zoo
from zoo_core.registry.registry import Registry

SHORT = ["dataset.source=subset", "run.device=cpu", "run.threads=1"]
NOT_EVALUATED = [*SHORT, "trainer.eval_classifier=null"]  # evaluation would take longer than this short training


def python_of(page: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_the_readme_loads_predicts_trains_and_loads_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (program,) = [text for text in python_of("README.md") if "zoo.load(" in text]
    steps = '"run.steps=2000"'
    assert steps in program
    namespace: dict = {}
    exec(program.replace(steps, ", ".join(f'"{word}"' for word in ["run.steps=4", *NOT_EVALUATED])), namespace)  # noqa: S102
    assert namespace["digits"].shape == (3, 1, 28, 28)
    assert 0 <= namespace["digits"].min() < namespace["digits"].max() <= 1
    trained = namespace["run"].model.state_dict()
    assert all(torch.equal(trained[key], value) for key, value in namespace["mine"].state_dict().items())


def test_the_plugin_in_the_readme_registers_its_names_in_at_most_ten_lines():
    (program,) = [text for text in python_of("README.md") if "zoo_register" in text]
    plugin: dict = {"__file__": str(ROOT / "examples" / "plugin.py")}
    exec(program, plugin)  # noqa: S102
    registry = Registry()
    with registry.owned_by("mine"):
        plugin["zoo_register"](registry)
    assert [(entry.kind, entry.name) for entry in registry.entries] == [
        ("model", "autoencoder"),
        ("trainer", "autoencoder"),
    ]
    assert len([line for line in program.splitlines() if line.strip()]) <= 10


PLUGIN_WITHOUT_STEP = """
    from dataclasses import dataclass
    from torch import nn
    from torch.nn import functional as F
    import zoo_core as zoo

    class Autoencoder(zoo.Model):
        @dataclass(frozen=True, kw_only=True)
        class Config:
            width: int = zoo.setting(16, "length of the code", ge=1)

        def __init__(self, config):
            super().__init__(config)
            self.layers = nn.Sequential(
                nn.Flatten(), nn.Linear(784, config.width), nn.Linear(config.width, 784), nn.Unflatten(1, (1, 28, 28))
            )

        def forward(self, image):
            return self.layers(image)

    class AutoencoderTrainer(zoo.Trainer):
        @dataclass(frozen=True, kw_only=True)
        class Config:
            pass

        def setup(self, model, engine):
            import torch
            adam = torch.optim.Adam(model.parameters())
            self.engine = engine
            self.model, self.optimizer = engine.prepare(model, adam)

        def step(self, batch): ...

    @zoo.hookimpl
    def zoo_register(registry):
        registry.model("autoencoder", f"{__name__}:Autoencoder", summary="Small")
        registry.trainer("autoencoder", f"{__name__}:AutoencoderTrainer", summary="Mean squared error")
        parts = {"model": "autoencoder", "trainer": "autoencoder", "dataset": "mnist"}
        registry.recipe("autoencoder", __file__, **{part: {"name": name} for part, name in parts.items()})
"""


def test_the_training_step_in_the_readme_lowers_the_loss(tmp_path):
    (step,) = [text for text in python_of("README.md") if "def step(" in text]
    plugin = textwrap.dedent(PLUGIN_WITHOUT_STEP)
    assert "    def step(self, batch): ...\n" in plugin
    (tmp_path / "mine.py").write_text(plugin.replace("    def step(self, batch): ...\n", step))
    overrides = [*SHORT, "run.steps=40", "run.batch_size=16", "run.log_every=20"]
    done = subprocess.run(
        [PYTHON, "-m", "zoo_core", "--plugin", "mine.py", "run", "autoencoder", *overrides],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    first, last = (float(loss) for loss in re.findall(r"loss ([\d.]+)  left", done.stderr))
    assert last < first


def test_the_weights_page_loads_a_name_a_run_and_a_file_and_overrides_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = python_of("docs/weights.md")
    (folder,) = re.findall(r'"(runs/[^"]+)"', first)
    zoo.run("clsgan-mnist", "run.steps=4", *NOT_EVALUATED, folder=folder)
    (tmp_path / "some").mkdir()
    shutil.copy(Path(folder) / "model.safetensors", "some/file.safetensors")
    assert first.count('"cuda"') == 1
    namespace: dict = {}
    exec(first.replace('"cuda"', '"cpu"'), namespace)  # noqa: S102
    assert type(namespace["model"]).__name__ == "CLSGAN"
    exec(second, namespace)  # noqa: S102
    shown = re.findall(r"incompatible\.mismatched  # (\{.*?), …", second)
    assert shown == [str(dict([next(iter(namespace["incompatible"].mismatched.items()))]))[:-1].replace("'", '"')]
