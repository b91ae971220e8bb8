//! Records of keys that are held no more: counted, and told once for each key.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use crate::{Purpose, RetiredKey, StoreError, keys::KeyId};

/// So many keys are told by name. The name stands in the record, where whoever writes Redis may put what they like, and a
/// label has to be out of a closed set.
const MOST: usize = 16;

/// The keys that were missed so far.
#[derive(Debug, Default)]
pub(crate) struct Missed(Mutex<BTreeSet<[u8; KeyId::LEN]>>);

impl Missed {
    /// What a record of that key counts as: nothing, or an error.
    pub(crate) fn judge(&self, retired: RetiredKey) -> Result<(), StoreError> {
        self.log(retired.key, retired.purpose);
        if retired.purpose.is_gone_with_its_key() {
            Ok(())
        } else {
            Err(StoreError::KeyRetired(retired))
        }
    }

    fn log(&self, key: KeyId, purpose: Purpose) {
        let mut missed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = missed.len() < MOST;
        let new = room && missed.insert(*key.as_bytes());
        let named = new || missed.contains(key.as_bytes());
        drop(missed);
        if new {
            tracing::warn!(
                key_id = %key,
                "there are records of an encryption key that this broker does not hold: they count as gone, and people sign in \
                 or confirm again; where the key was not taken out on purpose, put it back into `keys.encryption_key_files`"
            );
        }
        let name = if named {
            key.to_string()
        } else {
            "other".to_owned()
        };
        metrics::counter!("hubkey_retired_key_records_total", "purpose" => purpose.as_str(), "key_id" => name)
            .increment(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_somebody_invents_make_no_label_each() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let _guard = metrics::set_default_local_recorder(&recorder);
        let missed = Missed::default();
        for number in 0..100 {
            let retired = RetiredKey {
                key: KeyId::new([number; KeyId::LEN]),
                purpose: Purpose::AccountLink,
                generation: 1,
            };
            assert!(missed.judge(retired).is_ok());
        }
        let shown = handle.render();
        let lines = shown.lines().filter(|line| line.starts_with("hubkey_"));
        assert_eq!(lines.count(), MOST + 1, "{shown}");
        assert!(shown.contains("key_id=\"other\"} 84"), "{shown}");
    }
}
