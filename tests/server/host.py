"""The real server with a fake studio, as a process of its own: python host.py PORT [SEATS]"""

import sys

from fakes import FakeStudio

from sidestream.config import ServerConfig
from sidestream.server.run import serve
from sidestream.types import Controls

if __name__ == "__main__":
    port, seats = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 8
    serve(
        lambda: FakeStudio(seats),
        ServerConfig(port=port, seats=seats),
        Controls(prompt="invert the colors"),
        "fake",
        say=lambda line: print(line, flush=True),
    )
