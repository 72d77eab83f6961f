"""Paints docs/styles/*.jpg, a photograph in every style: python docs/styles.py (needs scikit-image)"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from sidestream.config import Size
from sidestream.media.pixels import fit
from sidestream.synth.photos import photographs
from sidestream.synth.styles import STYLES
from sidestream.types import Pixels

PHOTOGRAPH, SIZE = "chelsea", Size(288, 288)
SHEETS = {
    "drawn": ("identity", "oil", "watercolor", "pencil", "anime", "render3d"),
    "grades": ("night", "sunset", "monochrome", "warm", "cold", "invert"),
    "held-out": ("van_gogh", "ukiyo_e", "comic"),
}
COLUMNS, MARGIN, CAPTION = 3, 4, 24
QUALITY = 84


def sheet(picture: Pixels, styles: Sequence[str]) -> Pixels:
    tiles = [tile(STYLES[style].paint(picture), style) for style in styles]
    rows = [tiles[first : first + COLUMNS] for first in range(0, len(tiles), COLUMNS)]
    return np.vstack([np.hstack(row) for row in rows])


def tile(pixels: Pixels, caption: str) -> Pixels:
    height, width = pixels.shape[:2]
    paper = np.full((height + CAPTION + MARGIN, width + 2 * MARGIN, 3), 255, np.uint8)
    paper[CAPTION : CAPTION + height, MARGIN : MARGIN + width] = pixels
    place, font = (MARGIN, CAPTION - 7), cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(paper, caption, place, font, 0.5, (40, 40, 40), 1, cv2.LINE_AA)
    return paper


def paint(folder: Path) -> None:
    cv2.setNumThreads(1)
    [pixels] = [photo.pixels for photo in photographs() if photo.name == PHOTOGRAPH]
    picture = fit(pixels, SIZE)
    folder.mkdir(exist_ok=True)
    for name, styles in SHEETS.items():
        painted = sheet(picture, styles)[..., ::-1]
        cv2.imwrite(str(folder / f"{name}.jpg"), painted, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


if __name__ == "__main__":
    paint(Path(__file__).with_suffix(""))
