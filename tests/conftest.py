"""Fixtures of all tests. Every test has its own ZOO_HOME, so that none depends on that of the developer."""

import os

import pytest
from hypothesis import settings

import zoo_core as zoo

# Tests start processes that share the machine with this one. This must be set before torch is imported.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

# On a busy machine, an example may take any time.
settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")


@pytest.fixture(autouse=True, scope="session")
def shared_zoo_home(tmp_path_factory):
    """The ZOO_HOME of fixtures with a larger scope than a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_HOME", str(tmp_path_factory.mktemp("shared-zoo-home")))
        yield


@pytest.fixture(autouse=True)
def zoo_home(tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("zoo-home")
    monkeypatch.setenv("ZOO_HOME", str(home))
    return home


class StopsAt:
    """Stops a run after a step, as a signal would."""

    def __init__(self, step):
        self.step = step

    @zoo.hookimpl
    def zoo_step_finished(self, run, step):
        if step == self.step:
            run.stop("the test")


@pytest.fixture(scope="session")
def stops_at():
    return StopsAt
