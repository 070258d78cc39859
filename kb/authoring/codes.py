"""The codes of everything that the linter and the loaders report: permanent names, each with a hint and a page.

A code never changes its meaning and is never used again for another one. The pages under docs/lint/ are written from
this list (`kbmatch rule schema --write`), and a test compares it with the codes that the source uses.
"""

from __future__ import annotations

from kbmatch.engine.values import dataclass

ERROR, WARNING = "error", "warning"
PAGES = "docs/lint"


@dataclass(frozen=True, slots=True)
class Code:
    """One code: `hint` says in one line what to do, `why` what goes wrong otherwise; `bad` and `good` are examples."""

    name: str
    level: str
    title: str
    hint: str
    why: str
    bad: str = ""
    good: str = ""

    @property
    def page(self) -> str:
        """The documentation page, as a path in the repository."""
        return f"{PAGES}/{self.name}.md"


_LIST = (
    # files and YAML
    Code("unreadable", ERROR, "the file cannot be read", "Check the path and its permissions.",
         "Nothing can be said of a file that cannot be opened."),
    Code("no-folder", ERROR, "the folder does not exist", "Name a folder that holds rule files.",
         "A mistyped folder would silently mean: no rules."),
    Code("too-large", ERROR, "the file or folder is too large", "Split it: one file holds one rule.",
         "Rules may come from elsewhere; limits keep a broken or hostile one from filling the memory."),
    Code("encoding", ERROR, "the file is not UTF-8", "Save it as UTF-8.", "Knowledge files are UTF-8, so that every "
         "editor and every machine reads the same text."),
    Code("yaml", ERROR, "the file is not YAML", "Look at the line named: a missing quote, bracket or blank.",
         "The YAML reader stopped here; what follows is not known.", 'title: a: b', 'title: "a: b"'),
    Code("empty", ERROR, "the file holds nothing", "Write a rule into it, or remove it.",
         "A file without a document is usually a save that went wrong."),
    Code("yaml-anchor", ERROR, "a YAML anchor", "Write the value out where it is needed.",
         "A reader should see what a rule says without following references.", "symbol: &where foo", "symbol: foo"),
    Code("yaml-alias", ERROR, "a YAML alias", "Write the value out where it is needed.",
         "Aliases let a small file grow without bound and hide what a rule says.", "symbol: *where", "symbol: foo"),
    Code("yaml-tag", ERROR, "a YAML tag", "Remove the tag; quote the value if it must stay text.",
         "Tags make other readers build objects; knowledge is data only.", "symbol: !!str foo", 'symbol: "foo"'),
    Code("yaml-key", ERROR, "a key that is no plain word", "Use one plain word as the key.",
         "Keys are names out of a closed list."),
    Code("duplicate-key", ERROR, "the same key twice", "Merge the two, or remove one.",
         "Most YAML readers keep the last one and drop the first without a word.",
         "severity: low\nseverity: high", "severity: high"),
    Code("too-deep", ERROR, "nested too deep", "Flatten the condition: all within all is one all.",
         "Nobody can follow such a tree, and readers need a bound."),
    # compiled files
    Code("not-compiled", ERROR, "no compiled knowledge, or of another format",
         "Name a folder of rules, or a file that `kbmatch kb build -o` of this version wrote.",
         "A file that came from elsewhere is used only if it is exactly what kbmatch writes: a cut copy or another "
         "database would silently mean: no rules."),
    Code("damaged", ERROR, "compiled knowledge that cannot be read to its end",
         "Build it again: `kbmatch kb build`, with `-o FILE` for a file that was carried here.",
         "A disk error or an interrupted copy; `kbmatch kb verify` tells more."),
    # shape
    Code("not-a-rule", ERROR, "the file is no rule", "A rule file holds one mapping that begins with format: 1.",
         "Every YAML file below a rules folder is taken for a rule, apart from tests and the folders probes, layouts "
         "and schema."),
    Code("not-a-test", ERROR, "the file is no rule test", "A test file holds format, rule and cases.",
         "Files that end in .test.yaml are the tests beside the rules."),
    Code("not-a-probe", ERROR, "the file is no probe", "A probe file holds one mapping that begins with format: 1.",
         "Every YAML file in the folder probes is taken for a probe."),
    Code("not-a-layout", ERROR, "the file is no layout", "A layout file holds one mapping that begins with format: 1.",
         "Every YAML file in the folder layouts is taken for a layout."),
    Code("not-mined", ERROR, "the file holds no mined rules", "Mine it again: kbmatch kb mine.",
         "Files below kb/mined are written by a program, all but overrides.yaml."),
    Code("not-advisories", ERROR, "the file holds no advisories", "Import it again.",
         "Files of advisories are written by a program."),
    Code("unknown-rule", ERROR, "an override of a rule that does not exist", "Drop the override.",
         "The rule it was made for is no longer mined."),
    Code("not-a-site", ERROR, "the file is no site file", "A site file holds format, disable and exceptions.",
         "The file named by --site says which rules this site does not want, and why."),
    Code("format", ERROR, "a format that this kbmatch does not read", "Write format: 1, or use a newer kbmatch.",
         "The number lets old programs refuse what they would misread.", "format: 2", "format: 1"),
    Code("unknown-key", ERROR, "a key that does not exist", "Check the spelling; the message names the nearest key.",
         "A mistyped key would silently not take part.", "severty: high", "severity: high"),
    Code("missing-key", ERROR, "a required key is missing", "Add the keys named.",
         "A report built on the rule would lack something that its readers need."),
    Code("bad-value", ERROR, "a value that the key cannot have", "Use one of the values named in the message.",
         "Values out of a closed list are checked so that a typing error cannot silence a rule.",
         "kind: null-dereference", "kind: null-deref"),
    Code("unquoted", ERROR, "a text that YAML reads as a number", "Put it in double quotes.",
         "YAML turns 4.10 into 4.1, and a commit such as 0123456701234567 into an octal number.",
         "fixed: 4.10", 'fixed: "4.10"'),
    Code("bad-condition", ERROR, "a condition of the wrong shape",
         "A condition is one key: a fact, or all, any, not, at-least, any-task.",
         "No combinator is implied: two facts side by side could mean and as well as or.",
         "- {symbol: foo, kind: bug}", "- all: [{symbol: foo}, {kind: bug}]"),
    Code("bad-operator", ERROR, "an operator that the fact does not take", "See the reference of facts for what fits.",
         "Numbers are compared with lt, le, gt, ge, mask; texts with matches, contains, prefix; frames with "
         "in-order and "
         "adjacent.", "symbol: {lt: 3}", "address: {lt: 3}"),
    Code("unknown-fact", ERROR, "a fact that does not exist",
         "Check the spelling; docs/reference/facts.md lists all facts.",
         "A mistyped fact would be unknown for ever, and the rule would never speak.", "symbl: foo", "symbol: foo"),
    Code("unknown-field", ERROR, "the probe has no such field",
         "Check the spelling; docs/reference/probes.md lists the fields of every probe.",
         "A mistyped field would be unknown for ever, and memory could never confirm the rule.",
         "any-record: {rsp-con: 3}", "any-record: {rsp-cons: 3}"),
    Code("unknown-probe", ERROR, "there is no such probe", "docs/reference/probes.md lists the probes.",
         "A state condition on a probe that does not exist can never be true.",
         "probe: xen-netfront.rx-ring", "probe: xen-netfront.rx-rings"),
    Code("bad-expression", ERROR, "a C expression that a probe cannot use",
         "Use member access, index, arithmetic and comparison; no calls, no assignment.",
         "Probes only read; what could change or run something is refused.", 'a: "f(q)"', 'a: "q->rx.rsp_cons"'),
    Code("bad-regex", ERROR, "a regular expression that may take for ever",
         "At most two unbounded repeats, none within another, no back references, no look-around.",
         "Python's matcher backtracks: (a+)+b on a long line of a's does not end. Rules come from elsewhere, and a log "
         "may be hostile.", "message: {matches: '(a+)+b'}", "message: {matches: 'a+b'}"),
    Code("bad-code", ERROR, "a pattern of code bytes that cannot be used",
         "Write hex bytes, ?? for any byte, and <8b> around the one that faulted.",
         "The pattern is compared with the oops's Code: line, byte by byte.",
         'code: "8b 7b 2c"', 'code: "0f 87 ?? ?? ?? ?? <8b> 7b 2c"'),
    Code("unbound-register", ERROR, "a register fact that is bound to no build",
         "Put build-id, or code with 24 or more known bytes, beside it under one all.",
         "Which register holds what is the compiler's choice: it differs from build to build.",
         "register-rbx: 0x0", "all: [{build-id: ...}, {register-rbx: 0x0}]"),
    Code("unbound", ERROR, "a layout or register record that is bound to no kernel",
         "Say for which kernels it is: releases, build-ids, build-id or code.",
         "Offsets and registers of one build are wrong in the next."),
    # names
    Code("bad-id", ERROR, "an id of the wrong form", "Use lower-case words and hyphens.",
         "Ids stand in reports, file names and tickets, and never change.", "id: Some_Rule", "id: some-rule"),
    Code("id-path", ERROR, "the id is not the file's name", "Rename the file, or correct the id.",
         "An id leads to its file without a search, and the test beside it is found by name.",
         "id: other-rule        # in some-rule.yaml", "id: some-rule"),
    Code("duplicate-id", ERROR, "two rules with one id", "Give one of them another id.",
         "An id is permanent and means one issue."),
    Code("bad-date", ERROR, "a date that is none", 'Write the day as "2026-11-22", in quotes.',
         "Reports sort and filter by the day.", 'created: "2026-13-01"', 'created: "2026-12-01"'),
    # versions
    Code("bad-version", ERROR, "no version of the product's scheme",
         "Write the version as the vendor does, without flavour and architecture.",
         "A bound that cannot be compared makes the whole line unknown.",
         'fixed: "4.14.35 1902"', 'fixed: "4.14.35-1902.7.0"'),
    Code("range-order", ERROR, "fixed is not after introduced", "Swap the two, or correct one of them.",
         "Ranges are half-open: introduced is the first affected version, fixed the first that is mended. An "
         "empty range "
         "affects nobody.", '{introduced: "6.2", fixed: "6.1"}', '{introduced: "6.1", fixed: "6.2"}'),
    Code("unknown-product", ERROR, "there is no such product", "kb/products.yaml lists the products.",
         "Versions of a product that is not declared can never be compared.", "product: uek55", "product: uek5"),
    Code("unknown-stream", ERROR, "the product has no such stream", "The message lists the product's streams.",
         "A range of a stream that does not exist fits no kernel.", 'stream: "1999"', 'stream: "1902"'),
    Code("missing-stream", ERROR, "the range does not say which stream it is of",
         "Add stream: one of those in the message.",
         "A product with several lines fixes a bug in each of them under another number.",
         '{introduced: "0", fixed: "4.14.35-1902.7.0"}',
         '{stream: "1902", introduced: "0", fixed: "4.14.35-1902.7.0"}'),
    Code("missing-branch", ERROR, "the range does not say which stable branch it is of", "Add branch: as the "
    "message says.",
         "A point release is the fix of its own stable branch, not of mainline.",
         '{introduced: "0", fixed: "6.1.20"}', '{branch: "6.1", introduced: "0", fixed: "6.1.20"}'),
    Code("bad-branch", ERROR, "branch or stream does not fit the range",
         'Upstream ranges have branch: "6.1", those of vendors have stream.',
         "A bound of another branch says nothing about this one.",
         '{branch: "6.1", introduced: "0", fixed: "6.6.3"}', '{branch: "6.6", introduced: "0", fixed: "6.6.3"}'),
    Code("branch-twice", ERROR, "two ranges of one line overlap", "Merge the two ranges.",
         "Two ranges of one branch or stream that hold the same version contradict each other on when it was fixed.",
         '- {branch: "6.1", introduced: "0", fixed: "6.1.3"}\n- {branch: "6.1", introduced: "0", fixed: "6.1.9"}',
         '- {branch: "6.1", introduced: "0", fixed: "6.1.9"}'),
    Code("product-twice", ERROR, "one product listed twice", "Put all ranges of a product under one entry.",
         "A reader who finds the first entry will not look for another."),
    Code("boundary", ERROR, "a fixed version is not graded as it says",
         "Look at the other ranges of this line: one of them holds the version too.",
         "For each `fixed` kbmatch grades a kernel just before it (must be affected) and the fixed one (must not be)."),
    # sources
    Code("missing-source", ERROR, "no source for what the rule claims",
         "Say where the ranges are from (source: an advisory, a changelog, a commit).",
         "A reader at three in the morning must be able to check a version before a reboot is ordered.",
         "- product: uek5\n  ranges: [...]", "- product: uek5\n  ranges: [...]\n  source: ELSA-2019-4643"),
    Code("bad-commit", ERROR, "no commit id", "Write 12 to 40 lower-case hex digits, in quotes.",
         "Shorter ids become ambiguous as the history grows.", 'commit: "a7611"', 'commit: "a761129e3625"'),
    Code("commit-twice", ERROR, "one commit listed twice", "Remove one of them.",
         "The second was probably meant to be another commit."),
    Code("bad-reference", ERROR, "a reference that is no web address", "Write the whole address, with https://.",
         "References are printed for readers to open.", "- git.kernel.org", "- "
         "https://git.kernel.org/linus/a761129e3625"),
    Code("bad-alias", ERROR, "an alias of the wrong form", "Write CVE ids as CVE-2022-48969.",
         "Aliases are compared with those of advisories and trackers.", "- cve-2022-48969", "- CVE-2022-48969"),
    Code("unfilled", ERROR, "a field that `rule new` left for you", "Replace the text that begins with TODO.",
         "What only the author knows cannot be guessed.", 'title: "TODO: ..."', "title: driver frees the ring twice"),
    # selectivity
    Code("not-selective", ERROR, "the signature names no function",
         "Add the function that crashed: symbol, culprit or frame; or what the kernel panicked for: panic.",
         "Candidates are looked up by function, by the first words of a panic, by the culprit's module, and by the "
         "kinds that tell what happened by themselves (mce, oom, sysrq). A rule that can be true without any of these "
         "would have to be tried on every crash, and would speak on most.", "signature: {kind: null-deref}",
         "signature: {all: [{kind: null-deref}, {symbol: xennet_poll}]}"),
    Code("generic-only", ERROR, "the signature names helper functions only, or no function",
         "Add the function that called the helper: culprit or frame.",
         "memcpy, _raw_spin_lock or net_rx_action stand in the traces of thousands of different bugs "
         "(kb/frames.yaml lists such helpers), and a module has many bugs. Rules of class not-a-kernel-bug may do with "
         "a module or a helper: what blames them is not a bug of one function.",
         "symbol: memcpy", "all: [{symbol: memcpy}, {culprit: foo_rx}]"),
    Code("noisy", ERROR, "the rule speaks on an unrelated crash",
         "Add the condition that tells your bug from the crash named.",
         "Every rule is run over a corpus of crashes in drivers that do not exist; it must stay silent on all."),
    # logic
    Code("single-child", WARNING, "a combinator with one child", "Write the child alone.",
         "An all or any of one thing is probably missing its second.", "all: [{symbol: foo}]", "symbol: foo"),
    Code("bad-count", WARNING, "at-least that is an any or an all", "Write any for a count of 1, all for all of them.",
         "Readers look for a subtlety that is not there.", "at-least: {count: 1, of: [...]}", "any: [...]"),
    Code("always-true", ERROR, "a condition that is always true", "Remove it, or correct its value.",
         "It says nothing, so the author meant something else.", "pid: {ge: 0}", "pid: {ge: 1}"),
    Code("always-false", ERROR, "a condition that can never be true", "Correct its value.",
         "The rule could never speak.", "address: {lt: 0}", "address: {lt: 0x1000}"),
    Code("contradiction", ERROR, "conditions that cannot be true together",
         "Use any, or one list, where one of several values is meant.",
         "A fact with one value cannot have two; the rule could never speak.",
         "all: [{symbol: foo}, {symbol: bar}]", "symbol: [foo, bar]"),
    Code("lone-not", ERROR, "`not` without anything positive beside it", "Say what the crash is, then what it is not.",
         "A `not` alone, or as one way of an any, is true of nearly every crash.",
         "any: [{symbol: foo}, {not: {kind: bug}}]", "all: [{symbol: foo}, {not: {kind: bug}}]"),
    Code("double-not", WARNING, "not within not", "Remove both.", "Two of them say what none would.",
         "not: {not: {kind: bug}}", "kind: bug"),
    Code("duplicate-condition", ERROR, "the same condition twice", "Remove one, or correct it.",
         "The second was probably meant to be another condition.", "all: [{symbol: foo}, {symbol: foo}]",
         "symbol: foo"),
    # names in signatures
    Code("build-offset", ERROR, "an offset of one build in the signature",
         "Remove it; an offset may stand in a case of the rule's test.",
         "foo+0x2bb/0xb30 is the place in one compiled kernel. Every other build of the same source has another.",
         "offset: 0x2bb", "symbol: foo"),
    Code("boot-address", ERROR, "a kernel address of one boot", "Remove it, or compare with lt, ge or mask.",
         "Where the kernel and its heap lie differs from boot to boot.", "address: 0xffff888012345678",
         "address: {ge: 0xffff800000000000}"),
    Code("decorated-symbol", ERROR, "a function name with the compiler's decoration",
         "Write the name as in the source, as the message says.",
         "foo.isra.0, foo.cold or __pfx_foo are one compiler's names; kbmatch strips them from what it reads, so "
         "such a name "
         "never fits.", "symbol: foo.isra.0", "symbol: foo"),
    Code("module-beside-symbol", WARNING, "the module is asked for beside its function",
         "Leave the module out, unless another module has a function of this name.",
         "A kernel that has the driver built in prints no module, and would be excluded.",
         "all: [{symbol: xennet_poll}, {module: xen_netfront}]", "symbol: xennet_poll"),
    # other rules
    Code("unknown-related", ERROR, "a related rule that does not exist", "Check the id; `kbmatch rule list` shows all.",
         "Siblings are shown beside each other, with what tells them apart."),
    Code("overlap", ERROR, "two rules fit the same crash and do not name each other",
         "Add related: to one of them, and the condition that tells them apart.",
         "Rules that end in the same place are a differential diagnosis; unrelated they just contradict each other."),
    # tests
    Code("no-test", ERROR, "no test beside the rule", "Write <id>.test.yaml; `kbmatch rule new` drafts one.",
         "A rule nobody has tried is a guess."),
    Code("test-rule", ERROR, "the test names another rule", "rule: must be the id of the rule beside it.",
         "The cases would be run against nothing."),
    Code("no-positive", ERROR, "no case that the rule fits", "Add a case with the crash that the rule is for.",
         "A rule that fits none of its cases may fit nothing."),
    Code("no-negative", ERROR, "no case that the rule must not fit", "Add a case that expects verdict: none.",
         "Without one, a rule that fits everything passes its tests."),
    Code("test-failed", ERROR, "a case came out otherwise than expected",
         "`kbmatch explain` says why; correct the rule or the case.", "The rule does not do what its author thinks."),
    Code("idle-condition", ERROR, "no case notices the condition",
         "Add a case that only this condition decides, or remove the condition.",
         "Each condition is removed and negated in turn; if no case's verdict changes, it does not matter, or nobody "
         "has "
         "tested that it does."),
    # layout of the file
    Code("not-formatted", WARNING, "not in the common format", "Run kbmatch rule fmt.",
         "One layout makes rules quick to read and their changes quick to review."),
    Code("bad-code", ERROR, "a code pattern that cannot be used", "Give 24 known bytes or more around the fault.",
         "What registers mean holds for one piece of compiled code only."),
    Code("unbound", ERROR, "registers without the code they belong to", "Give code: or build-id:.",
         "What registers mean holds for one piece of compiled code only."),
    # tables
    Code("product-table", ERROR, "a mistake in products.yaml", "See the message.", "The table decides which "
    "versions can be "
         "compared at all."),
    Code("shape", ERROR, "a table of the wrong shape", "See the message.", "kb/frames.yaml lists helper "
    "functions by kind."),
    Code("regex", ERROR, "no regular expression", "See the message.", "The names in kb/frames.yaml are regular "
    "expressions."),
)  # fmt: skip

CODES: dict[str, Code] = {code.name: code for code in _LIST}
"""All codes by name, in the order of the reference."""


def level_of(code: str) -> str:
    """ "error" or "warning"; a code that is not listed is an error."""
    return CODES[code].level if code in CODES else ERROR
