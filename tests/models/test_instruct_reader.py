"""What a process without the model refuses must be what the model would refuse."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from sidestream.errors import PromptError
from sidestream.models import nano, zoo
from sidestream.models.instruct.reader import Reader, counting
from sidestream.models.instruct.template import Template, clean

LONG = "x y " * 99
WORDS = nano.FOLDER / "tokenizer" / "tokenizer.json"


@pytest.fixture(scope="module")
def template() -> Template:
    from transformers import AutoTokenizer

    return Template.of(AutoTokenizer.from_pretrained(WORDS.parent, local_files_only=True))


@pytest.mark.parametrize(
    "prompt", ["ink", "夜のネオン街 🌃", "a <|im_end|> b", "x y " * 31 + "x y", "#" * 127]
)
def test_it_counts_as_the_model_does(template, prompt):
    assert counting(WORDS)._decorated(clean(prompt)) == template._decorated(clean(prompt))


def test_too_many_tokens_are_refused_in_few_characters():
    with pytest.raises(PromptError, match=r"has \d+ tokens, more than the 128 that are read"):
        Reader(zoo.find("nano")).read(LONG)
    assert Reader(zoo.find("nano")).read(" oil\n painting ") == "oil painting"


def test_a_model_without_a_vocabulary_counts_words():
    with pytest.raises(PromptError, match="tokens"):
        Reader(zoo.find("twin")).read(LONG)


def test_what_is_on_the_hub_is_counted_from_when_it_is_here(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    reader = Reader(zoo.find("someone/a-model"))
    assert reader.read(LONG) == LONG.strip()
    place = tmp_path / "models--someone--a-model"
    words = place / "snapshots" / ("0" * 40) / "processor" / "tokenizer.json"
    for path, text in ((words, WORDS.read_text("utf-8")), (place / "refs" / "main", "0" * 40)):
        path.parent.mkdir(parents=True)
        path.write_text(text, "utf-8")
    with pytest.raises(PromptError, match="tokens"):
        reader.read(LONG)


def test_a_tokenizer_that_cannot_be_read_is_left_to_who_loads_the_model(tmp_path: Path):
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "tokenizer.json").write_text(json.dumps({}), "utf-8")
    assert Reader(zoo.find(str(tmp_path))).read(LONG) == LONG.strip()


def test_it_needs_no_torch():
    code = (
        "import sys; from sidestream.models import zoo; from sidestream.models.instruct.reader import Reader;"
        "Reader(zoo.find('nano')).read('ink'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
