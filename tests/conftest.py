"""Every test has a zoo home of its own, so that none sees what a developer keeps in theirs."""

import pytest


@pytest.fixture(autouse=True)
def zoo_home(tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("zoo-home")
    monkeypatch.setenv("ZOO_HOME", str(home))
    return home
