"""The description of the HTTP API as a page in Chinese: OpenAPI in, HTML out.

The page is whole when it leaves the server and needs no script.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from web.description import ABOUT_ZH, FAULTS, TOKEN_ZH, Json
from web.options import WebOptions
from web.responses import EVENTS
from web.snippets import snippets


def reference_page(
    description: Json, options: WebOptions, address: str, question: str, root: str
) -> str:
    """The whole page.

    Args:
        description: of web.description.
        options: of this server; its limits are told.
        address: of this server, without a final slash.
        question: that stands in the programs to copy.
        root: path prefix of the server, without a final slash; "" at the root.
    """
    token = options.token_secret is not None
    return _template().render(
        root=root,
        page_title="接口说明",
        about=ABOUT_ZH,
        token_about=TOKEN_ZH,
        token_demanded=token,
        address=address,
        snippets=snippets(address, question, token=token),
        rates=_rates(options),
        queue=options,
        groups=_groups(description),
        faults=FAULTS,
        stream=EVENTS,
    )


@dataclass(frozen=True, slots=True)
class _Field:
    """One row of a table: a parameter, or a field of a body."""

    name: str  # citations[].doc for a field of a field
    type: str  # Chinese
    description: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class _Shown:
    """One operation on the page."""

    anchor: str
    method: str
    path: str
    summary: str
    description: str
    parameters: Sequence[_Field]
    body: Sequence[_Field]
    body_example: str
    answer: Sequence[_Field]
    answer_example: str
    stream_example: str
    failures: Sequence[tuple[str, str]]  # status, description


def _groups(description: Json) -> dict[str, list[_Shown]]:
    """The operations by tag, in the order of the routes."""
    groups: dict[str, list[_Shown]] = {}
    schemas = description["components"]["schemas"]
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            shown = _shown(method, path, operation, schemas)
            groups.setdefault(operation["tags"][0], []).append(shown)
    return groups


def _shown(method: str, path: str, operation: Json, schemas: Json) -> _Shown:
    content = operation["responses"]["200"]["content"]
    answer = content.get("application/json", {})
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return _Shown(
        anchor=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        description=operation["description"],
        parameters=[_parameter(item, schemas) for item in operation.get("parameters", ())],
        body=list(_fields(body.get("schema", {}), schemas)),
        body_example=_example(body.get("schema", {}), schemas),
        answer=list(_fields(answer.get("schema", {}), schemas)),
        answer_example=_pretty(answer["example"]) if "example" in answer else "",
        stream_example=content.get("text/event-stream", {}).get("example", ""),
        failures=[
            (status, response["description"])
            for status, response in operation["responses"].items()
            if status != "200"
        ],
    )


def _parameter(item: Json, schemas: Json) -> _Field:
    where = {"query": "查询参数", "path": "路径", "header": "请求头"}[item["in"]]
    kind = _type_zh(item["schema"], schemas)
    description = item["description"] or item["schema"].get("description", "")
    return _Field(item["name"], f"{where}，{kind}", description, item.get("required", False))


def _fields(schema: Json, schemas: Json, before: str = "") -> Iterator[_Field]:
    """All fields of an object, those of its parts behind it."""
    schema = _resolved(schema, schemas)
    for name, field in schema.get("properties", {}).items():
        kind = _type_zh(field, schemas)
        text = field.get("description") or _resolved(field, schemas).get("description", "")
        yield _Field(f"{before}{name}", kind, text, name in schema.get("required", ()))
        part, brackets = _part(field, schemas)
        yield from _fields(part, schemas, f"{before}{name}{brackets}.")


def _part(field: Json, schemas: Json) -> tuple[Json, str]:
    """What a field is made of, and how that is written behind its name."""
    for variant in field.get("anyOf", [field]):
        resolved = _resolved(variant, schemas)
        if resolved.get("type") == "array":
            return resolved["items"], "[]"
        if "properties" in resolved:
            return resolved, ""
    return {}, ""


def _resolved(schema: Json, schemas: Json) -> Json:
    while "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    return schema


_TYPES_ZH = {
    "string": "文字",
    "integer": "整数",
    "number": "数字",
    "boolean": "true 或 false",
    "object": "对象",
    "null": "null",
}


def _type_zh(schema: Json, schemas: Json) -> str:
    if variants := schema.get("anyOf"):
        return "或 ".join(f"{_type_zh(variant, schemas)} " for variant in variants).strip()
    schema = _resolved(schema, schemas)
    if values := schema.get("enum", [schema["const"]] if "const" in schema else None):
        return "、".join(json.dumps(value) for value in values)
    if schema.get("type") == "array":
        return f"{_type_zh(schema['items'], schemas)}的列表"
    return _TYPES_ZH[schema["type"]]


def _example(schema: Json, schemas: Json) -> str:
    examples = _resolved(schema, schemas).get("examples")
    return _pretty(examples[0]) if examples else ""


def _pretty(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _rates(options: WebOptions) -> list[tuple[str, str, str]]:
    """Who, by minute, by day."""
    return [
        ("每个来访地址", _rate(options.address_per_minute), _rate(options.address_per_day)),
        ("每个门户网站", _rate(options.site_per_minute), _rate(options.site_per_day)),
    ]


def _rate(most: int) -> str:
    return f"{most:,} 次" if most else "不限"


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("reference.html")
