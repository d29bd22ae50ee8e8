"""A value as it was typed on the command line, of which the type of its setting says how it is read."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import yaml

from zoo_core.config.yaml_reader import is_one_node, read_text, read_words


class Word:
    """The text of a ``key=value`` argument.

    A setting that is text takes it as it is typed: ``/data/run #3``, ``010`` and ``a: b`` are no YAML. One pair of
    quotes around all of it is removed. Any other setting reads it as YAML.

    Parameters
    ----------
    typed : str
        The text, without the key.
    """

    def __init__(self, typed: str) -> None:
        self.typed = typed

    @property
    def text(self) -> str:
        """The text as a setting takes it that is text."""
        one, end = self.typed[:1], self.typed[-1:]
        inner = self.typed[1:-1]
        quoted = one == end and one in ("'", '"') and len(self.typed) > 1
        # '"a" or "b"' are two pairs of quotes, neither of which is around all of it.
        return inner if quoted and (one not in inner or self.is_wholly_yaml) else self.typed

    @property
    def problem(self) -> str:
        """Why the text is not YAML; "" if it is."""
        return self._as_yaml[1]

    @property
    def value(self) -> Any:
        """The text read as YAML; the text itself if it is not YAML, or text in it."""
        value, problem = self._as_yaml
        return self.text if problem or isinstance(value, str) else value

    @property
    def is_wholly_yaml(self) -> bool:
        """Whether all of the text is its value as YAML: no comment, and no space around it; also of no text at all."""
        return not self.typed or (not self.problem and is_one_node(self.typed))

    @cached_property
    def _as_yaml(self) -> tuple[Any, str]:
        """The value, and why there is none."""
        try:
            return read_text(self.typed), ""
        except yaml.YAMLError as error:
            return None, str(getattr(error, "problem", None) or error)

    def parts(self) -> Any:
        """A list or a mapping that the text is as YAML, with what is not quoted in it as words; else the value."""
        value = self.value
        if not isinstance(value, (list, dict)):
            return value
        return read_words(self.typed, Word)

    def __eq__(self, other: object) -> bool:
        return bool(self.value == (other.value if isinstance(other, Word) else other))

    __hash__ = None  # type: ignore[assignment]


def value_of(given: Any) -> Any:
    """``given`` with the values of the words in it, for messages."""
    if isinstance(given, Mapping):
        return {key: value_of(one) for key, one in given.items()}
    if isinstance(given, list):
        return [value_of(one) for one in given]
    return given.value if isinstance(given, Word) else given


def not_yaml(given: Any) -> str:
    """What to say of a word that is no text, and no YAML either."""
    if not isinstance(given, Word) or given.typed[:1] not in ("[", "{") or not given.problem:
        return ""
    if "*" in given.typed:
        return """Quote text that begins with *, for example 'run.freeze=["*.bias"]'."""
    if " #" in given.typed:
        return """Quote text that contains " #", for example 'names=["a #3"]'."""
    return f"It is not YAML: {given.problem}. Quote it for the shell, for example 'labels=[1, 2]'."
