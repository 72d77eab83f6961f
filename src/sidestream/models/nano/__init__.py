"""A small model of our own. Its weights are in the package, in the layout of any other model's folder."""

from pathlib import Path

FOLDER = Path(__file__).parent / "weights"

VISION_SIZE = 128
"""Side of the picture that its encoder looks at: 4 x 4 tokens."""
