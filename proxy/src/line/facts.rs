//! Station: facts. What a request asks ([`of_request`]) and, anew at every judgement, what is known of who asks
//! it ([`Known`]): network, device, person, hour.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use apps::cookies;
use cert_authority::{Device, DeviceStanding};
use http::Method;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, COOKIE, TRANSFER_ENCODING};
use identity::{Roster, Standing};
use pingora_proxy::Session;
use policy::{AppIndex, BuiltIn, DeviceAbout, DeviceFact, Facts, GroupSet, NetworkFact, PersonFact, Route};
use saas::{Ambiguity, Guess, OverridePlace, Recognised, Target, origin};
use vocabulary::{Action, Date, DeviceKind, GroupName, LocalTime, MachineName, PersonId, Timestamp};

use super::exchange::{Destination, Exchange};
use super::generation::Generation;
use super::route::Routed;
use super::{Passage, enroll, recognise, scim, sign_in};
use crate::core::Core;
use crate::gate::Gate;
use crate::listener::Connection;
use crate::logins::SaasCookies;

/// How a request's head reads, before its body may be looked at.
pub(super) struct Shape {
    /// The one that the SaaS executes: what is judged and recorded.
    pub(super) method: Method,
    /// For matching.
    pub(super) path: String,
    masked: String,
    pub(super) ambiguity: Option<Ambiguity>,
    pub(super) session: Option<Arc<identity::Session>>,
}

/// Reads the request's head.
pub(super) fn shape(passage: &Passage, session: &Session, routed: &Routed) -> Shape {
    let request = session.req_header();
    let (headers, method) = (&request.headers, &request.method);
    let target = Target { method, raw: request.raw_path(), authority: request.uri.authority().map(|a| a.as_str()) };
    let app = routed.destination.app();
    let (tolerate, overrides) = app.map(|app| (app.tolerate, app.overrides)).unwrap_or_default();
    let shaped = match has_two_lengths(session) {
        true => Err(Ambiguity::Framing),
        false => saas::shape(target, headers, tolerate, overrides),
    };
    let (path, masked, overriding, ambiguity) = match shaped {
        Ok(shaped) => (shaped.path, shaped.masked, shaped.overriding, None),
        Err(ambiguity) => ("/".to_owned(), saas::mask_target(request.raw_path()), None, Some(ambiguity)),
    };
    // Also where a link's path was sent to another host of ours.
    let masked = match routed.destination {
        Destination::App { .. } | Destination::Ticket { .. } => masked,
        _ => enroll::masked(&masked),
    };
    let cookie = match routed.destination {
        Destination::Login => cookies::LOGIN,
        _ => cookies::APP,
    };
    let sessions = passage.gate.core.identity.sessions();
    let session = cookies::read(headers, cookie).and_then(|token| sessions.lookup(token, &routed.host, passage.now));
    Shape { method: overriding.unwrap_or_else(|| method.clone()), path, masked, ambiguity, session }
}

/// What a request asks. `body`: all of it, where the recipe wants to look into it.
pub(super) fn of_request(
    passage: &Passage,
    session: &Session,
    routed: Routed,
    shape: Shape,
    body: Option<&[u8]>,
) -> Arc<Exchange> {
    let request = session.req_header();
    let Routed { destination, host } = routed;
    let (headers, method) = (&request.headers, &request.method);
    let navigation = origin::is_navigation(headers);
    let upgrade = origin::is_websocket(method, headers);
    let (cross_site, preflight) = match &destination {
        Destination::App { app, host } => (
            origin::is_cross_site(method, headers, &app.map, *host, upgrade),
            origin::is_own_preflight(method, headers, &app.map),
        ),
        _ => (false, false),
    };
    let guess = match destination.app() {
        Some(app) => {
            let content_type = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
            match *method == Method::POST && app.overrides.contains(OverridePlace::Body) {
                true => app.actions.guess_by_body(&shape.path, content_type),
                false => app.actions.guess(&shape.method, &shape.path, content_type, upgrade),
            }
        }
        None => Guess { action: Action::View, guessed: true, name: None },
    };
    let mut recognised = Recognised::default();
    let mut saas_cookies = SaasCookies::default();
    let mut static_ok = false;
    if let Destination::App { app, host } = &destination {
        recognised = recognise::request(app, session, &shape, body);
        static_ok = shape.session.is_none()
            && app.map.is_static(*host)
            && !headers.contains_key(COOKIE)
            && passage.is_near_somebody(app);
        if let (Some(recipe), Some(session)) = (&app.recipe, &shape.session) {
            let logins = &passage.gate.core.logins;
            let several = app.has_several_hosts();
            saas_cookies = logins.read(&app.id, session.person(), headers, recipe.session_cookies(), several);
        }
    }
    let Shape { method: executed, path, masked, ambiguity, session: session_now } = shape;
    Arc::new(Exchange {
        method: executed,
        path,
        masked,
        ambiguity,
        cross_site,
        preflight,
        navigation,
        wants_page: origin::wants_page(method, headers),
        upgrade,
        streaming: super::forward::is_streaming(headers),
        guess: guess.or_by(&recognised),
        recognised,
        saas_cookies,
        static_ok,
        invited: matches!(destination, Destination::Login) && is_invited(passage, session),
        session: session_now,
        client: scim::client(passage, headers, &destination),
        host,
        destination,
    })
}

/// On the way to enrol a device: the sign-in that is under way leads to where that is done.
fn is_invited(passage: &Passage, session: &Session) -> bool {
    let target = sign_in::target_of(session);
    let handle = sign_in::parameter(&target, apps::HANDLE_PARAM);
    let cookie = cookies::read(&session.req_header().headers, cookies::INVITED);
    let gateway = &passage.generation.settings.gateway;
    let sign_ins = passage.gate.core.identity.sign_ins();
    [handle, cookie]
        .into_iter()
        .flatten()
        .filter_map(|handle| sign_ins.get(handle, passage.now))
        .any(|pending| pending.target_host == gateway.enroll_host || pending.target_host == gateway.device_host)
}

/// Notes that somebody is there: what was permitted keeps a session alive, what was refused does not.
pub(super) fn note_activity(gate: &Gate, exchange: &Exchange, now: Timestamp) {
    if let Some(session) = &exchange.session
        && session.is_activity(exchange.method.as_str(), hash_of(&exchange.host, &exchange.path), exchange.navigation)
    {
        gate.core.identity.sessions().touch(session, now);
    }
}

/// Whether a body's length was told twice. Pingora takes Content-Length away where Transfer-Encoding stands as well (RFC
/// 9112, 6.3), so the head is looked at as it came.
fn has_two_lengths(session: &Session) -> bool {
    if session.is_http2() || !session.req_header().headers.contains_key(TRANSFER_ENCODING) {
        return false;
    }
    let head = session.to_h1_raw();
    head.split(|byte| *byte == b'\n').any(|line| {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(CONTENT_LENGTH.as_str().as_bytes())
    })
}

/// Tells one address from another for the question whether a request repeats; the query is left out, because
/// what polls puts the time into it.
fn hash_of(host: &str, path: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    host.hash(&mut hasher);
    path.hash(&mut hasher);
    hasher.finish()
}

/// What is known at one moment of who asks.
pub(super) struct Known {
    record_ready: bool,
    clock_ok: bool,
    route: Route,
    pub(super) network: NetworkFact,
    pub(super) device: DeviceState,
    pub(super) person: Option<PersonState>,
    local: LocalTime,
    /// A machine client showed a token that is good now.
    pub(super) client: bool,
}

/// What stands behind the client certificate.
#[derive(Clone, Debug)]
pub(super) enum DeviceState {
    None,
    Expired(Arc<Device>),
    Revoked(Arc<Device>),
    Unknown,
    /// Its owner left, is locked, or is yet to begin.
    OwnerOut(Arc<Device>, Standing),
    /// With how many seconds it was not let in before.
    Enrolled(Arc<Device>, u32),
    /// A program's.
    Machine(Arc<Device>, MachineName, u32),
}

impl DeviceState {
    pub(super) fn device(&self) -> Option<&Arc<Device>> {
        match self {
            Self::Expired(device)
            | Self::Revoked(device)
            | Self::OwnerOut(device, _)
            | Self::Enrolled(device, _)
            | Self::Machine(device, ..) => Some(device),
            Self::None | Self::Unknown => None,
        }
    }

    /// The program whose certificate it is.
    pub(super) fn machine(&self) -> Option<&MachineName> {
        match self {
            Self::Machine(_, name, _) => Some(name),
            _ => None,
        }
    }

    /// The device, if its certificate is worth something now.
    pub(super) fn enrolled(&self) -> Option<&Arc<Device>> {
        match self {
            Self::Enrolled(device, _) | Self::Machine(device, ..) => Some(device),
            _ => None,
        }
    }

    /// `groups`: of who is signed in, if somebody is.
    fn fact(&self, groups: Option<&[GroupName]>) -> DeviceFact<'_> {
        match self {
            Self::None => DeviceFact::None,
            Self::Expired(_) => DeviceFact::Expired,
            Self::Revoked(_) => DeviceFact::Revoked,
            Self::Unknown => DeviceFact::Unknown,
            Self::Enrolled(device, unseen) => DeviceFact::Enrolled {
                owner: device.owner.as_ref(),
                serves: groups.is_none_or(|groups| device.serves(groups)),
                about: about(device, *unseen),
            },
            Self::Machine(device, name, unseen) => DeviceFact::Machine { name, about: about(device, *unseen) },
            Self::OwnerOut(_, owner) => DeviceFact::OwnerOut(standing(*owner)),
        }
    }
}

pub(super) struct PersonState {
    pub(super) id: PersonId,
    groups: GroupSet,
    /// The same by name, and only where the device asks for them.
    of_roster: Vec<GroupName>,
    standing: Standing,
    factors: u8,
    signed_in_ago: u32,
    session_matches_device: bool,
}

impl PersonState {
    /// On the roster, on duty, and on the device where the session began.
    pub(super) fn is_here(&self) -> bool {
        self.standing == Standing::Active && self.session_matches_device
    }
}

impl Known {
    pub(super) fn look_up(
        gate: &Gate,
        generation: &Generation,
        connection: &Connection,
        exchange: &Exchange,
        now: Timestamp,
    ) -> Self {
        let core = &gate.core;
        let policy = &generation.policy;
        let local = generation.zone.local(now);
        let roster = core.identity.roster();
        let device = device(core, &roster, connection, now, local.date);
        let app = |id| policy.app(id);
        let route = match &exchange.destination {
            Destination::Nowhere => Route::UnknownHost,
            Destination::Misdirected => Route::Misdirected,
            Destination::Login if generation.login.is_provider_logout(&exchange.method, &exchange.path) => {
                Route::BuiltIn(BuiltIn::ProviderLogout)
            }
            Destination::Login => Route::BuiltIn(BuiltIn::Login),
            Destination::Enroll | Destination::Device => Route::BuiltIn(BuiltIn::Enroll),
            Destination::Scim => {
                Route::BuiltIn(BuiltIn::Scim(scim::facts(core, generation, connection.ip(), exchange, now)))
            }
            Destination::App { app: asked, .. } => app(&asked.id).map_or(Route::UnknownHost, Route::App),
            Destination::Ticket { app: asked, .. } => {
                app(&asked.id).map_or(Route::UnknownHost, |index| Route::BuiltIn(BuiltIn::Ticket(index)))
            }
        };
        // An ended or expired session is nobody's, also in the middle of a stream.
        let offered = &generation.settings.identity;
        let session =
            exchange.session.as_ref().filter(|s| core.identity.sessions().is_live(s, now) && offered.offers(s));
        // On a program's certificate nobody is signed in, whatever cookie comes along.
        let session = session.filter(|_| device.machine().is_none());
        let person = session.map(|session| {
            let person = roster.get(session.person());
            PersonState {
                id: session.person().clone(),
                groups: policy.groups(person.iter().flat_map(|p| p.groups.iter()).chain(offered.given(session))),
                of_roster: match device.enrolled() {
                    Some(device) if !device.groups.is_empty() => person.map(|p| p.groups.clone()).unwrap_or_default(),
                    _ => Vec::new(),
                },
                standing: person.map_or(Standing::NotOnRoster, |p| p.standing(local.date)),
                factors: session.factors(),
                signed_in_ago: signed_in_ago(session, now),
                session_matches_device: session.matches_device(device.enrolled().map(|d| &d.id)),
            }
        });
        Self {
            record_ready: core.journal.ready(),
            clock_ok: core.clock_is_right(),
            route,
            network: policy.networks().lookup(connection.ip()),
            device,
            person,
            local,
            client: exchange.client.as_ref().is_some_and(|token| core.identity.scim().tokens().is_live(token, now)),
        }
    }

    pub(super) fn facts<'a>(&'a self, exchange: &'a Exchange, action: Action) -> Facts<'a> {
        Facts {
            record_ready: self.record_ready,
            clock_ok: self.clock_ok,
            route: self.route,
            ambiguous: exchange.ambiguity.is_some(),
            cross_site: exchange.cross_site,
            preflight: exchange.preflight,
            network: self.network,
            device: self.device.fact(self.person.as_ref().map(|p| &p.of_roster[..])),
            invited: exchange.invited,
            person: self.person.as_ref().map(|p| PersonFact {
                id: &p.id,
                groups: &p.groups,
                standing: standing(p.standing),
                factors: p.factors,
                signed_in_ago: p.signed_in_ago,
                session_matches_device: p.session_matches_device,
            }),
            local: self.local,
            method: exchange.method.as_str(),
            path: &exchange.path,
            action,
            static_ok: exchange.static_ok,
            wrong_account: exchange.recognised.wrong_account,
        }
    }

    /// As [`Self::facts`], for opening the front page of an app.
    pub(super) fn facts_for_front_page<'a>(&'a self, exchange: &'a Exchange, app: AppIndex) -> Facts<'a> {
        Facts { route: Route::App(app), path: "/", method: "GET", ..self.facts(exchange, Action::View) }
    }

    /// As [`Self::facts`], had the person signed in with a second factor. None: nobody is signed in, or they did.
    pub(super) fn facts_with_second_factor<'a>(&'a self, exchange: &'a Exchange) -> Option<Facts<'a>> {
        let facts = self.facts(exchange, exchange.guess.action);
        let person = facts.person.filter(|person| person.factors < 2)?;
        Some(Facts { person: Some(PersonFact { factors: 2, ..person }), ..facts })
    }

    /// Neither signed in, nor on an enrolled device, nor a machine client: promise 1 lets such requests be counted
    /// instead of recorded.
    pub(super) fn is_stranger(&self) -> bool {
        self.person.is_none() && !self.client && self.device.enrolled().is_none()
    }
}

/// A clock that went back makes a sign-in no older than now.
fn signed_in_ago(session: &identity::Session, now: Timestamp) -> u32 {
    session.signed_in().map_or(u32::MAX, |at| u32::try_from(now.secs_since(at).max(0)).unwrap_or(u32::MAX))
}

fn device(core: &Core, roster: &Roster, connection: &Connection, now: Timestamp, today: Date) -> DeviceState {
    let Some(presented) = connection.certificate.as_ref() else { return DeviceState::None };
    // Most strangers' certificates end here, at one look.
    let Some(standing) = core.inventory.standing(presented.serial, now) else { return DeviceState::Unknown };
    let known = core.inventory.get(presented.serial);
    let own = |device: &Arc<Device>| device.has_certificate(presented.serial, presented.fingerprint);
    let Some(device) = known.filter(own) else { return DeviceState::Unknown };
    match standing {
        DeviceStanding::Revoked => DeviceState::Revoked(device),
        DeviceStanding::Expired => DeviceState::Expired(device),
        DeviceStanding::Active if now > presented.not_after => DeviceState::Expired(device),
        DeviceStanding::Active => {
            // With its owner goes what the certificate is worth, from midnight on, whoever holds it.
            let owner = device.owner.as_ref().map_or(Standing::Active, |owner| roster.standing(owner, today));
            if owner != Standing::Active {
                return DeviceState::OwnerOut(device, owner);
            }
            let unseen = u32::try_from(device.unseen(now)).unwrap_or(u32::MAX);
            match device.kind {
                DeviceKind::Machine => match MachineName::new(&device.name) {
                    Ok(name) => DeviceState::Machine(device, name, unseen),
                    // Issued under a name that no rule can hold; that can't be.
                    Err(_) => DeviceState::Unknown,
                },
                _ => DeviceState::Enrolled(device, unseen),
            }
        }
    }
}

fn about(device: &Device, unseen: u32) -> DeviceAbout {
    DeviceAbout { kind: device.kind, os: device.os, unseen }
}

const fn standing(standing: Standing) -> policy::Standing {
    match standing {
        Standing::Active => policy::Standing::Active,
        Standing::NotOnRoster => policy::Standing::NotOnRoster,
        Standing::NotYet => policy::Standing::NotYet,
        Standing::Retired => policy::Standing::Retired,
        Standing::Locked => policy::Standing::Locked,
    }
}
