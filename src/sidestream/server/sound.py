"""Sound in and out of WebRTC: what a sender's browser gives goes out again as late as the picture does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, AudioResampler

from sidestream.live.soundtrack import Soundtrack
from sidestream.media.capture import SOUND_RATE, Sound
from sidestream.server.pace import CaptureClock

PIECE = 960
"""Samples in one piece: 20 ms, as WebRTC likes them."""
SECONDS = PIECE / SOUND_RATE
LATE = 0.5
"""A track that is asked later than this leaves out what it missed."""

Clock = Callable[[], float]


async def receive(
    track: MediaStreamTrack, take: Callable[[Sound], object], *, clock: Clock = time.monotonic
) -> None:
    """Takes all sound off a track, whose queue has no bound, until it ends."""
    capture = CaptureClock()
    resampler = AudioResampler(format="fltp", layout="stereo", rate=SOUND_RATE)
    try:
        while True:
            frame = await track.recv()
            if isinstance(frame, AudioFrame):
                captured = capture.captured(frame.time or 0.0, clock())
                for piece in resampler.resample(frame):
                    take(Sound(np.asarray(piece.to_ndarray(), np.float32), captured))
                    captured += piece.samples / SOUND_RATE
    except MediaStreamError:
        return


class Delayed(MediaStreamTrack):
    """What a viewer hears: the sound of the session, and silence where there is none."""

    kind = "audio"

    def __init__(self, delay: Callable[[], float], clock: Clock = time.monotonic) -> None:
        """`delay` is asked for every piece: how long after its capture a picture goes out."""
        super().__init__()
        self._delay, self._clock = delay, clock
        self._begin = clock()
        self._sound = Soundtrack(self._begin)
        self._number = 0

    def add(self, sound: Sound) -> None:
        self._sound.add(sound)

    async def recv(self) -> AudioFrame:
        late = self._clock() - self._begin - self._number * SECONDS
        if late > LATE:
            self._number += int(late / SECONDS)
        self._number += 1
        due = self._number * SECONDS
        await asyncio.sleep(max(0.0, self._begin + due - self._clock()))
        if self.readyState != "live":
            raise MediaStreamError
        return _frame(self._sound.until(due, self._delay())[:, -PIECE:], self._number)


def _frame(samples: np.ndarray, number: int) -> AudioFrame:
    levels = np.clip(samples, -1, 1).T.reshape(1, -1) * 32767
    frame = AudioFrame.from_ndarray(levels.astype(np.int16), format="s16", layout="stereo")
    frame.sample_rate, frame.time_base = SOUND_RATE, Fraction(1, SOUND_RATE)
    frame.pts = number * PIECE
    return frame
