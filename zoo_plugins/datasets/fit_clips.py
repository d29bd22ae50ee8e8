"""What ``zoo fit`` plans for clips: a U-Net that predicts the next frames."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal, cast

import zoo_core as zoo
from zoo_plugins.datasets import clip_layouts, white
from zoo_plugins.datasets.clip_layouts import Clip
from zoo_plugins.datasets.fit_clip_size import fit_batch, fit_frames
from zoo_plugins.datasets.fit_sizes import describe_sizes, rounded
from zoo_plugins.datasets.frame_folder import FrameFolder
from zoo_plugins.datasets.mask_layouts import has_masks

_LONGEST = {"cpu": 8}  # windows, in frames
_LONGER = 20  # on an accelerator
_PARTS = 5  # of a clip; a window fits into each
_ENOUGH = 10  # clips, so that whole ones are kept for the test
_SMALLEST = 32  # side of the frames, in pixels
_CROP = {"cpu": 256}
_LARGER_CROP = 384
_LARGEST = 1024  # side of the frames, in pixels; larger ones are resized
_MULTIPLE = 32
_PATCHED = 128  # side of a frame from which squares of 4 x 4 pixels become channels
_EVALUATED = {"cpu": 24}  # windows
_MORE_EVALUATED = 200
_IN_MEMORY = 1 / 8  # of the memory, for decoded frames


@dataclass(frozen=True)
class Facts:
    """What is in the clips of a folder."""

    clips: list[Clip]
    color: Literal["rgb", "gray"]
    given: bool
    """Whether the folder contains splits."""
    reading: dict[str, Any] = field(default_factory=dict)
    """Settings of the data set on how frames are read."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Settings of the data set that were given on the command line."""


class PredictFrames(zoo.Task):
    """Prediction of the next frames of clips."""

    def find(self, folder: Path) -> zoo.Finding | None:
        if has_masks(folder, self.given) or not clip_layouts.contains_clips(folder):
            return None
        found = clip_layouts.find(folder)
        long_enough = [clip for clip in found.clips if clip.length >= 2]
        color: Literal["rgb", "gray"] = "rgb" if any(one.channels >= 3 for one in found.facts.values()) else "gray"
        given = {name: value for name, value in self.given.get("dataset", {}).items() if name != "name"}
        files = list(found.facts)
        reading = {} if "max_value" in given else white.planned(files, list(found.facts.values()))
        reading.pop("channels", None)
        facts = Facts(long_enough, given.get("color") or color, "" not in found.splits, reading, given)
        if not long_enough:
            raise zoo.BadFile(
                f"{folder} contains {len(found.clips)} clips, none of which has two frames or more.",
                "Put the frames of each clip into a folder of its own, or give longer clips.",
            )
        settings = {**_dataset(folder, facts, "cpu"), **given}
        dataset = cast(FrameFolder, zoo.build("frame-folder", settings, kind="dataset"))
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            splits = [len(split) for split in (dataset.train(), dataset.validation(), dataset.test())]
        lengths = [clip.length for clip in found.clips]
        shortest, longest = min(lengths), max(lengths)
        details = (
            f"{shortest:,}" + (f" to {longest:,}" if longest > shortest else "") + " frames in each",
            f"{describe_sizes([clip.size for clip in long_enough])} pixels, {'color' if color == 'rgb' else 'gray'}",
            f"windows of {settings['frames_in']} + {settings['frames_out']} frames: {splits[0]:,} for training, "
            f"{splits[1]:,} for validation, {splits[2]:,} for the test",
            *_how_split(settings, facts),
            *(str(one.message).removeprefix("frame-folder: ").removesuffix(".") for one in said
              if "left out" not in str(one.message)),
        )  # fmt: skip
        summary = f"{len(found.clips):,} clip{'s' * (len(found.clips) > 1)}, {sum(lengths):,} frames"
        left_out = tuple(note.removeprefix("left out: ") for note in found.left_out)
        return zoo.Finding(summary, details, left_out, facts)

    def plan(self, folder: Path, finding: zoo.Finding, budget: zoo.Budget) -> zoo.Plan:
        facts: Facts = finding.facts
        dataset = _dataset(folder.resolve(), facts, budget.device)
        channels = 3 if facts.color == "rgb" else 1
        smaller = fit_frames(_size(facts, dataset), channels, {**dataset, **facts.settings}, budget)
        if not {"height", "width"} & facts.settings.keys():
            dataset |= smaller
        size = _size(facts, dataset)
        used = {**dataset, **facts.settings}
        on_cpu = budget.device == "cpu"
        crop = [min(_CROP.get(budget.device, _LARGER_CROP), side) // _MULTIPLE * _MULTIPLE for side in size]
        if min(crop) >= _MULTIPLE and (crop[0] < size[0] or crop[1] < size[1]):
            dataset |= {"crop_height": crop[0], "crop_width": crop[1]}
        dataset["augmentation"] = "flips" if _looks_alike_from_all_sides(facts) else "mirror"
        dataset["evaluation_windows"] = _EVALUATED.get(budget.device, _MORE_EVALUATED)
        frames = sum(clip.length * clip.size[0] * clip.size[1] for clip in facts.clips) * channels
        in_memory = frames <= _IN_MEMORY * budget.memory
        if in_memory:
            dataset["cache_mb"] = max(1, -(-frames // 2**20))
        patched = max(size) >= _PATCHED
        model: dict[str, Any] = {
            "name": "unet",
            "in_channels": used["frames_in"] * channels,
            "out_channels": used["frames_out"] * channels,
            "frame_channels": channels,
            "base_channels": (32 if patched else 16) * (1 if on_cpu else 2),
            "patch": 4 if patched else 1,
            "depth": 3,
            "blocks": [1, 1, 1, 1],
            "head": "linear",
            "residual_output": True,
        }
        pixels = (dataset.get("crop_height") or size[0]) * (dataset.get("crop_width") or size[1])
        usual = max(1, min(32, round((4 if on_cpu else 16) * _CROP["cpu"] ** 2 / pixels)))
        batch = min(usual, fit_batch(size, channels, used, budget))
        return zoo.Plan(
            {
                "model": model,
                "dataset": {"name": "frame-folder", **dataset},
                "trainer": {"name": "next-frame", "loss": "mse", "learning_rate": 3e-3},
                "run": {
                    "batch_size": batch,
                    "workers": 0 if in_memory else 1,
                    "monitor": "-mse",
                    "load_best_at_end": True,
                    "ema_decay": 0.99,
                    "ema_buffers": True,
                },
            },
            _reasons(budget, patched, in_memory, facts, bool(smaller), batch < usual),
        )


def _dataset(folder: Path, facts: Facts, device: str) -> dict[str, Any]:
    """The settings that the files need."""
    lengths = [clip.length for clip in facts.clips]
    few = len(facts.clips) < _ENOUGH and not facts.given
    longest = _LONGEST.get(device, _LONGER)
    window = max(2, min(longest, max(lengths) // _PARTS if few else round(median(lengths))))
    settings: dict[str, Any] = {
        "folder": str(folder),
        "frames_in": (window + 1) // 2,
        "frames_out": window // 2,
        "color": facts.color,
        **facts.reading,
    }
    if not facts.given:
        settings["split"] = "time" if few else "clips"
    sizes = [clip.size for clip in facts.clips]
    height, width = (median(sides) for sides in zip(*sizes, strict=True))
    factor = min(1.0, _LARGEST / max(height, width))
    if len(set(sizes)) > 1 or factor < 1:
        settings |= {"height": rounded(height * factor, _MULTIPLE), "width": rounded(width * factor, _MULTIPLE)}
    return settings


def _how_split(settings: dict[str, Any], facts: Facts) -> tuple[str, ...]:
    if facts.given:
        return ("the folders of the splits are used",)
    if settings["split"] == "time":
        return ("few clips: each is divided in time, its end is for the test, and no frame is in two parts",)
    return ("whole clips are kept for validation and for the test",)


def _looks_alike_from_all_sides(facts: Facts) -> bool:
    """Whether up and down are exchangeable, as for maps and microscopes; photos and videos have an upper side."""
    return facts.color == "gray" or not any(
        file.suffix.lower() in (*clip_layouts.VIDEO_SUFFIXES, ".jpg", ".jpeg") for clip in facts.clips
        for file in clip.files[:1]
    )  # fmt: skip


def _size(facts: Facts, dataset: dict[str, Any]) -> tuple[int, int]:
    """Height and width of the frames, as they are given, planned, or stored."""
    sides = (
        int(facts.settings.get(name) or dataset.get(name) or stored)
        for name, stored in zip(("height", "width"), facts.clips[0].size, strict=True)
    )
    height, width = sides
    return height, width


def _reasons(
    budget: zoo.Budget, patched: bool, in_memory: bool, facts: Facts, smaller: bool, small_batch: bool
) -> dict[str, str]:
    device, less = budget.device, f"for a memory of {budget.memory / 2**30:.1f} GiB"
    few = len(facts.clips) < _ENOUGH
    return {
        "model.base_channels": f"for a training on {device}",
        "model.patch": "squares of 4 x 4 pixels become channels, which is faster"
        if patched
        else f"full resolution, since no side has {_PATCHED} pixels",
        "model.residual_output": "the network starts as the last frame, repeated, and learns what changes",
        "dataset.frames_in": f"windows of at most {_LONGEST.get(device, _LONGER)} frames on {device}"
        + (f", and a {_PARTS}th of the longest clip" if few else ""),
        "dataset.color": "as the frames",
        "dataset.split": f"fewer than {_ENOUGH} clips" if few else f"at least {_ENOUGH} clips",
        "dataset.max_value": "the value of white; change it if it is another",
        "dataset.height": less if smaller else f"the frames have several sizes, or sides above {_LARGEST} pixels",
        "dataset.crop_height": "random crops, half of them about a pixel that changes",
        "dataset.augmentation": "no side is up" if _looks_alike_from_all_sides(facts) else "photos have an upper side",
        "dataset.evaluation_windows": "evenly spaced, so that an evaluation takes little time",
        "dataset.cache_mb": "all decoded frames fit into memory",
        "trainer.loss": "it is what the mean squared error of the evaluation measures",
        "run.batch_size": less if small_batch else f"for crops of this size on {device}",
        "run.workers": "the frames are in memory" if in_memory else "it reads the next batch",
        "run.monitor": "the metric that selects the best checkpoint, and - for the lowest value",
        "run.load_best_at_end": "its weights are evaluated and published",
    }
