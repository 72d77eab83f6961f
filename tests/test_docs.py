"""What the documents show is what happens: README's examples, the help, the links. Names: test_repository.py."""

import re
import runpy
import shlex
from pathlib import Path

import pytest

from clips import write_clip
from commands import Runner

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
README = (ROOT / "README.md").read_text("utf-8")
HOW = (ROOT / "docs" / "how-it-works.md").read_text("utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.+?)^```$", text, re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    return re.sub(r"^```.+?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(path.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_somewhere(document: Path, link: str) -> bool:
    place, _, anchor = link.partition("#")
    target = document.parent / place if place else document
    return target.exists() and (not anchor or anchor in anchors(target))


def test_readme_is_short():
    assert len(README.splitlines()) < 120


def test_python_in_the_readme_runs_as_printed(tmp_path, capsys):
    [block] = blocks(README, "python")
    (tmp_path / "example.py").write_text(block, "utf-8")
    runpy.run_path(str(tmp_path / "example.py"))
    said = re.findall(r"^(\d+) \(224, 288, 3\) (\d+) ", capsys.readouterr().out, re.MULTILINE)
    assert [index for index, _ in said] == [str(index) for index in range(12)]
    assert (said[0][1], said[-1][1]) == ("0", "1")


def test_commands_in_the_readme_run_as_printed(nano, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_clip(Path("in.mp4"), 4)
    Path("cues.txt").write_text(next(text for text in blocks(README, "text") if "cues" in text))
    found = re.findall(r"^sidestream ((?:stylize|metrics) .+)$", README, re.MULTILINE)
    run = Runner(nano, capsys)
    done = [run(*shlex.split(command, comments=True)) for command in found]
    assert [one.code for one in done] == [0] * 5
    [said] = filter(None, (one.err for one in done))  # the clip here is a short one
    assert said == "sidestream: warning: the cue at 4 s comes after the video's end at 0.2 s\n"


def test_commands_in_the_readme_run_in_order_in_one_folder():
    """Those for a camera cannot run here: none has the name of what another one made."""
    made = re.findall(
        r"^sidestream (?:stylize \S+|render \S+|live .+ --also) (\S+)", README, re.MULTILINE
    )
    assert len(made) == len(set(made)) == 6
    assert README.index("# cues.txt") < README.index("--cues cues.txt")


def test_the_command_reference_is_what_help_says():
    written = (ROOT / "docs" / "cli.md").read_text("utf-8")
    assert written == runpy.run_path(str(ROOT / "docs" / "cli.py"))["document"]()


@pytest.mark.parametrize("section", re.split(r"^## ", HOW, flags=re.MULTILINE)[1:])
def test_every_mechanism_names_its_code(section):
    assert re.search(r"`[\w/]+\.py:\s[\w.]+`", section)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_within_the_repository_lead_somewhere(document):
    links = re.findall(r"\]\(([^)\s]+)\)", prose(document.read_text("utf-8")))
    local = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [link for link in local if not leads_somewhere(document, link)] == []
