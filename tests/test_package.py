"""What a user installs: the wheel, the command, and how light both are to start."""

import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import sidestream

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "av", "cv2", "diffusers", "transformers"}


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def imported_by(*arguments: str) -> set[str]:
    log = run(sys.executable, "-X", "importtime", *arguments).stderr
    return {
        name.partition(".")[0]
        for name in re.findall(r"^import time:.*\| +(\S+)$", log, re.MULTILINE)
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment that holds the wheel, and borrows what it depends on."""
    home = tmp_path_factory.mktemp("fresh")
    venv.create(home)
    python = home / "bin" / "python"
    run(
        sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel
    )
    borrowed = [path for path in sys.path if path.endswith("site-packages")]
    own = next((home / "lib").glob("python*/site-packages"))
    (own / "borrowed.pth").write_text("\n".join(borrowed))
    return python


def test_wheel_holds_every_module_the_type_marker_and_the_licence(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = (ROOT / "src").rglob("*.py")
    assert {path.relative_to(ROOT / "src").as_posix() for path in sources} <= names
    assert "sidestream/py.typed" in names
    assert "sidestream/server/static/index.html" in names
    licence = f"sidestream-{sidestream.__version__}.dist-info/licenses/LICENSE"
    assert licence in names


def test_the_installed_package_is_the_one_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    where = run(installed, "-c", "import sidestream; print(sidestream.__file__)", cwd=tmp_path)
    assert Path(where.stdout).is_relative_to(installed.parents[1])


@pytest.mark.parametrize("command", [["sidestream"], ["python", "-m", "sidestream"]])
def test_installed_command_says_its_version_anywhere(
    command: list[str], installed: Path, tmp_path: Path
) -> None:
    said = run(installed.parent / command[0], *command[1:], "--version", cwd=tmp_path).stdout
    assert said == f"sidestream {sidestream.__version__}\n"


@pytest.mark.parametrize("arguments", [["-c", "import sidestream"], ["-m", "sidestream", "--help"]])
def test_import_and_help_leave_the_heavy_libraries_alone(arguments: list[str]) -> None:
    imported = imported_by(*arguments)
    assert "sidestream" in imported
    assert not imported & HEAVY


def test_help_comes_within_a_second() -> None:
    before = os.times()
    run(sys.executable, "-m", "sidestream", "--help")
    after = os.times()
    # Time of the processor, not of the wall: a busy machine must not fail this.
    spent = after.children_user + after.children_system
    assert spent - before.children_user - before.children_system < 1
