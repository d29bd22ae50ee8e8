"""YAML as recipes are written in: read and written as OmegaConf does, without importing it, which light commands feel.

What differs from PyYAML: ``1e-3`` is a number, as in YAML 1.2; dates are text; a key given twice is an error.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from zoo_core.errors import one_line

_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: type[yaml.SafeDumper] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_FLOAT, _DATE = "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp"
_WITH_EXPONENT = re.compile(r"[-+]?[0-9]+(_[0-9]+)*(\.[0-9_]*)?[eE][-+]?[0-9]+$")
_HELD = (str, bool, int, float, bytes, type(None))


def read_text(text: str) -> Any:
    """The one document that ``text`` holds, in plain Python; None if it is empty.

    Raises:
        yaml.YAMLError: if it is not YAML, holds a key twice or an object that is no plain value, or if aliases make it
            endless, or larger than its text could be without them.
    """
    try:
        reader = _Reader(text)
        try:
            document = reader.get_single_data()
        finally:
            reader.dispose()
        most = max(10_000, len(text))  # without aliases a document has fewer nodes than characters
        count = _count(document, most, inside=set(), known={})
    except RecursionError:
        raise yaml.YAMLError("it is nested too deeply") from None
    except (ValueError, AttributeError, TypeError) as error:  # `!!int abc`, `!!timestamp x`, half a character
        raise yaml.YAMLError(one_line(str(error))) from None
    if count > most:
        raise yaml.YAMLError("its aliases make it too large")
    return document


def as_text(values: Any) -> str:
    """Plain Python as block YAML, in its own order, that read_text reads back as it was."""
    return str(yaml.dump(values, Dumper=_Writer, sort_keys=False, allow_unicode=True, default_flow_style=False))


class _Reader(_Loader):  # type: ignore[misc]
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._flattened: set[yaml.MappingNode] = set()

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Also called for a mapping without ``<<``: the first that sees all its keys. One that another takes its keys
        from may come again, with those that it took itself beside its own."""
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value if node not in self._flattened else ():
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if (key.tag, key.value) in seen:
                    raise yaml.constructor.ConstructorError(
                        "while constructing a mapping",
                        node.start_mark,
                        f"found duplicate key {key.value}",
                        key.start_mark,
                    )
                seen.add((key.tag, key.value))
        self._flattened.add(node)
        super().flatten_mapping(node)


class _Writer(_Dumper):  # type: ignore[misc]
    def ignore_aliases(self, data: Any) -> bool:
        return True


_Writer.add_representer(tuple, _Writer.represent_list)
for _class in (_Reader, _Writer):
    # The writer quotes text that the reader would take for a number.
    _class.yaml_implicit_resolvers = {
        first: [(tag, form) for tag, form in forms if tag != _DATE]
        for first, forms in _class.yaml_implicit_resolvers.items()
    }
    _class.add_implicit_resolver(_FLOAT, _WITH_EXPONENT, list("-+0123456789."))


def _count(value: Any, most: int, inside: set[int], known: dict[int, int]) -> int:
    """How many values ``value`` is when each alias stands for all that it refers to; not counted on beyond ``most``."""
    if isinstance(value, _HELD):
        return 1
    if not isinstance(value, (dict, list)):
        raise yaml.YAMLError(f"it holds a {type(value).__name__}")
    if isinstance(value, dict) and None in value:
        raise yaml.YAMLError("it has a key that is null")
    if id(value) in inside:
        raise yaml.YAMLError("it holds itself")
    if id(value) not in known:
        inside.add(id(value))
        count = 1
        for held in value if isinstance(value, list) else (one for pair in value.items() for one in pair):
            count += _count(held, most, inside, known)
            if count > most:
                break
        inside.discard(id(value))
        known[id(value)] = count
    return known[id(value)]
