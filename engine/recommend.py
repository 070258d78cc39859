"""What to do about a finding: built from the product table and rule versions only, never from the input's text."""

from __future__ import annotations

from kbmatch.engine.affected import VersionJudgement, VersionStatus
from kbmatch.engine.finding import Recommendation
from kbmatch.engine.incident import Incident
from kbmatch.engine.products import Products
from kbmatch.engine.rule import Rule
from kbmatch.engine.verdict import Judgement, Verdict


def recommend(
    rule: Rule, judgement: Judgement, version: VersionJudgement, incident: Incident, products: Products
) -> Recommendation:
    """The action for one finding, with the commands of the running kernel's product."""
    product = products.get(version.product)
    verdict = judgement.verdict
    changelog = product.changelog_command() if product else None
    look = (changelog,) if changelog else ()
    if judgement.version_conflict or verdict in (
        Verdict.ALREADY_FIXED,
        Verdict.REFUTED,
        Verdict.NOT_AFFECTED,
    ):
        return Recommendation("escalate", version.product)
    if verdict is Verdict.NOT_A_KERNEL_BUG:
        return Recommendation(rule.action or "none", version.product)
    if verdict in (Verdict.CONFIRMED, Verdict.LIKELY):
        if version.status is VersionStatus.AFFECTED and version.fixed is not None and product is not None:
            command = product.upgrade_command(version.fixed, incident.kernel, by_upstream=version.by_upstream)
            return Recommendation("upgrade", product.id, version.fixed, (command,) if command else ())
        return Recommendation("vendor", version.product, commands=look)
    if verdict is Verdict.POSSIBLE:
        return Recommendation("vendor", version.product, commands=look)
    return Recommendation("none", version.product)
