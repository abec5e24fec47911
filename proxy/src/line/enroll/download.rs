//! The files by which a key gets onto its device, for the browser that it was made for.

use anyhow::Context;
use apps::enroll::Problem;
use cert_authority::cms;
use cert_authority::mobileconfig::{AcmePayload, Curve, Payload, Profile, reverse_dns};
use http::{Method, StatusCode};
use vocabulary::Os;

use super::{Asked, Reply};
use crate::enrol::{Awaited, Bundle};

/// Apple's profile with the identity in it.
pub(super) const PROFILE: &str = "sekisho.mobileconfig";
pub(super) const P12: &str = "sekisho.p12";
/// Apple's profile by which the device makes its own key.
pub(super) const ACME_PROFILE: &str = "sekisho-key.mobileconfig";

pub(super) fn answer(asked: &Asked, bundle: &Bundle, file: &str) -> Reply {
    if !matches!(asked.exchange.method, Method::GET | Method::HEAD) {
        return Reply::status(StatusCode::METHOD_NOT_ALLOWED);
    }
    match file {
        P12 => Reply::file("application/x-pkcs12", P12, bundle.p12.to_vec()),
        PROFILE => {
            let name = bundle.name.as_str();
            profile(asked, Payload::Pkcs12 { p12: &bundle.p12, name }, bundle.device.as_str())
        }
        _ => asked.problem(Problem::Unknown),
    }
}

/// The profile of a device that is awaited.
pub(super) fn acme_profile(asked: &Asked, awaited: &Awaited) -> Reply {
    let rules = asked.core().enrol.rules();
    let directory_url = format!("{}{}/directory", rules.enroll_origin, super::acme::BASE);
    let payload = AcmePayload {
        directory_url: &directory_url,
        client_identifier: &awaited.identifier,
        common_name: &awaited.name,
        curve: Curve::P256,
        // Macs can since macOS 14, and don't say which they are.
        attest: awaited.os == Os::Ios,
    };
    profile(asked, Payload::Acme(payload), &awaited.identifier)
}

/// A signed profile; `of` names what it is for, so that the next one takes its place.
pub(super) fn profile(asked: &Asked, payload: Payload<'_>, of: &str) -> Reply {
    match signed(asked, payload, of) {
        Ok(signed) => Reply::file("application/x-apple-aspen-config", PROFILE, signed),
        Err(error) => {
            tracing::error!(%error, "a profile could not be made");
            Reply::status(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

fn signed(asked: &Asked, payload: Payload<'_>, of: &str) -> anyhow::Result<Vec<u8>> {
    let core = asked.core();
    let rules = core.enrol.rules();
    let generation = &asked.generation;
    let words = apps::enroll::profile_words(asked.lang());
    let digest = ring::digest::digest(&ring::digest::SHA256, of.as_bytes());
    let mut seed = [0; 16];
    seed.copy_from_slice(&digest.as_ref()[..16]);
    // A host whose certificate our own authority made is trusted by nobody who has not its root.
    let root = core.authority.as_ref().filter(|_| generation.enroll_is_ours).map(|a| a.server_root_der().clone());
    let profile = Profile {
        organisation: &rules.facility,
        display_name: words.0,
        description: words.1,
        identifier: &format!("{}.device", reverse_dns(&generation.settings.gateway.domain)),
        seed,
        payload,
        root: root.as_ref(),
    };
    let (chain, key) = generation.enroll_signer.as_ref().context("there is no certificate to sign with")?;
    Ok(cms::sign(&profile.to_xml()?, key, chain, asked.now)?)
}
