//! The exec plugin protocol of Kubernetes clients (client.authentication.k8s.io).

use serde_json::{Value, json};
use url::Url;

use crate::{
    Outcome, Then,
    arguments::TokenArgs,
    environment::Environment,
    failure::{Exit, Failure},
    listing::check_address,
    output::{answer, line_of, moment},
    session::{Grant, Session},
};

const INFO: &str = "KUBERNETES_EXEC_INFO";
const V1: &str = "client.authentication.k8s.io/v1";
const V1_BETA1: &str = "client.authentication.k8s.io/v1beta1";

pub(super) async fn run(session: &Session, wish: &TokenArgs, environment: &Environment) -> Outcome {
    let question = Question::read(environment.text(INFO))?;
    let grant = session.grant(wish).await?;
    if let Some(server) = &question.server {
        check_address(&grant, server)?;
    }
    answer(&format!("{}\n", question.answer(&grant)?))?;
    Ok(Then::DONE)
}

/// What the client says of itself.
#[derive(Debug)]
struct Question {
    version: &'static str,
    /// The cluster, where the kubeconfig has `provideClusterInfo: true`.
    server: Option<Url>,
}

impl Question {
    fn read(text: Option<&str>) -> Result<Self, Failure> {
        let refuse = |what| Failure::new(Exit::Usage, format!("{INFO} {what}."));
        let Some(text) = text else {
            return Ok(Self {
                version: V1,
                server: None,
            });
        };
        let info: Value = serde_json::from_str(text).map_err(|_| refuse("is no JSON"))?;
        let version = match info["apiVersion"].as_str() {
            Some(V1) => V1,
            Some(V1_BETA1) => V1_BETA1,
            _ => return Err(refuse("asks for another version than v1 and v1beta1")),
        };
        let server = match &info["spec"]["cluster"]["server"] {
            Value::Null => None,
            server => Some(
                server
                    .as_str()
                    .and_then(|server| Url::parse(server).ok())
                    .ok_or_else(|| refuse("names no address of the cluster"))?,
            ),
        };
        Ok(Self { version, server })
    }

    fn answer(&self, grant: &Grant) -> Result<Value, Failure> {
        let mut status = json!({ "token": line_of(&grant.token.access_token)? });
        if let Some(end) = grant.token.expires_at.and_then(moment) {
            status["expirationTimestamp"] = json!(end);
        }
        Ok(json!({ "apiVersion": self.version, "kind": "ExecCredential", "status": status }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cluster_is_read() {
        let text = r#"{"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential",
            "spec":{"cluster":{"server":"https://k8s.example:6443"},"interactive":true}}"#;
        let question = Question::read(Some(text)).unwrap();
        assert_eq!(question.version, V1_BETA1);
        assert_eq!(
            question.server.unwrap().as_str(),
            "https://k8s.example:6443/"
        );
    }

    #[test]
    fn a_question_that_is_not_understood_gets_no_token() {
        for text in [
            "{",
            r#"{"apiVersion":"client.authentication.k8s.io/v2","spec":{}}"#,
            r#"{"apiVersion":"client.authentication.k8s.io/v1","spec":{"cluster":{"server":7}}}"#,
        ] {
            assert_eq!(
                Question::read(Some(text)).unwrap_err().exit(),
                Exit::Usage,
                "{text}"
            );
        }
    }
}
