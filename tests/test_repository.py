"""What must hold for the repository as a whole: no dangerous calls, no stale documents, no large files."""

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import sidestream

ROOT = Path(__file__).parents[1]
WEIGHTS = ROOT / "src" / "sidestream" / "models" / "nano" / "weights"
PACKAGE = ROOT / "src" / "sidestream"
SOURCES = sorted(PACKAGE.rglob("*.py"))
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

FORBIDDEN_MODULES = {"pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
FORBIDDEN_CALLS = {"torch.load", "eval", "exec", "os.system"}
FORBIDDEN_KEYWORDS = {"shell", "trust_remote_code"}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def dangers(tree: ast.AST) -> Iterator[str]:
    """Whatever could run code that came with data."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from FORBIDDEN_MODULES & {name.name.partition(".")[0] for name in names}
            case ast.ImportFrom(module=str(module), names=names):
                yield from FORBIDDEN_MODULES & {module.partition(".")[0]}
                yield from FORBIDDEN_CALLS & {f"{module}.{name.name}" for name in names}
            case ast.Call(func=function, keywords=keywords):
                yield from FORBIDDEN_CALLS & {ast.unparse(function)}
                asked = {str(k.arg) for k in keywords if ast.unparse(k.value) != "False"}
                yield from FORBIDDEN_KEYWORDS & asked
            case _:
                pass


def opens_media_to_read(tree: ast.AST) -> bool:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    opened = [call for call in calls if ast.unparse(call.func) in {"av.open", "av.container.open"}]
    return any("'w'" not in ast.unparse(call) for call in opened)


def defines(tree: ast.AST, symbol: str) -> bool:
    """Whether a module defines `name` or `Class.name`, be it a function, a class or a value."""
    first, _, rest = symbol.partition(".")
    for node in getattr(tree, "body", []):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names = {name}
            case ast.ClassDef(name=name):
                names = {name}
            case ast.Assign(targets=targets):
                names = {ast.unparse(target) for target in targets}
            case ast.AnnAssign(target=target):
                names = {ast.unparse(target)}
            case _:
                names = set[str]()
        if first in names:
            return not rest or defines(node, rest)
    return False


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from torch import load",
        "torch.load(path)",
        "eval('1')",
        "subprocess.run(x, shell=True)",
        "Model.from_pretrained(name, trust_remote_code=True)",
    ],
)
def test_the_search_for_dangerous_calls_finds_them(line: str) -> None:
    assert list(dangers(ast.parse(line)))


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_source_runs_no_code_that_came_with_data(path: Path) -> None:
    assert list(dangers(ast.parse(path.read_text()))) == []


def test_media_is_opened_for_reading_in_one_place() -> None:
    readers = [path for path in SOURCES if opens_media_to_read(ast.parse(path.read_text()))]
    assert readers == [PACKAGE / "media" / "open.py"]


def test_newest_change_heading_is_the_version() -> None:
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[:2] == ["Unreleased", sidestream.__version__]


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = [path.name[:4] for path in DECISIONS]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]


@pytest.mark.parametrize("path", DECISIONS, ids=relative)
def test_decision_is_dated_and_has_its_four_parts(path: Path) -> None:
    text = path.read_text()
    assert text.startswith(f"# {path.name[:4]}: ")
    assert re.search(
        r"^Status: (accepted|superseded by \d{4}), \d{4}-\d\d-\d\d$", text, re.MULTILINE
    )
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == ["Context", "Decision", "Consequences", "Revisit when"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative)
def test_code_that_documents_name_exists(path: Path) -> None:
    missing: list[str] = []
    for name, symbol in re.findall(r"`([\w./-]+\.py)(?::\s([\w.]+)(?:\(\))?)?`", path.read_text()):
        file = next((root / name for root in (ROOT, PACKAGE) if (root / name).is_file()), None)
        if file is None or (symbol and not defines(ast.parse(file.read_text()), symbol)):
            missing.append(f"{name}: {symbol}")
    assert missing == []


def test_one_torch_build_is_pinned_everywhere() -> None:
    pins = [
        re.findall(r"TORCH_VERSION ?\??= ?([\d.]+)", (ROOT / name).read_text())
        for name in ("Makefile", "Dockerfile")
    ]
    assert len(pins[0]) == 1
    assert pins[0] == pins[1]


def test_no_large_file_is_tracked() -> None:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [ROOT / name for name in names.split("\0") if name]
    assert paths
    large = [path for path in paths if path.is_file() and path.stat().st_size > 5_000_000]
    assert [path.name for path in large if WEIGHTS not in path.parents] == []
    assert sum(p.stat().st_size for p in WEIGHTS.rglob("*") if p.is_file()) < 25_000_000
