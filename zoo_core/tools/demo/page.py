"""The Gradio page: a tab for each model, with its controls on the left, the output next to them, and its card."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from html import escape
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import gradio as gr
from PIL import Image, ImageOps

from zoo_core.config.control import Control
from zoo_core.errors import ZooError, raised
from zoo_core.tools.demo.display import render
from zoo_core.tools.demo.predict import arguments, predict
from zoo_core.tools.demo.source import Source

CSS = """
.zoo-figures {display: flex; flex-wrap: wrap; gap: 16px; align-items: flex-start}
.zoo-figures figure {margin: 0; flex: 1 1 200px; max-width: 640px; min-width: 0}
.zoo-figures figure.zoo-wide {order: 1; flex-basis: 100%; max-width: 100%}
.zoo-figures img {width: 100%; max-height: 90vh; object-fit: contain; image-rendering: pixelated; border-radius: 4px}
.zoo-figures img {outline: 1px solid var(--border-color-primary)}
.zoo-figures figcaption {margin-top: 4px; font-size: 0.85em; color: var(--body-text-color-subdued)}
.zoo-result .zoo-values {margin-top: 12px; border-collapse: collapse; border: none}
.zoo-result .zoo-values :is(th, td) {border: none; padding: 4px 16px 4px 0; text-align: left; vertical-align: top}
.zoo-result .zoo-values td {overflow-wrap: anywhere}
.zoo-result .zoo-values pre {margin: 0; padding: 0; background: none; font-size: inherit; white-space: pre-wrap}
.zoo-result .zoo-values pre {max-height: 60vh; overflow: auto}
.zoo-result .zoo-table {font-variant-numeric: tabular-nums}
.zoo-result audio {width: 100%}
.zoo-card :is(th, td) {word-break: normal; overflow-wrap: anywhere; padding: 4px 8px !important}
.zoo-card td:first-child {overflow-wrap: normal; white-space: nowrap}
.zoo-card h1 {font-size: 1.3em}
.zoo-card h2 {font-size: 1.1em}
"""
_MAX_QUEUE = 20  # requests; further ones are refused
_EXTENSIONS = {"image": [".png", ".jpg", ".jpeg", ".gif", ".bmp", ".npy"], "video": [".gif", ".npy", ".npz"]}
_UPLOAD_LIFETIME = 3600  # seconds until an upload is deleted


class _Page(gr.Blocks):  # type: ignore[misc]
    """Gradio prints the traceback of an error of what a request contains; here it is a sentence for the sender."""

    async def process_api(self, *arguments: Any, **options: Any) -> Any:
        try:
            return await super().process_api(*arguments, **options)
        except gr.Error as error:
            error.print_exception = False
            raise
        except Exception as error:
            raise gr.Error(f"This can't be answered: {escape(raised(error))}.", print_exception=False) from error


def inputs(page: gr.Blocks) -> list[int]:
    """The number of values that each function of the page takes."""
    return [len(page.fns[number].inputs) for number in range(len(page.fns))]


def build(sources: Sequence[Source]) -> gr.Blocks:
    """The page with a tab for each of ``sources``."""
    title = ", ".join(source.name for source in sources)
    with _Page(title=f"zoo demo: {title}", analytics_enabled=False, delete_cache=(_UPLOAD_LIFETIME,) * 2) as page:
        for number, source in enumerate(sources):  # Gradio puts consecutive tabs into one row
            with gr.Tab(source.name):
                _tab(page, source, f"model{number}")
    page.queue(max_size=_MAX_QUEUE, default_concurrency_limit=1, api_open=False)
    return page


def theme() -> gr.themes.Base:
    """The default theme of Gradio with system fonts, so that the page downloads none."""
    fonts = ["system-ui", "sans-serif"]
    return gr.themes.Default(font=fonts, font_mono=["ui-monospace", "monospace"])


def _tab(page: gr.Blocks, source: Source, tab_id: str) -> None:
    event_options = {"concurrency_limit": 1, "concurrency_id": tab_id, "api_visibility": "private"}
    gr.Markdown(source.summary)
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            fields = {name: _field(name, control) for name, control in source.form.controls.items()}
            sizes = {name: control.draw for name, control in source.form.controls.items() if control.draw}
            drawings = {name: _drawing() for name in sizes}
            button = gr.Button("Predict", variant="primary", visible=not source.form.missing)
            example = gr.Button("Run the example", visible=bool(source.model.example()))
        with gr.Column(scale=4, min_width=320):
            output = gr.HTML(_initial_output(source), label="Output", elem_classes=["zoo-result"])
        with gr.Column(scale=3, min_width=300), gr.Accordion("Model card", open=True):
            gr.Markdown(source.card, elem_classes=["zoo-card"])
    run = partial(_predict, source)
    inputs = list(fields.values())
    gr.on([button.click], run, inputs, output, **event_options)
    example.click(lambda: _run_example(source), None, output, **event_options)
    run_if_complete = partial(_predict, source, skip_incomplete=True)
    for field in inputs:
        change = _change_event(field)
        change(run_if_complete, inputs, output, trigger_mode="always_last", **event_options)
    for name, (pad, use) in drawings.items():
        drawn = use.click(partial(_save_drawing, sizes[name]), pad, fields[name], **event_options)
        drawn.success(run, inputs, output, **event_options)
    if not source.form.required:
        page.load(run, inputs, output, **event_options)


def _initial_output(source: Source) -> str:
    if source.form.missing:
        names = escape(", ".join(source.form.missing))
        return f"<p>There is no control for: {names}. The author of the model can declare it in Model.controls.</p>"
    return "<p>No output yet.</p>"


def _field(name: str, control: Control) -> Any:
    label = control.label or name
    if control.kind in ("int", "float"):
        precision = {"precision": 0} if control.kind == "int" else {}
        if control.minimum is not None and control.maximum is not None:
            step = control.step or (1 if control.kind == "int" else (control.maximum - control.minimum) / 100)
            value = control.minimum if control.value is None else control.value
            return gr.Slider(control.minimum, control.maximum, value=value, step=step, label=label, **precision)
        return gr.Number(control.value, label=label, minimum=control.minimum, maximum=control.maximum, **precision)
    if control.kind == "bool":
        return gr.Checkbox(bool(control.value), label=label)
    if control.kind == "select":
        return gr.Dropdown(_pairs(control), value=control.value, label=label)
    if control.kind == "multiselect":
        return gr.CheckboxGroup(_pairs(control), value=list(control.value or []), label=label)
    if control.kind == "text":
        return gr.Textbox(control.value, label=label, max_length=10_000)
    return gr.File(label=label, file_types=_EXTENSIONS[control.kind], height=140)


def _pairs(control: Control) -> list[tuple[str, Any]]:
    return [(str(choice), choice) for choice in control.choices]


def _drawing() -> tuple[Any, Any]:
    pad = gr.Sketchpad(
        label="Or draw an image",
        canvas_size=(320, 320),
        type="pil",
        image_mode="RGBA",
        brush=gr.Brush(default_size=24, colors=["#000000"], color_mode="fixed"),
        layers=False,
        transforms=(),
        height=380,
    )
    return pad, gr.Button("Use the drawing")


def _change_event(field: Any) -> Any:
    """The event that triggers a prediction; for a slider its release, so that dragging it triggers only one."""
    if isinstance(field, gr.Slider):
        return field.release
    if isinstance(field, gr.File):
        return field.upload
    return field.submit if isinstance(field, (gr.Textbox, gr.Number)) else field.input


def _predict(source: Source, *values: Any, skip_incomplete: bool = False) -> Any:
    """The prediction as HTML; with ``skip_incomplete`` no update if a required argument is missing."""
    named = dict(zip(source.form.controls, values, strict=True))
    if skip_incomplete and any(named.get(name) in (None, "") for name in source.form.required):
        return gr.skip()
    try:
        inputs = arguments(source.form, named)
        return render(source.form, inputs, predict(source.model, inputs))
    except ZooError as error:
        raise _as_gradio_error(error) from error


def _run_example(source: Source) -> str:
    try:
        inputs = source.model.example()
        return render(source.form, inputs, predict(source.model, inputs))
    except ZooError as error:
        raise _as_gradio_error(error) from error


def _as_gradio_error(error: ZooError) -> gr.Error:
    return gr.Error(escape(" ".join(filter(None, [error.message, error.hint]))), print_exception=False)


def _save_drawing(size: tuple[int, int], drawn: dict[str, Any] | None) -> str:
    """Save a drawing as a PNG of ``size`` (height, width), white on black; returns its path."""
    composite: Image.Image | None = (drawn or {}).get("composite")
    ink = None
    if composite is not None:  # the background is white or transparent
        drawing = composite.convert("RGBA")
        ink = ImageOps.invert(Image.alpha_composite(Image.new("RGBA", drawing.size, "white"), drawing).convert("L"))
    if ink is None or ink.getbbox() is None:
        raise gr.Error("The drawing is empty.", print_exception=False)
    height, width = size
    path = Path(mkdtemp(dir=gr.utils.get_upload_folder()), "drawing.png")
    ink.resize((width, height), Image.Resampling.BOX).save(path)
    return str(path)
