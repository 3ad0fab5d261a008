"""The description of the API, for programs and for people, holds for what a server really does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest
from bs4 import BeautifulSoup

from tests.fakes import PORT_DOC, running_server
from tests.servers import RunningServer, in_a_process
from web.description import FAULTS
from web.snippets import snippets

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Json = dict[str, Any]

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


def faults(value: Any, schema: Json, schemas: Json, place: str = "$") -> list[str]:
    """Where a value does not fit a schema; knows as much of JSON Schema as is used here."""
    if reference := schema.get("$ref"):
        return faults(value, schemas[reference.rpartition("/")[2]], schemas, place)
    if variants := schema.get("anyOf"):
        found = [faults(value, variant, schemas, place) for variant in variants]
        return min(found, key=len)
    kind = schema.get("type")
    if kind and (not isinstance(value, _TYPES[kind]) or (kind != "boolean" and value is True)):
        return [f"{place} is no {kind}"]
    if "const" in schema and value != schema["const"]:
        return [f"{place} is not {schema['const']}"]
    if value not in schema.get("enum", [value]):
        return [f"{place} is none of {schema['enum']}"]
    if kind == "array":
        parts = [(f"{place}[{n}]", item, schema["items"]) for n, item in enumerate(value)]
        long = [f"{place} is long"] if len(value) > schema.get("maxItems", len(value)) else []
        return [*long, *_of_parts(parts, schemas)]
    if kind == "object":
        return _of_object(value, schema, schemas, place)
    if kind == "number" and not schema.get("minimum", value) <= value <= schema.get(
        "maximum", value
    ):
        return [f"{place} is out of range"]
    return []


def _of_object(value: Json, schema: Json, schemas: Json, place: str) -> list[str]:
    known = schema.get("properties", {})
    others = schema.get("additionalProperties", {})
    missing = [
        f"{place}.{key} is missing" for key in schema.get("required", ()) if key not in value
    ]
    strange = [f"{place}.{key} is unknown" for key in value.keys() - known if others is False]
    rest = others if isinstance(others, Mapping) else {}
    parts = [(f"{place}.{key}", item, known.get(key, rest)) for key, item in value.items()]
    return [*missing, *strange, *_of_parts(parts, schemas)]


def _of_parts(parts: list[tuple[str, Any, Any]], schemas: Json) -> list[str]:
    return [
        fault for place, item, schema in parts for fault in faults(item, schema, schemas, place)
    ]


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    store = tmp_path_factory.mktemp("reference") / "feedback.sqlite"
    with running_server(
        "fake", feedback=str(store), address_per_minute=30, address_per_day=0
    ) as server:
        yield server


@pytest.fixture(scope="module")
def client(own_server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=own_server.address) as client:
        yield client


@pytest.fixture(scope="module")
def description(client: httpx.Client) -> Json:
    found: Json = client.get("/openapi.json").json()
    return found


@pytest.fixture(scope="module")
def page(client: httpx.Client) -> BeautifulSoup:
    return BeautifulSoup(client.get("/docs").text, "html.parser")


def declared_by_the_app() -> Json:
    from tests.fakes import FakeChatService
    from web.options import WebOptions
    from web.server import create_app

    app = create_app(FakeChatService(), WebOptions(1, 1, feedback="unused"))
    described: Json = app.openapi()
    return described


def operations(description: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def objects(value: Any) -> Iterator[Json]:
    """Every JSON object in a value."""
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, dict | list):
            yield from objects(item)


# The description


def test_every_route_of_the_api_is_described(description: Json) -> None:
    declared = in_a_process(declared_by_the_app)
    routes = {
        (method, path)
        for method, path, _ in operations(declared)
        if path.startswith(("/api/v1/", "/v1/"))
    }
    assert len(routes) >= 8
    assert routes <= {(method, path) for method, path, _ in operations(description)}


def test_nothing_but_the_api_is_described(description: Json) -> None:
    others = {path for path in description["paths"] if not path.startswith(("/api/v1/", "/v1/"))}
    assert others == {"/healthz", "/readyz", "/metrics"}


def test_all_that_people_read_is_chinese(description: Json) -> None:
    for method, path, operation in operations(description):
        assert _CHINESE.search(operation["summary"]), (method, path)
    for name, schema in description["components"]["schemas"].items():
        assert _CHINESE.search(schema["description"]), name
        for field, told in schema["properties"].items():
            # What says the same as the schema it refers to is left to that.
            assert told.get("description") or "$ref" in told, (name, field)
    for item in objects(description):
        if item.get("in") in ("query", "path", "header"):
            text = item["description"] or item["schema"]["description"]
            assert _CHINESE.search(text), item["name"]


def test_every_reference_leads_somewhere_and_every_schema_is_used(description: Json) -> None:
    named = {
        item["$ref"].removeprefix("#/components/schemas/")
        for item in objects(description)
        if "$ref" in item
    }
    assert named == set(description["components"]["schemas"])


def test_errors_are_described_with_the_form_of_the_route(description: Json) -> None:
    for method, path, operation in operations(description):
        failed = {status: one for status, one in operation["responses"].items() if status != "200"}
        form = "OpenAIError" if path.startswith("/v1/") else "Error"
        assert "422" not in failed
        assert bool(failed) == path.startswith(("/api/", "/v1/", "/readyz")), (method, path)
        if path == "/readyz":  # tells its state, whatever it is
            continue
        for response in failed.values():
            schema = response["content"]["application/json"]["schema"]
            assert schema == {"$ref": f"#/components/schemas/{form}"}
    asked = description["paths"]["/api/v1/ask"]["post"]["responses"]
    assert set(asked) == {"200", "400", "401", "403", "408", "413", "429", "500", "503"}
    assert "Retry-After" in asked["429"]["headers"]
    assert "text/event-stream" in asked["200"]["content"]


@pytest.mark.parametrize(
    ("secret", "security"),
    [(None, [{}, {"bearer": []}]), ("s" * 40, [{"bearer": []}])],
)
def test_the_token_is_demanded_where_the_operator_does(
    secret: str | None, security: list[Json]
) -> None:
    with running_server("fake", token_secret=secret) as server:
        found = httpx.get(f"{server.address}/openapi.json")
        if found.status_code == 401:
            pytest.skip("the description itself needs a token here")
        described = found.json()
        assert described["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
        assert described["paths"]["/api/v1/ask"]["post"]["security"] == security
        assert "security" not in described["paths"]["/healthz"]["get"]
        page = httpx.get(f"{server.address}/docs").text
        assert ("Authorization: Bearer" in page.split('id="events"')[0]) == (secret is not None)


ANSWERED = [
    pytest.param("post", "/api/v1/ask", "", {"question": "港口有哪些航线？"}, 200, id="answer"),
    pytest.param("post", "/api/v1/ask", "", {"question": "天气怎么样？"}, 200, id="refusal"),
    pytest.param("post", "/api/v1/ask", "", {"question": " "}, 400, id="error"),
    pytest.param("post", "/api/v1/ask", "", {"question": "崩溃"}, 500, id="failure"),
    pytest.param("post", "/api/v1/search", "", {"query": "园区"}, 200, id="search"),
    pytest.param("get", "/api/v1/documents", "", None, 200, id="list"),
    pytest.param(
        "get",
        "/api/v1/documents/{doc}",
        f"/api/v1/documents/{quote(PORT_DOC)}?start=1&end=9",
        None,
        200,
        id="document",
    ),
    pytest.param(
        "get", "/api/v1/documents/{doc}", "/api/v1/documents/none", None, 404, id="no document"
    ),
    pytest.param(
        "post", "/api/v1/feedback", "", {"answer_id": "x", "rating": "up"}, 404, id="feedback"
    ),
    pytest.param(
        "post",
        "/v1/chat/completions",
        "",
        {"messages": [{"role": "user", "content": "天气怎么样？"}]},
        200,
        id="completion",
    ),
    pytest.param("post", "/v1/chat/completions", "", {"messages": []}, 400, id="OpenAI error"),
    pytest.param("get", "/v1/models", "", None, 200, id="models"),
    pytest.param("get", "/v1/models/{model_id}", "/v1/models/wenju", None, 200, id="model"),
    pytest.param("get", "/v1/models/{model_id}", "/v1/models/x", None, 404, id="no model"),
    pytest.param("get", "/healthz", "", None, 200, id="alive"),
    pytest.param("get", "/readyz", "", None, 200, id="ready"),
]


@pytest.mark.parametrize(("method", "path", "address", "body", "status"), ANSWERED)
def test_what_is_really_answered_fits_the_description(
    client: httpx.Client,
    description: Json,
    method: str,
    path: str,
    address: str,
    body: Json | None,
    status: int,
) -> None:
    response = client.request(method.upper(), address or path, json=body)
    assert response.status_code == status
    told = description["paths"][path][method]["responses"][str(status)]
    schema = told["content"]["application/json"]["schema"]
    assert faults(response.json(), schema, description["components"]["schemas"]) == []


def test_what_a_server_without_documents_says_of_itself_fits_too(description: Json) -> None:
    with running_server("troubled") as server:
        response = httpx.get(f"{server.address}/readyz")
    told = description["paths"]["/readyz"]["get"]["responses"]["503"]
    schema = told["content"]["application/json"]["schema"]
    assert response.status_code == 503
    assert faults(response.json(), schema, description["components"]["schemas"]) == []


def test_feedback_that_is_taken_fits_too(client: httpx.Client, description: Json) -> None:
    answer_id = client.post("/api/v1/ask", json={"question": "航线"}).json()["id"]
    body = {"answer_id": answer_id, "rating": "up"}
    stored = client.post("/api/v1/feedback", json=body).json()
    schemas = description["components"]["schemas"]
    assert faults(stored, schemas["FeedbackStored"], schemas) == []


def test_the_check_itself_finds_what_does_not_fit(client: httpx.Client, description: Json) -> None:
    schemas = description["components"]["schemas"]
    record = client.post("/api/v1/ask", json={"question": "港口有哪些航线？"}).json()
    citation = record["citations"][0]
    wrong: list[Json] = [
        {key: value for key, value in record.items() if key != "id"},
        record | {"more": 1},
        record | {"confidence": 1.5},
        record | {"confidence": True},
        record | {"short_answer": 14},
        record | {"suggestions": [citation] * 4},
        record | {"citations": [citation | {"start": "1"}]},
        record | {"timings_ms": {"total": "fast"}},
    ]
    assert all(faults(item, schemas["AnswerRecord"], schemas) for item in wrong)


def test_the_examples_fit_what_they_are_examples_of(description: Json) -> None:
    schemas = description["components"]["schemas"]
    media = [item for item in objects(description) if "example" in item and "schema" in item]
    assert len(media) >= 6
    for item in media:
        assert faults(item["example"], item["schema"], schemas) == []
    shown = [schema for schema in schemas.values() if "examples" in schema]
    assert shown
    for schema in shown:
        assert all(faults(example, schema, schemas) == [] for example in schema["examples"])


def test_below_a_prefix_the_description_says_so() -> None:
    with running_server("fake", root_path="/kb") as server:
        assert httpx.get(f"{server.address}/openapi.json").json()["servers"] == [{"url": "/kb"}]
        page = httpx.get(f"{server.address}/docs").text
        assert f"{server.address}/kb/api/v1/ask" in page
        assert 'href="/kb/openapi.json"' in page
        assert 'href="/kb/ui/reference.css"' in page


# The page


def test_every_operation_is_on_the_page(page: BeautifulSoup, description: Json) -> None:
    shown = {element.get_text(" ", strip=True) for element in page.select(".route")}
    assert shown == {f"{method.upper()} {path}" for method, path, _ in operations(description)}


def test_the_page_tells_errors_events_limits_and_tokens(page: BeautifulSoup) -> None:
    text = page.get_text(" ", strip=True)
    for word in (*(fault.code for fault in FAULTS), "status", "delta", "citations", "done"):
        assert word in text
    rates = [cell.get_text() for cell in page.select("#rates td")]
    assert rates == ["30 次", "不限", "不限", "不限"]
    assert "HMAC-SHA256" in text


def test_every_link_within_the_page_leads_somewhere(page: BeautifulSoup) -> None:
    ids = {element["id"] for element in page.select("[id]")}
    links = [str(link["href"]) for link in page.select("a[href^='#']")]
    assert links
    assert {link[1:] for link in links} <= ids
    assert len(ids) == len(page.select("[id]"))


def snippet(page: BeautifulSoup, name: str) -> str:
    element = page.select_one(f"#snippet-{name}")
    assert element is not None
    return element.get_text()


def run(*command: str) -> str:
    """What a program prints; proxies of this machine would not know the server."""
    environment = {
        "PYTHONPATH": str(Path(__file__).parent.parent),
        **{
            name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")
        },
    }
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", env=environment, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["python", "python-stream", "openai"])
def test_the_python_programs_on_the_page_work(page: BeautifulSoup, name: str) -> None:
    output = run(sys.executable, "-X", "utf8", "-c", snippet(page, name))
    assert output.startswith(
        "全年完成集装箱吞吐量128.6万标箱，同比增长9.3%[1]。园区落户企业231家[2]。"
    )
    assert (name == "python-stream") or "港口/2025 年报#1.txt" in output


@pytest.mark.parametrize("name", ["curl", "curl-stream"])
def test_the_curl_commands_on_the_page_work(page: BeautifulSoup, name: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    output = run("sh", "-c", snippet(page, name))
    assert ("event: done" in output) == (name == "curl-stream")
    assert "128.6万标箱" in output


def test_the_javascript_on_the_page_works(page: BeautifulSoup) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    output = run("node", "--input-type=module", "-e", snippet(page, "javascript"))
    assert "[2] 园区.txt：" in output


def test_a_question_of_any_kind_can_stand_in_the_programs() -> None:
    question = """他说："it's $HOME `x` \\ </code>"吗？"""
    for one in snippets("http://127.0.0.1:1", question, token=True):
        assert "Bearer 访问凭证" in one.text or one.name == "openai"
        if one.name.startswith(("python", "openai")):
            compile(one.text, one.name, "exec")
    shown = {one.name: one.text for one in snippets("http://x", question, token=False)}
    echoed = run("sh", "-c", shown["curl"].replace("curl", "printf '%s\n'", 1))
    assert '"question": "他说：\\"it\'s $HOME `x` \\\\ </code>\\"吗？"' in echoed


@pytest.mark.parametrize("host", ["evil.test'; rm -rf ~ #", "<script>", 'a" onload="x', "a b"])
def test_a_forged_host_is_not_shown_in_a_command(client: httpx.Client, host: str) -> None:
    response = client.get("/docs", headers={"Host": host})
    if response.status_code == 200:
        assert host not in response.text
        assert f"{str(client.base_url).rstrip('/')}/api/v1/ask" in response.text


def test_the_page_is_as_strict_as_the_others(client: httpx.Client) -> None:
    response = client.get("/docs")
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"""(?:src|href)=["']https?://""", response.text)


@pytest.fixture
def opened(browser: Browser, own_server: RunningServer, request: Any) -> Iterator[Page]:
    width, scheme = request.param
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, locale="en-US"
    )
    asked: list[str] = []
    problems: list[str] = []
    context.on("request", lambda one: asked.append(one.url))
    context.on("console", lambda message: problems.append(message.text))
    page = context.new_page()
    page.goto(f"{own_server.address}/docs")
    page.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
    yield page
    assert all(url.startswith(own_server.address) for url in asked)
    assert problems == []
    context.close()


@pytest.mark.parametrize(
    "opened",
    [(width, scheme) for width in (1280, 375) for scheme in ("light", "dark")],
    indirect=True,
    ids=lambda value: f"{value[0]} {value[1]}",
)
def test_the_page_is_accessible_and_as_wide_as_the_screen(opened: Page) -> None:
    sync_playwright = pytest.importorskip("axe_playwright_python.sync_playwright")
    width = opened.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width[0] <= width[1]
    found = sync_playwright.Axe().run(opened).response["violations"]
    assert [(one["id"], one["impact"]) for one in found] == []
