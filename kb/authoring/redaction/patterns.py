"""What gives secrets away: shapes (an address, a key) and the words before them (user=, serial number:).

All patterns are linear in the line's length: bounded repeats, no nesting. Groups are named after pseudonyms' kinds.
"""

from __future__ import annotations

import re

_END = r"(?![\w-])"
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})"
_GENERIC = (
    "com|net|org|edu|gov|mil|int|info|biz|io|dev|app|cloud|tech|online|site|xyz|local|localdomain|internal|intranet|"
    "private|lan|corp|home|test|example|invalid|onion|arpa|priv|ad|dc|prod|stage|staging|office|company|domain"
)
_COUNTRY = "[a-z]{2}"

KEPT_HOSTS = frozenset(
    {
        "kernel.org", "www.kernel.org", "bugzilla.kernel.org", "docs.kernel.org", "git.kernel.org", "lore.kernel.org",
        "vger.kernel.org", "lists.freedesktop.org", "gitlab.freedesktop.org", "bugs.freedesktop.org",
        "freedesktop.org", "www.freedesktop.org", "bugzilla.redhat.com", "access.redhat.com", "bugs.launchpad.net",
        "bugs.debian.org", "wiki.debian.org", "wiki.ubuntu.com", "help.ubuntu.com", "support.oracle.com",
        "linux.oracle.com", "www.suse.com", "lists.infradead.org", "lists.linux.dev", "lists.xenproject.org", "github.com", "gitlab.com", "goo.gl",
        "dri.freedesktop.org", "lists.linuxfoundation.org", "systemd.io", "www.linux-kvm.org", "x.org",
    }
)  # fmt: skip
"""Public places that kernels print themselves ("see https://..."); they name nobody."""

VENDOR_DOMAINS = re.compile(
    r"(?:^|\.)(?:redhat\.com|fedoraproject\.org|centos\.org|rockylinux\.org|almalinux\.org|oracle\.com|debian\.org|"
    r"ubuntu\.com|canonical\.com|launchpad\.net|suse\.de|suse\.com|opensuse\.org|kernel\.org|archlinux\.org|"
    r"amazon\.com|cloudlinux\.com|euro-linux\.com|openeuler\.org|gentoo\.org)$|^(?:buildd|lcy\d*|lgw\d*|bos\d*)-",
    re.IGNORECASE,
)
"""Where distributions build their kernels. In the banner's builder they tell the product, and are public."""

SYSTEM_USERS = frozenset(
    {
        "root", "daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news", "uucp", "proxy",
        "www-data", "backup", "list", "irc", "gnats", "nobody", "systemd-network", "systemd-resolve",
        "systemd-timesync", "systemd-coredump", "messagebus", "sshd", "ntp", "chrony", "polkitd", "rpc",
        "rpcuser", "dbus", "tss", "adm", "halt", "shutdown", "operator", "ftp", "avahi", "unbound", "kernel",
        "user", "unknown", "uid", "gid", "none", "null", "the", "a", "from", "by", "on", "at", "to", "in",
        "for", "is", "mode", "space", "memory", "process", "pages", "page", "task", "name", "id", "session",
        "slice", "service", "logged", "invalid", "login", "closed", "opened", "namespace", "namespaces",
        "address", "addresses", "data", "code", "stack", "mapping", "fault", "read", "write", "access",
    }
)  # fmt: skip
"""Names that every machine has, and words that follow "user" in the kernel's own sentences."""

COMMON_HOST_WORDS = frozenset(
    {
        "localhost", "localhost4", "localhost6", "localdomain", "kernel", "unknown", "none", "null", "linux",
        "debian", "ubuntu", "fedora", "centos", "rhel", "suse", "xen", "kvm", "qemu", "vm", "host", "guest",
        "server", "node", "domu", "dom0", "not", "is", "the", "a", "on", "in", "name", "bridge", "controller",
        "system", "bus", "driver", "x86", "x86_64", "amd64", "i386", "i686", "aarch64", "arm64", "ppc64le",
        "s390x", "riscv64", "linux-gnu", "adapter", "memory", "lock", "reset", "protected", "state", "byte",
        "cpu", "interface", "responding", "timeout", "error", "mmc", "usb", "pci", "ata", "scsi", "from", "to",
        "for", "at", "by", "and", "or", "with", "has", "was", "0", "1",
    }
)  # fmt: skip
"""Words behind "host" and "node" that are no names, and names that say nothing."""

# --- addresses and keys by shape ---

URL_LOGIN = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]{1,15}://)(?P<user>[^\s:/@]{1,64})(?::(?P<token>[^\s/@]{1,128}))?@"
)
URL = re.compile(r"(?P<before>://)(?P<host>[^\s/:\"'<>@]{1,253})(?P<port>:\d{1,5})?(?P<path>/[^\s\"'<>?#]{0,1000})?")
UNC = re.compile(rf"(?<![\w:/])(?P<before>//|\\\\)(?P<host>{_LABEL}(?:\.{_LABEL}){{0,8}})(?=[/\\])")
MAIL = re.compile(
    r"(?<![\w.+-])(?P<mail>[\w.+%-]{1,64}@[A-Za-z0-9][A-Za-z0-9-]{0,62}(?:\.[A-Za-z0-9-]{1,63}){1,8})(?![\w-])"
)
USER_AT_HOST = re.compile(rf"(?<![\w.+/-])(?P<user>[a-z_][\w.-]{{0,31}})@(?P<host>{_LABEL}){_END}(?!\.\w)")
MAC = re.compile(r"(?<![0-9A-Za-z:-])(?P<mac>[0-9A-Fa-f]{2}(?P<sep>[:-])(?:[0-9A-Fa-f]{2}(?P=sep)){4}[0-9A-Fa-f]{2}"
                 r"(?:(?P=sep)[0-9A-Fa-f]{2}(?P=sep)[0-9A-Fa-f]{2})?)(?![0-9A-Za-z:-])"
                 r"|(?<![\w.])(?P<dotted>[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4})(?![\w.])")  # fmt: skip
# Infiniband GUIDs and hardware addresses of 20 bytes; the kernel prints them in groups of one or two bytes.
LONG_HARDWARE = re.compile(r"(?<![0-9A-Za-z:])(?P<mac>(?:[0-9A-Fa-f]{2}:){7,19}[0-9A-Fa-f]{2})(?![0-9A-Za-z:])")
IPV6 = re.compile(
    r"(?<![\w:.])(?P<ipv6>(?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9A-Fa-f]{0,4}|\d{1,3}(?:\.\d{1,3}){3}))(?![\w:])"
)
IPV4 = re.compile(r"(?<![\w.+])(?P<ipv4>\d{1,3}(?:\.\d{1,3}){3})(?!\.?\w)(?!-\w*[a-zA-Z])")
IPV4_IN_NAME = re.compile(r"(?<![A-Za-z0-9])(?P<head>ip-)(?P<ipv4>\d{1,3}(?:-\d{1,3}){3})(?![0-9])")
UUID = re.compile(r"(?<![0-9A-Za-z])(?P<uuid>[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})(?![0-9A-Za-z])")
STORAGE = re.compile(
    r"(?P<serial>\b(?:iqn\.\d{4}-\d{2}\.[\w.-]{1,200}(?::[\w.:-]{1,200})?|naa\.[0-9A-Fa-f]{16,32}|eui\.[0-9A-Fa-f]{16,32}"
    r"|(?:t10|nqn)\.[\w.:-]{4,220}))"
)
WWN = re.compile(
    r"(?P<before>\b(?:wwn|wwpn|wwnn|nwwn|pwwn|sas[ _-]?addr(?:ess)?|node_name|port_name|fabric_name|portname|nodename|world wide "
    r"(?:port |node )?name|lun id|logical id|disk|guid)[ :=-]{1,4}(?:is )?)(?P<serial>(?:0x)?[0-9A-Fa-f]{16,32})\b",
    re.IGNORECASE,
)

TOKEN_SHAPES = re.compile(
    r"(?<![\w.])(?P<token>"
    r"eyJ[\w-]{6,2000}\.[\w-]{2,4000}(?:\.[\w-]{0,2000})?"  # JSON web token
    r"|(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA|ANVA)[0-9A-Z]{12,20}"  # AWS
    r"|gh[pousr]_[0-9A-Za-z]{16,255}|github_pat_\w{20,255}|glpat-[\w-]{16,64}|glrt-[\w-]{16,64}"
    r"|xox[abeoprs]-[\w-]{8,255}|xapp-[\w-]{8,255}"  # Slack
    r"|[spr]k_(?:live|test)_[0-9A-Za-z]{8,255}|rk_live_[0-9A-Za-z]{8,255}|whsec_[\w]{8,255}"  # Stripe
    r"|AIza[\w-]{20,64}|ya29\.[\w.-]{16,400}|GOCSPX-[\w-]{16,64}"  # Google
    r"|sk-[\w-]{16,255}|hf_[0-9A-Za-z]{16,64}|npm_[0-9A-Za-z]{20,64}|pypi-[\w-]{16,255}|dop_v1_[0-9a-f]{32,80}"
    r"|hv[sbr]\.[\w-]{16,255}|s\.[0-9A-Za-z]{24}|SG\.[\w-]{16,64}\.[\w-]{16,64}|dckr_pat_[\w-]{16,64}"
    r"|ssh-(?:rsa|dss|ed25519) AAAA[\w+/]{16,2000}={0,3}|ecdsa-sha2-nistp\d{3} AAAA[\w+/]{16,2000}={0,3}"
    r"|AAAA[BCE][0-9A-Za-z+/]{24,2000}={0,3}|SHA256:[0-9A-Za-z+/]{40,48}={0,2}"
    r"|\$(?:1|2[aby]|5|6|7|y)\$[\w./$=,-]{8,200}"  # crypt(3)
    r")"
)
_SECRET_WORD = (
    r"(?:pass(?:word|wd|phrase|code)|secret|token|apikey|credentials?|sessionid|secretkey|accesskey|authkey)|"
    r"(?<![A-Za-z])(?:pass|pwd|psk|pre-?shared[ _-]?key|x-api-key|sas|sig|pin|otp|(?:set-)?cookie|community|key|"
    r"activation[ _-]?code|(?:access|auth|api|session|bearer|refresh|csrf|client|security|private|enc(?:ryption)?|shared|"
    r"account|storage|licen[sc]e|product|activation|join|bootstrap|registration|luks|wpa|bind|chap)[ _-]?(?:key|id|psk|pass|pwd))"
)
# The value: quoted, or up to a blank; "key" alone needs "=", for the kernel prints "key ..." in many senses.
TOKEN_AFTER = re.compile(
    rf"(?P<before>(?:{_SECRET_WORD})[\"']?(?: is)?[ ]?[=:][ ]?)"
    r"(?P<quote>[\"']?)(?P<token>(?(quote)[^\s\"',;&<>]{3,400}|[^\s]{3,400}))",
    re.IGNORECASE,
)
AUTHORIZATION = re.compile(
    r"(?P<before>\b(?:bearer|basic|digest|negotiate|token|apikey)[ =:]{1,3})(?P<token>[\w+/=.~-]{8,4000})",
    re.IGNORECASE,
)
PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]{2,40}-----")
PRIVATE_KEY_END = re.compile(r"-----END [A-Z0-9 ]{2,40}-----")
LONG_HEX = re.compile(r"(?<![0-9A-Za-z_./-])(?P<token>[0-9a-fA-F]{32,128})(?![0-9A-Za-z_])")
OPAQUE = re.compile(r"(?<![\w+/=.-])(?P<token>[0-9A-Za-z+/_-]{20,400}={0,2})(?![\w+/.(-])")

SERIAL_AFTER = re.compile(
    r"(?P<before>\b(?:serial(?:[ _-]?(?:number|num|no|nr|id))?|serialnumber|s/n|sn|serno|ser\.? ?no|service[ _-]?tag|"
    r"asset[ _-]?tag|chassis[ _-]?(?:id|serial)|board[ _-]?serial|product[ _-]?serial|system[ _-]?serial|unit[ _-]?serial|"
    r"express service code|part[ _-]?serial|machine[ _-]?id|machineid|boot[ _-]?id|imei|imsi|iccid|wwid|id_serial|"
    r"dmi_serial|host[ _-]?id|hw[ _-]?serial)[\"']?(?: is)?[ ]{0,2}[:=#][ ]{0,3}[\"']?)(?P<serial>[0-9A-Za-z][\w./:-]{2,63})",
    re.IGNORECASE,
)
SERIAL_SPACED = re.compile(
    r"(?P<before>\b(?:serial number|serial no\.?|service tag|asset tag|S/N|serial) )(?P<serial>(?=[\w-]*\d)[0-9A-Z][0-9A-Za-z-]{4,40})\b"
)

# --- people and machines by the words before them ---

USER_AFTER = re.compile(
    r"(?P<before>(?<![A-Za-z])(?:(?:r|s|t|e)?user(?:[ _-]?name)?|login|logname|acct|account|auid_name|remote_user|"
    r"sudo_user|ruser|euser|suser|author|admin|operator|customer|contact|AUID|UID_NAME|OUID|SUID|FSUID|EUID|UID)[\"']?[ ]?[=:][ ]?[\"']?)"
    r"(?P<user>[A-Za-z][\w.$-]{0,31})"
)
USER_SPACED = re.compile(
    r"(?P<before>\b(?:(?:for|of|by|from)(?: invalid| illegal)? user|session \S{1,12} of user|invalid user|new user|user name|"
    r"as user|logged in as|started by|requested by|password for|publickey for|"
    r"keyboard-interactive/pam for|su: \(to [a-z_][\w-]{0,31}\)|sudo:|created by|contact)"
    r"[ ]{1,8}[\"'<]?)(?P<user>(?!(?:invalid|illegal|user) )[a-z_][\w.-]{0,31})(?=[\"'>,;:)\s.]|$)"
)
USER_IN_PARENTHESES = re.compile(
    r"(?P<before>\b(?:uid|auid|euid|gid|user|owner)[ =:]{0,2}\d{1,10} ?\()(?P<user>[A-Za-z_][\w.-]{0,31})\)",
    re.IGNORECASE,
)
USER_ACTS = re.compile(
    r"(?P<before>\b[Uu]ser [\"'<]?)(?P<user>[a-z_][\w.-]{0,31})(?=[\"'>]? (?:logged|login|from|on|has|is|was|authenticated|removed|added|not|"
    r"at|executed|ran|started|requested|connected|disconnected)\b)|\bCRON\[\d+\]: \((?P<cron>[a-z_][\w.-]{0,31})\)"
)
USER_ID_BEHIND = re.compile(r"(?P<before>(?<![\w.]))(?P<user>[a-z_][\w.-]{0,31})(?=\((?:uid|auid)=\d)")
USER_OF_TO = re.compile(r"(?P<before>\bsu: \(to )(?P<user>[a-z_][\w-]{0,31})\)")

HOST_AFTER = re.compile(
    r"(?P<before>(?<![A-Za-z])(?:(?:host(?:[ _-]?name)?|node[ _-]?name|server(?:[ _-]?name)?|fqdn|rhost|raddr|peer|machine[ _-]?name|"
    r"domain[ _-]?name|computer(?:[ _-]?name)?|transport_host|workstation|realm|cluster[ _-]?name|dnsdomain)[\"']?[ ]?[=:](?!:)"
    r"|(?:node|remote|machine|domain|client|gateway|addr|laddr|src|dst|target|initiator|vm|guest|search|cluster|ns|dns|ntp|proxy)=)"
    r"[ ]{0,4}[\"'<]?)(?P<host>[A-Za-z0-9][\w.-]{0,253})",
    re.IGNORECASE,
)
HOST_SPACED = re.compile(
    r"(?P<before>\b(?:hostname (?:set )?to|static hostname|transient hostname|nfs: server|lockd: server|cifs: server|"
    r"(?:connection (?:from|to)|connected (?:from|to)|logged in from|session (?:from|to)) host|cluster node|remote host|"
    r"from host|to host|on host|peer node|hostname|lost contact with|fenc(?:ed|ing)(?: node)?|rebooting node|nfs4? server|"
    r"kdc|nameserver|for host|domain name)[ ]{1,3}[\"'<]?)(?P<host>[A-Za-z0-9][\w.-]{0,253})"
)
HOST_BEFORE_EXPORT = re.compile(rf"(?<![\w./:-])(?P<host>{_LABEL}(?:\.{_LABEL}){{0,8}}):(?=/[\w])")
SERVER_DOWN = re.compile(
    rf"\b(?P<before>[Ss]erver )(?P<host>{_LABEL}(?:\.{_LABEL}){{0,8}})(?= (?:not responding|OK|timed out|is not|has gone|unreachable))"
)
SYSLOG_HOST = re.compile(
    r"^(?P<before>(?:<\d{1,3}>\d? ?)?(?:(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d (?:\d{4} )?\d\d:\d\d:\d\d(?:\.\d+)?"
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z| ?[+-]\d\d:?\d\d)?) )"
    r"(?P<host>[A-Za-z0-9][\w.-]{0,253})(?= [\w/.@()\[\]-]{1,64}(?:\[\d+\])?:| \w[\w.-]* (?:\d+|-) )"
)
JSON_HOST = re.compile(r"(?P<before>\"(?:_HOSTNAME|host(?:name)?|nodename|node)\"\s?:\s?\")(?P<host>[^\"]{1,253})")
EXPORT_HOST = re.compile(r"^(?P<before>_HOSTNAME=)(?P<host>\S{1,253})")
CONSOLE_PROMPT = re.compile(rf"^(?P<before>)(?P<host>{_LABEL}(?:\.{_LABEL}){{0,8}})(?= login: |:~[#$] )")
FQDN = re.compile(
    rf"(?<![\w.@+-])(?P<host>(?:{_LABEL}\.){{1,8}}(?:{_GENERIC})|(?:{_LABEL}\.){{2,8}}(?:{_COUNTRY}))(?![\w(+-])(?!\.\w)",
    re.IGNORECASE,
)
FILE_ENDINGS = frozenset(
    {
        "so", "ko", "sh", "py", "pl", "rs", "cc", "md", "cz", "gz", "bz", "xz", "hs", "js", "ts", "mk", "in",
        "am", "ac", "po", "la", "lo", "rb", "db",
    }
)  # fmt: skip
"""Endings of files that are country codes too."""

BUILDER = re.compile(r"(?P<before>Linux version \S{1,80} \()(?P<user>[^\s@()]{1,64})@(?P<host>[^\s()]{1,253})\)")

# --- paths ---

PATH = re.compile(r"(?<![\w/.~<-])(?P<path>/(?:[\w.@%+~=#-]+/){0,40}[\w.@%+~=#-]+/?)")
WINDOWS_PATH = re.compile(r"(?<![\w\\])(?P<path>(?:[A-Za-z]:|\\\\[\w.-]{1,63})\\[\w.$\\-]{1,200}[\w$])")
HOME = re.compile(r"(?P<before>(?<![\w.])(?:/home/|/Users/|/export/home/|/var/home/|~))(?P<user>[A-Za-z_][\w.-]{0,31})")
VOLUME = re.compile(r"(?P<before>/dev/(?:mapper/|vg_?))(?P<path>[\w.+-]{2,128})(?P<tail>/[\w.+-]{1,128})?")
