//! The contract of the kernel API, held against every answer that a test gets: its status stands in the OpenAPI document
//! beside the operation, and its headers and its body are as they are described there.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex},
};

use axum::body::Body;
use http::{
    HeaderValue, Method, Request,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use hubkey_token_broker::routes;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::support::world::{Answer, SHARED_SECRET};

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(routes::document()).expect("a JSON document"));

/// What was asked for, as far as the document knows it.
pub(crate) struct Operation(Option<&'static Value>);

impl Operation {
    /// Finds the operation of a request. What the document does not name is answered by nobody's contract.
    pub(crate) fn of(request: &Request<Body>) -> Self {
        if request
            .headers()
            .get(AUTHORIZATION)
            .is_some_and(is_callback_server)
        {
            return Self(None);
        }
        let method = match *request.method() {
            Method::GET => "get",
            Method::POST => "post",
            Method::DELETE => "delete",
            _ => return Self(None),
        };
        let path = request.uri().path();
        let paths = DOCUMENT["paths"].as_object().expect("paths");
        let item = paths.iter().find(|(template, _)| fits(template, path));
        Self(item.and_then(|(_, item)| item.get(method)))
    }

    /// Asserts that an answer is one of those that are documented.
    #[track_caller]
    pub(crate) fn assert_documented(&self, answer: &Answer) {
        let Some(operation) = self.0 else {
            return;
        };
        let name = &operation["operationId"];
        let status = answer.status.as_str();
        let response = &operation["responses"][status];
        assert!(
            response.is_object(),
            "{name} answered {status}, which is not documented: {}",
            answer.text()
        );
        for header in response["headers"].as_object().into_iter().flatten() {
            let present = answer.headers.contains_key(header.0.as_str());
            assert!(present, "{name} answered {status} without {}", header.0);
        }
        let Some(content) = response["content"].as_object() else {
            assert!(answer.bytes.is_empty(), "{name}: {}", answer.text());
            return;
        };
        let media_type = answer.headers[CONTENT_TYPE].to_str().expect("ASCII");
        let content = &content[media_type];
        let errors = errors(&content["schema"], &answer.json());
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
}

/// Whether a message is as its schema says.
pub(crate) fn accepts(schema: &str, body: &Value) -> bool {
    let schema = json!({"$ref": format!("#/components/schemas/{schema}")});
    errors(&schema, body).is_empty()
}

/// Whether a text is as a schema says.
pub(crate) fn is_valid(schema: &Value, text: &str) -> bool {
    errors(schema, &Value::from(text)).is_empty()
}

/// Whether a header of an operation is as its schema says.
pub(crate) fn accepts_header(operation: &str, header: &str, text: &str) -> bool {
    let items = DOCUMENT["paths"].as_object().expect("paths").values();
    let mut operations = items.flat_map(|item| item.as_object().expect("operations").values());
    let operation = operations.find(|found| found["operationId"] == operation);
    let parameters = &operation.expect("the operation")["parameters"];
    let mut parameters = parameters.as_array().expect("parameters").iter();
    let parameter = parameters.find(|parameter| parameter["name"] == header);
    let schema = &parameter.expect("the parameter")["schema"];
    is_valid(schema, text)
}

/// The contract is with kernels, and not with callback-server.
fn is_callback_server(credential: &HeaderValue) -> bool {
    credential.as_bytes().ends_with(SHARED_SECRET.as_bytes())
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path) = (template.split('/'), path.split('/'));
    template.clone().count() == path.clone().count()
        && template
            .zip(path)
            .all(|(wanted, given)| wanted.starts_with('{') || wanted == given)
}

/// What is wrong with a body.
fn errors(schema: &Value, body: &Value) -> Vec<String> {
    let validator = validator(schema);
    let errors = validator.iter_errors(body);
    errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

/// The validator of a schema of the document, made once.
fn validator(schema: &Value) -> Arc<Validator> {
    static MADE: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let mut made = MADE.lock().expect("no test panics here");
    let validator = made.entry(schema.to_string()).or_insert_with(|| {
        let whole = json!({"allOf": [schema], "components": DOCUMENT["components"]});
        Arc::new(jsonschema::draft202012::new(&whole).expect("a schema"))
    });
    Arc::clone(validator)
}
