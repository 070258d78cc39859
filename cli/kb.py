"""kbmatch kb: keep the knowledge - mine rules from public records, import vendors' advisories, measure how
good it is, compile it and check what was compiled.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

DESCRIPTION = """\
build [FOLDER...]   compile FOLDERs of rules (default: the shipped ones and those of the site file) into the cache, or
                    with -o FILE into one file that can be carried to another machine: there --rules FILE
verify [FILE...]    check compiled files, or all that are in use: whole, up to date, every rule found by the index
mine SOURCE         make rules of the kernel's CVE records: JSON lines (.jsonl, .zst), a vulns checkout
advisories SOURCE   import vendors' fixed versions by CVE id: OSV, CSAF or OVAL, a file, a folder or a URL
evaluate SOURCE     measure the mined rules: own crashes, paraphrases, cross-fire, unrelated crashes
info                version (a day), counts and sources of the knowledge in use
catalogue [FILE]    all of it as one page with a search (catalogue.html), or the curated rules as an index (FILE.md)"""

EPILOG = """\
example: kbmatch kb mine ~/src/vulns
         kbmatch kb build rules -o lab.kbmatch    # there: kbmatch core --rules lab.kbmatch FILE
exit status: 0; 1 if verify found something stale or wrong, or evaluate the knowledge below its bars; 2 if something
cannot be read or built"""

ACTIONS = ("build", "verify", "mine", "advisories", "evaluate", "info", "catalogue")
CROSS_FIRE, PARAPHRASE = 0.01, 0.95
"""Bars of `evaluate`: cross-fire at most, paraphrases found first at least."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("action", choices=ACTIONS)
    parser.add_argument("source", metavar="SOURCE", nargs="*", help="file, folder or (advisories) URL")
    parser.add_argument(
        "-o", "--output", metavar="PATH",
        help="build, catalogue: the file to write; else the folder of the knowledge to write to (the one in use)",
    )  # fmt: skip
    parser.add_argument("--site", metavar="FILE", help="build, verify: the site file that names further folders")
    parser.add_argument("--every", metavar="N", type=int, default=1, help="evaluate: every N-th rule only")
    parser.add_argument("--all-ids", action="store_true", help="advisories: keep CVE ids that no rule names, too")


def run(options: argparse.Namespace) -> int:
    """Run one action."""
    from kbmatch.kb.store.files import SHIPPED

    folder = Path(options.output) if options.output else SHIPPED
    if options.action in ("build", "verify"):
        from kbmatch.cli import kb_compiled

        return kb_compiled.build(options) if options.action == "build" else kb_compiled.verify_files(options)
    if options.action == "info":
        from kbmatch.cli.kb_catalogue import print_info
        from kbmatch.kb.store.knowledge import KnowledgeBase

        return print_info(KnowledgeBase())
    if options.action == "catalogue" and len(options.source) < 2:
        from kbmatch.cli.kb_catalogue import write_catalogue
        from kbmatch.kb.store.knowledge import KnowledgeBase

        return write_catalogue(options.output or next(iter(options.source), "catalogue.html"), KnowledgeBase())
    if len(options.source) != 1:
        print(f"kbmatch: kb {options.action} needs one SOURCE; kbmatch kb --help tells which", file=sys.stderr)
        return 2
    source = options.source[0]
    if options.action == "mine":
        return _mine(Path(source), folder)
    if options.action == "advisories":
        return _advisories(source, folder, options.all_ids)
    return _evaluate(Path(source), max(1, options.every))


def _mine(source: Path, folder: Path) -> int:
    from kbmatch.cli.progress import ProgressBar
    from kbmatch.kb.authoring.mine import mine, write
    from kbmatch.kb.store.frames import load_helper_frames

    with ProgressBar("reading records") as bar:
        mined = mine(source, load_helper_frames(), bar)
    counts = write(mined, folder / "mined")
    print(f"{mined.records} records read, {len(mined.rules)} rules in {len(counts)} files below {folder / 'mined'}")
    for tier, count in mined.tiers().items():
        print(f"  {count:5d}  {tier}")
    print(f"  {mined.joined:5d}  stand in a differential with others; {len(mined.noisy)} are kept as draft")
    print(f"{mined.records - len(mined.rules)} records became no rule:")
    for reason, count in mined.refused:
        print(f"  {count:5d}  {reason}")
    return 0


def _advisories(source: str, folder: Path, every: bool) -> int:
    from kbmatch.cli.progress import ProgressBar
    from kbmatch.engine.document import Problems
    from kbmatch.engine.errors import KnowledgeError
    from kbmatch.kb.authoring.advisories import advisories_text, collect, merged, statements_of
    from kbmatch.kb.authoring.advisories_fetch import fetched
    from kbmatch.kb.store.advisories import read_advisories
    from kbmatch.kb.store.knowledge import KnowledgeBase

    knowledge = KnowledgeBase()
    known = {alias.upper() for rule in knowledge.rules.values() for alias in rule.aliases}
    with ProgressBar("fetching") as bar, fetched(source, bar) as path:
        found = collect(statements_of(path), knowledge.products, lambda cve: every or cve in known)
    target = folder / "advisories"
    target.mkdir(parents=True, exist_ok=True)
    print(f"{found.statements} statements read")
    for reason, count in found.left_out.most_common():
        print(f"  {count:6d}  left out: {reason}")
    for vendor, fixed in found.fixed.items():
        path = target / f"{vendor}.yaml"
        problems = Problems()
        old = read_advisories([path], problems) if path.is_file() else {}
        if problems.diagnostics:
            raise KnowledgeError(problems.diagnostics)
        whole = merged(old, fixed, knowledge.products)
        path.write_text(advisories_text(vendor, whole), "utf-8")
        print(f"{path}: {sum(map(len, whole.values()))} fixed versions for {len(whole)} CVE ids")
    return 0


def _evaluate(source: Path, every: int) -> int:
    from kbmatch.cli.progress import ProgressBar
    from kbmatch.engine.document import Problems
    from kbmatch.kb.authoring.evaluate import evaluate, report_lines, silence
    from kbmatch.kb.authoring.unrelated import unrelated_crashes
    from kbmatch.kb.store.files import SHIPPED, find_files
    from kbmatch.kb.store.knowledge import KnowledgeBase
    from kbmatch.kb.store.mined import read_mined

    knowledge = KnowledgeBase()
    rules = read_mined(find_files(SHIPPED).mined, Problems())
    with ProgressBar("evaluating") as bar:
        found = evaluate(source, rules, knowledge, every=every, progress=bar)
        found.unrelated, offenders = silence(unrelated_crashes(), knowledge)

    def title_of(rule_id: str) -> str:
        rule = knowledge.get(rule_id)
        return rule.title if rule else ""

    print("\n".join(report_lines(found, offenders, title_of)))
    first = found.paraphrased.first / max(1, found.paraphrased.asked)
    good = found.cross_fire < CROSS_FIRE and first >= PARAPHRASE and not found.unrelated.wrong
    print(
        "the bars hold"
        if good
        else f"below the bars: cross-fire < {CROSS_FIRE:.0%}, paraphrases first >= {PARAPHRASE:.0%}, silence"
    )
    return 0 if good else 1
