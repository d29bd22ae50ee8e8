"""Moving MNIST: trajectories, digits of each split, determinism, and the published test set."""

import copy
import pickle  # noqa: TID251  # for files that must not be unpickled

import numpy as np
import pytest
import torch
import torchvision
from torch.utils.data import DataLoader

import zoo_core as zoo
from zoo_plugins.datasets.moving_mnist import BouncingDigits, MovingMNIST
from zoo_plugins.datasets.sprites import Digits


def make(**settings):
    return MovingMNIST(MovingMNIST.Config(**{"source": "subset", "use_published_test_set": False, **settings}))


def cropped(image):
    """The bounding box of the nonzero pixels of ``image``, as bytes and shape, and its position (y, x)."""
    (y, *_, bottom), (x, *_, right) = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
    crop = image[y : bottom + 1, x : right + 1]
    return (crop.tobytes(), crop.shape), (y, x)


@pytest.fixture(scope="module")
def known():
    """The split and the position in 28 x 28 of each bundled digit, by its bounding box."""
    digits, known = Digits("subset", None, True), {}
    for split in ("train", "validation", "test"):
        for image in getattr(digits, split)[0].numpy():
            crop, position = cropped(image)
            known[crop] = (split, *position)
    assert len(known) == 5000
    return known


def frames_of(clip):
    """(T, H, W) uint8"""
    return torch.cat([clip["past"], clip["future"]])[:, 0].mul(255).round().byte().numpy()


def collated(batch):
    return batch


# -- the procedure -----------------------------------------------------------


def test_clips_have_frames_in_past_and_frames_out_future_frames_in_0_to_1():
    batch = make(frames_in=3, frames_out=5, size=48).train().__getitems__([0, 1])
    assert type(batch) is zoo.Batch
    assert {name: tuple(clip.shape) for name, clip in batch.items()} == {
        "past": (2, 3, 1, 48, 48), "future": (2, 5, 1, 48, 48),
    }  # fmt: skip
    for clip in batch.values():
        assert (clip.dtype, float(clip.min()), float(clip.max())) == (torch.float32, 0, 1)


def test_digits_stay_inside_the_frame_and_are_reflected_at_the_edges_only(known):
    examples, limit = make(num_digits=1, size=128, frames_in=20, frames_out=20).train(), 100
    reflected = set()
    for number in range(20):
        corners = []
        for frame in frames_of(examples[number]):
            crop, (y, x) = cropped(frame)
            _, top, left = known[crop]  # a digit that is cut off would not be found
            corners.append((y - top, x - left))
        corners = np.array(corners)
        assert corners.min() >= 0
        assert corners.max() <= limit
        velocity, edge = np.diff(corners, axis=0), np.isin(corners, (0, limit))
        for axis in (0, 1):
            for time in range(2, len(velocity)):
                before, after = velocity[time - 2, axis], velocity[time, axis]
                if edge[[time - 2, time - 1, time + 1], axis].any():
                    continue  # a step that an edge has shortened
                if edge[time, axis]:
                    assert abs(after + before) <= 1  # reversed, up to rounding to pixels
                    reflected.add((axis, int(corners[time, axis])))
                else:
                    assert abs(after - before) <= 1
    assert reflected == {(0, 0), (0, limit), (1, 0), (1, limit)}


def test_the_speed_is_a_tenth_of_the_distance_between_the_edges_per_frame(known):
    examples, speeds = make(num_digits=1, size=228, frames_in=2, frames_out=1).train(), []
    for number in range(60):
        corners = []
        for frame in frames_of(examples[number]):
            crop, (y, x) = cropped(frame)
            corners.append((y - known[crop][1], x - known[crop][2]))
        if all(0 < coordinate < 200 for corner in corners for coordinate in corner):
            speeds += [float(np.hypot(*step)) for step in np.diff(corners, axis=0)]
    assert len(speeds) > 40
    assert speeds == pytest.approx([20] * len(speeds), abs=1.5)


def test_overlapping_digits_are_combined_by_the_maximum():
    first, second = Digits("subset", None, True).test[0][[0, 500]].numpy()
    config = MovingMNIST.Config(size=32, num_digits=2)

    def clips(*digits):
        made = BouncingDigits(np.stack(digits), config, (0, 0))
        batch = made.render(made.draw(range(20)))
        return torch.cat([batch["past"], batch["future"]], dim=1)

    blank = np.zeros_like(first)
    one, other = clips(first, blank), clips(blank, second)  # the same trajectories with one of the digits
    assert ((one > 0) & (other > 0) & (one != other)).any()
    assert torch.equal(clips(first, second), torch.maximum(one, other))


def test_clips_have_num_digits_digits():
    brightness = {
        digits: float(make(num_digits=digits).train().__getitems__(range(40))["past"].mean()) for digits in (1, 2)
    }
    assert brightness[2] == pytest.approx(2 * brightness[1], rel=0.25)


# -- digits of each split ------------------------------------------------------------


def test_each_split_has_its_own_digits(known):
    data = make(num_digits=1, validation_clips=40, test_clips=40)
    splits = {"train": data.train(), "validation": data.validation(), "test": data.test()}
    for split, examples in splits.items():
        crops = [cropped(frames_of(examples[number])[0])[0] for number in range(40)]
        assert {known[crop][0] for crop in crops} == {split}
        assert len(set(crops)) > 30


def test_the_last_twelfth_of_the_training_digits_is_for_validation():
    digits = Digits("subset", None, True)
    assert [len(labels) for _, labels in (digits.train, digits.validation, digits.test)] == [3667, 333, 1000]
    mnist = zoo.build("mnist", {"source": "subset"}, kind="dataset").train().tensors
    images = torch.cat([digits.train[0], digits.validation[0]])
    assert torch.equal(images, mnist["image"][:, 0].mul(255).round().byte())
    assert torch.equal(torch.cat([digits.train[1], digits.validation[1]]), mnist["label"])


# -- determinism -----------------------------------------------------------


def test_clip_k_of_a_seed_is_the_same_in_any_batch_and_instance():
    one, other = make(seed=3).train(), make(seed=3, epoch_size=50).train()
    expected = one[7]
    for batch, index in (
        (one.__getitems__([7]), 0),
        (one.__getitems__([1, 7, 900]), 1),
        (other.__getitems__([9, 7]), 1),
    ):
        for name, clip in expected.items():
            assert torch.equal(batch[name][index], clip)
    assert torch.equal(other[7]["past"], expected["past"])


@pytest.mark.parametrize("workers", [1, 2])
def test_clip_k_is_the_same_in_worker_processes(workers):
    examples, numbers = make().train(), [[0, 1], [5, 2], [3, 4]]
    loader = DataLoader(examples, batch_sampler=numbers, num_workers=workers, collate_fn=collated)
    for indices, batch in zip(numbers, loader, strict=True):
        for name, clip in examples.__getitems__(indices).items():
            assert torch.equal(batch[name], clip)


def test_a_pickled_copy_generates_the_same_clips():
    examples = make().train()
    copy = pickle.loads(pickle.dumps(examples))  # noqa: S301  # spawned workers receive pickled copies
    assert torch.equal(copy[3]["past"], examples[3]["past"])


def test_training_clips_are_endless_and_differ():
    examples = make(epoch_size=100).train()
    assert examples.endless
    assert len(examples) == 100
    seen = {examples[number]["past"].numpy().tobytes() for number in (0, 1, 99, 100, 200, 10**9)}
    assert len(seen) == 6


def test_the_seed_changes_the_training_clips_only():
    one, other = make(seed=0), make(seed=1)
    assert not torch.equal(one.train()[0]["past"], other.train()[0]["past"])
    for split in ("validation", "test"):
        ours, theirs = getattr(one, split)(), getattr(other, split)()
        assert not getattr(ours, "endless", False)
        for number in (0, 5):
            assert torch.equal(ours[number]["future"], theirs[number]["future"])
    assert (len(one.validation()), len(one.test())) == (1_000, 10_000)


def test_the_splits_have_different_trajectories():
    data = make(num_digits=1)
    trajectories = set()
    for examples in (data.train(), data.validation(), data.test()):
        frames = frames_of(examples[0])
        trajectories.add(tuple(np.diff([cropped(frame)[1] for frame in frames], axis=0).flatten().tolist()))
    assert len(trajectories) == 3


def test_the_fingerprint_depends_on_the_settings_that_affect_the_clips(tmp_path):
    one = make().fingerprint()
    assert len(one) == 64
    assert one == make(root=str(tmp_path), download=False).fingerprint()
    assert len({one, make(seed=1).fingerprint(), make(size=80).fingerprint()}) == 3


# -- the published test set --------------------------------------------------


@pytest.fixture
def published(tmp_path):
    """The path and the frames of a test set of five clips in the published format, below the data root ``tmp_path``."""
    batch = make(seed=9).train().__getitems__(range(5))
    frames = torch.cat([batch["past"], batch["future"]], dim=1)[:, :, 0].mul(255).round().byte()
    path = tmp_path / "MovingMNIST" / "mnist_test_seq.npy"
    path.parent.mkdir()
    np.save(path, frames.transpose(0, 1).numpy())  # (20, 5, 64, 64)
    return path, frames


def test_a_published_test_set_below_the_data_root_is_used_with_a_warning(tmp_path, published, monkeypatch):
    path, frames = published
    monkeypatch.setenv("ZOO_DATA", str(tmp_path))
    data = make(use_published_test_set=True)
    with pytest.warns(UserWarning, match="the test split is the published test set in") as warned:
        examples = data.test()
    assert str(path) in str(warned[0].message)
    assert len(warned) == 1
    assert len(examples) == 5
    batch = examples.__getitems__([4, 0])
    assert torch.equal(batch["past"][:, :, 0], frames[[4, 0], :10] / 255)
    assert torch.equal(batch["future"][:, :, 0], frames[[4, 0], 10:] / 255)
    assert torch.equal(data.train()[0]["past"], make().train()[0]["past"])
    assert torch.equal(data.validation()[0]["past"], make().validation()[0]["past"])


def test_torchvision_reads_the_same_clips(tmp_path, published):
    theirs = torchvision.datasets.MovingMNIST(tmp_path)
    with pytest.warns(UserWarning, match="published"):
        ours = make(use_published_test_set=True, root=str(tmp_path)).test()
    assert len(theirs) == len(ours) == 5
    for number in range(5):
        assert np.array_equal(theirs[number][:, 0].numpy(), frames_of(ours[number]))


def test_workers_read_the_published_test_set(tmp_path, published):
    with pytest.warns(UserWarning, match="published"):
        examples = make(use_published_test_set=True, root=str(tmp_path)).test()
    loader = DataLoader(examples, batch_sampler=[[0, 1], [2, 3, 4]], num_workers=2, collate_fn=collated)
    seen = torch.cat([batch["future"] for batch in loader])
    assert torch.equal(seen, examples.__getitems__(range(5))["future"])


@pytest.mark.parametrize(
    "settings", [{"use_published_test_set": False}, {"frames_out": 5}, {"size": 80}, {"num_digits": 3}]
)
def test_it_is_not_used_if_disabled_or_if_the_settings_differ(tmp_path, published, settings):
    data = make(**{"use_published_test_set": True, "root": str(tmp_path), "test_clips": 3, **settings})
    assert len(data.test()) == 3
    unpublished = make(**{"use_published_test_set": True, "root": str(tmp_path / "none"), "test_clips": 3, **settings})
    assert data.fingerprint() == unpublished.fingerprint()


def test_it_may_be_split_differently_into_past_and_future(tmp_path, published):
    _, frames = published
    with pytest.warns(UserWarning, match="published"):
        batch = (
            make(use_published_test_set=True, root=str(tmp_path), frames_in=4, frames_out=16).test().__getitems__([1])
        )
    assert torch.equal(batch["past"][:, :, 0], frames[[1], :4] / 255)


def test_the_fingerprint_depends_on_the_test_set(tmp_path, published):
    path, frames = published
    with pytest.warns(UserWarning, match="published"):
        one = make(use_published_test_set=True, root=str(tmp_path)).fingerprint()
    changed = frames.clone()
    changed[1, 7, 30, 20] ^= 1
    np.save(path, changed.transpose(0, 1).numpy())
    with pytest.warns(UserWarning, match="published"):
        other = make(use_published_test_set=True, root=str(tmp_path)).fingerprint()
    assert len(one) == 64
    assert len({one, other, make(use_published_test_set=True, root=str(tmp_path / "none")).fingerprint()}) == 3


class Opens:
    """Unpickling it creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize(
    "damage",
    ["empty", "half", "header", "nonsense", "pickle", "objects", "archive", "few", "flat", "small", "floats", "none"],
)
def test_a_damaged_file_or_one_of_another_shape_is_an_error_that_names_it(tmp_path, published, damage):
    path, _ = published
    content = path.read_bytes()
    contents = {
        "empty": b"", "half": content[: len(content) // 2], "header": content[:40],
        "nonsense": b"\x93NUMPY\x01\x00\x10\x00" + b"{" * 99,
        "pickle": pickle.dumps(Opens(str(tmp_path / "ran"))), "archive": b"PK\x03\x04" + content,
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
    data = make(use_published_test_set=True, root=str(tmp_path))
    with pytest.warns(UserWarning, match="published"), pytest.raises(zoo.ZooError) as error:
        data.test()
    assert str(path) in error.value.message
    assert error.value.hint == "Delete it or download it again."
    assert not (tmp_path / "ran").exists()


# -- drawn on an accelerator ---------------------------------------------------------


@pytest.mark.parametrize(
    "settings", [{}, {"size": 29, "num_digits": 3, "frames_out": 1}, {"size": 90, "num_digits": 1}]
)
def test_clips_drawn_by_an_accelerator_are_those_of_the_cpu(settings):
    examples = make(**settings).train()
    drawn = examples.make(range(40))
    clips, length = examples.make.__self__, drawn["corner"].shape[1]
    frames = clips.draw_on_device(drawn["digit"], drawn["corner"])
    assert frames.shape[1] == length
    assert torch.equal(frames.float() / 255, torch.cat(list(examples.render(drawn).values()), 1).squeeze(2))


def test_what_is_sent_to_an_accelerator_is_small():
    drawn = make().train().make(range(16))
    assert sum(tensor.numel() * tensor.element_size() for tensor in drawn.values()) < 11_000


def test_clips_can_be_sent_to_other_processes():
    examples = copy.deepcopy(make().train())  # which takes them apart as pickle does
    assert torch.equal(examples[5]["future"], make().train()[5]["future"])
