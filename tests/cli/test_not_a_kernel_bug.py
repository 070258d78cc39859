"""What is no bug of the kernel: the verdict, whom to ask, and that a kernel's bug beside it stays in sight."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kbmatch.cli.main import main
from kbmatch.cli.text_report import text_report
from kbmatch.engine.condition import Leaf, leaves
from kbmatch.engine.diagnose import diagnose
from kbmatch.engine.incident import Incident, Kernel, LogText, Machine, ProbeState, Source, StateRecord
from kbmatch.engine.rule import Rule
from kbmatch.engine.signature import Frame, Signature
from kbmatch.kb.store.knowledge import KnowledgeBase

CPU = "[  201.100002] CPU: 3 PID: 2100 Comm: acmed Tainted: P           OE     5.14.0-70.el9.x86_64 #1\n"
OOPS = (
    "[  201.100000] BUG: kernel NULL pointer dereference, address: 00000000000000b1\n"
    "[  201.100001] Oops: 0000 [#1] SMP NOPTI\n" + CPU + "[  201.100003] RIP: 0010:{where}\n"
    "[  201.100004] Call Trace:\n"
    "[  201.100005]  vfs_read+0x9d/0x190\n"
    "[  201.100006] Modules linked in: {modules}\n"
    "[  201.100007] Kernel panic - not syncing: Fatal exception\n"
)
PANIC = "[  201.100000] {before}\n[  201.100001] Kernel panic - not syncing: {reason}\n" + CPU
OOM = (
    "[ 9.000000] acmed invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n"
    + CPU
    + "[ 9.100000] {end}\n"
)
SORTS = {
    "machine-check": (
        "hardware",
        "[ 1.000000] mce: [Hardware Error]: CPU 2: Machine Check Exception: 5 Bank 4: be00000000800400\n"
        "[ 1.000001] Kernel panic - not syncing: Fatal machine check\n",
    ),
    "firmware-fatal-error": (
        "hardware",
        "[ 1.000000] {1}[Hardware Error]: Hardware error from APEI Generic Hardware Error Source: 4\n"
        "[ 1.000001] {1}[Hardware Error]: event severity: fatal\n"
        "[ 1.000002] Kernel panic - not syncing: Fatal hardware error!\n",
    ),
    "nmi-unknown": (
        "hardware",
        PANIC.format(before="Uhhuh. NMI received for unknown reason 3d on CPU 0.", reason="NMI: Not continuing"),
    ),
    "oom-system": ("configuration", OOM.format(end="Out of memory: Killed process 7 (acmed) total-vm:1kB")),
    "oom-cgroup": ("configuration", OOM.format(end="Memory cgroup out of memory: Killed process 7 (acmed)")),
    "oom-panic": (
        "configuration",
        OOM.format(end="Kernel panic - not syncing: Out of memory: system-wide panic_on_oom is enabled"),
    ),
    "root-not-mounted": (
        "configuration",
        PANIC.format(before="x", reason="VFS: Unable to mount root fs on unknown-block(0,0)"),
    ),
    "init-exited": ("configuration", PANIC.format(before="x", reason="Attempted to kill init! exitcode=0x00007f00")),
    "sysrq-crash": ("none", PANIC.format(before="sysrq: Trigger a crash", reason="sysrq triggered crash")),
    "filesystem-errors-panic": (
        "configuration",
        PANIC.format(before="x", reason="EXT4-fs (device sda2): panic forced after error"),
    ),
    "nvidia-gpu": ("vendor", OOPS.format(where="_nv031695rm+0x79/0x940 [nvidia]", modules="nvidia(POE) xfs")),
    "crowdstrike-falcon": (
        "vendor",
        OOPS.format(where="cshook_f+0x79/0x940 [falcon_lsm_pinned_16206]", modules="falcon_lsm_pinned_16206(PE) xfs"),
    ),
    "vendor-driver-build": ("vendor", OOPS.format(where="mlx5e_poll+0x79/0x940 [mlx5_core]", modules="mlx5_core(OE)")),
    "out-of-tree-module": ("vendor", OOPS.format(where="nvmed_init+0x21/0x40 [nvmed]", modules="nvmed(OE+) xfs")),
}


@pytest.fixture
def core(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    def run(log: str, *options: str) -> tuple[int, str]:
        path = tmp_path / "console.log"
        path.write_text(log)
        status = main(["core", str(path), *options])
        return status, capsys.readouterr().out

    return run


@pytest.mark.parametrize("rule", SORTS)
def test_each_sort_gets_its_rule_and_its_action(core: Any, rule: str) -> None:
    action, log = SORTS[rule]
    status, out = core(log, "--format", "json")
    found = json.loads(out)
    assert (status, found["outcome"]) == (1, "not-a-kernel-bug")
    assert [(f["rule"], f["verdict"], f["recommend"]["action"]) for f in found["findings"]] == [
        (rule, "not-a-kernel-bug", action)
    ]
    text = core(log)[1]
    assert text.startswith("NOT A KERNEL BUG  ")
    assert found["findings"][0]["workaround"] is None or "What to do" in text


VICTIMS = {
    "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009": (
        None,
        "panic do_exit do_group_exit get_signal arch_do_signal_or_restart exit_to_user_mode_prepare do_syscall_64",
    ),
    "general protection fault, probably for non-canonical address 0xff7f8881042a6c00: 0000 [#1] SMP": (
        "kmem_cache_alloc",
        "anon_vma_clone __split_vma do_munmap vm_munmap",
    ),
    "BUG: unable to handle page fault for address: ffff88a1042a6c00": (
        "__d_lookup",
        "d_lookup lookup_dcache lookup_one_qstr_excl filename_create do_mkdirat",
    ),
    "BUG: kernel NULL pointer dereference, address: 0000000000000008": (
        "skb_release_data",
        "__kfree_skb tcp_ack tcp_rcv_established tcp_v4_do_rcv tcp_v4_rcv ip_protocol_deliver_rcu",
    ),
}


@pytest.mark.parametrize("head", VICTIMS)
@pytest.mark.parametrize("release", ["5.15.20-200.fc35.x86_64", "6.1.8-200.fc37.x86_64"])
def test_a_way_that_any_defect_may_take_is_not_answered_with_one(core: Any, head: str, release: str) -> None:
    where, frames = VICTIMS[head]
    lines = [head, f"CPU: 2 PID: 1 Comm: acmed Not tainted {release} #1"]
    lines += [f"RIP: 0010:{where}+0x5b/0x1d0"] if where else []
    lines += ["Call Trace:", *(f" {name}+0x1b/0x200" for name in frames.split())]
    log = "".join(f"[  201.1{number:05d}] {line}\n" for number, line in enumerate(lines))
    status, out = core(log, "--format", "json")
    verdicts = {found["verdict"] for found in json.loads(out)["findings"]}
    assert status == 1
    assert not verdicts & {"confirmed", "likely", "already-fixed"}


def test_a_driver_of_the_kernel_is_not_blamed_on_others_that_are_loaded(core: Any) -> None:
    log = OOPS.format(where="xennet_poll+0x79/0x940 [xen_netfront]", modules="nvidia(POE) zfs(POE) xen_netfront")
    assert json.loads(core(log, "--format", "json")[1])["outcome"] != "not-a-kernel-bug"


def test_the_module_and_whom_to_ask_are_named(core: Any) -> None:
    text = core(SORTS["nvidia-gpu"][1])[1]
    assert "the module nvidia is not the kernel's" in text
    assert "Ask NVIDIA" in text


def test_memory_that_the_kernel_itself_holds_is_no_matter_of_configuration(core: Any) -> None:
    report = "[ 9.010000]  slab_reclaimable:12040 slab_unreclaimable:1500000\n[ 9.020000] 4194304 pages RAM\n"
    log = OOM.format(end="Out of memory: Killed process 7 (acmed) total-vm:1kB")
    head, _, tail = log.rpartition("[ 9.1")
    text = core(head + report + "[ 9.1" + tail)[1]
    assert text.startswith("NOT KNOWN")
    flat = " ".join(text.split())
    assert "(oom-system), but the kernel's own slab holds much of the memory, which is a leak" in flat
    assert "kbmatch escalate" in text


def test_a_module_from_outside_that_only_stands_in_the_trace_is_named(core: Any) -> None:
    log = OOPS.format(where="acme_core+0x79/0x940", modules="redirfs(OE) xfs").replace(
        "vfs_read+0x9d/0x190", "redirfs_read+0x9d/0x190 [redirfs]"
    )
    status, text = core(log)
    assert status == 1
    assert "from outside the kernel's tree: redirfs. See whether it happens without it." in text


def test_a_panic_that_is_a_setting_says_so_and_still_leads_to_escalation(core: Any) -> None:
    blocked = (
        "[ 983.100000] INFO: task acmed:7 blocked for more than 120 seconds.\n"
        "[ 983.100001]       Not tainted 5.14.0-70.el9.x86_64 #1\n"
        "[ 983.100002] Call Trace:\n[ 983.100003]  __schedule+0x282/0x870\n[ 983.100004]  acme_wait+0x1f/0x40\n"
        "[ 983.200000] Kernel panic - not syncing: hung_task: blocked tasks\n"
    )
    text = core(blocked)[1]
    assert text.startswith("A SETTING, CAUSE OPEN  the panic is the setting hung_task_panic")
    assert json.loads(core(blocked, "--format", "json")[1])["outcome"] == "needs-escalation"
    silent = "[ 900.000000] nfs: server lab not responding, still trying\n" + blocked.replace("acme_wait", "nfs_wb_all")
    text = core(silent)[1]
    assert text.startswith("NOT A KERNEL BUG  tasks are blocked because an NFS server does not answer")
    assert json.loads(core(silent, "--format", "json")[1])["outcome"] == "not-a-kernel-bug"
    assert "kernel.hung_task_panic makes a blocked task one" in text
    assert "kbmatch escalate" in text
    warned = (
        "[ 9.000000] WARNING: CPU: 0 PID: 1 at drivers/acme/acme.c:12 acme_check+0x1/0x20 [acme]\n" + CPU
        + "[ 9.000002] Kernel panic - not syncing: kernel: panic_on_warn set ...\n"
    )  # fmt: skip
    text = core(warned)[1]
    assert text.startswith("NOT KNOWN")
    assert "kernel.panic_on_warn makes a warning one" in text


@pytest.fixture(scope="module")
def knowledge() -> KnowledgeBase:
    return KnowledgeBase()


class Two:
    """The shipped rules and one more, which fits."""

    def __init__(self, knowledge: KnowledgeBase, more: Rule) -> None:
        self.knowledge, self.more = knowledge, more

    def candidates(self, keys: Any, probes: Any) -> list[Rule]:
        return [*self.knowledge.candidates(keys, probes), self.more]

    def get(self, rule_id: str) -> Rule | None:
        return self.knowledge.get(rule_id)


def _bug() -> Rule:
    """A kernel's bug of which no version is known, so that it is possible on any kernel."""
    return Rule(
        "acme-deadlock", "acme deadlocks", "stable", "high", "2026-11-23", "x", Leaf("frame", "is", ("acme_wait",))
    )


@pytest.mark.parametrize(
    ("kind", "reason", "outcome"),
    [
        ("hung-task", "hung_task: blocked tasks", "needs-escalation"),
        ("mce", "Fatal machine check", "not-a-kernel-bug"),
    ],
)
def test_a_kernel_bug_that_fits_stays_the_question_beneath_a_setting(
    knowledge: KnowledgeBase, kind: str, reason: str, outcome: str
) -> None:
    text = ("Machine Check Exception", f"Kernel panic - not syncing: {reason}")
    event = Signature(
        kind, text[0], fatal=True, symbol="acme_wait", text=text, trace=(Frame("acme_wait", "acme_wait"),)
    )
    incident = Incident(
        Source("x", "console", 0),
        knowledge.products.identify(Kernel(release="5.14.0-acme")),
        Machine(),
        (event,),
        log=LogText(b""),
    )
    found = diagnose(incident, Two(knowledge, _bug()), knowledge.products)
    assert [f.verdict.value for f in found.findings][:2] == ["possible", "not-a-kernel-bug"]
    assert found.outcome == outcome


def test_what_memory_shows_is_named_beside_a_crash_by_hand(knowledge: KnowledgeBase) -> None:
    text = ("sysrq: Trigger a crash", "Kernel panic - not syncing: sysrq triggered crash")
    event = Signature("sysrq", text[0], fatal=True, text=text)
    ring = ProbeState(True, "memory", (StateRecord(0x10, {"rsp-cons": 0xFFFFFFFF, "waiting": 1}),))
    kernel = knowledge.products.identify(Kernel(release="4.14.35-1902.5.2.el7uek.x86_64"))
    state = {"xen-netfront.rx-rings": ring}
    incident = Incident(Source("x", "elf-vmcore", 0), kernel, Machine(), (event,), state, log=LogText(b""))
    found = diagnose(incident, knowledge, knowledge.products)
    assert found.outcome == "not-a-kernel-bug"
    report = " ".join(text_report(found, knowledge, colour=False, everything=False).split())
    assert "Memory shows what may be the reason behind it: xen-netfront takes the legal ring index" in report


def test_evidence_from_the_log_is_one_line_with_its_place(core: Any) -> None:
    log = "".join(f"[ 1.00000{i}] BTRFS: error (device dm-3) in f:1: errno=-28 No space left\n" for i in range(5)) + (
        "[ 2.000000] WARNING: CPU: 1 PID: 9 at fs/btrfs/x.c:22 btrfs_run_delayed_refs+0x1a1/0x1f0 [btrfs]\n" + CPU
    )
    found = json.loads(core(log, "--format", "json")[1])
    rule = next(f for f in found["findings"] if f["rule"] == "btrfs-no-space")
    evidence = [e for e in rule["evidence"] if e["fact"] == "log"]
    assert [(e["value"][-13:], e["source"]) for e in evidence] == [("No space left", "line 1")]


def _modules(rule: Rule) -> set[str]:
    return {
        str(value)
        for leaf in leaves(rule.signature)
        if leaf.fact == "culprit-module"
        for value in leaf.values
    }  # fmt: skip


def test_the_general_rule_leaves_every_module_with_a_rule_of_its_own_to_that(knowledge: KnowledgeBase) -> None:
    rules = [r for r in knowledge.all_rules() if "/out-of-tree/" in (r.file or "") and r.id != "out-of-tree-module"]
    general = knowledge.get("out-of-tree-module")
    assert len(rules) > 15
    assert general is not None
    whens = [leaf for item in general.exceptions for leaf in leaves(item.when) if leaf.fact == "culprit-module"]
    excepted = {str(value) for leaf in whens for value in leaf.values}
    assert set().union(*map(_modules, rules)) == excepted


NEGATIVES = {
    "0166": "oom-system", "0167": "oom-system", "0175": "oom-system", "0176": "oom-system", "0177": "oom-system",
    "0170": "btrfs-metadata-damaged", "0169": "btrfs-no-space", "0171": "btrfs-no-space", "0173": "btrfs-no-space",
    "0178": "firmware-fatal-pcie-error", "0194": "nvidia-gpu", "0196": "fips-selftest-failed",
}  # fmt: skip


@pytest.mark.parametrize("name", NEGATIVES)
def test_real_reports_of_such_crashes(core: Any, shared: Path, name: str) -> None:
    log = (shared / f"corpus/reports/{name}.log").read_text(errors="replace")
    found = json.loads(core(log, "--format", "json")[1])
    assert found["outcome"] == "not-a-kernel-bug"
    assert NEGATIVES[name] in [f["rule"] for f in found["findings"]]
