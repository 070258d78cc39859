"""Whom to blame."""

from __future__ import annotations

from kbmatch.engine.culprit import HelperFrames, assign_culprits
from kbmatch.engine.signature import Culprit, Frame, HungTask, Signature

HELPERS = HelperFrames(
    common="(?:memcpy)|(?:dump_\\w+)|(?:panic)|(?:sync_\\w+)",
    by_kind={"oom": "(?:out_of_memory)"},
    exceptions={"hung-task": "(?:sync_rcu)"},
    dispatchers="(?:call_timer_fn)|(?:do_syscall_64)",
    outer_dispatchers="(?:page_fault)",
    stall_kinds=("rcu-stall",),
    stall_messages="stack end",
    families={"sync": "sync_rcu|sync_sched"},
)


def frames(text: str) -> tuple[Frame, ...]:
    """ "a ?b c@mod d+0": names; "?" marks a leftover, "@" a module, "+0" a return address at a function's start."""
    found = []
    for word in text.split():
        name, _, module = word.removeprefix("?").partition("@")
        zero = name.endswith("+0")
        found.append(
            Frame(name.removesuffix("+0"), word, 0 if zero else 4, 8, module, reliable=not word.startswith("?"))
        )
    return tuple(found)


def blamed(kind: str, symbol: str | None, trace: str, message: str = "", tasks: str = "") -> Culprit | None:
    hung = (HungTask("a", 1, 120, frames(tasks)),) if tasks else ()
    event = Signature(kind=kind, message=message, symbol=symbol, module="", trace=frames(trace), tasks=hung)
    return assign_culprits([event], HELPERS)[0].culprit


def test_where_the_cpu_stood_is_blamed_first() -> None:
    assert blamed("gpf", "lab_f", "lab_g") == Culprit("lab_f", "")


def test_helpers_are_passed_over_and_the_module_is_the_frame_s() -> None:
    assert blamed("gpf", "memcpy", "dump_stack lab_g@lab lab_h") == Culprit("lab_g", "lab")


def test_leftovers_are_asked_last() -> None:
    assert blamed("gpf", "memcpy", "?lab_old lab_g") == Culprit("lab_g", "")
    assert blamed("gpf", "memcpy", "?lab_old panic") == Culprit("lab_old", "")


def test_places_where_locks_were_taken_come_before_the_trace() -> None:
    sites = frames("memcpy lab_inlined lab_symbol lab_holder")
    event = Signature(kind="lockdep", message="", symbol="lab_symbol", module="", trace=frames("lab_g"), locks=sites)
    assert assign_culprits([event], HELPERS)[0].culprit == Culprit("lab_inlined", "")


def test_helpers_are_looked_up_by_three_two_one_and_no_letters() -> None:
    split = HelperFrames(common_by_initial={"mem": "memcpy", "up": "up", "_": "_x\\w*", "": "\\w+_end"})
    for name in ("memcpy", "up", "_xyz", "lab_end"):
        assert split.is_helper(name, "gpf")
    for name in ("memcpy2", "upper", "lab_f", "x"):
        assert not split.is_helper(name, "gpf")


def test_nobody_is_blamed_where_all_are_helpers() -> None:
    assert blamed("gpf", "memcpy", "panic dump_stack") is None
    assert blamed("gpf", None, "") is None


def test_helpers_of_one_kind() -> None:
    assert blamed("oom", None, "out_of_memory lab_g") == Culprit("lab_g", "")
    assert blamed("gpf", None, "out_of_memory lab_g") == Culprit("out_of_memory", "")


def test_a_stall_blames_what_the_innermost_dispatcher_called() -> None:
    assert blamed("rcu-stall", "lab_leaf", "lab_mid lab_timer call_timer_fn lab_x do_syscall_64") == Culprit(
        "lab_timer", ""
    )
    assert blamed("gpf", "lab_leaf", "lab_mid lab_timer call_timer_fn") == Culprit("lab_leaf", "")
    assert blamed("panic", None, "panic lab_a lab_b do_syscall_64", message="corrupted stack end") == Culprit(
        "lab_b", ""
    )


def test_a_page_fault_inside_a_call_is_the_call_s_work() -> None:
    assert blamed("rcu-stall", "lab_leaf", "lab_fault page_fault lab_ioctl do_syscall_64") == Culprit("lab_ioctl", "")
    assert blamed("rcu-stall", "lab_leaf", "lab_fault page_fault") == Culprit("lab_fault", "")


def test_what_everybody_waits_for_bears_the_family_s_name() -> None:
    assert blamed("hung-task", "panic", "", tasks="panic sync_rcu lab_g") == Culprit("sync", "")
    assert blamed("gpf", "panic", "sync_rcu lab_g") == Culprit("lab_g", "")


def test_a_return_address_at_a_function_s_start_names_the_wrong_function() -> None:
    assert blamed("panic", None, "panic lab_next+0 lab_g") == Culprit("lab_g", "")
