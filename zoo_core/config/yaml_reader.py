"""The YAML of recipes, read and written as OmegaConf does it, but without importing OmegaConf, which is slow.

Differences from PyYAML: ``1e-3`` is a number, as in YAML 1.2; dates are text; a duplicate key is an error.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from zoo_core.errors import describe_type, one_line

_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: type[yaml.SafeDumper] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_FLOAT, _DATE = "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp"
_WITH_EXPONENT = re.compile(r"[-+]?[0-9]+(_[0-9]+)*(\.[0-9_]*)?[eE][-+]?[0-9]+$")
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
    # Both need the same rules, so that the writer quotes text which the reader would take for a number.
    _class.yaml_implicit_resolvers = {
        first: [(tag, form) for tag, form in forms if tag != _DATE]
        for first, forms in _class.yaml_implicit_resolvers.items()
    }
    _class.add_implicit_resolver(_FLOAT, _WITH_EXPONENT, list("-+0123456789."))


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
