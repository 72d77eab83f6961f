"""Eight people for a minute, one of them torn away every six seconds: the others do not notice, and nothing is left."""

import asyncio
import gc
import os
from pathlib import Path

import pytest

from server.callers import Caller, Camera, until
from server.conftest import House
from sidestream.config_live import ServerLimits

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
SECONDS = 60


@pytest.fixture
def limits() -> ServerLimits:
    return ServerLimits(close_seconds=3)


def resident() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


async def look(caller: Caller, counts: dict[Caller, int]) -> None:
    while True:
        await caller.picture()
        counts[caller] = counts.get(caller, 0) + 1


async def begin(
    house: House, counts: dict[Caller, int]
) -> tuple[Caller, Camera, asyncio.Task[None]]:
    caller, camera = house.caller(), Camera()
    assert (await caller.call(camera)).status_code == 200
    return caller, camera, asyncio.create_task(look(caller, counts))


async def test_eight_people_and_one_torn_away_again_and_again(house: House):
    counts: dict[Caller, int] = {}
    steady = [await begin(house, counts) for _ in range(7)]
    sizes: list[int] = []
    for _ in range(SECONDS // 6):
        caller, camera, looking = await begin(house, counts)
        await asyncio.sleep(2)
        camera.muted.set()  # Nothing more comes, and nobody says good-bye.
        looking.cancel()
        await until(lambda: len(house.studio.seats) == 7)
        gc.collect()
        sizes.append(resident())
        await caller.close()
    served = [counts[caller] for caller, _, _ in steady]
    for _, _, looking in steady:
        looking.cancel()
    assert house.sessions.counts["failed"] == 0
    assert min(served) > 2 * SECONDS
    assert min(served) > 0.8 * max(served)
    assert sizes[-1] - sizes[2] < 20_000_000
