//! Invitations: made, asked with, approved, taken back.

use std::sync::Arc;
use std::time::Duration;

use apps::Lang;
use apps::enroll::SheetEntry;
use cert_authority::{Approval, Ask, CertError, Invitation, InvitationFor, NewInvitation};
use serde_json::{Map, Value, json};
use vocabulary::{DeviceKind, PersonId};
use zeroize::Zeroizing;

use super::issue::may_own;
use super::letters::{Letter, send};
use crate::control::{Actor, Refused, change, record_when_possible};
use crate::core::Core;

/// An invitation to be made.
#[derive(Debug)]
pub(crate) struct Invite {
    pub(crate) wants: InvitationFor,
    pub(crate) validity: Duration,
    /// Mailed to its owner, in this language.
    pub(crate) mail: Option<Lang>,
}

/// What was made, with the secret of its link, and whether it was mailed, if it was to be.
#[derive(Debug)]
pub(crate) struct Invited {
    pub(crate) invitation: Invitation,
    pub(crate) link: Zeroizing<String>,
    pub(crate) mailed: Option<Result<String, String>>,
}

/// Makes an invitation: recorded, kept, then mailed.
pub(crate) async fn invite(core: &Arc<Core>, actor: &Actor, invite: Invite) -> Result<Invited, Refused> {
    let (address, made) = made(core, actor, &invite)?;
    let invitation = made.invitation;
    change(core, actor, "device-invited", &invitation.id, of(&invitation)).await?;
    let (keeping, kept) = (core.clone(), invitation.clone());
    if let Err(error) = tokio::task::spawn_blocking(move || keeping.enrol.invitations.add(&kept)).await? {
        record_when_possible(core, actor, "device-not-invited", &invitation.id, Map::new()).await;
        return Err(error.into());
    }
    let rules = core.enrol.rules();
    let link = Zeroizing::new(rules.link(&made.token));
    let mailed = match (invite.mail, address) {
        (Some(lang), Some(to)) => {
            let owner = owner_name(core, invitation.wants.owner.as_ref());
            let until = core.zone.display(invitation.expires_at);
            let entry = SheetEntry {
                facility: &rules.facility,
                kind: invitation.wants.kind,
                owner: owner.as_deref(),
                url: &link,
                until: &until,
                contact: rules.settings.contact.as_deref(),
            };
            let (subject, body) = apps::enroll::invitation_mail(lang, &entry);
            let sent = send(core, &Letter { to: vec![to.clone()], subject, body }).await;
            Some(sent.map(|()| to).map_err(|error| format!("{error:#}")))
        }
        _ => None,
    };
    Ok(Invited { invitation, link, mailed })
}

/// Whether it could be made.
pub(crate) fn check(core: &Core, actor: &Actor, invite: &Invite) -> Result<(), Refused> {
    made(core, actor, invite).map(drop)
}

/// What would be made, with where it is mailed to.
fn made(core: &Core, actor: &Actor, invite: &Invite) -> Result<(Option<String>, NewInvitation), Refused> {
    if core.authority.is_none() {
        return Err(Refused::No("there is no certificate authority yet; make one with `sekisho ca init`".to_owned()));
    }
    let address = address(core, invite)?;
    let made = Invitation::make(invite.wants.clone(), &actor.who, core.now(), invite.validity);
    Ok((address, made.map_err(|error| Refused::No(error.to_string()))?))
}

/// Where it is mailed to, if it is to be.
fn address(core: &Core, invite: &Invite) -> Result<Option<String>, Refused> {
    let Some(owner) = &invite.wants.owner else {
        return match invite.mail {
            Some(_) => Err(Refused::No("only an invitation for a person can be mailed to them".to_owned())),
            None => Ok(None),
        };
    };
    may_own(core, owner)?;
    let mail = core.identity.roster().get(owner).and_then(|person| person.mail.clone());
    match (invite.mail, mail, &core.enrol.rules().mail) {
        (None, ..) => Ok(None),
        (Some(_), None, _) => Err(Refused::No(format!("{owner} has no mail address on the roster"))),
        (Some(_), _, None) => Err(Refused::No("the configuration has no `mail`, so nothing can be mailed".to_owned())),
        (Some(_), Some(address), Some(_)) => Ok(Some(address)),
    }
}

pub(crate) fn owner_name(core: &Core, owner: Option<&PersonId>) -> Option<String> {
    let roster = core.identity.roster();
    owner.map(|owner| roster.get(owner).map_or(owner.as_str(), |person| person.name.as_str()).to_owned())
}

/// What records say of an invitation.
fn of(invitation: &Invitation) -> Map<String, Value> {
    let wants = &invitation.wants;
    let mut details = Map::from_iter([
        ("kind".to_owned(), wants.kind.as_str().into()),
        ("until".to_owned(), invitation.expires_at.to_string().into()),
        ("approval".to_owned(), wants.approval.as_str().into()),
    ]);
    details.extend(wants.owner.as_ref().map(|owner| ("owner".to_owned(), owner.as_str().into())));
    details.extend(wants.name.as_ref().map(|name| ("name".to_owned(), name.as_str().into())));
    if wants.kind == DeviceKind::Shared {
        details.insert("shared_by".to_owned(), json!(wants.groups));
    }
    if wants.unattended {
        details.insert("unattended".to_owned(), true.into());
    }
    details
}

/// Somebody asks to be let in. Recorded, then kept, then operators are told by who calls.
/// `lost`: who has an approval can't use it any more.
pub(crate) async fn ask(
    core: &Arc<Core>,
    actor: &Actor,
    id: &str,
    ask: Ask,
    lost: bool,
) -> Result<Arc<Invitation>, Refused> {
    let mut details = Map::from_iter([
        ("source".to_owned(), ask.source.as_str().into()),
        ("name".to_owned(), ask.name.as_str().into()),
    ]);
    details.extend(ask.os.map(|os| ("os".to_owned(), os.as_str().into())));
    change(core, actor, "enrolment-asked", id, details).await?;
    kept(core, actor, "enrolment-asked", move |core, id| core.enrol.invitations.ask(id, ask, lost), id).await
}

/// An operator compared the code and says yes.
pub(crate) async fn approve(core: &Arc<Core>, actor: &Actor, code: &str) -> Result<Arc<Invitation>, Refused> {
    let waiting = waiting(core, code)?;
    let ask = waiting.ask();
    if let Some(approved) = ask.and_then(|ask| ask.approved.as_ref()) {
        let at = core.zone.display(approved.at);
        return Err(Refused::No(format!("{code} was approved already, at {at}, by {}", approved.by)));
    }
    if let Some(ask) = ask
        && !is_live(core, ask)
    {
        return Err(Refused::No(
            "whoever waited under this code is signed out by now; let them open the link again, and read you the new code"
                .to_owned(),
        ));
    }
    let details = of_ask(&waiting);
    change(core, actor, "enrolment-approved", &waiting.id, details).await?;
    let (code, by) = (ask.map(|ask| ask.code.clone()).unwrap_or_default(), actor.who.clone());
    let work = move |core: &Core, id: &str| core.enrol.invitations.approve(id, &code, &by, core.now());
    kept(core, actor, "enrolment-approved", work, &waiting.id).await
}

/// An operator says no; the invitation is over.
pub(crate) async fn decline(core: &Arc<Core>, actor: &Actor, code: &str) -> Result<Arc<Invitation>, Refused> {
    let waiting = waiting(core, code)?;
    change(core, actor, "enrolment-declined", &waiting.id, of_ask(&waiting)).await?;
    let by = actor.who.clone();
    let work = move |core: &Core, id: &str| core.enrol.invitations.decline(id, &by, core.now());
    kept(core, actor, "enrolment-declined", work, &waiting.id).await
}

/// An operator takes an invitation back.
pub(crate) async fn withdraw(core: &Arc<Core>, actor: &Actor, id: &str) -> Result<Arc<Invitation>, Refused> {
    let invitation = core.enrol.invitations.get(id);
    let Some(invitation) = invitation else {
        return Err(Refused::No(format!("there is no invitation {id}; see `sekisho device invitations`")));
    };
    if !invitation.is_unspent() {
        return Err(Refused::No(format!("{id} is {} already", invitation.word(core.now()))));
    }
    change(core, actor, "invitation-withdrawn", id, Map::new()).await?;
    let by = actor.who.clone();
    let work = move |core: &Core, id: &str| core.enrol.invitations.withdraw(id, &by, core.now());
    kept(core, actor, "invitation-withdrawn", work, id).await
}

/// Whether the browser, or the program, that asks can still use an approval.
pub(crate) fn is_live(core: &Core, ask: &Ask) -> bool {
    let sessions = core.identity.sessions();
    ask.session.as_ref().is_none_or(|id| sessions.get(id).is_some_and(|session| sessions.is_live(&session, core.now())))
}

fn waiting(core: &Core, code: &str) -> Result<Arc<Invitation>, Refused> {
    let waiting = core.enrol.invitations.waiting(code, core.now());
    let none = || {
        Refused::No(format!(
            "nobody waits under `{code}`; let them read it to you once more, and see `sekisho device requests`"
        ))
    };
    waiting.ok_or_else(none)
}

fn of_ask(invitation: &Invitation) -> Map<String, Value> {
    let Some(ask) = invitation.ask() else { return Map::new() };
    let mut details = Map::from_iter([
        ("source".to_owned(), ask.source.as_str().into()),
        ("code".to_owned(), ask.code.as_str().into()),
        ("name".to_owned(), ask.name.as_str().into()),
    ]);
    details.extend(ask.os.map(|os| ("os".to_owned(), os.as_str().into())));
    details.extend(invitation.wants.owner.as_ref().map(|owner| ("owner".to_owned(), owner.as_str().into())));
    details.extend(ask.person.as_ref().map(|person| ("person".to_owned(), person.as_str().into())));
    details
}

/// Does what was recorded as `what`; where it comes to nothing, that is recorded too.
async fn kept(
    core: &Arc<Core>,
    actor: &Actor,
    what: &str,
    work: impl FnOnce(&Core, &str) -> cert_authority::Result<Arc<Invitation>> + Send + 'static,
    id: &str,
) -> Result<Arc<Invitation>, Refused> {
    let (keeping, name) = (core.clone(), id.to_owned());
    let error = match tokio::task::spawn_blocking(move || work(&keeping, &name)).await? {
        Ok(invitation) => return Ok(invitation),
        Err(error) => error,
    };
    let details = Map::from_iter([("what".to_owned(), what.into())]);
    record_when_possible(core, actor, "invitation-not-changed", id, details).await;
    Err(match error {
        CertError::Spent(_) => Refused::No(error.to_string()),
        other => Refused::Failed(other.into()),
    })
}

/// Whether somebody from here has to wait for a yes.
pub(crate) fn needs_approval(approval: Approval, is_inside: bool) -> bool {
    match approval {
        Approval::Never => false,
        Approval::Outside => !is_inside,
        Approval::Always => true,
    }
}
