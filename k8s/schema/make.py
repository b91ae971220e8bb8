"""Prints k8s/hubkey/values.schema.json: values.schema.yaml, and the settings as the two programs tell them.

Usage: make.py <token-broker> <callback-server>, the built programs.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import yaml

# What the chart sets itself, from values of its own or because it is how the pod is built; and the path of any file.
CHART_SECTIONS = {"internal", "ops", "audit", "keys", "redis", "broker", "outbound_proxy"}
CHART_KEYS = {
    *("listen", "shutdown_grace_period", "allow_plaintext"),
    *("public_url", "api_url", "ca_file", "format", "service_name"),
}


def sections(program):
    """Read the tables of `reference`: {section: {key: how its value looks}}, the section "" above all others."""
    text = subprocess.run([program, "reference"], check=True, capture_output=True, text=True).stdout
    found = {}
    section = ""
    for line in text.splitlines():
        if heading := re.match(r"#+ `\[(.+)\]`", line):
            section = heading[1]
        elif row := re.match(r"\| `([a-z_0-9]+)` \| `HUBKEY_[^`]+` \| (.+?) \| .+? \| (.+) \|$", line):
            found.setdefault(section, {})[row[1]] = (row[2], row[3].replace("`", ""))
    if not found:
        sys.exit(f"{program} reference has another form than this script reads")
    return found


def camel(key):
    first, *rest = key.split("_")
    return first + "".join(part.capitalize() for part in rest)


def value_schema(words):
    """Turn the words for a value, such as `a whole number from 1 to 16`, into a schema."""
    if words == "true or false":
        return {"type": "boolean"}
    if number := re.match(r"a whole number from (\d+) to (\d+)", words):
        return {"type": "integer", "minimum": int(number[1]), "maximum": int(number[2])}
    if words.startswith("one of "):
        return {"enum": re.findall(r"`([^`]+)`", words)}
    if words.startswith("a list in which each entry is "):
        return {"type": "array", "items": {"type": "string", "minLength": 1}}
    return {"type": "string", "minLength": 1}


def strict(keys, without=frozenset()):
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            camel(key): {"description": about, **value_schema(words)}
            for key, (words, about) in keys.items()
            if key not in without and not key.endswith(("_file", "_files"))
        },
    }


def settings(found):
    properties = {}
    for name, keys in found.items():
        if name.partition(".")[0] in CHART_SECTIONS | {"providers"}:
            continue
        section = strict(keys, CHART_KEYS)
        properties.update(section["properties"] if name == "" else {camel(name): section})
    return {"type": "object", "additionalProperties": False, "properties": properties}


broker, callback = sections(sys.argv[1]), sections(sys.argv[2])
schema = yaml.safe_load(Path(__file__).with_name("values.schema.yaml").read_text(encoding="utf-8"))
provider = strict(broker["providers.<id>"])
provider["properties"]["tokenExchange"] = strict(broker["providers.<id>.token_exchange"])
provider["required"] = ["issuer", "clientId"]
for name in ("clientSecret", "privateKey", "outboundProxyPassword"):
    provider["properties"][name] = {"$ref": "#/definitions/secretKey"}
provider["properties"]["ca"] = {"$ref": "#/definitions/authorities"}
schema["definitions"].update(
    provider=provider, tokenBrokerSettings=settings(broker), callbackServerSettings=settings(callback)
)
print(json.dumps(schema, indent=2))
