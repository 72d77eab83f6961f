"""Sound on its way through the server."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from server.callers import Voice
from server.conftest import Clock
from sidestream.live.pace import Lag
from sidestream.media.capture import SOUND_RATE, Sound
from sidestream.server.sound import LATE, PIECE, Delayed, receive

pytestmark = pytest.mark.anyio


def loudest(frame: AudioFrame) -> int:
    return int(np.abs(frame.to_ndarray().astype(int)).max())


async def test_a_sound_goes_out_as_much_later_as_it_is_told(clock: Clock):
    track = Delayed(lambda: 0.3, clock)
    track.add(Sound(np.full((2, SOUND_RATE // 10), 0.5, np.float32), clock.now + 1.0))
    loud = []
    for number in range(100):
        clock.now = 1000 + (number + 1) * 0.02
        frame = await track.recv()
        assert (frame.samples, frame.pts) == (PIECE, (number + 1) * PIECE)
        if loudest(frame) > 10_000:
            loud.append(number * 0.02)
    assert loud == pytest.approx([1.3, 1.32, 1.34, 1.36, 1.38])


async def test_a_track_that_was_not_asked_for_a_while_leaves_out_what_it_missed(clock: Clock):
    track = Delayed(lambda: 0.0, clock)
    first = await track.recv() if clock.now else None
    clock.now += 60
    second = await track.recv()
    assert first is not None and first.pts is not None and second.pts is not None
    assert second.samples == PIECE
    assert 60 - LATE <= (second.pts - first.pts) / SOUND_RATE <= 60.05


async def test_a_track_that_has_ended_says_so(clock: Clock):
    track = Delayed(lambda: 0.0, clock)
    track.stop()
    clock.now += 1
    with pytest.raises(MediaStreamError):
        await track.recv()


async def test_what_comes_in_is_stereo_at_the_rate_of_the_house():
    pieces: list[Sound] = []
    voice = Voice()
    receiving = asyncio.create_task(receive(voice, pieces.append))
    while len(pieces) < 5:
        await asyncio.sleep(0.01)
    receiving.cancel()
    assert {piece.samples.shape for piece in pieces} == {(2, PIECE)}
    steps = np.diff([piece.stamp for piece in pieces])
    assert steps == pytest.approx(0.02, abs=0.005)
    assert 0.3 < max(float(np.abs(piece.samples).max()) for piece in pieces) < 0.4


async def test_it_ends_with_its_track():
    class Ended(Voice):
        async def recv(self) -> AudioFrame:
            raise MediaStreamError

    await receive(Ended(), lambda piece: None)


def test_the_delay_follows_the_picture_but_not_its_every_move():
    lag = Lag()
    wanted = [0.02, 0.2, 0.22, 0.24, 0.3, 0.3, 1.0, 1.08, 1.2]
    assert [lag.follow(one) for one in wanted] == [0.0, 0.2, 0.2, 0.2, 0.3, 0.3, 1.0, 1.0, 1.2]
