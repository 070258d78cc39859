"""Redaction: what names machines and people in a log is replaced, the same name by the same stand-in each time.

Stand-ins are those reserved for documentation: 192.0.2.0/24 (RFC 5737), 2001:db8::/32 (RFC 3849), 00:00:5e:00:53:xx
(RFC 7042), example.com (RFC 2606). Kernel addresses, versions, PCI addresses and the builder's name in a kernel banner
(products are recognised by it) stay.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable

_MAC = re.compile(r"(?<![\w:.-])(?:[0-9a-fA-F]{2}([:-])(?:[0-9a-fA-F]{2}\1){4}[0-9a-fA-F]{2})(?![\w:-])")
_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}\.)*[A-Za-z0-9-]{1,63}")
_IPV4 = re.compile(r"(?<![\w.:/-])(?:\d{1,3}\.){3}\d{1,3}(?![\w.-])")
_IPV6 = re.compile(r"(?<![\w:.])[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7}(?![\w:.])")
_DOMAINS = "com|net|org|edu|gov|mil|local|localdomain|lan|internal|intranet|corp|home|cloud|example"
_FQDN = re.compile(rf"(?<![\w.@/-])(?:[A-Za-z0-9](?:[A-Za-z0-9-]{{0,62}})\.){{1,8}}(?:{_DOMAINS})(?![\w-])")
_SYSLOG_HOST = re.compile(
    r"^(?:<\d{1,3}>)?(?:(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d\d:\d\d:\d\d"
    r"|\d{4}-\d\d-\d\dT\S{8,40}) (?P<host>[A-Za-z0-9][\w.-]{0,63}) [\w./@-]{1,64}(?:\[\d+\])?:"
)
_USER = re.compile(
    r"(?:/home/|/Users/|\bfor user |\buser=|\bUSER=|\blogname=|\bruser=|\buid=\d{1,10}\(|\bLOGNAME=)"
    r"(?P<user>[A-Za-z_][\w.-]{0,31})"
)
_VERSION_BEFORE = re.compile(r"(?:BIOS|[Vv]ersion|[Rr]ev(?:ision)?|firmware|FW|v|ver\.?)[ :=]*$")
_KEPT_USERS = frozenset({"root", "nobody", "daemon", "user"})
_KEPT_HOSTS = frozenset({"kernel", "localhost", "localhost.localdomain", "none"})


class Redactor:
    """Replaces names; `hosts` and `users` are names that the caller knows of."""

    def __init__(self, hosts: Iterable[str] = (), users: Iterable[str] = ()) -> None:
        self._stand_ins: dict[tuple[str, str], str] = {}
        self._hosts = {name for name in hosts if name and name.lower() not in _KEPT_HOSTS}
        self._users = {name for name in users if name and name not in _KEPT_USERS}

    def learn(self, text: str) -> None:
        """Note the hosts and users that a text names, so that they are replaced wherever they stand."""
        for line in text.splitlines():
            if (host := _SYSLOG_HOST.match(line)) and host["host"].lower() not in _KEPT_HOSTS:
                self._hosts.add(host["host"])
            for user in _USER.finditer(line):
                if user["user"] not in _KEPT_USERS:
                    self._users.add(user["user"])

    def redact(self, text: str) -> str:
        """The text with names replaced, line by line."""
        self.learn(text)
        return "\n".join(self._line(line) for line in text.split("\n"))

    def _line(self, line: str) -> str:
        if "Linux version " in line:
            return self._names(line)
        line = _MAIL.sub(lambda m: self._stand_in("mail", m[0], "user{}@example.com"), line)
        line = _MAC.sub(lambda m: self._stand_in("mac", m[0].lower(), "00:00:5e:00:53:{:02x}"), line)
        line = _IPV6.sub(self._ipv6, line)
        line = _IPV4.sub(self._ipv4, line)
        line = _FQDN.sub(lambda m: self._host(m[0]), line)
        return self._names(line)

    def _names(self, line: str) -> str:
        for kind, names, replace in (("host", self._hosts, self._host), ("user", self._users, self._user)):
            for name in sorted(names, key=len, reverse=True):
                if name in line and kind:
                    line = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", _constant(replace(name)), line)
        return line

    def _host(self, name: str) -> str:
        if name.endswith("example.com") or name.lower() in _KEPT_HOSTS:
            return name
        return self._stand_in("host", name, "host{}")

    def _user(self, name: str) -> str:
        return self._stand_in("user", name, "user{}")

    def _ipv4(self, match: re.Match[str]) -> str:
        try:
            address = ipaddress.IPv4Address(match[0])
        except ValueError:
            return match[0]
        if address.is_loopback or address.is_unspecified or _VERSION_BEFORE.search(match.string[: match.start()]):
            return match[0]
        return self._stand_in("ipv4", match[0], "192.0.2.{}")

    def _ipv6(self, match: re.Match[str]) -> str:
        try:
            address = ipaddress.IPv6Address(match[0])
        except ValueError:
            return match[0]
        if address.is_loopback or address.is_unspecified or not any(c.isdigit() for c in match[0]):
            return match[0]
        return self._stand_in("ipv6", str(address), "2001:db8::{:x}")

    def _stand_in(self, kind: str, name: str, form: str) -> str:
        if (kind, name) not in self._stand_ins:
            number = 1 + sum(known == kind for known, _ in self._stand_ins)
            self._stand_ins[kind, name] = form.format(number if kind not in ("ipv4", "mac") else number % 255)
        return self._stand_ins[kind, name]


def _constant(text: str) -> Callable[[re.Match[str]], str]:
    return lambda match: text
