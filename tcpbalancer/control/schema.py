"""The JSON schema of what ``show stat json`` and ``show info json`` print.

Laws: pure; a test holds real answers against it.
"""

from __future__ import annotations

import json

_FIELD = {
    "type": "object",
    "properties": {"pos": {"type": "integer", "minimum": 0}, "name": {"type": "string"}},
    "required": ["pos", "name"],
}
_TAGS = {
    "type": "object",
    "properties": {
        "origin": {"enum": ["Metric", "Status", "Key", "Config", "Product", "Unknown"]},
        "nature": {
            "enum": [
                "Gauge", "Limit", "Min", "Max", "Rate", "Counter", "Duration", "Age", "Time", "Name", "Output", "Avg",
                "Unknown",
            ],
        },
        "scope": {"enum": ["Cluster", "Process", "Service", "System", "Unknown"]},
    },
    "required": ["origin", "nature", "scope"],
}  # fmt: skip
_VALUE = {
    "type": "object",
    "properties": {
        "type": {"enum": ["s32", "s64", "u32", "u64", "flt", "str"]},
        "value": {"type": ["integer", "number", "string"]},
    },
    "required": ["type", "value"],
}
_COMMON = {
    "field": {"$ref": "#/definitions/field"},
    "processNum": {"type": "integer", "minimum": 1},
    "tags": {"$ref": "#/definitions/tags"},
    "value": {"$ref": "#/definitions/typedValue"},
}
_INFO = {"type": "object", "properties": _COMMON, "required": list(_COMMON)}
_WHO = {
    "objType": {"enum": ["Frontend", "Backend", "Listener", "Server", "Unknown"]},
    "proxyId": {"type": "integer", "minimum": 0},
    "id": {"type": "integer", "minimum": 0},
}
_STAT = {"type": "object", "properties": {**_WHO, **_COMMON}, "required": [*_WHO, *_COMMON]}

SCHEMA = (
    json.dumps(
        {
            "$schema": "http://json-schema.org/draft-04/schema#",
            "oneOf": [
                {"title": "Info", "type": "array", "items": {"title": "InfoItem", **_INFO}},
                {
                    "title": "Stat",
                    "type": "array",
                    "items": {"title": "InfoItemArray", "type": "array", "items": {"title": "StatItem", **_STAT}},
                },
            ],
            "definitions": {"field": _FIELD, "tags": _TAGS, "typedValue": _VALUE},
        },
        separators=(",", ":"),
    )
    + "\n"
)
