"""The real page in a real browser. Its camera is Chromium's own: a light green disc on dark green, with a clock."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.browser import ALLOWED, CHROMIUM, LIVE, MISSING, Server, fake, launch, real, see, until

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason=MISSING),
    # Playwright leaves its pipes to the collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
pytest.importorskip(
    "playwright", reason="the page's tests need playwright, which `make test` installs"
)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright: Any) -> Iterator[Any]:
    browser = launch(playwright, ALLOWED)
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = fake().start()
    yield server
    assert server.stop()[0] == 0


@pytest.fixture
def page(browser: Any, server: Server) -> Iterator[Any]:
    with opened(browser, server) as page:
        yield page


class opened:
    """A page of a browser of its own, so to say; errors in its scripts fail the test."""

    def __init__(self, browser: Any, server: Server, **how: Any) -> None:
        self.context = browser.new_context(viewport={"width": 1280, "height": 800}, **how)
        self.address = server.address
        self.errors: list[str] = []

    def __enter__(self) -> Any:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(self.address)
        return page

    def __exit__(self, kind: Any, *_: Any) -> None:
        self.context.close()
        if kind is None:
            assert self.errors == []


def is_green(red: float, green: float, blue: float) -> bool:
    return green > 100 > 60 > red and blue < 60


def is_inverted(red: float, green: float, blue: float) -> bool:
    return red > 190 and blue > 190 and green < 150


def is_red(red: float, green: float, blue: float) -> bool:
    return red > 110 > 90 > green and blue < 60


def go_live(page: Any, prompt: str = "invert the colors") -> None:
    page.fill("#prompt", prompt)
    page.click("#useCamera")
    until(page, LIVE)


def test_the_camera_comes_back_restyled(page):
    go_live(page)
    see(page, is_inverted)
    until(page, "document.body.dataset.state === 'live'")
    until(page, "document.getElementById('figures').textContent.includes('fps')")


def test_a_new_prompt_shows_in_the_pixels_and_is_acknowledged(page):
    go_live(page)
    see(page, is_inverted)
    page.fill("#prompt", "all red")
    page.keyboard.press("Enter")
    see(page, is_red)
    until(page, "!document.querySelector('.field.pending')")
    assert page.inner_text("#history").strip() == "all red"


def test_a_prompt_that_is_refused_is_taken_back_and_said(browser):
    words = "document.getElementById('noticeText').textContent"
    long = f"all red {'and nothing else ' * 20}"
    server = fake().start()
    try:
        with opened(browser, server) as page:
            go_live(page)
            page.fill("#prompt", long)
            page.keyboard.press("Enter")
            see(page, is_red)
            until(page, "document.querySelector('#history button')")
            page.fill("#prompt", "unreadable")
            page.keyboard.press("Enter")
            until(page, f"{words}.includes('the prompt has 400 tokens')")
            assert not page.query_selector(".field.pending")
            assert page.input_value("#prompt") == page.inner_text("#history") == long.strip()
            page.fill("#prompt", "a draft")
            server.kill()
            server.start()
            until(page, "!sidestream.link.live")
            until(page, LIVE)
            see(page, is_red)
            page.fill("#prompt", " ")
            page.keyboard.press("Enter")
            until(page, f"{words}.includes('The prompt is empty')")
            assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    finally:
        server.kill()


def test_a_prompt_fades_in_as_slowly_as_one_likes(page):
    go_live(page)
    see(page, is_inverted)
    page.fill("#fade", "4")
    assert page.inner_text('output[for="fade"]') == "4 s"
    page.fill("#prompt", "all red")
    page.keyboard.press("Enter")
    see(page, lambda red, green, blue: 80 < blue < 170)
    until(page, "!document.querySelector('.field.pending')")
    see(page, is_red)
    assert page.input_value("#prompt") == "all red"


def test_a_style_is_one_press_away(page):
    go_live(page, "all red")
    see(page, is_red)
    page.click("#presets >> text=Pencil sketch")
    see(page, is_inverted)
    assert page.get_attribute("#presets >> text=Pencil sketch", "aria-pressed") == "true"
    page.locator("body").press("1")
    assert page.input_value("#prompt") == "turn this into an oil painting"


def test_one_can_compare(page):
    go_live(page)
    see(page, is_inverted)
    page.check("[value=wipe]", force=True)
    see(page, is_green, "0, 0, 0.4, 1")
    see(page, is_inverted, "0.6, 0, 0.4, 1")
    box = page.locator("#view").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + box["height"] / 2)
    page.mouse.up()
    see(page, is_green, "0.6, 0, 0.2, 1")
    page.check("[value=beside]", force=True)
    see(page, is_green, "0, 0, 0.5, 1")
    see(page, is_inverted, "0.5, 0, 0.5, 1")


def test_what_is_compared_was_taken_at_the_same_moment(page):
    go_live(page)
    page.check("[value=beside]", force=True)
    until(page, "sidestream.source.kept.size > 20")
    found = page.evaluate(
        "[...Array(20)].map(() => sidestream.source.kept.has(sidestream.view.stamp))"
    )
    assert all(found)


def test_latency_is_measured_from_glass_to_glass(page):
    go_live(page)
    until(page, "sidestream.view.latencies.length > 40")
    shares = page.evaluate(
        "[sidestream.view.latency(0.5), sidestream.view.latency(0.95), sidestream.view.unread]"
    )
    assert 5 < shares[0] <= shares[1] < 5000
    assert shares[2] < 20
    page.click("summary")
    until(page, "document.getElementById('p95').textContent.endsWith(' ms')")
    until(page, "document.getElementById('server').textContent.includes(' ms,')")


def test_what_lies_between_two_pictures_is_shown_and_not_counted(browser):
    server = fake("--interpolate", "--every", "4").start()
    try:
        with opened(browser, server) as page:
            go_live(page)
            see(page, is_inverted)
            until(page, "sidestream.view.fps > 2 && sidestream.view.shownFps > 10", 60)
            assert page.evaluate("sidestream.view.fps") < 8  # a quarter of what the camera gives
            page.click("summary")
            until(page, "Number(document.getElementById('shown').textContent) > 10")
    finally:
        server.stop()


def test_a_snapshot_and_a_recording_are_saved_in_the_browser(page, tmp_path: Path):
    go_live(page)
    see(page, is_inverted)
    with page.expect_download() as caught:
        page.click("#snapshot")
    caught.value.save_as(tmp_path / "picture.png")
    assert caught.value.suggested_filename.endswith(".png")
    assert (tmp_path / "picture.png").read_bytes()[:4] == b"\x89PNG"
    page.click("#compare >> text=Result")
    before = page.locator("#view").bounding_box()
    page.click("#record")
    until(page, "sidestream.view.recording")
    assert page.locator("#view").bounding_box() == before
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    time.sleep(2)
    with page.expect_download() as caught:
        page.click("#record")
    name = caught.value.suggested_filename
    caught.value.save_as(tmp_path / name)
    frames = decoded(tmp_path / name)
    assert len(frames) > 10
    assert is_inverted(*frames[-1].to_ndarray(format="rgb24").reshape(-1, 3).mean(0))


def decoded(path: Path) -> list[Any]:
    import av

    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def test_sliders_and_seed_reach_the_server_and_come_back_to_every_page(browser, server, page):
    go_live(page)
    session = until(page, "sidestream.link.session")
    page.fill("#strength", "0.5")
    page.fill("#seed", "7")
    page.keyboard.press("Tab")
    with opened(browser, server) as second:
        second.goto(f"{server.address}#session={session}")
        second.reload()
        until(second, LIVE)
        see(second, is_inverted)
        until(second, "document.getElementById('strength').value === '0.5'")
        until(second, "document.getElementById('seed').value === '7'")
        second.click("#presets >> text=Watercolor")
        until(page, "document.getElementById('prompt').value.includes('watercolor')")


LOUDEST = """(() => {
  if (!sidestream.view.speaker.srcObject) return 0;
  if (!window.ear) {
    const context = new AudioContext();
    window.ear = context.createAnalyser();
    window.ear.fftSize = 32768;
    context.createMediaStreamSource(sidestream.view.speaker.srcObject).connect(window.ear);
  }
  const samples = new Float32Array(window.ear.fftSize);
  window.ear.getFloatTimeDomainData(samples);
  return Math.max(...samples.map(Math.abs));
})()"""


def test_sound_is_off_until_it_is_asked_for_and_then_comes_back(page):
    go_live(page)
    see(page, is_inverted)
    assert page.evaluate("sidestream.link.peer.getTransceivers().length") == 1
    page.check("#sound", force=True)
    until(page, LIVE)
    see(page, is_inverted)
    until(page, f"{LOUDEST} > 0.05", 20)  # the camera that is a fake beeps every second
    page.uncheck("#sound", force=True)
    until(page, LIVE)
    assert page.evaluate("sidestream.link.peer.getTransceivers().length") == 1


def test_a_recording_has_the_sound(page, tmp_path: Path):
    page.check("#sound", force=True)
    go_live(page)
    until(page, f"{LOUDEST} > 0.05", 20)
    page.click("#record")
    time.sleep(2.5)
    with page.expect_download() as caught:
        page.click("#record")
    name = caught.value.suggested_filename
    caught.value.save_as(tmp_path / name)
    assert len(decoded(tmp_path / name)) > 10
    import av

    with av.open(str(tmp_path / name)) as container:
        loud = [abs(frame.to_ndarray()).max() for frame in container.decode(audio=0)]
    assert max(loud) > 0.02


def test_a_file_brings_its_sound(page, tmp_path: Path):
    from peers import flat, transport

    (tmp_path / "clip.ts").write_bytes(transport(flat(60, 100), sound=True))
    import av

    with av.open(str(tmp_path / "clip.ts")) as source, av.open(str(tmp_path / "c.mp4"), "w") as out:
        copies = {one: out.add_stream_from_template(one) for one in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream]
                out.mux(packet)
    page.check("#sound", force=True)
    page.set_input_files("#file", tmp_path / "c.mp4")
    until(page, LIVE)
    until(page, f"{LOUDEST} > 0.05", 20)


def test_a_link_is_shown_where_it_cannot_be_copied(page):
    go_live(page)
    shown: list[str] = []
    page.on("dialog", lambda dialog: shown.append(dialog.default_value) or dialog.dismiss())
    page.evaluate(
        "navigator.clipboard.writeText = () => Promise.reject(new DOMException('')); null"
    )
    page.click("summary")
    page.click("#share")
    until(page, "document.getElementById('share').textContent.startsWith('Copy a link')")
    assert [address.partition("#")[2][:8] for address in shown] == ["session="]


def test_without_a_microphone_the_camera_is_used_all_the_same(browser, server):
    with opened(browser, server) as page:
        page.evaluate(
            """(() => { const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
            navigator.mediaDevices.getUserMedia = (asked) => asked.audio
              ? Promise.reject(new DOMException('', 'NotFoundError')) : real(asked); })()"""
        )
        page.check("#sound", force=True)
        go_live(page)
        see(page, is_inverted)
        assert not page.is_checked("#sound")


def test_a_file_can_be_played(page, tmp_path: Path):
    from clips import write_clip

    write_clip(tmp_path / "clip.mp4", 40)
    page.set_input_files("#file", tmp_path / "clip.mp4")
    until(page, LIVE)
    until(page, "sidestream.view.fps > 3")


def test_a_file_that_is_no_video_is_refused_in_words(page, tmp_path: Path):
    (tmp_path / "no.mp4").write_text("words")
    page.set_input_files("#file", tmp_path / "no.mp4")
    until(
        page, "document.getElementById('noticeText').textContent.includes('cannot play that file')"
    )


def test_a_page_that_is_closed_frees_its_seat(browser, server):
    with opened(browser, server) as page:
        go_live(page)
        assert page.evaluate("fetch('/stats').then((r) => r.json())")["figures"]["sessions"] == 1
        page.goto(f"{server.address}docs")
        end = time.monotonic() + 5
        while page.evaluate("fetch('/stats').then((r) => r.json())")["figures"]["sessions"]:
            assert time.monotonic() < end
            time.sleep(0.1)
        until(page, "document.body.innerText.includes('PATCH /sessions/{session}/controls')")


def test_a_camera_that_is_refused_is_explained(playwright, server):
    browser = launch(playwright)
    with opened(browser, server) as page:
        page.click("#useCamera")
        until(
            page,
            "document.getElementById('noticeText').textContent.includes('did not let this page')",
        )
        assert page.is_visible("#noticeAct")
        assert page.is_visible("#useFile")
    browser.close()


def test_without_a_camera_the_page_says_what_else_there_is(browser, server):
    with opened(browser, server) as page:
        page.evaluate(
            "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotFoundError')); null"
        )
        page.click("#useCamera")
        until(
            page,
            "document.getElementById('noticeText').textContent.includes('No camera was found')",
        )


def test_killed_and_started_again_the_server_has_its_callers_back(browser):
    server = fake().start()
    try:
        with opened(browser, server) as page:
            go_live(page)
            see(page, is_inverted)
            server.kill()
            until(
                page,
                "document.getElementById('noticeText').textContent.includes('connection was lost')",
            )
            see(page, is_green)
            server.start()
            until(page, LIVE)
            see(page, is_inverted)
            until(page, "document.getElementById('notice').hidden")
    finally:
        server.kill()


def test_stopped_with_people_in_it_the_server_leaves_within_five_seconds(browser):
    server = fake().start()
    with opened(browser, server) as page:
        go_live(page)
        code, seconds = server.stop()
        until(page, "document.getElementById('notice').hidden === false")
    assert code == 0
    assert seconds < 5


def test_when_it_is_full_people_wait_for_their_turn(browser):
    server = fake("--seats", "1").start()
    try:
        with opened(browser, server) as first, opened(browser, server) as second:
            go_live(first)
            second.click("#useCamera")
            until(
                second,
                "document.getElementById('noticeText').textContent.includes('number 1 in the queue')",
            )
            see(second, is_green)
            first.click("#stop")
            until(second, LIVE)
    finally:
        server.stop()


def test_a_server_that_asks_for_a_token_is_told_it_once(browser):
    token = "canary-0123456789abcdef"
    server = fake("--token", token).start()
    try:
        with opened(browser, server) as page:
            page.click("#useCamera")
            until(page, "document.getElementById('login').open")
            page.fill("#token", "a wrong one")
            page.keyboard.press("Enter")
            until(
                page,
                "document.getElementById('login').open && !document.getElementById('token').value",
            )
            page.fill("#token", token)
            page.keyboard.press("Enter")
            until(page, LIVE)
            assert token not in page.url
        with opened(browser, server) as page:
            page.goto(f"{server.address}#token={token}")
            page.reload()
            page.click("#useCamera")
            until(page, LIVE)
            assert token not in page.url
    finally:
        server.stop()


def test_the_page_can_be_used_without_a_mouse_and_names_all_its_controls(page):
    go_live(page)
    nameless = page.evaluate(
        """[...document.querySelectorAll("button, input, select, textarea")].filter((one) =>
          one.checkVisibility() && !one.labels?.length && !one.ariaLabel && !one.textContent.trim()).map((one) => one.id)"""
    )
    assert nameless == []
    page.locator("body").press("c")
    assert page.is_checked("[value=wipe]")
    page.locator("body").press("/")
    assert page.evaluate("document.activeElement.id") == "prompt"


CONTRASTS = """[...document.querySelectorAll("h1, h2, p, label, button, dt, dd, output, summary, span")].filter((one) =>
  one.checkVisibility() && one.innerText?.trim() && !one.closest(".chips")).map((one) => {
    const level = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map((c) => c / 255)
      .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
      .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
    let ground = one;
    while (ground && /, 0\\)$|transparent/.test(getComputedStyle(ground).backgroundColor)) ground = ground.parentElement;
    const [a, b] = [getComputedStyle(one).color, getComputedStyle(ground ?? document.body).backgroundColor].map(level);
    return [one.innerText.slice(0, 30), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
  })"""


def test_words_stand_out_from_their_ground(page):
    assert min(ratio for _, ratio in page.evaluate(CONTRASTS)) >= 4.5
    go_live(page)
    page.click("summary")
    found = page.evaluate(CONTRASTS)
    assert len(found) > 20
    assert [one for one in found if one[1] < 4.5] == []


@pytest.mark.parametrize("size", [(390, 844), (320, 568), (844, 390), (1280, 800)])
def test_nothing_sticks_out_at_any_size(page, size):
    width, height = size
    page.set_viewport_size({"width": width, "height": height})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    go_live(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator("#view").bounding_box()
    assert box["width"] > 0.5 * width or box["height"] > 0.5 * height


@pytest.fixture(scope="module")
def nano_server() -> Iterator[Server]:
    """The real model at 128x128, in a process of its own behind the server's."""
    server = real().start()
    yield server
    code, seconds = server.stop()
    assert code == 0
    assert seconds < 10


def test_nano_restyles_and_until_it_is_there_people_see_themselves(
    browser, nano_server, record_property
):
    with opened(browser, nano_server) as page:
        page.fill("#prompt", "keep this as it is")
        page.click("#useCamera")
        see(page, is_green)
        until(page, "document.body.dataset.state === 'live'", 90)
        kept = see(page, lambda red, green, blue: green > 60 > red)
        page.fill("#prompt", "invert the colors")
        page.keyboard.press("Enter")
        see(page, lambda red, green, blue: red > kept[0] + 50 and green < kept[1] - 30, seconds=60)
        page.evaluate("sidestream.view.latencies.length = 0")
        until(page, "sidestream.view.latencies.length > 25", 90)
        found = page.evaluate(
            "({p50: sidestream.view.latency(0.5), p95: sidestream.view.latency(0.95), fps: sidestream.view.fps})"
        )
        found["ours"] = page.text_content("#server")
        record_property("glass_to_glass", json.dumps(found))
        assert found["p50"] < 5000
