"""Two aiortc peers in one process: what is sent comes back changed, and everybody may come and go."""

import asyncio
import json
import re
import time
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from aiortc.rtcsctptransport import SCTP_DATA_FIRST_FRAG, DataChunk

from server.callers import Caller, Camera, Voice, http_to, mean, until
from server.conftest import House
from sidestream.config_live import ServerConfig, ServerLimits
from sidestream.live.studio import State
from sidestream.server import stamp

pytestmark = pytest.mark.anyio


def is_near(colour, wanted, by=25):
    return all(abs(a - b) < by for a, b in zip(colour, wanted, strict=True))


async def test_a_picture_comes_back_restyled_with_its_stamp(house: House):
    caller, camera = house.caller(), Camera((200, 40, 60))
    assert (await caller.call(camera)).status_code == 200
    picture = await caller.see(lambda pixels: is_near(mean(pixels), (55, 215, 195)))
    assert picture.shape == (102, 128, 3)
    value = stamp.read(picture.mean(2).astype("uint8"))
    assert value in camera.sent


async def test_times_rise_with_every_picture(house: House):
    caller = house.caller()
    await caller.call(Camera())
    for _ in range(12):
        await caller.picture()
    assert all(later > earlier for earlier, later in pairwise(caller.pts))


async def test_a_prompt_by_data_channel_shows_in_the_pixels_and_is_acknowledged(house: House):
    caller = house.caller()
    await caller.call(Camera((100, 100, 100)))
    await caller.picture()
    await until(lambda: caller.channel.readyState == "open")
    caller.channel.send(json.dumps({"type": "change", "prompt": "all blue"}))
    await caller.see(lambda pixels: mean(pixels)[2] > 150 > 90 > mean(pixels)[0])
    await until(lambda: any(one["revision"] == 1 for one in caller.told("shown")))
    assert caller.told("controls")[-1]["controls"]["prompt"] == "all blue"


async def test_a_prompt_that_fades_in_is_seen_on_its_way(house: House):
    caller = house.caller()
    await caller.call(Camera((100, 100, 100)), controls={"prompt": "red"})
    await caller.see(lambda pixels: mean(pixels)[0] > 150 > 90 > mean(pixels)[2])
    place = f"/sessions/{caller.session}/controls"
    answer = await house.http.patch(place, json={"prompt": "blue", "fade": 2.0})
    assert answer.json()["prompt"] == "blue"
    await caller.see(lambda pixels: all(90 < mean(pixels)[part] < 140 for part in (0, 2)))
    await caller.see(lambda pixels: mean(pixels)[2] > 150 > 90 > mean(pixels)[0])


async def test_whoever_changes_a_control_every_page_of_the_session_hears_of_it(house: House):
    first, second = house.caller(), house.caller()
    await first.call(Camera())
    assert (await second.call(session=first.session)).status_code == 200
    await until(lambda: bool(first.told("controls") and second.told("controls")))
    place = f"/sessions/{first.session}/controls"
    answer = await house.http.patch(place, json={"strength": 0.25})
    assert answer.json()["strength"] == 0.25
    for one in (first, second):
        await until(lambda one=one: one.told("controls")[-1]["controls"]["strength"] == 0.25)
    assert is_near(mean(await second.picture()), mean(await first.picture()), 40)
    assert (await house.http.get(place)).json()["strength"] == 0.25


async def test_sessions_do_not_touch_each_other(house: House):
    first, second = house.caller(), house.caller()
    await first.call(Camera((100, 100, 100)), controls={"prompt": "red"})
    await second.call(Camera((100, 100, 100)), controls={"prompt": "green"})
    await first.see(lambda pixels: mean(pixels)[0] > 150 > 90 > mean(pixels)[1])
    await second.see(lambda pixels: mean(pixels)[1] > 150 > 90 > mean(pixels)[0])
    await house.http.patch(f"/sessions/{second.session}/controls", json={"prompt": "blue"})
    await second.see(lambda pixels: mean(pixels)[2] > 150 > 90 > mean(pixels)[0])
    assert mean(await first.picture())[0] > 150


async def test_a_page_that_is_closed_frees_its_seat_within_a_second(house: House):
    caller = house.caller()
    await caller.call(Camera())
    await caller.picture()
    await caller.close()
    await until(lambda: not house.studio.seats, 3)
    assert len(house.sessions) == 0


async def test_a_viewer_who_leaves_ends_nothing(house: House):
    first, second = house.caller(), house.caller()
    await first.call(Camera())
    await second.call(session=first.session)
    await second.picture()
    await second.close()
    await until(lambda: len(house.sessions.get(first.session).peers) == 1)
    await first.picture()


async def test_a_session_is_ended_by_request(house: House):
    caller = house.caller()
    await caller.call(Camera())
    await until(lambda: bool(caller.told("controls")))
    assert (await house.http.delete(f"/sessions/{caller.session}")).status_code == 204
    await until(lambda: bool(caller.told("bye")))
    assert (await house.http.get(f"/sessions/{caller.session}")).status_code == 404


class TestWithShortTimes:
    @pytest.fixture
    def limits(self) -> ServerLimits:
        return ServerLimits(pause_seconds=1, close_seconds=3, connect_seconds=2)

    async def test_without_pictures_a_session_is_called_stopped_and_then_closed(self, house: House):
        caller, camera = house.caller(), Camera()
        await caller.call(camera)
        await caller.picture()
        camera.muted.set()
        await until(lambda: any(one["state"] == "stopped" for one in caller.told("condition")))
        await until(lambda: not house.studio.seats)
        assert caller.told("bye")[-1]["reason"].startswith("No picture came")

    async def test_one_who_never_connects_loses_the_seat(self, house: House):
        caller = house.caller()
        sdp = await caller.offer(Camera())
        assert (await house.http.post("/offer", json={"sdp": sdp})).status_code == 200
        assert len(house.sessions) == 1
        await until(lambda: len(house.sessions) == 0)


class TestFromOneAddress:
    @pytest.fixture
    def limits(self) -> ServerLimits:
        return ServerLimits(sessions_per_address=2)

    async def test_there_are_so_many_sessions_and_no_more(self, house: House):
        async with http_to(house.app, "10.0.0.9") as far, http_to(house.app, "10.0.0.10") as other:
            offers = [await house.caller().offer(Camera()) for _ in range(4)]
            answers = [await far.post("/offer", json={"sdp": sdp}) for sdp in offers[:3]]
            assert [one.status_code for one in answers] == [200, 200, 429]
            assert answers[2].json()["error"] == "share"
            assert "2 sessions are open" in answers[2].json()["message"]
            assert len(house.sessions.line) == 0
            assert (await other.post("/offer", json={"sdp": offers[3]})).status_code == 200
            await far.delete(f"/sessions/{answers[0].json()['session']}")
            again = await house.caller().offer(Camera())
            assert (await far.post("/offer", json={"sdp": again})).status_code == 200

    async def test_this_machines_own_address_may_be_a_proxys(self, house: House):
        answers = [await house.caller().call(Camera()) for _ in range(3)]
        assert [one.status_code for one in answers] == [200] * 3

    async def test_viewers_who_never_connect_leave_their_places_to_others(self, house: House):
        first = house.caller()
        await first.call(Camera())
        sdp = await house.caller().offer(None)
        body = {"sdp": sdp, "session": first.session}
        for _ in range(house.sessions.limits.peers_in_session - 1):
            assert (await house.http.post("/offer", json=body)).status_code == 200
        assert (await house.http.post("/offer", json=body)).status_code == 503
        session = house.sessions.get(first.session)
        await until(lambda: len(session.peers) == 1)
        second = house.caller()
        await second.call(session=first.session)
        await second.picture()


class TestWithTwoSeats:
    @pytest.fixture
    def config(self) -> ServerConfig:
        return ServerConfig(seats=2)

    async def test_who_comes_later_waits_in_order(self, house: House):
        here = [house.caller() for _ in range(2)]
        for caller in here:
            assert (await caller.call(Camera())).status_code == 200
        for caller in here:
            await caller.picture()
        waiting = [house.caller() for _ in range(2)]
        refused = [await caller.call(Camera()) for caller in waiting]
        assert [one.status_code for one in refused] == [503, 503]
        assert [one.json()["place"] for one in refused] == [1, 2]
        assert "number 2 in the queue" in refused[1].json()["message"]
        assert refused[0].headers["retry-after"] == "3"
        await house.http.delete(f"/sessions/{here[0].session}")
        tickets = [one.json()["ticket"] for one in refused]
        early = await house.caller().call(Camera(), ticket=tickets[1])
        assert (early.status_code, early.json()["place"]) == (503, 2)
        late = house.caller()
        assert (await late.call(Camera(), ticket=tickets[0])).status_code == 200
        await late.picture()
        assert house.sessions.counts["refused"] == 3

    async def test_a_studio_with_fewer_seats_than_promised_makes_people_wait(self, house: House):
        house.studio.places = 0
        answer = await house.caller().call(Camera())
        assert (answer.status_code, answer.json()["error"]) == (503, "full")


async def test_what_goes_wrong_in_one_session_ends_that_one_alone(house: House, capsys):
    first, second = house.caller(), house.caller()
    await first.call(Camera())
    await second.call(Camera())
    await until(lambda: bool(first.told("controls") and second.told("controls")))

    def broken(state: State) -> str:
        raise RuntimeError("a fault that a test asked for")

    house.sessions.get(first.session).check = broken  # type: ignore[method-assign]
    await until(lambda: len(house.sessions) == 1)
    assert "a fault that a test asked for" in capsys.readouterr().err
    assert house.sessions.counts["failed"] == 1
    await second.picture()


async def test_flooded_with_prompts_a_session_takes_the_last_and_few_between(house: House):
    caller = house.caller()
    await caller.call(Camera((100, 100, 100)))
    await caller.picture()
    await until(lambda: caller.channel.readyState == "open")
    for number in range(500):
        caller.channel.send(json.dumps({"type": "change", "prompt": f"wish {number}"}))
    caller.channel.send(json.dumps({"type": "change", "prompt": "green"}))
    await caller.see(lambda pixels: mean(pixels)[1] > 150 > 90 > mean(pixels)[0])
    [seat] = house.studio.seats
    assert seat.controls.prompt == "green"
    assert seat.changes < 30
    assert house.sessions.get(caller.session).desk.overtaken > 400


@pytest.mark.parametrize(
    "message",
    [
        "{",
        "[]",
        '{"type": "change", "prompt": ""}',
        '{"type": "change", "steps": 99}',
        '{"type": "no"}',
        '{"type": "change", "strength": NaN}',
        "[" * 5000,
        '{"type": "change", "prompt": "unreadable"}',
        b"\xff\x00",
    ],
)
async def test_a_message_that_is_not_understood_is_refused_in_words(house: House, message):
    caller = house.caller()
    await caller.call(Camera())
    await until(lambda: caller.channel.readyState == "open")
    await until(lambda: bool(caller.told("controls")))
    caller.channel.send(message)
    await until(lambda: bool(caller.told("refused")))
    assert caller.told("refused")[0]["message"].endswith(".")
    await caller.picture()


async def test_messages_that_are_too_long_or_too_bad_close_the_connection(house: House):
    caller = house.caller()
    await caller.call(Camera())
    await until(lambda: caller.channel.readyState == "open")
    obey_no_bound(caller)
    for _ in range(ServerLimits().bad_messages):
        caller.channel.send(
            json.dumps({"type": "change", "prompt": "x" * ServerLimits().message_bytes})
        )
    await until(lambda: len(house.sessions) == 0)
    assert "longer than" in caller.told("refused")[0]["message"]


def obey_no_bound(caller: Caller) -> None:
    """Sends whatever it is given, as a client of one's own would."""
    caller.connection.sctp._remote_max_message_size = 0  # type: ignore[union-attr]


async def test_the_answer_says_how_long_a_message_may_be(house: House):
    answer = await house.caller().call(Camera())
    assert f"a=max-message-size:{ServerLimits().message_bytes}\r\n" in answer.json()["sdp"]


async def many_pieces(caller: Caller) -> None:
    """A long message that never ends comes in as small pieces as there are."""
    sctp: Any = caller.connection.sctp
    for number in range(ServerLimits().unread_pieces + 200):
        chunk = DataChunk(SCTP_DATA_FIRST_FRAG if number == 0 else 0)
        chunk.tsn, chunk.user_data = sctp._local_tsn, b"x"
        sctp._local_tsn += 1
        with suppress(ConnectionError):  # once it is closed
            await sctp._send_chunk(chunk)
        await asyncio.sleep(0)


async def much(caller: Caller) -> None:
    caller.channel.send("x" * ServerLimits().unread_bytes * 2)


async def many_channels(caller: Caller) -> None:
    for number in range(20):
        caller.connection.createDataChannel(f"{number}")


@pytest.mark.parametrize("flood", [much, many_pieces, many_channels])
async def test_what_is_more_than_a_channel_may_hold_closes_the_connection(house: House, flood):
    caller, other = house.caller(), house.caller()
    await caller.call(Camera())
    await other.call(Camera())
    await until(lambda: caller.channel.readyState == "open")
    obey_no_bound(caller)
    await flood(caller)
    await until(lambda: len(house.sessions) == 1)
    await other.picture()


async def test_what_there_is_to_say_of_a_picture_is_in_the_condition(house: House):
    caller = house.caller()
    await caller.call(Camera())
    await caller.picture()
    condition = (await house.http.get(f"/sessions/{caller.session}")).json()
    assert (condition["state"], condition["reason"]) == ("ok", "wait")


async def test_a_session_is_not_begun_with_what_cannot_be_done(house: House):
    caller = house.caller()
    answer = await caller.call(Camera(), controls={"prompt": "unreadable"})
    assert answer.status_code == 422
    assert answer.json()["message"] == "This cannot be done: the prompt has 400 tokens."
    assert not len(house.sessions)
    assert not house.studio.seats


async def test_a_change_that_was_put_off_and_cannot_be_made_is_told_later(house: House):
    caller = house.caller()
    await caller.call(Camera())
    await until(lambda: bool(caller.told("controls")))
    place = f"/sessions/{caller.session}/controls"
    await house.http.patch(place, json={"prompt": "red"})
    assert (await house.http.patch(place, json={"prompt": "unreadable"})).status_code == 200
    await until(lambda: bool(caller.told("refused")))
    assert "400 tokens" in caller.told("refused")[0]["message"]
    await until(lambda: caller.told("controls")[-1]["controls"]["prompt"] == "red")


async def test_a_whip_client_sends_and_a_whep_player_watches(house: House):
    sender, player = house.caller(), house.caller()
    sdp = {"content-type": "application/sdp"}
    offer = await sender.offer(Camera((100, 100, 100), stamped=False), "sendonly")
    made = await house.http.post("/whip/stage", content=offer, headers=sdp)
    assert (made.status_code, made.headers["location"]) == (201, "/sessions/stage")
    assert made.headers["content-type"] == "application/sdp"
    await sender.take(made.text)
    again = await house.http.post("/whip/stage", content=offer, headers=sdp)
    assert (again.status_code, again.json()["error"]) == (409, "taken")
    watched = await house.http.post("/whep/stage", content=await player.offer(None), headers=sdp)
    await player.take(watched.text)
    picture = await player.see(lambda pixels: is_near(mean(pixels), (155, 155, 155)))
    assert picture.shape == (96, 128, 3)
    await house.http.patch("/sessions/stage/controls", json={"prompt": "red"})
    await player.see(lambda pixels: mean(pixels)[0] > 150 > 90 > mean(pixels)[1])
    assert (await house.http.delete(watched.headers["location"])).status_code == 204
    assert len(house.sessions.get("stage").peers) == 1
    assert (await house.http.delete(made.headers["location"])).status_code == 204


async def test_a_viewer_who_offers_a_picture_is_sent_one_and_none_is_taken(house: House):
    first, player = house.caller(), house.caller()
    await first.call(Camera())
    offer = await player.offer(Camera(stamped=False), "sendrecv")
    answer = await house.http.post(
        f"/whep/{first.session}", content=offer, headers={"content-type": "application/sdp"}
    )
    video = answer.text.partition("m=video")[2]
    assert "a=sendonly" in video and "a=sendrecv" not in video
    await player.take(answer.text)
    await player.picture()


def sounds(sdp: str) -> list[str]:
    """Which way sound goes, for each of the ways that were offered."""
    return re.findall(r"m=audio.*?a=(sendrecv|sendonly|recvonly|inactive)", sdp, re.DOTALL)


async def test_sound_comes_back(house: House):
    caller = house.caller()
    caller.connection.addTransceiver(Voice(), direction="sendrecv")
    answer = await caller.call(Camera())
    assert sounds(answer.json()["sdp"]) == ["sendrecv"]
    await caller.picture()
    async with asyncio.timeout(10):
        while await caller.hear() < 5_000:
            pass
    loud = [await caller.hear() > 5_000 for _ in range(50)]
    assert sum(loud) > 45


async def test_sound_is_as_late_as_the_picture(house: House):
    """The model takes half a second; a tone begins in the second second."""
    house.studio.seconds = 0.5
    caller, heard = house.caller(), list[float]()
    voice = Voice(lambda seconds: seconds > 4)
    caller.connection.addTransceiver(voice, direction="sendrecv")
    await caller.call(Camera())
    showing = asyncio.create_task(watch(caller))
    async with asyncio.timeout(15):
        while await caller.hear() < 5_000:
            pass
    heard.append(time.monotonic() - voice.begin - 4)
    figures = (await house.http.get(f"/sessions/{caller.session}")).json()["figures"]
    showing.cancel()
    assert 0.5 < figures["sound_delay"] < 1.0
    assert figures["sound_delay"] == pytest.approx(figures["server_p50"], abs=0.15)
    # What the network takes, and a jitter buffer that waits for a few packets, comes on top.
    assert figures["sound_delay"] - 0.15 < heard[0] < figures["sound_delay"] + 0.5


async def test_how_late_pictures_are_is_not_told_by_those_from_before_the_model(house: House):
    caller = house.caller()
    await caller.call(Camera())
    (seat,) = house.studio.seats
    seat.origin = "source"
    showing = asyncio.create_task(watch(caller))
    await asyncio.sleep(2)
    seat.origin, house.studio.seconds = "restyled", 0.4
    await asyncio.sleep(1.5)
    figures = (await house.http.get(f"/sessions/{caller.session}")).json()["figures"]
    showing.cancel()
    assert figures["server_p50"] > 0.35


async def watch(caller: Caller) -> None:
    while True:
        await caller.picture()


async def test_a_sender_of_sound_is_heard_by_those_who_listen_and_by_nobody_else(house: House):
    sender, listener, viewer = (house.caller() for _ in range(3))
    sender.connection.addTransceiver(Voice(), direction="sendonly")
    offer = await sender.offer(Camera(stamped=False), "sendonly")
    sdp = {"content-type": "application/sdp"}
    made = await house.http.post("/whip/stage", content=offer, headers=sdp)
    assert sounds(made.text) == ["recvonly"]
    await sender.take(made.text)
    listener.connection.addTransceiver("audio", direction="recvonly")
    listener.connection.addTransceiver("audio", direction="recvonly")
    answer = await listener.call(session="stage")
    assert sounds(answer.json()["sdp"]) == ["sendonly", "inactive"]
    viewer.connection.addTransceiver(Voice(), direction="sendonly")
    answer = await viewer.call(session="stage")
    assert sounds(answer.json()["sdp"]) == ["inactive"]
    async with asyncio.timeout(20):
        while await listener.hear() < 5_000:
            pass


async def test_a_session_has_room_for_few_connections(house: House):
    first = house.caller()
    await first.call(Camera())
    most = ServerLimits().peers_in_session
    answers = [await house.caller().call(session=first.session) for _ in range(most)]
    assert [one.status_code for one in answers] == [200] * (most - 1) + [503]
    assert str(most) in answers[-1].json()["message"]


async def test_who_is_in_a_hurry_waits_for_nobody(house: House):
    await house.caller().call(Camera())
    house.sessions.limits = ServerLimits(drain_seconds=60)
    draining = asyncio.create_task(house.sessions.drain())
    await until(lambda: house.sessions.draining)
    house.sessions.hurried = True
    async with asyncio.timeout(20):
        await draining
    assert len(house.sessions) == 0


async def test_draining_tells_everybody_and_ends_within_its_time(house: House):
    caller = house.caller()
    await caller.call(Camera())
    await until(lambda: bool(caller.told("controls")))
    house.sessions.limits = replace(house.sessions.limits, drain_seconds=1)
    async with asyncio.timeout(5):
        await house.sessions.drain()
    await until(lambda: bool(caller.told("bye") and caller.told("draining")))
    assert not house.studio.seats
    assert (await house.http.get("/readyz")).status_code == 503
    answer = await house.caller().call(Camera())
    assert (answer.status_code, answer.json()["error"]) == (503, "draining")


async def test_twenty_callers_one_after_another_leave_nothing_behind(house: House):
    tasks = len(asyncio.all_tasks())
    for _ in range(20):
        caller = house.caller()
        await caller.call(Camera())
        await caller.picture()
        await caller.close()
        await until(lambda: not house.studio.seats)
    await asyncio.sleep(0.5)
    assert len(asyncio.all_tasks()) <= tasks + 2
