"""Compiles the shipped knowledge into the wheel; everything else is in pyproject.toml."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


class BuildWithKnowledge(build_py):
    """build_py, then kb/compiled.sqlite beside the YAML files of the wheel (not of an editable install)."""

    def run(self) -> None:
        """Build, then compile what was built."""
        super().run()
        if self.editable_mode:
            return
        # the rooms under their package name, as in .dev/, but made of what goes into the wheel
        sys.path.insert(0, str(Path(self.build_lib).resolve()))
        from kbmatch.kb.store.compiler import compile_knowledge
        from kbmatch.kb.store.files import SHIPPED, find_files

        target = Path(self.build_lib) / "kbmatch" / "kb" / "compiled.sqlite"
        target.unlink(missing_ok=True)
        with sqlite3.connect(target) as database:
            compile_knowledge(find_files(SHIPPED), database)
            database.execute("VACUUM")


setup(cmdclass={"build_py": BuildWithKnowledge})
