"""What the names of folders and files say: images or masks, and of which split."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

IMAGE_FOLDERS = (
    *("image", "images", "img", "imgs", "jpegimages", "input", "inputs", "raw", "x", "rgb", "photo", "photos"),
    *("picture", "pictures", "scan", "scans", "original", "originals", "leftimg8bit"),
)
MASK_FOLDERS = (
    *("mask", "masks", "label", "labels", "annotation", "annotations", "annot", "annots", "segmentationclass"),
    *("segmentationclassraw", "gt", "gts", "groundtruth", "groundtruths", "target", "targets", "y", "seg", "segs"),
    *("segmentation", "segmentations", "trimap", "trimaps", "gtfine", "binarymasks", "colormasks"),
    *("manual", "manual1", "1stmanual", "2ndmanual"),  # of DRIVE and HRF, whose masks are those of the field of view
)
SPLITS = {
    **dict.fromkeys(("train", "training", "trainset", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "valset", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "testset"), "test"),
}
_SHORT_SPLITS = {"tr": "train", "ts": "test"}  # of nnU-Net, as in imagesTr
MASK_WORDS = (
    *("mask", "masks", "seg", "segs", "segmentation", "label", "labels", "gt", "groundtruth", "ground_truth"),
    *("annotation", "annot", "anno", "target", "matte", "y", "l", "gtfine_labelids", "gtfine_labeltrainids"),
    *("manual", "manual1", "manual2"),
    "gtfine_color",
)
IMAGE_WORDS = (
    *("image", "images", "img", "im", "rgb", "raw", "input", "photo", "x", "sat", "scan", "original", "orig"),
    *("leftimg8bit", "0000", "volume", "vol", "stack"),  # 0000: the first channel of nnU-Net
    *("training", "test"),  # of DRIVE: 21_training.tif and 21_manual1.gif
)
IMAGE, MASK = "image", "mask"


@dataclass(frozen=True)
class Meaning:
    """What the name of a folder says; None for what it does not say."""

    split: str | None = None
    role: str | None = None


def normalized(name: str) -> str:
    """A name in one form: macOS decomposes accents, other systems do not."""
    return unicodedata.normalize("NFC", name)


def meaning(name: str) -> Meaning:
    """What a folder of this name contains, in any case and with any separators: ``train_masks``, ``imagesTr``."""
    plain = re.sub(r"[-_. ]", "", normalized(name).lower())
    return _MEANINGS.get(re.sub(r"^stage\d", "", plain), Meaning())


def _meanings() -> Iterator[tuple[str, Meaning]]:
    roles = dict.fromkeys(IMAGE_FOLDERS, IMAGE) | dict.fromkeys(MASK_FOLDERS, MASK)
    for word, split in SPLITS.items():
        yield word, Meaning(split=split)
    for word, role in roles.items():
        yield word, Meaning(role=role)
        for part, split in SPLITS.items():
            yield part + word, Meaning(split, role)
        for part, split in (SPLITS | _SHORT_SPLITS).items():
            yield word + part, Meaning(split, role)


_MEANINGS = dict(_meanings())


@dataclass(frozen=True)
class Marker:
    """A word at the end or the start of the names of files: ``NAME_mask.png``, ``mask_NAME.png``."""

    word: str
    at_end: bool

    def key(self, stem: str) -> str | None:
        """What remains of a name without the word, in lower case; None for a name without it."""
        if not self.word:
            return stem.lower()
        found = re.fullmatch(self._pattern, stem.lower())
        return None if found is None else found["key"].strip("-_. ")

    def numbered_key(self, stem: str) -> str | None:
        """`key` of a name that may end in a number as well, as one of several masks: ``NAME_mask_2``."""
        if self.at_end and (found := re.fullmatch(r"(.*?)[-_. ]?\d+", stem)):
            return self.key(found[1])
        return None

    @property
    def _pattern(self) -> str:
        word = re.escape(self.word)
        if self.at_end:
            return rf"(?P<key>|.*[-_. ]|.*\d){word}"
        return rf"{word}(?P<key>|[-_. ].*|\d.*)"

    def __str__(self) -> str:
        return f"_{self.word}" if self.at_end else f"{self.word}_"


def markers(words: Sequence[str]) -> list[Marker]:
    """Each of the words at the end of a name and at its start; longer words first, since one may end in another."""
    ordered = sorted(words, key=len, reverse=True)
    return [Marker(word, at_end) for word in ordered for at_end in (True, False) if at_end or len(word) > 1]


def stem(path: Path) -> str:
    """The name of a file without its ending, in one form."""
    return normalized(path.stem)
