"""One synthetic crash in the kernel's own format, and ways to write it down as loggers do."""

from __future__ import annotations

import json

BANNER = (
    "Linux version 5.15.0-999-lab (builder@host) (gcc (GCC) 11.2.0, GNU ld 2.37) #7 SMP Tue Jan 5 10:00:00 UTC 2027"
)
TEXT = """\
BUG: kernel NULL pointer dereference, address: 0000000000000018
#PF: supervisor write access in kernel mode
#PF: error_code(0x0002) - not-present page
PGD 0 P4D 0
Oops: 0002 [#1] PREEMPT SMP NOPTI
CPU: 3 PID: 4242 Comm: worker thread Kdump: loaded Tainted: P        W  OE     5.15.0-999-lab #7
Hardware name: VMware, Inc. VMware Virtual Platform/440BX Desktop Reference Platform, BIOS 6.00 11/12/2020
RIP: 0010:lab_queue_push+0x1d/0x80 [lab_core]
Code: 48 89 fb 48 8b 43 10 48 85 c0 74 05 e8 00 00 00 00 31 d2 <48> 89 50 18 48 83 c4 08 5b c3 0f 1f 44 00 00
RSP: 0018:ffffa1b2c3d4fe20 EFLAGS: 00010246
RAX: 0000000000000000 RBX: ffff9a8b7c6d5e00 RCX: 0000000000000001
RDX: 0000000000000000 RSI: ffff9a8b7c6d5f00 RDI: ffff9a8b7c6d5e00
RBP: ffffa1b2c3d4fe60 R08: 0000000000000000 R09: 0000000000000003
R10: 0000000000000000 R11: 0000000000000001 R12: ffff9a8b7c6d5e80
R13: 0000000000000000 R14: dead000000000100 R15: 0000000000000000
FS:  0000000000000000(0000) GS:ffff9a8bffcc0000(0000) knlGS:0000000000000000
CS:  0010 DS: 0000 ES: 0000 CR0: 0000000080050033
CR2: 0000000000000018 CR3: 000000010b2c8000 CR4: 00000000000006e0
Call Trace:
 <TASK>
 ? lab_stale+0x11/0x22 [lab_core]
 lab_worker+0x5a/0x110 [lab_core]
 process_one_work+0x1e8/0x3c0
 worker_thread+0x4d/0x3b0
 kthread+0x127/0x150
 ret_from_fork+0x22/0x30
 </TASK>
Modules linked in: lab_core(POE) vmxnet3 xfs
CR2: 0000000000000018
---[ end trace 1234567890abcdef ]---
RIP: 0010:lab_queue_push+0x1d/0x80 [lab_core]
Code: 48 89 fb 48 8b 43 10 48 85 c0 74 05 e8 00 00 00 00 31 d2 <48> 89 50 18 48 83 c4 08 5b c3 0f 1f 44 00 00
Kernel panic - not syncing: Fatal exception
Kernel Offset: 0x1a000000 from 0xffffffff81000000 (relocation range: 0xffffffff80000000-0xffffffffbfffffff)
---[ end Kernel panic - not syncing: Fatal exception ]---
"""
LINES = [
    "Command line: root=/dev/sda1",
    BANNER,
    "Hypervisor detected: VMware",
    "smp: Brought up 1 node, 4 CPUs",
    *TEXT.splitlines(),
]


def _time(i: int) -> float:
    return 100 + i / 1000


def dmesg() -> str:
    return "\n".join(f"[{_time(i):12.6f}] {t}" for i, t in enumerate(LINES)) + "\n"


def plain() -> str:
    return "\n".join(LINES) + "\n"


def dmesg_human() -> str:
    return "\n".join(f"[Tue Jan  5 11:22:{i:02d} 2027] {t}" for i, t in enumerate(LINES)) + "\n"


def dmesg_decoded() -> str:
    return "\n".join(f"kern  :alert : [{_time(i):12.6f}] {t}" for i, t in enumerate(LINES)) + "\n"


def dmesg_raw() -> str:
    return "\n".join(f"<1>[{_time(i):12.6f}] {t}" for i, t in enumerate(LINES)) + "\n"


def kmsg() -> str:
    return "\n".join(f"1,{500 + i},{int(_time(i) * 1e6)},-;{t}\n SUBSYSTEM=x" for i, t in enumerate(LINES)) + "\n"


def dmesg_json() -> str:
    entries = [{"pri": 1, "time": _time(i), "msg": t} for i, t in enumerate(LINES)]
    return json.dumps({"dmesg": entries}, indent=3)


def syslog() -> str:
    lines = (f"Jan  5 11:22:33 db-01 kernel: [{_time(i):12.6f}] {t}" for i, t in enumerate(LINES))
    return (
        "Jan  5 11:22:32 db-01 sshd[12]: BUG: unable to handle kernel paging request at 1\n" + "\n".join(lines) + "\n"
    )


def syslog_iso() -> str:
    return "".join(f"2027-01-05T11:22:33.123456+00:00 db-01 kernel: {t}\n" for t in LINES)


def journal_short() -> str:
    return "-- Logs begin at Tue --\n" + "".join(f"Jan 05 11:22:33 db-01 kernel: {t}\n" for t in LINES)


def journal_json() -> str:
    return "".join(
        json.dumps(
            {
                "_TRANSPORT": "kernel",
                "SYSLOG_IDENTIFIER": "kernel",
                "_HOSTNAME": "db-01",
                "_SOURCE_MONOTONIC_TIMESTAMP": str(int(_time(i) * 1e6)),
                "MESSAGE": list(t.encode()) if i % 7 == 0 else t,
            }
        )
        + "\n"
        for i, t in enumerate(LINES)
    )


def journal_pretty() -> str:
    return "".join(
        json.dumps({"_TRANSPORT": "kernel", "MESSAGE": t, "PRIORITY": "1"}, indent="\t") + "\n" for t in LINES
    )


def journal_export() -> str:
    return "".join(
        f"__CURSOR=s={i}\n__REALTIME_TIMESTAMP=1\n_TRANSPORT=kernel\nMESSAGE={t}\n"
        f"_SOURCE_MONOTONIC_TIMESTAMP={int(_time(i) * 1e6)}\n\n"
        for i, t in enumerate(LINES)
    )


def serial_with_callers() -> str:
    """Two contexts print at once; the console keeps their caller ids."""
    out = []
    for i, t in enumerate(LINES):
        out.append(f"[{_time(i):12.6f}][ T4242] {t}")
        out.append(f"[{_time(i):12.6f}][    C1] noise_{i}+0x10/0x20")
    return "\r\n".join(out) + "\r\n"


def netconsole() -> str:
    """Extended format with the release in front, two records swapped, one in fragments, one sent twice."""
    out = [f"5.15.0-999-lab,1,{900 + i},{int(_time(i) * 1e6)},-;{t}" for i, t in enumerate(LINES)]
    out[6], out[7] = out[7], out[6]
    at = next(i for i, t in enumerate(LINES) if t.startswith("Modules"))
    text, head = LINES[at], f"5.15.0-999-lab,1,{900 + at},{int(_time(at) * 1e6)},-"
    out[at] = f"{head},ncfrag=20/{len(text)};{text[20:]}\n{head},ncfrag=0/{len(text)};{text[:20]}"
    out.append(out[10])
    return "\n".join(out) + "\n"


def pstore_parts() -> str:
    """Parts as the kernel writes them: Part1 is the newest; the folder lists them in another order."""
    third = len(LINES) // 3
    stamped = [f"<1>[{_time(i):12.6f}] {t}" for i, t in enumerate(LINES)]
    parts = {3: stamped[:third], 2: stamped[third : 2 * third], 1: stamped[2 * third :]}
    return "".join(f"Panic#1 Part{n}\n" + "\n".join(parts[n]) + "\n" for n in (2, 1, 3))


def quoted() -> str:
    return "Hi,\n\nwe saw this:\n" + "".join(f"> > [{_time(i):12.6f}] {t}\n" for i, t in enumerate(LINES))


def as_html() -> str:
    body = dmesg().replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"<html><pre>{body}</pre></html>"


def ansi() -> str:
    return "".join(f"\x1b[32m[{_time(i):12.6f}] \x1b[0m\x1b[31m{t}\x1b[0m\n" for i, t in enumerate(LINES))


def xen_console() -> str:
    return "".join(f"(d7) [{_time(i):12.6f}] {t}\n" for i, t in enumerate(LINES))


def journal_short_monotonic() -> str:
    return "".join(f"[{_time(i):12.6f}] db-01 kernel: {t}\n" for i, t in enumerate(LINES))


def journal_short_full() -> str:
    return "".join(f"Tue 2027-01-05 11:22:33 UTC db-01 kernel: {t}\n" for t in LINES)


def journal_short_unix() -> str:
    return "".join(f"1799148153.123456 db-01 kernel: {t}\n" for t in LINES)


def syslog_rfc5424() -> str:
    return "".join(
        f"<1>1 2027-01-05T11:22:33.123456+00:00 db-01 kernel - - - [{_time(i):12.6f}] {t}\n"
        for i, t in enumerate(LINES)
    )


def dmesg_reltime() -> str:
    return "".join(f"[  +0.000{i:03d}] {t}\n" for i, t in enumerate(LINES))


def dmesg_iso() -> str:
    return "".join(f"2027-01-05T11:22:33,{i:06d}+00:00 {t}\n" for i, t in enumerate(LINES))


def console_server() -> str:
    return "".join(f"[2027-01-05 11:22:33] [{_time(i):12.6f}] {t}\n" for i, t in enumerate(LINES))


FORMATS = {
    f.__name__: f
    for f in (
        plain,
        dmesg_human,
        dmesg_decoded,
        dmesg_raw,
        kmsg,
        dmesg_json,
        syslog,
        syslog_iso,
        journal_short,
        journal_json,
        journal_pretty,
        journal_export,
        serial_with_callers,
        netconsole,
        pstore_parts,
        quoted,
        as_html,
        ansi,
        xen_console,
        journal_short_monotonic,
        journal_short_full,
        journal_short_unix,
        syslog_rfc5424,
        dmesg_reltime,
        dmesg_iso,
        console_server,
    )
}
