"""The line that says how a show is going."""

from __future__ import annotations

from io import StringIO

from sidestream.live.terminal import StatusLine


class Screen(StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_pipe_a_line_now_and_then():
    now, stream = [100.0], StringIO()
    status = StatusLine(stream, lambda: now[0])
    for _ in range(100):
        now[0] += 0.25
        status.tell(lambda: "5 in\x1b[31m")
    status.say("the source is silent")
    status.close()
    assert stream.getvalue() == "5 in\\x1b[31m\n" * 2 + "sidestream: the source is silent\n"


def test_on_a_terminal_one_line_is_drawn_again_above_what_is_typed():
    now, stream = [100.0], Screen()
    status = StatusLine(stream, lambda: now[0])
    status.say("listening")
    for n in range(3):
        now[0] += 0.3
        status.tell(lambda n=n: f"{n} in " + "x" * 500)
    status.tell(lambda: "too soon")
    status.say("the source is silent")
    status.close()
    shown = stream.getvalue()
    assert shown.count("\x1b7\x1b[1A\r\x1b[2K") == 3 == shown.count("\x1b8")
    assert "too soon" not in shown
    assert shown.count("x") < 3 * 100
    assert "sidestream: the source is silent\n" in shown
