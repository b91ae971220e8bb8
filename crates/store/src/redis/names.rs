//! Names in Redis: keyed hashes, so that a dump tells neither who nor what.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{Key, keys::LookupMacKey, length_prefixed};

/// The one channel of all wake-ups.
pub(super) const CHANNEL: &str = "hk:wake";

/// Makes names.
#[derive(Debug)]
pub(super) struct Names(LookupMacKey);

impl Names {
    pub(super) fn new(index: LookupMacKey) -> Self {
        Self(index)
    }

    /// The name of a record. The braces hold what decides the slot in a cluster.
    pub(super) fn record(&self, key: &Key) -> String {
        let aggregate = self.hash("aggregate", &[key.aggregate()]);
        let id = self.hash("record", &whole(key));
        format!("hk:{{{aggregate}}}:{}:{id}", key.purpose().as_str())
    }

    /// What a wake-up of the key says.
    pub(super) fn wakeup(&self, key: &Key) -> String {
        self.hash("wake-up", &whole(key))
    }

    fn hash(&self, purpose: &str, parts: &[&[u8]]) -> String {
        URL_SAFE_NO_PAD.encode(self.0.hash(purpose, &length_prefixed(parts)))
    }
}

/// All of a key, so that one id under two aggregates or purposes cannot be seen to be one.
fn whole(key: &Key) -> [&[u8]; 3] {
    [key.aggregate(), key.purpose().as_str().as_bytes(), key.id()]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hubkey_domain::identity::HubUser;
    use hubkey_protocol::{ProviderId, ShortId, secret::Ticket};
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const TRICKY: [&str; 8] = ["a/b", "a%2Fb", "A", "a", "\u{430}", "a:b", "a\0b", "{a}"];

    fn name() -> impl Strategy<Value = String> {
        prop_oneof![
            proptest::sample::select(&TRICKY[..]).prop_map(str::to_owned),
            vec(proptest::sample::select(&TRICKY[..]), 1..4).prop_map(|parts| parts.concat()),
            "[ab:/%{}\u{430}]{1,4}",
            Just("x".repeat(255)),
            Just("x".repeat(254)),
            "\\PC{1,60}",
        ]
    }

    /// What a caller says, and the key that it gets.
    fn said() -> impl Strategy<Value = (Vec<String>, Key)> {
        let user = || name().prop_filter_map("a hub user", |name| HubUser::parse(&name));
        let provider = prop_oneof!["[ab-]{1,3}", Just("a".repeat(63))]
            .prop_filter_map("a provider", |id| ProviderId::parse(id).ok());
        let text = |user: &HubUser| user.as_str().to_owned();
        prop_oneof![
            user()
                .prop_map(move |user| (vec!["index".into(), text(&user)], Key::user_index(&user))),
            (user(), provider).prop_map(move |(user, provider)| {
                let said = vec!["account-link".into(), text(&user), provider.as_str().into()];
                (said, Key::account_link(&user, &provider))
            }),
            (user(), name(), name()).prop_map(move |(user, a, b)| {
                let key = Key::idempotency(&user, &a, &b);
                (vec!["idempotency".into(), text(&user), a, b], key)
            }),
            (name(), name()).prop_map(|(issuer, subject)| {
                let key = Key::owner(&issuer, &subject);
                (vec!["owner".into(), issuer, subject], key)
            }),
        ]
    }

    proptest! {
        /// Two keys have one name only if the caller said the same, and no name shows what was said.
        #[test]
        fn security_k11_names_of_records_are_injective(all in vec(said(), 2..40)) {
            let names = Names::new(LookupMacKey::new(&[7; 32]));
            let mut seen = BTreeMap::new();
            for (said, key) in all {
                for name in [names.record(&key), names.wakeup(&key)] {
                    let form = "[A-Za-z0-9_-]{43}";
                    prop_assert!(name.len() == 43 || name.starts_with("hk:{"), "{name}, {form}");
                    let before = seen.insert(name, said.clone());
                    prop_assert!(before.is_none_or(|before| before == said));
                }
            }
        }

        /// The same for the bytes that are hashed and sealed, so that it does not rest on the hash alone.
        #[test]
        fn security_k11_bytes_of_keys_are_injective(a in said(), b in said()) {
            let bytes = |key: &Key| length_prefixed(&whole(key));
            prop_assert_eq!(bytes(&a.1) == bytes(&b.1), a.0 == b.0);
        }
    }

    #[test]
    fn records_of_one_aggregate_lie_in_one_slot_and_show_no_id() {
        let names = Names::new(LookupMacKey::new(&[7; 32]));
        let short = ShortId::parse("abcdef").unwrap();
        let tag = |name: &str| name.split_once('}').unwrap().0.to_owned();
        let first = names.record(&Key::ticket(&short, &Ticket::new("abcdef.one")));
        let second = names.record(&Key::ticket(&short, &Ticket::new("abcdef.two")));
        assert_eq!(tag(&first), tag(&second));
        assert_ne!(first, second);
        assert!(!first.contains("abcdef"), "{first}");
    }
}
