"""kb/functions: packed and read again; the shipped files say where functions of known fixes are."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbmatch.engine.errors import KnowledgeError
from kbmatch.kb.store.files import SHIPPED
from kbmatch.kb.store.homes import packed, read_homes, unpacked

NAMES = st.sets(st.from_regex(r"[a-z_][a-z0-9_]{2,50}", fullmatch=True), min_size=1, max_size=40)


@given(NAMES)
def test_what_was_packed_is_read_again(names: set[str]) -> None:
    assert set(unpacked(packed(names))) == names


def test_a_name_that_many_files_have_is_in_none(tmp_path: Path) -> None:
    lines = "".join(f"drivers/a{i}.c\n{packed(['probe', f'a{i}_own'])}\n" for i in range(5))
    (tmp_path / "x.txt").write_text(f"# made\n{lines}")
    homes = read_homes([tmp_path / "x.txt"])
    assert "probe" not in homes
    assert homes["a3_own"] == ("drivers/a3.c",)


def test_a_torn_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("drivers/a.c\n0probe -new\n")
    with pytest.raises(KnowledgeError, match=r"x\.txt:2"):
        read_homes([tmp_path / "x.txt"])


def test_the_shipped_files_know_where_functions_are_and_stay_small() -> None:
    paths = sorted((SHIPPED / "functions").glob("*.txt"))
    homes = read_homes(paths)
    assert homes["ipt_do_table"] == ("net/ipv4/netfilter/ip_tables.c",)
    assert homes["recursively_mark_NOTATTACHED"] == ("drivers/usb/core/hub.c",)
    assert "kfree" not in homes
    assert max(path.stat().st_size for path in paths) < 1 << 20
