"""Every check fails for a component that violates it, and passes for one that does not."""

from __future__ import annotations

import subprocess

import augmented_points
import broken_promises
import pytest
import tiny
from warm_python import PYTHON

from zoo_core.errors import BadSetting, UnknownName
from zoo_core.registry.catalog import Catalog
from zoo_core.testing import cases, conformance
from zoo_core.testing.collect import all_checks

SLOW = {"two-processes-agree", "registration-is-fast"}  # they start processes, in which these plugins are not installed


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    here = Catalog(installed=False)
    here.plugins.add("tiny", tiny.Plugin())
    here.plugins.add("broken", broken_promises.Plugin())
    here.plugins.add("augmented", augmented_points.Plugin())
    return here


def outcomes(catalog: Catalog, name: str, check: str | None = None) -> dict[str, tuple[str, str]]:
    """State and reason of every check of a component, or of one of them, by the name of the check."""
    selected = [case for case in cases(name, catalog=catalog) if case.check.name not in SLOW]
    selected = [case for case in selected if check in (None, case.check.name)]
    return {case.check.name: (outcome.state, outcome.why) for case in selected for outcome in [case.run()]}


def test_a_correct_component_passes(catalog):
    for name in ("line", "points", "with-kepttrainer", "augments", "with-augments"):
        results = outcomes(catalog, name)
        assert {check: result for check, result in results.items() if result[0] == "failed"} == {}
        assert [result for result in results.values() if result[0] == "passed"]


@pytest.mark.parametrize("error", [SystemExit(0), GeneratorExit("gone"), type("Panic", (BaseException,), {})("mine")])
def test_a_component_that_ends_the_process_fails_the_check_and_the_others_go_on(catalog, monkeypatch, error):
    def step(self, batch):
        raise error

    monkeypatch.setattr(tiny.LineTrainer, "step", step)
    states = outcomes(catalog, "with-kepttrainer")
    assert {state for state, _ in states.values()} >= {"failed", "passed"}
    assert any(type(error).__name__ in why for _, why in states.values())


def test_ctrl_c_ends_the_checks(catalog, monkeypatch):
    def step(self, batch):
        raise KeyboardInterrupt

    monkeypatch.setattr(tiny.LineTrainer, "step", step)
    with pytest.raises(KeyboardInterrupt):
        outcomes(catalog, "with-kepttrainer")


@pytest.mark.parametrize(
    ("name", "check", "reason"),
    [
        ("undocumented", "every-setting-is-documented", "Config.width has no description"),
        ("notonmeta", "builds-on-the-meta-device", "meta tensor"),
        ("forgetsabuffer", "weights-round-trip", "'more.weight' has shape"),
        ("startswithnan", "builds-on-the-cpu", "'scale' has NaN"),
        ("predictsatrandom", "predict-matches-declared-outputs", "'height' differs between two calls"),
        ("predictsanothershape", "predict-matches-declared-outputs", "has shape (3,), but (N, 1) is declared"),
        ("predictsbeyond", "predict-matches-declared-outputs", "is in [0, 0], but (N) in [1, 2] is declared"),
        ("leavestraining", "predict-matches-declared-outputs", "leaves it in training mode"),
        ("listy", "examples-are-mappings", "an example is a tuple"),
        (
            "changesateveryaccess",
            "examples-are-independent-of-workers",
            "'point' of training batch 0 differs when it is loaded again: it depends on something that",
        ),
        ("restless", "fingerprint-is-reproducible", "and then"),
        ("brief", "fingerprint-is-reproducible", "the fingerprint is '0123456789abcdef'"),
        ("draws", "fingerprint-keeps-the-random-state", "draws random numbers from a global generator"),
        ("leaky", "train-and-test-splits-are-disjoint", "is one of the first train examples"),
        ("with-idle", "training-lowers-a-loss", "no loss decreases in 30 steps: loss from"),
        ("with-attached", "step-returns-detached-scalars", "'extra' is not detached from the graph"),
        ("with-tall", "step-returns-detached-scalars", "'extra' has shape (2,)"),
        ("with-thaws", "step-keeps-frozen-parameters", "'layers.0.weight' is frozen, but changes"),
        ("with-learnsfromtests", "measuring-does-not-change-training", "changes the model's layers.2.bias"),
        ("with-countstests", "measuring-does-not-change-training", "changes self.schedule (last_epoch) from 2 to 3"),
        ("with-rememberstests", "measuring-does-not-change-training", "differs after a training with evaluations"),
        ("with-unseeded", "same-seed-gives-same-weights", "differs between two runs with the same seed"),
        ("with-forgetful", "stop-and-resume-is-bit-identical", "between the resumed and the uninterrupted run"),
        (
            "with-averagesmeans",
            "metrics-do-not-depend-on-the-batch-size",
            "in one batch of 11 examples and in two, error is",
        ),
        ("with-onlyeights", "odd-batch-sizes-work", "RuntimeError: shape '[8, 3]'"),
    ],
)
def test_a_violation_fails_the_check_with_the_reason(catalog, name, check, reason):
    state, why = outcomes(catalog, name, check)[check]
    assert state == "failed"
    assert reason in why


@pytest.mark.parametrize(
    ("dataset", "reason"),
    [
        ("keepsgenerator", ".draw.__self__.rng (numpy.Generator)"),
        ("keepstorchgenerator", ".draw generator (torch.Generator)"),
        ("keepsrandom", ".draw.func.__self__ (random.Random)"),
        ("counts", ".calls (builtins.int)"),
        ("drawsfromthesystem", "does not seed, such as np.random.default_rng()"),
        ("fortest", ".draw.__self__.rng (numpy.Generator)"),
    ],
)
def test_a_dataset_with_random_numbers_that_are_not_seeded_fails_with_what_it_keeps(catalog, dataset, reason):
    for name, check in (
        (dataset, "examples-are-independent-of-workers"),
        (f"with-{dataset}", "batches-are-independent-of-workers-and-resumes"),
    ):
        state, why = outcomes(catalog, name, check)[check]
        assert state == "failed"
        assert reason in why


def test_a_batch_size_that_is_refused_with_an_error_skips_the_check(catalog):
    state, why = outcomes(catalog, "with-raiseszooerror", "odd-batch-sizes-work")["odd-batch-sizes-work"]
    expected = "it does not support a batch of 3 examples: pairs are compared, but the number is odd."
    assert (state, why) == ("skipped", expected)


def test_a_plugin_that_unpickles_or_has_no_license_or_paper_fails(catalog):
    state, why = outcomes(catalog, "broken", "nothing-is-unpickled")["nothing-is-unpickled"]
    assert state == "failed"
    assert "broken_promises.py, line" in why
    stated = "license-and-paper-are-stated"
    assert "has no paper" in outcomes(catalog, "broken", stated)[stated][1]
    assert "has no license" in outcomes(catalog, "tiny", stated)[stated][1]


def test_a_recipe_that_does_not_resolve_fails(catalog):
    here = Catalog(installed=False)

    class Wrong:
        from zoo_core.hookspecs import hookimpl

        @hookimpl
        def zoo_register(self, registry):
            registry.recipe("wrong", __file__, model={"name": "nothing"}, dataset={}, trainer={}, run={"steps": 1})

    here.plugins.add("wrong", Wrong())
    outcome = {case.check.name: case.run() for case in cases("wrong", catalog=here) if case.subject.kind == "plugin"}
    assert outcome["recipes-resolve"].state == "failed"
    assert "no model is called 'nothing'" in outcome["recipes-resolve"].why


def test_every_check_has_a_description_and_a_hint():
    checks = all_checks()
    assert len({check.name for check in checks}) == len(checks) >= 20
    for check in checks:
        assert len(check.guards) > 20
        assert len(check.hint) > 20


def test_an_unknown_name_is_refused(catalog):
    with pytest.raises(UnknownName, match="there is no plugin, model, dataset or recipe 'lien'"):
        cases("lien", catalog=catalog)


def test_the_command_exits_with_1_and_prints_description_and_hint(tmp_path):
    (tmp_path / "clumsy.py").write_text(
        "import zoo_core as zoo\n\n@zoo.hookimpl\ndef zoo_register(registry):\n"
        "    registry.model('clumsy', 'collections:Counter', summary='No license')\n"
    )
    command = [PYTHON, "-m", "zoo_core", "--plugin", "clumsy.py", "check", "clumsy"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "failed   plugin clumsy  license-and-paper-are-stated: the model 'clumsy' has no license" in done.stdout
    assert "guards: Every component has a license" in done.stdout
    assert "hint: Pass license='Apache-2.0'" in done.stdout


@pytest.mark.parametrize("name", ["classifier", "clsgan", "unet", "datasets", "zoo"])
def test_the_registration_of_the_bundled_plugins_is_fast(name):
    (case,) = [one for one in cases(name) if one.check.name == "registration-is-fast"]
    outcome = case.run()
    assert (outcome.state, outcome.why) == ("passed", "")


def test_a_recipe_that_ends_early_by_a_metric_is_checked_without_evaluations(tmp_path):
    """The checks disable evaluations, and with them the settings that need some."""
    file = tmp_path / "mine.yaml"
    run = "{evaluate_every: 5, monitor: -loss, patience: 2, min_delta: 0.1}"
    file.write_text(f"recipes:\n  mine: {{extends: with-kepttrainer, run: {run}}}\n")
    here = Catalog([file], installed=False)
    here.plugins.add("tiny", tiny.Plugin())
    here.plugins.add("broken", broken_promises.Plugin())
    results = outcomes(here, "mine")
    assert {check: result for check, result in results.items() if result[0] == "failed"} == {}


def test_conformance_creates_a_test_for_each_check():
    test = conformance("digit-classifier")
    (mark,) = test.pytestmark
    assert [str(case) for case in mark.args[1]][:1] == ["model-classifier/digit-classifier-every-setting-is-documented"]


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("with-kepttrainer", ["with-idle"], "'with-idle' is no override: the checks are those of one name"),
        ("with-kepttrainer", ["run.stepz=3"], r"run\.stepz: recipe 'with-kepttrainer' has no such setting"),
        ("with-kepttrainer", ["steps=3"], "a recipe has no setting 'steps'"),
        ("line", ["run.steps=3"], "'run.steps=3' does not apply: the model 'line' has no such setting"),
    ],
)
def test_overrides_that_suit_no_recipe_are_refused_once_and_not_in_every_check(catalog, name, words, message):
    with pytest.raises(BadSetting, match=message):
        cases(name, words, catalog)
