"""The tests mirror the code: each module has a test module of its path, or another file is known to cover it."""

from __future__ import annotations

from pathlib import Path

import pytest
from repository import ROOT

TESTS = ROOT / "tests"

# Module: (the test file that covers it, what that file does with it).
COVERED_ELSEWHERE = {
    "zoo_core/__main__": ("system/test_command", "runs `python -m zoo_core`"),
    "zoo_core/hookspecs": ("zoo_core/training/test_callbacks", "calls and refuses hooks"),
    "zoo_core/trainer": ("zoo_core/training/test_runner", "trains with a trainer"),
    "zoo_core/checkpoint/best": ("zoo_core/checkpoint/test_state", "keeps the best checkpoint"),
    "zoo_core/checkpoint/serialize": ("zoo_core/checkpoint/test_state", "packs and unpacks states"),
    "zoo_core/cli/check": ("zoo_core/testing/test_conformance", "runs the command"),
    "zoo_core/cli/demo": ("zoo_core/tools/demo/test_page", "runs the command"),
    "zoo_core/cli/evaluate": ("zoo_core/cli/test_weights", "runs the command"),
    "zoo_core/cli/info": ("zoo_core/cli/test_looking", "runs the command"),
    "zoo_core/cli/list": ("zoo_core/cli/test_looking", "runs the command"),
    "zoo_core/cli/names": ("zoo_core/cli/test_looking", "completes names"),
    "zoo_core/cli/new": ("system/test_new_plugin", "runs the command"),
    "zoo_core/cli/of_plugins": ("system/test_broken_plugins", "adds commands that fail"),
    "zoo_core/cli/options": ("zoo_core/cli/test_looking", "uses the options"),
    "zoo_core/cli/plugins": ("zoo_core/cli/test_managing_plugins", "runs the command"),
    "zoo_core/cli/publish": ("zoo_core/cli/test_weights", "runs the commands"),
    "zoo_core/cli/report": ("zoo_core/tools/report/test_page", "runs the command"),
    "zoo_core/cli/reproduce": ("zoo_core/cli/test_weights", "runs the command"),
    "zoo_core/cli/run": ("system/test_command", "runs the command"),
    "zoo_core/cli/search": ("zoo_core/cli/test_managing_plugins", "runs the command"),
    "zoo_core/cli/sweep": ("zoo_core/cli/test_sweep_messages", "runs the command"),
    "zoo_core/cli/sweep_report": ("zoo_core/tools/sweep/test_trials", "reads the output of sweeps"),
    "zoo_core/cli/table": ("zoo_core/cli/test_looking", "reads tables"),
    "zoo_core/cli/top": ("zoo_core/tools/top/test_live", "runs the command"),
    "zoo_core/cli/tune": ("zoo_core/tools/tune/test_learning_rate", "runs the command"),
    "zoo_core/cli/verify_resume": ("zoo_core/tools/test_verify_resume", "runs the command"),
    "zoo_core/tools/output_names": ("zoo_core/cli/test_predict_many", "judges names"),
    "zoo_core/tools/plain_values": ("zoo_core/tools/test_prediction", "writes plain values"),
    "zoo_core/tools/predict_many/arguments": ("zoo_core/cli/test_predict_many", "gives plurals"),
    "zoo_core/tools/predict_many/inputs": ("zoo_core/cli/test_predict_many", "gives folders, patterns and lists"),
    "zoo_core/tools/predict_many/journal": ("zoo_core/cli/test_predict_many", "resumes"),
    "zoo_core/tools/predict_many/output": ("zoo_core/cli/test_predict_many", "writes folders and tables"),
    "zoo_core/tools/predict_many/rows": ("zoo_core/cli/test_predict_many", "writes tables"),
    "zoo_core/tools/predict_many/run": ("zoo_core/cli/test_predict_many", "predicts"),
    "zoo_core/tools/data/check": ("zoo_core/cli/test_data", "finds faults"),
    "zoo_core/tools/data/sheet": ("zoo_core/cli/test_data", "draws sheets"),
    "zoo_core/tools/data/source": ("zoo_core/cli/test_data", "opens folders, datasets and recipes"),
    "zoo_core/tools/data/stats": ("zoo_core/cli/test_data", "describes datasets"),
    "zoo_plugins/classifier/batches": ("zoo_plugins/classifier/test_image_classifier", "predicts for many files"),
    "zoo_core/config/control": ("zoo_core/tools/demo/test_controls", "checks controls and their values"),
    "zoo_core/config/arguments": ("zoo_core/cli/test_messages", "gives good and bad arguments"),
    "zoo_core/config/paths": ("zoo_core/config/test_layers", "reads files in ZOO_HOME"),
    "zoo_core/config/recipe": ("zoo_core/config/test_layers", "merges and overrides recipes"),
    "zoo_core/config/run_settings": ("zoo_core/config/test_layers", "merges and overrides settings"),
    "zoo_core/config/step_range": ("zoo_core/training/test_profiling", "gives good and bad ranges"),
    "zoo_core/config/suggestion": ("zoo_core/config/test_settings", "suggests values"),
    "zoo_core/config/writable": ("zoo_core/config/test_settings", "gives values that are refused"),
    "zoo_core/config/types": ("zoo_core/config/test_settings", "converts values"),
    "zoo_core/data/arrays": ("zoo_core/data/test_image_io", "reads arrays"),
    "zoo_core/data/forward_inputs": ("zoo_core/tools/export/test_export", "exports declared inputs"),
    "zoo_core/data/parts": ("zoo_core/data/test_loader", "orders examples in batches"),
    "zoo_core/data/image_formats": ("zoo_core/data/test_image_io", "names what files are"),
    "zoo_core/data/image_decoding": ("zoo_core/data/test_image_io", "reads files of every format"),
    "zoo_core/data/worker_loop": ("zoo_core/data/test_workers", "makes batches in workers"),
    "zoo_core/engine/own_settings": ("zoo_core/registry/test_process_state", "looks at the process after runs"),
    "zoo_core/engine/children": ("zoo_core/engine/test_shutdown", "ends compilers and others"),
    "zoo_core/engine/allocator": ("zoo_core/training/test_cost_of_a_step", "counts allocations of a step"),
    "zoo_core/engine/devices": ("zoo_core/engine/test_engine", "finds devices and precisions"),
    "zoo_core/engine/fsdp": ("zoo_core/engine/test_several_processes", "trains a sharded network"),
    "zoo_core/engine/host_state": ("zoo_core/engine/test_cuda_graph", "changes values that a step reads"),
    "zoo_core/engine/packed_metrics": ("zoo_core/engine/test_cuda_graph", "reads the metrics of a captured step"),
    "zoo_core/engine/launcher": ("zoo_core/engine/test_several_processes", "launches processes"),
    "zoo_core/engine/rank": ("zoo_core/engine/test_several_processes", "trains in several processes"),
    "zoo_core/fingerprint/example_errors": ("zoo_core/data/test_workers", "raises errors in workers"),
    "zoo_core/loggers/optional": ("zoo_core/registry/test_core_loggers", "creates loggers"),
    "zoo_core/registry/entry": ("zoo_core/registry/test_registry", "imports what is registered"),
    "zoo_core/registry/listing": ("zoo_core/registry/test_family", "lists components and families"),
    "zoo_core/registry/dataset_settings": ("zoo_core/training/test_opened", "asks and contradicts datasets"),
    "zoo_core/engine/held_signals": ("zoo_core/engine/test_shutdown", "forks children"),
    "zoo_core/registry/interrupts": ("zoo_core/registry/test_isolation", "interrupts plugins"),
    "zoo_core/registry/left_running": ("zoo_core/registry/test_isolation", "starts threads and processes"),
    "zoo_core/registry/plugin_streams": ("zoo_core/registry/test_isolation", "closes streams"),
    "zoo_core/registry/resolve": ("zoo_core/training/test_runner", "trains resolved recipes"),
    "zoo_core/registry/selection": ("zoo_core/cli/test_managing_plugins", "enables and disables plugins"),
    "zoo_core/training/run_errors": ("zoo_core/training/test_runner", "ends runs with errors"),
    "zoo_core/runs/environment": ("zoo_core/training/test_runner", "reads environment.json"),
    "zoo_core/runs/lock": ("zoo_core/runs/test_folder", "locks a folder"),
    "zoo_core/testing/check": ("zoo_core/testing/test_conformance", "runs checks"),
    "zoo_core/testing/first_gradients": ("zoo_core/testing/test_averaging_checks", "compares gradients"),
    "zoo_core/testing/process_checks": ("zoo_core/testing/test_averaging_checks", "checks two processes"),
    "zoo_core/testing/sample_evaluation": ("zoo_core/testing/test_averaging_checks", "compares metrics"),
    "zoo_core/testing/collect": ("zoo_core/testing/test_conformance", "collects checks"),
    "zoo_core/testing/dataset_checks": ("zoo_core/testing/test_conformance", "violates each check"),
    "zoo_core/testing/example_state": ("zoo_core/testing/test_conformance", "finds generators that datasets keep"),
    "zoo_core/testing/loading_checks": ("zoo_core/testing/test_conformance", "violates each check"),
    "zoo_core/testing/model_checks": ("zoo_core/testing/test_conformance", "violates each check"),
    "zoo_core/testing/plugin_checks": ("zoo_core/testing/test_conformance", "violates each check"),
    "zoo_core/testing/process_pair": ("system/test_checks_of_installed_plugins", "checks two processes"),
    "zoo_core/testing/pytest_cases": ("zoo_core/testing/test_conformance", "makes pytest tests"),
    "zoo_core/testing/recipe_checks": ("zoo_core/testing/test_conformance", "violates each check"),
    "zoo_core/tools/extras": ("zoo_core/cli/test_export", "hides packages"),
    "zoo_core/tools/unpickle": ("zoo_core/tools/test_convert", "converts pickles"),
    "zoo_core/tools/bench/inference": ("zoo_core/tools/bench/test_bench", "benchmarks predictions"),
    "zoo_core/tools/bench/machine": ("zoo_core/tools/bench/test_bench", "compares with peak performance"),
    "zoo_core/tools/bench/training": ("zoo_core/tools/bench/test_bench", "benchmarks training"),
    "zoo_core/tools/demo/display": ("zoo_core/tools/demo/test_controls", "shows predictions"),
    "zoo_core/tools/demo/predict": ("zoo_core/tools/demo/test_controls", "predicts from uploads"),
    "zoo_core/tools/demo/requirements": ("zoo_core/tools/demo/test_page", "starts on a used port"),
    "zoo_core/tools/demo/server": ("zoo_core/tools/demo/test_page", "starts and stops the server"),
    "zoo_core/tools/demo/source": ("zoo_core/tools/demo/test_page", "serves weights and runs"),
    "zoo_core/tools/export/compare": ("zoo_core/tools/export/test_export", "compares outputs"),
    "zoo_core/tools/export/onnx_file": ("zoo_core/tools/export/test_export", "writes ONNX files"),
    "zoo_core/tools/export/program": ("zoo_core/tools/export/test_export_of_plugins", "exports networks of plugins"),
    "zoo_core/tools/export/program_file": ("zoo_core/tools/export/test_export", "writes exported programs"),
    "zoo_core/tools/export/real_inputs": ("zoo_core/tools/export/test_export_of_plugins", "checks on a dataset"),
    "zoo_core/tools/export/requirements": ("zoo_core/cli/test_export", "hides packages, gives bad names"),
    "zoo_core/registry/task": ("zoo_core/tools/fit/test_plan", "plans with a task"),
    "zoo_core/tools/fit/plan_file": ("zoo_core/tools/fit/test_plan", "writes plans"),
    "zoo_core/tools/fit/results": ("zoo_core/tools/fit/test_plan", "writes the files of a run"),
    "zoo_core/tools/fit/trial": ("zoo_core/tools/fit/test_plan", "tries the speed"),
    "zoo_core/tools/report/differences": ("zoo_core/tools/report/test_page", "compares runs"),
    "zoo_core/tools/foreign_tensors": ("zoo_core/tools/test_convert", "converts files of other programs"),
    "zoo_core/tools/report/previews": ("zoo_core/tools/report/test_page", "thins previews"),
    "zoo_core/tools/report/read": ("zoo_core/tools/report/test_page", "reads folders of runs"),
    "zoo_core/tools/sweep/folder": ("zoo_core/tools/sweep/test_kills", "resumes sweeps in their folder"),
    "zoo_core/tools/sweep/plot": ("zoo_core/tools/sweep/test_trials", "draws the plot"),
    "zoo_core/tools/sweep/requirements": ("zoo_core/cli/test_sweep_messages", "hides packages"),
    "zoo_core/tools/sweep/results": ("zoo_core/tools/sweep/test_trials", "reads the table"),
    "zoo_core/tools/sweep/start": ("zoo_core/tools/sweep/test_trials", "starts and shows sweeps"),
    "zoo_core/tools/sweep/study": ("zoo_core/tools/sweep/test_kills", "shares a study"),
    "zoo_core/tools/sweep/trial_hooks": ("zoo_core/tools/sweep/test_trials", "prunes trials"),
    "zoo_core/tools/top/read": ("zoo_core/tools/top/test_live", "reads folders of runs"),
    "zoo_core/training/kept_object": ("zoo_core/training/test_object_state", "puts back the attributes of objects"),
    "zoo_core/training/reachable": ("zoo_core/training/test_undisturbed", "finds modules wherever they are held"),
    "zoo_core/training/kept_value": ("zoo_core/training/test_kept_attributes", "puts back values of every kind"),
    "zoo_core/training/standalone_evaluation": ("zoo_core/training/test_evaluation", "evaluates models"),
    "zoo_core/training/checkpoints": ("zoo_core/checkpoint/test_writer", "saves, fails to save and resumes"),
    "zoo_core/training/assemble": ("zoo_core/training/test_runner", "assembles runs"),
    "zoo_core/training/environment": ("zoo_core/training/test_runner", "reads environment.json"),
    "zoo_core/weights/cache": ("zoo_core/weights/test_download", "downloads and caches files"),
    "zoo_core/weights/card": ("zoo_core/tools/test_publish", "reads the card"),
    "zoo_core/weights/matching": ("zoo_core/weights/test_load", "loads tensors that do not fit"),
    "zoo_core/weights/meta_init": ("zoo_core/weights/test_load", "loads without initializing"),
    "zoo_core/weights/metadata": ("zoo_core/weights/test_header", "reads the metadata of a run"),
    "zoo_core/checkpoint/built_tensors": ("zoo_core/weights/test_unset_buffers", "refuses tensors that come later"),
    "zoo_core/checkpoint/objects": ("zoo_core/checkpoint/test_state", "keeps objects in lists and dicts"),
    "zoo_core/config/optimizer": ("zoo_core/optim/test_build", "makes optimizers from settings"),
    "zoo_core/registry/builtin": ("zoo_core/optim/test_pairs", "trains with every name"),
    "zoo_core/registry/named_in_settings": ("zoo_core/optim/test_build", "gives unknown names"),
    "zoo_plugins/plugin": ("zoo_core/cli/test_looking", "lists its recipes"),
    "zoo_plugins/classifier/metrics": ("zoo_plugins/classifier/test_classifier", "evaluates"),
    "zoo_plugins/classifier/model": ("zoo_plugins/classifier/test_classifier", "predicts"),
    "zoo_plugins/common/class_names": ("zoo_plugins/classifier/test_image_classifier", "names classes"),
    "zoo_plugins/classifier/plugin": ("zoo_plugins/test_promises_kept", "checks the plugin"),
    "zoo_plugins/classifier/trainer": ("zoo_plugins/classifier/test_classifier", "trains"),
    "zoo_plugins/clsgan/plugin": ("zoo_plugins/test_promises_kept", "checks the plugin"),
    "zoo_plugins/clsgan/samples": ("zoo_plugins/clsgan/test_pixel_metrics", "generates and collects images"),
    "zoo_plugins/common/labels": ("zoo_plugins/clsgan/test_trainer", "gives wrong labels"),
    "zoo_plugins/datasets/class_folders": ("zoo_plugins/datasets/test_image_folder", "finds class folders"),
    "zoo_plugins/datasets/decoding": ("zoo_plugins/datasets/test_image_folder", "compares both ways to read"),
    "zoo_plugins/datasets/mask_occurring": ("zoo_plugins/datasets/test_mask_values", "counts values and reads tables"),
    "zoo_plugins/datasets/fit_sizes": ("zoo_plugins/datasets/test_fit_classes", "plans sizes and names classes"),
    "zoo_plugins/datasets/paths": ("zoo_plugins/datasets/test_mnist", "reads data folders"),
    "zoo_plugins/datasets/plugin": ("zoo_plugins/test_promises_kept", "checks the plugin"),
    "zoo_plugins/datasets/sequences": ("zoo_plugins/datasets/test_fit_classes", "tells clips from pictures"),
    "zoo_plugins/datasets/splits": ("zoo_plugins/datasets/test_frame_folder", "splits sequences"),
    "zoo_plugins/datasets/sprites": ("zoo_plugins/datasets/test_digit_scenes", "draws digits"),
    "zoo_plugins/datasets/mnist/dataset": ("zoo_plugins/datasets/test_mnist", "reads examples"),
    "zoo_plugins/datasets/mnist/digits": ("zoo_plugins/datasets/test_mnist", "reads examples"),
    "zoo_plugins/datasets/mnist/download": ("zoo_plugins/datasets/test_mnist", "downloads from a local server"),
    "zoo_plugins/datasets/mnist/files": ("zoo_plugins/datasets/test_mnist", "finds and verifies files"),
    "zoo_plugins/datasets/mnist/idx": ("zoo_plugins/datasets/test_mnist", "reads damaged files"),
    "zoo_plugins/unet/base_trainer": ("zoo_plugins/unet/test_next_frame", "trains"),
    "zoo_plugins/unet/blocks": ("zoo_plugins/unet/test_model", "compares with a plain network"),
    "zoo_plugins/unet/fuse": ("zoo_plugins/unet/test_model", "folds normalization"),
    "zoo_plugins/unet/plugin": ("zoo_plugins/test_promises_kept", "checks the plugin"),
}


def modules() -> list[Path]:
    """The path of each module, relative to the repository and without its suffix."""
    paths = [
        path.relative_to(ROOT) for package in ("zoo_core", "zoo_plugins") for path in (ROOT / package).rglob("*.py")
    ]
    return sorted(path.with_suffix("") for path in paths if path.stem != "__init__" and "template" not in path.parts)


def mirrored(module: Path) -> Path:
    return TESTS / module.parent / f"test_{module.name}.py"


def test_every_module_has_a_test_module_or_is_covered_elsewhere() -> None:
    missing = [str(one) for one in modules() if not mirrored(one).is_file() and str(one) not in COVERED_ELSEWHERE]
    assert missing == []


def test_the_files_that_cover_modules_exist() -> None:
    files = {test for test, _ in COVERED_ELSEWHERE.values()}
    assert [file for file in sorted(files) if not (TESTS / f"{file}.py").is_file()] == []


def test_no_entry_is_superfluous() -> None:
    known = set(map(str, modules()))
    assert [module for module in COVERED_ELSEWHERE if module not in known] == []
    assert [module for module in COVERED_ELSEWHERE if mirrored(Path(module)).is_file()] == []
    assert [module for module, (_, reason) in COVERED_ELSEWHERE.items() if not reason] == []


def test_the_files_that_run_first_exist(pytestconfig: pytest.Config) -> None:
    (conftest,) = [one for one in pytestconfig.pluginmanager.get_plugins() if getattr(one, "LONGEST", None)]
    assert [name for name in conftest.LONGEST if not (TESTS / name).is_file()] == []
