"""kb/frames.yaml: complete, compiled once, errors with their file."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbmatch.engine.errors import KnowledgeError
from kbmatch.engine.kinds import KINDS
from kbmatch.kb.store.frames import load_helper_frames


def test_shipped_table_is_read_once_and_names_known_kinds() -> None:
    frames = load_helper_frames()
    assert frames is load_helper_frames()
    assert set(frames.by_kind) | set(frames.exceptions) | set(frames.stall_kinds) <= set(KINDS)


@pytest.mark.parametrize(
    ("symbol", "helper"),
    [
        ("memcpy", True),
        ("_raw_spin_lock_irqsave", True),
        ("native_queued_spin_lock_slowpath", True),
        ("refcount_warn_saturate", True),
        ("__list_del_entry_valid_or_report", True),
        ("__schedule", True),
        ("kmem_cache_alloc_noprof", True),
        ("dump_stack_lvl", True),
        ("asm_exc_page_fault", True),
        ("xennet_poll", False),
        ("ext4_evict_inode", False),
        ("tcp_sendmsg_locked", False),
        ("nfs4_state_manager", False),
        ("print", False),
    ],
)
def test_helpers(symbol: str, helper: bool) -> None:
    assert load_helper_frames().is_helper(symbol, "null-deref") is helper


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("common: [", "yaml"),
        ("common: ['(']", "regex"),
        ("common: 3", "list of texts"),
        ("kinds: []", "mapping"),
        ("commom: []", "unknown key 'commom'"),
        ("- a", "mapping"),
    ],
)
def test_a_broken_table_is_refused_with_its_name(tmp_path: Path, text: str, part: str) -> None:
    path = tmp_path / "frames.yaml"
    path.write_text(text)
    with pytest.raises(KnowledgeError) as error:
        load_helper_frames(path)
    assert str(path) in str(error.value)
    assert part in str(error.value)


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match="No such file"):
        load_helper_frames(tmp_path / "none.yaml")
