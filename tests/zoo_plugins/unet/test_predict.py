"""`zoo run` and `zoo predict` with a U-Net, in processes of their own, on images and clips in many file formats."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image
from warm_python import PYTHON

import zoo_core as zoo
from zoo_core.cli import _exit_code

ZOO = [PYTHON, "-m", "zoo_core"]
SMALL = ["model.base_channels=4", "model.depth=2", "dataset.source=subset", "run.device=cpu", "run.precision=float32"]
FRAMES = [
    "unet-moving-mnist", *SMALL, "dataset.use_published_test_set=false", "dataset.test_clips=4",
    "dataset.validation_clips=4", "run.batch_size=2", "run.steps=24", "run.checkpoint_every=3", "run.preview_every=12",
]  # fmt: skip
SCENES = [
    "unet-digit-scenes", *SMALL, "dataset.test_scenes=4", "dataset.validation_scenes=4", "trainer.loss=both",
    "run.batch_size=4", "run.steps=12", "run.preview_every=6",
]  # fmt: skip


def environment(folder):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ZOO_")}
    return {**kept, "ZOO_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}


def run_zoo(folder, *words):
    return subprocess.run(
        [*ZOO, *map(str, words)], cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("unet")


@pytest.fixture(scope="module")
def frame_run(place):
    """The folder of a short run on clips."""
    done = run_zoo(place, "run", *FRAMES, "--folder", "frames")
    assert done.returncode == 0, done.stderr
    assert "zoo predict frames frames=clip.gif -o next.gif" in done.stdout
    return place / "frames"


@pytest.fixture(scope="module")
def scene_run(place):
    """The folder of a short run on scenes."""
    done = run_zoo(place, "run", *SCENES, "--folder", "scenes")
    assert done.returncode == 0, done.stderr
    assert "zoo predict scenes image=photo.png -o mask.png" in done.stdout
    return place / "scenes"


@pytest.fixture(scope="module")
def clip():
    """Twelve frames (T, H, W) uint8 of a test clip."""
    settings = {"frames_in": 6, "frames_out": 6, "source": "subset", "use_published_test_set": False}
    batch = zoo.build("moving-mnist", settings, kind="dataset").test()[20]
    return torch.cat([batch["past"], batch["future"]])[:, 0].mul(255).round().byte().numpy()


@pytest.fixture(scope="module")
def photo():
    """A test scene (H, W) uint8."""
    scene = zoo.build("digit-scenes", {"source": "subset", "height": 50, "width": 70}, kind="dataset").test()[20]
    return scene["image"][0].mul(255).round().byte().numpy()


@pytest.fixture
def predict(tmp_path, monkeypatch, capsys):
    """Runs ``zoo predict`` in this process, in an empty working folder, and returns its standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOO_TRACEBACK", "")

    def predict(*words, code=0):
        exit_code = _exit_code(["predict", *map(str, words)])
        output = capsys.readouterr()
        assert exit_code == code, output.err
        return output.err

    return predict


def save_gif(frames, path):
    first, *others = [Image.fromarray(frame) for frame in frames]
    first.save(path, save_all=True, append_images=others, duration=100, loop=0)


def frames_of_gif(path):
    with Image.open(path) as image:
        assert image.format == "GIF"
        for number in range(image.n_frames):
            image.seek(number)
            yield np.asarray(image.convert("RGB"))


# -- next-frame prediction ---------------------------------------------------------


def test_a_run_writes_previews_as_rows_of_frames_and_as_an_animation(frame_run):
    previews = frame_run / "previews"
    assert sorted(path.name for path in previews.iterdir()) == [
        "step-000012.gif", "step-000012.png", "step-000024.gif", "step-000024.png",
    ]  # fmt: skip
    with Image.open(previews / "step-000024.png") as image:
        assert image.size == (10 * 66 + 2, 6 * 66 + 2)  # past, target and prediction of two clips
    frames = list(frames_of_gif(previews / "step-000024.gif"))
    assert len(frames) == 10
    assert frames[0].shape == (2 * 66 + 2, 3 * 66 + 2, 3)


def test_a_run_logs_the_metrics_of_each_predicted_frame_and_of_the_baseline(frame_run):
    last = json.loads((frame_run / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["evaluation"]
    for name in ("mse", "mae", "ssim", "ssim_range_2", "psnr", "last_frame_mse", "last_frame_ssim"):
        assert last[name] == pytest.approx(sum(last[f"{name}/{k}"] for k in range(1, 11)) / 10)


def test_predict_on_a_gif_writes_a_gif_of_the_next_ten_frames(place, frame_run, clip):
    save_gif(clip, place / "clip.gif")
    done = run_zoo(place, "predict", "frames", "frames=clip.gif", "-o", "next.gif")
    assert done.returncode == 0, done.stderr
    assert "wrote next.gif" in done.stderr
    frames = list(frames_of_gif(place / "next.gif"))
    assert len(frames) == 10
    assert all(frame.shape == (64, 64, 3) for frame in frames)

    past = torch.from_numpy(clip[-10:].copy()).float().div(255).unsqueeze(0)
    with torch.inference_mode():
        expected = zoo.load(frame_run)(past).sigmoid()[0]
    for frame, one in zip(frames, expected, strict=True):
        shown = torch.from_numpy(frame[..., 0].copy()).float() / 255
        torch.testing.assert_close(shown, one, rtol=0, atol=0.02)  # a GIF has a palette of 256 colors


def test_a_clip_may_be_a_gif_an_array_or_a_folder_of_images(predict, tmp_path, frame_run, clip):
    save_gif(clip, "clip.gif")
    np.save("clip.npy", clip)
    np.savez("clip.npz", clip[..., None])
    np.save("unit.npy", (clip / 255).astype(np.float32))
    (tmp_path / "clip").mkdir()
    for number, frame in enumerate(clip):
        Image.fromarray(frame).save(tmp_path / "clip" / f"{number:03d}.png")
    results = []
    for name in ("clip.gif", "clip.npy", "clip.npz", "unit.npy", "clip"):
        written = "replaced" if results else "wrote"
        assert f"{written} next.npy" in predict(frame_run, f"frames={name}", "-o", "next.npy", "--overwrite")
        results.append(np.load("next.npy"))
    assert results[0].shape == (1, 10, 1, 64, 64)
    assert 0 <= results[0].min() <= results[0].max() <= 1
    for result in results:
        np.testing.assert_allclose(result, results[0], atol=1e-5)


@pytest.mark.parametrize("ahead", [1, 10, 23])
def test_ahead_is_the_number_of_predicted_frames(predict, frame_run, clip, ahead):
    np.save("clip.npy", clip)
    predict(frame_run, "frames=clip.npy", f"ahead={ahead}", "-o", "next.npy")
    predict(frame_run, "frames=clip.npy", "-o", "ten.npy")
    frames, ten = np.load("next.npy"), np.load("ten.npy")
    assert frames.shape == (1, ahead, 1, 64, 64)
    np.testing.assert_allclose(frames[:, :10], ten[:, :ahead], atol=1e-5)


def test_prediction_uses_the_last_frames_of_a_long_clip(predict, frame_run, clip):
    save_gif(clip, "long.gif")
    save_gif(clip[-10:], "short.gif")
    for name in ("long", "short"):
        predict(frame_run, f"frames={name}.gif", "-o", f"after-{name}.npy")
    assert np.array_equal(np.load("after-long.npy"), np.load("after-short.npy"))


def test_a_color_clip_of_another_size_is_predicted_in_its_size(predict, frame_run, clip):
    tall = np.repeat(clip[:, :45, :, None], 3, axis=3)
    save_gif(tall, "tall.gif")
    predict(frame_run, "frames=tall.gif", "-o", "next.gif")
    frames = list(frames_of_gif("next.gif"))
    assert len(frames) == 10
    assert frames[0].shape == (45, 64, 3)
    predict(frame_run, "frames=tall.gif", "-o", "next.png")
    with Image.open("next.png") as image:
        assert image.size == (10 * 66 + 2, 45 + 4)


# -- segmentation -------------------------------------------------------------


def test_predict_on_an_image_writes_a_mask_of_class_indices_and_an_overlay(place, scene_run, photo):
    Image.fromarray(photo).save(place / "photo.png")
    done = run_zoo(place, "predict", "scenes", "image=photo.png", "-o", "mask.png")
    assert done.returncode == 0, done.stderr
    assert "wrote mask.png" in done.stderr
    assert "wrote mask-overlay.png" in done.stderr
    with torch.inference_mode():
        scores = zoo.load(scene_run)(torch.from_numpy(photo).float().div(255)[None, None])
    with Image.open(place / "mask.png") as image:
        assert (image.format, image.mode, image.size) == ("PNG", "P", (70, 50))
        mask = np.asarray(image)
        colors = np.asarray(image.convert("RGB"))
    expected = scores.argmax(dim=1)[0].numpy()
    assert mask.max() <= 10
    assert (mask == expected).mean() > 0.99  # fusing may swap classes of almost equal logits
    for number in np.unique(mask):
        assert {tuple(color) for color in colors[mask == number].tolist()} == {zoo.palette(11)[number]}
    with Image.open(place / "mask-overlay.png") as image:
        assert (image.mode, image.size) == ("RGB", (70, 50))
        shown = np.asarray(image)
    assert np.array_equal(shown[mask == 0], np.repeat(photo[mask == 0][:, None], 3, axis=1))
    for number in set(np.unique(mask)) - {0}:
        mixed = photo[mask == number][:, None] / 2 + np.array(zoo.palette(11)[number]) / 2
        assert np.abs(shown[mask == number] - mixed).max() <= 1.5


def test_the_fraction_of_every_class_is_written_as_json(predict, scene_run, photo):
    Image.fromarray(photo).save("photo.png")
    predict(scene_run, "image=photo.png", "-o", "all.json")
    with open("all.json", encoding="utf-8") as file:
        output = json.load(file)
    assert list(output) == ["mask", "overlay", "fraction"]
    mask = np.array(output["mask"])
    names = ["background", *"0123456789"]
    expected = {names[number]: round(float((mask == number).mean()), 4) for number in np.unique(mask)}
    assert output["fraction"] == pytest.approx(expected, abs=1e-4)
    assert sum(output["fraction"].values()) == pytest.approx(1, abs=1e-3)


def test_images_of_any_mode_and_format_are_read(predict, scene_run, photo):
    gray = Image.fromarray(photo)
    gray.save("gray.png")
    gray.convert("RGB").save("rgb.png")
    gray.convert("RGBA").save("rgba.png")
    gray.convert("P").save("palette.png")
    gray.save("gray.gif")
    gray.save("gray.bmp")
    Image.fromarray(photo.astype(np.uint16) * 257).save("deep.png")
    np.save("gray.npy", photo)
    np.save("unit.npy", photo / 255)
    masks = {}
    for name in ("gray.png", "rgb.png", "rgba.png", "palette.png", "gray.gif", "gray.bmp", "deep.png", "gray.npy",
                 "unit.npy"):  # fmt: skip
        predict(scene_run, f"image={name}", "-o", "mask.png", "--overwrite")
        with Image.open("mask.png") as image:
            masks[name] = np.asarray(image)
    assert masks["gray.png"].shape == (50, 70)
    for name, mask in masks.items():
        assert (mask == masks["gray.png"]).mean() > 0.99, name

    gray.save("photo.jpg", quality=95)
    predict(scene_run, "image=photo.jpg", "-o", "mask.png", "--overwrite")
    with Image.open("mask.png") as image:
        assert image.size == (70, 50)


@pytest.mark.parametrize("size", [(1, 1), (3, 90), (131, 64)])
def test_the_mask_has_the_size_of_the_image(predict, scene_run, photo, size):
    Image.fromarray(photo).resize(size).save("photo.png")
    predict(scene_run, "image=photo.png", "-o", "mask.png")
    with Image.open("mask.png") as image:
        assert image.size == size


def test_the_exif_orientation_is_applied(predict, scene_run, photo):
    upright = Image.fromarray(photo)
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: rotate by 90 degrees clockwise
    upright.transpose(Image.Transpose.ROTATE_90).save("rotated.png", exif=exif)
    upright.save("upright.png")
    for name in ("rotated", "upright"):
        predict(scene_run, f"image={name}.png", "-o", f"{name}-mask.png")
    with Image.open("rotated-mask.png") as rotated, Image.open("upright-mask.png") as expected:
        assert np.array_equal(np.asarray(rotated), np.asarray(expected))


# -- errors ----------------------------------------------------------------


def test_an_error_is_two_lines_and_no_file_is_written(place, frame_run, clip):
    save_gif(clip[:9], place / "short.gif")
    failed = run_zoo(place, "predict", "frames", "frames=short.gif", "-o", "never.gif")
    assert (failed.returncode, failed.stdout) == (2, "")
    message, hint = failed.stderr.splitlines()
    assert message == "error: short.gif has 9 frames, but this model takes 10."
    assert "longer clip" in hint
    assert not (place / "never.gif").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["frames=clip.gif", "ahead=0"], "ahead is 0, but should be an integer of at least 1"),
        (["frames=clip.gif", "ahead=-2"], "ahead is -2, but"),
        (["frames=clip.gif", "ahead=2.5"], "ahead is 2.5, but"),
        (["frames=clip.gif", "ahead=true"], "ahead is true, but"),
        (["frames=still.png"], "still.png has 1 frames, but this model takes 10"),
        (["frames=absent.gif"], "absent.gif does not exist"),
        (["frames=text.gif"], "text.gif is not a supported image file"),
        (["frames=text.npy"], "text.npy can't be read"),
        (["frames=flat.npy"], "flat.npy holds an array of shape (64, 64), but should hold (T, H, W)"),
        (["frames=loud.npy"], "loud.npy holds values from 0 to 255"),
        (["frames=empty"], "empty holds no images"),
        (["frames=mixed"], "mixed/1.png is 32 x 64, but the first frame is 64 x 64"),
        (["image=still.png"], "this model predicts frames: it takes `frames`, not `image`"),
        (["frames=clip.gif", "image=still.png"], "this model predicts frames: it takes `frames`, not `image`"),
        ([], "this model predicts frames: it takes `frames`, not `image`"),
    ],
)
def test_invalid_arguments_for_next_frame_prediction_are_an_error(predict, tmp_path, frame_run, clip, words, expected):
    save_gif(clip, "clip.gif")
    Image.fromarray(clip[0]).save("still.png")
    (tmp_path / "text.gif").write_text("not an image")
    (tmp_path / "text.npy").write_text("no array")
    np.save("flat.npy", clip[0])
    np.save("loud.npy", np.clip(clip.astype(np.float32), 0, 255))
    (tmp_path / "empty").mkdir()
    (tmp_path / "mixed").mkdir()
    for number in range(10):
        Image.fromarray(clip[number, : 32 if number == 1 else 64]).save(tmp_path / "mixed" / f"{number}.png")
    message, *_ = predict(frame_run, *words, "-o", "next.gif", code=2).splitlines()
    assert message.startswith("error: ")
    assert expected in message
    assert not (tmp_path / "next.gif").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["image=absent.png"], "absent.png does not exist"),
        (["image=text.png"], "text.png is not a supported image file"),
        (["image=half.png"], "half.png can't be read"),
        (["image=counts.npy"], "counts.npy holds int64"),
        (["image=deep.npy"], "deep.npy holds images of shape (20, 30, 5)"),
        (["frames=photo.png"], "this model segments an image and takes `image` only"),
        (["image=photo.png", "ahead=3"], "this model segments an image and takes `image` only"),
        ([], "this model segments an image and takes `image` only"),
    ],
)
def test_invalid_arguments_for_segmentation_are_an_error(predict, tmp_path, scene_run, photo, words, expected):
    Image.fromarray(photo).save("photo.png")
    content = (tmp_path / "photo.png").read_bytes()
    (tmp_path / "half.png").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.png").write_text("not an image")
    np.save("counts.npy", np.zeros((20, 30), np.int64))
    np.save("deep.npy", np.zeros((20, 30, 5), np.uint8))
    message, *_ = predict(scene_run, *words, "-o", "mask.png", code=2).splitlines()
    assert message.startswith("error: ")
    assert expected in message
    assert not (tmp_path / "mask.png").exists()


def test_a_mask_is_written_as_png_only(predict, tmp_path, scene_run, photo):
    Image.fromarray(photo).save("photo.png")
    errors = predict(scene_run, "image=photo.png", "-o", "mask.jpg", code=2)
    assert "error: mask.jpg should end in .png: class indices are stored losslessly." in errors.splitlines()
    assert not (tmp_path / "mask.jpg").exists()


# -- a killed run ----------------------------------------------------


@pytest.mark.long
def test_resume_after_kill_is_bit_identical(tmp_path, frame_run):
    process = subprocess.Popen(
        [sys.executable, *ZOO[1:], "run", *FRAMES, "--folder", "killed"],
        cwd=tmp_path,
        env=environment(tmp_path),
        stderr=subprocess.PIPE,
    )
    checkpoints, end = tmp_path / "killed" / "checkpoints", time.monotonic() + 200
    while process.poll() is None and time.monotonic() < end and not list(checkpoints.glob("step-*")):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "model.safetensors").exists()

    resumed = run_zoo(tmp_path, "run", "--resume", "killed")
    assert resumed.returncode == 0, resumed.stderr
    assert (tmp_path / "killed" / "model.safetensors").read_bytes() == (frame_run / "model.safetensors").read_bytes()


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_files_of_fewer_bits_than_those_of_the_training_are_predicted_with_the_white_that_the_message_names(
    tmp_path, bits
):
    model = zoo.build("unet", {"in_channels": 1, "out_channels": 2, "output": "class_logits", "head": "linear",
                               "base_channels": 2, "depth": 1})  # fmt: skip
    values = np.linspace(0, 2**bits - 1, 256).astype(np.uint16).reshape(16, 16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    white = 2**bits - 1
    with pytest.raises(zoo.BadFile, match="nearly black") as error:
        model.predict(image=str(tmp_path / "deep.png"))
    assert f"max_value={white}." in error.value.hint
    read = model.read_inputs(image=str(tmp_path / "deep.png"), max_value=white)["image"]
    assert torch.allclose(read, torch.from_numpy(values.astype(np.float32) / white)[None])
    given = model.predict(image=str(tmp_path / "deep.png"), max_value=white)
    assert torch.equal(given["mask"], model.predict(image=read)["mask"])
