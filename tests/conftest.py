"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure(config: pytest.Config) -> None:
    """Compiled knowledge goes into a cache of the tests' own, shared by the workers of one run."""
    os.environ.setdefault("KBMATCH_TEST_CACHE", tempfile.mkdtemp(prefix="kbmatch-tests-"))
    os.environ["XDG_CACHE_HOME"] = os.environ["KBMATCH_TEST_CACHE"]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove that cache when the last process of the run ends."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ["KBMATCH_TEST_CACHE"], ignore_errors=True)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real material beside the repository; its tests skip, loudly, without it."""
    folder = ROOT.parent / "shared"
    if not (folder / "DESIGN.md").is_file():
        pytest.skip(f"SHARED MATERIAL ABSENT: {folder} is not there, real dumps and logs go untested")
    return folder
