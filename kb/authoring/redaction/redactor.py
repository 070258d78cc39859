"""Redacts texts line by line: two passes, the first to learn names from what stands around them.

A name that was learnt somewhere (a host from syslog's column, a user from a home folder) is replaced wherever it
stands as a word, unless it is also a word of the crash itself (a symbol, a module, a process): there the crash wins,
and only those places that name it as a host or user are changed.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from kbmatch.kb.authoring.redaction import patterns as p
from kbmatch.kb.authoring.redaction.paths import hidden_path
from kbmatch.kb.authoring.redaction.pseudonyms import KINDS, Pseudonyms
from kbmatch.kb.authoring.redaction.tokens import is_opaque, is_token_after

_VERSION_BEFORE = re.compile(r"(?:BIOS|[Vv]ersion|[Rr]ev(?:ision)?|[Ff]irmware|FW|\bv|ver\.?)[ :=]*$")
_HOST_PATTERNS = (
    p.SYSLOG_HOST, p.HOST_AFTER, p.HOST_SPACED, p.SERVER_DOWN, p.HOST_BEFORE_EXPORT, p.UNC, p.JSON_HOST, p.EXPORT_HOST,
    p.CONSOLE_PROMPT,
)  # fmt: skip
_USER_PATTERNS = (
    p.USER_AFTER, p.USER_SPACED, p.USER_IN_PARENTHESES, p.USER_OF_TO, p.USER_ID_BEHIND, p.USER_ACTS, p.HOME,
)  # fmt: skip
_RANGE = re.compile(r"(?:\d{1,3}(?:\.\d{1,3}){3}|(?<![\w])ip-?\d+)-$")
_BUILD_ID_BEFORE = re.compile(
    r"(?:build[ -_]?id|BUILD-?ID|commit|\[[\w-]{1,64}|srcversion|vermagic)[ :=\"']*$", re.IGNORECASE
)
_WORD = re.compile(r"[A-Za-z_][\w.-]*")
_CRASH_LINE = re.compile(
    r"(?:\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? *)?"
    r"(?:(?:\[<[0-9a-f]+>\] )?\??[ ]{0,4}[A-Za-z_][\w.]*\+0x[0-9a-f]+/0x[0-9a-f]+(?: \[\w+\])?"
    r"|Code: [0-9a-f <>()]+|(?:[A-Z0-9]{2,6}: ?[0-9a-f]{4,16}(?: |$)){2,4}|</?(?:TASK|IRQ|NMI)>)\s*$"
)
"""Lines that hold nothing but the crash; most of a report. The rest is looked at word by word."""

_RELEASE = re.compile(
    r"(?:Linux version |[Tt]ainted(?:: [A-Z ]{1,40})? +|RELEASE: |OSRELEASE=)(\d+\.\d+[\w.+~-]{0,80})"
)


def _user_of(match: re.Match[str]) -> tuple[str, str]:
    """The group that holds the user, and the name."""
    if match["user"] is not None:
        return "user", match["user"]
    return "cron", match["cron"]


def _crash_words(text: str) -> set[str]:
    """Functions, modules and processes that crash reports in the text name."""
    found = {match[1] for match in re.finditer(r"(?<![\w.])([A-Za-z_][\w.]{0,200})\+0x[0-9a-f]+/0x", text)}
    for line in re.finditer(r"Modules linked in: ([^\n]{0,8000})", text):
        found.update(re.findall(r"[A-Za-z_]\w*", line[1]))
    found.update(match[1] for match in re.finditer(r"\bComm: (\S{1,40})", text))
    found.update(match[1] for match in _RELEASE.finditer(text))
    return found


class Redactor:
    """Replaces names by pseudonyms; the same thing has the same name in every text it is given.

    `hosts` and `users` are names known beforehand, `words` are replaced wherever they stand, in any case. `protected`
    are names that the crash needs (symbols, modules, releases): none of them is changed, except by `words`.
    """

    def __init__(
        self,
        hosts: Iterable[str] = (),
        users: Iterable[str] = (),
        *,
        words: Iterable[str] = (),
        protected: Iterable[str] = (),
    ) -> None:
        self.names = Pseudonyms()
        self._protected = {text for text in protected if text}
        self._spans: list[str] = []
        self._hosts: dict[str, None] = {}
        self._users: dict[str, None] = {}
        self._words = sorted({word for word in words if word}, key=len, reverse=True)
        self._in_key = False
        self._known: re.Pattern[str] | None = None
        self._kinds: dict[str, str] = {}
        for host in hosts:
            self._learn_host(host)
        for user in users:
            self._learn_user(user)

    def learn(self, text: str) -> None:
        """Note the hosts and users that a text names, so that they are replaced wherever they stand."""
        for line in text.split("\n"):
            for pattern in _HOST_PATTERNS:
                for match in pattern.finditer(line):
                    self._learn_host(match["host"])
            for pattern in _USER_PATTERNS:
                for match in pattern.finditer(line):
                    self._learn_user(_user_of(match)[1])
            if "Linux version" not in line:
                for match in p.USER_AT_HOST.finditer(line):
                    self._learn_user(match["user"])
                    self._learn_host(match["host"])

    def redact(self, text: str) -> str:
        """The text with names replaced; it keeps its number of lines."""
        self._protected.update(_crash_words(text))
        self.names.avoid(text)
        self._spans = sorted((t for t in self._protected if not t.replace("_", "").isalnum()), key=len, reverse=True)
        self.learn(text)
        self._compile()
        self._in_key = False
        return "\n".join(map(self._line, text.split("\n")))

    def redact_words(self, text: str) -> str:
        """The text with the user's own words replaced, and nothing else."""
        return self._replace_words(text) if self._words else text

    def host(self, name: str) -> str:
        """The pseudonym of a text that is known to be a host's name."""
        return name if self._own(name) else self._hostname(name)

    def _own(self, name: str) -> bool:
        """Whether a text begins with a pseudonym that was given here."""
        given = self.names.originals
        return name in given or re.split(r"[.@]", name, maxsplit=1)[0] in given

    # --- names learnt ---

    def _learn_host(self, name: str) -> None:
        name = name.strip(".-")
        short = name.split(".", 1)[0]
        if re.fullmatch(r"[\d.]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*|0x[0-9A-Fa-f]+", name) or self._own(short):
            return
        if name.lower() in p.KEPT_HOSTS:
            return
        if len(short) >= 2 and short.lower() not in p.COMMON_HOST_WORDS and re.search("[A-Za-z]", short):
            self._hosts[short] = None
            if short != name:
                self._hosts[name] = None
            self._known = None

    def _learn_user(self, name: str) -> None:
        if len(name) >= 2 and name.lower() not in p.SYSTEM_USERS and not self._own(name):
            self._users[name] = None
            self._known = None

    def _compile(self) -> None:
        """One pattern for all names learnt; those that the crash itself uses are left to their own contexts."""
        if self._known is not None:
            return
        self._kinds = {}
        for kind, names in (("user", self._users), ("host", self._hosts)):
            for name in names:
                if name not in self._protected and len(name) >= 3 and name.lower() not in _KERNEL_WORDS:
                    self._kinds[name.lower()] = kind
        listed = sorted(self._kinds, key=len, reverse=True)
        body = "|".join(map(re.escape, listed)) or r"(?!)"
        self._known = re.compile(rf"(?<![A-Za-z0-9.])(?:{body})(?![A-Za-z0-9])(?!\+0x)", re.IGNORECASE)

    # --- one line ---

    def _line(self, line: str) -> str:
        if self._words:
            line = self._replace_words(line)
        if self._in_key or p.PRIVATE_KEY.search(line):
            return self._key_line(line)
        if not line or line.isspace() or _CRASH_LINE.match(line):
            return line
        held: list[str] = []

        def hold(text: str) -> str:
            held.append(text)
            return f"\ue000{chr(0xE100 + len(held) - 1)}"  # private use: no pattern can match inside

        line = line.replace("\ue000", "?")
        for span in self._spans:
            if span in line and len(held) < 2000:
                line = line.replace(span, hold(span))
        line = self._shapes(line)
        line = self._contexts(line)
        assert self._known is not None
        line = self._known.sub(self._known_name, line)
        for number in range(len(held) - 1, -1, -1):
            line = line.replace(f"\ue000{chr(0xE100 + number)}", held[number])
        return line

    def _replace_words(self, line: str) -> str:
        for word in self._words:
            line = re.sub(re.escape(word), lambda m: self.names.of("word", m[0]), line, flags=re.IGNORECASE)
        return line

    def _key_line(self, line: str) -> str:
        """A line of a PEM block: all behind the log's prefix is secret, the dashes stay."""
        self._in_key = p.PRIVATE_KEY_END.search(line) is None
        return re.sub(r"(?<![\w-])[0-9A-Za-z+/=]{16,}", lambda m: self.names.of("token", m[0]), line)

    def _shapes(self, line: str) -> str:
        """What its own shape gives away."""
        line = p.BUILDER.sub(self._builder, line)
        line = p.URL_LOGIN.sub(self._url_login, line)
        for pattern in (p.TOKEN_SHAPES, p.AUTHORIZATION, p.UUID, p.STORAGE):
            line = pattern.sub(self._replacement, line)
        line = p.MAIL.sub(self._mail, line)
        line = p.URL.sub(self._url, line)
        line = p.TOKEN_AFTER.sub(self._token_after, line)
        for pattern in (p.WWN, p.SERIAL_AFTER, p.SERIAL_SPACED, p.LONG_HARDWARE):
            line = pattern.sub(self._replacement, line)
        line = p.MAC.sub(self._mac, line)
        line = p.IPV6.sub(self._ipv6, line)
        line = p.IPV4_IN_NAME.sub(lambda m: m["head"] + self.names.of("ipv4", m["ipv4"].replace("-", ".")), line)
        line = p.IPV4.sub(self._ipv4, line)
        return p.LONG_HEX.sub(self._long_hex, line)

    def _contexts(self, line: str) -> str:
        """What the words around it give away."""
        if not p.BUILDER.search(line):
            line = p.USER_AT_HOST.sub(self._user_at_host, line)
        for pattern in _USER_PATTERNS:
            line = pattern.sub(self._user, line)
        for pattern in _HOST_PATTERNS:
            line = pattern.sub(self._host, line)
        line = p.FQDN.sub(self._fqdn, line)
        line = p.VOLUME.sub(self._volume, line)
        line = p.WINDOWS_PATH.sub(self._replacement, line)
        line = p.PATH.sub(lambda m: hidden_path(m["path"], m.string[m.end() :], self.names, self._component), line)
        return p.OPAQUE.sub(self._opaque, line)

    # --- replacements ---

    def _put(self, match: re.Match[str], kind: str, group: str | None = None) -> str:
        """The match with one group replaced."""
        group = group or kind
        start, end = match.start(group) - match.start(), match.end(group) - match.start()
        whole = match[0]
        return whole[:start] + self.names.of(kind, match[group]) + whole[end:]

    def _replacement(self, match: re.Match[str]) -> str:
        """Replace the one group that is named after a kind."""
        for kind, value in match.groupdict().items():
            if kind in KINDS and value is not None:
                return match[0] if self._own(value) else self._put(match, kind)
        return match[0]

    def _token_after(self, match: re.Match[str]) -> str:
        before, value = match["before"], match["token"]
        return self._put(match, "token") if is_token_after(before, value) and not self._own(value) else match[0]

    def _opaque(self, match: re.Match[str]) -> str:
        value = match["token"]
        return self.names.of("token", value) if is_opaque(value) and value not in self._protected else match[0]

    def _long_hex(self, match: re.Match[str]) -> str:
        kept = _BUILD_ID_BEFORE.search(match.string[: match.start()]) or len(set(match[0])) < 6
        return match[0] if kept else self.names.of("token", match[0])

    def _url_login(self, match: re.Match[str]) -> str:
        token = f":{self.names.of('token', match['token'])}" if match["token"] else ""
        return f"{match['scheme']}{self.names.of('user', match['user'])}{token}@"

    def _mail(self, match: re.Match[str]) -> str:
        name, _, host = match["mail"].partition("@")
        public = host.lower() in p.KEPT_HOSTS or p.BUILDER.search(match.string)
        return match[0] if public or self._own(name) else self._put(match, "mail")

    def _url(self, match: re.Match[str]) -> str:
        host = match["host"]
        if host.lower() in p.KEPT_HOSTS:
            return match[0]
        if re.search("[A-Za-z]", host) and not self._own(host):
            host = self._hostname(host)
        path = hidden_path(match["path"], "", self.names, self._component) if match["path"] else ""
        return f"{match['before']}{host}{match['port'] or ''}{path}"

    def _builder(self, match: re.Match[str]) -> str:
        """A distribution's builder tells the product and is public; anybody else's is a person and a machine."""
        if p.VENDOR_DOMAINS.search(match["host"]) or match["user"] in (
            "mockbuild",
            "buildd",
            "abuild",
            "geeko",
            "builder",
        ):
            return match[0]
        return f"{match['before']}{self.names.of('user', match['user'])}@{self._hostname(match['host'])})"

    def _mac(self, match: re.Match[str]) -> str:
        value = match["mac"] or match["dotted"]
        digits = re.sub("[^0-9A-Fa-f]", "", value)
        if len(set(digits.lower())) < 2:  # all zeros or ones names nobody
            return match[0]
        return self.names.of("mac", value.replace("-", ":"))

    def _ipv4(self, match: re.Match[str]) -> str:
        try:
            address = ipaddress.IPv4Address(match["ipv4"])
        except ValueError:
            return match[0]
        if address.is_loopback or address.is_unspecified or match["ipv4"].startswith("255."):
            return match[0]
        before = match.string[: match.start()]
        if _VERSION_BEFORE.search(before) or (re.search(r"\w-$", before) and not _RANGE.search(before)):
            return match[0]
        return self.names.of("ipv4", match["ipv4"])

    def _ipv6(self, match: re.Match[str]) -> str:
        text = match["ipv6"]
        try:
            address = ipaddress.IPv6Address(text)
        except ValueError:
            return match[0]
        if address.is_loopback or address.is_unspecified or not re.search(r"\d", text):
            return match[0]
        return self.names.of("ipv6", text)

    def _user_at_host(self, match: re.Match[str]) -> str:
        if match["host"].lower() in p.COMMON_HOST_WORDS or match["user"] in self._protected:
            return match[0]  # systemd's template@instance
        user = match["user"] if match["user"] in p.SYSTEM_USERS else self.names.of("user", match["user"])
        return f"{user}@{self._hostname(match['host'])}"

    def _user(self, match: re.Match[str]) -> str:
        group, name = _user_of(match)
        return match[0] if name.lower() in p.SYSTEM_USERS or self._own(name) else self._put(match, "user", group)

    def _host(self, match: re.Match[str]) -> str:
        name = match["host"]
        bare = name.rstrip(".-")
        if bare.lower() in p.COMMON_HOST_WORDS or bare.lower() in p.KEPT_HOSTS or self._own(bare):
            return match[0]
        if not re.search("[A-Za-z]", bare) or (
            re.fullmatch(r"(?:0x)?[0-9A-Fa-f]{1,16}", bare) and re.search(r"\d", bare)
        ):
            return match[0]
        start = match.start("host") - match.start()
        return match[0][:start] + self._hostname(bare) + match[0][start + len(bare) :]

    def _hostname(self, name: str) -> str:
        """The host and its domain get names of their own, so that short and full name agree."""
        short, dot, domain = name.partition(".")
        if name.lower() in p.KEPT_HOSTS:
            return name
        shown = short if self._own(short) else self.names.of("host", short)
        return shown + (f".{self.names.of('domain', domain)}" if dot and domain else "")

    def _fqdn(self, match: re.Match[str]) -> str:
        name = match["host"]
        last = name.rsplit(".", 1)[-1].lower()
        if name.lower() in p.KEPT_HOSTS or last in p.FILE_ENDINGS or self._own(name) or name in self._protected:
            return match[0]
        if not re.search("[A-Za-z]", name.split(".", 1)[0]) and len(last) == 2:
            return match[0]
        return self._put_text(match, "host", self._hostname(name))

    def _put_text(self, match: re.Match[str], group: str, text: str) -> str:
        start, end = match.start(group) - match.start(), match.end(group) - match.start()
        return match[0][:start] + text + match[0][end:]

    def _volume(self, match: re.Match[str]) -> str:
        if self._own(match["path"]) or match["path"] == "control":
            return match[0]
        return self._put(match, "path")

    def _component(self, name: str) -> str | None:
        """A path's part as far as it is a name that was learnt."""
        kind = self._kinds.get(name.lower())
        return self.names.of(kind, name) if kind else None

    def _known_name(self, match: re.Match[str]) -> str:
        name = match[0]
        if name in self._protected:
            return name
        if self._kinds[name.lower()] == "host":
            return self._hostname(name)
        return self.names.of("user", name)


_KERNEL_WORDS = frozenset(
    {
        "kernel", "panic", "call", "trace", "code", "stack", "cpu", "pid", "comm", "tainted", "hardware",
        "name", "modules", "linked", "process", "task", "bug", "oops", "general", "protection", "fault", "page",
        "null", "pointer", "dereference", "end", "not", "syncing", "fatal", "exception", "interrupt", "irq",
        "softirq", "nmi", "hung", "blocked", "seconds", "info", "warning", "error", "net", "eth0", "eth1",
        "disk", "memory", "node", "zone", "normal", "dma", "slab", "free", "used", "swap", "file", "system",
        "mount", "ext4", "xfs", "btrfs", "nfs", "scsi", "ata", "usb", "pci", "acpi", "bios", "xen", "kvm",
        "vmware", "hyperv", "virtio", "drm", "smp", "preempt", "pti", "init", "swapper", "systemd", "bash",
        "java", "python", "mysqld", "oracle", "postgres", "kworker", "ksoftirqd", "kswapd", "rcu", "timer",
        "watchdog", "lockup", "soft", "hard", "event", "events", "user", "users", "home", "root", "data",
        "test", "server", "client", "host", "main", "core", "the", "and", "for", "with",
    }
)  # fmt: skip
"""Words of crash reports that may also be somebody's name: replaced only where the context says so."""
