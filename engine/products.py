"""Products: which vendor's kernel this is, of which stream, and how that vendor's versions and commands look.

The table itself is kb/products.yaml; this module only applies it. Text of the input is capped before it meets
a pattern, and no command is ever built from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from kbmatch.engine.incident import Kernel
from kbmatch.engine.values import dataclass, field, replace
from kbmatch.engine.versions import upstream
from kbmatch.engine.versions.compare import is_valid, strip_suffixes

UPSTREAM = "linux"
"""The id of the upstream product: kernel.org releases, rc, linux-next and git trees."""

LINUX_STABLE = "linux-stable"

FIELDS: tuple[str, ...] = ("release", "build", "package_version")
"""What a pattern may look at; `build` is the version text ("#1 SMP ...") and the banner, in two lines."""

GROUPS: tuple[str, ...] = ("package_version", "abi", "upload", "base", "rc", "stream", "flavour")
"""Named groups that a reading pattern may have. `abi` and `upload` join to a package version ("5.15.0-91" and
"101"), `base` and `rc` to the upstream base, `stream` and `flavour` to a stream ("5.15" and "aws")."""

_LITERAL = re.compile(r"\^((?:[\w -]|\\[.+-])+)(?![\w -]|\\[.+-]|[?*{+])")
"""What stands between "^" and the first special character, without a last one that may be absent."""

_TOKEN = re.compile(r"\\.|\[\^?\]?(?:[^\]\\]|\\.)*\]|[()|]", re.DOTALL)
"""An escaped character, a class in brackets, a parenthesis, an alternative."""

_LIMITS = {"release": 128, "build": 1024, "package_version": 128}


@dataclass(frozen=True, slots=True)
class Pattern:
    """Regular expressions on fields of the kernel; all must be found. Keys are of `FIELDS`.

    They are compiled when first used, since a run needs a few of some hundred.
    """

    expressions: tuple[tuple[str, str], ...]

    def match(self, texts: Mapping[str, str]) -> dict[str, str] | None:
        """Return the named groups that took part, None if one expression is not found."""
        groups: dict[str, str] = {}
        for name, expression in self.expressions:
            text = texts.get(name, "")
            found = None if _hopeless(expression, text) else re.compile(expression, re.ASCII).search(text)
            if found is None:
                return None
            groups.update({k: v for k, v in found.groupdict().items() if v is not None})
        return groups


def _hopeless(expression: str, text: str) -> bool:
    """Whether `text` lacks the plain characters that `expression` wants at its start: spares compiling most of them."""
    found = _LITERAL.match(expression)
    return found is not None and not text.startswith(found[1].replace("\\", "")) and not _has_branches(expression)


def _has_branches(expression: str) -> bool:
    """Whether a "|" stands outside all parentheses."""
    depth = 0
    for token in _TOKEN.findall(expression):
        depth += (token == "(") - (token == ")")
        if token == "|" and depth == 0:
            return True
    return False


@dataclass(frozen=True, slots=True)
class Stream:
    """One line of a product: a minor release, an update, a series."""

    id: str
    name: str
    patterns: tuple[Pattern, ...] = ()


@dataclass(frozen=True, slots=True)
class Commands:
    """Commands as argument lists with the placeholders {package} and {version}.

    `upgrade` installs one version, `latest` the newest there is, `changelog` shows what the vendor changed.
    """

    upgrade: tuple[str, ...] | None = None
    latest: tuple[str, ...] | None = None
    changelog: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """A vendor's kernel.

    `scheme` is that of its package versions. `tracks` is "linux-stable" where the kernel carries the true
    stable number, else None. `family` is the product whose versions it shares (AlmaLinux 8 those of RHEL 8).
    `base`: the upstream version that a line of its own was cut from and whose number it keeps. `streams` are
    its lines; where they are too many to list (Fedora's releases), `stream_form` is what their ids look like.
    `sequential`: they follow each other on one line, so that a range without a stream makes sense. `rolling`:
    a fix in a newer upstream series reaches its users. `backports`: it may hold what came into upstream later, so
    that a number before the introduction proves nothing. `hidden_rebuild`: the release lacks the package's last
    number (SUSE). `dists` are the dist tags that its packages may have.
    """

    id: str
    name: str
    vendor: str
    scheme: str
    tracks: str | None = None
    family: str | None = None
    base: str | None = None
    recognise: tuple[Pattern, ...] = ()
    read: tuple[Pattern, ...] = ()
    streams: tuple[Stream, ...] = ()
    stream_form: str | None = None
    sequential: bool = False
    rolling: bool = False
    backports: bool = False
    hidden_rebuild: bool = False
    package: str | None = None
    dists: tuple[str, ...] = ()
    commands: Commands = field(default_factory=Commands)
    reboot: str | None = None
    livepatch: str | None = None

    @property
    def tracks_stable(self) -> bool:
        """Whether upstream's ranges hold for it, by its upstream base."""
        return self.id == UPSTREAM or self.tracks == LINUX_STABLE

    @property
    def has_several_streams(self) -> bool:
        """Whether a range must say which line it is about."""
        return self.stream_form is not None or len(self.streams) > 1

    def knows_stream(self, stream_id: str) -> bool:
        """Whether the product has a stream of that id."""
        if any(s.id == stream_id for s in self.streams):
            return True
        return self.stream_form is not None and re.fullmatch(self.stream_form, stream_id[:40]) is not None

    def stream_of(self, kernel: Kernel) -> str | None:
        """Return the id of the first stream whose patterns fit the kernel, None if none does."""
        texts = texts_of(kernel)
        return next((s.id for s in self.streams if any(p.match(texts) is not None for p in s.patterns)), None)

    def running_version(self, kernel: Kernel) -> str | None:
        """Return the kernel's version in this product's scheme, suffixes stripped; None if not known."""
        if self.scheme == "rpm":
            text = strip_suffixes("rpm", kernel.release or "")
        elif self.scheme == "dpkg":
            text = strip_suffixes("dpkg", kernel.package_version or "")
        else:
            text = kernel.release or ""
            if not upstream.is_valid(text):
                text = kernel.upstream_base or ""
        return text if is_valid(self.scheme, text) else None

    def upgrade_command(
        self, version: str | None, kernel: Kernel | None = None, *, by_upstream: bool = False
    ) -> str | None:
        """Return the shell command that installs `version` (from a rule) or later, None without a template.

        The newest kernel is asked for where the version is unknown, is an upstream number (`by_upstream`), or
        has no dist tag and the table cannot tell which. Of `kernel`, only a dist tag that stands in the table
        is used.
        """
        name = None if version is None or by_upstream else self._installable(version, kernel)
        template = self.commands.upgrade if name is not None else self.commands.latest
        return None if template is None else _fill(template, self.package or "", name or "")

    def changelog_command(self) -> str | None:
        """Return the shell command that shows the vendor's changelog, None if the product has none."""
        template = self.commands.changelog
        return None if template is None else _fill(template, self.package or "", "")

    def _installable(self, version: str, kernel: Kernel | None) -> str | None:
        if not is_valid(self.scheme, version) or self.commands.upgrade is None:
            return None
        if self.scheme != "rpm" or strip_suffixes("rpm", version) != version:
            return version
        release = kernel.release if kernel is not None else None
        running = [d for d in self.dists if release and re.search(rf"\.{re.escape(d)}(?:\.|\Z)", release)]
        for dist in (running, list(self.dists)):
            if len(dist) == 1:
                return f"{version}.{dist[0]}"
        return None if self.dists else version


class Products:
    """The product table: an immutable collection in order of recognition."""

    __slots__ = ("_by_id", "_order")

    def __init__(self, products: Iterable[Product]) -> None:
        self._order = tuple(products)
        self._by_id = MappingProxyType({p.id: p for p in self._order})

    def __iter__(self) -> Iterator[Product]:
        return iter(self._order)

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, product_id: object) -> bool:
        return product_id in self._by_id

    def get(self, product_id: str | None) -> Product | None:
        """Return the product of that id, None if the table has none such."""
        return None if product_id is None else self._by_id.get(product_id)

    def related(self, product_id: str) -> tuple[str, ...]:
        """Return the ids whose ranges hold for a product: its own first, then its family's and siblings'."""
        product = self.get(product_id)
        if product is None:
            return (product_id,)
        root = product.family or product.id
        others = (p.id for p in self._order if (p.family or p.id) == root and p.id not in (product_id, root))
        return (product_id, *(() if root == product_id else (root,)), *others)

    def identify(self, kernel: Kernel) -> Kernel:
        """Return the kernel with product, stream, package_version and upstream_base filled in where known.

        What is filled in already stays. A release of an unknown vendor leaves `product` None.
        """
        texts = texts_of(kernel)
        product = self.get(kernel.product)
        if kernel.product is None:
            product = next((p for p in self._order if any(r.match(texts) is not None for r in p.recognise)), None)
        if product is None:
            return kernel
        groups: dict[str, str] = {}
        for pattern in product.read:
            for name, value in (pattern.match(texts) or {}).items():
                groups.setdefault(name, value)
        package_version = kernel.package_version or groups.get("package_version")
        if package_version is None and "abi" in groups and "upload" in groups:
            package_version = f"{groups['abi']}.{groups['upload']}"
        filled = replace(
            kernel,
            product=product.id,
            package_version=package_version,
            upstream_base=kernel.upstream_base or _upstream_base(product, kernel, groups),
        )
        stream = kernel.stream or product.stream_of(filled)
        if stream is None and "stream" in groups:
            stream = "-".join(groups[name] for name in ("stream", "flavour") if name in groups)
            stream = stream if product.knows_stream(stream) else None
        return replace(filled, stream=stream)


def texts_of(kernel: Kernel) -> dict[str, str]:
    """Return the texts that patterns look at, each cut to a bounded length."""
    texts = {
        "release": kernel.release or "",
        "build": "\n".join(t[:512] for t in (kernel.version, kernel.banner) if t),
        "package_version": kernel.package_version or "",
    }
    return {name: text[: _LIMITS[name]] for name, text in texts.items()}


def _upstream_base(product: Product, kernel: Kernel, groups: Mapping[str, str]) -> str | None:
    if "base" in groups:
        text = groups["base"] + (f"-rc{groups['rc']}" if "rc" in groups else "")
        parsed = upstream.parse(text)
        return parsed.base if parsed else None
    if product.id == UPSTREAM:
        parsed = upstream.parse(kernel.release or "")
        return parsed.base if parsed else None
    return None


def _fill(template: tuple[str, ...], package: str, version: str) -> str:
    # replace(), not format(): a template is data, and format() would reach into attributes.
    import shlex

    return shlex.join(a.replace("{package}", package).replace("{version}", version) for a in template)
