//! The ring of encryption keys: the first seals, all open, and the files may change while the broker runs.
//!
//! To rotate: put the new key second in every replica, then first, then (when the metric says that nothing is opened
//! with the old one any more, at the latest when the longest-lived record has ended) take the old one out.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey, Tag};

use super::{KeyFileError, KeyId, LookupMacKey, SEAL, derive, file};

/// Why a ring of keys is of no use.
#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    /// No file was named.
    #[error("at least one encryption key is needed")]
    Empty,
    /// A file is of no use.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// One key has two uses.
    #[error("an encryption key and the lookup MAC key are the same; generate one file for each")]
    SameKey,
    /// The library refused the key.
    #[error("an encryption key was refused")]
    Refused,
}

/// The encryption keys.
pub struct KeyRing {
    files: Vec<PathBuf>,
    index: KeyId,
    keys: RwLock<Arc<[Arc<EncryptionKey>]>>,
}

impl KeyRing {
    /// Reads the key files, the active one first.
    pub fn open(files: Vec<PathBuf>, index: &LookupMacKey) -> Result<Self, KeyRingError> {
        let keys = read(&files, index.id)?;
        Ok(Self {
            files,
            index: index.id,
            keys: RwLock::new(keys),
        })
    }

    /// A ring of given keys, the active one first: for a process that keeps no files.
    pub fn from_keys(keys: &[[u8; 32]], index: &LookupMacKey) -> Result<Self, KeyRingError> {
        let keys = keys
            .iter()
            .map(EncryptionKey::new)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            files: Vec::new(),
            index: index.id,
            keys: RwLock::new(checked(keys, index.id)?),
        })
    }

    /// Reads the files again and says whether anything changed. After an error the ring is as it was.
    pub fn reload(&self) -> Result<bool, KeyRingError> {
        if self.files.is_empty() {
            return Ok(false);
        }
        let keys = read(&self.files, self.index)?;
        let same = ids(&keys).eq(ids(&self.keys()));
        if !same {
            *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        }
        Ok(!same)
    }

    /// The key that seals.
    #[must_use]
    pub fn active(&self) -> Arc<EncryptionKey> {
        Arc::clone(&self.keys()[0])
    }

    /// The key of this name, if the ring still holds it.
    #[must_use]
    pub fn find(&self, id: KeyId) -> Option<Arc<EncryptionKey>> {
        self.keys().iter().find(|key| key.id == id).cloned()
    }

    /// The slice is whole at any time, so a panic elsewhere does not spoil it.
    fn keys(&self) -> Arc<[Arc<EncryptionKey>]> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(ids(&self.keys())).finish()
    }
}

/// One encryption key: AES-256-GCM-SIV (RFC 8452), which survives the repetition of a nonce.
pub struct EncryptionKey {
    id: KeyId,
    key: RandomizedNonceKey,
}

/// A value was not opened, or not sealed. There is no more to say: a reason would help an attacker only.
#[derive(Debug, thiserror::Error)]
#[error("the value could not be opened or sealed")]
pub(crate) struct DecryptionFailed;

impl EncryptionKey {
    /// How many bytes sealing adds in front of the value and behind it.
    pub(crate) const NONCE: usize = NONCE_LEN;
    pub(crate) const TAG: usize = 16;

    fn new(bytes: &[u8; 32]) -> Result<Arc<Self>, KeyRingError> {
        let derived = derive(bytes, SEAL);
        let key = RandomizedNonceKey::new(&AES_256_GCM_SIV, derived.as_ref())
            .map_err(|_| KeyRingError::Refused)?;
        Ok(Arc::new(Self {
            id: KeyId::of(bytes),
            key,
        }))
    }

    /// The key's name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Seals in place under a fresh random nonce.
    pub(crate) fn seal(
        &self,
        associated: &[u8],
        value: &mut [u8],
    ) -> Result<(Nonce, Tag), DecryptionFailed> {
        self.key
            .seal_in_place_separate_tag(Aad::from(associated), value)
            .map_err(|_| DecryptionFailed)
    }

    /// Opens a value with its tag in place.
    pub(crate) fn open<'a>(
        &self,
        nonce: [u8; NONCE_LEN],
        associated: &[u8],
        sealed: &'a mut [u8],
    ) -> Result<&'a [u8], DecryptionFailed> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key
            .open_in_place(nonce, Aad::from(associated), sealed)
            .map(|value| &*value)
            .map_err(|_| DecryptionFailed)
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptionKey({})", self.id)
    }
}

fn read(files: &[PathBuf], index: KeyId) -> Result<Arc<[Arc<EncryptionKey>]>, KeyRingError> {
    let keys = files
        .iter()
        .map(|path| EncryptionKey::new(&*file::read(path)?))
        .collect::<Result<_, _>>()?;
    checked(keys, index)
}

fn checked(
    keys: Vec<Arc<EncryptionKey>>,
    index: KeyId,
) -> Result<Arc<[Arc<EncryptionKey>]>, KeyRingError> {
    if keys.is_empty() {
        return Err(KeyRingError::Empty);
    }
    if keys.iter().any(|key| key.id == index) {
        return Err(KeyRingError::SameKey);
    }
    Ok(keys.into())
}

fn ids(keys: &[Arc<EncryptionKey>]) -> impl Iterator<Item = KeyId> {
    keys.iter().map(|key| key.id)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::keys::generate;

    #[test]
    fn one_key_for_two_uses_is_refused() {
        let index = LookupMacKey::new(&[1; 32]);
        let ring = KeyRing::from_keys(&[[2; 32], [1; 32]], &index);
        assert!(matches!(ring, Err(KeyRingError::SameKey)));
        let ring = KeyRing::from_keys(&[], &index);
        assert!(matches!(ring, Err(KeyRingError::Empty)));
    }

    #[test]
    fn changed_files_are_read_again_and_bad_ones_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        generate(&path).unwrap();
        let index = LookupMacKey::new(&[1; 32]);
        let ring = KeyRing::open(vec![path.clone()], &index).unwrap();
        let first = ring.active().id();
        assert!(!ring.reload().unwrap());

        fs::write(&path, "not a key").unwrap();
        assert!(ring.reload().is_err());
        assert_eq!(ring.active().id(), first);

        fs::remove_file(&path).unwrap();
        generate(&path).unwrap();
        assert!(ring.reload().unwrap());
        assert_ne!(ring.active().id(), first);
        assert!(ring.find(first).is_none());
    }
}
