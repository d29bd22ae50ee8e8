"""Names of components: which are valid, and why others are refused."""

from __future__ import annotations

from typing import Any

import pytest

from zoo_core.registry.component_name import why_refused


@pytest.mark.parametrize(
    "name", ["a", "resnet-50", "vit_base_patch16_224.augreg2_in21k", "timm/resnet18", "a/b/c", "7"]
)
def test_words_joined_by_marks_and_slashes_are_a_name(name: str) -> None:
    assert why_refused(name) == ""


@pytest.mark.parametrize("name", ["", "/", "a/", "/a", "a//b", "a/../b", "A", "a b", "a\n", "é", "a/.b", "a/B"])
def test_other_text_is_not_a_name(name: str) -> None:
    assert why_refused(name).startswith("a name should be lower-case words")


@pytest.mark.parametrize(("name", "kind"), [(7, "an int"), (None, "None"), (b"a", "a bytes"), (["a"], "a list")])
def test_what_is_not_text_is_not_a_name(name: Any, kind: str) -> None:
    assert why_refused(name) == f"a name should be text, and not {kind}"
