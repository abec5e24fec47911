//! Time stamps of RFC 3161 (with RFC 5816): what is asked for, and whether an answer is one. Bytes in, bytes out.
//!
//! What is checked of an answer: that it was granted; that it is for these bytes (SHA-256) and this request (nonce);
//! that the certificate named by the signed attribute *signing certificate* signed it; that this certificate leads to
//! one of the given roots, is for time stamping alone, and was valid at the time that was stamped. What is not: whether a
//! certificate was revoked, which policy it was stamped under, and whether the authority's clock is right. Of
//! signatures, those of RSA (2048 bits and more) and ECDSA (P-256, P-384) with SHA-256, SHA-384 or, for RSA, SHA-512
//! are known.

mod signed;

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode as _, Reader as _, SliceReader, Tag};
use ring::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;
use vocabulary::{Timestamp, Zone};

pub(super) const SHA256_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");

/// An answer is no time stamp of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    #[error("the answer is not a time-stamp response: {0}")]
    Form(&'static str),
    #[error("the authority did not grant it (status {status}{})", if text.is_empty() { String::new() } else { format!(": {text}") })]
    NotGranted { status: u64, text: String },
    #[error("it is a time stamp of other bytes than were sent")]
    Imprint,
    #[error("it answers another request: the nonce is not the one that was sent")]
    Nonce,
    #[error("the certificate that signed it is not in the answer")]
    NoCertificate,
    #[error("its signature does not hold")]
    Signature,
    #[error("it is signed in a way that is not known here")]
    Algorithm,
    #[error("its certificate is not one for time stamping alone, as RFC 3161 wants it")]
    Purpose,
    #[error("its certificate does not lead to a root of `timestamp_ca`, or was not valid then: {0}")]
    Chain(String),
    #[error("a root of `timestamp_ca` can't be used: {0}")]
    Root(String),
}

/// What is asked for: the SHA-256 of some bytes, and a number that no other request has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    imprint: [u8; 32],
    nonce: [u8; 8],
}

/// A time stamp that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamped {
    /// When the authority says that it saw the bytes.
    pub at: Timestamp,
}

impl Request {
    /// `random`: eight bytes of which nobody knows anything.
    pub fn new(bytes: &[u8], random: [u8; 8]) -> Self {
        let mut imprint = [0; 32];
        imprint.copy_from_slice(digest(&SHA256, bytes).as_ref());
        let mut nonce = random;
        // A positive INTEGER of eight bytes, whatever was drawn.
        nonce[0] = 0x40 | (nonce[0] & 0x3f);
        Self { imprint, nonce }
    }

    /// `TimeStampReq` (RFC 3161, 2.4.1), in DER, for a body of type `application/timestamp-query`. The certificate is
    /// asked for; the policy is the authority's.
    pub fn der(&self) -> Vec<u8> {
        // version 1; messageImprint { SHA-256 with NULL parameters, 32 bytes }; nonce; certReq TRUE.
        const HEAD: [u8; 24] = [
            0x30, 0x43, 0x02, 0x01, 0x01, 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04,
            0x02, 0x01, 0x05, 0x00, 0x04, 0x20,
        ];
        [&HEAD[..], &self.imprint, &[0x02, 0x08], &self.nonce, &[0x01, 0x01, 0xff]].concat()
    }

    /// Checks an answer (`TimeStampResp`, in DER). `roots` are certificates in DER.
    ///
    /// # Errors
    /// It is not a granted time stamp of these bytes for this request that one of the roots vouches for.
    pub fn check(&self, answer: &[u8], roots: &[Vec<u8>]) -> Result<Stamped, TimestampError> {
        let (status, token) = response(answer)?;
        if !matches!(status.0, 0 | 1) {
            return Err(TimestampError::NotGranted { status: status.0, text: status.1 });
        }
        let token = token.ok_or(TimestampError::Form("it was granted and holds no token"))?;
        let signed = signed::Signed::read(token)?;
        let info = Info::read(signed.content())?;
        if info.imprint != self.imprint {
            return Err(TimestampError::Imprint);
        }
        if info.nonce != Some(&self.nonce[..]) {
            return Err(TimestampError::Nonce);
        }
        let roots: Vec<_> = roots.iter().map(|root| CertificateDer::from_slice(root)).collect();
        signed.verify(&roots, info.at)?;
        Ok(Stamped { at: info.at })
    }
}

/// `PKIStatusInfo` as number and text, and the token.
fn response(answer: &[u8]) -> Result<((u64, String), Option<AnyRef<'_>>), TimestampError> {
    let whole = AnyRef::from_der(answer).map_err(|_| TimestampError::Form("it is not DER"))?;
    let mut fields = Fields::of(whole, Tag::Sequence, "it is not a sequence")?;
    let mut status = Fields::of(fields.next("it has no status")?, Tag::Sequence, "its status is not a sequence")?;
    let number = status.next("its status has no number")?;
    let number = number.decode_as::<u64>().map_err(|_| TimestampError::Form("its status is not a number"))?;
    let mut words = Vec::new();
    if let Some(text) = status.next_if(Tag::Sequence) {
        let mut parts = Fields::of(text, Tag::Sequence, "its status text is not a sequence")?;
        while let Some(part) = parts.next_if(Tag::Utf8String) {
            // What others wrote goes to logs: one line, and not much of it.
            let plain = String::from_utf8_lossy(part.value());
            words.push(plain.chars().filter(|c| !c.is_control()).take(200).collect::<String>());
        }
    }
    Ok(((number, words.join("; ")), fields.next_if(Tag::Sequence)))
}

/// `TSTInfo` (RFC 3161, 2.4.2), what counts of it.
struct Info<'a> {
    imprint: &'a [u8],
    at: Timestamp,
    nonce: Option<&'a [u8]>,
}

impl<'a> Info<'a> {
    fn read(content: &'a [u8]) -> Result<Self, TimestampError> {
        let whole = AnyRef::from_der(content).map_err(|_| TimestampError::Form("its content is not DER"))?;
        let mut fields = Fields::of(whole, Tag::Sequence, "its content is not a sequence")?;
        let version = fields.next("its content has no version")?;
        if version.decode_as::<u8>() != Ok(1) {
            return Err(TimestampError::Form("its version is not 1"));
        }
        fields.expect(Tag::ObjectIdentifier, "it has no policy")?;
        let imprint = fields.expect(Tag::Sequence, "it has no imprint")?;
        let mut imprint = Fields::of(imprint, Tag::Sequence, "its imprint is not a sequence")?;
        if algorithm(imprint.expect(Tag::Sequence, "its imprint has no algorithm")?)? != SHA256_OID {
            return Err(TimestampError::Imprint);
        }
        let imprint = imprint.expect(Tag::OctetString, "its imprint has no hash")?.value();
        fields.expect(Tag::Integer, "it has no serial number")?;
        let at = time(fields.expect(Tag::GeneralizedTime, "it has no time")?.value());
        let at = at.ok_or(TimestampError::Form("its time can't be read"))?;
        // Accuracy and ordering.
        fields.next_if(Tag::Sequence);
        fields.next_if(Tag::Boolean);
        let nonce = fields.next_if(Tag::Integer).map(AnyRef::value);
        Ok(Self { imprint, at, nonce })
    }
}

/// `20261101000512Z` or `20261101000512.25Z` (RFC 3161, 2.4.2): GeneralizedTime in UTC, with fractions.
fn time(value: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(value).ok()?.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    if whole.len() != 14 || !whole.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| whole.get(from..to).unwrap_or_default();
    let (date, clock) = ((part(0, 4), part(4, 6), part(6, 8)), (part(8, 10), part(10, 12), part(12, 14)));
    let fraction = match fraction {
        None => String::new(),
        Some(digits) if (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) => {
            format!(".{digits}")
        }
        Some(_) => return None,
    };
    let text = format!("{}-{}-{}T{}:{}:{}{fraction}Z", date.0, date.1, date.2, clock.0, clock.1, clock.2);
    Timestamp::parse(&text, &Zone::UTC).ok()
}

/// The object identifier of an `AlgorithmIdentifier`.
fn algorithm(identifier: AnyRef<'_>) -> Result<ObjectIdentifier, TimestampError> {
    let mut fields = Fields::of(identifier, Tag::Sequence, "an algorithm is not a sequence")?;
    let oid = fields.expect(Tag::ObjectIdentifier, "an algorithm has no identifier")?;
    oid.decode_as().map_err(|_| TimestampError::Form("an algorithm's identifier can't be read"))
}

/// What stands in a constructed value, one after the other.
struct Fields<'a> {
    reader: SliceReader<'a>,
    /// Read already, and not taken.
    next: Option<AnyRef<'a>>,
}

impl<'a> Fields<'a> {
    fn of(value: AnyRef<'a>, tag: Tag, otherwise: &'static str) -> Result<Self, TimestampError> {
        if der::Tagged::tag(&value) != tag {
            return Err(TimestampError::Form(otherwise));
        }
        Self::inside(value, otherwise)
    }

    /// Whatever its tag is.
    fn inside(value: AnyRef<'a>, otherwise: &'static str) -> Result<Self, TimestampError> {
        let reader = SliceReader::new(value.value()).map_err(|_| TimestampError::Form(otherwise))?;
        Ok(Self { reader, next: None })
    }

    fn peek(&mut self) -> Option<AnyRef<'a>> {
        if self.next.is_none() && !self.reader.is_finished() {
            self.next = AnyRef::decode(&mut self.reader).ok();
        }
        self.next
    }

    fn next(&mut self, otherwise: &'static str) -> Result<AnyRef<'a>, TimestampError> {
        let next = self.peek().ok_or(TimestampError::Form(otherwise))?;
        self.next = None;
        Ok(next)
    }

    fn next_if(&mut self, tag: Tag) -> Option<AnyRef<'a>> {
        let next = self.peek().filter(|next| der::Tagged::tag(next) == tag)?;
        self.next = None;
        Some(next)
    }

    fn expect(&mut self, tag: Tag, otherwise: &'static str) -> Result<AnyRef<'a>, TimestampError> {
        self.next_if(tag).ok_or(TimestampError::Form(otherwise))
    }
}

#[cfg(test)]
mod tests;
