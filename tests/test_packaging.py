"""The package as it is built: every folder of code is listed, every knowledge file travels, imports run one way."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from kbmatch.engine.version import VERSION

ROOT = Path(__file__).resolve().parent.parent
FACES = {"engine": "match", "kb/store": "load_rules", "collectors": "collect"}
"""Packages with a public face: the one name that the library's users import from there."""
ROOMS = ("cli", "collectors", "engine", "kb")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_packages_listed_are_the_folders_with_code() -> None:
    folders = {
        "kbmatch." + ".".join(path.parent.relative_to(ROOT).parts)
        for room in ROOMS
        for path in (ROOT / room).rglob("__init__.py")
    }
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == folders
    assert not (ROOT / "__init__.py").exists()


def test_the_version_in_the_code_is_that_of_the_project() -> None:
    assert PROJECT["project"]["version"] == VERSION


def test_every_folder_with_python_files_is_a_package_without_logic() -> None:
    for room in ROOMS:
        for folder in {path.parent for path in (ROOT / room).rglob("*.py")}:
            text = (folder / "__init__.py").read_text().strip()
            assert text.startswith('"""'), folder
            if folder.relative_to(ROOT).as_posix() not in FACES:
                assert text.endswith('"""'), f"{folder}/__init__.py holds more than a docstring"


def test_the_public_faces_hand_out_one_name_each() -> None:
    from kbmatch.collectors import collect
    from kbmatch.engine import match
    from kbmatch.kb.store import load_rules

    assert [f.__name__ for f in (collect, match, load_rules)] == ["collect", "match", "load_rules"]
    for folder, name in FACES.items():
        assert f'__all__ = ["{name}"]' in (ROOT / folder / "__init__.py").read_text()


def test_no_module_is_called_utils_and_none_has_outgrown_its_purpose() -> None:
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            assert path.stem not in ("utils", "helpers", "common", "misc"), path
            assert len(path.read_text().splitlines()) <= 450, path


@pytest.mark.slow
def test_the_wheel_holds_code_knowledge_and_type_marker(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for room in ROOMS:
        for path in (ROOT / room).rglob("*"):
            if path.suffix in (".py", ".yaml", ".json") or path.name == "py.typed":
                assert f"kbmatch/{path.relative_to(ROOT)}" in names
    assert not any(name.startswith(("engine/", "kbmatch/tests", "tests/")) for name in names)
