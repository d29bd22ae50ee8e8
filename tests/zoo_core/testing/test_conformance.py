"""Every check finds what it is for, and passes what keeps its promise."""

from __future__ import annotations

import subprocess
import sys

import broken_promises
import pytest
import tiny

from zoo_core.errors import UnknownName
from zoo_core.registry.catalog import Catalog
from zoo_core.testing import cases, conformance
from zoo_core.testing.collect import all_checks

SLOW = {
    "two-processes-agree",
    "registration-is-light",
}  # they start processes, in which these plugins are not installed


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    here = Catalog(installed=False)
    here.plugins.add("tiny", tiny.Plugin())
    here.plugins.add("broken", broken_promises.Plugin())
    return here


def outcomes(catalog: Catalog, name: str, check: str | None = None) -> dict[str, tuple[str, str]]:
    """State and reason of every check of a thing, or of one of them, by the check's name."""
    tried = [case for case in cases(name, catalog=catalog) if case.check.name not in SLOW]
    tried = [case for case in tried if check in (None, case.check.name)]
    return {case.check.name: (outcome.state, outcome.why) for case in tried for outcome in [case.run()]}


def test_whoever_keeps_the_promises_passes(catalog):
    for name in ("line", "points", "with-kepttrainer"):
        seen = outcomes(catalog, name)
        assert {check: told for check, told in seen.items() if told[0] == "failed"} == {}
        assert [told for told in seen.values() if told[0] == "passed"]


@pytest.mark.parametrize(
    ("name", "check", "reason"),
    [
        ("saysnothing", "every-setting-is-documented", "Config.width says nothing of what it means"),
        ("notonmeta", "builds-on-the-meta-device", "meta tensor"),
        ("forgetsabuffer", "weights-round-trip", "'more.weight' has shape"),
        ("startsspoilt", "builds-on-the-cpu", "'scale' begins with NaN"),
        ("predictsatrandom", "predict-keeps-its-shapes", "'height' differs between two calls"),
        ("predictsanothershape", "predict-keeps-its-shapes", "has shape (3,), but (N, 1) is declared"),
        ("predictsbeyond", "predict-keeps-its-shapes", "goes from 0 to 0, but (N) in [1, 2] is declared"),
        ("leavestraining", "predict-keeps-its-shapes", "leaves it in training mode"),
        ("listy", "examples-are-mappings", "an example is a tuple"),
        ("drawsanew", "the-same-for-any-number-of-workers", "'point' differs"),
        ("restless", "the-fingerprint-is-always-the-same", "once and"),
        ("leaky", "evaluation-is-apart-from-training", "is among the first to be trained on"),
        ("with-idle", "training-lowers-a-loss", "in 30 steps, loss from"),
        ("with-attached", "a-step-reports-detached-numbers", "'extra' still holds on to the graph"),
        ("with-tall", "a-step-reports-detached-numbers", "'extra' has shape (2,)"),
        ("with-thaws", "a-step-leaves-frozen-parameters-alone", "'layers.0.weight' is frozen, and changed"),
        ("with-leaveseval", "looking-changes-nothing", "left in another mode"),
        ("with-measuresintraining", "looking-changes-nothing", "'layers.1.running_mean' is another"),
        ("with-unseeded", "the-same-seed-gives-the-same-weights", "differs between two runs of one seed"),
        ("with-forgetful", "stop-and-resume-is-bit-identical", "differs from that of the run that was not stopped"),
        ("with-onlyeights", "odd-batch-sizes-work", "RuntimeError: shape '[8, 3]'"),
    ],
)
def test_a_broken_promise_is_found_and_said(catalog, name, check, reason):
    state, why = outcomes(catalog, name, check)[check]
    assert state == "failed"
    assert reason in why


def test_a_size_that_is_refused_in_words_is_no_failure(catalog):
    state, why = outcomes(catalog, "with-refusesinwords", "odd-batch-sizes-work")["odd-batch-sizes-work"]
    assert (state, why) == ("skipped", "it refuses 3 examples: pairs are compared, but the number is odd.")


def test_a_plugin_that_pickles_or_states_no_source_is_found(catalog):
    stated = "license-and-source-are-stated"
    seen = {**outcomes(catalog, "broken", "nothing-is-unpickled"), **outcomes(catalog, "broken", stated)}
    assert seen["nothing-is-unpickled"][0] == "failed"
    assert "broken_promises.py, line" in seen["nothing-is-unpickled"][1]
    assert "states no source" in seen[stated][1]
    assert "states no license" in outcomes(catalog, "tiny", stated)[stated][1]


def test_a_recipe_that_does_not_resolve_is_found(catalog):
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


def test_every_check_says_what_it_guards_and_a_cure():
    checks = all_checks()
    assert len({check.name for check in checks}) == len(checks) >= 20
    for check in checks:
        assert len(check.guards) > 20
        assert len(check.hint) > 20


def test_an_unknown_name_is_told_so(catalog):
    with pytest.raises(UnknownName, match="nothing that can be checked is called 'lien'"):
        cases("lien", catalog=catalog)


def test_the_command_ends_with_1_and_says_guard_and_cure(tmp_path):
    (tmp_path / "clumsy.py").write_text(
        "import zoo_core as zoo\n\n@zoo.hookimpl\ndef zoo_register(registry):\n"
        "    registry.model('clumsy', 'collections:Counter', summary='No license')\n"
    )
    command = [sys.executable, "-m", "zoo_core", "--plugin", "clumsy.py", "check", "clumsy"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "failed   plugin clumsy  license-and-source-are-stated: the model 'clumsy' states no license" in done.stdout
    assert "guards: Who uses a model knows under which conditions" in done.stdout
    assert "hint: Give license='Apache-2.0'" in done.stdout


@pytest.mark.parametrize("name", ["classifier", "clsgan", "unet", "datasets", "zoo"])
def test_the_registration_of_zoos_own_plugins_is_light(name):
    (case,) = [one for one in cases(name) if one.check.name == "registration-is-light"]
    outcome = case.run()
    assert (outcome.state, outcome.why) == ("passed", "")


def test_conformance_makes_a_test_for_each_check():
    test = conformance("digit-classifier")
    (mark,) = test.pytestmark
    assert [str(case) for case in mark.args[1]][:1] == ["model-classifier/digit-classifier-every-setting-is-documented"]
