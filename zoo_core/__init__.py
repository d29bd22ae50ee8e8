"""A model zoo for PyTorch: models, trainers, datasets and recipes by name.

>>> import zoo_core as zoo
>>> run = zoo.run("clsgan-mnist", "run.steps=100")  # doctest: +SKIP
>>> model = zoo.load(run.path)  # doctest: +SKIP

Importing this module does not import torch. A public name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo_core.api import build as build
    from zoo_core.api import info as info
    from zoo_core.api import list as list
    from zoo_core.api import load as load
    from zoo_core.api import recipe as recipe
    from zoo_core.api import run as run
    from zoo_core.config.control import Control as Control
    from zoo_core.config.optimizer import OptimizerConfig as OptimizerConfig
    from zoo_core.config.paths import data_root as data_root
    from zoo_core.config.recipe import Recipe as Recipe
    from zoo_core.config.settings import setting as setting
    from zoo_core.data.clip_checks import ClipFacts as ClipFacts
    from zoo_core.data.clip_checks import check_clips as check_clips
    from zoo_core.data.clip_io import clip_shape as clip_shape
    from zoo_core.data.clip_io import read_frames as read_frames
    from zoo_core.data.image_checks import ImageFacts as ImageFacts
    from zoo_core.data.image_checks import MaskFacts as MaskFacts
    from zoo_core.data.image_checks import check_images as check_images
    from zoo_core.data.image_checks import check_masks as check_masks
    from zoo_core.data.image_io import image_files as image_files
    from zoo_core.data.image_io import natural_key as natural_key
    from zoo_core.data.image_io import read_image as read_image
    from zoo_core.data.image_io import read_mask as read_mask
    from zoo_core.data.image_output import palette as palette
    from zoo_core.data.in_memory_dataset import InMemoryDataset as InMemoryDataset
    from zoo_core.data.values import Audio as Audio
    from zoo_core.data.values import Table as Table
    from zoo_core.dataset import Batch as Batch
    from zoo_core.dataset import Dataset as Dataset
    from zoo_core.dataset import Examples as Examples
    from zoo_core.dataset import GeneratedExamples as GeneratedExamples
    from zoo_core.dataset import InMemory as InMemory
    from zoo_core.dataset import Uint8Images as Uint8Images
    from zoo_core.engine.cuda_graph import captured_steps as captured_steps
    from zoo_core.errors import BadFile as BadFile
    from zoo_core.errors import BadSetting as BadSetting
    from zoo_core.errors import BrokenPlugin as BrokenPlugin
    from zoo_core.errors import NameTaken as NameTaken
    from zoo_core.errors import RunFailed as RunFailed
    from zoo_core.errors import UnknownName as UnknownName
    from zoo_core.errors import ZooError as ZooError
    from zoo_core.fingerprint.faults import report_fault as report_fault
    from zoo_core.fingerprint.hashing import fingerprint_files as fingerprint_files
    from zoo_core.fingerprint.hashing import fingerprint_tensors as fingerprint_tensors
    from zoo_core.hookspecs import hookimpl as hookimpl
    from zoo_core.model import Model as Model
    from zoo_core.registry.info_types import Info as Info
    from zoo_core.registry.registry import Registry as Registry
    from zoo_core.registry.task import Budget as Budget
    from zoo_core.registry.task import Finding as Finding
    from zoo_core.registry.task import Plan as Plan
    from zoo_core.registry.task import Task as Task
    from zoo_core.runs.run import Run as Run
    from zoo_core.trainer import Engine as Engine
    from zoo_core.trainer import Metrics as Metrics
    from zoo_core.trainer import Trainer as Trainer
    from zoo_core.training.supervised import SupervisedTrainer as SupervisedTrainer
    from zoo_core.weights.matching import IncompatibleKeys as IncompatibleKeys

_HOME = {
    "Audio": "data.values",
    "BadFile": "errors",
    "BadSetting": "errors",
    "Batch": "dataset",
    "BrokenPlugin": "errors",
    "Budget": "registry.task",
    "ClipFacts": "data.clip_checks",
    "Control": "config.control",
    "Dataset": "dataset",
    "Engine": "trainer",
    "Examples": "dataset",
    "Finding": "registry.task",
    "GeneratedExamples": "dataset",
    "ImageFacts": "data.image_checks",
    "InMemory": "dataset",
    "InMemoryDataset": "data.in_memory_dataset",
    "IncompatibleKeys": "weights.matching",
    "Info": "registry.info_types",
    "MaskFacts": "data.image_checks",
    "Metrics": "trainer",
    "Model": "model",
    "NameTaken": "errors",
    "OptimizerConfig": "config.optimizer",
    "Plan": "registry.task",
    "Recipe": "config.recipe",
    "Registry": "registry.registry",
    "Run": "runs.run",
    "RunFailed": "errors",
    "SupervisedTrainer": "training.supervised",
    "Table": "data.values",
    "Task": "registry.task",
    "Trainer": "trainer",
    "Uint8Images": "dataset",
    "UnknownName": "errors",
    "ZooError": "errors",
    "build": "api",
    "captured_steps": "engine.cuda_graph",
    "check_clips": "data.clip_checks",
    "check_images": "data.image_checks",
    "check_masks": "data.image_checks",
    "clip_shape": "data.clip_io",
    "data_root": "config.paths",
    "fingerprint_files": "fingerprint.hashing",
    "fingerprint_tensors": "fingerprint.hashing",
    "hookimpl": "hookspecs",
    "image_files": "data.image_io",
    "info": "api",
    "list": "api",
    "load": "api",
    "natural_key": "data.image_io",
    "palette": "data.image_output",
    "read_frames": "data.clip_io",
    "read_image": "data.image_io",
    "read_mask": "data.image_io",
    "recipe": "api",
    "report_fault": "fingerprint.faults",
    "run": "api",
    "setting": "config.settings",
}

__all__ = [
    "Audio",
    "BadFile",
    "BadSetting",
    "Batch",
    "BrokenPlugin",
    "Budget",
    "ClipFacts",
    "Control",
    "Dataset",
    "Engine",
    "Examples",
    "Finding",
    "GeneratedExamples",
    "ImageFacts",
    "InMemory",
    "InMemoryDataset",
    "IncompatibleKeys",
    "Info",
    "MaskFacts",
    "Metrics",
    "Model",
    "NameTaken",
    "OptimizerConfig",
    "Plan",
    "Recipe",
    "Registry",
    "Run",
    "RunFailed",
    "SupervisedTrainer",
    "Table",
    "Task",
    "Trainer",
    "Uint8Images",
    "UnknownName",
    "ZooError",
    "build",
    "captured_steps",
    "check_clips",
    "check_images",
    "check_masks",
    "clip_shape",
    "data_root",
    "fingerprint_files",
    "fingerprint_tensors",
    "hookimpl",
    "image_files",
    "info",
    "list",
    "load",
    "natural_key",
    "palette",
    "read_frames",
    "read_image",
    "read_mask",
    "recipe",
    "report_fault",
    "run",
    "setting",
]


def __getattr__(name: str) -> Any:
    if name == "__api_version__":
        from zoo_core.registry.plugins import API_VERSION

        return API_VERSION
    if name == "__version__":
        from importlib.metadata import version

        return version("zoo-core")
    if name not in _HOME:
        raise AttributeError(f"module 'zoo_core' has no attribute '{name}'")
    return getattr(import_module(f"zoo_core.{_HOME[name]}"), name)


def __dir__() -> Any:
    return [*__all__, "__api_version__", "__version__"]
