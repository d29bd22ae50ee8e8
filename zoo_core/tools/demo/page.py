"""From models and their controls to a Gradio page: a tab for each, what is set left, what comes out beside it."""

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
from zoo_core.errors import ZooError
from zoo_core.tools.demo.display import shown
from zoo_core.tools.demo.predict import arguments, predict
from zoo_core.tools.demo.source import Source

CSS = """
.zoo-figures {display: flex; flex-wrap: wrap; gap: 16px; align-items: flex-start}
.zoo-figures figure {margin: 0; flex: 1 1 200px; max-width: 640px; min-width: 0}
.zoo-figures figure.zoo-wide {order: 1; flex-basis: 100%; max-width: 100%}
.zoo-figures img {width: 100%; image-rendering: pixelated; border-radius: 4px}
.zoo-figures figcaption {margin-top: 4px; font-size: 0.85em; color: var(--body-text-color-subdued)}
.zoo-result .zoo-values {margin-top: 12px; border-collapse: collapse; border: none}
.zoo-result .zoo-values :is(th, td) {border: none; padding: 4px 16px 4px 0; text-align: left; vertical-align: top}
.zoo-result .zoo-values td {overflow-wrap: anywhere}
.zoo-card :is(th, td) {word-break: normal; overflow-wrap: anywhere; padding: 4px 8px !important}
.zoo-card td:first-child {overflow-wrap: normal; white-space: nowrap}
.zoo-card h1 {font-size: 1.3em}
.zoo-card h2 {font-size: 1.1em}
"""
_WAITING = 20  # users; one more is told that it is too many
_FILES = {"image": [".png", ".jpg", ".jpeg", ".gif", ".bmp", ".npy"], "video": [".gif", ".npy", ".npz"]}
_KEPT = 3600  # seconds that an upload stays on the disk


def build(sources: Sequence[Source]) -> gr.Blocks:
    """The page for ``sources``, in their order."""
    title = ", ".join(source.name for source in sources)
    with gr.Blocks(title=f"zoo demo: {title}", analytics_enabled=False, delete_cache=(_KEPT, _KEPT)) as page:
        for number, source in enumerate(sources):  # tabs that follow one another are one row of them
            with gr.Tab(source.name):
                _tab(page, source, f"model{number}")
    page.queue(max_size=_WAITING, default_concurrency_limit=1, api_open=False)
    return page


def theme() -> gr.themes.Base:
    """Gradio's own look, with the fonts of the machine: the page fetches none."""
    fonts = ["system-ui", "sans-serif"]
    return gr.themes.Default(font=fonts, font_mono=["ui-monospace", "monospace"])


def _tab(page: gr.Blocks, source: Source, place: str) -> None:
    listen = {"concurrency_limit": 1, "concurrency_id": place, "api_visibility": "private"}
    gr.Markdown(source.summary)
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            fields = {name: _field(name, control) for name, control in source.asked.controls.items()}
            sizes = {name: control.draw for name, control in source.asked.controls.items() if control.draw}
            drawings = {name: _drawing() for name in sizes}
            ask = gr.Button("Predict", variant="primary", visible=not source.asked.unasked)
            example = gr.Button("Try its example", visible=bool(source.model.example()))
        with gr.Column(scale=4, min_width=320):
            result = gr.HTML(_hint(source), label="What comes out", elem_classes=["zoo-result"])
        with gr.Column(scale=3, min_width=300), gr.Accordion("Card", open=True):
            gr.Markdown(source.card, elem_classes=["zoo-card"])
    answer = partial(_answered, source)
    inputs = list(fields.values())
    gr.on([ask.click], answer, inputs, result, **listen)
    example.click(lambda: _example(source), None, result, **listen)
    quiet = partial(_answered, source, quietly=True)
    for field in inputs:
        change = _change(field)
        change(quiet, inputs, result, trigger_mode="always_last", **listen)
    for name, (pad, use) in drawings.items():
        drawn = use.click(partial(_file_of_drawing, sizes[name]), pad, fields[name], **listen)
        drawn.success(answer, inputs, result, **listen)
    if not source.asked.required:
        page.load(answer, inputs, result, **listen)


def _hint(source: Source) -> str:
    if source.asked.unasked:
        names = escape(", ".join(source.asked.unasked))
        return f"<p>No control gives what this model takes: {names}. Its author may declare Model.controls.</p>"
    return "<p>Nothing yet.</p>"


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
    return gr.File(label=label, file_types=_FILES[control.kind], height=140)


def _pairs(control: Control) -> list[tuple[str, Any]]:
    return [(str(choice), choice) for choice in control.choices]


def _drawing() -> tuple[Any, Any]:
    pad = gr.Sketchpad(
        label="Or draw it",
        canvas_size=(320, 320),
        type="pil",
        image_mode="RGBA",
        brush=gr.Brush(default_size=24, colors=["#000000"], color_mode="fixed"),
        layers=False,
        transforms=(),
        height=380,
    )
    return pad, gr.Button("Use the drawing")


def _change(field: Any) -> Any:
    """The event after which a person wants to see what comes out: not every step of a slider that is dragged."""
    if isinstance(field, gr.Slider):
        return field.release
    if isinstance(field, gr.File):
        return field.upload
    return field.submit if isinstance(field, (gr.Textbox, gr.Number)) else field.input


def _answered(source: Source, *values: Any, quietly: bool = False) -> Any:
    """What comes out, as HTML; ``quietly`` nothing, where something that is needed is still missing."""
    named = dict(zip(source.asked.controls, values, strict=True))
    if quietly and any(named.get(name) in (None, "") for name in source.asked.required):
        return gr.skip()
    try:
        given = arguments(source.asked, named)
        return shown(source.asked, given, predict(source.model, given))
    except ZooError as error:
        raise _said(error) from error


def _example(source: Source) -> str:
    try:
        given = source.model.example()
        return shown(source.asked, given, predict(source.model, given))
    except ZooError as error:
        raise _said(error) from error


def _said(error: ZooError) -> gr.Error:
    return gr.Error(escape(" ".join(filter(None, [error.message, error.hint]))), print_exception=False)


def _file_of_drawing(size: tuple[int, int], drawn: dict[str, Any] | None) -> str:
    """The ink of a drawing as a PNG, white on black, of ``size`` (height, width)."""
    composite: Image.Image | None = (drawn or {}).get("composite")
    ink = None
    if composite is not None:  # its paper is white or transparent
        drawing = composite.convert("RGBA")
        ink = ImageOps.invert(Image.alpha_composite(Image.new("RGBA", drawing.size, "white"), drawing).convert("L"))
    if ink is None or ink.getbbox() is None:
        raise gr.Error("Nothing is drawn yet.", print_exception=False)
    height, width = size
    path = Path(mkdtemp(dir=gr.utils.get_upload_folder()), "drawing.png")
    ink.resize((width, height), Image.Resampling.BOX).save(path)
    return str(path)
