"""`zoo demo` from end to end: a real server and a real Chromium, every control used, and the images checked."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import chromium  # noqa: F401
from demo_served import opened, served
from PIL import Image
from warm_python import PYTHON

import zoo_core as zoo

pytestmark = pytest.mark.xdist_group("chromium")
NAMES = ["clsgan-mnist", "unet-moving-mnist", "unet-digit-scenes", "digit-classifier-mnist"]
SHORT = 60_000  # milliseconds


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    with served(*NAMES) as running:
        yield running


@pytest.fixture(scope="module")
def requests() -> list[str]:
    """The URLs of all requests of the page."""
    return []


@pytest.fixture(scope="module")
def page(server: Any, chromium: Any, requests: list[str]) -> Any:  # noqa: F811
    page = chromium.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(SHORT)
    page.on("request", lambda request: requests.append(request.url))
    page.goto(server[0])
    return page


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uploads")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # which digits are here does not matter
        past = zoo.build("moving-mnist", kind="dataset").test()[3]["past"]
        scene = zoo.build("digit-scenes", kind="dataset").test()[2]["image"]
    frames = [Image.fromarray(frame[0].mul(255).byte().numpy()) for frame in past]
    frames[0].save(folder / "clip.gif", save_all=True, append_images=frames[1:], duration=100)
    frames[0].save(folder / "short.gif", save_all=True, append_images=frames[1:3], duration=100)
    Image.fromarray(scene[0].mul(255).byte().numpy()).save(folder / "scene.png")
    (folder / "text.png").write_text("not an image")
    Image.new("1", (9000, 9000)).save(folder / "bomb.png")
    return folder


def tab(page: Any, name: str) -> Any:
    page.get_by_role("tab", name=name).click()
    page.wait_for_timeout(1500)  # a tab is rendered when it is first shown, and handles events a little later
    return page.locator("[role=tabpanel]:visible").first


def image(panel: Any, name: str) -> Any:
    return np.asarray(opened(panel, name).convert("RGB"))


def changed_image(page: Any, panel: Any, name: str, before: Any) -> Any:
    for _ in range(SHORT // 100):
        now = image(panel, name)
        if now.shape != before.shape or (now != before).any():
            return now
        page.wait_for_timeout(100)
    raise AssertionError(f"{name} does not change")


def test_the_gan_draws_the_digits_asked_for_and_walks_between_two_noises(page: Any) -> None:
    page.reload()
    panel = tab(page, "clsgan-mnist")
    panel.locator("img[alt='image']").wait_for()
    all_digits = image(panel, "image")
    assert all_digits.shape == (4 * 30 + 2, 10 * 30 + 2, 3)

    panel.get_by_label("3", exact=True).check()
    threes = changed_image(page, panel, "image", all_digits)
    assert set(panel.locator(".zoo-values td").inner_text().split(", ")) == {"3"}
    number = panel.get_by_label("number input for seed of the noise")
    number.fill("5")
    number.press("Tab")
    panel.get_by_role("button", name="Predict").click()
    seeded = changed_image(page, panel, "image", threes)
    panel.get_by_label("number input for interpolation").fill("0.5")
    panel.get_by_role("button", name="Predict").click()
    half = changed_image(page, panel, "image", seeded)
    panel.get_by_label("number input for interpolation").fill("1")
    panel.get_by_role("button", name="Predict").click()
    walked = changed_image(page, panel, "image", half)
    assert walked.mean() > 10
    panel.get_by_label("number input for seed of the second noise").fill("9")
    panel.get_by_role("button", name="Predict").click()
    walked = changed_image(page, panel, "image", walked)
    panel.get_by_label("number input for number of images").fill("7")
    panel.get_by_role("button", name="Predict").click()
    assert changed_image(page, panel, "image", walked).shape == (30 + 2, 7 * 30 + 2, 3)


def test_dragging_the_slider_interpolates_between_two_seeds(page: Any) -> None:
    page.reload()
    panel = tab(page, "clsgan-mnist")
    panel.locator("img[alt='image']").wait_for()
    before = image(panel, "image")
    slider = panel.get_by_label("range slider for interpolation")
    box = slider.bounding_box()
    page.mouse.move(box["x"] + 8, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=10)
    page.mouse.up()
    half = changed_image(page, panel, "image", before)
    assert 0.4 < float(slider.input_value()) < 0.6
    slider.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.up()
    assert (changed_image(page, panel, "image", half) != before).any()


def test_a_model_with_an_example_has_a_button_to_run_it(page: Any) -> None:
    panel = tab(page, "clsgan-mnist")
    panel.get_by_role("button", name="Run the example").click()
    panel.locator(".zoo-values td", has_text="3, 1, 4").wait_for()
    panel = tab(page, "digit-classifier-mnist")
    panel.get_by_role("button", name="Run the example").click()
    panel.locator(".zoo-values td").first.wait_for()
    assert not tab(page, "unet-digit-scenes").get_by_role("button", name="Run the example").is_visible()
    page.reload()


def test_the_predicted_frames_are_shown_next_to_the_uploaded_clip(page: Any, files: Path) -> None:
    panel = tab(page, "unet-moving-mnist")
    panel.locator("input[type=file]").first.set_input_files(files / "clip.gif")
    panel.locator("img[alt='clip, 10 frames']").wait_for()
    with opened(panel, "clip, 10 frames") as clip:
        assert clip.n_frames == 10
    assert image(panel, "input: frames, frame by frame").mean() > 5
    ssim = zoo.info("unet-moving-mnist")["weights"]["metrics"]["ssim"]
    assert str(ssim) in panel.locator(".prose.zoo-card").inner_text()


def test_the_mask_is_shown_next_to_the_uploaded_image(page: Any, files: Path) -> None:
    panel = tab(page, "unet-digit-scenes")
    panel.locator("input[type=file]").first.set_input_files(files / "scene.png")
    panel.locator("img[alt='mask']").wait_for()
    given, mask = image(panel, "input: image"), image(panel, "mask")
    bright = given.max(axis=2) > 128
    assert mask.shape == given.shape
    assert mask.any(axis=2)[bright].mean() > 0.8  # most bright pixels have a class other than background
    assert mask.any(axis=2).mean() < 0.5
    assert "background" in panel.locator(".zoo-values").inner_text()


def test_a_drawn_digit_is_classified(page: Any) -> None:
    panel = tab(page, "digit-classifier-mnist")
    panel.get_by_role("button", name="Use the drawing").scroll_into_view_if_needed()
    page.wait_for_timeout(2000)
    box = panel.locator("canvas").first.bounding_box()
    across, down = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    panel.get_by_label("Brush", exact=True).first.click()
    page.wait_for_timeout(500)
    page.mouse.move(across, down - 60)
    page.mouse.down()
    page.mouse.move(across, down + 60, steps=20)
    page.mouse.up()
    page.wait_for_timeout(1000)
    panel.get_by_role("button", name="Use the drawing").click()
    panel.locator("img[alt='input: image']").wait_for()
    assert panel.locator(".zoo-values td").first.inner_text() == "1"


@pytest.mark.parametrize(
    ("name", "upload", "message"),
    [
        ("unet-digit-scenes", "text.png", "text.png is not a supported image file."),
        ("unet-digit-scenes", "bomb.png", "bomb.png has 9000 x 9000 pixels"),
        ("unet-moving-mnist", "short.gif", "short.gif has 3 frames, but this model takes 10"),
    ],
)
def test_an_invalid_upload_is_reported(page: Any, files: Path, name: str, upload: str, message: str) -> None:
    page.reload()
    panel = tab(page, name)
    panel.locator("input[type=file]").first.set_input_files(files / upload)
    page.get_by_text(message).first.wait_for()


def test_the_page_sends_requests_to_this_machine_only(page: Any, requests: list[str]) -> None:
    elsewhere = [url for url in requests if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))]
    assert len(requests) > 20
    assert elsewhere == []


def test_a_port_in_use_is_refused_and_another_one_is_suggested(server: tuple[str, Any]) -> None:
    port = server[0].rstrip("/").rpartition(":")[2]
    words = [PYTHON, "-m", "zoo_core", "demo", NAMES[0], "--port", port, "--no-browser"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert f"port {port} of 127.0.0.1" in done.stderr
    assert f"--port {int(port) + 1}" in done.stderr


def test_ctrl_c_ends_it_though_a_page_is_open_and_an_upload_under_way(chromium: Any) -> None:  # noqa: F811
    with served(NAMES[-1]) as (address, process):
        page = chromium.new_page()
        page.goto(address)
        end_by_ctrl_c(process, int(address.rstrip("/").rpartition(":")[2]))
        page.close()


def end_by_ctrl_c(process: subprocess.Popen[str], port: int) -> None:
    incomplete = (
        "POST /gradio_api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n"
        "Content-Type: multipart/form-data; boundary=abc\r\n\r\n--abc\r\n"
    )
    with socket.create_connection(("127.0.0.1", port)) as upload:
        upload.sendall(incomplete.encode())
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
