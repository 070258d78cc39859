"""Clues: fixes that a report names and the board it is about; registers, addresses and virtual machines are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbmatch.engine.clues import MAX_CLUES, board_of, named_fixes


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        (">> Perhaps this is missing? commit e58a171d35e32e6e8c37cfe0e8a94406732a331f", "e58a171d35e3"),
        ('fixed by 664130c0b030 ("Bluetooth: btnxpuart: Fix btnxpuart_close")', "664130c0b030"),
        ("see https://git.kernel.org/linus/a761129e3625688310aecf26e1be9e98e85f8eb5", "a761129e3625"),
        ("https://nvd.nist.gov/vuln/detail/CVE-2023-54243", "CVE-2023-54243"),
        (
            ">     netfilter: ebtables: fix table blob use-after-free",
            "netfilter: ebtables: fix table blob use-after-free",
        ),
        ("Subject: [PATCH net v2] Net: Fix the  thing in foo.", "net: fix the thing in foo"),
        ('664130c0b0 ("net: fix the thing in foo")', "net: fix the thing in foo"),
    ],
)
def test_a_named_fix_is_found(line: str, fix: str) -> None:
    assert named_fixes(["a line", line])[fix] == 2


@pytest.mark.parametrize(
    "line",
    [
        "[   12.3] RAX: 0000000000000000 RBX: ffff888100963300 RCX: 0000000000000002",
        "[   12.3] Code: 24 10 4c 89 44 24 18 c6 44 24 24 01 44 89 54 24 28 48",
        "[   12.3]  acme_poll+0x2bb/0xb30 [acme 88f80e81ca85ae5f15ce53415437ca743102923d0]",
        "[   12.3] raw: 0017ffffc0000000 0000000000000000 dead000000000122",
        "[   12.3] CPU: 8 PID: 1 Comm: x Not tainted 6.8.0-rc3-00017-gf44d154d6e3d #14",
        "pid 123456789012",
    ],
)
def test_registers_addresses_and_build_ids_are_no_fixes(line: str) -> None:
    assert not [fix for fix in named_fixes([line]) if ": " not in fix]


def test_a_list_of_thousand_commits_is_cut() -> None:
    assert len(named_fixes(f"{i:x}abcdef12345"[:13] for i in range(4096, 9000))) <= MAX_CLUES


@given(st.lists(st.text(max_size=300), max_size=20))
def test_any_text_is_taken(lines: list[str]) -> None:
    assert all(1 <= number <= len(lines) for number in named_fixes(lines).values())


@pytest.mark.parametrize(
    ("hardware", "board"),
    [
        ("LENOVO 21CRS0K63K/21CRS0K63K, BIOS R22ET65W (1.35 ) 08/08/2023", "LENOVO 21CRS0K63K/21CRS0K63K"),
        ("Texas Instruments J721e EVM (DT)", "Texas Instruments J721e EVM (DT)"),
        ("IBM,9080-HEX POWER10 (raw) 0x800200 0xf000006 of:IBM hv:phyp pSeries", "IBM,9080-HEX POWER10"),
        ("QEMU Standard PC (i440FX + PIIX, 1996), BIOS 1.16.3", None),
        ("Xen HVM domU, BIOS 4.4.4OVM 08/14/2017", None),
        ("Google Compute Engine, BIOS Google 01/01/2011", None),
        ("To Be Filled By O.E.M. To Be Filled By O.E.M./Z97 Extreme4, BIOS P2.60A", None),
        ("", None),
        (None, None),
    ],
)
def test_a_board_is_known_without_its_firmware(hardware: str | None, board: str | None) -> None:
    assert board_of(hardware) == board
