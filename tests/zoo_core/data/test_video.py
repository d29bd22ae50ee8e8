"""Videos are read by PyAV, exactly and from the nearest key frame."""

import sys

import numpy as np
import pytest
import torch

import zoo_core as zoo
from zoo_core.data import video
from zoo_core.errors import BadFile

COUNT = 60


def frames():
    rows, columns = np.mgrid[:48, :64]
    for number in range(COUNT):
        gray = 127 + 120 * np.sin((rows + 3 * number) / 9) * np.cos(columns / 7)
        yield np.stack([gray, gray[::-1], 255 - gray], axis=-1).astype(np.uint8)


def write(path, codec, **options):
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.gop_size = 10
        stream.options = options
        for frame in frames():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("name", "codec", "indexed"),
    [("a.mp4", "libx264", True), ("a.mkv", "libx264", True), ("a.avi", "mpeg4", True), ("a.webm", "libvpx-vp9", True),
     ("a.mpg", "mpeg1video", False)],
)  # fmt: skip
def test_every_window_equals_the_part_of_the_whole(tmp_path, name, codec, indexed):
    path = write(tmp_path / name, codec)
    index = video.video_index(path)
    assert (index.length, index.height, index.width) == (COUNT, 48, 64)
    assert zoo.clip_shape(path) == (COUNT, 48, 64)
    assert (len(index.keys) >= 5 or codec == "libvpx-vp9") if indexed else not index.times
    whole = zoo.read_frames(path, 3)
    assert len(whole) == COUNT
    assert float((whole[7] * 255 - torch.from_numpy(list(frames())[7]).permute(2, 0, 1)).abs().mean()) < 16
    for start in (0, 1, 9, 10, 11, 29, 37, 52):
        assert torch.equal(zoo.read_frames(path, 3, start, start + 8), whole[start : start + 8]), start
    assert torch.equal(zoo.read_frames(path, 3, -4), whole[-4:])


def test_a_video_without_an_index_is_decoded_once(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mpg", "mpeg1video")
    whole = zoo.read_frames(path, 3)
    monkeypatch.setattr("zoo_core.data.decoded_clips.SMALL", 0)
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    assert torch.equal(zoo.read_frames(path, 3, 40, 44), whole[40:44])
    assert len(list((tmp_path / "home" / "cache" / "clips").iterdir())) == 1


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4")])
def test_a_video_that_ends_early_is_refused(tmp_path, name, codec):
    path = write(tmp_path / name, codec)
    content = path.read_bytes()
    for part in (1, 100, len(content) // 2):
        path.write_bytes(content[:part])
        with pytest.raises(BadFile, match=rf"{name} "):
            zoo.check_clips([path])


@pytest.mark.parametrize("content", [b"", b"not a video", b"#EXTM3U\nhttp://localhost/a.mp4\n", b"RIFF____AVI LIST"])
def test_a_file_that_is_no_video_is_refused(tmp_path, content):
    pytest.importorskip("av")
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(BadFile, match=r"a\.mp4 "):
        zoo.check_clips([tmp_path / "a.mp4"])


def test_sound_without_frames_is_refused(tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(BadFile, match=r"a\.mp4 contains no frames"):
        zoo.check_clips([tmp_path / "a.mp4"])


def test_without_pyav_the_message_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "a.mp4").write_bytes(b"a video")
    for read in (zoo.clip_shape, lambda path: zoo.read_frames(path, 3), lambda path: zoo.check_clips([path])):
        with pytest.raises(BadFile, match=r"a\.mp4 is a video, for which PyAV is needed") as refused:
            read(tmp_path / "a.mp4")
        assert refused.value.hint == 'Install it with `pip install "zoo-core[video]"`.'
