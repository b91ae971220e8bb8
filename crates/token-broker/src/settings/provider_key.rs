//! The key by which hubkey proves itself to a provider (RFC 7523), and whether its public half is published.

use std::iter;

use hubkey_domain::provider::AssertionKey;
use hubkey_oidc::{KeyFault, check_key};
use hubkey_protocol::secret::{ClientKey, Secret};
use hubkey_service::settings::{Section, value_type};

const ALGORITHM: value_type::Enum<&str> = value_type::Enum(&[
    ("PS256", "PS256"),
    ("RS256", "RS256"),
    ("ES256", "ES256"),
    ("ES384", "ES384"),
    ("EdDSA", "EdDSA"),
]);

/// What the settings say of a key.
pub(super) struct Given {
    key: AssertionKey,
    others: Vec<ClientKey>,
    is_whole: bool,
    publish: bool,
}

/// The key, if there is one. `wanted`: hubkey proves itself by it.
pub(super) fn read(section: &Section<'_>, wanted: bool) -> Option<Given> {
    let pem = section.optional_secret(
        "private_key",
        ClientKey::new,
        "The private key of `private_key_jwt` as PEM (PKCS#8). With `publish_jwks` more keys may follow, which are published \
         and do not sign.",
    );
    let id = section.optional(
        "private_key_kid",
        &value_type::TEXT,
        "What the provider calls the private key (`kid`).",
    );
    let algorithm = section.optional(
        "token_endpoint_auth_signing_alg",
        &ALGORITHM,
        "What the private key signs with; by default PS256, ES256, ES384 or EdDSA, by the kind of key.",
    );
    let publish = section.or(
        "publish_jwks",
        &value_type::BOOL,
        false,
        "Whether the public half of the private key is published at `<public_url>/jwks/<id>`, for a provider that reads it \
         there (`jwks_uri`).",
    );
    if publish && !wanted {
        section.fail(
            "publish_jwks",
            "remove it, or set `token_endpoint_auth_method = \"private_key_jwt\"`.",
        );
    }
    let pem = pem?;
    let (keys, is_whole) = split(&pem);
    let mut keys = keys.into_iter();
    let key = AssertionKey {
        pem: keys.next().unwrap_or(pem),
        id,
        algorithm: algorithm.map(str::to_owned),
        published_with: None,
    };
    Some(Given {
        key,
        others: keys.collect(),
        is_whole,
        publish,
    })
}

/// The key as it is used, if it can be.
pub(super) fn checked(section: &Section<'_>, given: Given) -> Option<AssertionKey> {
    let mistakes = given.mistakes();
    for (key, sentence) in &mistakes {
        section.fail(key, sentence);
    }
    mistakes.is_empty().then(|| AssertionKey {
        published_with: given.publish.then_some(given.others),
        ..given.key
    })
}

impl Given {
    fn mistakes(&self) -> Vec<(&'static str, String)> {
        const FILE: &str = "private_key_file";
        let mut mistakes = Vec::new();
        if self.publish && self.key.id.is_some() {
            mistakes.push((
                "private_key_kid",
                "remove it: a published key is named by its thumbprint (RFC 7638).".to_owned(),
            ));
        }
        if self.publish && !self.is_whole {
            mistakes.push((
                FILE,
                "leave nothing but whole private keys in the file: what is published is worked out from them.".to_owned(),
            ));
        }
        if !self.publish && !self.others.is_empty() {
            mistakes.push((
                FILE,
                "leave one private key in the file, or set `publish_jwks = true`.".to_owned(),
            ));
        }
        let keys = iter::once(&self.key.pem).chain(&self.others);
        mistakes.extend(keys.zip(1..).filter_map(|(pem, number)| {
            let checked = check_key(pem, self.key.algorithm.as_deref(), self.publish);
            Some((FILE, told(checked.err()?, number)))
        }));
        mistakes
    }
}

fn told(fault: KeyFault, number: usize) -> String {
    let which = match number {
        1 => String::new(),
        _ => format!("key {number} of the file cannot be used: "),
    };
    match fault {
        KeyFault::Unusable => format!(
            "{which}name a file with a private key as PEM: PKCS#8, RSA of 2048 bits or more, P-256, P-384 or Ed25519, and \
             one that `token_endpoint_auth_signing_alg` fits."
        ),
        KeyFault::Unpublishable => format!(
            "{which}this kind of file is not read for publication: write an Ed25519 key as `openssl genpkey` does."
        ),
    }
}

/// The private keys of a PEM file (RFC 7468), and whether it holds nothing but whole ones.
fn split(text: &ClientKey) -> (Vec<ClientKey>, bool) {
    const BEGIN: &str = "-----BEGIN ";
    let pem = text.expose();
    let blocks = pem.match_indices(BEGIN).map(|(begin, _)| {
        let block = &pem[begin..];
        let (label, _) = block[BEGIN.len()..].split_once("-----")?;
        let end = format!("-----END {label}-----");
        let length = block.find(&end)? + end.len();
        let block = &block[..length];
        let is_key = label.ends_with("PRIVATE KEY") && block.matches(BEGIN).count() == 1;
        is_key.then(|| ClientKey::new(block))
    });
    let blocks: Vec<_> = blocks.collect();
    let is_whole = blocks.iter().all(Option::is_some);
    (blocks.into_iter().flatten().collect(), is_whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----";
    const TWO: &str = "-----BEGIN PRIVATE KEY-----\nBBBB\n-----END PRIVATE KEY-----";

    fn keys_in(text: &str) -> (Vec<String>, bool) {
        let (keys, is_whole) = split(&ClientKey::new(text));
        let keys = keys.iter().map(|key| key.expose().to_owned());
        (keys.collect(), is_whole)
    }

    #[test]
    fn keys_are_found_in_the_order_of_the_file() {
        let both = (vec![ONE.to_owned(), TWO.to_owned()], true);
        for text in [
            format!("{ONE}\n{TWO}\n"),
            format!("Bag Attributes\n{ONE}\n\n{TWO}"),
            format!("{ONE}{TWO}"),
        ] {
            assert_eq!(keys_in(&text), both, "{text}");
        }
        let windows = format!("{ONE}\n{TWO}\n").replace('\n', "\r\n");
        let found = keys_in(&windows).0.concat().replace("\r\n", "\n");
        assert_eq!(found, [ONE, TWO].concat());
    }

    #[test]
    fn what_is_no_whole_key_is_noticed() {
        let public = TWO.replace("PRIVATE", "PUBLIC");
        for (text, keys) in [
            (format!("{ONE}\n{public}"), vec![ONE]),
            (format!("{ONE}\n{}", &TWO[..40]), vec![ONE]),
            (format!("{}\n{TWO}", &ONE[..34]), vec![TWO]),
        ] {
            assert_eq!(keys_in(&text).0, keys, "{text}");
            assert!(!keys_in(&text).1, "{text}");
        }
        assert_eq!(keys_in("no key"), (vec![], true));
    }
}
