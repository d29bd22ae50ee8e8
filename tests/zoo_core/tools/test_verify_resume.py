"""A run that is killed and resumed equals an uninterrupted one, and every difference is found."""

from __future__ import annotations

import random
import subprocess
import textwrap
from pathlib import Path

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file
from warm_python import PYTHON

from zoo_core.errors import BadSetting, RunFailed
from zoo_core.tools.verify_resume import compare, verify

pytestmark = pytest.mark.xdist_group("processes")
SUBSET = ["dataset.source=subset", "run.device=cpu", "run.threads=1", "run.keep_checkpoints=1000"]
SHORT = [*SUBSET, "run.steps=16", "run.checkpoint_every=3", "run.log_every=4", "run.preview_every=5"]


@pytest.mark.parametrize("kills", [2, pytest.param(5, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("clsgan-mnist", ["trainer.eval_classifier=", "trainer.cas_classifier="]),
        pytest.param(
            "unet-digit-scenes",
            ["run.batch_size=2", "run.workers=1", "dataset.test_scenes=4", "dataset.validation_scenes=4"],
            marks=pytest.mark.long,
        ),
    ],
)
def test_resume_after_kills_is_bit_identical(tmp_path, recipe, words, kills):
    verdict = verify(recipe, [*SHORT, *words], kills, tmp_path, random.Random(1))  # noqa: S311
    assert verdict.difference == ""
    assert len(verdict.kills) >= kills
    if kills == 2:  # otherwise the run may be over before one that is aimed at saving
        assert any(kill.saving for kill in verdict.kills)
    assert verdict.runs >= 1


def test_a_single_kill_is_followed_by_training_from_a_checkpoint(tmp_path):
    seed = 1  # with which the kill was before the first checkpoint, so that nothing was restored
    words = [*SHORT, "run.batch_size=8"]
    verdict = verify("digit-classifier-mnist", words, 1, tmp_path, random.Random(seed))  # noqa: S311
    assert any(0 < kill.step < 15 for kill in verdict.kills)
    assert verdict.difference == ""


def test_a_run_with_one_checkpoint_is_refused(tmp_path):
    words = [*SHORT, "run.batch_size=8", "run.checkpoint_every=0", "run.steps=2"]
    with pytest.raises(BadSetting, match=r"at its end in step 2, so no resumed run would train on") as error:
        verify("digit-classifier-mnist", words, 1, tmp_path, random.Random(1))  # noqa: S311
    assert "`run.checkpoint_every=5`" in error.value.hint


FORGETFUL = """
    import torch
    import zoo_core as zoo
    from zoo_plugins.classifier.trainer import ClassifierTrainer

    class Forgetful(ClassifierTrainer):
        def setup(self, model, engine):
            super().setup(model, engine)
            self._seen = 0

        def step(self, batch):
            metrics = super().step(batch)
            self._seen += 1
            with torch.no_grad():
                self.model.head.bias.add_(0.01 * self._seen)
            return metrics

    @zoo.hookimpl
    def zoo_register(registry):
        registry.trainer("forgetful", f"{__name__}:Forgetful", summary="Counts in an attribute that is not saved")
        run = {"steps": 16, "batch_size": 8, "checkpoint_every": 2}
        parts = {"model": "digit-classifier", "dataset": "mnist", "trainer": "forgetful"}
        registry.recipe("forgetful", __file__, **{part: {"name": name} for part, name in parts.items()}, run=run)
"""


def test_the_command_names_the_first_tensor_and_step_that_differ(tmp_path):
    (tmp_path / "forgetful.py").write_text(textwrap.dedent(FORGETFUL))
    command = [
        PYTHON,
        "-m",
        "zoo_core",
        "--plugin",
        "forgetful.py",
        "verify-resume",
        "forgetful",
        "--kills",
        "3",
    ]
    words = ["dataset.source=subset", "run.steps=16", "run.checkpoint_every=2", "run.device=cpu", "run.threads=1"]
    done = subprocess.run([*command, *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "forgetful: at step " in done.stdout
    assert "model.head.bias differs" in done.stdout
    assert "without a leading underscore" in done.stdout


def test_a_failing_run_is_reported_with_its_reason(tmp_path):
    with pytest.raises(RunFailed, match=r"ended with exit code 1: .*'no-such-recipe'"):
        verify("no-such-recipe", [], 1, tmp_path, random.Random(0))  # noqa: S311


def test_what_a_checkpoint_cannot_keep_is_reported_with_the_hint(tmp_path):
    (tmp_path / "keeping.py").write_text(textwrap.dedent(FORGETFUL).replace("self._seen = 0", "self.seen = {1, 2}"))
    command = [PYTHON, "-m", "zoo_core", "--plugin", "keeping.py", "verify-resume", "forgetful", "--kills", "1"]
    words = ["dataset.source=subset", "run.device=cpu", "run.threads=1"]
    done = subprocess.run([*command, *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "ended with exit code 1: Forgetful holds self.seen, a set, which" in done.stderr
    assert "rename it to self._seen" in done.stderr


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("pair")
    for name in ("one", "other"):
        tiny.train(folder / name, "run.keep_checkpoints=9")
    return folder / "one", folder / "other"


def test_two_equal_runs_have_no_difference(pair):
    assert compare(*pair) == ""


def test_runs_with_different_settings_are_compared_without_their_recipes(pair, tmp_path):
    tiny.train(tmp_path / "other", "run.keep_checkpoints=8")
    assert compare(pair[0], tmp_path / "other").endswith("run.recipe differs")
    assert compare(pair[0], tmp_path / "other", ignore=["run.recipe"]) == ""


def test_a_changed_bit_of_the_optimizer_state_is_reported_with_its_step(pair):
    path = pair[1] / "checkpoints" / "step-000000020" / "optimizer.safetensors"
    before, sums = path.read_bytes(), (path.parent / "SHA256SUMS").read_text()
    tensors = load_file(path)
    name = max(tensors, key=lambda one: tensors[one].numel())
    changed = tensors[name].clone().view(torch.int32)
    changed.view(-1)[0] ^= 1
    save_file({**tensors, name: changed.view(tensors[name].dtype)}, path)
    from hashlib import sha256

    digests = [sha256(content).hexdigest() for content in (before, path.read_bytes())]
    (path.parent / "SHA256SUMS").write_text(sums.replace(*digests))
    assert compare(*pair) == f"at step 20, optimizer.{name} differs"
    path.write_bytes(before)
    (path.parent / "SHA256SUMS").write_text(sums)


def test_a_missing_line_of_metrics_is_reported(pair):
    path = pair[1] / "metrics.jsonl"
    before = path.read_text()
    path.write_text("".join(before.splitlines(keepends=True)[:-1]))
    assert compare(*pair).startswith("metrics.jsonl differs in line 7: {")
    assert compare(*pair).endswith("and nothing")
    path.write_text(before)
