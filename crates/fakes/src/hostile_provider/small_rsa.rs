//! RS256 with a key of 1024 bits, which no current library makes or signs with: a key from a file and the textbook.
//! The key guards nothing; it exists to be refused.

use aws_lc_rs::digest::{SHA256, digest};
use num_bigint::BigUint;

/// 65537
pub(super) const EXPONENT: [u8; 3] = [1, 0, 1];

const MODULUS: &[u8] =
    b"ecf6ed7c0e5e65482be1b7f4db0b6fda5a27d8d0523c7fd557b17b0cd49537971094f527ebb22e36\
    312707a8eb15b63d2fd6080765c88757af97046fd483d88e504ddd63192b7f5895cd0d34ee543906\
    359c740c2635508100968da8f9e92b5ac3c098c76d67edca2ee662ea61ec2f2b8fef6be0c5da6adc\
    9082e9f911948713";

const PRIVATE_EXPONENT: &[u8] =
    b"133d4530e255c5b16366b331dd2b038cddef084a79b2d1ca379180651d497436feb0a96af157092b\
    7b3829060cf83950a476a3363e8c5678c717e2d35594d2db2b262bd2fe263ceed11e2c7b792edf55\
    5886a8ffffde2df097276f9451fc00d8d97b97e8751c8aa69c15fe8ba540c34aa292e80f49049716\
    086f409ae16adfb9";

/// `DigestInfo` of SHA-256 up to the digest (RFC 8017, 9.2, note 1).
const DIGEST_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];

const LENGTH: usize = 128;

/// The modulus, big-endian.
pub(super) fn modulus() -> Vec<u8> {
    number(MODULUS).to_bytes_be()
}

/// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, 8.2.1).
pub(super) fn sign(message: &[u8]) -> Vec<u8> {
    let digest = digest(&SHA256, message);
    let tail = [&[0], DIGEST_INFO.as_slice(), digest.as_ref()].concat();
    let mut padded = vec![0xff; LENGTH - tail.len()];
    padded[0] = 0;
    padded[1] = 1;
    padded.extend(tail);
    let signature = BigUint::from_bytes_be(&padded)
        .modpow(&number(PRIVATE_EXPONENT), &number(MODULUS))
        .to_bytes_be();
    [vec![0; LENGTH - signature.len()], signature].concat()
}

fn number(hexadecimal: &[u8]) -> BigUint {
    BigUint::parse_bytes(hexadecimal, 16).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{
        RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RsaPublicKeyComponents,
    };

    #[test]
    fn the_small_key_signs_correctly() {
        let key = RsaPublicKeyComponents {
            n: super::modulus(),
            e: super::EXPONENT.to_vec(),
        };
        let signature = super::sign(b"message");
        assert_eq!(key.n.len() * 8, 1024);
        key.verify(
            &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
            b"message",
            &signature,
        )
        .unwrap();
    }
}
