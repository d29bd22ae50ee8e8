"""The page of a third-party model, whose controls are derived from `predict`, and every control is used."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import kinds_plugin
import numpy as np
import pytest
import torch
from browser import chromium  # noqa: F401
from demo_served import opened, served
from PIL import Image

from zoo_core.weights.format import write

pytestmark = pytest.mark.xdist_group("chromium")
PLUGIN = '''
    from __future__ import annotations

    from dataclasses import dataclass
    from pathlib import Path
    from typing import Literal

    import torch
    from torch import nn

    import zoo_core as zoo


    class Waves(zoo.Model):
        """Draws a number of waves."""

        @dataclass(frozen=True, kw_only=True)
        class Config:
            size: int = zoo.setting(64, "height and width of the image", ge=1)

        def __init__(self, config):
            super().__init__(config)
            self.strength = nn.Parameter(torch.ones(()))

        def predict(
            self,
            waves: int = 2,
            phase: float = 0.0,
            kind: Literal["sine", "square"] = "sine",
            dark: bool = False,
            name: str = "a sea",
            over: Path | None = None,
        ):
            if waves > 20:
                raise zoo.ZooError(f"{waves} waves are too many.", "Ask for 20 or fewer.")
            across = torch.linspace(0, 2 * torch.pi * waves, self.config.size)
            line = (across + phase).sin()
            line = line.sign() if kind == "square" else line
            image = (line * self.strength + 1).div(2).expand(1, 1, self.config.size, -1)
            image = image * 0.25 if dark else image
            if over is not None:
                image = image * zoo.read_image(over, 1)
            return {"image": image, "text": f"{name} of {waves}"}


    @zoo.hookimpl
    def zoo_register(registry):
        registry.model("waves", f"{__name__}:Waves", summary="Waves", license="MIT")
'''


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("third-party")
    (folder / "waves.py").write_text(textwrap.dedent(PLUGIN))
    metadata = {"model": "waves", "config": {"size": 64}, "license": "MIT", "metrics": {"height": 1.0}}
    write(folder / "sea.safetensors", {"strength": torch.ones(())}, metadata)
    Image.fromarray(np.tri(64, dtype=np.uint8) * 255).save(folder / "half.png")
    with served("sea.safetensors", before=("--plugin", "waves.py"), folder=folder) as (where, _):
        yield where, folder


@pytest.fixture(scope="module")
def only_page(chromium: Any) -> Any:  # noqa: F811
    page = chromium.new_page(viewport={"width": 1300, "height": 900})
    page.set_default_timeout(60_000)
    return page


@pytest.fixture
def page(address: tuple[str, Path], only_page: Any) -> Any:
    """The page as it opens."""
    only_page.goto(address[0])
    only_page.locator("img[alt='image']").wait_for()
    return only_page


def wave(page: Any) -> Any:
    """The middle row of the image, without its border."""
    shown = np.asarray(opened(page, "image").convert("L"))
    return shown[len(shown) // 2, 2:-2].astype(float)


def crests(row: Any) -> int:
    bright = row > row.max() / 2
    return int((bright[:-1] & ~bright[1:]).sum())


def until(page: Any, condition: Any) -> None:
    for _ in range(200):
        if condition():
            return
        page.wait_for_timeout(100)
    raise AssertionError("the page does not show the expected result")


def test_the_page_opens_with_a_prediction_for_the_defaults_and_the_metadata(page: Any) -> None:
    assert crests(wave(page)) == 2
    assert "MIT" in page.locator(".prose.zoo-card").inner_text()
    assert page.locator(".zoo-values td").inner_text() == "a sea of 2"


def test_every_control_sets_its_argument(page: Any, address: tuple[str, Path]) -> None:
    page.get_by_label("waves", exact=True).fill("5")
    page.keyboard.press("Enter")
    until(page, lambda: crests(wave(page)) == 5)

    assert len(np.unique(wave(page))) > 10
    page.get_by_label("kind", exact=True).click()
    page.get_by_role("option", name="square").click()
    until(page, lambda: len(np.unique(wave(page))) <= 3)

    page.get_by_label("dark", exact=True).check()
    until(page, lambda: wave(page).max() < 80)
    page.get_by_label("dark", exact=True).uncheck()
    until(page, lambda: wave(page).max() > 200)

    started_bright = wave(page)[1] > 128
    page.get_by_label("phase", exact=True).fill("3.1416")
    page.keyboard.press("Enter")
    until(page, lambda: (wave(page)[1] > 128) != started_bright)

    page.get_by_label("name", exact=True).fill("<b>a lake</b>")
    page.keyboard.press("Enter")
    until(page, lambda: page.locator(".zoo-values td").inner_text() == "<b>a lake</b> of 5")

    page.locator("input[type=file]").first.set_input_files(address[1] / "half.png")
    page.locator("img[alt='input: over']").wait_for()
    until(page, lambda: wave(page)[40:].max() == 0)
    assert wave(page)[:30].max() > 200


def test_an_error_of_the_model_is_shown_with_its_hint(page: Any) -> None:
    page.get_by_label("waves", exact=True).fill("21")
    page.get_by_role("button", name="Predict").click()
    page.get_by_text("21 waves are too many. Ask for 20 or fewer.").first.wait_for()


def test_the_page_fits_a_narrow_screen(address: tuple[str, Path], chromium: Any) -> None:  # noqa: F811
    page = chromium.new_page(viewport={"width": 360, "height": 740})
    page.set_default_timeout(60_000)
    page.goto(address[0])
    page.locator("img[alt='image']").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.close()


def test_a_prediction_of_every_kind_is_shown_and_escaped(chromium: Any, tmp_path: Path) -> None:  # noqa: F811
    kinds_plugin.train(tmp_path / "run", "run.preview_every=0")
    with served("run", before=("--plugin", str(kinds_plugin.FILE)), folder=tmp_path) as (address, _):
        page = chromium.new_page(viewport={"width": 1300, "height": 900})
        messages: list[str] = []
        page.on("console", lambda message: messages.append(message.text))
        page.set_default_timeout(60_000)
        page.goto(address)
        page.locator(".zoo-result audio").wait_for()
        page.wait_for_function("document.querySelector('.zoo-result audio').readyState > 0")
        assert page.evaluate("document.querySelector('.zoo-result audio').duration") == 0.5
        shown = page.locator(".zoo-result pre").evaluate("it => it.textContent")
        assert shown == kinds_plugin.KINDS["text"](3)
        cells = page.locator(".zoo-table td").all_inner_texts()
        assert cells == ["=1+1", "0.125", "<b>b</b>", "-1", "c|d", "1e-09", "", "3"]
        captions = page.locator(".zoo-result figcaption").all_inner_texts()
        assert "my matrix/1: (3, 4) float32 from 0 to 4" in captions
        assert len(captions) == 8  # clips are shown twice
        assert page.evaluate("window.hostile") is None
        assert not [message for message in messages if "Content Security Policy" in message]

        page.get_by_label("gives", exact=True).fill("loud")
        page.keyboard.press("Enter")
        page.get_by_text("Kinds.predict failed: ValueError: the samples of audio are from 0 to 1.5").first.wait_for()
        page.close()
