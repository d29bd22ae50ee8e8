"""Published weights by name: versions, defaults, aliases, deprecations and malformed entries."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from zoo_core.config.layers import Recipes
from zoo_core.errors import BadSetting, NameTaken, UnknownName, ZooError
from zoo_core.registry.weights_index import Entries

Write = Callable[[str, str], Path]
FILE = f"location: a.safetensors, sha256: {'0123456789abcdef' * 4}, license: MIT"
REMOTE = FILE.replace("a.safetensors", "https://example.com/a.safetensors")


@pytest.fixture
def entries(write: Write) -> Callable[..., Entries]:
    """The entries of the user's registry and of those of plugins: ``entries("w: {…}", left="w: {…}")``."""

    def file(name: str, text: str) -> Path:
        lines = "".join(f"  {line}\n" for line in text.splitlines())
        return write(f"{name}.yaml", f"weights:\n{lines}")

    def entries(mine: str = "", **plugins: str) -> Entries:
        files = [(name, file(name, text)) for name, text in plugins.items()]
        return Entries(Recipes(files, [file("mine", mine)] if mine else []).weights())

    return entries


def refusal(call: Callable[[], object]) -> ZooError:
    with pytest.raises(ZooError) as raised:
        call()
    return raised.value


def test_an_entry_contains_all_that_its_file_contains(entries) -> None:
    found = entries(
        f"w: {{{FILE}, size: 12, model: line, recipe: r, summary: S, metrics: {{error: 0.5}}, inputs: {{point: three}},"
        " outputs: {height: one}, beside: {theirs: {error: 0.4, source: a paper}}}",
    ).find("w")
    listed = found.listed
    assert (found.name, found.full_name, found.path, found.is_remote) == ("w", "w", Path("a.safetensors"), False)
    assert (listed.size, listed.model, listed.recipe, listed.summary, listed.license) == (12, "line", "r", "S", "MIT")
    assert listed.sha256 == "0123456789abcdef" * 4
    assert listed.metrics == {"error": 0.5}
    assert (listed.inputs, listed.outputs) == ({"point": "three"}, {"height": "one"})
    assert listed.beside == {"theirs": {"error": 0.4, "source": "a paper"}}


def test_a_relative_location_is_relative_to_the_registry_file(entries, tmp_path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "theirs.yaml").write_text(f"weights:\n  w: {{{FILE}}}\n")
    found = Entries(Recipes([("p", tmp_path / "elsewhere" / "theirs.yaml")]).weights()).find("w")
    assert found.path == tmp_path / "elsewhere" / "a.safetensors"
    absolute = entries(f"w: {{{FILE.replace('a.safetensors', '/srv/a.safetensors')}}}").find("w")
    assert absolute.path == Path("/srv/a.safetensors")


def test_an_entry_of_the_user_overrides_a_plugins_which_is_available_by_its_full_name(entries) -> None:
    found = entries(f"w: {{{FILE}, summary: Mine}}", left=f"w: {{{FILE}, summary: Theirs}}")
    assert found.find("w").listed.summary == "Mine"
    assert found.find("left/w").listed.summary == "Theirs"
    assert found.find("left/w").full_name == "left/w"


def test_a_name_that_two_plugins_offer_needs_the_plugin(entries) -> None:
    found = entries(left=f"w: {{{FILE}, summary: L}}", right=f"w: {{{FILE}, summary: R}}")
    error = refusal(lambda: found.find("w"))
    assert isinstance(error, NameTaken)
    assert error.message == "2 plugins offer weights called 'w'."
    assert error.hint == "Write 'left/w' or 'right/w'."
    assert (found.find("left/w").listed.summary, found.find("right/w").listed.summary) == ("L", "R")


def test_a_version_follows_an_at_sign(entries) -> None:
    found = entries(f"w: {{{FILE}, summary: plain}}\nw@1: {{{FILE}, summary: one}}\nw@v2.0: {{{FILE}, summary: two}}")
    assert [found.find(name).listed.summary for name in ("w", "w@1", "w@v2.0")] == ["plain", "one", "two"]


def test_the_only_version_may_be_omitted(entries) -> None:
    assert entries(f"w@1: {{{FILE}, summary: one}}").find("w").name == "w@1"
    assert entries(left=f"w@1: {{{FILE}}}").find("left/w").full_name == "left/w@1"


def test_a_name_without_a_version_means_the_default_version(entries) -> None:
    assert entries(f"w@1: {{{FILE}, default: true}}\nw@2: {{{FILE}}}").find("w").name == "w@1"


@pytest.mark.parametrize(
    ("default", "defaults"),
    [("false", "none of which is the default"), ("true", "and several are marked as the default")],
)
def test_without_exactly_one_default_the_hint_lists_the_versions(entries, default: str, defaults: str) -> None:
    found = entries(f"w@1: {{{FILE}, default: {default}}}\nw@2: {{{FILE}, default: {default}}}")
    error = refusal(lambda: found.find("w"))
    assert isinstance(error, NameTaken)
    assert error.message == f"weights 'w' have 2 versions, {defaults}."
    assert error.hint == "Write 'w@1' or 'w@2'."


def test_a_version_and_default_of_the_user_override_a_plugins(entries) -> None:
    found = entries(f"w@1: {{{FILE}, summary: Mine}}", left=f"w@1: {{{FILE}, summary: Theirs}}")
    assert found.find("w").listed.summary == "Mine"
    assert found.find("left/w").listed.summary == "Theirs"
    found = entries(f"w@2: {{{FILE}, default: true}}", left=f"w@1: {{{FILE}, default: true}}")
    assert found.find("w").name == "w@2"


def test_a_version_that_two_plugins_offer_is_written_with_its_plugin(entries) -> None:
    error = refusal(lambda: entries(left=f"w@1: {{{FILE}}}", right=f"w@1: {{{FILE}}}").find("w"))
    assert error.hint == "Write 'left/w@1' or 'right/w@1'."


def test_the_hint_for_an_unknown_version_lists_the_known_ones(entries) -> None:
    found = entries(f"w: {{{FILE}}}\nw@1: {{{FILE}}}\nwide@3: {{{FILE}}}")
    error = refusal(lambda: found.find("w@3"))
    assert isinstance(error, UnknownName)
    assert str(error) == "weights 'w' have no version '3'.\n  Choose from 'w', 'w@1'."


def test_the_hint_for_a_misspelt_name_is_a_similar_one(entries) -> None:
    found = entries(f"my-digits: {{{FILE}}}")
    assert str(refusal(lambda: found.find("my-digts"))) == (
        "no weights are called 'my-digts'.\n  Did you mean 'my-digits'?"
    )
    assert "`zoo weights list`" in (refusal(lambda: found.find("qqqqq")).hint or "")
    assert isinstance(refusal(lambda: found.find("nobody/my-digits")), UnknownName)


def test_entries_are_sorted_by_name_and_found_by_short_and_full_name(entries) -> None:
    found = entries(f"b@1: {{{FILE}}}\na: {{alias: b}}", left=f"c: {{{FILE}}}")
    assert list(found) == [("", "a"), ("", "b@1"), ("left", "c")]
    assert found.names() == ["a", "b@1", "c"]
    assert all(name in found for name in ("a", "b", "b@1", "c", "left/c"))
    assert not any(name in found for name in ("b@2", "d", "right/c", "left/a"))


def test_an_alias_may_refer_to_another_alias(entries) -> None:
    found = entries(f"w@1: {{{FILE}, summary: one}}\na: {{alias: w}}\nb: {{alias: a}}", left="c: {alias: b}")
    assert [found.find(name).name for name in ("a", "b", "c")] == ["w@1"] * 3
    assert found.get("", "a").listed.alias == "w"


def test_the_message_for_an_alias_of_itself_shows_the_cycle(entries) -> None:
    error = refusal(lambda: entries("a: {alias: b}\nb: {alias: a}").find("a"))
    assert isinstance(error, BadSetting)
    assert error.message == "mine.yaml:3: weights 'b' are an alias of themselves: a → b → a."
    assert isinstance(refusal(lambda: entries(left="a: {alias: left/a}").find("a")), BadSetting)


def test_the_message_for_an_alias_of_unknown_weights_contains_its_line(entries) -> None:
    error = refusal(lambda: entries("a: {alias: nowhere}").find("a"))
    assert isinstance(error, UnknownName)
    assert error.message == "mine.yaml:2: no weights are called 'nowhere'."


def test_a_deprecation_is_that_of_the_alias_or_of_its_target(entries) -> None:
    found = entries(
        f"w: {{{FILE}, deprecated: it collapses}}\na: {{alias: w}}\nfresh: {{{FILE}}}\n"
        "old: {alias: fresh, deprecated: use fresh}\nolder: {alias: old}"
    )
    notes = [found.find(name).listed.deprecated for name in ("w", "a", "fresh", "old", "older")]
    assert notes == ["it collapses", "it collapses", "", "use fresh", "use fresh"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("summary: S", "weights 'w' have neither a location nor an alias."),
        (f"{FILE}, alias: v", "weights 'w' have both a location and an alias."),
        ("location: a.safetensors, license: MIT", "weights 'w' have no sha256."),
        (
            f"location: a, license: MIT, sha256: {'a' * 63}",
            f"weights 'w' have the sha256 '{'a' * 63}', which should be 64",
        ),
        (
            f"location: a, license: MIT, sha256: {'A' * 64}",
            f"weights 'w' have the sha256 '{'A' * 64}', which should be 64",
        ),
        (
            f"location: a, license: MIT, sha256: {'a' * 65}",
            f"weights 'w' have the sha256 '{'a' * 65}', which should be 64",
        ),
        (f"location: a, sha256: {'a' * 64}", "weights 'w' have no license."),
        (REMOTE, "weights 'w' have no size, which limits the download."),
        (f"{REMOTE}, size: 0", "weights.w.size is 0, but should be at least 1"),
        (f"{FILE}, size: many", "weights.w.size is 'many', but should be an int"),
        (f"{FILE}, metrics: {{error: small}}", "weights.w.metrics is {error: 'small'}, but should be a mapping"),
        (f"{FILE}, permission: MIT", "weights.w.permission: weights 'w' has no such setting."),
        (FILE.replace("a.safetensors", "'${oc.env:HOME}'"), "weights.w.location is '${oc.env:HOME}', but"),
    ],
)
def test_the_message_for_a_malformed_entry_contains_its_line(entries, values: str, message: str) -> None:
    found = entries(f"w: {{{values}}}\ngood: {{{FILE}}}")
    error = refusal(lambda: found.find("w"))
    assert isinstance(error, BadSetting)
    assert error.message.startswith(f"mine.yaml:2: {message}")
    assert found.find("good").name == "good"  # the others are still found


def test_the_message_contains_the_line_of_the_value(entries) -> None:
    found = entries("w@2.0:\n  location: a.safetensors\n  size: many")
    assert refusal(lambda: found.find("w@2.0")).message.startswith("mine.yaml:4: weights.w@2.0.size is 'many', but")


@pytest.mark.parametrize("name", ["../w", "a/b/c", "w@", "w@1@2", "w 1", "'@1'", "w@../../x"])
def test_a_name_that_could_be_a_path_is_refused(entries, name: str) -> None:
    found = entries(f"{name}: {{{FILE}}}\nfine: {{{FILE}}}")
    assert found.find("fine").name == "fine"
    error = refusal(lambda: found.get("", next(one for one in found.names() if one != "fine")))
    assert isinstance(error, BadSetting)
    assert error.message.startswith("mine.yaml:2: ")
    assert "is not a valid name, which consists of letters, digits" in error.message


def test_an_entry_that_is_no_mapping_hides_no_other_one(entries) -> None:
    found = entries(f"w: 5\nfine: {{{FILE}}}")
    assert found.find("fine").name == "fine"
    assert refusal(lambda: found.find("w")).message == "mine.yaml:2: weights.w is 5, but should be a mapping."
