"""The scored leaf: what raises and what caps the resemblance of a crash, and that the index never misses one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbmatch.engine.face import Face, compatibility
from kbmatch.engine.kinds import KINDS
from kbmatch.engine.signature import Culprit, Frame, HungTask, Signature
from kbmatch.engine.similarity import LIKELY, POSSIBLE, Similar, bounds

KNOWN = Similar(
    kind="null-deref",
    blamed=("acme_clean",),
    top="memcpy",
    frames=("acme_poll", "acme_irq", "acme_core"),
    weights=(1.0, 1.0, 0.9, 0.8),
    anchor=("acme",),
)


def crash(*names: str, kind: str = "null-deref", culprit: str | None = None, **more: object) -> Signature:
    frames = tuple(Frame(name, f"{name}+0x1/0x2", 1, 2, "") for name in names)
    blamed = culprit or next((n for n in names if n.startswith("acme")), names[0])
    return Signature(kind=kind, message="x", symbol=names[0], trace=frames, culprit=Culprit(blamed, ""), **more)  # type: ignore[arg-type]


WHOLE = ("memcpy", "acme_clean", "acme_poll", "acme_irq", "acme_core")


def score(event: Signature, known: Similar = KNOWN) -> float:
    return known.score(Face(event))


def test_the_same_crash_scores_one() -> None:
    assert score(crash(*WHOLE)) == pytest.approx(1.0)


def test_a_kind_that_cannot_come_from_one_defect_scores_nothing() -> None:
    assert score(crash(*WHOLE, kind="memory-leak")) == 0.0
    assert score(crash(*WHOLE, kind="oom")) == 0.0


def test_another_kind_of_the_same_family_is_still_an_answer() -> None:
    assert LIKELY <= score(crash(*WHOLE, kind="gpf")) < 1.0


def test_the_blamed_function_alone_is_no_answer() -> None:
    assert POSSIBLE <= score(crash("memcpy", "acme_clean", "other_a", "other_b")) < LIKELY


def test_another_function_on_the_same_way_is_no_answer() -> None:
    assert score(crash("acme_other", "acme_poll", "acme_irq", "acme_core")) < LIKELY


def test_without_anything_of_the_fixed_file_it_is_no_answer() -> None:
    foreign = Similar("bug", ("dev_watchdog",), "dev_watchdog", ("call_timer", "run_timers"), (1, 1, 1), ("acme",))
    event = crash("dev_watchdog", "call_timer", "run_timers", kind="bug", culprit="dev_watchdog")
    assert foreign.score(Face(event)) < LIKELY
    shown = crash("dev_watchdog", "call_timer", "run_timers", "acme_reset", kind="bug", culprit="dev_watchdog")
    assert foreign.score(Face(shown)) >= LIKELY


def test_a_magnet_needs_more_than_itself_and_one_caller() -> None:
    magnet = Similar(
        "warning", ("acme_submit",), "acme_submit", ("acme_start", "acme_open"), (0.3, 0.6, 0.6), magnet=True
    )
    assert magnet.score(Face(crash("acme_submit", "acme_start", kind="warning"))) < LIKELY
    assert magnet.score(Face(crash("acme_submit", "acme_start", "acme_open", kind="warning"))) >= LIKELY


def test_a_thin_rule_answers_only_a_crash_that_shows_all_that_it_knows() -> None:
    thin = Similar("null-deref", KNOWN.blamed, KNOWN.top, KNOWN.frames, KNOWN.weights, alone=True)
    assert score(crash(*WHOLE), thin) >= LIKELY
    assert POSSIBLE <= score(crash(*WHOLE[:-1]), thin) < LIKELY
    assert POSSIBLE <= score(crash(*WHOLE, kind="bug"), thin) < LIKELY
    lone = Similar("null-deref", KNOWN.blamed, KNOWN.top, alone=True)
    assert score(crash(*WHOLE), lone) < LIKELY


LOADED = tuple(f"module{i}" for i in range(50))


def test_a_fix_in_a_driver_that_the_crash_does_not_show_is_an_answer_only_where_the_driver_is_loaded() -> None:
    foreign = Similar(
        "null-deref", KNOWN.blamed, KNOWN.top, KNOWN.frames, KNOWN.weights, foreign=True, alone=True, driver=("iwlx",)
    )
    assert score(crash(*WHOLE, modules=(*LOADED, "iwlx_pci")), foreign) >= LIKELY
    assert POSSIBLE <= score(crash(*WHOLE), foreign) < LIKELY  # no list of modules
    assert POSSIBLE <= score(crash(*WHOLE, modules=("nls_cp437",)), foreign) < LIKELY  # a short one is no proof


def test_a_machine_without_the_mended_driver_does_not_have_the_defect() -> None:
    driver = Similar("null-deref", KNOWN.blamed, KNOWN.top, KNOWN.frames, KNOWN.weights, driver=("iwlx",))
    assert score(crash(*WHOLE, modules=LOADED), driver) < POSSIBLE
    assert score(crash(*WHOLE, modules=(*LOADED, "iwlx")), driver) >= LIKELY
    anchored = Similar("null-deref", KNOWN.blamed, KNOWN.top, KNOWN.frames, KNOWN.weights, ("acme",), driver=("iwlx",))
    assert score(crash(*WHOLE, modules=LOADED), anchored) >= LIKELY  # built in: its functions are there


def test_code_of_another_architecture_is_not_what_crashed_here() -> None:
    arm = Similar("null-deref", KNOWN.blamed, KNOWN.top, KNOWN.frames, KNOWN.weights, KNOWN.anchor, arch=("aarch64",))
    assert arm.score(Face(crash(*WHOLE), "x86_64")) == 0.0
    assert arm.score(Face(crash(*WHOLE), "aarch64")) == arm.score(Face(crash(*WHOLE))) == pytest.approx(1.0)


def test_a_victims_crash_never_answers() -> None:
    victim = Similar("null-deref", KNOWN.blamed, KNOWN.top, KNOWN.frames, KNOWN.weights, KNOWN.anchor, symptom=True)
    assert POSSIBLE <= score(crash(*WHOLE), victim) < LIKELY


def test_one_caller_that_many_have_is_enough_where_the_title_names_the_function_and_all_is_shown() -> None:
    caller, weights = ("acme_poll",), (1.0, 0.3)
    plain = Similar("null-deref", KNOWN.blamed, KNOWN.top, caller, weights)
    titled = Similar("null-deref", KNOWN.blamed, KNOWN.top, caller, weights, titled=True)
    assert score(crash(*WHOLE), plain) < LIKELY <= score(crash(*WHOLE), titled)
    assert score(crash("memcpy", "acme_clean", "other"), titled) < LIKELY


def test_a_sanitizers_report_does_not_answer_a_production_crash() -> None:
    kasan = Similar("kasan", KNOWN.blamed, KNOWN.top, KNOWN.frames, KNOWN.weights, KNOWN.anchor)
    assert POSSIBLE <= score(crash(*WHOLE), kasan) < LIKELY
    assert score(crash(*WHOLE, kind="kasan"), kasan) >= LIKELY


def test_inlined_names_of_a_decoded_trace_are_the_blamed_function_too() -> None:
    trace = (
        Frame("acme_inner", "acme_inner drivers/acme/a.c:7 [inline]"),
        Frame("acme_clean", "acme_clean+0x1/0x2", 1, 2, ""),
        Frame("acme_poll", "acme_poll+0x1/0x2", 1, 2, ""),
        Frame("acme_irq", "acme_irq+0x1/0x2", 1, 2, ""),
    )
    event = Signature("null-deref", "x", symbol="acme_clean", trace=trace, culprit=Culprit("acme_inner"))
    assert Face(event).blamed == ("acme_inner", "acme_clean")
    assert score(event) >= LIKELY


def test_the_reporters_own_frames_are_not_the_crashs() -> None:
    trace = tuple(Frame(name, f"{name}+0x1/0x2", 1, 2, "") for name in ("dump_stack", "kasan_report", "acme_clean"))
    face = Face(Signature("kasan", "x", symbol="acme_clean", trace=trace, culprit=Culprit("acme_clean")))
    assert [name.symbol for name in face.sequence] == ["acme_clean"]


def test_every_blocked_task_may_be_the_one() -> None:
    known = Similar("hung-task", ("acme_wait",), "acme_wait", ("acme_flush",), (1.0, 1.0), ("acme",))
    tasks = tuple(
        HungTask(trace=tuple(Frame(n, f"{n}+0x1/0x2", 1, 2, "") for n in names))
        for names in (("schedule", "ext_a"), ("schedule", "acme_wait", "acme_flush"))
    )
    event = Signature("hung-task", "x", tasks=tasks, trace=tasks[0].trace, culprit=Culprit("ext_a"))
    assert known.score(Face(event)) >= LIKELY


def test_a_function_that_the_fix_is_about_is_a_hint_and_no_more() -> None:
    known = Similar("bug", ("acme_a",), "acme_a", ("acme_b",), (1.0, 1.0), ("acme",), mentioned=("acme_free",))
    assert POSSIBLE <= known.score(Face(crash("acme_free", "acme_x", kind="bug"))) < LIKELY


_NAMES = st.sampled_from(["acme_a", "acme_b", "acme_c", "acme_d", "other_a", "other_b", "memcpy", "schedule"])


@st.composite
def leaves(draw: st.DrawFn) -> Similar:
    names = draw(st.lists(_NAMES, min_size=1, max_size=7, unique=True))
    cut = draw(st.integers(1, min(2, len(names))))
    blamed, frames = tuple(names[:cut]), tuple(names[cut:])
    weights = tuple(draw(st.floats(0.02, 1)) for _ in range(1 + len(frames)))
    kind = draw(st.sampled_from(["null-deref", "warning", "hung-task"]))
    top = draw(st.sampled_from([blamed[0], "memcpy"]))
    anchor = draw(st.sampled_from([(), ("acme",)]))
    mentioned = tuple(draw(st.lists(_NAMES, max_size=2)))
    return Similar(kind, blamed, top, frames, weights, anchor, mentioned=mentioned)


@given(
    known=leaves(), names=st.lists(_NAMES, min_size=1, max_size=9), kind=st.sampled_from(["gpf", "bug", "hung-task"])
)
def test_the_sum_of_bounds_is_never_below_the_score(known: Similar, names: list[str], kind: str) -> None:
    event = crash(*names, kind=kind)
    found = bounds(known)
    asked = {*names, event.culprit.symbol if event.culprit else ""}
    assert sum(found.get(name, 0.0) for name in asked) + 1e-9 >= score(event, known)


@given(known=leaves(), names=st.lists(_NAMES, min_size=1, max_size=9))
def test_a_score_is_between_nothing_and_one(known: Similar, names: list[str]) -> None:
    assert 0.0 <= score(crash(*names, kind=known.kind), known) <= 1.0


def test_compatibility_is_symmetric() -> None:
    for one in KINDS:
        for other in KINDS:
            assert compatibility(one, other) == compatibility(other, one)


def test_the_way_to_the_blamed_function_is_known_though_the_crash_came_deeper_in() -> None:
    event = crash("acme_deep", "acme_deeper", "x_a", "x_b", "x_c", *WHOLE[1:], culprit="acme_deep")
    assert score(event) >= LIKELY
    assert score(crash("acme_deep", "acme_deeper", "x_a", "x_b", "x_c", *WHOLE[1:4], culprit="acme_deep")) < LIKELY


LINE = Similar("warning", ("acme_write",), "acme_write", at="drivers/acme/file.c:319", alone=True)


def warned(place: str) -> Signature:
    return crash("acme_write", "vfs_write", kind="warning", source_line=place)


def test_the_very_line_that_warned_is_an_answer_and_another_line_of_the_function_is_none() -> None:
    assert score(warned("drivers/acme/file.c:400"), LINE) < LIKELY <= score(warned("drivers/acme/file.c:319"), LINE)


def test_the_very_line_is_no_answer_where_many_defects_warn_or_a_driver_was_mended_that_is_not_shown() -> None:
    magnet = Similar("warning", LINE.blamed, LINE.top, at=LINE.at, alone=True, magnet=True)
    foreign = Similar("warning", LINE.blamed, LINE.top, at=LINE.at, alone=True, foreign=True)
    for known in (magnet, foreign):
        assert score(warned("drivers/acme/file.c:319"), known) < LIKELY


def test_another_access_is_another_instruction_and_no_answer() -> None:
    reads = Similar("kasan", KNOWN.blamed, KNOWN.top, KNOWN.frames, KNOWN.weights, KNOWN.anchor, access="read")
    assert score(crash(*WHOLE, kind="kasan", access="read"), reads) >= LIKELY
    assert score(crash(*WHOLE, kind="kasan"), reads) >= LIKELY
    assert POSSIBLE <= score(crash(*WHOLE, kind="kasan", access="write"), reads) < LIKELY


def test_a_caller_that_only_the_prose_names_lifts_a_lone_function() -> None:
    lone = Similar("gpf", ("write_page",), "write_page")
    told = Similar("gpf", ("write_page",), "write_page", mentioned=("acme_daemon_work",))
    event = crash("write_page", "acme_daemon_work", kind="gpf", culprit="write_page")
    assert score(event, lone) < score(event, told) < LIKELY
