"""Logs seeded with secrets of 12 sorts: made by a generator from a seed, in lines such as Linux machines write."""

from __future__ import annotations

import base64
import random
import string
from dataclasses import dataclass

_SYLLABLES = [a + b for a in "bdfghklmnprstvwz" for b in "aeiou"]


@dataclass(frozen=True)
class Seeded:
    """Lines, and the secrets in them by sort."""

    lines: list[str]
    secrets: dict[str, list[str]]

    def all(self) -> list[str]:
        return [secret for found in self.secrets.values() for secret in found]


def seeded_lines(seed: int, each: int = 17) -> Seeded:
    """`each` secrets of every sort, each in a line of one of several forms."""
    r = random.Random(seed)
    makers = {
        "host": _host, "fqdn": _fqdn, "ipv4": _ipv4, "ipv6": _ipv6, "mac": _mac, "mail": _mail, "user": _user,
        "path": _path, "serial": _serial, "uuid": _uuid, "password": _password, "token": _token,
    }  # fmt: skip
    lines: list[str] = []
    secrets: dict[str, list[str]] = {}
    for sort, make in makers.items():
        secrets[sort] = []
        forms = _FORMS[sort]
        for number in range(each):
            secret = make(r)
            secrets[sort].append(secret)
            lines.append(forms[number % len(forms)].format(secret))
    r.shuffle(lines)
    return Seeded(lines, secrets)


def _name(r: random.Random, size: int = 3) -> str:
    return "".join(r.choice(_SYLLABLES) for _ in range(size)) + r.choice("bdkmnrstz")


def _host(r: random.Random) -> str:
    return r.choice(("{0}{1:02d}", "{0}-prod-{1}", "srv-{0}-{1:03d}", "{0}db{1}")).format(_name(r), r.randint(1, 99))


def _fqdn(r: random.Random) -> str:
    top = r.choice(("com", "net", "internal", "local", "lan", "org"))
    return f"{_host(r)}.{r.choice(('eu.', 'dc2.', ''))}{_name(r)}.{top}"


def _ipv4(r: random.Random) -> str:
    return ".".join(str(r.randint(11, 250)) for _ in range(4))


def _ipv6(r: random.Random) -> str:
    if r.random() < 0.5:
        return ":".join(f"{r.randint(0x1000, 0xFFFF):x}" for _ in range(8))
    a, b, c = (f"{r.randint(0x1000, 0xFFFF):x}" for _ in range(3))
    return f"fe80::{a}:{b}:fe{r.randint(16, 99)}:{c}"


def _mac(r: random.Random) -> str:
    text = r.choice(":-").join(f"{r.randint(0, 255):02x}" for _ in range(6))
    return text.upper() if r.random() < 0.3 else text


def _mail(r: random.Random) -> str:
    return f"{_name(r)}.{_name(r)}@{_name(r)}.{r.choice(('com', 'de', 'co.uk', 'org'))}"


def _user(r: random.Random) -> str:
    return _name(r, 2) + r.choice(("", str(r.randint(1, 99)), "_adm"))


def _path(r: random.Random) -> str:
    top = r.choice(("/srv/", "/data/", "/u01/", "/opt/", "/mnt/", "/export/", "/var/www/"))
    return top + "/".join(_name(r) for _ in range(r.randint(2, 3)))


def _serial(r: random.Random) -> str:
    return "".join(r.choice(string.ascii_uppercase + string.digits) for _ in range(9)) + str(r.randint(10, 99))


def _uuid(r: random.Random) -> str:
    return "-".join("".join(r.choice("0123456789abcdef") for _ in range(size)) for size in (8, 4, 4, 4, 12))


def _password(r: random.Random) -> str:
    return "".join(r.choice(string.ascii_letters + string.digits + "!$%*+") for _ in range(r.randint(8, 20)))


def _token(r: random.Random) -> str:
    def part(size: int) -> str:
        return base64.urlsafe_b64encode(r.randbytes(size)).decode().rstrip("=")

    return r.choice((
        lambda: f"eyJ{part(20)}.{part(40)}.{part(24)}",
        lambda: "AKIA" + "".join(r.choice(string.ascii_uppercase + string.digits) for _ in range(16)),
        lambda: "ghp_" + "".join(r.choice(string.ascii_letters + string.digits) for _ in range(36)),
        lambda: "xoxb-" + "-".join(str(r.randint(10**10, 10**11)) for _ in range(2)) + "-" + part(18),
        lambda: "".join(r.choice("0123456789abcdef") for _ in range(40)),
    ))()  # fmt: skip


_FORMS = {
    "host": (
        "Nov 23 03:59:16 {} kernel: [   12.345678] usb 1-1: new high-speed USB device",
        "[   12.400000] systemd[1]: Set hostname to <{}>.",
        "[   12.500000] nfs: server {} not responding, still trying",
        "2026-11-23T03:59:16.123456+00:00 {} sshd[812]: Server listening on 0.0.0.0 port 22.",
        "[    0.000000] Command line: ro quiet ip=dhcp hostname={} crashkernel=auto",
        "[   13.000000] dlm: connecting to host={} nodeid=2",
        "[   13.100000] audit: type=1112 audit(1.2:3): pid=1 uid=0 msg='op=login hostname={} res=success'",
    ),
    "fqdn": (
        "[   14.000000] CIFS: Attempting to mount //{}/share",
        "[   14.100000] rpcbind: connect from {} to getport(nfs)",
        "[   14.200000] curl: GET https://{}/api/v1/health failed",
        "[   14.300000] NFS: state manager lost its lease on {}:/export failed",
        "Nov 23 03:59:16 {} systemd[1]: Started Session 3 of root.",
    ),
    "ipv4": (
        "[   15.000000] IN=eth0 OUT= SRC={} DST=0.0.0.0 LEN=60 PROTO=TCP",
        "[   15.100000] nfs: connecting to {}:2049",
        "[   15.200000] bond0: arp target {} is now up",
        "[   15.300000] TCP: request_sock_TCP: Possible SYN flooding on port 443 from {}.",
        "[   15.400000] sshd[99]: Connection closed by {} port 51234 [preauth]",
        "[   15.500000] eth0: configured as {}/24",
    ),
    "ipv6": (
        "[   16.000000] IPv6: eth0: IPv6 duplicate address {} detected!",
        "[   16.100000] IN=eth0 SRC={} DST=::1",
        "[   16.200000] sshd[99]: Accepted publickey from {} port 22",
        "[   16.300000] wg0: peer endpoint [{}]:51820",
    ),
    "mac": (
        "[   17.000000] e1000e 0000:00:19.0 eth0: (PCI Express:2.5GT/s) {}",
        "[   17.100000] wlan0: authenticate with {}",
        "[   17.200000] bond0: Enslaving eth1, hw addr {} as backup",
        "[   17.300000] IN=br0 MAC={} SRC=0.0.0.0",
    ),
    "mail": (
        "[   18.000000] cron: mail sent to {}",
        "[   18.100000] postfix/smtp[4]: to=<{}>, relay=none, status=deferred",
        "[   18.200000] Please contact {} for support.",
    ),
    "user": (
        "[   19.000000] sshd[99]: Accepted password for {} from 127.0.0.1 port 2222 ssh2",
        "[   19.100000] su[5]: pam_unix(su:session): session opened for user {} by (uid=0)",
        "[   19.200000] audit: type=1105 msg='op=PAM:session_open acct=\"{}\" res=success'",
        "[   19.300000] bash: /home/{}/run.sh: not found",
        "[   19.400000] systemd-logind[7]: New session 12 of user {}.",
        "[   19.500000] sudo: user={} : command not allowed",
        "[   19.600000] CRON[123]: ({}) CMD (run-parts)",
        "[   19.700000] uid=1001({}) gid=100(users)",
        "[   19.800000] sshd[9]: Failed password for invalid user {} from 127.0.0.1",
    ),
    "path": (
        "[   20.000000] EXT4-fs (sdb1): mounted {} with ordered data mode",
        "[   20.100000] oom: task in {} killed",
        "[   20.200000] mount: {}: can't read superblock",
        "[   20.300000] exec of {}.sh failed",
        "[   20.400000] app[5]: wrote core to '{}/core.123'",
    ),
    "serial": (
        "[   21.000000] usb 1-1: SerialNumber: {}",
        "[   21.100000] DMI: System Serial Number: {}",
        "[   21.200000] ipmi: Service Tag: {}",
        "[   21.300000] nvme nvme0: model X, serial={}",
        "[   21.400000] megaraid_sas: S/N: {}",
        "[   21.500000] smartd: Device: /dev/sda, S/N:{}, WWN:none",
    ),
    "uuid": (
        "[    0.000000] Kernel command line: root=UUID={} ro",
        "[   22.000000] DMI: UUID {}",
        "[   22.100000] XFS (sda1): Mounting V5 Filesystem {}",
    ),
    "password": (
        "[   23.000000] Command line: ro password={} quiet",
        "[   23.100000] app: login failed: user=root passwd={}",
        "[   23.200000] app: db_password: {}",
        "[   23.300000] mount: cifs option username=root,password={}",
        "[   23.400000] app: connecting to mysql://root:{}@127.0.0.1:3306/x",
    ),
    "token": (
        "[   24.000000] agent: Authorization: Bearer {}",
        "[   24.100000] agent: api_key={} rejected",
        "[   24.200000] agent: token {} expired",
        "[   24.300000] env: SECRET_TOKEN={}",
    ),
}
