"""The page in a browser, opened as a file and without network access."""

import kinds_plugin
import pytest
import tiny
from browser import chromium  # noqa: F401  # a fixture
from PIL import Image

from zoo_core.registry.catalog import Catalog
from zoo_core.tools.report.page import write_report
from zoo_core.tools.report.read import read_run

pytestmark = pytest.mark.xdist_group("chromium")
DRAWN = """canvas => {
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    const colors = new Set();
    for (let at = 0; at < pixels.length; at += 4) if (pixels[at + 3] > 200) colors.add(pixels.slice(at, at + 3).join());
    return colors.size;
}"""


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    here = Catalog(installed=False)
    tiny.train(folder / "one")
    Image.new("RGB", (40, 20), "red").save(folder / "one" / "previews" / "step-000020.png")
    tiny.train(folder / "two", "trainer.learning_rate=0.05")
    write_report([read_run(folder / name, here) for name in ("one", "two")], folder / "report.html")
    return folder / "report.html"


SCALES = "document.querySelector('[data-chart]').plot.scales"


def test_a_chart_can_be_zoomed_and_has_a_logarithmic_scale(chromium, page_file):  # noqa: F811
    page = chromium.new_page(viewport={"width": 1000, "height": 900})
    page.goto(page_file.as_uri())
    page.wait_for_selector(".plot canvas")
    whole = page.evaluate(f"[{SCALES}.x.min, {SCALES}.x.max]")
    assert page.evaluate(f"{SCALES}.y.distr") == 1
    page.get_by_label("logarithmic").check()
    assert page.evaluate(f"{SCALES}.y.distr") == 3
    assert page.eval_on_selector(".plot canvas", DRAWN) > 3

    over = page.locator(".u-over").first
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 40, steps=5)
    page.mouse.up()
    page.wait_for_timeout(100)
    low, high = page.evaluate(f"[{SCALES}.x.min, {SCALES}.x.max]")
    assert whole[0] < low < high < whole[1]
    over.dblclick(position={"x": 10, "y": 40})
    page.wait_for_timeout(100)
    assert page.evaluate(f"[{SCALES}.x.min, {SCALES}.x.max]") == whole
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1920])
def test_the_page_fits_the_screen_draws_charts_and_steps_through_previews(chromium, page_file, width, scheme):  # noqa: F811
    page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    messages, requests = [], []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(page_file.as_uri())
    page.wait_for_selector(".plot canvas")
    page.wait_for_timeout(100)  # uPlot draws in the next frame
    assert messages == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.eval_on_selector(".plot canvas", DRAWN) > 3
    preview = page.locator("[data-preview]").first
    last = preview.get_attribute("src")
    page.locator("#scrub").focus()
    page.keyboard.press("ArrowLeft")
    assert preview.get_attribute("src") != last
    assert page.inner_text("#scrubbed") == "20"
    assert preview.get_attribute("alt") == "Preview of one at step 20"
    page.close()


@pytest.mark.parametrize("width", [360, 1400])
def test_texts_tables_audio_and_arrays_are_shown_and_stepped_through(chromium, tmp_path, width):  # noqa: F811
    kinds_plugin.train(tmp_path / "run")
    write_report([read_run(tmp_path / "run", Catalog(installed=False))], tmp_path / "report.html")
    page = chromium.new_page(viewport={"width": width, "height": 900})
    messages = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto((tmp_path / "report.html").as_uri())
    page.wait_for_function("document.querySelector('audio').readyState > 0")
    assert page.evaluate("document.querySelector('audio').duration") == 0.5
    text, table = page.locator("pre[data-preview]"), page.locator("div[data-preview] td")
    at_step = kinds_plugin.KINDS["text"]
    assert text.evaluate("it => it.textContent") == at_step(6)
    assert table.all_inner_texts() == ["=1+1", "0.125", "<b>b</b>", "-1", "c|d", "1e-09", "", "6"]
    sound = page.locator("audio").get_attribute("src")
    page.locator("#scrub").focus()
    page.keyboard.press("ArrowLeft")
    assert text.evaluate("it => it.textContent") == at_step(3)
    assert table.all_inner_texts()[-1] == "3"
    assert page.locator("audio").get_attribute("src") != sound
    assert page.locator("audio").get_attribute("aria-label") == "Preview my_audio_1 of run at step 3"
    assert page.locator("img[data-preview]").count() == 6
    assert page.evaluate("[window.hostile, document.documentElement.scrollWidth]") in (
        [None, width],
        [None, width - 15],
    )
    assert messages == []
    page.close()
