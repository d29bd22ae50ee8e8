"""A language model of characters, trained on any text file, as a plugin for zoo."""

from pathlib import Path
from typing import Any

import zoo_core as zoo


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    cited: dict[str, Any] = {"paper": "Radford et al. 2019 (GPT-2)", "license": "Apache-2.0"}
    registry.model("char-gpt", "zoo_text.model:CharGPT", summary="Transformer that continues a text", **cited)
    registry.trainer(
        "char-gpt", "zoo_text.trainer:NextCharacter", summary="Cross-entropy of the next character", **cited
    )
    registry.dataset("text-file", "zoo_text.dataset:TextFile", summary="Characters of a text file", **cited)
    registry.recipes(Path(__file__).parent / "recipes.yaml")
