//! The reference of the HTTP API as Markdown, out of its OpenAPI document.

use std::fmt::Write as _;

use anyhow::Context as _;
use serde_json::Value;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

// Writing to a String cannot fail.

/// The endpoints in the document's order, then the messages.
pub(super) fn reference(document: &str) -> anyhow::Result<String> {
    let document: Value = serde_json::from_str(document)?;
    let mut text = String::from("## Endpoints\n\n");
    for (path, item) in members(&document["paths"]).context("no paths")? {
        let known = METHODS
            .iter()
            .filter_map(|name| Some((name, item.get(name)?)));
        for (method, operation) in known {
            text.push_str(&endpoint(&method.to_uppercase(), path, operation));
        }
    }
    text.push_str("## Messages\n\n");
    let schemas = members(&document["components"]["schemas"]).context("no schemas")?;
    for (name, schema) in schemas {
        let _ = write!(text, "### `{name}`\n\n{}", message(schema));
    }
    Ok(text.trim_end().to_owned())
}

/// The members of an object, in its order.
fn members(value: &Value) -> Option<&serde_json::Map<String, Value>> {
    value.as_object()
}

fn endpoint(method: &str, path: &str, operation: &Value) -> String {
    let mut text = format!(
        "### `{method} {path}`\n\n{}\n\n",
        told(operation, "summary")
    );
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let rows: Vec<String> = parameters.map(parameter).collect();
    if !rows.is_empty() {
        text.push_str(&table(
            "| parameter | in | meaning |\n|---|---|---|\n",
            &rows,
        ));
    }
    if let Some(body) = json_schema(&operation["requestBody"]) {
        let _ = write!(text, "Body: {}.\n\n", kind(body));
    }
    let answers = members(&operation["responses"]).into_iter().flatten();
    let rows: Vec<String> = answers
        .map(|(status, answer)| response(status, answer))
        .collect();
    text.push_str(&table("| status | answer | body |\n|---|---|---|\n", &rows));
    text
}

fn parameter(parameter: &Value) -> String {
    let required = parameter["required"] == true;
    let optional = if required { "" } else { ", optional" };
    let place = told(parameter, "in");
    let name = told(parameter, "name");
    format!(
        "| `{name}` | {place}{optional} | {} |",
        described(parameter)
    )
}

fn response(status: &str, answer: &Value) -> String {
    let body = json_schema(answer).map(kind).unwrap_or_default();
    format!("| {status} | {} | {body} |", described(answer))
}

/// The schema of a body, whatever its media type is.
fn json_schema(body: &Value) -> Option<&Value> {
    let content = members(&body["content"])?;
    content.values().next()?.get("schema")
}

/// A table and the empty line after it.
fn table(head: &str, rows: &[String]) -> String {
    format!("{head}{}\n\n", rows.join("\n"))
}

/// What a schema says of itself: its forms, its members or its words.
fn message(schema: &Value) -> String {
    let mut text = format!("{}\n\n", described(schema));
    if let Some(words) = words(schema) {
        let _ = write!(text, "One of {words}.\n\n");
    }
    if let Some(forms) = schema["oneOf"].as_array() {
        let forms: Vec<String> = forms.iter().map(kind).collect();
        let _ = write!(text, "One of {}.\n\n", forms.join(", "));
    }
    text.push_str(&fields(schema));
    text
}

/// The table of the members of an object, its own and those of what it is made of.
fn fields(schema: &Value) -> String {
    let parts = schema["allOf"].as_array().into_iter().flatten();
    let (named, own): (Vec<&Value>, Vec<&Value>) = parts
        .chain([schema])
        .partition(|part| part.get("$ref").is_some());
    let also = named
        .iter()
        .map(|part| kind(part))
        .collect::<Vec<_>>()
        .join(", ");
    let mut text = String::new();
    if !also.is_empty() {
        let _ = write!(text, "All of {also}, and:\n\n");
    }
    let rows: Vec<String> = own.into_iter().flat_map(rows).collect();
    if !rows.is_empty() {
        text.push_str(&table(
            "| member | type | meaning |\n|---|---|---|\n",
            &rows,
        ));
    }
    text
}

fn rows(schema: &Value) -> Vec<String> {
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let row = |(name, member): (&String, &Value)| {
        let optional = if required.contains(&name.as_str()) {
            ""
        } else {
            ", optional"
        };
        format!(
            "| `{name}` | {}{optional} | {} |",
            kind(member),
            described(member)
        )
    };
    members(&schema["properties"])
        .into_iter()
        .flatten()
        .map(row)
        .collect()
}

/// The type of a schema in one phrase, with a link where it has a name.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap_or(name);
        return format!("[`{name}`](#{})", name.to_lowercase());
    }
    if let Some(words) = words(schema) {
        return words;
    }
    if let Some(forms) = schema["oneOf"].as_array() {
        let forms = forms.iter().filter(|form| form["type"] != "null");
        return forms.map(kind).collect::<Vec<_>>().join(" or ");
    }
    let name = match &schema["type"] {
        Value::Array(names) => names.iter().find(|name| *name != "null"),
        name => Some(name),
    };
    match name.and_then(Value::as_str).unwrap_or("any") {
        "array" => format!("list of {}", kind(&schema["items"])),
        name => name.to_owned(),
    }
}

fn words(schema: &Value) -> Option<String> {
    let words = schema["enum"].as_array()?.iter().filter_map(Value::as_str);
    Some(
        words
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", "),
    )
}

/// The description, also where it stands in one of the forms, on one line and without the links of rustdoc.
fn described(value: &Value) -> String {
    let forms = value["oneOf"].as_array().into_iter().flatten();
    let own = told(value, "description");
    let found = [own]
        .into_iter()
        .chain(forms.map(|form| told(form, "description")))
        .find(|text| !text.is_empty());
    found
        .unwrap_or_default()
        .replace("[`", "`")
        .replace("`]", "`")
        .replace('|', "\\|")
}

fn told(value: &Value, member: &str) -> String {
    let text = value[member].as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::reference;

    const DOCUMENT: &str = r##"{
        "paths": {"/v1/things/{id}": {"get": {
            "summary": "One thing.",
            "parameters": [{"name": "id", "in": "path", "required": true, "description": "Which."}],
            "responses": {"200": {"description": "It is there", "content": {"application/json": {"schema":
                {"$ref": "#/components/schemas/Thing"}}}}}
        }}},
        "components": {"schemas": {
            "Kind": {"type": "string", "description": "Of [`Thing`].", "enum": ["a", "b"]},
            "Thing": {"type": "object", "description": "A thing.", "required": ["kind"], "properties": {
                "kind": {"$ref": "#/components/schemas/Kind", "description": "Its kind."},
                "names": {"type": ["array", "null"], "items": {"type": "string"}, "description": "Its names."}}}
        }}
    }"##;

    #[test]
    fn endpoints_and_messages_are_told_with_every_member() {
        let text = reference(DOCUMENT).unwrap();
        for line in [
            "### `GET /v1/things/{id}`",
            "| `id` | path | Which. |",
            "| 200 | It is there | [`Thing`](#thing) |",
            "Of `Thing`.",
            "One of `a`, `b`.",
            "| `kind` | [`Kind`](#kind) | Its kind. |",
            "| `names` | list of string, optional | Its names. |",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
