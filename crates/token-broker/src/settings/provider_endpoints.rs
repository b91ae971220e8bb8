//! Where a provider is.

use hubkey_domain::provider::{Endpoints, OAuth2Endpoints};
use hubkey_service::settings::{Section, value_type};
use url::Url;

use super::words::ENDPOINT;

/// What a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    OpenId,
    Plain,
}

const KIND: value_type::Enum<Speaks> =
    value_type::Enum(&[("oidc", Speaks::OpenId), ("oauth2", Speaks::Plain)]);

/// An issuer is compared byte by byte, so it stays text.
const ISSUER: value_type::Parsed<String> = value_type::Parsed::with(
    "an http or https URL without query and fragment",
    |text| {
        let url = Url::parse(text).ok()?;
        let fits = matches!(url.scheme(), "http" | "https")
            && url.query().is_none()
            && url.fragment().is_none();
        fits.then(|| text.to_owned())
    },
    Clone::clone,
);

struct Found {
    issuer: Option<String>,
    authorization: Option<Url>,
    token: Option<Url>,
    jwks: Option<Url>,
    userinfo: Option<Url>,
    revocation: Option<Url>,
    subject_field: Option<String>,
}

pub(super) fn read(section: &Section<'_>) -> Option<Endpoints> {
    let speaks = section.or(
        "protocol",
        &KIND,
        Speaks::OpenId,
        "`oidc`: OpenID Connect. `oauth2`: OAuth 2.0 alone, such as GitHub; its endpoints have to be given.",
    );
    let found = find(section);
    match speaks {
        Speaks::OpenId => openid(section, found),
        Speaks::Plain => plain(section, found),
    }
}

fn find(section: &Section<'_>) -> Found {
    let url = |key: &str, about: &str| -> Option<Url> { section.optional(key, &ENDPOINT, about) };
    Found {
        issuer: section.required(
            "issuer",
            &ISSUER,
            "The provider's issuer, exactly as it calls itself; for `oauth2` the name under which its accounts are known.",
        ),
        authorization: url(
            "authorization_endpoint",
            "Given with the next two, nothing is read from the provider's metadata.",
        ),
        token: url("token_endpoint", "See `authorization_endpoint`."),
        jwks: url("jwks_uri", "See `authorization_endpoint`; never for `oauth2`."),
        userinfo: url(
            "userinfo_endpoint",
            "Where accounts are asked for, in place of what the metadata say; for `oauth2` the API that says whose a token is.",
        ),
        revocation: url(
            "revocation_endpoint",
            "Where tokens are revoked (RFC 7009), in place of what the metadata say.",
        ),
        subject_field: section.optional(
            "subject_field",
            &value_type::TEXT,
            "Only for `oauth2`: which member of the userinfo answer is the account, such as `id` or `data.id`. It must never change and never be given to somebody else.",
        ),
    }
}

fn openid(section: &Section<'_>, found: Found) -> Option<Endpoints> {
    if found.subject_field.is_some() {
        section.fail(
            "subject_field",
            "remove it, or set `protocol = \"oauth2\"`.",
        );
        return None;
    }
    let issuer = found.issuer?;
    match (found.authorization, found.token, found.jwks) {
        (None, None, None) => Some(Endpoints::Discovered {
            issuer,
            userinfo: found.userinfo,
            revocation: found.revocation,
        }),
        (Some(authorization), Some(token), Some(jwks)) => Some(Endpoints::Explicit {
            issuer,
            authorization,
            token,
            jwks,
            userinfo: found.userinfo,
            revocation: found.revocation,
        }),
        _ => {
            section.fail(
                "authorization_endpoint",
                "give all of authorization_endpoint, token_endpoint and jwks_uri, or none of them.",
            );
            None
        }
    }
}

fn plain(section: &Section<'_>, found: Found) -> Option<Endpoints> {
    if found.jwks.is_some() {
        section.fail(
            "jwks_uri",
            "remove it: without OpenID Connect there is no ID token.",
        );
        return None;
    }
    let given = (
        found.authorization,
        found.token,
        found.userinfo,
        found.subject_field,
    );
    let (Some(authorization), Some(token), Some(userinfo), Some(subject_field)) = given else {
        section.fail(
            "authorization_endpoint",
            "give authorization_endpoint, token_endpoint, userinfo_endpoint and subject_field.",
        );
        return None;
    };
    Some(Endpoints::OAuth2(OAuth2Endpoints {
        issuer: found.issuer?,
        authorization,
        token,
        userinfo,
        revocation: found.revocation,
        subject_field,
    }))
}
