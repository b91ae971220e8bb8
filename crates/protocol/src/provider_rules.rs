//! The table of rules for what a provider sends: each refusal that remains, why it remains, and where the rule stands.
//!
//! A provider's odd ways are no reason to refuse it. A sentence of this table is one only because it holds one of the things
//! of [`Holds`]; what holds none of them nobody reads. The manual's page of these rules is made from the table, and a test
//! goes through it.

mod row;

use crate::SignInFailure;

pub use row::{Consequence, Holds, RuleGroup, RuleRow};

use Holds::{Audience, Binding, Destination, Identity, Keys, Memory, Once, OneReading, Usable};
use RuleGroup::{
    Answer, IdToken, KeySet, LogoutToken, Metadata, PushedRequest, Redirect, TokenAnswer, Userinfo,
};

/// The provider broke a rule.
const BROKEN: Consequence = Consequence::SignIn(SignInFailure::ProviderProtocolError);
/// The settings and the provider do not fit together.
const UNFIT: Consequence = Consequence::SignIn(SignInFailure::ProviderMisconfigured);
/// Hubkey does not know how to read it.
const UNKNOWN: Consequence = Consequence::SignIn(SignInFailure::NotSupported);
/// There is more of it than hubkey takes.
const TOO_LONG: Consequence = Consequence::SignIn(SignInFailure::AnswerTooLong);
/// The provider reads 400, and no session ends.
const NO_LOGOUT: Consequence = Consequence::Logout;

/// Declares the enum together with its table. A rule's documentation is what the table says of it: how it is broken.
macro_rules! rules {
    ($(
        #[doc = $broken:literal]
        $rule:ident($name:literal, $group:ident, $holds:ident, $consequence:ident, $source:literal);
    )*) => {
        /// A rule for what a provider sends; its documentation says how it is broken.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ProviderRule {
            $(#[doc = $broken] $rule,)*
        }

        impl ProviderRule {
            /// Each of them, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$rule),*];

            /// Its row.
            #[must_use]
            pub const fn row(self) -> &'static RuleRow {
                match self {
                    $(Self::$rule => {
                        const ROW: RuleRow = RuleRow {
                            name: $name,
                            group: $group,
                            broken: $broken.trim_ascii(),
                            holds: $holds,
                            consequence: $consequence,
                            source: $source,
                        };
                        &ROW
                    })*
                }
            }
        }
    };
}

impl ProviderRule {
    /// Its word, for logs and the audit stream.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// The rules of a group.
    pub fn of(group: RuleGroup) -> impl Iterator<Item = Self> {
        let all = Self::ALL.iter().copied();
        all.filter(move |rule| rule.row().group == group)
    }
}

rules! {
    /// an answer is longer than [hubkey takes](limits.md#sizes)
    AnswerTooLong("answer_too_long", Answer, Memory, TOO_LONG, "hubkey");
    /// an endpoint's name leads to an address that is never asked, such as a private one
    AddressNotPermitted("address_not_permitted", Answer, Destination, UNFIT, "hubkey");

    /// nothing is published where `issuer` says; the log line has the address
    MetadataNotFound("metadata_not_found", Metadata, Usable, UNFIT, "OpenID Connect Discovery 1.0 section 4.1");
    /// they are elsewhere: a redirect
    MetadataRedirected("metadata_redirected", Metadata, Destination, BROKEN, "OpenID Connect Discovery 1.0 section 4.2");
    /// they are not called JSON
    MetadataContentType("metadata_content_type", Metadata, OneReading, BROKEN, "OpenID Connect Discovery 1.0 section 4.2");
    /// they are not one JSON object, or it has two values for one name
    MetadataJson("metadata_not_strict_json", Metadata, OneReading, BROKEN, "RFC 8259 section 4");
    /// a member that hubkey goes by is missing, of another type, or no URL
    MetadataMembers("metadata_members", Metadata, Destination, BROKEN, "OpenID Connect Discovery 1.0 section 3");
    /// they are of another issuer than the settings name, to the letter; the log line has both
    MetadataIssuer("metadata_issuer", Metadata, Identity, UNFIT, "OpenID Connect Discovery 1.0 section 4.3");
    /// an endpoint is on another host than the issuer and not in `allowed_endpoint_hosts`
    EndpointHost("endpoint_host", Metadata, Destination, UNFIT, "hubkey");
    /// an endpoint is no `https` address, or one that is never asked
    EndpointUrl("endpoint_url", Metadata, Destination, UNFIT, "RFC 6749 section 3.2");
    /// the token endpoint moved to another host while the broker ran
    TokenEndpointHostChanged("token_endpoint_host_changed", Metadata, Destination, BROKEN, "hubkey");
    /// the authorization endpoint's own query has a parameter that hubkey or the settings set
    AuthorizationEndpointQuery("authorization_endpoint_query", Metadata, OneReading, UNFIT, "RFC 6749 section 3.1");
    /// the methods of PKCE that are listed lack `S256`
    PkceS256("pkce_s256", Metadata, Binding, UNFIT, "RFC 9700 section 2.1.1");
    /// no algorithm that hubkey knows is offered for ID tokens
    IdTokenAlgorithms("id_token_algorithms", Metadata, Keys, UNKNOWN, "RFC 8725 section 3.2");
    /// pushed requests are demanded and not offered, or the settings say otherwise
    PushedRequests("pushed_authorization_requests", Metadata, Usable, UNFIT, "RFC 9126 section 5");
    /// userinfo is to be read, and there is no endpoint
    UserinfoEndpoint("userinfo_endpoint", Metadata, Usable, UNFIT, "OpenID Connect Discovery 1.0 section 3");

    /// `iss` beside the code is another issuer
    ResponseIssuer("response_iss", Redirect, Binding, BROKEN, "RFC 9207 section 2.4");
    /// there is no `iss`, and the metadata promise one
    ResponseIssuerMissing("response_iss_missing", Redirect, Binding, BROKEN, "RFC 9207 section 2.4");
    /// the provider's issuer is not the one that the sign-in, or the grant, began with
    IssuerChanged("issuer_changed", Redirect, Identity, BROKEN, "RFC 9700 section 4.4.2");

    /// it is elsewhere: a redirect
    TokenRedirected("token_redirected", TokenAnswer, Destination, BROKEN, "RFC 6749 section 5.1");
    /// it is not called JSON
    TokenContentType("token_content_type", TokenAnswer, OneReading, BROKEN, "RFC 6749 section 5.1");
    /// it is not one JSON object, or it has two values for one name
    TokenJson("token_json", TokenAnswer, OneReading, BROKEN, "RFC 8259 section 4");
    /// it is a form in which a name stands twice (providers without OpenID Connect)
    TokenForm("token_form", TokenAnswer, OneReading, BROKEN, "RFC 6749 appendix B");
    /// it refuses, and not in a form of OAuth
    TokenErrorForm("token_error_form", TokenAnswer, Usable, BROKEN, "RFC 6749 section 5.2");
    /// the token is of another type than Bearer
    TokenType("token_type", TokenAnswer, Usable, BROKEN, "RFC 6749 section 7.1");
    /// there is no access token, or none that can stand in a header
    AccessToken("access_token", TokenAnswer, Usable, BROKEN, "RFC 6750 section 2.1");
    /// the refresh token is no text
    RefreshToken("refresh_token", TokenAnswer, Usable, BROKEN, "RFC 6749 section 5.1");
    /// the scopes are no text, or none that a scope may be
    Scope("scope", TokenAnswer, Audience, BROKEN, "RFC 6749 section 3.3");
    /// the ID token is no text
    IdTokenMember("id_token", TokenAnswer, Identity, BROKEN, "OpenID Connect Core 1.0 section 3.1.3.3");
    /// there is no ID token
    IdTokenMissing("id_token_missing", TokenAnswer, Identity, BROKEN, "OpenID Connect Core 1.0 section 3.1.3.3");

    /// it is elsewhere: a redirect
    ParRedirected("par_redirected", PushedRequest, Destination, BROKEN, "RFC 9126 section 2.2");
    /// it is not called JSON
    ParContentType("par_content_type", PushedRequest, OneReading, BROKEN, "RFC 9126 section 2.2");
    /// it is not one JSON object, or it has two values for one name
    ParJson("par_json", PushedRequest, OneReading, BROKEN, "RFC 8259 section 4");
    /// it refuses, and not in a form of OAuth
    ParErrorForm("par_error_form", PushedRequest, Usable, BROKEN, "RFC 9126 section 2.3");
    /// the reference is over when it comes
    ParExpiresIn("par_expires_in", PushedRequest, Usable, BROKEN, "RFC 9126 section 2.2");
    /// there is no reference, or none that can stand in a URL
    ParRequestUri("par_request_uri", PushedRequest, Usable, BROKEN, "RFC 9126 section 2.2");

    /// it is elsewhere: a redirect
    JwksRedirected("jwks_redirected", KeySet, Keys, BROKEN, "OpenID Connect Discovery 1.0 section 3");
    /// it is not called JSON
    JwksContentType("jwks_content_type", KeySet, OneReading, BROKEN, "RFC 7517 section 8.5");
    /// it is not one JSON object with a list of keys, or it has two values for one name
    JwksForm("jwks_form", KeySet, OneReading, BROKEN, "RFC 7517 section 5");
    /// it has more keys than [hubkey takes](limits.md#sizes)
    JwksTooManyKeys("jwks_too_many_keys", KeySet, Memory, BROKEN, "hubkey");
    /// it publishes a private key. **Call the provider**
    JwksPrivateKey("jwks_private_key", KeySet, Keys, BROKEN, "RFC 7517 section 9.2");

    /// it is longer than [hubkey takes](limits.md#sizes)
    IdTokenTooLong("id_token_too_long", IdToken, Memory, TOO_LONG, "hubkey");
    /// it is not three parts of base64url with JSON in them, or a name stands twice in it
    IdTokenForm("id_token_form", IdToken, OneReading, BROKEN, "RFC 7515 section 5.2");
    /// it is encrypted
    IdTokenEncrypted("id_token_encrypted", IdToken, Usable, UNKNOWN, "OpenID Connect Core 1.0 section 3.1.3.7, 1");
    /// its header has `crit`: something in it has to be understood that hubkey does not know
    IdTokenCritical("id_token_crit", IdToken, OneReading, BROKEN, "RFC 7515 section 4.1.11");
    /// its `typ` or `cty` says that it is another kind of token
    IdTokenType("id_token_typ", IdToken, Audience, BROKEN, "RFC 8725 section 3.11");
    /// it is signed with another algorithm than the settings or the metadata allow, or not at all
    IdTokenAlgorithm("id_token_alg", IdToken, Keys, BROKEN, "OpenID Connect Core 1.0 section 3.1.3.7, 7");
    /// it is signed with an algorithm that hubkey does not know, such as those with the client secret
    IdTokenAlgorithmUnknown("id_token_alg_unknown", IdToken, Keys, UNKNOWN, "RFC 8725 section 3.1");
    /// the name of its key is no text, or too long
    IdTokenKeyId("id_token_kid", IdToken, Keys, BROKEN, "RFC 7515 section 4.1.4");
    /// the key set has no key of that name for that algorithm, or too many
    IdTokenKey("id_token_key", IdToken, Keys, BROKEN, "RFC 7515 section 5.2");
    /// the key did not make its signature
    IdTokenSignature("id_token_signature", IdToken, Keys, BROKEN, "OpenID Connect Core 1.0 section 3.1.3.7, 6");
    /// it is of another issuer
    IdTokenIssuer("id_token_iss", IdToken, Identity, BROKEN, "OpenID Connect Core 1.0 section 3.1.3.7, 2");
    /// it is not for hubkey, or also for somebody who is not in `trusted_audiences`
    IdTokenAudience("id_token_aud", IdToken, Audience, BROKEN, "OpenID Connect Core 1.0 section 3.1.3.7, 3");
    /// it names another client than hubkey as the one it was made for
    IdTokenAuthorizedParty("id_token_azp", IdToken, Audience, BROKEN, "OpenID Connect Core 1.0 section 3.1.3.7, 5");
    /// it has ended, or does not say when it ends. Compare the clocks before you raise `clock_skew`
    IdTokenExpiry("id_token_exp", IdToken, Once, BROKEN, "OpenID Connect Core 1.0 section 3.1.3.7, 9");
    /// it was not made just now, or does not say when. Compare the clocks
    IdTokenIssuedAt("id_token_iat", IdToken, Once, BROKEN, "OpenID Connect Core 1.0 section 3.1.3.7, 10");
    /// its time has not come, or is no time. Compare the clocks
    IdTokenNotBefore("id_token_nbf", IdToken, Once, BROKEN, "RFC 7519 section 4.1.5");
    /// it is of another sign-in
    IdTokenNonce("id_token_nonce", IdToken, Binding, BROKEN, "OpenID Connect Core 1.0 section 3.1.3.7, 11");
    /// it names nobody; or, at a refresh, another person
    IdTokenSubject("id_token_sub", IdToken, Identity, BROKEN, "OpenID Connect Core 1.0 section 2");
    /// the demanded level (`acr_values`) is missing
    IdTokenContext("id_token_acr", IdToken, Identity, BROKEN, "OpenID Connect Core 1.0 section 3.1.3.7, 12");
    /// the person signed in longer ago than `max_age` demands, or it does not say when
    IdTokenAuthenticationTime("id_token_auth_time", IdToken, Identity, BROKEN, "OpenID Connect Core 1.0 section 3.1.3.7, 13");
    /// the access token beside it is another one than it was made with
    IdTokenAccessTokenHash("id_token_at_hash", IdToken, Binding, BROKEN, "OpenID Connect Core 1.0 section 3.1.3.8");
    /// the code was another one than it was made with
    IdTokenCodeHash("id_token_c_hash", IdToken, Binding, BROKEN, "OpenID Connect Core 1.0 section 3.3.2.10");

    /// a signed one is longer than [hubkey takes](limits.md#sizes)
    UserinfoTooLong("userinfo_too_long", Userinfo, Memory, TOO_LONG, "hubkey");
    /// it is elsewhere: a redirect, which the access token does not follow
    UserinfoRedirected("userinfo_redirected", Userinfo, Destination, BROKEN, "OpenID Connect Core 1.0 section 5.3.2");
    /// it is called neither JSON nor a JWT
    UserinfoContentType("userinfo_content_type", Userinfo, OneReading, BROKEN, "OpenID Connect Core 1.0 section 5.3.2");
    /// it is not one JSON object, or it has two values for one name
    UserinfoJson("userinfo_json", Userinfo, OneReading, BROKEN, "RFC 8259 section 4");
    /// it is a JWT of no form that hubkey reads, not signed by this issuer, not for hubkey, or over
    UserinfoJwt("userinfo_jwt", Userinfo, Audience, BROKEN, "OpenID Connect Core 1.0 section 5.3.2");
    /// it is encrypted
    UserinfoEncrypted("userinfo_encrypted", Userinfo, Usable, BROKEN, "OpenID Connect Core 1.0 section 5.3.2");
    /// it is about another account than the ID token. **Look at it**
    UserinfoSubject("userinfo_sub", Userinfo, Identity, BROKEN, "OpenID Connect Core 1.0 section 5.3.2");
    /// the field that names the account is missing, or no subject (providers without OpenID Connect)
    UserinfoSubjectField("userinfo_subject", Userinfo, Identity, BROKEN, "hubkey");

    /// it is no JWT in a form that hubkey reads
    LogoutTokenForm("logout_token_form", LogoutToken, OneReading, NO_LOGOUT, "RFC 7515 section 5.2");
    /// its `typ` says that it is another kind of token
    LogoutTokenType("logout_token_typ", LogoutToken, Audience, NO_LOGOUT, "OpenID Connect Back-Channel Logout 1.0 section 2.4");
    /// it is signed with an algorithm that ID tokens may not be signed with
    LogoutTokenAlgorithm("logout_token_alg", LogoutToken, Keys, NO_LOGOUT, "OpenID Connect Back-Channel Logout 1.0 section 2.6");
    /// no key of the provider made its signature
    LogoutTokenSignature("logout_token_signature", LogoutToken, Keys, NO_LOGOUT, "OpenID Connect Back-Channel Logout 1.0 section 2.6");
    /// it is of another issuer
    LogoutTokenIssuer("logout_token_iss", LogoutToken, Identity, NO_LOGOUT, "OpenID Connect Back-Channel Logout 1.0 section 2.6");
    /// it is not for hubkey, or also for somebody who is not in `trusted_audiences`
    LogoutTokenAudience("logout_token_aud", LogoutToken, Audience, NO_LOGOUT, "OpenID Connect Back-Channel Logout 1.0 section 2.6");
    /// it has ended, or does not say when it ends
    LogoutTokenExpiry("logout_token_exp", LogoutToken, Once, NO_LOGOUT, "OpenID Connect Back-Channel Logout 1.0 section 2.6");
    /// it was not made just now, or does not say when
    LogoutTokenIssuedAt("logout_token_iat", LogoutToken, Once, NO_LOGOUT, "OpenID Connect Back-Channel Logout 1.0 section 2.6");
    /// it does not say that a session ends
    LogoutTokenEvents("logout_token_events", LogoutToken, Audience, NO_LOGOUT, "OpenID Connect Back-Channel Logout 1.0 section 2.6");
    /// it has a nonce: it may be an ID token
    LogoutTokenNonce("logout_token_nonce", LogoutToken, Audience, NO_LOGOUT, "OpenID Connect Back-Channel Logout 1.0 section 2.4");
    /// it names neither an account nor a session, or not as a text
    LogoutTokenSubject("logout_token_sub", LogoutToken, Identity, NO_LOGOUT, "OpenID Connect Back-Channel Logout 1.0 section 2.6");
    /// it has no name of its own (`jti`), or not as a text
    LogoutTokenId("logout_token_jti", LogoutToken, Once, NO_LOGOUT, "OpenID Connect Back-Channel Logout 1.0 section 2.6");
    /// it came before
    LogoutTokenReplayed("logout_token_replayed", LogoutToken, Once, NO_LOGOUT, "OpenID Connect Back-Channel Logout 1.0 section 2.6");
    /// the session that it names is another account's
    LogoutTokenForeignSession("logout_token_sub_of_another_session", LogoutToken, Identity, NO_LOGOUT, "OpenID Connect Back-Channel Logout 1.0 section 2.6");
    /// it is signed with another algorithm than the ID tokens of what it would end; set `id_token_algs` where the provider does so
    LogoutTokenForeignAlgorithm("logout_token_alg_of_another_session", LogoutToken, Keys, NO_LOGOUT, "OpenID Connect Back-Channel Logout 1.0 section 2.6");
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn found_b1_each_rule_says_how_it_is_broken_what_it_holds_and_where_it_stands() {
        let mut names = HashSet::new();
        let mut held = HashSet::new();
        for rule in ProviderRule::ALL {
            let row = rule.row();
            let is_word =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            assert!(row.name.bytes().all(is_word), "{}", row.name);
            assert!(names.insert(row.name), "{} stands twice", row.name);
            let sentence = row.broken;
            assert!(!sentence.starts_with(char::is_uppercase), "{sentence}");
            assert!(!sentence.ends_with('.'), "{sentence}");
            let standard = ["RFC ", "OpenID Connect "]
                .iter()
                .any(|name| row.source.starts_with(name));
            assert!(standard || row.source == "hubkey", "{}", row.source);
            let logout = row.consequence == Consequence::Logout;
            assert_eq!(logout, row.group == LogoutToken, "{}", row.name);
            held.insert(row.holds.said().0);
        }
        assert_eq!(
            held.len(),
            Holds::ALL.len(),
            "each of them is held by a rule"
        );
    }
}
