"""Mining: excerpts as commit messages quote them, refusals, stable files, and the measures of the whole."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from kbmatch.engine.errors import UnreadableInput
from kbmatch.kb.authoring.mine import mine, write
from kbmatch.kb.authoring.mine_rule import (
    ERROR_REPORT,
    NO_CRASH,
    NO_FIX,
    NO_FUNCTION,
    WRONG_KIND,
    rule_of,
    subsystem_of,
)
from kbmatch.kb.authoring.mine_source import Pair, Record, read_records
from kbmatch.kb.store.frames import load_helper_frames
from kbmatch.kb.store.mined import MinedRule

FIXED = (Pair("5.10", "a" * 40, "5.15.3", "b" * 40), Pair("5.10", "a" * 40, "5.16", "c" * 40))
FILES = ("drivers/net/acme/acme_main.c",)


def made(text: str, pairs: tuple[Pair, ...] = FIXED, files: tuple[str, ...] = FILES) -> MinedRule | str:
    return rule_of(Record("CVE-2099-10001", "acme: fix it", text, files, pairs), load_helper_frames())


def rule(text: str) -> MinedRule:
    found = made(text)
    assert isinstance(found, MinedRule), found
    return found


OOPS = """\
The driver crashes:

{0}BUG: kernel NULL pointer dereference, address: 0000000000000008
{0}CPU: 1 PID: 7 Comm: ip Not tainted 5.15.0 #1
{0}RIP: 0010:memcpy+0x3/0x10
{0}Call Trace:
{0} <TASK>
{0} acme_clean+0x1b/0x20 [acme]
{0} acme_poll+0x17/0x1d0 [acme]
{0} net_rx_action+0x2a0/0x390
{0} do_syscall_64+0x3b/0x90
{0} </TASK>

Fix it.
"""


@pytest.mark.parametrize(
    "quote", ["", "  ", "> ", "    | ", "[   12.345678] ", "[   12.345678][ T123] ", "<4>[ 1.000000] "]
)
def test_quoting_comes_off(quote: str) -> None:
    crash = rule(OOPS.format(quote)).crashes[0]
    assert (crash.kind, crash.top, crash.blamed, crash.frames) == (
        "null-deref",
        "memcpy",
        ("acme_clean",),
        ("acme_poll",),
    )


def test_bare_names_of_a_message_make_a_thin_rule() -> None:
    text = "Oops:\n\nUnable to handle kernel NULL pointer dereference at virtual address 0000000000000070\n...\n"
    found = rule(text + "Call trace:\n acme_find\n acme_remove\n acme_del\n process_one_work\n worker_thread\n")
    assert found.crashes[0].blamed == ("acme_find",)
    assert found.crashes[0].frames == ("acme_remove", "acme_del")
    assert found.tier == "thin"


def test_a_backtrace_of_the_crash_tool_is_read() -> None:
    text = (
        "    [exception RIP: acme_unlink+172]\n #7 [ff539b5a2b043aa0] acme_delete at ffffffffc124d421 [acme]\n"
        " #8 [ff539b5a2b043ad0] acme_gc at ffffffffc124d999 [acme]\n"
    )
    crash = rule(text).crashes[0]
    assert (crash.blamed, crash.frames) == (("acme_unlink",), ("acme_delete", "acme_gc"))


def test_inlined_functions_are_names_of_the_blamed_one() -> None:
    text = (
        "BUG: KASAN: slab-use-after-free in acme_inner drivers/net/acme/a.c:7 [inline]\n"
        "BUG: KASAN: slab-use-after-free in acme_outer+0x1/0x20 drivers/net/acme/a.c:9\nCall Trace:\n"
        " kasan_report+0x1/0x20 mm/kasan/report.c:1\n acme_inner drivers/net/acme/a.c:7 [inline]\n"
        " acme_outer+0x1/0x20 drivers/net/acme/a.c:9\n acme_ioctl+0x1/0x20 drivers/net/acme/a.c:20\n"
    )
    found = rule(text)
    assert set(found.crashes[0].blamed) == {"acme_inner", "acme_outer"}
    assert found.tier == "sanitizer"
    assert "drivers/net/acme/" in found.anchor


def test_what_says_too_little_is_refused_with_the_reason() -> None:
    assert made("Fix a leak of the ring.") == NO_CRASH
    assert made(OOPS.format(""), pairs=()) == NO_FIX
    text = (
        "kernel BUG at mm/slub.c:300!\nRIP: 0010:kfree+0x1/0x2\nCall Trace:\n kfree+0x1/0x2\n do_syscall_64+0x3b/0x90\n"
    )
    assert made(text) == NO_FUNCTION
    assert made("mce: [Hardware Error]: CPU 1: Machine Check: 0 Bank 5\nRIP: 0010:acme_clean+0x1/0x2\n") in (
        WRONG_KIND,
        NO_CRASH,
    )


def test_ranges_keep_every_branch_and_mainline_last() -> None:
    assert rule(OOPS.format("")).ranges == ("5.10 5.15.3 bbbbbbbbbbbb", "5.10 5.16 cccccccccccc")


def test_a_header_does_not_name_the_subsystem() -> None:
    assert subsystem_of(("include/net/sctp/sctp.h", "net/sctp/socket.c")) == "net-sctp"
    assert subsystem_of(("drivers/foo/bar.c",)) == "drivers"


def records(path: Path, *texts: str) -> Path:
    lines = [
        {"id": f"CVE-2099-1000{i}", "title": "acme: fix", "files": FILES, "description": text,
         "pairs": [["5.10", "a" * 40, "5.16", f"{i}" * 40]]}
        for i, text in enumerate(texts)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_two_that_cannot_be_told_apart_become_a_differential(tmp_path: Path) -> None:
    text = OOPS.format("").replace(" net_rx_action", " acme_core+0x1/0x2 [acme]\n net_rx_action")
    found = mine(records(tmp_path / "r.jsonl", text, text), load_helper_frames())
    assert [rule.related for rule in found.rules] == [("cve-2099-10001",), ("cve-2099-10000",)]


def test_a_second_run_writes_the_same_bytes(tmp_path: Path) -> None:
    source = records(tmp_path / "r.jsonl", OOPS.format(""), OOPS.format("").replace("acme_clean", "acme_other"))
    mined = mine(source, load_helper_frames())
    write(mined, tmp_path / "mined")
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in (tmp_path / "mined").iterdir()}
    write(mine(source, load_helper_frames()), tmp_path / "mined")
    assert before == {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in (tmp_path / "mined").iterdir()}


def test_a_checkout_of_the_vulns_repository_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "cve" / "published" / "2099"
    folder.mkdir(parents=True)
    cna = {
        "title": "acme: fix it",
        "descriptions": [{"lang": "en", "value": OOPS.format("")}],
        "affected": [{"programFiles": list(FILES)}, {"programFiles": list(FILES)}],
    }
    record = {"cveMetadata": {"cveId": "CVE-2099-10001"}, "containers": {"cna": cna}}
    (folder / "CVE-2099-10001.json").write_text(json.dumps(record))
    (folder / "CVE-2099-10001.dyad").write_text(
        f"# dyad\n5.10:{'a' * 40}:5.15.3:{'b' * 40}\n5.10:{'a' * 40}:5.16:{'c' * 40}\n"
    )
    (read,) = read_records(tmp_path)
    assert read == Record("CVE-2099-10001", "acme: fix it", OOPS.format(""), FILES, FIXED)


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text('{"id": "CVE-2099-1"}\n')
    with pytest.raises(UnreadableInput, match=r"r\.jsonl:1: "):
        list(read_records(path))


def test_all_records_are_mined_in_time_and_few_are_lost(shared: Path) -> None:
    started = time.process_time()
    found = mine(shared / "data" / "kernel-cves.jsonl.zst", load_helper_frames())
    assert time.process_time() - started < 120
    assert found.records == 4985
    assert len(found.rules) > 3797  # what a trial found
    assert found.tiers()["production"] > 1800
    assert len(found.noisy) < 20


def test_what_leads_to_a_rule_besides_its_trace_is_kept() -> None:
    text = OOPS.format("").replace("5.15.0", "5.15.0-00017-gf44d154d6e3d")
    found = rule(text.replace("Fix it.", "The race is between acme_reset() and acme_poll()."))
    assert (found.files, found.seen) == (FILES, ("5.15.0-00017-gf44d154d6e3d",))
    assert rule(OOPS.format("")).seen == (), "the release alone is anybody's"
    assert "acme_reset" in (*found.named, *found.mentioned)


def test_the_crash_that_the_title_names_comes_first_and_keeps_its_line() -> None:
    text = (
        "WARNING: CPU: 1 PID: 7 at fs/acme/other.c:12 acme_other+0x1b/0x20\nCall Trace:\n acme_call+0x17/0x1d0\n\n"
        "kernel BUG at fs/acme/bio.c:938!\nOops: invalid opcode: 0000 [#1] SMP NOPTI\nCPU: 0 PID: 8 Comm: x 6.1.0 #1\n"
        "RIP: 0010:acme_repair+0xb2/0x120\n"
    )
    record = Record("CVE-2099-10001", "acme: no BUG() in acme_repair()", text, ("fs/acme/bio.c",), FIXED)
    found = rule_of(record, load_helper_frames())
    assert isinstance(found, MinedRule)
    crash = found.crashes[0]
    assert (crash.kind, crash.blamed, crash.at, crash.titled) == ("bug", ("acme_repair",), "fs/acme/bio.c:938", True)


def test_a_warning_behind_a_report_of_an_error_is_refused() -> None:
    text = (
        "------------[ cut here ]------------\nACMEFS: Transaction aborted (error -28)\n"
        "WARNING: fs/acme/tree.c:3235 at acme_free+0x453/0xfd0, CPU#1: x/7\nCall Trace:\n acme_run+0x1/0x2\n"
    )
    assert made(text, files=("fs/acme/tree.c",)) == ERROR_REPORT
