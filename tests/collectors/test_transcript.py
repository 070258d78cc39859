"""Crash sessions: structs, words and frames that somebody pasted become facts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbmatch.collectors.transcript.evaluate import Evaluator, NotPrinted, Printouts
from kbmatch.collectors.transcript.memory_words import PrintedMemory
from kbmatch.collectors.transcript.session import is_session, split_session
from kbmatch.collectors.transcript.structs import Printed, printed_structs
from kbmatch.collectors.transcript.transcript import TranscriptReading, read_transcript
from kbmatch.engine.probe import MemberLayout, Probe
from kbmatch.kb.store.c_expressions import ExpressionError, parse_expression
from kbmatch.kb.store.knowledge import KnowledgeBase

ROOT = Path(__file__).resolve().parents[2]
SESSION = (ROOT / "examples/founding-case/crash-session.txt").read_bytes()
PROBE = "xen-netfront.rx-rings"


def read(data: bytes) -> TranscriptReading:
    return read_transcript(data, KnowledgeBase())


def changed(old: str, new: str) -> bytes:
    assert old.encode() in SESSION
    return SESSION.replace(old.encode(), new.encode())


def test_a_session_is_told_from_a_log_by_its_prompt() -> None:
    assert is_session(SESSION)
    assert is_session(b"crash7latest> bt\nPID: 0\n")
    assert not is_session((ROOT / "examples/founding-case/dmesg.log").read_bytes())
    assert not is_session(b"[1.0] something crash> \n")


def test_the_ring_that_was_printed_is_the_crashed_one_and_its_lines_are_known() -> None:
    state = read(SESSION).state[PROBE]
    assert (state.complete, state.origin) == (True, "transcript")
    (record,) = state.records
    assert record.at == 0xFFFF98C023924528
    assert {name: record.values[name] for name in ("device", "rsp-cons", "nr-ents", "sring")} == {
        "device": "eth1",
        "rsp-cons": 0xFFFFFFFF,
        "nr-ents": 256,
        "sring": 0xFFFF98C005F1E000,
    }
    assert SESSION.decode().split("\n")[record.lines["rsp-cons"] - 1].strip() == "rsp_cons = 4294967295,"


def test_the_shared_ring_printed_with_a_wrong_type_is_read_by_offset() -> None:
    reading = read(SESSION)
    record = reading.state[PROBE].records[0]
    assert record.values["rsp-prod"] == 193
    assert record.values["unconsumed"] == 194
    assert any("read by offset as struct xen_netif_rx_sring" in note.text for note in reading.log.notes)


def test_the_shared_ring_shown_by_rd_is_read_too() -> None:
    start = SESSION.index(b"crash> xen_netif_rx_front_ring")
    words = (
        b"crash> rd -32 0xffff98c005f1e000 4\nffff98c005f1e000:  000000ff 00000001 000000c1 00000002   ............\n"
    )
    record = read(SESSION[:start] + words).state[PROBE].records[0]
    assert record.values["rsp-prod"] == 193


def test_what_was_not_printed_is_missing_and_says_so() -> None:
    start = SESSION.index(b"crash> xen_netif_rx_front_ring")
    record = read(SESSION[:start]).state[PROBE].records[0]
    assert "unconsumed" not in record.values
    assert "0xffff98c005f1e008" in record.missing["unconsumed"]
    assert record.missing["cleared"] == "the session does not show rx_skbs"


def test_a_ring_that_no_register_points_to_is_not_known_to_be_the_crashed_one() -> None:
    state = read(changed("struct napi_struct ffff98c023924528", "struct napi_struct ffff98c0239aaaaa")).state[PROBE]
    assert not state.complete
    assert state.records[0].values["rsp-cons"] == 0xFFFFFFFF


def test_the_exception_frame_completes_the_registers_that_the_log_shows() -> None:
    (event,) = read(SESSION).log.events
    assert event.registers["rip"] == 0xFFFFFFFFC01CF5CB
    assert event.registers["rdi"] == 0xFFFFFFFF
    assert (event.symbol, event.offset) == ("xennet_poll", 699)


def test_header_and_command_line_complete_the_kernel() -> None:
    reading = read(SESSION)
    assert reading.log.kernel.version == "#2 SMP Wed Aug 28 21:39:33 GMT 2019"
    assert reading.log.kernel.phys_base == 0x7C5000000
    assert reading.log.kernel.kaslr_offset == 0x25000000
    assert reading.log.machine.cpus == 24


def test_a_session_without_its_log_still_has_its_crash() -> None:
    start, end = SESSION.index(b"crash> log"), SESSION.index(b"crash> bt")
    (event,) = read(SESSION[:start] + SESSION[end:]).log.events
    assert (event.kind, event.symbol, event.offset, event.address) == ("null-deref", "xennet_poll", 699, 0x2C)
    assert (event.cpu, event.pid, event.comm, event.fatal) == (0, 0, "swapper/0", True)


def test_a_write_up_that_quotes_the_log_before_its_first_prompt_has_that_crash() -> None:
    """Without a log command the quote is the log; where it breaks off, bt says how the CPU came there."""
    head = "    [  755.500000] BUG: unable to handle kernel NULL pointer dereference at           (null)\n"
    place = (
        "    [  755.600000] IP: [<ffffffff8ee11acb>] lab_alloc+0x1ab/0x280\n    [  755.700000] Oops: 0002 [#1] SMP\n\n"
    )
    backtrace = "    crash> bt\n        [exception RIP: lab_alloc+0x1ab]\n"
    backtrace += "     #10 [ffff89240e1a39c0] lab_ask at ffffffffc04680f3\n"
    (event,) = read((head + place + backtrace).encode()).log.events
    assert (event.kind, event.symbol, event.offset, event.line) == ("null-deref", "lab_alloc", 427, 1)
    assert [frame.symbol for frame in event.trace] == ["lab_ask"]
    traced = head + "    [  755.600000] RIP: 0010:lab_other+0x2/0x30\n"
    traced += "    [  755.700000] Call Trace:\n    [  755.800000]  lab_caller+0x5/0x10\n\n"
    (event,) = read((traced + backtrace).encode()).log.events
    assert (event.symbol, [frame.symbol for frame in event.trace]) == ("lab_other", ["lab_caller"])


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ("watchdog_timer_fn", "soft-lockup"),
        ("page_fault_oops", "page-fault"),
        ("asm_exc_invalid_op", "bug"),
        ("die", "other"),
    ],
)
def test_a_backtrace_pasted_without_its_prompt_is_a_crash_of_the_kind_its_entry_tells(entry: str, kind: str) -> None:
    """As it stands in mails: quoted, with or without the #, nothing else of the session."""
    pasted = f""" 2 [ffffbd13003e8e58] panic at ffffffff8cef65d4
> #3 [ffffbd13003e8ed8] {entry} at ffffffff8d05cb03
    [exception RIP: lab_select+299]
    RIP: ffffffff8ddf02b5  RSP: ffffbd13003d37b8  RFLAGS: 00000287
 #9 [ffffbd13003d3808] lab_route at ffffffffc0db030c [lab]
"""
    assert is_session(pasted.encode())
    (event,) = read(pasted.encode()).log.events
    assert (event.kind, event.symbol, event.offset, event.fatal) == (kind, "lab_select", 299, True)
    assert [frame.symbol for frame in event.trace] == ["panic", entry, "lab_route"]
    assert event.trace[-1].module == "lab"
    assert not is_session(b"[    1.000000] #1 [ffff] is no frame\n" * 3)


def members(output: str, words: str = "struct s ffff888000000000") -> dict[str, object]:
    session = split_session(f"crash> {words}\n{output}".encode())

    def plain(printed: Printed) -> object:
        value = printed.value
        if isinstance(value, list):
            return [plain(item) for item in value]
        return value if isinstance(value, (int, str)) else {name: plain(v) for name, v in value.items()}

    return {
        name: plain(value) for struct in printed_structs(session.commands[0]) for name, value in struct.members.items()
    }


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("struct s {\n  a = 1, \n  b = 0x10\n}\n", {"a": 1, "b": 16}),
        ("struct s {\n  a = {\n    b = -3\n  }, \n  c = 4\n}\n", {"a": {"b": -3}, "c": 4}),
        ("struct s {\n  {\n    u = 1, \n    v = 2\n  }, \n  c = 4\n}\n", {"u": 1, "v": 2, "c": 4}),
        ('struct s {\n  n = "eth0\\000\\000", \n  f = 0xffff0000 <fn+4>\n}\n', {"n": "eth0", "f": 0xFFFF0000}),
        ("struct s {\n  a = {0x0, 0x1, 0x2 <repeats 3 times>, 7}\n}\n", {"a": [0, 1, 2, 2, 2, 7]}),
        ("struct s {\n  l = {{\n      x = 1\n    }, {\n      x = 2\n    }}\n}\n", {"l": [{"x": 1}, {"x": 2}]}),
        ("struct s {\n  a = 1,     << look here\n ... snip ...\n    r = {\n    b = 2\n  },\n", {"a": 1, "r": {"b": 2}}),
    ],
)  # fmt: skip
def test_structs_are_parsed_as_gdb_prints_and_people_cut_them(output: str, expected: dict[str, object]) -> None:
    assert members(output) == expected


def test_a_member_alone_is_parsed() -> None:
    assert members("  rx = {\n    rsp_cons = 7\n  }\n", "struct netfront_queue.rx ffff888000000000") == {
        "rx": {"rsp_cons": 7}
    }


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_cut_or_shuffle_of_a_session_raises(data: st.DataObject) -> None:
    lines = SESSION.split(b"\n")
    start = data.draw(st.integers(0, len(lines)))
    end = data.draw(st.integers(start, len(lines)))
    part = lines[start:end]
    order = data.draw(st.permutations(part)) if len(part) < 60 else part
    noise = data.draw(st.binary(max_size=60))
    read(b"\n".join(order) + noise)


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="ab={}[]<>,\"'\\0123456789xX \n", max_size=300))
def test_no_output_of_a_struct_command_raises(output: str) -> None:
    members(output)


def test_deep_nesting_ends() -> None:
    members("struct s {\n" + "a = {" * 5000)
    members("struct s {\n" + "{" * 5000)


def evaluator(**record: object) -> Callable[[str], int | str]:
    probe = Probe("p", "m", "q", "struct s", (), (), {"struct t": {"x": MemberLayout(0, 4)}})

    def printed(value: object) -> Printed:
        if isinstance(value, dict):
            return Printed({name: printed(v) for name, v in value.items()}, 1)
        if isinstance(value, list):
            return Printed([printed(v) for v in value], 1)
        assert isinstance(value, (int, str))
        return Printed(value, 1)

    evaluate = Evaluator(Printouts((), PrintedMemory()), probe, printed(record))

    def run(text: str) -> int | str:
        value = evaluate.evaluate(parse_expression(text)).value
        assert isinstance(value, (int, str))
        return value

    return run


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("q->a + 2 * 3", 11),
        ("(u32)(q->a - 6)", 0xFFFFFFFF),
        ("q->b.c[1]", 8),
        ("q->a == 5 && q->b.c[0] == 7", 1),
        ("q->a != 5 || 0", 0),
        ("q->a == 4 && q->missing", 0),
        ("~q->a & 0xff", 0xFA),
        ("q->a << 2 >> 1", 10),
        ("-q->a / 2", -2),
        ("q->name", "eth0"),
        ("017 + 0x10u", 31),
    ],
)
def test_expressions_are_evaluated_as_in_c(text: str, expected: int | str) -> None:
    assert evaluator(a=5, b={"c": [7, 8]}, name="eth0")(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "q->missing",
        "q->b.c[9]",
        "other",
        "*q->a",
        "&q->a",
        "sizeof(struct s)",
        "per_cpu(q, 0)",
        "q->a / 0",
        "q->a << 99",
        "q->zero->x",
    ],
)
def test_what_is_not_shown_is_unknown(text: str) -> None:
    with pytest.raises(NotPrinted):
        evaluator(a=5, b={"c": [7, 8]}, zero=0)(text)


@pytest.mark.parametrize(
    "text", ["", "q->a = 1", "f(q)", "q->a; q->b", "q->a++", "a ? b : c", '"text"', "1.5", "q->",
             "(" * 300 + ")" * 300, "a" * 600]
)  # fmt: skip
def test_what_is_no_plain_expression_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse_expression(text)
