"""Match: the library's one call from an incident and rules to a diagnosis."""

from __future__ import annotations

from typing import Protocol

from kbmatch.engine.culprit import HelperFrames, assign_culprits
from kbmatch.engine.diagnose import RuleSource, diagnose
from kbmatch.engine.finding import Diagnosis
from kbmatch.engine.incident import Incident
from kbmatch.engine.products import Products
from kbmatch.engine.values import replace


class Knowledge(RuleSource, Protocol):
    """Rules with the tables that derive product, stream and culprit; `load_rules` of kbmatch.kb.store makes one."""

    @property
    def products(self) -> Products:
        """The product table."""
        ...

    @property
    def helper_frames(self) -> HelperFrames:
        """The functions that carry no blame."""
        ...


def match(incident: Incident, rules: Knowledge) -> Diagnosis:
    """All findings on all events of an incident, best first, with siblings set beside each other.

    Product, stream and culprits are derived first where the incident does not have them.
    """
    known = replace(
        incident,
        kernel=rules.products.identify(incident.kernel),
        events=assign_culprits(incident.events, rules.helper_frames),
    )
    return diagnose(known, rules, rules.products)
