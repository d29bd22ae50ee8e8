"""Moving MNIST of the shipped digits: where they go, whose they are, and that a clip is always the same clip."""

import pickle  # noqa: TID251  # to make the files that must not be read

import numpy as np
import pytest
import torch
import torchvision
from torch.utils.data import DataLoader

import zoo_core as zoo
from zoo_plugins.datasets.moving_mnist import BouncingDigits, MovingMNIST
from zoo_plugins.datasets.sprites import Digits


def make(**settings):
    return MovingMNIST(MovingMNIST.Config(**{"source": "subset", "published": False, **settings}))


def cropped(picture):
    """What of ``picture`` is not black, as bytes and shape, and its place (y, x)."""
    (y, *_, bottom), (x, *_, right) = (np.flatnonzero(picture.any(axis=axis)) for axis in (1, 0))
    crop = picture[y : bottom + 1, x : right + 1]
    return (crop.tobytes(), crop.shape), (y, x)


@pytest.fixture(scope="module")
def known():
    """Every shipped digit by what of it is not black: the part it is of, and where in 28 x 28 that lies."""
    digits, known = Digits("subset", None, True), {}
    for part in ("train", "held_out", "test"):
        for picture in getattr(digits, part)[0].numpy():
            crop, place = cropped(picture)
            known[crop] = (part, *place)
    assert len(known) == 5000
    return known


def frames_of(clip):
    """(T, H, W) uint8"""
    return torch.cat([clip["past"], clip["future"]])[:, 0].mul(255).round().byte().numpy()


def collated(batch):
    return batch


# -- the procedure -----------------------------------------------------------


def test_clips_are_frames_in_and_frames_out_in_0_to_1():
    batch = make(frames_in=3, frames_out=5, size=48).train().__getitems__([0, 1])
    assert type(batch) is zoo.Batch
    assert {name: tuple(clip.shape) for name, clip in batch.items()} == {
        "past": (2, 3, 1, 48, 48), "future": (2, 5, 1, 48, 48),
    }  # fmt: skip
    for clip in batch.values():
        assert (clip.dtype, float(clip.min()), float(clip.max())) == (torch.float32, 0, 1)


def test_a_digit_stays_whole_and_inside_and_turns_back_only_at_the_edges(known):
    examples, room = make(digits=1, size=128, frames_in=20, frames_out=20).train(), 100
    turned = set()
    for number in range(20):
        corners = []
        for frame in frames_of(examples[number]):
            crop, (y, x) = cropped(frame)
            _, top, left = known[crop]  # a digit that is cut off would not be found
            corners.append((y - top, x - left))
        corners = np.array(corners)
        assert corners.min() >= 0
        assert corners.max() <= room
        moved, edge = np.diff(corners, axis=0), np.isin(corners, (0, room))
        for axis in (0, 1):
            for time in range(2, len(moved)):
                before, after = moved[time - 2, axis], moved[time, axis]
                if edge[[time - 2, time - 1, time + 1], axis].any():
                    continue  # a step that an edge cut short
                if edge[time, axis]:
                    assert abs(after + before) <= 1  # back as it came, rounded to pixels
                    turned.add((axis, int(corners[time, axis])))
                else:
                    assert abs(after - before) <= 1
    assert turned == {(0, 0), (0, room), (1, 0), (1, room)}


def test_a_step_is_a_tenth_of_the_way_from_edge_to_edge(known):
    examples, speeds = make(digits=1, size=228, frames_in=2, frames_out=1).train(), []
    for number in range(60):
        corners = []
        for frame in frames_of(examples[number]):
            crop, (y, x) = cropped(frame)
            corners.append((y - known[crop][1], x - known[crop][2]))
        if all(0 < place < 200 for corner in corners for place in corner):
            speeds += [float(np.hypot(*step)) for step in np.diff(corners, axis=0)]
    assert len(speeds) > 40
    assert speeds == pytest.approx([20] * len(speeds), abs=1.5)


def test_the_brighter_pixel_wins_where_digits_overlap():
    pictures = Digits("subset", None, True).test[0][[0, 500]].numpy()
    config = MovingMNIST.Config(size=32, digits=2)

    def clips(*digits):
        batch = BouncingDigits(np.stack(digits), config, (0, 0))(range(20))
        return torch.cat([batch["past"], batch["future"]], dim=1)

    nothing = np.zeros_like(pictures[0])
    one, other = clips(pictures[0], nothing), clips(nothing, pictures[1])  # the same ways, one digit left out
    assert ((one > 0) & (other > 0) & (one != other)).any()
    assert torch.equal(clips(*pictures), torch.maximum(one, other))


def test_clips_have_as_many_digits_as_are_asked_for():
    brightness = {
        digits: float(make(digits=digits).train().__getitems__(range(40))["past"].mean()) for digits in (1, 2)
    }
    assert brightness[2] == pytest.approx(2 * brightness[1], rel=0.25)


# -- whose digits ------------------------------------------------------------


def test_every_part_has_digits_of_its_own(known):
    data = make(digits=1, validation_clips=40, test_clips=40)
    parts = {"train": data.train(), "held_out": data.validation(), "test": data.test()}
    for part, examples in parts.items():
        crops = [cropped(frames_of(examples[number])[0])[0] for number in range(40)]
        assert {known[crop][0] for crop in crops} == {part}
        assert len(set(crops)) > 30


def test_the_last_twelfth_of_the_training_digits_is_held_out():
    digits = Digits("subset", None, True)
    assert [len(part[1]) for part in (digits.train, digits.held_out, digits.test)] == [3667, 333, 1000]
    mnist = zoo.build("mnist", {"source": "subset"}, kind="dataset").train().tensors
    pictures = torch.cat([digits.train[0], digits.held_out[0]])
    assert torch.equal(pictures, mnist["image"][:, 0].mul(255).round().byte())
    assert torch.equal(torch.cat([digits.train[1], digits.held_out[1]]), mnist["label"])


# -- the same clip -----------------------------------------------------------


def test_clip_k_of_a_seed_is_the_same_in_any_batch_and_any_instance():
    one, other = make(seed=3).train(), make(seed=3, epoch_size=50).train()
    expected = one[7]
    for batch, place in (
        (one.__getitems__([7]), 0),
        (one.__getitems__([1, 7, 900]), 1),
        (other.__getitems__([9, 7]), 1),
    ):
        for name, clip in expected.items():
            assert torch.equal(batch[name][place], clip)
    assert torch.equal(other[7]["past"], expected["past"])


@pytest.mark.parametrize("workers", [1, 2])
def test_clip_k_is_the_same_in_other_processes(workers):
    examples, numbers = make().train(), [[0, 1], [5, 2], [3, 4]]
    loader = DataLoader(examples, batch_sampler=numbers, num_workers=workers, collate_fn=collated)
    for indices, batch in zip(numbers, loader, strict=True):
        for name, clip in examples.__getitems__(indices).items():
            assert torch.equal(batch[name], clip)


def test_a_copy_that_was_sent_to_another_process_makes_the_same_clips():
    examples = make().train()
    sent = pickle.loads(pickle.dumps(examples))  # noqa: S301  # as a process that was spawned gets it
    assert torch.equal(sent[3]["past"], examples[3]["past"])


def test_training_clips_never_end_and_never_repeat():
    examples = make(epoch_size=100).train()
    assert examples.endless
    assert len(examples) == 100
    seen = {examples[number]["past"].numpy().tobytes() for number in (0, 1, 99, 100, 200, 10**9)}
    assert len(seen) == 6


def test_another_seed_gives_other_training_clips_and_the_same_test():
    one, other = make(seed=0), make(seed=1)
    assert not torch.equal(one.train()[0]["past"], other.train()[0]["past"])
    for part in ("validation", "evaluation"):
        ours, theirs = getattr(one, part)(), getattr(other, part)()
        assert not getattr(ours, "endless", False)
        for number in (0, 5):
            assert torch.equal(ours[number]["future"], theirs[number]["future"])
    assert (len(one.validation()), len(one.test())) == (1_000, 10_000)


def test_clips_of_different_parts_go_different_ways():
    data = make(digits=1)
    ways = set()
    for examples in (data.train(), data.validation(), data.test()):
        frames = frames_of(examples[0])
        ways.add(tuple(np.diff([cropped(frame)[1] for frame in frames], axis=0).flatten().tolist()))
    assert len(ways) == 3


def test_the_fingerprint_follows_the_settings_that_matter(tmp_path):
    one = make().fingerprint()
    assert one.startswith("made-")
    assert one == make(root=str(tmp_path), download=False).fingerprint()
    assert len({one, make(seed=1).fingerprint(), make(size=80).fingerprint()}) == 3


# -- the published test set --------------------------------------------------


@pytest.fixture
def published(tmp_path):
    """A test set in the published layout, of five clips, below the data root ``tmp_path``; and its frames."""
    batch = make(seed=9).train().__getitems__(range(5))
    frames = torch.cat([batch["past"], batch["future"]], dim=1)[:, :, 0].mul(255).round().byte()
    path = tmp_path / "MovingMNIST" / "mnist_test_seq.npy"
    path.parent.mkdir()
    np.save(path, frames.transpose(0, 1).numpy())  # (20, 5, 64, 64)
    return path, frames


def test_a_published_test_set_below_the_data_root_is_measured_on_and_said_so(tmp_path, published, monkeypatch):
    path, frames = published
    monkeypatch.setenv("ZOO_DATA", str(tmp_path))
    data = make(published=True)
    with pytest.warns(UserWarning, match="measured on the published test set in") as said:
        examples = data.test()
    assert str(path) in str(said[0].message)
    assert len(said) == 1
    assert len(examples) == 5
    batch = examples.__getitems__([4, 0])
    assert torch.equal(batch["past"][:, :, 0], frames[[4, 0], :10] / 255)
    assert torch.equal(batch["future"][:, :, 0], frames[[4, 0], 10:] / 255)
    assert torch.equal(data.train()[0]["past"], make().train()[0]["past"])
    assert torch.equal(data.validation()[0]["past"], make().validation()[0]["past"])


def test_torchvision_reads_the_same_clips_from_that_file(tmp_path, published):
    theirs = torchvision.datasets.MovingMNIST(tmp_path)
    with pytest.warns(UserWarning, match="published"):
        ours = make(published=True, root=str(tmp_path)).test()
    assert len(theirs) == len(ours) == 5
    for number in range(5):
        assert np.array_equal(theirs[number][:, 0].numpy(), frames_of(ours[number]))


def test_a_published_test_set_is_read_by_workers_too(tmp_path, published):
    with pytest.warns(UserWarning, match="published"):
        examples = make(published=True, root=str(tmp_path)).test()
    loader = DataLoader(examples, batch_sampler=[[0, 1], [2, 3, 4]], num_workers=2, collate_fn=collated)
    seen = torch.cat([batch["future"] for batch in loader])
    assert torch.equal(seen, examples.__getitems__(range(5))["future"])


@pytest.mark.parametrize("settings", [{"published": False}, {"frames_out": 5}, {"size": 80}, {"digits": 3}])
def test_it_does_not_serve_where_it_is_not_wanted_or_does_not_fit(tmp_path, published, settings):
    data = make(**{"published": True, "root": str(tmp_path), "test_clips": 3, **settings})
    assert len(data.test()) == 3
    assert data.fingerprint().startswith("made-")


def test_it_may_be_cut_elsewhere_between_past_and_future(tmp_path, published):
    _, frames = published
    with pytest.warns(UserWarning, match="published"):
        batch = make(published=True, root=str(tmp_path), frames_in=4, frames_out=16).test().__getitems__([1])
    assert torch.equal(batch["past"][:, :, 0], frames[[1], :4] / 255)


def test_the_fingerprint_tells_which_test_set_served(tmp_path, published):
    path, frames = published
    with pytest.warns(UserWarning, match="published"):
        one = make(published=True, root=str(tmp_path)).fingerprint()
    np.save(path, frames.flip(0).transpose(0, 1).numpy())
    with pytest.warns(UserWarning, match="published"):
        other = make(published=True, root=str(tmp_path)).fingerprint()
    assert one.startswith("published-")
    assert len({one, other, make().fingerprint()}) == 3


class Opens:
    """Unpickling it would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize(
    "damage",
    ["empty", "half", "header", "nonsense", "pickle", "objects", "archive", "few", "flat", "small", "floats", "none"],
)
def test_a_damaged_or_misshapen_one_is_an_error_that_names_it(tmp_path, published, damage):
    path, _ = published
    whole = path.read_bytes()
    contents = {
        "empty": b"", "half": whole[: len(whole) // 2], "header": whole[:40],
        "nonsense": b"\x93NUMPY\x01\x00\x10\x00" + b"{" * 99,
        "pickle": pickle.dumps(Opens(str(tmp_path / "ran"))), "archive": b"PK\x03\x04" + whole,
    }  # fmt: skip
    arrays = {
        "few": np.zeros((10, 5, 64, 64), np.uint8), "flat": np.zeros((20, 64, 64), np.uint8),
        "small": np.zeros((20, 5, 32, 32), np.uint8), "floats": np.zeros((20, 5, 64, 64), np.float32),
        "none": np.zeros((20, 0, 64, 64), np.uint8), "objects": np.array([Opens(str(tmp_path / "ran"))]),
    }  # fmt: skip
    if damage in contents:
        path.write_bytes(contents[damage])
    else:
        np.save(path, arrays[damage], allow_pickle=True)
    data = make(published=True, root=str(tmp_path))
    with pytest.warns(UserWarning, match="published"), pytest.raises(zoo.ZooError) as error:
        data.test()
    assert str(path) in error.value.message
    assert error.value.hint == "Delete it, or bring it anew."
    assert not (tmp_path / "ran").exists()
