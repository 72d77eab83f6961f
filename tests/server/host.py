"""The real server with a fake studio, as a process of its own: python -m server.host --port PORT --seats SEATS"""

import argparse

from server.fakes import FakeStudio
from sidestream.config_live import ServerConfig
from sidestream.console import Printer
from sidestream.server.run import serve
from sidestream.types import Controls

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--seats", type=int, default=8)
    parser.add_argument("--token")
    parser.add_argument("--interpolate", action="store_true")
    parser.add_argument("--every", type=int, default=1)
    asked = parser.parse_args()
    serve(
        lambda: FakeStudio(asked.seats, every=asked.every),
        ServerConfig(
            port=asked.port, seats=asked.seats, token=asked.token, interpolate=asked.interpolate
        ),
        Controls(prompt="invert the colors"),
        "fake",
        say=Printer(None).say,
    )
