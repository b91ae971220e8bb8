//! Key files: 32 random bytes, raw or as text.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use aws_lc_rs::rand;
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use zeroize::Zeroizing;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const TEXTS: [GeneralPurpose; 2] = [
    GeneralPurpose::new(&alphabet::STANDARD, LENIENT),
    GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT),
];

/// Why a key file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read.
    #[error("the key file {path} cannot be read")]
    Read {
        /// The path of the file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// It holds something else.
    #[error("the key file {path} does not hold 32 random bytes, raw, as base64 or as hex")]
    Form {
        /// The path of the file.
        path: PathBuf,
    },
    /// It cannot be written; an existing file is never replaced.
    #[error("the key file {path} cannot be written")]
    Write {
        /// The path of the file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

/// Writes a new key file, for its owner only. An existing file is left as it is, and is an error.
pub fn generate(path: &Path) -> Result<(), KeyFileError> {
    let mut key = Zeroizing::new([0; 32]);
    rand::fill(key.as_mut()).map_err(|_| KeyFileError::Random)?;
    let text = Zeroizing::new(STANDARD.encode(key.as_ref()));
    let write = || -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        writeln!(file, "{}", *text)?;
        file.sync_all()
    };
    write().map_err(|source| KeyFileError::Write {
        path: path.to_owned(),
        source,
    })
}

pub(super) fn read(path: &Path) -> Result<Zeroizing<[u8; 32]>, KeyFileError> {
    let bytes = fs::read(path).map_err(|source| KeyFileError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(&Zeroizing::new(bytes)).ok_or_else(|| KeyFileError::Form {
        path: path.to_owned(),
    })
}

fn parse(bytes: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let key = exactly(bytes).or_else(|| {
        let text = str::from_utf8(bytes).ok()?.trim_ascii();
        match text.len() {
            64 => from_hex(text),
            43 | 44 => from_base64(text),
            _ => None,
        }
    })?;
    // Nobody draws 32 equal bytes; somebody may have written a placeholder.
    key.iter().any(|byte| *byte != key[0]).then_some(key)
}

fn exactly(bytes: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    <[u8; 32]>::try_from(bytes).ok().map(Zeroizing::new)
}

fn from_base64(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    TEXTS.iter().find_map(|engine| {
        let mut bytes = Zeroizing::new([0; 33]);
        let length = engine.decode_slice(text, bytes.as_mut()).ok()?;
        exactly(&bytes[..length])
    })
}

fn from_hex(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |at: usize| char::from(digits[at]).to_digit(16);
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE};

    use super::*;

    fn key() -> [u8; 32] {
        std::array::from_fn(|at| 200 + u8::try_from(at).unwrap())
    }

    #[test]
    fn every_form_of_a_key_is_read() {
        let hex = key().map(|byte| format!("{byte:02x}")).concat();
        for text in [
            key().to_vec(),
            STANDARD.encode(key()).into_bytes(),
            STANDARD_NO_PAD.encode(key()).into_bytes(),
            format!("{}\n", URL_SAFE.encode(key())).into_bytes(),
            hex.to_uppercase().into_bytes(),
            format!(" {hex}\r\n").into_bytes(),
        ] {
            assert_eq!(*parse(&text).unwrap(), key(), "{text:?}");
        }
    }

    #[test]
    fn other_files_are_no_keys() {
        for bytes in [
            &b""[..],
            b"changeme",
            &[0; 32],
            &key()[..31],
            &[7; 33],
            &[b'g'; 64],
            &[b'*'; 44],
            &[b'0'; 64],
        ] {
            assert!(parse(bytes).is_none(), "{bytes:?}");
        }
    }

    #[test]
    fn a_generated_key_is_the_owners_and_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        generate(&path).unwrap();
        let first = read(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(matches!(generate(&path), Err(KeyFileError::Write { .. })));
        assert_eq!(*read(&path).unwrap(), *first);
        let other = folder.path().join("other");
        generate(&other).unwrap();
        assert_ne!(*read(&other).unwrap(), *first);
    }
}
