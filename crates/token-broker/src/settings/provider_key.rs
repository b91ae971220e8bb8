//! The key by which hubkey proves itself to a provider (RFC 7523), and whether its public half is published.

use hubkey_protocol::secret::{ClientKey, Secret};
use hubkey_service::settings::{Section, kind};

use crate::{domain::provider::AssertionKey, idp::is_usable};

const ALGORITHM: kind::Word<&str> = kind::Word(&[
    ("PS256", "PS256"),
    ("RS256", "RS256"),
    ("ES256", "ES256"),
    ("ES384", "ES384"),
    ("EdDSA", "EdDSA"),
]);

/// What a key file holds: the key that signs, and what else is in the file.
pub(super) struct Read {
    key: AssertionKey,
    others: Vec<ClientKey>,
    publish: bool,
}

/// The key, if there is one. `wanted`: hubkey proves itself by it.
pub(super) fn read(section: &Section<'_>, wanted: bool) -> Option<Read> {
    let pem = section.optional_secret(
        "private_key",
        ClientKey::new,
        "The private key of `private_key_jwt` as PEM (PKCS#8). With `publish_keys` more keys may follow, which are published \
         and do not sign.",
    );
    let id = section.optional(
        "private_key_id",
        &kind::TEXT,
        "What the provider calls the private key (`kid`).",
    );
    let algorithm = section.optional(
        "private_key_alg",
        &ALGORITHM,
        "What the private key signs with; by default PS256, ES256, ES384 or EdDSA, by the kind of key.",
    );
    let publish = section.or(
        "publish_keys",
        &kind::SWITCH,
        false,
        "Whether the public half of the private key is published at `<public_url>/jwks/<id>`, for a provider that reads it \
         there (`jwks_uri`).",
    );
    if publish && !wanted {
        section.fail(
            "publish_keys",
            "remove it, or set `client_authentication = \"private_key_jwt\"`.",
        );
    }
    let mut keys = split(&pem?).into_iter();
    let key = AssertionKey {
        pem: keys.next()?,
        id,
        algorithm: algorithm.map(str::to_owned),
        published_with: None,
    };
    Some(Read {
        key,
        others: keys.collect(),
        publish,
    })
}

/// The key as it is used, if it can be.
pub(super) fn checked(section: &Section<'_>, read: Read) -> Option<AssertionKey> {
    let Read {
        mut key,
        others,
        publish,
    } = read;
    if publish && key.id.is_some() {
        section.fail(
            "private_key_id",
            "remove it: a published key is named by its thumbprint (RFC 7638).",
        );
        return None;
    }
    if !publish && !others.is_empty() {
        section.fail(
            "private_key_file",
            "leave one private key in the file, or set `publish_keys = true`.",
        );
        return None;
    }
    key.published_with = publish.then_some(others);
    if is_usable(&key) {
        return Some(key);
    }
    section.fail(
        "private_key_file",
        "name a file with a private key as PEM: PKCS#8, RSA of 2048 bits or more, P-256, P-384 or Ed25519, and one that \
         `private_key_alg` fits.",
    );
    None
}

/// Each private key of a PEM file; the whole text where there is none.
fn split(text: &ClientKey) -> Vec<ClientKey> {
    let pem = text.expose();
    let (mut keys, mut begin, mut end) = (Vec::new(), 0, 0);
    for line in pem.split_inclusive('\n') {
        if line.starts_with("-----BEGIN ") {
            begin = end;
        }
        end += line.len();
        if line.starts_with("-----END ") && line.contains("PRIVATE KEY") {
            keys.push(ClientKey::new(&pem[begin..end]));
        }
    }
    if keys.is_empty() {
        keys.push(text.clone());
    }
    keys
}
