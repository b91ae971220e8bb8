//! When a certificate ends. rustls has no need of it on a server and does not say.

use std::time::Duration;

use der::asn1::{AnyRef, GeneralizedTime, UtcTime};
use der::{Decode as _, SliceReader, Tag, TagNumber, Tagged as _};

/// `notAfter` of a certificate (RFC 5280, 4.1.2.5), since 1970.
pub(super) fn expires(certificate: &[u8]) -> Option<Duration> {
    let certificate = AnyRef::from_der(certificate).ok()?;
    let signed = AnyRef::decode(&mut SliceReader::new(certificate.value()).ok()?).ok()?;
    let mut fields = SliceReader::new(signed.value()).ok()?;
    let first = AnyRef::decode(&mut fields).ok()?;
    // The version, which the oldest certificates lack, then serial number, algorithm, issuer.
    let has_version = first.tag()
        == (Tag::ContextSpecific {
            constructed: true,
            number: TagNumber(0),
        });
    for _ in 0..(if has_version { 3 } else { 2 }) {
        AnyRef::decode(&mut fields).ok()?;
    }
    let validity = AnyRef::decode(&mut fields).ok()?;
    let mut times = SliceReader::new(validity.value()).ok()?;
    AnyRef::decode(&mut times).ok()?;
    time(&mut times)
}

fn time(times: &mut SliceReader<'_>) -> Option<Duration> {
    match Tag::peek(times).ok()? {
        Tag::UtcTime => UtcTime::decode(times)
            .ok()
            .map(|time| time.to_unix_duration()),
        Tag::GeneralizedTime => GeneralizedTime::decode(times)
            .ok()
            .map(|time| time.to_unix_duration()),
        _ => None,
    }
}
