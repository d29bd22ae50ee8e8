"""The plugin keeps what zoo promises of every plugin, and learns what it is for."""

import zoo_core as zoo
from zoo_core.testing import conformance

test_conforms = conformance("my-model")


def test_a_short_training_tells_the_spirals_apart(tmp_path):
    run = zoo.run("my-model", "run.steps=600", "run.device=cpu", "run.threads=1", folder=tmp_path / "run")
    assert run.test_metrics["accuracy"] > 0.9
    assert zoo.load(run.path).predict(points=[[0.1, 0.2]])["label"][0] in (0, 1)
