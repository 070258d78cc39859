"""JSON Schemas (draft-07) of the knowledge files, made from the registries: for completion and hover in editors.

A schema tells less than lint: what needs two values side by side (fixed after introduced, ids that exist elsewhere) is
left to `kbmatch rule lint`.
"""

from __future__ import annotations

import json
from typing import Any

from kbmatch.engine.condition import ORDER_OPERATORS
from kbmatch.engine.face import FAMILY
from kbmatch.engine.facts import FACTS, Fact
from kbmatch.engine.kinds import ACCESSES, CONTEXTS, KINDS
from kbmatch.engine.rule import ACTIONS, CLASSES, SEVERITIES, STATUSES
from kbmatch.kb.authoring import case_files
from kbmatch.kb.store import probes
from kbmatch.kb.store.knowledge import KnowledgeBase

Schema = dict[str, Any]
DRAFT = "http://json-schema.org/draft-07/schema#"
U64 = (1 << 64) - 1
_NAME = {
    "type": "string", "minLength": 1,
    "not": {"pattern": r"\.(isra|constprop|part|cold|llvm|lto_priv|cfi)\b|^__pfx_|\+0x|[\s\[\]()]"},
}  # fmt: skip
_ALIASES = ({"pattern": r"^CVE-\d{4}-\d{4,}$"}, {"not": {"pattern": r"^[cC][vV][eE]\b"}})
_FUNCTIONS = ("symbol", "culprit", "frame", "task-frame")
_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "integer", "minimum": 0, "maximum": U64}
_TEXTS: Schema = {"type": "array", "items": {"type": "string"}}
_VERSION: Schema = {"type": "string", "minLength": 1}


def _object(properties: Schema, required: tuple[str, ...] = (), **more: Any) -> Schema:
    return {
        "type": "object", "properties": properties, "required": list(required), "additionalProperties": False, **more,
    }  # fmt: skip


def _said(text: str, schema: Schema) -> Schema:
    return {"description": text, **schema}


def _leaf_definitions() -> Schema:
    """What a leaf may hold, by type; facts refer to these."""
    numbers = {**dict.fromkeys(("lt", "le", "gt", "ge"), _NUMBER)}
    mask = {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}
    pattern = {"type": "string", "minLength": 1, "maxLength": 200}
    texts: Schema = {
        "matches": _said("A regular expression of linear time, found anywhere.", pattern),
        "contains": _said("A part of the text.", pattern), "prefix": _said("How the text begins.", pattern),
    }  # fmt: skip
    order = {"type": "array", "items": _NAME, "minItems": 2, "maxItems": 20}
    ordered = {name: _said("Functions, innermost first.", order) for name in ORDER_OPERATORS}
    return {
        "number": {"anyOf": [_NUMBER, _listed(_NUMBER), _one_of({**numbers, "mask": mask})]},
        "text": {"anyOf": [_TEXT, _listed(_TEXT), _one_of(texts)]},
        "function": {"anyOf": [_NAME, _listed(_NAME), _one_of(texts)]},
        "frame": {"anyOf": [_NAME, _listed(_NAME), _one_of({**texts, **ordered})]},
    }  # fmt: skip


def _fact_value(fact: Fact) -> Schema:
    if fact.closed:
        return _said(_meaning(fact), {"anyOf": [{"enum": list(fact.closed)}, _listed({"enum": list(fact.closed)})]})
    name = "number" if fact.type == "integer" else "text"
    if fact.name in _FUNCTIONS:
        name = "frame" if fact.ordered else "function"
    # in draft-07 what stands beside a $ref does not count: allOf keeps the description
    return _said(_meaning(fact), {"allOf": [{"$ref": f"#/definitions/{name}"}]})


def _meaning(fact: Fact) -> str:
    return fact.meaning + (" One of several values has to fit." if fact.many else "")


def _listed(value: Schema) -> Schema:
    return {"type": "array", "items": value, "minItems": 1}


def _one_of(operators: Schema) -> Schema:
    return _object(operators, minProperties=1, maxProperties=1)


def _condition(reference: str, leaves: Schema, **more: Any) -> Schema:
    child = {"$ref": reference}
    several = {"type": "array", "items": child, "minItems": 1}
    combined = {
        "all": _said("All of these hold.", several),
        "any": _said("One of these holds.", several),
        "not": _said("This does not hold; unknown is not false.", child),
        "at-least": _said(
            "This many of these hold.",
            _object({"count": {"type": "integer", "minimum": 1}, "of": several}, ("count", "of")),
        ),
    }
    return {**_object({**combined, **leaves}, minProperties=1, maxProperties=1), **more}


def _facts(*, signature: bool) -> Schema:
    found: Schema = {}
    for fact in FACTS.values():
        if signature and not fact.in_signature:
            continue
        found[fact.name] = _fact_value(fact)
    return found


def _event_condition(reference: str, *, signature: bool) -> Schema:
    task = _said("One blocked task fulfils all of this; facts task-... are those of that task.", {"$ref": reference})
    numbers = {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 1}}
    similar = _object(
        {
            "kind": {"enum": list(FAMILY)}, "top": _TEXT, "blamed": {**_TEXTS, "minItems": 1}, "frames": _TEXTS,
            "weights": numbers, "anchor": _TEXTS, "at": _TEXT, "magnet": {"type": "boolean"},
            "alone": {"type": "boolean"}, "mentioned": _TEXTS, "access": {"enum": list(ACCESSES)},
            "titled": {"type": "boolean"}, "driver": _TEXTS, "foreign": {"type": "boolean"},
            "symptom": {"type": "boolean"}, "arch": _TEXTS,
        },
        ("kind", "blamed"),
    )  # fmt: skip
    scored = _said("How much the crash resembles one that was reported; for mined rules.", similar)
    return _condition(reference, {"any-task": task, "similar": scored, **_facts(signature=signature)})


def rule_schema(products: tuple[str, ...]) -> Schema:
    """The schema of a rule. `products` are the ids of the product table."""
    range_ = _object(
        {
            "branch": _said('Stable branch of an upstream range, such as "6.1".', _VERSION),
            "stream": _said("The product's line that the range is of.", _VERSION),
            "introduced": _said('First affected version; "0" means always.', _VERSION),
            "fixed": _said("First version that is mended; leave it out if none is known.", _VERSION),
        },
        ("introduced",),
    )
    affected = _object(
        {
            "product": _said("A product of kb/products.yaml.", {"enum": list(products)}),
            "ranges": {"type": "array", "items": range_, "minItems": 1},
            "source": _said("Where the ranges are from.", _TEXT),
        },
        ("product", "ranges", "source"),
    )
    fix = _object({"commit": {"type": "string", "pattern": "^[0-9a-f]{12,40}$"}, "title": _TEXT}, ("commit", "title"))
    state = _object(
        {"probe": _said("A probe's id.", _TEXT), "any-record": {"$ref": "#/definitions/record"}},
        ("probe", "any-record"),
    )
    exception = _object({"when": {"$ref": "#/definitions/event"}, "reason": _TEXT}, ("when", "reason"))
    values = {
        "format": {"const": 1},
        "id": _said("Permanent, equals the file's name.", {"type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$"}),
        "title": _said("What goes wrong, in one line.", {"type": "string", "minLength": 1}),
        "status": _said("draft takes part only with --drafts, withdrawn never.", {"enum": list(STATUSES)}),
        "severity": {"enum": list(SEVERITIES)},
        "class": _said("not-a-kernel-bug for hardware, memory exhausted and the like.", {"enum": list(CLASSES)}),
        "action": _said("What a not-a-kernel-bug recommends.", {"enum": list(ACTIONS)}),
        "created": {"type": "string", "pattern": r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$"},
        "description": _said("What goes wrong and when, for an engineer at three in the morning.", _TEXT),
        "signature": _said("The face of this bug.", {"$ref": "#/definitions/signature"}),
        "state": _said("What memory must show; all of these.", {"type": "array", "items": state}),
        "exceptions": {"type": "array", "items": exception},
        "affected": {"type": "array", "items": affected},
        "fixes": {"type": "array", "items": fix},
        "aliases": {"type": "array", "items": {"type": "string", "anyOf": list(_ALIASES)}},
        "related": _said("Rules whose crashes end in the same place.", _TEXTS),
        "workaround": _TEXT,
        "references": {"type": "array", "items": {"type": "string", "pattern": r"^https?://\S+\.\S+"}},
    }
    required = ("format", "id", "title", "status", "severity", "created", "description", "signature")
    record_leaf = {"anyOf": [_NUMBER, _TEXT, _listed({"anyOf": [_NUMBER, _TEXT]}), {"type": "object"}]}
    definitions = {
        **_leaf_definitions(),
        "signature": _event_condition("#/definitions/signature", signature=True),
        "event": _event_condition("#/definitions/event", signature=False),
        "record": _condition("#/definitions/record", {}, additionalProperties=record_leaf),
    }
    return _document("a rule of kbmatch", _object(values, required), definitions)


def rule_test_schema() -> Schema:
    """The schema of the tests beside a rule."""
    numbers = dict.fromkeys(case_files.SIGNATURE_NUMBERS, _NUMBER)
    task = _object({"comm": _TEXT, "pid": _NUMBER, "seconds": _NUMBER, "trace": _TEXTS})
    signature = _object(
        {
            "kind": {"enum": list(KINDS)}, "access": {"enum": list(ACCESSES)}, "context": {"enum": list(CONTEXTS)},
            **dict.fromkeys(case_files.SIGNATURE_TEXTS, _TEXT), **numbers, "trace": _TEXTS, "text": _TEXTS,
            "modules": _TEXTS, "registers": {"type": "object", "additionalProperties": _NUMBER},
            "tasks": {"type": "array", "items": task},
        },
        ("kind",),
    )  # fmt: skip
    value = {"type": ["integer", "string"]}
    record = {"type": "object", "additionalProperties": value}
    state = _object(
        {"complete": {"type": "boolean"}, "records": {"type": "array", "items": record}}, ("complete", "records")
    )
    evidence = {"anyOf": [_TEXTS, {"type": "object", "additionalProperties": value}]}
    expect = _object(
        {
            "verdict": {"enum": list(case_files.VERDICTS)}, "version": _VERSION, "conflict": {"type": "boolean"},
            "evidence": _said("Facts that the finding must cite, or facts with their values.", evidence),
        },
        ("verdict",),
    )  # fmt: skip
    case = _object(
        {
            "name": _TEXT, "log": _said("Lines of a kernel log.", _TEXT), "signature": signature,
            **{key: _TEXT for key in case_files.KERNEL_KEYS if key != "taint"}, "taint": _TEXTS, "hardware": _TEXT,
            "hypervisor": _TEXT, "state": {"type": "object", "additionalProperties": state}, "expect": expect,
        },
        ("name", "expect"),
    )  # fmt: skip
    cases = {"type": "array", "items": case, "minItems": 2}
    values = {"format": {"const": 1}, "rule": _TEXT, "cases": cases}
    return _document("the test of a rule of kbmatch", _object(values, ("format", "rule", "cases")))


def probe_schema() -> Schema:
    """The schema of a probe."""
    expression = _said("A C expression; it only reads.", {"type": "string", "minLength": 1})
    several = {"anyOf": [expression, {"type": "array", "items": expression, "minItems": 1}]}
    registers = _object(dict.fromkeys(("x86_64", "aarch64"), _TEXTS))
    step = {
        "each": {"enum": ["net_devices", "cpus"]}, "list": expression, "of": _TEXT, "member": _TEXT,
        "array": expression, "count": expression, "value": expression, "as": _TEXT, "where": expression,
    }  # fmt: skip
    # steps of a walk have more forms than a schema needs to know: lint checks them
    open_step = {"type": "object", "properties": step, "additionalProperties": {"type": ["string", "integer"]}}
    root = _object(
        {**step, "registers": registers, "yields": expression, "walk": {"type": "array", "items": open_step}},
        ("yields",),
    )
    field = {
        "anyOf": [
            expression,
            {"type": "array", "items": expression, "minItems": 1},
            _object({"text": several}, ("text",)),
            _object({"count": _TEXT, "while": several}, ("count", "while")),
        ]
    }
    record = {"type": "object", "additionalProperties": field, "minProperties": 1}
    by_registers = _object(
        {
            "arch": {"enum": ["x86_64", "aarch64"]}, "code": _TEXT, "build-id": _TEXT, "where": expression,
            "record": {"type": "object", "additionalProperties": expression},
        },
        ("arch", "where", "record"),
    )  # fmt: skip
    place = {"type": "array", "minItems": 2, "maxItems": 3}
    struct = {"type": "object", "additionalProperties": place}
    values = {
        "format": {"const": 1}, "id": _TEXT, "module": _said('"" for the kernel proper.', _TEXT),
        "record-type": _TEXT, "variable": _TEXT, "roots": {"type": "array", "items": root}, "record": record,
        "pointers": {"type": "object", "additionalProperties": _TEXT},
        "layouts": {"type": "object", "additionalProperties": struct},
        "kinds": {"type": "array", "items": {"enum": list(KINDS)}}, "sentence": _TEXT,
        "register-records": {"type": "array", "items": by_registers},
    }  # fmt: skip
    required = ("format", "id", "module", "record-type", "variable", "roots", "record")
    values = {key: values.get(key, {}) for key in probes._KEYS}
    return _document("a probe of kbmatch", _object(values, required))


def layout_schema() -> Schema:
    """The schema of struct layouts."""
    member = {"type": "array", "minItems": 2, "maxItems": 4}
    struct = _object({"size": _NUMBER, "members": {"type": "object", "additionalProperties": member}}, ("members",))
    values = {
        "format": {"const": 1}, "id": _TEXT, "releases": _TEXTS,
        "build-ids": {"type": "array", "items": {"type": "string", "pattern": "^[0-9a-f]{16,64}$"}},
        "source": _TEXT, "structs": {"type": "object", "additionalProperties": struct},
        "aliases": {"type": "object", "additionalProperties": _TEXT},
    }  # fmt: skip
    return _document("struct layouts of kbmatch", _object(values, ("format", "id", "source", "structs")))


def products_schema() -> Schema:
    """The schema of the product table."""
    patterns = {
        "type": "array",
        "items": _object(dict.fromkeys(("release", "build", "package_version"), _TEXT), minProperties=1),
    }
    stream = _object({"id": _TEXT, "name": _TEXT, "match": patterns}, ("id", "match"))
    flags = {name: {"type": "boolean"} for name in ("sequential", "rolling", "backports", "hidden-rebuild")}
    product = _object(
        {
            "id": {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,39}$"}, "name": _TEXT, "vendor": _TEXT,
            "scheme": {"enum": ["rpm", "dpkg", "upstream"]}, "tracks": {"enum": ["linux-stable"]}, "family": _TEXT,
            "base": _TEXT, "recognise": patterns, "read": patterns, "streams": {"type": "array", "items": stream},
            "stream-form": _TEXT, **flags, "package": _TEXT, "dists": _TEXTS,
            "commands": _object(dict.fromkeys(("upgrade", "latest", "changelog"), _TEXTS)), "reboot": _TEXT,
            "livepatch": _TEXT,
        },
        ("id", "name", "vendor"),
    )  # fmt: skip
    values = {"format": {"const": 1}, "products": {"type": "array", "items": product}}
    return _document("the product table of kbmatch", _object(values, ("format", "products")))


def site_schema() -> Schema:
    """The schema of a site file."""
    disabled = _object({"rule": _TEXT, "reason": _TEXT}, ("rule", "reason"))
    exception = _object(
        {"rule": _TEXT, "when": {"$ref": "#/definitions/event"}, "reason": _TEXT}, ("rule", "when", "reason")
    )
    values = {
        "format": {"const": 1},
        "rules": _TEXTS,
        "disable": {"type": "array", "items": disabled},
        "exceptions": {"type": "array", "items": exception},
    }
    definitions = {**_leaf_definitions(), "event": _event_condition("#/definitions/event", signature=False)}
    return _document("a site file of kbmatch", _object(values, ("format",)), definitions)


def _document(title: str, schema: Schema, definitions: Schema | None = None) -> Schema:
    found = {"$schema": DRAFT, "title": title, **schema}
    return found if definitions is None else {**found, "definitions": definitions}


def schema_files() -> dict[str, str]:
    """All schemas as texts, by file name."""
    products = tuple(product.id for product in KnowledgeBase().products)
    schemas = {
        "rule": rule_schema(products), "rule-test": rule_test_schema(), "probe": probe_schema(),
        "layout": layout_schema(), "products": products_schema(), "site": site_schema(),
    }  # fmt: skip
    return {f"{name}.schema.json": json.dumps(schema, indent=1) + "\n" for name, schema in schemas.items()}
