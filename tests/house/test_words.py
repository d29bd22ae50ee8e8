"""Retired words and identifiers do not occur in the repository: one concept has one name everywhere."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from repository import ROOT

WORDS = (
    "pupil", "heeded", "anew", "so many", "to be had", "laid over", "gone on with", "goes on as if", "whose mistake",
    "is blamed", "is told to", "are told", "mend", "licence", "the like", "by heart", "which it is none of",
)  # fmt: skip
IDENTIFIERS = (
    "least_real_loss", "least_real_loss_from", "moved_share", "deviation_group", "deviation_scale", "label_group",
    "distance_over_floor", "distance_floor", "pupil_accuracy", "pupil_accuracy_real", "rarest_class", "to_seed",
    "groups_of_one_label", "copy_mse", "copy_ssim", "ignored_index", "keep_best", "shares_evaluation", "is_first",
    "says_what_to_lower", "waits_asleep_if_busy", "LeftOut", "OnTheFly", "NoInitialValues", "Judgement",
)  # fmt: skip
SUFFIXES = (".py", ".md", ".yaml", ".toml", ".html", ".js")


def tracked() -> dict[Path, str]:
    """The text of every tracked file, except for this one and for code of others."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [Path(name) for name in listing.split("\0") if name.endswith(SUFFIXES)]
    own = Path(__file__).resolve().relative_to(ROOT)
    paths = [path for path in paths if path != own and "vendor" not in path.parts and (ROOT / path).is_file()]
    return {path: (ROOT / path).read_text(encoding="utf-8") for path in paths}


@pytest.fixture(scope="module")
def texts() -> dict[Path, str]:
    if not (ROOT / ".git").exists():
        pytest.skip("needs the repository")
    found = tracked()
    assert len(found) > 100
    return found


def occurrences(pattern: re.Pattern[str], texts: dict[Path, str]) -> str:
    """``file:line`` of each match, one a line."""
    found = [
        f"{path}:{text.count(chr(10), 0, match.start()) + 1}"
        for path, text in texts.items()
        for match in pattern.finditer(text)
    ]
    return "\n".join(found)


@pytest.mark.parametrize("word", WORDS)
def test_a_retired_word_does_not_occur(word: str, texts: dict[Path, str]) -> None:
    separator = r"\s+(?:#:?\s+)?"  # a phrase may continue in the next line of a comment
    pattern = re.compile(r"\b" + separator.join(map(re.escape, word.split())) + r"\b", re.IGNORECASE)
    assert occurrences(pattern, texts) == ""


@pytest.mark.parametrize("identifier", IDENTIFIERS)
def test_a_retired_identifier_does_not_occur(identifier: str, texts: dict[Path, str]) -> None:
    assert occurrences(re.compile(rf"\b{identifier}\b"), texts) == ""
