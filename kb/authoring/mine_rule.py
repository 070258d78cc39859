"""From a CVE record to a mined rule, or to the reason why it becomes none."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kbmatch.engine.clues import board_of
from kbmatch.engine.culprit import HelperFrames
from kbmatch.engine.face import FAMILY, SANITIZER_KINDS, Face
from kbmatch.engine.similarity import HANGS, MAX_FRAMES, shows
from kbmatch.engine.traits import check_of
from kbmatch.engine.versions import upstream
from kbmatch.kb.authoring.mine_source import NONE, Pair, Record
from kbmatch.kb.authoring.mine_text import Excerpt, excerpts
from kbmatch.kb.store.mined import MinedCrash, MinedRule

MAX_CRASHES = 3
MAX_BLAMED = 6
MAX_MENTIONED = 6
MAX_NAMED = 16
MAX_FILES = 8
MAX_SEEN = 3
_PRECEDING = 160
NO_CRASH = "the text quotes no crash"
NO_FUNCTION = "no specific function: only helpers are named"
NO_FIX = "no fixed version is published"
WRONG_KIND = "memory exhausted, machine check or sysrq: no defect's face"
ERROR_REPORT = "an error report that any failing disk gives"
ANYBODY_WAITS = "a hang of which only the waiting is shown"
_ERROR = re.compile(r"ransaction aborted|forced read-?only|[Ff]orced shutdown|-EIO|\berror -5\b|I/O error")
_WAITS = re.compile(
    r"(?:io_)?schedule\w*|\w*wait_for_\w+|\w*wait_on_\w+|jbd2_\w+|start_transaction|wait_current_trans|\w*_log_(?:force|reserve|commit)\w*|"
    r"rtnl_lock\w*|genl_\w+|device_lock\w*|flush_work\w*|vfs_\w+|do_(?:sys|fs)\w*|ksys_\w+|blk_mq_freeze\w*|submit_bio\w*|writeback_\w+|"
    r"kernfs_\w+|sysfs_\w+|nfs_\w*wait\w*|rpc_wait\w*|sync_inodes\w*|iterate_supers|path_\w+|filename_\w+|walk_component|lookup_\w+"
)
_GENERIC_NAMES = frozenset(
    """
    core main net fs mm kernel drivers include linux host common lib block arch x86 arm arm64 ipv4 ipv6 base bus
    device driver file inode super dir namei ioctl sched time trace events power ethernet wireless usb pci gpu
    drm media sound soc input char misc platform class function gadget client server util utils debug mem memory
    page io init module hw sw dev amd intel nvidia broadcom qualcomm mediatek marvell realtek freescale video
    audio staging target iio adc dma
    """.split()  # noqa: SIM905 - a list is unreadable
)
_ENTRY = re.compile(
    r"(?:__)?do_(?:fast_)?syscall\w*|entry_\w+|el0_\w+|el0t_\w+|invoke_syscall|ret_from_\w+|x64_sys_call|kthread"
)
_DISPATCHERS_END = re.compile(
    r"_{0,3}(?:(?:x64|arm64|ia32|s390x?|riscv|se|do)_)?(?:compat_)?sys_\w+|x64_sys_call|ret_from_\w+|entry_SYSCALL\w*|kthread|start_secondary|secondary_startup\w*|cpu_startup_entry"
)


def rule_of(record: Record, helpers: HelperFrames) -> MinedRule | str:
    """The rule of a record, or the reason why it has none. Rules of one record are always the same."""
    ranges = _ranges(record.pairs)
    if not ranges:
        return NO_FIX
    found = excerpts(record.description, helpers)
    if not found:
        return NO_CRASH
    crashes: list[MinedCrash] = []
    faces: list[Face] = []
    reasons: list[str] = []
    guessed = False
    # what the title names was mended; other reports of the text may only have led there
    for excerpt in sorted(found, key=lambda e: not _is_titled(record, Face(e.event).blamed)):
        made = _from_excerpt(record, excerpt, helpers)
        if isinstance(made, str):
            reasons.append(made)
        elif len(crashes) < MAX_CRASHES and not any(_same(made, crash) for crash in crashes):
            if crashes and (excerpt.guessed or not made.frames):
                continue  # beside a whole one, a torn one adds only mistakes
            guessed = guessed or excerpt.guessed
            crashes.append(made)
            faces.append(Face(excerpt.event))
    if not crashes:
        return reasons[0]
    anchor = tuple(dict.fromkeys(name for face in faces for name in anchors(record.files, face)))[:6]
    foreign = not anchor and first_source(record.files).startswith(("drivers/", "sound/"))
    tier = "production"
    if (not crashes[0].frames and len(crashes[0].blamed) < 2) or guessed or foreign or crashes[0].kind == "other":
        tier = "thin"
    elif all(crash.kind in SANITIZER_KINDS for crash in crashes):
        tier = "sanitizer"
    return MinedRule(
        id=record.id.lower(),
        title=record.title,
        crashes=tuple(crashes),
        ranges=ranges,
        tier=tier,
        anchor=anchor,
        mentioned=(mentioned := _mentioned(record, crashes, anchor, helpers)),
        named=_named(record, found, crashes, mentioned, helpers),
        files=record.files[:MAX_FILES],
        seen=tuple(dict.fromkeys(_SEEN.findall(record.description)))[:MAX_SEEN],
        boards=_boards(record),
        causes=_causes(record.pairs),
        subsystem=subsystem_of(record.files),
    )


def _boards(record: Record) -> tuple[str, ...]:
    """The machines that a defect of a driver or an architecture was seen on."""
    if not any(file.startswith(("drivers/", "arch/", "sound/")) for file in record.files):
        return ()
    boards = (board_of(" ".join(text.split())) for text in _HARDWARE.findall(record.description))
    return tuple(dict.fromkeys(board for board in boards if board))[:MAX_SEEN]


def _mentioned(
    record: Record, crashes: Sequence[MinedCrash], anchor: Sequence[str], helpers: HelperFrames
) -> tuple[str, ...]:
    """Functions that the title names, and those of the fixed files' own that the text names as functions."""
    shown = {name for crash in crashes for name in (*crash.blamed, *crash.frames[:2])}
    title = [name.removesuffix("()") for name in _NAME.findall(record.title) if "_" in name]
    text = [name for name in _CALLED.findall(record.description) if any(name.startswith(f"{a}_") for a in anchor)]
    calls = () if any(crash.frames for crash in crashes) else _PROSE_CALL.findall(record.description)
    names = dict.fromkeys(
        name for name in (*title, *calls, *text) if name not in shown and not helpers.is_helper(name, "bug")
    )
    return tuple(names)[:MAX_MENTIONED]


def _named(
    record: Record,
    found: Sequence[Excerpt],
    crashes: Sequence[MinedCrash],
    mentioned: Sequence[str],
    helpers: HelperFrames,
) -> tuple[str, ...]:
    """Functions that lead to the rule though they never answer: deeper ones of the traces, then those of the prose."""
    known = {name for crash in crashes for name in (*crash.blamed, *crash.frames)} | set(mentioned)
    deeper = [name.symbol for excerpt in found[:MAX_CRASHES] for name in Face(excerpt.event).sequence]
    prose = _PROSE_CALL.findall(f"{record.title}\n{record.description}")
    names = dict.fromkeys(name for name in (*deeper, *prose) if name not in known and 4 <= len(name) <= 60)
    telling = (n for n in names if not helpers.is_helper(n, crashes[0].kind) and not helpers.is_dispatcher(n))
    return tuple(name for name in telling if not _ENTRY.fullmatch(name) and not _DISPATCHERS_END.fullmatch(name))[
        :MAX_NAMED
    ]


_PROSE_CALL = re.compile(r"\b([a-z_][a-z0-9_]{3,60})\(\)")
_SEEN = re.compile(r"(?:Not tainted|Tainted: [A-Z ]{1,40}?) {0,12}\(?(\d{1,2}\.\d{1,3}[^\s()#]{4,80})")
_HARDWARE = re.compile(r"Hardware name: ([^\n]{3,160}(?:\n[^\n:]{0,40}BIOS)?)")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w{2,}")
_NAME = re.compile(r"\b[a-z_][a-z0-9_]{5,60}\b(?:\(\))?")
_CALLED = re.compile(r"\b([a-z_]+_[a-z0-9_]{3,60})\b(?!\+0x)")


def _is_titled(record: Record, names: Sequence[str]) -> bool:
    """Whether the fix's title names one of the functions."""
    words = set(re.findall(r"\w+", record.title))
    return any(name in words for name in names[:2])


def _before(text: str, line: str) -> str:
    """What stands just before a line: a WARN prints its own text above its first line."""
    at = text.find(line)
    return text[max(0, at - _PRECEDING) : max(0, at)]


def _same(one: MinedCrash, other: MinedCrash) -> bool:
    return bool(set(one.blamed) & set(other.blamed)) and one.frames[:2] == other.frames[:2]


def _from_excerpt(record: Record, excerpt: Excerpt, helpers: HelperFrames) -> MinedCrash | str:
    event = excerpt.event
    if event.kind not in FAMILY:
        return WRONG_KIND
    face = Face(event)
    blamed = tuple(n for n in face.blamed if not helpers.is_helper(n, event.kind) and not _ENTRY.fullmatch(n))
    if event.kind in HANGS:
        blamed = _innermost(face, helpers) or blamed
    blamed = tuple(name for name in blamed if _IDENTIFIER.fullmatch(name))
    if not blamed:
        return NO_FUNCTION
    texts = [event.message, *(event.text or ()), _before(record.description, event.message)]
    if event.kind in ("warning", "bug", "other") and any(_ERROR.search(text) for text in texts):
        return ERROR_REPORT
    frames = _callers(face, blamed, helpers)
    if event.kind in HANGS:
        own = [name for name in (*blamed, *frames) if not _WAITS.fullmatch(name)]
        if len(own) < 2 or not anchors(record.files, face):
            return ANYBODY_WAITS
    return MinedCrash(
        kind=event.kind,
        blamed=blamed[:MAX_BLAMED],
        top=event.symbol if event.symbol and event.symbol not in blamed else None,
        frames=frames,
        at=face.at,
        access=event.access,
        titled=not excerpt.guessed and event.kind != "other" and _is_titled(record, blamed),
        check=check_of(event.message),
    )


def _innermost(face: Face, helpers: HelperFrames) -> tuple[str, ...]:
    """The innermost function that does not only wait: a stall is caught at any depth below it."""
    for name in face.sequence:
        if not helpers.is_helper(name.symbol, face.kind) and not helpers.is_dispatcher(name.symbol):
            return (name.symbol,)
    return ()


def _callers(face: Face, blamed: Sequence[str], helpers: HelperFrames) -> tuple[str, ...]:
    """The specific functions behind the blamed one, outwards, without those that call anybody's work."""
    found: list[str] = []
    start = max((face.names[name] for name in blamed if name in face.names), default=face.position)
    rest = face.sequence[start + 1 :]
    whole = max((i for i, name in enumerate(rest) if not name.inline), default=-1)
    for index, name in enumerate(rest):
        # inlined functions are seen only in decoded traces; behind the last whole frame there is nothing better
        if (name.inline and index < whole) or name.symbol in blamed or name.symbol in found:
            continue
        if _DISPATCHERS_END.fullmatch(name.symbol):
            break
        if not _IDENTIFIER.fullmatch(name.symbol):
            continue  # a word of prose, cut or with its full stop
        if not helpers.is_helper(name.symbol, face.kind) and not helpers.is_dispatcher(name.symbol):
            found.append(name.symbol)
        if len(found) == MAX_FRAMES - 1:
            break
    return tuple(found)


def anchors(files: Sequence[str], face: Face) -> tuple[str, ...]:
    """Names and folders of the fixed files that the crash itself shows, so that another one of its kind can, too."""
    names: dict[str, None] = {}
    for file in files[:8]:
        parts = file.split("/")
        stem = parts[-1].rsplit(".", 1)[0]
        for name in (*reversed(parts[-3:-1]), stem, *stem.split("_")[:1], *stem.split("-")[:1]):
            plain = name.replace("-", "_").lower()
            if len(plain) >= 2 and plain not in _GENERIC_NAMES:
                names[plain] = None
        if len(parts) > 2:
            names["/".join(parts[:-1]) + "/"] = None
    return tuple(name for name in names if shows(face, name))[:6]


def first_source(files: Sequence[str]) -> str:
    """The first fixed file that is no header, else the first."""
    return next((file for file in files if file.endswith((".c", ".S", ".rs"))), files[0] if files else "")


_OWN_FILE = tuple(
    """
    arch/arm64 arch/powerpc arch/riscv arch/x86 arch block drivers/acpi drivers/android drivers/base
    drivers/block drivers/bluetooth drivers/char drivers/clk drivers/crypto drivers/cxl drivers/dma
    drivers/firmware drivers/gpu/drm/amd drivers/gpu/drm/i915 drivers/gpu/drm/xe drivers/gpu drivers/hid
    drivers/infiniband drivers/iommu drivers/md drivers/media drivers/mtd drivers/net/bonding
    drivers/net/ethernet/intel drivers/net/ethernet/mellanox drivers/net/ethernet drivers/net/usb
    drivers/net/wireless drivers/net drivers/nvme drivers/pci drivers/scsi drivers/tty drivers/ufs drivers/usb
    drivers/vhost drivers/video drivers/virtio drivers/xen drivers fs/btrfs fs/erofs fs/ext4 fs/f2fs fs/jfs
    fs/nfs fs/nfsd fs/nilfs2 fs/ntfs3 fs/ocfs2 fs/smb fs/xfs fs/gfs2 fs include io_uring kernel/bpf
    kernel/cgroup kernel/events kernel/rcu kernel/sched kernel/time kernel/trace kernel lib mm net/bluetooth
    net/bridge net/can net/core net/ipv4 net/ipv6 net/mac80211 net/mptcp net/netfilter net/rds net/sched
    net/sctp net/smc net/sunrpc net/tipc net/unix net/vmw_vsock net/wireless net/xfrm net security sound
    virt/kvm
    """.split()  # noqa: SIM905 - a list is unreadable
)
_SUBSYSTEMS = tuple(sorted((f"{folder}/" for folder in _OWN_FILE), key=len, reverse=True))


def subsystem_of(files: Sequence[str]) -> str:
    """The name of the file that the rule goes to: the longest listed folder that holds the first source file."""
    source = first_source(files)
    folder = next((folder for folder in _SUBSYSTEMS if source.startswith(folder)), "other/")
    return folder.rstrip("/").replace("/", "-").replace("_", "-")


def _causes(pairs: Sequence[Pair]) -> tuple[str, ...]:
    """The commits that brought the defect in, mainline's first."""
    commits = (pair.introduced_by[:12].lower() for pair in reversed(pairs))
    return tuple(dict.fromkeys(commit for commit in commits if re.fullmatch(r"[0-9a-f]{12}", commit)))[:MAX_SEEN]


def _ranges(pairs: Sequence[Pair]) -> tuple[str, ...]:
    """Each branch as "introduced fixed commit", the oldest branch first, mainline last; those with a fix only."""
    found: dict[str, tuple[tuple[int, ...], str]] = {}
    for pair in pairs:
        if pair.fixed == NONE or upstream.parse(pair.fixed) is None:
            continue
        introduced = pair.introduced if upstream.parse(pair.introduced) is not None else NONE
        line = f"{introduced} {pair.fixed} {pair.fixed_by[:12].lower()}"
        numbers = tuple(int(n) for n in re.findall(r"\d+", pair.fixed.split("-")[0]))
        # mainline last: "6.5" before its branch's "6.5.1" would sort first, but it is the end of the story
        found[line] = ((1, *numbers) if len(numbers) == 2 else (0, *numbers), line)
    return tuple(line for _, line in sorted(found.values()))
