//! Executable-sourced credentials of Google's libraries (workload identity federation).

use serde_json::{Value, json};

use crate::{
    Outcome, Then,
    arguments::TokenArgs,
    environment::Environment,
    failure::Failure,
    output::{answer, line_of},
    session::{Grant, Session},
};

const TOKEN_TYPE: &str = "GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

pub(super) async fn run(session: &Session, wish: &TokenArgs, environment: &Environment) -> Outcome {
    // Both are read from the same field; the pool is configured for one of the names.
    let token_type = match environment.text(TOKEN_TYPE) {
        Some(ID_TOKEN) => ID_TOKEN,
        _ => JWT,
    };
    let outcome = session.grant(wish).await;
    let said = outcome.and_then(|grant| success(&grant, token_type));
    let said = said.inspect_err(|failure| {
        // The libraries read the reason from here; the exit code says it too.
        let _ = answer(&format!("{}\n", refusal(failure)));
    })?;
    answer(&format!("{said}\n"))?;
    Ok(Then::DONE)
}

fn success(grant: &Grant, token_type: &str) -> Result<Value, Failure> {
    let mut said = json!({
        "version": 1,
        "success": true,
        "token_type": token_type,
        "id_token": line_of(&grant.token.access_token)?,
    });
    if let Some(end) = grant.token.expires_at {
        said["expiration_time"] = json!(end);
    }
    Ok(said)
}

fn refusal(failure: &Failure) -> Value {
    json!({
        "version": 1,
        "success": false,
        "code": failure.exit().code().to_string(),
        "message": failure.said(),
    })
}
