//! The host where a device shows its certificate: whether it is seen, and the next one.

use std::sync::Arc;

use apps::enroll::{Check, Problem, Renewal};
use apps::forms;
use cert_authority::Device;
use http::Method;
use vocabulary::{Os, PersonId, Reason};

use super::invitation::{makes_its_key, show_awaited, show_install};
use super::{Asked, Reply, download};
use crate::control::Refused;
use crate::enrol::{self, Bundle, Of};
use crate::line::facts::DeviceState;

const FORM: &str = "renew";

pub(super) async fn answer(asked: &Asked) -> Reply {
    let path = asked.exchange.path.as_str();
    match path {
        "/" if asked.is_read() => check(asked),
        _ => match path.strip_prefix("/renew") {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => renewal(asked, rest).await,
            _ => asked.problem(Problem::Unknown),
        },
    }
}

/// Whether the certificate is seen; what to do, if not.
fn check(asked: &Asked) -> Reply {
    let core = asked.core();
    let rules = core.enrol.rules();
    let owner = |device: &Device| enrol::owner_name(core, device.owner.as_ref());
    let (home, renew) = (format!("{}/home", asked.generation.login_origin), format!("{}/renew", rules.device_origin));
    let os = asked.parameter("os").and_then(|os| os.parse::<Os>().ok()).or(asked.client().os);
    let page = |check: &Check<'_>| asked.with_visit(|visit| apps::enroll::check_page(visit, check)).into();
    match &asked.device {
        DeviceState::Enrolled(device, _) | DeviceState::Machine(device, ..) => {
            if let (Some(owner), Some(person)) = (&device.owner, &asked.person)
                && owner != person
            {
                return page(&Check::NotYours { owner_hint: false });
            }
            let (owner, until) = (owner(device), core.zone.display(device.not_after));
            page(&Check::Seen { name: &device.name, owner: owner.as_deref(), until: &until, home: &home })
        }
        DeviceState::None => page(&Check::NotSeen { os, again: "/", steps: None }),
        DeviceState::Expired(device) => {
            let shown = asked.connection.certificate.as_ref().map(|shown| shown.serial);
            let can = shown.is_some_and(|shown| enrol::may_renew(core, device, shown, asked.now));
            page(&Check::Expired { renew: can.then_some(renew.as_str()) })
        }
        DeviceState::Revoked(_) | DeviceState::Unknown => page(&Check::Revoked),
        DeviceState::OwnerOut(_, standing) => asked.deny(match standing {
            identity::Standing::NotYet => Reason::StaffNotYet,
            identity::Standing::Locked => Reason::StaffLocked,
            identity::Standing::NotOnRoster => Reason::NotOnRoster,
            identity::Standing::Retired | identity::Standing::Active => Reason::StaffRetired,
        }),
    }
}

/// The next certificate, for who shows the one before and is signed in.
async fn renewal(asked: &Asked, rest: &str) -> Reply {
    let core = asked.core();
    let device = match &asked.device {
        DeviceState::Enrolled(device, _) | DeviceState::Expired(device) => device,
        // Nobody is led to the sign-in pages from here without a certificate in hand.
        _ => return check(asked),
    };
    let Some(in_hand) = asked.connection.certificate.as_ref().map(|shown| shown.serial) else { return check(asked) };
    if !enrol::may_renew(core, device, in_hand, asked.now) {
        return check(asked);
    }
    let (Some(person), Some(session)) = (&asked.person, &asked.exchange.session) else {
        return match asked.is_read() {
            true => asked.begin_sign_in("/renew"),
            false => asked.problem(Problem::FormGone),
        };
    };
    if !is_theirs(asked, device, person) {
        return asked.deny(Reason::DeviceNotYours);
    }
    let of = Of::Renewal(device.id.clone(), in_hand);
    if let Some(bundle) = core.enrol.bundles.get(&of, session.id(), asked.now) {
        match rest.strip_prefix('/') {
            Some("install") => return show_install(asked, &bundle, "/renew/install"),
            Some(file) if file.starts_with("install/") => {
                return download::answer(asked, &bundle, &file["install/".len()..]);
            }
            // Pressed twice, or gone back: the certificate that was made is the one.
            _ => return apps::Page::redirect("/renew/install".to_owned(), []).into(),
        }
    }
    if let Some(awaited) = core.enrol.awaiting.get(&of, session.id(), asked.now) {
        match rest {
            "/install" => return show_awaited(asked, &awaited, "/renew/install", "/renew?way=file"),
            _ if rest.strip_prefix("/install/") == Some(download::ACME_PROFILE) && !awaited.used => {
                return download::acme_profile(asked, &awaited);
            }
            "" if asked.parameter("way").is_none() => {
                return apps::Page::redirect("/renew/install".to_owned(), []).into();
            }
            _ => {}
        }
    }
    if !enrol::is_due(core, device, asked.now) {
        return check(asked);
    }
    match (rest, &asked.exchange.method) {
        ("", &Method::POST) if asked.is_our_form(FORM) => {
            if let Some(os) = asked.client().os.filter(|os| makes_its_key(asked, *os)) {
                let (session, person) = (session.id().clone(), person.clone());
                let _ = core.enrol.awaiting.add(of, session, person, device.name.clone(), os, asked.now);
                return apps::Page::redirect("/renew/install".to_owned(), []).into();
            }
            let os = asked.client().os.or(device.os).unwrap_or(Os::Linux);
            match enrol::renew(core, &asked.actor(person), device, in_hand, Some(asked.source())).await {
                Ok(pending) => {
                    let bundle = Bundle::new(of, session.id().clone(), os, pending, asked.now);
                    core.enrol.bundles.keep(bundle, asked.now);
                    apps::Page::redirect("/renew/install".to_owned(), []).into()
                }
                Err(Refused::No(_)) => asked.problem(Problem::InUseElsewhere),
                Err(Refused::Failed(error)) => {
                    tracing::error!(%error, device = %device.id, "a certificate could not be renewed");
                    asked.deny(Reason::RecordUnavailable)
                }
            }
        }
        ("", _) => form(asked, device),
        _ => apps::Page::redirect("/renew".to_owned(), []).into(),
    }
}

fn is_theirs(asked: &Asked, device: &Arc<Device>, person: &PersonId) -> bool {
    match &device.owner {
        Some(owner) => owner == person,
        None => asked.core().identity.roster().get(person).is_some_and(|entry| device.serves(&entry.groups)),
    }
}

fn form(asked: &Asked, device: &Device) -> Reply {
    let (cookie, set) = forms::form_cookie(&asked.headers);
    let ends = asked.core().zone.display(device.not_after);
    let renewal = Renewal {
        name: &device.name,
        ends: &ends,
        days_left: device.not_after.secs_since(asked.now).div_euclid(86_400),
        token: &forms::form_token(FORM, &cookie),
        expired: asked.now > device.not_after,
    };
    asked.with_visit(|visit| apps::enroll::renew_page(visit, &renewal)).with_cookies(set).into()
}
