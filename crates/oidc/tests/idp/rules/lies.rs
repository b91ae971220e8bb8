//! For each rule one lie that breaks it, and nothing else.

use http::StatusCode;
use hubkey_fakes::{
    fake_http::Reply,
    hostile_provider::{Draft, Endpoint, HostileProvider, Pushed, TokenKind},
};
use hubkey_protocol::{bounds::Bound, provider_rules::ProviderRule as Rule};
use serde_json::{Value, json};

/// What the provider does wrong.
pub(crate) type Lie = fn(&HostileProvider);
/// A rule, and a lie that breaks it.
pub(crate) type Broken = (Rule, Lie);

fn reply(op: &HostileProvider, endpoint: Endpoint, lie: fn(&mut Reply)) {
    op.replies(endpoint, lie);
}

fn moved(reply: &mut Reply) {
    *reply = Reply::redirect(StatusCode::TEMPORARY_REDIRECT, "https://elsewhere.example/");
}

fn called_html(reply: &mut Reply) {
    *reply = reply.clone().typed("text/html");
}

fn two_values(reply: &mut Reply) {
    reply.edit_text(|text| text.replacen('{', r#"{"odd":1,"odd":2,"#, 1));
}

fn encrypted(token: &mut Draft) {
    token.finish(|text| format!("{text}.x.x"));
}

fn long(token: &mut Draft) {
    token.claim("padding", "x".repeat(Bound::IdToken.limit()));
}

fn leave_out(document: &mut Value, name: &str) {
    document.as_object_mut().unwrap().remove(name);
}

fn pushing(op: &HostileProvider, lie: fn(&mut Reply)) {
    op.capabilities().take_pushed_requests(Pushed::Offered);
    op.replies(Endpoint::PushedAuthorization, lie);
}

fn signed_userinfo(op: &HostileProvider, lie: fn(&mut Draft)) {
    op.capabilities().sign_userinfo();
    op.tokens(TokenKind::UserInfo, lie);
}

fn token_answer(op: &HostileProvider, lie: fn(&mut Value)) {
    op.replies(Endpoint::Token, move |reply| reply.edit_json(lie));
}

pub(crate) const METADATA: &[Broken] = &[
    (Rule::MetadataNotFound, |op| {
        op.answer(Endpoint::Discovery, Reply::new(StatusCode::NOT_FOUND));
    }),
    (Rule::MetadataRedirected, |op| {
        reply(op, Endpoint::Discovery, moved);
    }),
    (Rule::MetadataContentType, |op| {
        reply(op, Endpoint::Discovery, called_html);
    }),
    (Rule::MetadataJson, |op| {
        reply(op, Endpoint::Discovery, two_values);
    }),
    (Rule::MetadataMembers, |op| {
        op.metadata(|metadata| metadata["token_endpoint"] = json!(["x"]));
    }),
    (Rule::MetadataIssuer, |op| {
        op.metadata(|metadata| metadata["issuer"] = json!("https://op.evil.example"));
    }),
    (Rule::EndpointHost, |op| {
        op.metadata(|metadata| metadata["jwks_uri"] = json!("http://keys.example/jwks"));
    }),
    (Rule::EndpointUrl, |op| {
        op.metadata(|metadata| {
            let url = metadata["token_endpoint"].as_str().unwrap();
            metadata["token_endpoint"] = json!(url.replacen("://", "://user:pass@", 1));
        });
    }),
    (Rule::AuthorizationEndpointQuery, |op| {
        op.metadata(|metadata| {
            let url = metadata["authorization_endpoint"].as_str().unwrap();
            metadata["authorization_endpoint"] = json!(format!("{url}?state=theirs"));
        });
    }),
    (Rule::PkceS256, |op| {
        op.metadata(|metadata| metadata["code_challenge_methods_supported"] = json!(["plain"]));
    }),
    (Rule::IdTokenAlgorithms, |op| {
        op.metadata(|metadata| {
            metadata["id_token_signing_alg_values_supported"] = json!(["HS256"]);
        });
    }),
    (Rule::PushedRequests, |op| {
        op.metadata(|metadata| metadata["require_pushed_authorization_requests"] = json!(true));
    }),
    (Rule::UserinfoEndpoint, |op| {
        op.metadata(|metadata| leave_out(metadata, "userinfo_endpoint"));
    }),
    (Rule::ResponseIssuer, |op| {
        op.authorization_responses(|back| back.set("iss", "https://op.evil.example"));
    }),
    (Rule::ResponseIssuerMissing, |op| {
        op.metadata(|metadata| {
            metadata["authorization_response_iss_parameter_supported"] = json!(true);
        });
        op.authorization_responses(|back| back.remove("iss"));
    }),
];

pub(crate) const ANSWERS: &[Broken] = &[
    (Rule::AnswerTooLong, |op| {
        token_answer(op, |answer| {
            answer["padding"] = json!("x".repeat(Bound::ProviderAnswer.limit()));
        });
    }),
    (Rule::TokenRedirected, |op| {
        reply(op, Endpoint::Token, moved);
    }),
    (Rule::TokenContentType, |op| {
        reply(op, Endpoint::Token, called_html);
    }),
    (Rule::TokenJson, |op| reply(op, Endpoint::Token, two_values)),
    (Rule::TokenErrorForm, |op| {
        op.answer(
            Endpoint::Token,
            Reply::html("<p>no").with_status(StatusCode::BAD_REQUEST),
        );
    }),
    (Rule::TokenType, |op| {
        token_answer(op, |answer| answer["token_type"] = json!("DPoP"));
    }),
    (Rule::AccessToken, |op| {
        token_answer(op, |answer| answer["access_token"] = json!("a\r\nb"));
    }),
    (Rule::RefreshToken, |op| {
        token_answer(op, |answer| answer["refresh_token"] = json!(7));
    }),
    (Rule::Scope, |op| {
        token_answer(op, |answer| answer["scope"] = json!({"read": true}));
    }),
    (Rule::IdTokenMember, |op| {
        token_answer(op, |answer| answer["id_token"] = json!(["x"]));
    }),
    (Rule::IdTokenMissing, |op| {
        token_answer(op, |answer| leave_out(answer, "id_token"));
    }),
    (Rule::ParRedirected, |op| pushing(op, moved)),
    (Rule::ParContentType, |op| pushing(op, called_html)),
    (Rule::ParJson, |op| pushing(op, two_values)),
    (Rule::ParErrorForm, |op| {
        pushing(op, |reply| {
            *reply = Reply::html("<p>no").with_status(StatusCode::BAD_REQUEST);
        });
    }),
    (Rule::ParExpiresIn, |op| {
        pushing(op, |reply| {
            reply.edit_json(|answer| answer["expires_in"] = json!(0));
        });
    }),
    (Rule::ParRequestUri, |op| {
        pushing(op, |reply| {
            reply.edit_json(|answer| leave_out(answer, "request_uri"));
        });
    }),
    (Rule::JwksRedirected, |op| reply(op, Endpoint::Jwks, moved)),
    (Rule::JwksContentType, |op| {
        reply(op, Endpoint::Jwks, called_html);
    }),
    (Rule::JwksForm, |op| reply(op, Endpoint::Jwks, two_values)),
    (Rule::JwksTooManyKeys, |op| {
        op.jwks(|set| set["keys"] = json!(vec![json!({}); Bound::Keys.limit() + 1]));
    }),
    (Rule::JwksPrivateKey, |op| {
        op.jwks(|set| set["keys"][0]["d"] = json!("AQAB"));
    }),
];

pub(crate) const ID_TOKENS: &[Broken] = &[
    (Rule::IdTokenTooLong, |op| op.id_tokens(long)),
    (Rule::IdTokenForm, |op| {
        op.id_tokens(|token| token.finish(|text| text.replacen('.', "", 1)));
    }),
    (Rule::IdTokenEncrypted, |op| op.id_tokens(encrypted)),
    (Rule::IdTokenCritical, |op| {
        op.id_tokens(|token| token.head("crit", json!(["exp"])));
    }),
    (Rule::IdTokenType, |op| {
        op.id_tokens(|token| token.head("typ", "at+jwt"));
    }),
    (Rule::IdTokenAlgorithm, |op| op.id_tokens(Draft::unsigned)),
    (Rule::IdTokenAlgorithmUnknown, |op| {
        op.id_tokens(|token| token.sign_hs256(b"the client secret"));
    }),
    (Rule::IdTokenKeyId, |op| {
        op.id_tokens(|token| token.head("kid", 1));
    }),
    (Rule::IdTokenKey, |op| {
        op.id_tokens(|token| token.head("kid", "nobody's"));
    }),
    (Rule::IdTokenSignature, |op| {
        op.id_tokens(Draft::break_signature);
    }),
    (Rule::IdTokenIssuer, |op| {
        op.id_tokens(|token| token.claim("iss", "https://op.evil.example"));
    }),
    (Rule::IdTokenAudience, |op| {
        op.id_tokens(|token| token.claim("aud", json!(["hubkey", "somebody-else"])));
    }),
    (Rule::IdTokenAuthorizedParty, |op| {
        op.id_tokens(|token| token.claim("azp", "somebody-else"));
    }),
    (Rule::IdTokenExpiry, |op| {
        op.id_tokens(|token| token.without("exp"));
    }),
    (Rule::IdTokenIssuedAt, |op| {
        op.id_tokens(|token| token.without("iat"));
    }),
    (Rule::IdTokenNotBefore, |op| {
        op.id_tokens(|token| token.claim("nbf", "soon"));
    }),
    (Rule::IdTokenNonce, |op| {
        op.id_tokens(|token| token.without("nonce"));
    }),
    (Rule::IdTokenSubject, |op| {
        op.id_tokens(|token| token.claim("sub", ""));
    }),
    (Rule::IdTokenAccessTokenHash, |op| {
        op.id_tokens(|token| token.claim("at_hash", "A".repeat(22)));
    }),
    (Rule::IdTokenCodeHash, |op| {
        op.id_tokens(|token| token.claim("c_hash", "A".repeat(22)));
    }),
];

/// Read only where the settings ask for it.
pub(crate) const ASKED_FOR: &[Broken] = &[
    (Rule::IdTokenContext, |op| {
        op.id_tokens(|token| token.claim("acr", "password"));
    }),
    (Rule::IdTokenAuthenticationTime, |op| {
        op.id_tokens(|token| {
            token.claim("acr", "mfa");
            token.shift("auth_time", -3600);
        });
    }),
];

pub(crate) const USERINFO: &[Broken] = &[
    (Rule::UserinfoTooLong, |op| signed_userinfo(op, long)),
    (Rule::UserinfoRedirected, |op| {
        reply(op, Endpoint::UserInfo, moved);
    }),
    (Rule::UserinfoContentType, |op| {
        reply(op, Endpoint::UserInfo, called_html);
    }),
    (Rule::UserinfoJson, |op| {
        reply(op, Endpoint::UserInfo, two_values);
    }),
    (Rule::UserinfoJwt, |op| {
        signed_userinfo(op, |token| token.claim("aud", "somebody-else"));
    }),
    (Rule::UserinfoEncrypted, |op| signed_userinfo(op, encrypted)),
    (Rule::UserinfoSubject, |op| {
        op.replies(Endpoint::UserInfo, |reply| {
            reply.edit_json(|claims| claims["sub"] = json!("op-eve"));
        });
    }),
];

/// What is wrong with a logout token.
pub(crate) type LogoutLie = fn(&mut Draft);

pub(crate) const LOGOUT_TOKENS: &[(Rule, LogoutLie)] = &[
    (Rule::LogoutTokenForm, |token| {
        token.head("crit", json!(["exp"]));
    }),
    (Rule::LogoutTokenType, |token| token.head("typ", "JWT")),
    (Rule::LogoutTokenAlgorithm, Draft::unsigned),
    (Rule::LogoutTokenSignature, Draft::break_signature),
    (Rule::LogoutTokenIssuer, |token| {
        token.claim("iss", "https://op.evil.example");
    }),
    (Rule::LogoutTokenAudience, |token| {
        token.claim("aud", json!(["hubkey", "other"]));
    }),
    (Rule::LogoutTokenExpiry, |token| token.without("exp")),
    (Rule::LogoutTokenIssuedAt, |token| token.shift("iat", -3600)),
    (Rule::LogoutTokenEvents, |token| {
        token.claim("events", json!({}));
    }),
    (Rule::LogoutTokenNonce, |token| token.claim("nonce", "n")),
    (Rule::LogoutTokenSubject, |token| token.claim("sub", 7)),
    (Rule::LogoutTokenId, |token| token.without("jti")),
];
