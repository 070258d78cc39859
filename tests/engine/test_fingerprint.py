"""The same bug on two builds has the same coarse keys; another place, another bug, has others."""

from __future__ import annotations

from dataclasses import replace

from kbmatch.engine.culprit import HelperFrames
from kbmatch.engine.fingerprint import DEPTHS, fingerprint
from kbmatch.engine.signature import Culprit, Frame, HungTask, Signature

HELPERS = HelperFrames(common="memcpy|__do_softirq|dump_stack")


def event(offset: int = 0x2BB, size: int = 0xB30, suffix: str = "", module: str = "drv") -> Signature:
    trace = (
        Frame("__do_softirq", "__do_softirq+0xd9/0x28d", 0xD9, 0x28D, ""),
        Frame("net_rx_action", f"net_rx_action+0x{offset + 1:x}/0x3f4", offset + 1, 0x3F4, ""),
        Frame("irq_exit", "irq_exit+0xdf/0xe5", 0xDF, 0xE5, ""),
    )
    return Signature(
        "null-deref", f"BUG: NULL at {offset:x}", fatal=True, symbol="drv_poll",
        printed=f"drv_poll{suffix}+0x{offset:x}/0x{size:x} [{module}]", offset=offset, size=size, module=module,
        culprit=Culprit("drv_poll", module), trace=trace,
    )  # fmt: skip


def test_two_builds_of_one_bug_share_culprit_and_frames_but_not_the_exact_key() -> None:
    one = fingerprint(event(), HELPERS, "4.14.35-1.el7uek")
    two = fingerprint(event(0x2C3, 0xB60, ".isra.0", ""), HELPERS, "4.14.35-2.el7uek")
    assert one.culprit == two.culprit
    assert one.frames == two.frames
    assert one.exact != two.exact


def test_the_same_place_of_the_same_build_has_the_same_exact_key_whatever_registers_and_time() -> None:
    one = fingerprint(replace(event(), time=1.0, cpu=3, registers={"rax": 1}), HELPERS, "5.4.0")
    two = fingerprint(replace(event(), time=9.0, cpu=0, registers={"rax": 2}), HELPERS, "5.4.0")
    assert one == two
    assert fingerprint(event(), HELPERS, "5.4.1").exact != one.exact


def test_another_path_changes_frames_only_and_another_culprit_or_kind_changes_all() -> None:
    base = fingerprint(event(), HELPERS)
    trace = (Frame("drv_ioctl", "drv_ioctl+0x1/0x2", 1, 2, ""),)
    other = fingerprint(replace(event(), trace=trace), HELPERS)
    assert other.culprit == base.culprit
    assert other.frames != base.frames
    for changed in (replace(event(), culprit=Culprit("drv_tx")), replace(event(), kind="gpf")):
        found = fingerprint(changed, HELPERS)
        assert all(found.at(depth) != base.at(depth) for depth in DEPTHS)


def test_unreliable_and_helper_frames_do_not_take_part_in_the_path() -> None:
    noisy = (Frame("memcpy", "memcpy+0x1/0x2"), Frame("stale", "stale+0x1/0x2", reliable=False), *event().trace)
    assert fingerprint(replace(event(), trace=noisy), HELPERS).frames == fingerprint(event(), HELPERS).frames


def test_an_event_without_a_function_is_known_by_its_message_without_numbers() -> None:
    one = fingerprint(Signature("mce", "CPU 3: Machine Check: 0 Bank 5: be00000000800400"), HELPERS)
    two = fingerprint(Signature("mce", "CPU 11: Machine Check: 0 Bank 7: be00000000800401"), HELPERS)
    assert one.culprit == two.culprit
    assert fingerprint(Signature("mce", "something else"), HELPERS).culprit != one.culprit


def test_a_blocked_task_is_known_by_its_own_trace() -> None:
    task = HungTask("dd", 7, 120, (Frame("ext4_sync_file", "ext4_sync_file+0x1/0x2"),))
    one = fingerprint(Signature("hung-task", "task dd:7 blocked", tasks=(task,)), HELPERS)
    assert "ext4_sync_file" in one.words


def test_keys_say_their_format_and_depth() -> None:
    found = fingerprint(event(), HELPERS)
    assert [found.at(depth)[:4] for depth in DEPTHS] == ["k1c-", "k1f-", "k1x-"]
    assert {len(found.at(depth)) for depth in DEPTHS} == {20}
