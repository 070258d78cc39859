"""Names as printed, stripped of what compilers and tracers add."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbmatch.engine.symbols import parse_location, strip_decorations


@pytest.mark.parametrize(
    ("printed", "plain"),
    [
        ("xennet_poll", "xennet_poll"),
        ("f.isra.0", "f"),
        ("f.constprop.0.isra.0", "f"),
        ("f.part.23", "f"),
        ("f.cold", "f"),
        ("f.cold.13", "f"),
        ("f.isra.0.cold", "f"),
        ("f.llvm.1234567890", "f"),
        ("f.lto_priv.0", "f"),
        ("f.123", "f"),
        ("__dta_xennet_poll_55", "xennet_poll"),
        ("__dta_f.isra.3_7", "f"),
        ("__pfx_f", "f"),
        (".ppc_dot", "ppc_dot"),
        ("my.function", "my.function"),
        ("partial", "partial"),
    ],
)
def test_decorations_come_off(printed: str, plain: str) -> None:
    assert strip_decorations(printed) == plain


@pytest.mark.parametrize(
    ("printed", "parts"),
    [
        ("xennet_poll+0x2bb/0xb30 [xen_netfront]", ("xennet_poll", 699, 2864, "xen_netfront")),
        ("do_idle+0x158/0x1d5", ("do_idle", 344, 469, "")),
        ("f.isra.0+0x1/0x2 [ext4 0123456789abcdef0123456789abcdef01234567]", ("f", 1, 2, "ext4")),
        ("btrfs_x+0xa/0xb", ("btrfs_x", 10, 11, "")),
        ("f (fs/a.c:12)", ("f", None, None, "")),
        ("f (fs/a.c:12 (discriminator 3)) xfs", ("f", None, None, "xfs")),
        ("f (include/a.h:1 fs/a.c:12)", ("f", None, None, "")),
        (
            "<rust_binder::process::Process>::update_ref+0x1/0x2",
            ("<rust_binder::process::Process>::update_ref", 1, 2, ""),
        ),
        ("addrconf_dad_work", ("addrconf_dad_work", None, None, "")),
        ("0x0", (None, None, None, None)),
        ("", (None, None, None, None)),
    ],
)
def test_locations(printed: str, parts: tuple[str | None, int | None, int | None, str | None]) -> None:
    assert parse_location(printed) == parts


@given(st.text(max_size=80))
def test_any_text_is_survived(text: str) -> None:
    strip_decorations(text)
    parse_location(text)
