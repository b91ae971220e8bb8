//! The table of bounds: how long, how many and how deep may be what comes from outside. Each row has the limit, the largest
//! value that is known to occur, and what becomes of more. Whoever reads something takes its limit from here; the manual's
//! page of limits is made from it, and each row is tried at both sides by the tests of its group.

mod row;

use crate::{ErrorCode, SignInFailure, table::closed_table};

pub use row::{Beyond, BoundGroup, BoundRow, Seen, Unit};

impl Bound {
    /// So much is taken; one more is not.
    #[must_use]
    pub const fn limit(self) -> usize {
        self.row().limit
    }

    /// The rows of a group.
    pub fn of(group: BoundGroup) -> impl Iterator<Item = Self> {
        let all = Self::ALL.iter().copied();
        all.filter(move |bound| bound.row().group == group)
    }
}

const KIB: usize = 1024;

closed_table! {
    /// What is bounded.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Bound: BoundRow {
        /// The request target at callback-server's public listener.
        PublicAddress {
            name: "public_address",
            group: BoundGroup::Request,
            what: "the address of a request to callback-server",
            limit: 12 * KIB,
            unit: Unit::Bytes,
            seen: Seen::Follows("from the code: 5,000 characters and a state"),
            beyond: Beyond::EndsSignIn(SignInFailure::AnswerTooLong),
            note: "On the way back from a provider; elsewhere a page (414).",
        }
        /// The head there.
        PublicHead {
            name: "public_head",
            group: BoundGroup::Request,
            what: "its whole head, with all cookies of the site",
            limit: 24 * KIB,
            unit: Unit::Bytes,
            seen: Seen::NotKnown,
            beyond: Beyond::EndsSignIn(SignInFailure::CookiesTooLong),
            note: "On the way back from a provider; elsewhere a page (431).",
        }
        /// How much of a head is read there to say what is too long.
        PublicHeadRead {
            name: "public_head_read",
            group: BoundGroup::Request,
            what: "as much of a head as is read to tell what is too long in it",
            limit: 64 * KIB,
            unit: Unit::Bytes,
            seen: Seen::NotKnown,
            beyond: Beyond::Otherwise {
                person: "a page (414)",
                kernel: "nothing: its sign-in expires, since the state was not read",
            },
            note: "Browsers and proxies mostly refuse such addresses themselves.",
        }
        /// The request target at token-broker's listeners.
        Address {
            name: "address",
            group: BoundGroup::Request,
            what: "the address of a request to token-broker",
            limit: 4 * KIB,
            unit: Unit::Bytes,
            seen: Seen::Own,
            beyond: Beyond::Refused(ErrorCode::UriTooLong),
            note: "",
        }
        /// The head there.
        Head {
            name: "head",
            group: BoundGroup::Request,
            what: "its whole head",
            limit: 16 * KIB,
            unit: Unit::Bytes,
            seen: Seen::NotKnown,
            beyond: Beyond::Refused(ErrorCode::HeadersTooLarge),
            note: "",
        }
        /// Header fields at any listener.
        HeaderFields {
            name: "header_fields",
            group: BoundGroup::Request,
            what: "the header fields of any request",
            limit: 64,
            unit: Unit::Fields,
            seen: Seen::NotKnown,
            beyond: Beyond::Refused(ErrorCode::HeadersTooLarge),
            note: "People get a page.",
        }
        /// The body of a request.
        Body {
            name: "body",
            group: BoundGroup::Request,
            what: "the body of any request, such as a form or a provider's logout",
            limit: 16 * KIB,
            unit: Unit::Bytes,
            seen: Seen::Own,
            beyond: Beyond::Refused(ErrorCode::PayloadTooLarge),
            note: "People get a page.",
        }
        /// The body of a request of callback-server.
        InternalBody {
            name: "internal_body",
            group: BoundGroup::Request,
            what: "the body of a request of callback-server to token-broker",
            limit: 64 * KIB,
            unit: Unit::Bytes,
            seen: Seen::Follows("from the code: 8 KiB, of which each character may take six in JSON"),
            beyond: Beyond::Refused(ErrorCode::PayloadTooLarge),
            note: "",
        }
        /// `code` (RFC 6749 section 4.1.2).
        Code {
            name: "code",
            group: BoundGroup::CallbackServer,
            what: "the code that a provider, or the Hub, sends back",
            limit: 8 * KIB,
            unit: Unit::Bytes,
            seen: Seen::AtMost(5000, "Microsoft Entra and its B2C"),
            beyond: Beyond::EndsSignIn(SignInFailure::AnswerTooLong),
            note: "",
        }
        /// `iss` (RFC 9207).
        ResponseIssuer {
            name: "response_issuer",
            group: BoundGroup::CallbackServer,
            what: "the issuer (`iss`) beside it",
            limit: 512,
            unit: Unit::Bytes,
            seen: Seen::NotKnown,
            beyond: Beyond::EndsSignIn(SignInFailure::AnswerTooLong),
            note: "",
        }
        /// `error` (RFC 6749 section 4.1.2.1).
        ResponseError {
            name: "response_error",
            group: BoundGroup::CallbackServer,
            what: "the error that comes in its place",
            limit: 64,
            unit: Unit::Bytes,
            seen: Seen::AtMost(33, "`unmet_authentication_requirements` of OpenID Connect"),
            beyond: Beyond::Otherwise {
                person: "what an unknown error gets",
                kernel: "the same",
            },
            note: "",
        }
        /// `state` (RFC 6749 section 4.1.2).
        State {
            name: "state",
            group: BoundGroup::CallbackServer,
            what: "the state beside it",
            limit: 256,
            unit: Unit::Bytes,
            seen: Seen::Own,
            beyond: Beyond::Otherwise {
                person: "a page (400)",
                kernel: "nothing: no sign-in has that state",
            },
            note: "",
        }
        /// The ticket in a link.
        Ticket {
            name: "ticket",
            group: BoundGroup::CallbackServer,
            what: "the ticket in a sign-in's link",
            limit: 128,
            unit: Unit::Bytes,
            seen: Seen::Own,
            beyond: Beyond::Otherwise {
                person: "the page of a link that does not work",
                kernel: "nothing: no sign-in has that link",
            },
            note: "",
        }
        /// A flow cookie.
        FlowCookie {
            name: "flow_cookie",
            group: BoundGroup::CallbackServer,
            what: "the value of a flow cookie",
            limit: 256,
            unit: Unit::Bytes,
            seen: Seen::Own,
            beyond: Beyond::Otherwise {
                person: "what a browser without the cookie gets",
                kernel: "the same",
            },
            note: "",
        }
        /// The token in a form.
        FormToken {
            name: "form_token",
            group: BoundGroup::CallbackServer,
            what: "the token in a form of hubkey's pages",
            limit: 128,
            unit: Unit::Bytes,
            seen: Seen::Own,
            beyond: Beyond::Otherwise {
                person: "a page (400)",
                kernel: "nothing: its sign-in waits on",
            },
            note: "",
        }
        /// A logout token (OpenID Connect Back-Channel Logout 1.0).
        LogoutToken {
            name: "logout_token",
            group: BoundGroup::CallbackServer,
            what: "a logout token",
            limit: 12 * KIB,
            unit: Unit::Bytes,
            seen: Seen::NotKnown,
            beyond: Beyond::Otherwise {
                person: "nothing: the provider gets 400",
                kernel: "nothing: no connection ends",
            },
            note: "It names an account and a session, and lists no groups.",
        }
        /// An ID token, and userinfo that is signed.
        IdToken {
            name: "id_token",
            group: BoundGroup::Provider,
            what: "an ID token, and userinfo that is signed",
            limit: 64 * KIB,
            unit: Unit::Bytes,
            seen: Seen::AtMost(20_000, "Microsoft Entra, people in 300 groups"),
            beyond: Beyond::EndsSignIn(SignInFailure::AnswerTooLong),
            note: "At a refresh the person gets a new link.",
        }
        /// An answer of a provider.
        ProviderAnswer {
            name: "provider_answer",
            group: BoundGroup::Provider,
            what: "any other answer of a provider, with all its tokens",
            limit: 256 * KIB,
            unit: Unit::Bytes,
            seen: Seen::Follows("from the ID token: an access token of that length beside it, and a refresh token"),
            beyond: Beyond::EndsSignIn(SignInFailure::AnswerTooLong),
            note: "At a refresh the person gets a new link.",
        }
        /// A key set (RFC 7517).
        KeySet {
            name: "key_set",
            group: BoundGroup::Provider,
            what: "a provider's key set",
            limit: 64 * KIB,
            unit: Unit::Bytes,
            seen: Seen::NotKnown,
            beyond: Beyond::EndsSignIn(SignInFailure::AnswerTooLong),
            note: "",
        }
        /// Its keys.
        Keys {
            name: "keys",
            group: BoundGroup::Provider,
            what: "the keys in it",
            limit: 64,
            unit: Unit::Keys,
            seen: Seen::NotKnown,
            beyond: Beyond::EndsSignIn(SignInFailure::ProviderProtocolError),
            note: "",
        }
        /// `request_uri` (RFC 9126 section 2.2).
        PushedReference {
            name: "pushed_reference",
            group: BoundGroup::Provider,
            what: "the reference to a pushed request (`request_uri`)",
            limit: KIB,
            unit: Unit::Bytes,
            seen: Seen::NotKnown,
            beyond: Beyond::EndsSignIn(SignInFailure::ProviderProtocolError),
            note: "",
        }
        /// `kid` (RFC 7517 section 4.5).
        KeyName {
            name: "key_name",
            group: BoundGroup::Provider,
            what: "the name of a key (`kid`)",
            limit: 256,
            unit: Unit::Bytes,
            seen: Seen::NotKnown,
            beyond: Beyond::EndsSignIn(SignInFailure::ProviderProtocolError),
            note: "In a key set such a key is left out.",
        }
        /// How deep JSON goes.
        JsonDepth {
            name: "json_depth",
            group: BoundGroup::Provider,
            what: "objects and lists within each other, in any JSON of a provider",
            limit: 16,
            unit: Unit::Levels,
            seen: Seen::NotKnown,
            beyond: Beyond::EndsSignIn(SignInFailure::ProviderProtocolError),
            note: "",
        }
        /// `sub` (OpenID Connect Core 1.0 section 2).
        Subject {
            name: "subject",
            group: BoundGroup::Provider,
            what: "the subject of an account (`sub`), in ASCII",
            limit: 255,
            unit: Unit::Bytes,
            seen: Seen::Standard(255, "OpenID Connect Core 1.0 section 2"),
            beyond: Beyond::EndsSignIn(SignInFailure::ProviderProtocolError),
            note: "",
        }
        /// A name or an address of an account.
        AccountLabel {
            name: "account_label",
            group: BoundGroup::Provider,
            what: "the name of an account",
            limit: 255,
            unit: Unit::Characters,
            seen: Seen::NotKnown,
            beyond: Beyond::Otherwise {
                person: "the beginning",
                kernel: "the beginning",
            },
            note: "",
        }
        /// An answer of the Hub.
        HubAnswer {
            name: "hub_answer",
            group: BoundGroup::Hub,
            what: "an answer of the Hub",
            limit: 64 * KIB,
            unit: Unit::Bytes,
            seen: Seen::NotKnown,
            beyond: Beyond::Refused(ErrorCode::HubUnavailable),
            note: "",
        }
        /// A hub user's name.
        HubName {
            name: "hub_name",
            group: BoundGroup::Hub,
            what: "the name of a hub user",
            limit: 255,
            unit: Unit::Bytes,
            seen: Seen::Follows("from the 255 characters of JupyterHub's table `users`, if they are ASCII"),
            beyond: Beyond::Refused(ErrorCode::HubUnavailable),
            note: "",
        }
        /// A server's name.
        ServerName {
            name: "server_name",
            group: BoundGroup::Hub,
            what: "the name of a server",
            limit: 255,
            unit: Unit::Bytes,
            seen: Seen::Follows("from the 255 characters of JupyterHub's table `spawners`, if they are ASCII"),
            beyond: Beyond::Refused(ErrorCode::NotAServerToken),
            note: "",
        }
        /// `account` of `connect()`.
        AccountName {
            name: "account_name",
            group: BoundGroup::Kernel,
            what: "the account that `connect(account=…)` names",
            limit: 256,
            unit: Unit::Characters,
            seen: Seen::Standard(254, "RFC 5321 section 4.5.3.1.3, for an e-mail address"),
            beyond: Beyond::Refused(ErrorCode::BadRequest),
            note: "",
        }
        /// A scope (RFC 6749 section 3.3).
        Scope {
            name: "scope",
            group: BoundGroup::Kernel,
            what: "one scope, also of a provider's answer",
            limit: 255,
            unit: Unit::Bytes,
            seen: Seen::NotKnown,
            beyond: Beyond::Refused(ErrorCode::BadRequest),
            note: "",
        }
        /// `Idempotency-Key`.
        IdempotencyKey {
            name: "idempotency_key",
            group: BoundGroup::Kernel,
            what: "the header `Idempotency-Key`",
            limit: 255,
            unit: Unit::Bytes,
            seen: Seen::Own,
            beyond: Beyond::Refused(ErrorCode::BadRequest),
            note: "",
        }
        /// An answer of token-broker.
        BrokerAnswer {
            name: "broker_answer",
            group: BoundGroup::Broker,
            what: "an answer of token-broker",
            limit: 512 * KIB,
            unit: Unit::Bytes,
            seen: Seen::Follows("from a provider's answer, whose access token it holds"),
            beyond: Beyond::Otherwise {
                person: "the page of a broker that does not answer",
                kernel: "the error of an answer that is not understood",
            },
            note: "",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn found_c_no_bound_is_below_what_occurs() {
        let mut names = HashSet::new();
        for bound in Bound::ALL {
            let row = bound.row();
            assert!(names.insert(row.name), "{} twice", row.name);
            if let Seen::AtMost(largest, place) | Seen::Standard(largest, place) = row.seen {
                assert!(largest <= row.limit, "{}: {place}", row.name);
            }
            assert!(row.note.is_empty() || row.note.ends_with('.'));
        }
    }

    #[test]
    fn found_c_the_bounds_on_a_sign_ins_way_are_those_that_were_decided() {
        let decided = [
            (Bound::PublicAddress, 12),
            (Bound::PublicHead, 24),
            (Bound::Code, 8),
            (Bound::IdToken, 64),
            (Bound::ProviderAnswer, 256),
        ];
        for (bound, kib) in decided {
            assert_eq!(bound.limit(), kib * KIB, "{}", bound.name());
        }
    }
}
