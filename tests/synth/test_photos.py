"""Photographs are those whose licence is known, and documented."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from sidestream.errors import ConfigError
from sidestream.synth import photos

DOCUMENT = Path(__file__).parents[2] / "docs" / "training-data.md"


def test_without_scikit_image_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(ConfigError, match=r"pip install 'sidestream\[train\]'"):
        photos.photographs()


def test_photographs_are_coloured_and_come_with_their_licence(monkeypatch: pytest.MonkeyPatch):
    grey, coloured = np.full((4, 6), 7, np.uint8), np.full((4, 6, 3), 9, np.uint8)

    class Data:
        def __getattr__(self, name: str):
            return lambda: grey if name == "camera" else coloured

    class Library:
        data = Data()

    monkeypatch.setitem(sys.modules, "skimage", Library())
    found = {photo.name: photo for photo in photos.photographs()}
    assert found["camera"].pixels.tolist() == np.full((4, 6, 3), 7).tolist()
    assert found["coffee"].pixels is coloured
    assert {name: photo.licence for name, photo in found.items()} == photos.LICENCES


def test_the_bundled_photographs_are_read():
    pytest.importorskip("skimage")
    for photo in photos.photographs():
        assert photo.pixels.dtype == np.uint8
        assert photo.pixels.shape[2:] == (3,)
        assert photo.pixels.std() > 10


@pytest.mark.parametrize(("name", "licence"), photos.LICENCES.items())
def test_the_document_names_every_photograph_and_its_licence(name: str, licence: str):
    rows = [line for line in DOCUMENT.read_text().splitlines() if line.startswith(f"| {name} ")]
    assert len(rows) == 1
    assert licence in rows[0]
