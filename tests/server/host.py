"""The real server with a fake studio, as a process of its own: python -m server.host --port PORT --seats SEATS"""

import argparse
from dataclasses import replace

from server.fakes import FakeStudio
from sidestream.config_live import SERVER_LIMITS, ServerConfig
from sidestream.console import Printer
from sidestream.server.run import serve
from sidestream.types import Controls

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--seats", type=int, default=8)
    parser.add_argument("--token")
    parser.add_argument("--interpolate", action="store_true")
    parser.add_argument("--request-seconds", type=float, default=SERVER_LIMITS.request_seconds)
    parser.add_argument("--connections", type=int, default=SERVER_LIMITS.connections_per_address)
    parser.add_argument("--every", type=int, default=1)
    asked = parser.parse_args()
    serve(
        lambda: FakeStudio(asked.seats, every=asked.every),
        ServerConfig(
            port=asked.port, seats=asked.seats, token=asked.token, interpolate=asked.interpolate
        ),
        Controls(prompt="invert the colors"),
        "fake",
        limits=replace(
            SERVER_LIMITS,
            request_seconds=asked.request_seconds,
            connections_per_address=asked.connections,
        ),
        say=Printer(None).say,
    )
