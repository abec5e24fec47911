//! Invitations: links by which a device is enrolled, once.
//!
//! A link holds 128 random bits; the state database holds their hash. What becomes of an invitation is written down here
//! only after the caller has recorded it, and enrolling a device and using its invitation up is one transaction: there is
//! no device without an invitation spent, and none spent without a device.
//!
//! What an attacker who can write to the table gains: an invitation of their own, for anybody. The person would still
//! have to sign in to use it, and, from outside, an operator to say yes.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use papaya::HashMap;
use ring::digest::{SHA256, digest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::{Row, Store, Transaction};
use vocabulary::{DeviceId, DeviceKind, GroupName, Os, PersonId, SessionId, Timestamp};
use zeroize::Zeroizing;

use crate::serial::random_text;
use crate::{CertError, Device, Inventory, Result};

/// What a link is good for unless the configuration says otherwise.
pub const INVITATION_VALIDITY: Duration = Duration::from_secs(86_400);
/// Longer ones lie about in drawers.
pub const INVITATION_VALIDITY_MAX: Duration = Duration::from_secs(30 * 86_400);

/// 26 letters and digits that nobody mistakes for each other: 128 bits.
const TOKEN_LENGTH: usize = 26;
const ALPHABET: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
/// Six characters: read over the telephone, and good for one waiting request among a handful.
const CODE_LENGTH: usize = 6;
const CODE_ALPHABET: &[u8] = b"ABCDEFGHJKMNPQRSTUVWXYZ23456789";
/// How long an ended invitation is kept, so that its link can say what became of it.
const KEPT_SECS: i64 = 30 * 86_400;

/// When an operator has to say yes before a device is enrolled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Approval {
    Never,
    /// From no network of the configuration.
    #[default]
    Outside,
    Always,
}

impl Approval {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Outside => "outside",
            Self::Always => "always",
        }
    }

    fn read(word: &str) -> Self {
        match word {
            "never" => Self::Never,
            "outside" => Self::Outside,
            // What a newer version wrote is taken for the strictest.
            _ => Self::Always,
        }
    }
}

/// What an invitation is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InvitationFor {
    pub kind: DeviceKind,
    /// `None` for a shared device and a machine.
    pub owner: Option<PersonId>,
    /// Whom a shared device is for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupName>,
    /// What the device will be called, if that is settled; a machine's always is.
    pub name: Option<String>,
    pub approval: Approval,
    /// A program may redeem it (EST), without anybody signing in.
    pub unattended: bool,
}

/// An invitation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Invitation {
    /// Its public name, for lists and records.
    pub id: String,
    #[serde(skip)]
    token: [u8; 32],
    #[serde(flatten)]
    pub wants: InvitationFor,
    pub made_at: Timestamp,
    pub made_by: String,
    pub expires_at: Timestamp,
    pub state: InvitationState,
}

/// What became of an invitation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum InvitationState {
    Open,
    /// Somebody waits for an operator's yes, or has it.
    Asked(Ask),
    Used {
        device: DeviceId,
        at: Timestamp,
    },
    Withdrawn {
        at: Timestamp,
        by: String,
    },
    Declined {
        at: Timestamp,
        by: String,
    },
}

/// Somebody, in one browser, who asks to be let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ask {
    /// Shown on both sides, and compared by people.
    pub code: String,
    pub at: Timestamp,
    /// Who is signed in; `None` for a program.
    pub person: Option<PersonId>,
    /// Whose browser it is: an approval is for this one and no other.
    pub session: Option<SessionId>,
    /// Of a program: a hash of the key that it wants certified, in hex. An approval is for this one and no other.
    pub key: Option<String>,
    pub source: String,
    pub os: Option<Os>,
    /// What the device is to be called.
    pub name: String,
    /// By whom, if it was.
    pub approved: Option<Approved>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Approved {
    pub at: Timestamp,
    pub by: String,
}

/// What is made before it is recorded: the invitation, and the secret of its link.
pub struct NewInvitation {
    pub invitation: Invitation,
    /// To be handed out once.
    pub token: Zeroizing<String>,
}

impl fmt::Debug for NewInvitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewInvitation").field("invitation", &self.invitation).finish_non_exhaustive()
    }
}

impl Invitation {
    /// Makes one, which is worth nothing until it is [added](Invitations::add).
    ///
    /// # Errors
    /// The validity is out of bounds, a part does not fit the kind, or the system gave no random numbers.
    pub fn make(wants: InvitationFor, by: &str, now: Timestamp, validity: Duration) -> Result<NewInvitation> {
        if validity < Duration::from_secs(60) || validity > INVITATION_VALIDITY_MAX {
            return Err(CertError::invalid("the invitation", "must be good for between a minute and 30 days"));
        }
        crate::issue::check_whose(wants.kind, wants.owner.as_ref(), &wants.groups)?;
        match (&wants.name, wants.kind) {
            (Some(name), kind) => crate::issue::check_name_of(kind, name)?,
            (None, DeviceKind::Machine) => {
                return Err(CertError::invalid("the machine", "needs a name, by which rules know it"));
            }
            (None, _) => {}
        }
        let token = Zeroizing::new(random_text(ALPHABET, TOKEN_LENGTH)?);
        let invitation = Self {
            id: format!("i-{}", random_text(ALPHABET, 10)?),
            token: hash(&token),
            wants,
            made_at: now,
            made_by: by.to_owned(),
            expires_at: now.plus_secs(i64::try_from(validity.as_secs()).unwrap_or(i64::MAX)),
            state: InvitationState::Open,
        };
        Ok(NewInvitation { invitation, token })
    }

    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.expires_at
    }

    pub const fn ask(&self) -> Option<&Ask> {
        match &self.state {
            InvitationState::Asked(ask) => Some(ask),
            _ => None,
        }
    }

    /// Whether something may still come of it, apart from its time.
    pub const fn is_unspent(&self) -> bool {
        matches!(self.state, InvitationState::Open | InvitationState::Asked(_))
    }

    /// In a word, for lists.
    pub fn word(&self, now: Timestamp) -> &'static str {
        match &self.state {
            InvitationState::Used { .. } => "used",
            InvitationState::Withdrawn { .. } => "withdrawn",
            InvitationState::Declined { .. } => "declined",
            _ if self.is_over(now) => "expired",
            InvitationState::Asked(ask) if ask.approved.is_some() => "approved",
            InvitationState::Asked(_) => "waiting",
            InvitationState::Open => "open",
        }
    }
}

impl Ask {
    /// A new short code.
    ///
    /// # Errors
    /// The system gave no random numbers.
    pub fn new_code() -> Result<String> {
        random_text(CODE_ALPHABET, CODE_LENGTH)
    }
}

/// Whether it has the shape of a link's secret.
pub fn is_invitation_token(text: &str) -> bool {
    text.len() == TOKEN_LENGTH && text.bytes().all(|byte| ALPHABET.contains(&byte))
}

fn hash(token: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    bytes
}

/// All invitations that are open, or ended not long ago. Clones share them. Changes block on the state database.
#[derive(Clone)]
pub struct Invitations(Arc<Inner>);

struct Inner {
    store: Store,
    /// By the hash of the link's secret. Read by anybody at any time, and never waits for the disk.
    all: HashMap<[u8; 32], Arc<Invitation>>,
    ids: HashMap<String, [u8; 32]>,
    /// Held by whoever changes something.
    changing: Mutex<()>,
    /// Of which a device is being made this moment.
    claimed: Mutex<HashSet<String>>,
}

impl fmt::Debug for Invitations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Invitations")
    }
}

/// Held while a device is made of an invitation: nobody else makes one of it.
#[derive(Debug)]
pub struct Claim {
    of: Invitations,
    id: String,
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Ok(mut claimed) = self.of.0.claimed.lock() {
            claimed.remove(&self.id);
        }
    }
}

impl Invitations {
    /// Reads the table, which [`Inventory::open`] keeps up to date.
    pub(crate) fn open(store: &Store) -> Result<Self> {
        let rows = store.transaction(|tx| tx.query("SELECT id, token, body FROM invitation", &[]))?;
        let inner = Inner {
            store: store.clone(),
            all: HashMap::new(),
            ids: HashMap::new(),
            changing: Mutex::new(()),
            claimed: Mutex::default(),
        };
        let invitations = Self(Arc::new(inner));
        for row in &rows {
            invitations.keep(read(row)?);
        }
        Ok(invitations)
    }

    /// The one that a link is of. Anybody may ask, and learns as much from a wrong one as from none.
    pub fn by_token(&self, token: &str) -> Option<Arc<Invitation>> {
        // Looked up by hash, so the time it takes says nothing of how near a guess came.
        if is_invitation_token(token) { self.0.all.pin().get(&hash(token)).cloned() } else { None }
    }

    pub fn get(&self, id: &str) -> Option<Arc<Invitation>> {
        let hash = self.0.ids.pin().get(id).copied()?;
        self.0.all.pin().get(&hash).cloned()
    }

    /// The newest first.
    pub fn list(&self) -> Vec<Arc<Invitation>> {
        let mut list: Vec<_> = self.0.all.pin().values().cloned().collect();
        list.sort_by(|a, b| b.made_at.cmp(&a.made_at).then_with(|| a.id.cmp(&b.id)));
        list
    }

    /// The one that waits under this short code, in whichever letters and with whatever spaces it was noted down.
    pub fn waiting(&self, code: &str, now: Timestamp) -> Option<Arc<Invitation>> {
        let code: String = code.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
        let waits = |i: &Invitation| i.ask().is_some_and(|ask| ask.code == code) && !i.is_over(now);
        self.0.all.pin().values().find(|invitation| waits(invitation)).cloned()
    }

    /// Once it is recorded.
    ///
    /// # Errors
    /// The state database fails; then there is no such invitation.
    pub fn add(&self, invitation: &Invitation) -> Result<()> {
        let _changing = self.changing()?;
        self.0.store.transaction(|tx| write(tx, invitation))?;
        self.keep(invitation.clone());
        Ok(())
    }

    /// Somebody asks, or asks again in another browser. What was approved is asked for anew only if `lost`: who has the
    /// approval can't use it any more.
    ///
    /// # Errors
    /// It is spent or approved, a program asks in place of a person, or the state database fails.
    pub fn ask(&self, id: &str, ask: Ask, lost: bool) -> Result<Arc<Invitation>> {
        self.change(id, |invitation| match &invitation.state {
            InvitationState::Open => Some(InvitationState::Asked(ask)),
            InvitationState::Asked(before)
                if (lost || before.approved.is_none()) && (ask.session.is_some() || before.session.is_none()) =>
            {
                Some(InvitationState::Asked(ask))
            }
            _ => None,
        })
    }

    /// An operator says yes to who waits under `code`.
    ///
    /// # Errors
    /// Nobody waits under it any more, or the state database fails.
    pub fn approve(&self, id: &str, code: &str, by: &str, now: Timestamp) -> Result<Arc<Invitation>> {
        self.change(id, |invitation| match &invitation.state {
            InvitationState::Asked(ask) if ask.code == code && ask.approved.is_none() => {
                let approved = Some(Approved { at: now, by: by.to_owned() });
                Some(InvitationState::Asked(Ask { approved, ..ask.clone() }))
            }
            _ => None,
        })
    }

    /// An operator says no.
    ///
    /// # Errors
    /// It is spent, or the state database fails.
    pub fn decline(&self, id: &str, by: &str, now: Timestamp) -> Result<Arc<Invitation>> {
        let declined = InvitationState::Declined { at: now, by: by.to_owned() };
        self.change(id, |invitation| invitation.is_unspent().then_some(declined))
    }

    /// # Errors
    /// It is spent, or the state database fails.
    pub fn withdraw(&self, id: &str, by: &str, now: Timestamp) -> Result<Arc<Invitation>> {
        let withdrawn = InvitationState::Withdrawn { at: now, by: by.to_owned() };
        self.change(id, |invitation| invitation.is_unspent().then_some(withdrawn))
    }

    /// Nobody else makes a device of it while what is returned lives. `None`: somebody does, this moment.
    pub fn claim(&self, id: &str) -> Option<Claim> {
        let fresh = self.0.claimed.lock().ok()?.insert(id.to_owned());
        fresh.then(|| Claim { of: self.clone(), id: id.to_owned() })
    }

    /// Lets a device in and uses the invitation up, both or neither; the caller has recorded it.
    ///
    /// # Errors
    /// The invitation is spent or over, the device is known, or the state database fails.
    pub fn redeem(&self, claim: &Claim, inventory: &Inventory, device: &Device, now: Timestamp) -> Result<()> {
        let _changing = self.changing()?;
        let invitation = self.get(&claim.id).filter(|i| i.is_unspent() && !i.is_over(now));
        let invitation = invitation.ok_or_else(|| CertError::Spent(claim.id.clone()))?;
        let state = InvitationState::Used { device: device.id.clone(), at: now };
        let used = Invitation { state, ..Invitation::clone(&invitation) };
        inventory.add_and(device, |tx| write(tx, &used))?;
        self.keep(used);
        Ok(())
    }

    /// Forgets those that ended long ago.
    ///
    /// # Errors
    /// The state database fails.
    pub fn sweep(&self, now: Timestamp) -> Result<()> {
        let _changing = self.changing()?;
        let old: Vec<Arc<Invitation>> =
            self.0.all.pin().values().filter(|i| now >= i.expires_at.plus_secs(KEPT_SECS)).cloned().collect();
        if old.is_empty() {
            return Ok(());
        }
        self.0.store.transaction(|tx| {
            for invitation in &old {
                tx.execute("DELETE FROM invitation WHERE id = $1", &[invitation.id.as_str().into()])?;
            }
            Ok::<_, CertError>(())
        })?;
        for invitation in old {
            self.0.ids.pin().remove(&invitation.id);
            self.0.all.pin().remove(&invitation.token);
        }
        Ok(())
    }

    fn change(&self, id: &str, next: impl FnOnce(&Invitation) -> Option<InvitationState>) -> Result<Arc<Invitation>> {
        let _changing = self.changing()?;
        let spent = || CertError::Spent(id.to_owned());
        let invitation = self.get(id).ok_or_else(spent)?;
        let state = next(&invitation).ok_or_else(spent)?;
        let changed = Invitation { state, ..Invitation::clone(&invitation) };
        self.0.store.transaction(|tx| write(tx, &changed))?;
        Ok(self.keep(changed))
    }

    /// Changes what is held in memory.
    fn keep(&self, invitation: Invitation) -> Arc<Invitation> {
        let kept = Arc::new(invitation);
        self.0.all.pin().insert(kept.token, Arc::clone(&kept));
        self.0.ids.pin().insert(kept.id.clone(), kept.token);
        kept
    }

    fn changing(&self) -> Result<MutexGuard<'_, ()>> {
        self.0.changing.lock().map_err(|_| CertError::Poisoned)
    }
}

fn write(tx: &mut Transaction<'_>, invitation: &Invitation) -> Result<()> {
    let body = serde_json::to_string(&Kept::from(invitation))
        .map_err(|error| CertError::Inventory(format!("invitation `{}`: {error}", invitation.id)))?;
    tx.execute(
        "INSERT INTO invitation (id, token, body) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET body = $3",
        &[invitation.id.as_str().into(), invitation.token[..].into(), body.as_str().into()],
    )?;
    Ok(())
}

fn read(row: &Row) -> Result<Invitation> {
    let id = row.text(0)?.to_owned();
    let fail = |what: String| CertError::Inventory(format!("invitation `{id}`: {what}"));
    let token = row.bytes(1)?.try_into().map_err(|_| fail("its hash is none".to_owned()))?;
    let kept: Kept = serde_json::from_str(row.text(2)?).map_err(|error| fail(error.to_string()))?;
    Ok(kept.into_invitation(id.clone(), token))
}

/// What the state database holds of one.
#[derive(Serialize, Deserialize)]
struct Kept {
    kind: DeviceKind,
    owner: Option<PersonId>,
    groups: Vec<GroupName>,
    name: Option<String>,
    approval: String,
    unattended: bool,
    made_at: i64,
    made_by: String,
    expires_at: i64,
    state: KeptState,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KeptState {
    Open,
    Asked {
        code: String,
        at: i64,
        person: Option<PersonId>,
        session: Option<SessionId>,
        #[serde(default)]
        key: Option<String>,
        source: String,
        os: Option<Os>,
        name: String,
        approved: Option<(i64, String)>,
    },
    Used(DeviceId, i64),
    Withdrawn(i64, String),
    Declined(i64, String),
}

impl From<&Invitation> for Kept {
    fn from(invitation: &Invitation) -> Self {
        let wants = invitation.wants.clone();
        Self {
            kind: wants.kind,
            owner: wants.owner,
            groups: wants.groups,
            name: wants.name,
            approval: wants.approval.as_str().to_owned(),
            unattended: wants.unattended,
            made_at: invitation.made_at.0,
            made_by: invitation.made_by.clone(),
            expires_at: invitation.expires_at.0,
            state: match invitation.state.clone() {
                InvitationState::Open => KeptState::Open,
                InvitationState::Asked(ask) => KeptState::Asked {
                    code: ask.code,
                    at: ask.at.0,
                    person: ask.person,
                    session: ask.session,
                    key: ask.key,
                    source: ask.source,
                    os: ask.os,
                    name: ask.name,
                    approved: ask.approved.map(|approved| (approved.at.0, approved.by)),
                },
                InvitationState::Used { device, at } => KeptState::Used(device, at.0),
                InvitationState::Withdrawn { at, by } => KeptState::Withdrawn(at.0, by),
                InvitationState::Declined { at, by } => KeptState::Declined(at.0, by),
            },
        }
    }
}

impl Kept {
    fn into_invitation(self, id: String, token: [u8; 32]) -> Invitation {
        let state = match self.state {
            KeptState::Open => InvitationState::Open,
            KeptState::Asked { code, at, person, session, key, source, os, name, approved } => {
                let approved = approved.map(|(at, by)| Approved { at: Timestamp(at), by });
                InvitationState::Asked(Ask {
                    code,
                    at: Timestamp(at),
                    person,
                    session,
                    key,
                    source,
                    os,
                    name,
                    approved,
                })
            }
            KeptState::Used(device, at) => InvitationState::Used { device, at: Timestamp(at) },
            KeptState::Withdrawn(at, by) => InvitationState::Withdrawn { at: Timestamp(at), by },
            KeptState::Declined(at, by) => InvitationState::Declined { at: Timestamp(at), by },
        };
        Invitation {
            id,
            token,
            wants: InvitationFor {
                kind: self.kind,
                owner: self.owner,
                groups: self.groups,
                name: self.name,
                approval: Approval::read(&self.approval),
                unattended: self.unattended,
            },
            made_at: Timestamp(self.made_at),
            made_by: self.made_by,
            expires_at: Timestamp(self.expires_at),
            state,
        }
    }
}

#[cfg(test)]
mod tests;
