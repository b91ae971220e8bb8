//! As much of AWS's security token service as a client needs that has a web identity.

use std::sync::Arc;

use axum::extract::{Form, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Deserialize;

use super::token::Judge;

/// Short, so that a client comes again for each use: it renews its credentials ten minutes before they end.
const LIFE_SECONDS: u64 = 60;

/// `AssumeRoleWithWebIdentity`
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AssumeRole {
    web_identity_token: String,
}

/// Gives the credentials of a role to whoever has a good token.
pub(super) async fn assume_role(
    State(judge): State<Arc<Judge>>,
    Form(asked): Form<AssumeRole>,
) -> Response {
    let xml = [(CONTENT_TYPE, "text/xml")];
    if judge.caller(Some(&asked.web_identity_token)).await.is_err() {
        let refusal = "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidIdentityToken</Code>\
            <Message>refused</Message></Error></ErrorResponse>";
        return (StatusCode::BAD_REQUEST, xml, refusal).into_response();
    }
    let until = jsonwebtoken::get_current_timestamp() + LIFE_SECONDS;
    (xml, role(until)).into_response()
}

fn role(until: u64) -> String {
    format!(
        r#"<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ROLE</AccessKeyId>
<SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken>
<Expiration>{until}</Expiration></Credentials>
<AssumedRoleUser><AssumedRoleId>lab</AssumedRoleId><Arn>arn:aws:sts::123456789012:assumed-role/lab/x</Arn>
</AssumedRoleUser></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"#
    )
}
