"""Clips on disk: the flow that is known, and the flow that the engine would estimate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from sidestream.config import Size
from sidestream.errors import SinkError
from sidestream.flow import between, chain, grey
from sidestream.train.passages import Passages, Step, passages

SIZE, LENGTH = Size(64, 48), 4
RIGHT, DOWN = 3, 2


def sliding(index: int) -> Iterator[Step]:
    """A texture that moves by whole pixels, and comes in at the left and the top."""
    noise = np.random.default_rng(index).integers(256, size=(80, 96, 3), dtype=np.uint8)
    texture = cv2.GaussianBlur(noise, (0, 0), 2)
    texture = cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX)
    flow = np.empty((48, 64, 2), np.float32)
    flow[:] = (-RIGHT, -DOWN)
    revealed = np.zeros((48, 64), np.bool_)
    revealed[:DOWN], revealed[:, :RIGHT] = True, True
    for time in range(LENGTH):
        top, left = 16 - DOWN * time, 16 - RIGHT * time
        piece = np.ascontiguousarray(texture[top : top + 48, left : left + 64])
        yield piece, flow if time else None, revealed


def made(folder: Path, count: int = 2, size: Size = SIZE, clip=sliding, told=None) -> Passages:
    return passages(folder, count, LENGTH, size, clip, told or (lambda done, total: None))


def test_known_flow_over_several_frames_is_the_motion_of_them_all(tmp_path: Path):
    known = made(tmp_path).known(1, 0, 3)
    assert np.allclose(known.flow, (-3 * RIGHT, -3 * DOWN))
    assert known.occluded[: 3 * DOWN].all()
    assert known.occluded[:, : 3 * RIGHT].all()
    assert not known.occluded[3 * DOWN :, 3 * RIGHT :].any()


def test_estimated_flow_is_what_the_engine_finds(tmp_path: Path):
    clips = made(tmp_path)
    greys = [grey(pixels) for pixels, _, _ in sliding(0)]
    expected = chain(between(greys[1], greys[2]), between(greys[2], greys[3]))
    found = clips.estimated(0, 1, 3)
    assert np.allclose(found.flow, expected.flow, atol=0.05)
    assert (found.occluded == expected.occluded).mean() > 0.98
    inner = found.flow[12:-12, 12:-12][~found.occluded[12:-12, 12:-12]]
    assert np.allclose(np.median(inner, axis=0), (-2 * RIGHT, -2 * DOWN), atol=0.3)


def test_frames_are_those_of_the_clips(tmp_path: Path):
    clips = made(tmp_path)
    assert len(clips) == 2
    for index in range(2):
        assert np.array_equal(clips.frames[index], [step[0] for step in sliding(index)])


def test_clips_that_are_there_are_not_made_again(tmp_path: Path):
    asked, told = list[int](), list[tuple[int, int]]()

    def clip(index: int) -> Iterator[Step]:
        asked.append(index)
        if index == 2 and asked.count(2) == 1:
            raise KeyboardInterrupt
        return sliding(index)

    with pytest.raises(KeyboardInterrupt):
        made(tmp_path, 4, clip=clip)
    clips = made(tmp_path, 4, clip=clip, told=lambda *done: told.append(done))
    assert asked == [0, 1, 2, 2, 3]
    assert told == [(3, 4), (4, 4)]
    whole = made(tmp_path / "whole", 4)
    for name in ("frames", "flows", "revealed", "guessed", "lost"):
        assert np.array_equal(getattr(clips, name), getattr(whole, name)), name


@pytest.mark.parametrize(("count", "size"), [(3, SIZE), (2, Size(32, 48))])
def test_another_count_or_size_is_made_anew(tmp_path: Path, count: int, size: Size):
    made(tmp_path)
    asked: list[int] = []

    def clip(index: int) -> Iterator[Step]:
        asked.append(index)
        for pixels, flow, revealed in sliding(index):
            yield (
                np.ascontiguousarray(pixels[:, : size.width]),
                None if flow is None else flow[:, : size.width],
                revealed[:, : size.width],
            )

    assert made(tmp_path, count, size, clip).frames.shape[:2] == (count, LENGTH)
    assert asked == list(range(count))


def test_more_than_the_disk_holds_is_refused(tmp_path: Path):
    with pytest.raises(SinkError, match="GB are free"):
        made(tmp_path, 10**12)
    assert list(tmp_path.iterdir()) == []
