"""What a refused value of a setting was probably meant to be."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin

from zoo_core.config.types import holds_text
from zoo_core.errors import did_you_mean, in_yaml

# What other tools call a choice.
_OTHER_NAMES = {
    **dict.fromkeys(("none", "no", "never", "false"), "off"),
    **dict.fromkeys(("fp32", "32", "32-true", "full"), "float32"),
    **dict.fromkeys(("fp16", "16", "16-mixed", "half"), "float16"),
    **dict.fromkeys(("bf16", "bf16-mixed", "bf16-true"), "bfloat16"),
}


def suggestion(full_key: str, value: Any, hint: Any) -> str | None:
    """The hint for a value of the wrong type: the setting as it was probably meant, or None."""
    kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if get_origin(hint) is Literal and isinstance(value, str):
        if value in map(str, get_args(hint)):
            return f"Write `{full_key}={value}`, without quotes."
        choices = [str(choice) for choice in get_args(hint)]
        known = _OTHER_NAMES.get(value.lower())
        return f"Write `{full_key}={known}`." if known in choices else did_you_mean(value, choices)
    if get_origin(hint) is Literal and isinstance(value, bool):  # true for a choice that may also be off
        words = [choice for choice in get_args(hint) if isinstance(choice, str) and choice not in ("off", "no")]
        return f"Write `{full_key}={words[0]}`." if words else None
    if int in kinds and isinstance(value, float) and value.is_integer():
        return f"Write `{full_key}={int(value)}`."
    if float in kinds and isinstance(value, str) and re.fullmatch(r"[-+]?[\d.]+[eE][-+]?\d+", value):
        return f"Write `{full_key}={float(value)}`."
    if any(get_origin(kind) is list for kind in kinds) and isinstance(value, (str, int, float)):
        return f"Write `{full_key}=[{value}]`, in brackets."
    if str in kinds and not isinstance(value, (Mapping, list)):
        name = full_key.rpartition(".")[2]
        return f'Quote text that YAML reads otherwise: `{name}: "{in_yaml(value)}"`.'
    if isinstance(value, str) and get_origin(hint) in (list, tuple) and get_args(hint)[0] is str:
        return f"""Write `'{full_key}=["{value}"]'`, as a list."""
    if holds_text(hint) and isinstance(value, list):
        return f'Quote text that YAML reads otherwise: `["{in_yaml(value[0])}"]`.' if value else None
    return None
