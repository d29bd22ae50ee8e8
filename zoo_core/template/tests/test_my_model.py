"""The plugin passes the conformance checks, and its training reaches the expected accuracy."""

import zoo_core as zoo
from zoo_core.testing import conformance

test_conforms = conformance("my-model")


def test_a_short_training_classifies_the_spirals(tmp_path):
    run = zoo.run("my-model", "run.steps=600", "run.device=cpu", "run.threads=1", folder=tmp_path / "run")
    assert run.test_metrics["accuracy"] > 0.9
    assert zoo.load(run.path).predict(points=[[0.1, 0.2]])["label"][0] in (0, 1)
