//! The signature of a time-stamp token: CMS signed data (RFC 5652) with one signer, whose certificate a signed
//! attribute names (RFC 5035, 2634).

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode as _, Encode as _, Tag, TagNumber, Tagged as _};
use ring::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use vocabulary::Timestamp;
use webpki::ring as algorithms;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::{Fields, SHA256_OID, TimestampError, algorithm};

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SIGNING_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.12");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
const SHA384_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
/// id-kp-timeStamping (1.3.6.1.5.5.7.3.8), as it stands in a certificate.
const TIME_STAMPING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];

/// Signed data with one signer.
pub(super) struct Signed<'a> {
    content: &'a [u8],
    certificates: Vec<CertificateDer<'a>>,
    digest: ObjectIdentifier,
    /// The attributes as they are signed: a SET OF in DER.
    attributes: Vec<u8>,
    attribute: Attributes<'a>,
    signature: &'a [u8],
}

/// The signed attributes that count.
#[derive(Default)]
struct Attributes<'a> {
    content_type: Option<ObjectIdentifier>,
    message_digest: Option<&'a [u8]>,
    /// Hash of the signer's certificate, and by which algorithm.
    certificate: Option<(&'static digest::Algorithm, &'a [u8])>,
}

const fn context(number: u32) -> Tag {
    Tag::ContextSpecific { constructed: true, number: TagNumber(number) }
}

impl<'a> Signed<'a> {
    /// Reads a `ContentInfo` that holds a `SignedData` with a `TSTInfo`.
    pub(super) fn read(token: AnyRef<'a>) -> Result<Self, TimestampError> {
        let mut info = Fields::of(token, Tag::Sequence, "its token is not a sequence")?;
        if oid(info.expect(Tag::ObjectIdentifier, "its token has no type")?)? != SIGNED_DATA {
            return Err(TimestampError::Form("its token is not signed data"));
        }
        let wrapped = info.expect(context(0), "its token is empty")?;
        let data = Fields::inside(wrapped, "its token is empty")?.next("its token is empty")?;
        let mut data = Fields::of(data, Tag::Sequence, "its signed data is not a sequence")?;
        data.expect(Tag::Integer, "its signed data has no version")?;
        data.expect(Tag::Set, "its signed data has no digest algorithms")?;
        let content = content(data.expect(Tag::Sequence, "its signed data has no content")?)?;
        let mut certificates = Vec::new();
        if let Some(set) = data.next_if(context(0)) {
            let mut set = Fields::inside(set, "its certificates can't be read")?;
            while let Some(certificate) = set.next_if(Tag::Sequence) {
                certificates.push(CertificateDer::from(whole(certificate)?));
            }
        }
        data.next_if(context(1));
        let mut signers = Fields::inside(data.expect(Tag::Set, "it has no signers")?, "it has no signers")?;
        let signer = signers.next("it has no signer")?;
        if signers.peek().is_some() {
            return Err(TimestampError::Form("it has more than one signer"));
        }
        let mut signer = Fields::of(signer, Tag::Sequence, "its signer is not a sequence")?;
        signer.expect(Tag::Integer, "its signer has no version")?;
        // Issuer and serial number, or a key identifier. What counts is the signed attribute.
        signer.next("its signer has no name")?;
        let digest = algorithm(signer.expect(Tag::Sequence, "its signer has no digest algorithm")?)?;
        let attributes = signer.expect(context(0), "its signer has no signed attributes")?;
        signer.expect(Tag::Sequence, "its signer has no signature algorithm")?;
        let signature = signer.expect(Tag::OctetString, "its signer has no signature")?.value();
        let attribute = Attributes::read(attributes)?;
        // RFC 5652, 5.4: signed as a SET OF, not with the tag it is sent with.
        let set = AnyRef::new(Tag::Set, attributes.value());
        let attributes = set.and_then(|set| set.to_der());
        let attributes = attributes.map_err(|_| TimestampError::Form("its signed attributes can't be read"))?;
        Ok(Self { content, certificates, digest, attributes, attribute, signature })
    }

    pub(super) fn content(&self) -> &'a [u8] {
        self.content
    }

    /// Checks the signature, and that one of the roots vouched at that time for who made it.
    pub(super) fn verify(&self, roots: &[CertificateDer<'_>], at: Timestamp) -> Result<(), TimestampError> {
        let (digest, algorithms) = known(self.digest)?;
        if self.attribute.content_type != Some(TST_INFO)
            || self.attribute.message_digest != Some(digest::digest(digest, self.content).as_ref())
        {
            return Err(TimestampError::Signature);
        }
        let (hash, named) = self.attribute.certificate.ok_or(TimestampError::NoCertificate)?;
        let own = self.certificates.iter().find(|one| digest::digest(hash, one).as_ref() == named);
        let own = own.ok_or(TimestampError::NoCertificate)?;
        let chain = |error: webpki::Error| TimestampError::Chain(error.to_string());
        let certificate = EndEntityCert::try_from(own).map_err(chain)?;
        let holds = |algorithm: &&dyn SignatureVerificationAlgorithm| {
            certificate.verify_signature(*algorithm, &self.attributes, self.signature)
        };
        let mut error = TimestampError::Algorithm;
        let verified = algorithms.iter().any(|algorithm| match holds(algorithm) {
            Ok(()) => true,
            Err(webpki::Error::InvalidSignatureForPublicKey) => {
                error = TimestampError::Signature;
                false
            }
            Err(_) => false,
        });
        if !verified {
            return Err(error);
        }
        let anchors: Result<Vec<_>, _> = roots.iter().map(anchor_from_trusted_cert).collect();
        let anchors = anchors.map_err(|error| TimestampError::Root(error.to_string()))?;
        let others: Vec<_> = self.certificates.iter().filter(|one| *one != own).cloned().collect();
        let seconds = u64::try_from(at.secs()).map_err(|_| TimestampError::Form("its time lies before 1970"))?;
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        is_for_time_stamping(own)?;
        let usage = KeyUsage::required_if_present(TIME_STAMPING);
        certificate
            .verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &anchors, &others, time, usage, None, None)
            .map(drop)
            .map_err(chain)
    }
}

impl<'a> Attributes<'a> {
    fn read(set: AnyRef<'a>) -> Result<Self, TimestampError> {
        let mut read = Self::default();
        let mut attributes = Fields::inside(set, "its signed attributes can't be read")?;
        while let Some(attribute) = attributes.next_if(Tag::Sequence) {
            let mut attribute = Fields::of(attribute, Tag::Sequence, "an attribute is not a sequence")?;
            let kind = oid(attribute.expect(Tag::ObjectIdentifier, "an attribute has no type")?)?;
            let values = attribute.expect(Tag::Set, "an attribute has no values")?;
            let value = Fields::inside(values, "an attribute has no value")?.next("an attribute has no value")?;
            match kind {
                CONTENT_TYPE => read.content_type = Some(oid(value)?),
                MESSAGE_DIGEST if value.tag() == Tag::OctetString => read.message_digest = Some(value.value()),
                // The newer one counts where both are there.
                SIGNING_CERTIFICATE_V2 => read.certificate = Some(first_certificate(value, &SHA256)?),
                SIGNING_CERTIFICATE if read.certificate.is_none() => {
                    read.certificate = Some(first_certificate(value, &SHA1_FOR_LEGACY_USE_ONLY)?);
                }
                _ => {}
            }
        }
        Ok(read)
    }
}

/// `SigningCertificate` and `SigningCertificateV2`: the first certificate is the signer's.
fn first_certificate<'a>(
    value: AnyRef<'a>,
    default: &'static digest::Algorithm,
) -> Result<(&'static digest::Algorithm, &'a [u8]), TimestampError> {
    let otherwise = "its signing certificate can't be read";
    let list = Fields::of(value, Tag::Sequence, otherwise)?.expect(Tag::Sequence, otherwise)?;
    let first = Fields::of(list, Tag::Sequence, otherwise)?.expect(Tag::Sequence, otherwise)?;
    let mut first = Fields::of(first, Tag::Sequence, otherwise)?;
    let hash = match first.next_if(Tag::Sequence) {
        Some(named) => known(algorithm(named)?)?.0,
        None => default,
    };
    Ok((hash, first.expect(Tag::OctetString, otherwise)?.value()))
}

/// `EncapsulatedContentInfo` that holds a `TSTInfo`.
fn content(encapsulated: AnyRef<'_>) -> Result<&[u8], TimestampError> {
    let mut fields = Fields::of(encapsulated, Tag::Sequence, "its content is not a sequence")?;
    if oid(fields.expect(Tag::ObjectIdentifier, "its content has no type")?)? != TST_INFO {
        return Err(TimestampError::Form("its content is not a time stamp"));
    }
    let wrapped = fields.expect(context(0), "its content is empty")?;
    let mut inside = Fields::inside(wrapped, "its content is empty")?;
    Ok(inside.expect(Tag::OctetString, "its content is not an octet string")?.value())
}

/// RFC 3161, 2.3: an extended key usage that is critical and time stamping alone. Those above it may be for anything;
/// webpki sees to it that they are not for something else alone.
fn is_for_time_stamping(certificate: &CertificateDer<'_>) -> Result<(), TimestampError> {
    let otherwise = "its certificate can't be read";
    let whole = AnyRef::from_der(certificate).map_err(|_| TimestampError::Form(otherwise))?;
    let body = Fields::of(whole, Tag::Sequence, otherwise)?.expect(Tag::Sequence, otherwise)?;
    let mut body = Fields::of(body, Tag::Sequence, otherwise)?;
    let mut found = false;
    while body.peek().is_some() {
        let field = body.next(otherwise)?;
        if field.tag() != context(3) {
            continue;
        }
        let list = Fields::inside(field, otherwise)?.expect(Tag::Sequence, otherwise)?;
        let mut list = Fields::of(list, Tag::Sequence, otherwise)?;
        while let Some(extension) = list.next_if(Tag::Sequence) {
            let mut extension = Fields::of(extension, Tag::Sequence, otherwise)?;
            let kind = oid(extension.expect(Tag::ObjectIdentifier, otherwise)?)?;
            let critical = extension.next_if(Tag::Boolean).is_some_and(|yes| yes.value() == [0xff]);
            let value = extension.expect(Tag::OctetString, otherwise)?.value();
            // SEQUENCE { OBJECT IDENTIFIER id-kp-timeStamping }
            let alone = [&[0x30, 0x0a, 0x06, 0x08], TIME_STAMPING].concat();
            found |= kind == EXTENDED_KEY_USAGE && critical && value == alone;
        }
    }
    if found { Ok(()) } else { Err(TimestampError::Purpose) }
}

type Known = (&'static digest::Algorithm, &'static [&'static dyn SignatureVerificationAlgorithm]);

/// A digest algorithm, and the signatures over it that are known; which one it is follows from the key.
fn known(digest: ObjectIdentifier) -> Result<Known, TimestampError> {
    static WITH_SHA256: &[&dyn SignatureVerificationAlgorithm] =
        &[algorithms::RSA_PKCS1_2048_8192_SHA256, algorithms::ECDSA_P256_SHA256, algorithms::ECDSA_P384_SHA256];
    static WITH_SHA384: &[&dyn SignatureVerificationAlgorithm] =
        &[algorithms::RSA_PKCS1_2048_8192_SHA384, algorithms::ECDSA_P256_SHA384, algorithms::ECDSA_P384_SHA384];
    static WITH_SHA512: &[&dyn SignatureVerificationAlgorithm] = &[algorithms::RSA_PKCS1_2048_8192_SHA512];
    match digest {
        SHA256_OID => Ok((&SHA256, WITH_SHA256)),
        SHA384_OID => Ok((&SHA384, WITH_SHA384)),
        SHA512_OID => Ok((&SHA512, WITH_SHA512)),
        _ => Err(TimestampError::Algorithm),
    }
}

fn oid(value: AnyRef<'_>) -> Result<ObjectIdentifier, TimestampError> {
    value.decode_as().map_err(|_| TimestampError::Form("an object identifier can't be read"))
}

/// A value with its tag and length.
fn whole(value: AnyRef<'_>) -> Result<Vec<u8>, TimestampError> {
    value.to_der().map_err(|_| TimestampError::Form("a certificate can't be read"))
}
