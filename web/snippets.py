"""Programs to copy: how to ask this server from a shell, Python and JavaScript."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from string import Template

_TOKEN_ZH = "访问凭证"


@dataclass(frozen=True, slots=True)
class Snippet:
    """One program."""

    name: str  # identifies it on the page
    title: str  # Chinese
    text: str


_CURL = Template("""\
curl -sS $address/api/v1/ask \\
  -H 'Content-Type: application/json' \\$token
  -d $body""")

_CURL_STREAM = Template("""\
curl -sSN $address/api/v1/ask \\
  -H 'Content-Type: application/json' \\
  -H 'Accept: text/event-stream' \\$token
  -d $body""")

_PYTHON = Template("""\
import json
from urllib.request import Request, urlopen

body = json.dumps({"question": $question}).encode()
headers = {"Content-Type": "application/json"$token}
with urlopen(Request($address/api/v1/ask", body, headers)) as response:
    record = json.load(response)

print(record["answer"])
for citation in record["citations"]:
    print(f"[{citation['n']}] {citation['doc']}：{citation['quote']}")""")

_PYTHON_STREAM = Template("""\
import json
from urllib.request import Request, urlopen

body = json.dumps({"question": $question}).encode()
headers = {"Content-Type": "application/json", "Accept": "text/event-stream"$token}
event = ""
with urlopen(Request($address/api/v1/ask", body, headers)) as response:
    for line in response:
        name, _, value = line.decode().rstrip("\\n").partition(": ")
        if name == "event":
            event = value
        elif name == "data" and event == "delta":
            print(json.loads(value)["text"], end="", flush=True)
        elif name == "data" and event == "error":
            print(json.loads(value)["error"]["message"])""")

_OPENAI = Template("""\
from openai import OpenAI

client = OpenAI(base_url=$address/v1", api_key="$token")
completion = client.chat.completions.create(
    model="wenju",
    messages=[{"role": "user", "content": $question}],
)
print(completion.choices[0].message.content)
for citation in completion.model_extra["citations"]:
    print(citation["n"], citation["doc"], citation["quote"])""")

_JAVASCRIPT = Template("""\
const response = await fetch($address/api/v1/ask", {
  method: "POST",
  headers: { "Content-Type": "application/json"$token },
  body: JSON.stringify({ question: $question }),
});
const record = await response.json();
if (!response.ok) throw new Error(record.error.message);

console.log(record.answer);
for (const citation of record.citations) {
  console.log(`[$${citation.n}] $${citation.doc}：$${citation.quote}`);
}""")


def snippets(address: str, question: str, *, token: bool) -> tuple[Snippet, ...]:
    """All of them.

    Args:
        address: of the server, without a final slash.
        question: to ask.
        token: whether this server demands one.
    """
    body = shlex.quote(json.dumps({"question": question}, ensure_ascii=False))
    header = f'"Authorization": "Bearer {_TOKEN_ZH}"'
    shell = {
        "address": shlex.quote(address),
        "body": body,
        "token": f"\n  -H 'Authorization: Bearer {_TOKEN_ZH}' \\" if token else "",
    }
    code = {
        "address": json.dumps(address)[:-1],  # the path follows within the quotation marks
        "question": json.dumps(question, ensure_ascii=False),
        "token": f", {header}" if token else "",
    }
    key = _TOKEN_ZH if token else "none"
    return (
        Snippet("curl", "curl", _CURL.substitute(shell)),
        Snippet("curl-stream", "curl，逐步返回", _CURL_STREAM.substitute(shell)),
        Snippet("python", "Python（只用标准库）", _PYTHON.substitute(code)),
        Snippet("python-stream", "Python，逐步返回", _PYTHON_STREAM.substitute(code)),
        Snippet("javascript", "JavaScript", _JAVASCRIPT.substitute(code)),
        Snippet("openai", "Python，OpenAI 的客户端", _OPENAI.substitute(code | {"token": key})),
    )
