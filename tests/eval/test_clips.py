"""Clips of a folder, and our own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clips import write_clip
from pictures import sliding
from sidestream.config import Size
from sidestream.errors import SourceError
from sidestream.eval.clips import AROUND_CUT, LEAD, Clip, load, rendered, with_cut

SIZE = Size(64, 64)


def test_the_videos_of_a_folder_come_by_name_at_one_size(tmp_path: Path):
    for name in ("b.mp4", "a.mov", "cut_c.mp4"):
        write_clip(tmp_path / name, 5)
    (tmp_path / "notes.txt").write_text("not a clip")
    clips = load(tmp_path, SIZE)
    assert [clip.name for clip in clips] == ["a", "b", "cut_c"]
    assert [clip.is_cut for clip in clips] == [False, False, True]
    assert {pixels.shape for clip in clips for pixels in clip.frames} == {(64, 64, 3)}
    assert all(len(clip.frames) == 5 and clip.path for clip in clips)


def test_a_folder_that_is_not_there(tmp_path: Path):
    with pytest.raises(SourceError, match=r"there is no folder .*/nowhere: give one"):
        load(tmp_path / "nowhere", SIZE)


@pytest.mark.parametrize("only", [[], ["cut_a.mp4"]])
def test_a_folder_without_clips(tmp_path: Path, only: list[str]):
    for name in only:
        write_clip(tmp_path / name, 4)
    with pytest.raises(SourceError, match=r"holds no clips .*\.mp4"):
        load(tmp_path, SIZE)


def test_a_clip_of_one_frame_is_refused(tmp_path: Path):
    write_clip(tmp_path / "a.mp4", 1)
    with pytest.raises(SourceError, match="is one picture"):
        load(tmp_path, SIZE)


def test_our_own_clips_move_and_are_the_same_every_time():
    clips = rendered(Size(32, 32), frames=3)
    again = rendered(Size(32, 32), frames=3)
    assert [clip.is_cut for clip in clips] == [False] * 4 + [True]
    assert len({clip.name for clip in clips}) == 5
    for one, other in zip(clips, again, strict=True):
        assert np.array_equal(one.frames, other.frames)
        assert not np.array_equal(one.frames[0], one.frames[-1])


def numbered(count: int, name: str = "a") -> Clip:
    return Clip(name, [np.full((2, 2, 3), index, np.uint8) for index in range(count)])


def indices(pictures) -> list[int]:
    return [int(pixels[0, 0, 0]) for pixels in pictures]


def test_stills_are_spread_over_the_clip():
    assert indices(numbered(50).stills(3)) == [0, 24, 49]
    assert indices(numbered(3).stills(24)) == [0, 1, 2]


def test_a_window_is_consecutive_and_its_lead_is_not_measured():
    [window] = numbered(60).windows(24)
    assert indices(window.frames) == list(range(14, 14 + 24 + LEAD))
    assert indices(window.measured(window.frames)) == list(range(22, 46))


def test_more_frames_are_more_windows_spread_over_the_clip():
    first, second = numbered(100).windows(48)
    assert indices(first.frames)[0] == 0 and indices(second.frames)[-1] == 99
    assert len(first.frames) == len(second.frames) == 32


def test_a_short_clip_keeps_something_to_measure():
    [window] = numbered(4).windows(24)
    assert (len(window.frames), window.lead) == (4, 2)


def test_a_cut_is_found_where_it_is():
    clip = Clip("cut_a", [*sliding(20, seed=1), *sliding(9, seed=2)])
    before, after = clip.around_cut()
    assert (len(before), len(after)) == (AROUND_CUT, 9)
    assert after[0].index == 20 == before[-1].index + 1
    assert np.array_equal(after[0].pixels, clip.frames[20])


def test_a_clip_with_a_cut_is_joined_where_there_is_none():
    clips = [Clip("a", sliding(20, seed=1)), Clip("b", sliding(20, seed=2))]
    [joined] = with_cut(clips)
    assert joined.is_cut and len(joined.frames) == 2 * AROUND_CUT
    before, after = joined.around_cut()
    assert np.array_equal(after[0].pixels, clips[1].frames[0]) and len(before) == AROUND_CUT
    assert with_cut([*clips, joined]) == [joined]


def test_a_single_clip_is_joined_with_itself_upside_down():
    frames = sliding(20)
    [joined] = with_cut([Clip("a", frames)])
    _, after = joined.around_cut()
    assert np.array_equal(after[0].pixels, frames[0][::-1])
