//! An invitation's link. A GET shows where it stands and changes nothing, whoever follows it: mail scanners and previews
//! burn nothing. It is used up by the form, after the right person signed in.

use std::sync::Arc;

use apps::enroll::{Browser, Confirm, Install, Invited, Name, Problem, Waiting};
use apps::forms;
use apps::words::Text;
use cert_authority::{Ask, DeviceRequest, Invitation, InvitationState, P12Cipher};
use http::{HeaderMap, Method};
use serde_json::Map;
use vocabulary::{DeviceKind, Os, PersonId, SessionId};

use super::download;
use super::{Asked, Reply};
use crate::control::{self, Actor, Refused};
use crate::core::Core;
use crate::enrol::{self, Awaited, Bundle, Of, Order, Way};

/// What the form's token is for.
const FORM: &str = "enroll";
/// How often who waits looks again.
const REFRESH_SECS: u32 = 5;
/// A link that is over is spoken of again only after so many seconds.
const QUIET_SECS: i64 = 600;

/// Somebody signed in who may use this invitation.
struct Holder<'a> {
    asked: &'a Asked,
    invitation: Arc<Invitation>,
    person: PersonId,
    session: SessionId,
}

pub(super) async fn answer(asked: &Asked, rest: &str) -> Reply {
    let (token, file) = rest.split_once('/').map_or((rest, None), |(token, file)| (token, Some(file)));
    let core = asked.core();
    if core.authority.is_none() {
        return asked.problem(Problem::NoAuthority);
    }
    let Some(invitation) = core.enrol.invitations.by_token(token) else { return asked.problem(Problem::Unknown) };
    let person = asked.person.clone();
    // Of who is on duty, and with the certificate that the session began with.
    let session = asked.exchange.session.as_ref().filter(|_| person.is_some()).map(|session| session.id().clone());
    if let (InvitationState::Used { .. }, Some(session)) = (&invitation.state, &session)
        && let Some(bundle) = core.enrol.bundles.get(&Of::Invitation(invitation.id.clone()), session, asked.now)
    {
        return match file {
            Some(file) => download::answer(asked, &bundle, file),
            None => install(asked, &bundle, token),
        };
    }
    if let Some(session) = &session
        && let Some(awaited) = core.enrol.awaiting.get(&Of::Invitation(invitation.id.clone()), session, asked.now)
        && (awaited.used || invitation.is_unspent())
        && asked.parameter("way").is_none()
        && asked.is_read()
    {
        return match file {
            Some(download::ACME_PROFILE) if !awaited.used => download::acme_profile(asked, &awaited),
            Some(_) => asked.problem(Problem::Unknown),
            None => show_awaited(asked, &awaited, &format!("/i/{token}"), &format!("/i/{token}?way=file")),
        };
    }
    if let Some(problem) = over(&invitation, asked) {
        // Whose link it was that somebody opened again: told once in a while, because anybody can open it again and again.
        let cause = invitation.word(asked.now);
        if core.enrol.is_news(&format!("{}:{cause}", invitation.id), asked.now, QUIET_SECS)
            && record_refusal(asked, &invitation, person.as_ref(), cause).await.is_err()
        {
            return asked.deny(vocabulary::Reason::RecordUnavailable);
        }
        return asked.problem(problem);
    }
    // Those are enrolled by a program (EST), which nobody sees.
    if invitation.wants.kind == DeviceKind::Machine || file.is_some() {
        return asked.problem(Problem::Unknown);
    }
    let (Some(person), Some(session)) = (person, session) else { return stranger(asked, &invitation) };
    if !is_for(asked.core(), &invitation, &person) {
        return not_yours(asked, &invitation, &person).await;
    }
    let holder = Holder { asked, invitation, person, session };
    match asked.exchange.method {
        Method::POST => holder.post().await,
        _ => holder.show(None),
    }
}

fn over(invitation: &Invitation, asked: &Asked) -> Option<Problem> {
    match &invitation.state {
        InvitationState::Used { .. } => Some(Problem::Used),
        InvitationState::Withdrawn { .. } => Some(Problem::Withdrawn),
        InvitationState::Declined { .. } => Some(Problem::Declined),
        InvitationState::Open | InvitationState::Asked(_) if invitation.is_over(asked.now) => Some(Problem::Expired),
        InvitationState::Open | InvitationState::Asked(_) => None,
    }
}

/// Nobody is signed in. The way to the sign-in pages is a link, so that only who follows it begins anything.
fn stranger(asked: &Asked, invitation: &Invitation) -> Reply {
    let path = asked.exchange.path.as_str();
    if asked.exchange.method == Method::POST {
        return asked.problem(Problem::FormGone);
    }
    if asked.parameter("sign-in").is_some() {
        let os = asked.parameter("os").and_then(|os| os.parse::<Os>().ok());
        let target = os.map_or(path.to_owned(), |os| format!("{path}?os={os}"));
        return asked.begin_sign_in(&target);
    }
    let link = format!("{path}?sign-in=1");
    asked
        .with_visit(|visit| {
            with_invited(asked, invitation, |invited| apps::enroll::invitation_page(visit, invited, &link))
        })
        .into()
}

fn with_invited<T>(asked: &Asked, invitation: &Invitation, page: impl FnOnce(&Invited<'_>) -> T) -> T {
    let core = asked.core();
    let rules = core.enrol.rules();
    let owner = enrol::owner_name(core, invitation.wants.owner.as_ref());
    let until = core.zone.display(invitation.expires_at);
    let kind = invitation.wants.kind;
    page(&Invited { facility: &rules.facility, kind, owner: owner.as_deref(), until: &until })
}

/// The person it was made for; for a shared device, whoever it is for.
pub(super) fn is_for(core: &Core, invitation: &Invitation, person: &PersonId) -> bool {
    match &invitation.wants.owner {
        Some(owner) => owner == person,
        None => {
            let groups = &invitation.wants.groups;
            let roster = core.identity.roster();
            groups.is_empty() || roster.get(person).is_some_and(|entry| entry.groups.iter().any(|g| groups.contains(g)))
        }
    }
}

/// Recorded: somebody came by another's link.
async fn not_yours(asked: &Asked, invitation: &Invitation, person: &PersonId) -> Reply {
    if record_refusal(asked, invitation, Some(person), "not-yours").await.is_err() {
        return asked.deny(vocabulary::Reason::RecordUnavailable);
    }
    let switch = format!("{}/switch", asked.generation.login_origin);
    asked.problem_with(Problem::NotYours, Some((&switch, apps::words::SWITCH)))
}

async fn record_refusal(
    asked: &Asked,
    invitation: &Invitation,
    person: Option<&PersonId>,
    cause: &str,
) -> Result<(), Refused> {
    let source = asked.source().to_string();
    let details = Map::from_iter([("cause".to_owned(), cause.into()), ("source".to_owned(), source.as_str().into())]);
    let who = person.map_or(source, ToString::to_string);
    let actor = Actor { who, channel: "enroll" };
    control::change(asked.core(), &actor, "invitation-refused", &invitation.id, details).await
}

impl Holder<'_> {
    /// The system, as its browser says or its holder chose.
    fn os(&self) -> Option<Os> {
        let chosen = self.asked.parameter("os").and_then(|os| os.parse().ok());
        chosen.or(self.asked.client().os)
    }

    /// Where the invitation stands, for who holds it.
    fn show(&self, problem: Option<Text>) -> Reply {
        if self.os().is_none() {
            return self.asked.with_visit(apps::enroll::choose_os_page).into();
        }
        // What is made in there could not be installed.
        if self.asked.client().in_app.is_some() {
            return stranger(self.asked, &self.invitation);
        }
        match self.invitation.ask() {
            Some(ask) if ask.session.as_ref() == Some(&self.session) && ask.approved.is_none() => self.waiting(ask),
            Some(_) if self.is_taken() => self.asked.problem(Problem::InUseElsewhere),
            ask => {
                let status = if problem.is_some() { 403 } else { 200 };
                let suggested = self.suggested_name();
                let name = match (ask, &self.invitation.wants.name) {
                    (Some(ask), _) if self.is_approved() => Name::Approved(&ask.name),
                    (_, Some(name)) => Name::Settled(name),
                    (Some(ask), None) => Name::Asked(&ask.name),
                    (None, None) => Name::Asked(&suggested),
                };
                self.confirm(name, problem, status)
            }
        }
    }

    fn confirm(&self, name: Name<'_>, problem: Option<Text>, status: u16) -> Reply {
        let asked = self.asked;
        let (cookie, set) = forms::form_cookie(&asked.headers);
        let who = enrol::owner_name(asked.core(), Some(&self.person)).unwrap_or_default();
        let confirm = Confirm {
            token: &forms::form_token(FORM, &cookie),
            who: &who,
            name,
            asks_approval: self.needs_approval(),
            problem,
        };
        let page = asked.with_visit(|visit| {
            with_invited(asked, &self.invitation, |invited| {
                apps::enroll::confirm_page(visit, invited, &confirm, status)
            })
        });
        page.with_cookies(set).into()
    }

    fn waiting(&self, ask: &Ask) -> Reply {
        let rules = self.asked.core().enrol.rules();
        let waiting =
            Waiting { code: &ask.code, contact: rules.settings.contact.as_deref(), refresh_secs: REFRESH_SECS };
        self.asked.with_visit(|visit| apps::enroll::waiting_page(visit, &waiting)).into()
    }

    /// What a phone is called until somebody writes something else: 佐藤花子のiPhone.
    fn suggested_name(&self) -> String {
        let device = apps::enroll::device_word(self.os());
        if self.invitation.wants.kind == DeviceKind::Shared {
            return device.to_owned();
        }
        let owner = enrol::owner_name(self.asked.core(), Some(&self.person)).unwrap_or_default();
        let name = match self.asked.lang() {
            apps::Lang::Ja => format!("{owner}の{device}"),
            apps::Lang::En => format!("{owner}'s {device}"),
        };
        name.chars().take(64).collect()
    }

    fn is_approved(&self) -> bool {
        let ask = self.invitation.ask();
        ask.is_some_and(|ask| ask.approved.is_some() && ask.session.as_ref() == Some(&self.session))
    }

    /// Another browser has the approval, and can still use it.
    fn is_taken(&self) -> bool {
        let ask =
            self.invitation.ask().filter(|ask| ask.approved.is_some() && ask.session.as_ref() != Some(&self.session));
        ask.is_some_and(|ask| enrol::is_live(self.asked.core(), ask))
    }

    fn needs_approval(&self) -> bool {
        !self.is_approved() && enrol::needs_approval(self.invitation.wants.approval, self.asked.is_inside)
    }

    async fn post(&self) -> Reply {
        let asked = self.asked;
        if !asked.is_our_form(FORM) {
            return self.show(Some(apps::words::FORM_GONE));
        }
        let Some(os) = self.os() else { return asked.with_visit(apps::enroll::choose_os_page).into() };
        let written = asked.field("name").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        // What an operator settled stays; what was approved, too.
        let settled = match self.invitation.ask() {
            Some(ask) if self.is_approved() => Some(ask.name.clone()),
            _ => self.invitation.wants.name.clone(),
        };
        let name = settled.or(written).unwrap_or_else(|| self.suggested_name());
        if name.chars().count() > 64 || name.chars().any(char::is_control) {
            return self.confirm(Name::Asked(&self.suggested_name()), Some(apps::words::ENROLL_NAME_WRONG), 403);
        }
        if self.is_taken() {
            return asked.problem(Problem::InUseElsewhere);
        }
        if asked.client().in_app.is_some() {
            return self.show(None);
        }
        match self.needs_approval() {
            true => self.ask(name, os).await,
            false if makes_its_key(asked, os) => self.await_it(name, os),
            false => self.issue(name, os).await,
        }
    }

    async fn ask(&self, name: String, os: Os) -> Reply {
        let asked = self.asked;
        if let Some(ask) = self.invitation.ask().filter(|ask| ask.session.as_ref() == Some(&self.session)) {
            return self.waiting(ask);
        }
        let Ok(code) = Ask::new_code() else { return asked.problem(Problem::NoAuthority) };
        let ask = Ask {
            code,
            at: asked.now,
            person: Some(self.person.clone()),
            session: Some(self.session.clone()),
            key: None,
            source: asked.source().to_string(),
            os: Some(os),
            name,
            approved: None,
        };
        let actor = asked.actor(&self.person);
        let lost = self.invitation.ask().is_some_and(|before| !enrol::is_live(asked.core(), before));
        match enrol::ask(asked.core(), &actor, &self.invitation.id, ask, lost).await {
            Ok(invitation) => {
                let who = enrol::owner_name(asked.core(), Some(&self.person)).unwrap_or_default();
                enrol::tell_operators(asked.core(), &invitation.id, &who, Some(os), &asked.source().to_string()).await;
                match invitation.ask() {
                    Some(ask) => self.waiting(ask),
                    None => self.show(None),
                }
            }
            Err(error) => self.failed(error),
        }
    }

    /// The device makes its key and asks for the certificate itself.
    fn await_it(&self, name: String, os: Os) -> Reply {
        let (asked, of) = (self.asked, Of::Invitation(self.invitation.id.clone()));
        let (session, person) = (self.session.clone(), self.person.clone());
        match asked.core().enrol.awaiting.add(of, session, person, name, os, asked.now) {
            Some(_) => apps::Page::redirect(asked.exchange.path.clone(), []).into(),
            None => asked.problem(Problem::NoAuthority),
        }
    }

    async fn issue(&self, name: String, os: Os) -> Reply {
        let (asked, core) = (self.asked, self.asked.core());
        let Some(claim) = core.enrol.invitations.claim(&self.invitation.id) else {
            return asked.problem(Problem::InUseElsewhere);
        };
        let wants = &self.invitation.wants;
        let request = DeviceRequest {
            owner: wants.owner.clone(),
            groups: wants.groups.clone(),
            name,
            kind: wants.kind,
            os: Some(os),
            now: core.now(),
            validity: core.device_validity,
            cipher: P12Cipher::default(),
        };
        let order = Order {
            request,
            way: Way::Pkcs12,
            invitation: Some((claim, self.invitation.id.clone())),
            source: Some(asked.source()),
            more: Map::new(),
        };
        match enrol::issue(core, &asked.actor(&self.person), order).await {
            Ok(pending) => {
                let bundle = Bundle::new(
                    Of::Invitation(self.invitation.id.clone()),
                    self.session.clone(),
                    os,
                    pending,
                    asked.now,
                );
                core.enrol.bundles.keep(bundle, asked.now);
                apps::Page::redirect(asked.exchange.path.clone(), []).into()
            }
            Err(error) => self.failed(error),
        }
    }

    fn failed(&self, error: Refused) -> Reply {
        match error {
            Refused::No(why) => {
                tracing::info!(why, invitation = self.invitation.id, "a device was not enrolled");
                self.asked.problem(Problem::InUseElsewhere)
            }
            Refused::Failed(error) => {
                tracing::error!(%error, invitation = self.invitation.id, "a device could not be enrolled");
                self.asked.deny(vocabulary::Reason::RecordUnavailable)
            }
        }
    }
}

/// Whether a device of this system is asked to make its key itself: not if its holder chose the file.
pub(super) fn makes_its_key(asked: &Asked, os: Os) -> bool {
    let client = asked.client();
    let can = match (os, client.version) {
        // From iOS 16 on.
        (Os::Ios, Some((major, _))) => major >= 16,
        // From macOS 13.1 on. A Mac tells only which Safari it has; 18 is the first that comes for no older one.
        (Os::Macos, _) => client.browser == Browser::Safari && safari(&asked.headers).is_some_and(|major| major >= 18),
        _ => false,
    };
    can && asked.core().enrol.rules().settings.apple_acme && asked.parameter("way").as_deref() != Some("file")
}

/// Safari's own number: `Version/18.1`.
fn safari(headers: &HeaderMap) -> Option<u16> {
    let agent = headers.get(http::header::USER_AGENT)?.to_str().ok()?;
    let number = agent.split_once("Version/")?.1;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The steps of a device that makes its key itself; `file` leads to the other way.
pub(super) fn show_awaited(asked: &Asked, awaited: &Awaited, base: &str, file: &str) -> Reply {
    let core = asked.core();
    let check = format!("{}/?os={}", core.enrol.rules().device_origin, awaited.os);
    let until = core.zone.display(awaited.until);
    let profile = format!("{base}/{}", download::ACME_PROFILE);
    let install = Install {
        os: awaited.os,
        profile_acme: Some(&profile),
        profile: (!awaited.used).then_some(file),
        p12: None,
        password: None,
        check: &check,
        until: &until,
        name: &awaited.name,
    };
    asked.with_visit(|visit| apps::enroll::install_page(visit, &install)).into()
}

/// The files, the password and the steps.
fn install(asked: &Asked, bundle: &Bundle, token: &str) -> Reply {
    let base = format!("/i/{token}");
    show_install(asked, bundle, &base)
}

/// The same for whatever stands at `base`.
pub(super) fn show_install(asked: &Asked, bundle: &Bundle, base: &str) -> Reply {
    let core = asked.core();
    let rules = core.enrol.rules();
    let (profile, p12) = (format!("{base}/{}", download::PROFILE), format!("{base}/{}", download::P12));
    // The files are the same whatever the system; somebody may have come with the wrong steps.
    let os = asked.parameter("os").and_then(|os| os.parse().ok()).unwrap_or(bundle.os);
    let check = format!("{}/?os={os}", rules.device_origin);
    let until = core.zone.display(bundle.until);
    let install = Install {
        os,
        profile_acme: None,
        profile: matches!(os, Os::Ios | Os::Macos).then_some(profile.as_str()),
        p12: (os != Os::Ios).then_some(p12.as_str()),
        password: Some(&bundle.password),
        check: &check,
        until: &until,
        name: &bundle.name,
    };
    asked.with_visit(|visit| apps::enroll::install_page(visit, &install)).into()
}
