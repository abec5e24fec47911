//! The notice after signing in, and who has acknowledged which text of it.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ring::digest::{SHA256, digest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::Store;
use vocabulary::{DocumentError, PathStep, PersonId, SessionId, Span, Timestamp};

use crate::IdentityError;
use crate::error::blocking;

/// What people read after signing in and confirm before they go on, such as 「操作は記録されています」. Default: none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoticeDocument {
    pub text: NoticeText,
    /// `sign-in`: at each sign-in. Or a length of time from 1d to 400d, such as `30d`: again after that time. A
    /// changed text is always asked for again. Default: sign-in.
    #[serde(default)]
    pub every: Every,
}

/// The notice in both languages, up to 2,000 characters each. Line breaks are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoticeText {
    pub ja: String,
    pub en: String,
}

/// How often the notice is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Every {
    #[default]
    SignIn,
    /// Again after this long.
    After(Span),
}

impl FromStr for Every {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "sign-in" {
            return Ok(Self::SignIn);
        }
        text.parse().map(Self::After).map_err(|_| format!("`{text}` is neither `sign-in` nor a time such as 30d"))
    }
}

impl TryFrom<String> for Every {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Every> for String {
    fn from(every: Every) -> Self {
        match every {
            Every::SignIn => "sign-in".to_owned(),
            Every::After(span) => span.to_string(),
        }
    }
}

const LONGEST: usize = 2_000;
const DAY: Duration = Duration::from_secs(24 * 3600);

impl NoticeDocument {
    pub(crate) fn check(&self, errors: &mut Vec<DocumentError>) {
        for (lang, text) in [("ja", &self.text.ja), ("en", &self.text.en)] {
            let path: [PathStep; 4] = ["identity".into(), "notice".into(), "text".into(), lang.into()];
            if text.trim().is_empty() {
                errors.push(DocumentError::new(
                    path,
                    text.clone(),
                    "is empty; people read the notice in both languages",
                ));
            } else if text.chars().count() > LONGEST {
                errors.push(DocumentError::new(path, "…", "is longer than 2,000 characters"));
            }
        }
        if let Every::After(span) = self.every
            && !(DAY..=DAY * 400).contains(&span.0)
        {
            let path: [PathStep; 3] = ["identity".into(), "notice".into(), "every".into()];
            errors.push(DocumentError::new(path, span.to_string(), "is not between 1d and 400d"));
        }
    }

    /// SHA-256 over both texts, in hex: which text it was, in records and in the state database.
    pub fn digest(&self) -> String {
        let both = format!("{}\0{}", self.text.ja, self.text.en);
        data_encoding::HEXLOWER.encode(digest(&SHA256, both.as_bytes()).as_ref())
    }
}

/// Who has acknowledged what. Clones share it.
#[derive(Clone)]
pub struct Acknowledgements {
    store: Store,
    by_person: Arc<Mutex<HashMap<PersonId, Vec<Acknowledged>>>>,
}

#[derive(Clone)]
struct Acknowledged {
    session: SessionId,
    digest: String,
    at: Timestamp,
}

/// The newest of a person that are kept; more than a person has sessions.
const KEPT: usize = 32;

impl Acknowledgements {
    pub(crate) fn open(store: Store) -> Result<Self, IdentityError> {
        let mut by_person: HashMap<PersonId, Vec<Acknowledged>> = HashMap::new();
        store.transaction(|tx| {
            for row in tx.query("SELECT person, session, digest, at FROM acknowledgement ORDER BY at", &[])? {
                let fail = |e: vocabulary::IdError| IdentityError::row("an acknowledgement", &e);
                let entry = Acknowledged {
                    session: SessionId::new(row.text(1)?).map_err(fail)?,
                    digest: row.text(2)?.to_owned(),
                    at: Timestamp(row.int(3)?),
                };
                by_person.entry(PersonId::new(row.text(0)?).map_err(fail)?).or_default().push(entry);
            }
            Ok::<_, IdentityError>(())
        })?;
        Ok(Self { store, by_person: Arc::new(Mutex::new(by_person)) })
    }

    /// Whether this person has yet to acknowledge the notice in this session.
    pub fn is_due(&self, notice: &NoticeDocument, person: &PersonId, session: &SessionId, now: Timestamp) -> bool {
        let digest = notice.digest();
        let table = self.table();
        let Some(known) = table.get(person) else { return true };
        !known.iter().filter(|a| a.digest == digest).any(|a| match notice.every {
            Every::SignIn => a.session == *session,
            Every::After(span) => {
                a.session == *session || u64::try_from(now.secs_since(a.at)).is_ok_and(|secs| secs < span.0.as_secs())
            }
        })
    }

    /// Notes that it was acknowledged. Must have been recorded before.
    ///
    /// # Errors
    /// The state database fails; then it stays due.
    pub async fn acknowledge(
        &self,
        person: &PersonId,
        session: &SessionId,
        digest: &str,
        now: Timestamp,
    ) -> Result<(), IdentityError> {
        let entry = Acknowledged { session: session.clone(), digest: digest.to_owned(), at: now };
        let (store, person_id, stored) = (self.store.clone(), person.clone(), entry.clone());
        blocking(move || {
            store.transaction(|tx| {
                tx.execute(
                    "INSERT INTO acknowledgement (session, person, digest, at) VALUES ($1, $2, $3, $4)
                     ON CONFLICT (session) DO UPDATE SET digest = $3, at = $4",
                    &[
                        stored.session.as_str().into(),
                        person_id.as_str().into(),
                        stored.digest.as_str().into(),
                        stored.at.0.into(),
                    ],
                )?;
                // Only the newest say anything.
                tx.execute(
                    "DELETE FROM acknowledgement WHERE person = $1 AND session NOT IN
                     (SELECT session FROM acknowledgement WHERE person = $1 ORDER BY at DESC LIMIT 32)",
                    &[person_id.as_str().into()],
                )?;
                Ok::<_, IdentityError>(())
            })
        })
        .await?;
        let mut table = self.table();
        let known = table.entry(person.clone()).or_default();
        known.retain(|a| a.session != entry.session);
        known.push(entry);
        let surplus = known.len().saturating_sub(KEPT);
        known.drain(..surplus);
        Ok(())
    }

    fn table(&self) -> MutexGuard<'_, HashMap<PersonId, Vec<Acknowledged>>> {
        self.by_person.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Acknowledgements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acknowledgements").field("people", &self.table().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_793_491_200);

    fn notice(every: &str, ja: &str) -> NoticeDocument {
        let text = NoticeText { ja: ja.into(), en: "Everything is recorded.".into() };
        NoticeDocument { text, every: every.parse().unwrap() }
    }

    #[tokio::test]
    async fn it_is_asked_again_at_the_next_sign_in_after_the_time_and_for_another_text() -> Result<(), IdentityError> {
        let store = Store::in_memory()?;
        store.migrate(crate::schema::OWNER, crate::schema::MIGRATIONS)?;
        let acknowledgements = Acknowledgements::open(store.clone())?;
        let sato: PersonId = "sato".parse().unwrap();
        let (one, two): (SessionId, SessionId) = ("s-1".parse().unwrap(), "s-2".parse().unwrap());
        let (each, monthly) = (notice("sign-in", "記録されています。"), notice("30d", "記録されています。"));
        assert!(acknowledgements.is_due(&each, &sato, &one, NOW));
        acknowledgements.acknowledge(&sato, &one, &each.digest(), NOW).await?;
        // After a restart as well.
        for acknowledgements in [acknowledgements, Acknowledgements::open(store)?] {
            assert!(!acknowledgements.is_due(&each, &sato, &one, NOW));
            assert!(acknowledgements.is_due(&each, &sato, &two, NOW));
            assert!(!acknowledgements.is_due(&monthly, &sato, &two, NOW.plus_secs(29 * 86_400)));
            assert!(acknowledgements.is_due(&monthly, &sato, &two, NOW.plus_secs(30 * 86_400)));
            assert!(acknowledgements.is_due(&notice("30d", "別の文です。"), &sato, &one, NOW));
            assert!(acknowledgements.is_due(&monthly, &"suzuki".parse().unwrap(), &one, NOW));
        }
        Ok(())
    }

    #[test]
    fn how_often_reads_back() {
        for text in ["sign-in", "30d"] {
            assert_eq!(String::from(text.parse::<Every>().unwrap()), text);
        }
        assert!("sometimes".parse::<Every>().unwrap_err().contains("30d"));
    }
}
