//! The PKCS#12 file that brings a key and its certificate onto a device.

use p12_keystore::{
    Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm, PrivateKey, PrivateKeyChain,
};
use zeroize::Zeroizing;

use crate::serial::random_text;
use crate::{CertError, Result, Serial};

/// How the file is encrypted. What protects it is the random password of about 100 bits, the single-use link
/// and its short life; the cipher only decides who can read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum P12Cipher {
    /// 3DES with a SHA-1 MAC: every phone and computer reads it. Android up to 12 and macOS up to 13 call
    /// anything newer a wrong password.
    #[default]
    TripleDes,
    /// AES-256 with HMAC-SHA-256.
    Aes256,
}

/// RFC 7292 appendix B asks for 1024 or more; OpenSSL writes 2048. More would not help a 100-bit password.
const ITERATIONS: u32 = 2_048;

/// Lower-case letters and digits that nobody mistakes for each other, in four groups: typed once, on a phone.
pub(crate) fn password() -> Result<Zeroizing<String>> {
    let letters = Zeroizing::new(random_text(b"abcdefghjkmnpqrstuvwxyz23456789", 20)?);
    let groups = [&letters[..5], &letters[5..10], &letters[10..15], &letters[15..]];
    Ok(Zeroizing::new(groups.join("-")))
}

/// Holds the device's own certificate and key, and no CA: Android and Windows would install a CA they find as
/// a root, and the device CA is to be trusted by the gateway alone.
pub(crate) fn bundle(
    name: &str,
    serial: Serial,
    certificate: &[u8],
    key_pkcs8: &[u8],
    password: &str,
    cipher: P12Cipher,
) -> Result<Zeroizing<Vec<u8>>> {
    let fail = |error: p12_keystore::error::Error| CertError::P12(error.to_string());
    // The friendly name is a BMPString: characters beyond the basic plane (emoji) don't exist there.
    let shown: String = name.chars().filter(|c| u32::from(*c) <= 0xffff).collect();
    let key = PrivateKey::from_der(key_pkcs8).map_err(fail)?;
    let chain = PrivateKeyChain::new(&serial.to_bytes()[..], key, [Certificate::from_der(certificate).map_err(fail)?]);
    let mut store = KeyStore::new();
    store.add_entry(&shown, KeyStoreEntry::PrivateKeyChain(chain));
    let (encryption, mac) = match cipher {
        P12Cipher::TripleDes => (EncryptionAlgorithm::PbeWithShaAnd3KeyTripleDesCbc, MacAlgorithm::HmacSha1),
        P12Cipher::Aes256 => (EncryptionAlgorithm::PbeWithHmacSha256AndAes256, MacAlgorithm::HmacSha256),
    };
    let writer = store.writer(password).encryption_algorithm(encryption).mac_algorithm(mac);
    writer.encryption_iterations(ITERATIONS).mac_iterations(ITERATIONS).write().map(Zeroizing::new).map_err(fail)
}
