"""The YAML of recipes: PyYAML with the core schema of YAML 1.2 (section 10.3 of its specification).

PyYAML by itself follows YAML 1.1, where ``on`` is a boolean, ``010`` is 8, ``1:30`` is 90 and ``1e-3`` is text. Merge
keys (``<<``) are those of YAML 1.1. A duplicate key is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import yaml

from zoo_core.errors import describe_type, one_line, printable

_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: type[yaml.SafeDumper] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_CORE = {  # tag: (form, first characters)
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    "merge": (r"<<", ["<"]),
}
_MOST_DIGITS = 100  # in a message
_MOST_BITS = 14_000  # of an integer, about 4,200 digits
_SCALARS = (str, bool, int, float, bytes, type(None))


def read_text(text: str) -> Any:
    """The document in ``text`` as plain Python; None if it is empty.

    Raises:
        yaml.YAMLError: if it is not YAML, has a duplicate key or a value that is not plain, or if aliases make it
            infinite or larger than its text could be without them.
    """
    try:
        reader = _Reader(text)
        try:
            document = reader.get_single_data()
        finally:
            reader.dispose()
        limit = max(10_000, len(text))  # without aliases a document has fewer nodes than characters
        count = _count(document, limit, ancestors=set(), known={})
    except RecursionError:
        raise yaml.YAMLError("it is nested too deeply") from None
    except (ValueError, AttributeError, TypeError) as error:  # `!!int abc`, `!!timestamp x`, half a character
        raise yaml.YAMLError(one_line(str(error))) from None
    if count > limit:
        raise yaml.YAMLError("its aliases make it too large")
    return document


def read_words(text: str, word: Callable[[str], Any]) -> Any:
    """The document in ``text``, which :func:`read_text` can read, with ``word`` of each value that is not quoted."""
    reader = _Reader(text)
    try:
        return _with_words(reader, reader.get_single_node(), word)
    finally:
        reader.dispose()


def is_one_node(text: str) -> bool:
    """Whether a node begins and ends where ``text`` does, which :func:`read_text` can read."""
    reader = _Reader(text)
    try:
        node = reader.get_single_node()
    finally:
        reader.dispose()
    return node is not None and (node.start_mark.index, node.end_mark.index) == (0, len(text))


def as_text(values: Any) -> str:
    """Plain Python as block YAML, keys in their order; :func:`read_text` reads back the same values."""
    return str(yaml.dump(values, Dumper=_Writer, sort_keys=False, allow_unicode=True, default_flow_style=False))


class _Reader(_Loader):  # type: ignore[misc]
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._flattened: set[yaml.MappingNode] = set()

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Refuse duplicate keys. This is called for every mapping, also without ``<<``, before keys are merged; for a
        mapping that others merge it may be called again, when it contains merged keys beside its own."""
        seen: set[Any] = set()
        for key, _ in node.value if node not in self._flattened else ():
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                value = self.construct_object(key)
                if value in seen:  # as a dict compares them: 1, 0x1, 1.0 and true are one key
                    raise _problem(key, f"found duplicate key {key.value}")
                seen.add(value)
        self._flattened.add(node)
        super().flatten_mapping(node)


class _Writer(_Dumper):  # type: ignore[misc]
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """In double quotes if a terminal would show a character of it escaped, as it then may be escaped in YAML."""
        style = None if printable(text) == text else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _with_words(reader: _Reader, node: yaml.Node, word: Callable[[str], Any]) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return [_with_words(reader, one, word) for one in node.value]
    if isinstance(node, yaml.MappingNode):
        reader.flatten_mapping(node)
        return {reader.construct_object(key): _with_words(reader, one, word) for key, one in node.value}
    return reader.construct_object(node) if node.style else word(node.value)


def _int(reader: _Reader, node: yaml.ScalarNode) -> int:
    text = reader.construct_scalar(node)
    try:
        value = int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
        if value.bit_length() > _MOST_BITS:  # Python reads it from hexadecimal digits, but does not write it in decimal
            raise ValueError
        return value
    except ValueError:
        short = text if len(text) < _MOST_DIGITS else f"{text[:9]}…, of {len(text):,} digits,"
        raise _problem(node, f"{short} is not an integer that can be read") from None


def _float(reader: _Reader, node: yaml.ScalarNode) -> float:
    text = reader.construct_scalar(node)
    try:
        return float(text.replace(".", "", 1) if text.lower().endswith(("inf", "nan")) else text)
    except ValueError:
        raise _problem(node, f"{text} is not a number") from None


def _problem(node: yaml.Node, problem: str) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark)


_Reader.add_constructor("tag:yaml.org,2002:int", _int)
_Reader.add_constructor("tag:yaml.org,2002:float", _float)
_Reader.add_constructor("tag:yaml.org,2002:merge", _Reader.construct_scalar)  # where it is no key
_Writer.add_representer(tuple, _Writer.represent_list)
_Writer.add_representer(str, _Writer.represent_text)
for _class in (_Reader, _Writer):
    # Both need the same rules, so that the writer quotes text which the reader would take for a number.
    _class.yaml_implicit_resolvers = {}
    for _name, (_form, _first) in _CORE.items():
        _class.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"(?:{_form})$"), _first)


def _count(value: Any, limit: int, ancestors: set[int], known: dict[int, int]) -> int:
    """The number of values in ``value`` with every alias expanded; counting stops beyond ``limit``."""
    if isinstance(value, _SCALARS):
        return 1
    if not isinstance(value, (dict, list)):
        raise yaml.YAMLError(f"it contains {describe_type(value)}")
    if isinstance(value, dict) and None in value:
        raise yaml.YAMLError("it has a key that is null")
    if id(value) in ancestors:
        raise yaml.YAMLError("it contains itself")
    if id(value) not in known:
        ancestors.add(id(value))
        count = 1
        for inner in value if isinstance(value, list) else (one for pair in value.items() for one in pair):
            count += _count(inner, limit, ancestors, known)
            if count > limit:
                break
        ancestors.discard(id(value))
        known[id(value)] = count
    return known[id(value)]
