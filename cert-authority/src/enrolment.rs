//! The `enrolment` part of the configuration, as written and as resolved.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{DocumentError, Span};

use crate::invitation::{Approval, INVITATION_VALIDITY, INVITATION_VALIDITY_MAX};

/// How people get their devices enrolled and their certificates renewed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentDocument {
    /// The facility's name on pages and in mails. Default: the organisation that `sekisho ca init` was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facility: Option<String>,
    /// How long an invitation's link is good for. Default `24h`, from `1m` to `30d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitation: Option<Span>,
    /// When an operator has to say yes before a device is enrolled, by comparing a short code: `outside` (default, from no
    /// network of this file), `always` or `never`. An invitation may say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Whom people are to call, such as `事務所 03-0000-0000`. Shown to who waits and where something went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// How long before a certificate ends its owner is reminded, each once. Default `[60d, 30d, 7d]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remind: Option<Vec<Span>>,
    /// For how long a certificate that has expired can still be renewed with, and with nothing else. Default `0d`: then
    /// a new invitation is needed. At most `90d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<Span>,
    /// For how long the former certificate is good as well, once there is a new one. Default `14d`, at most `90d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Span>,
    /// Whether iPhones (iOS 16) and Macs (13.1) are asked to make their key themselves, in the Secure Enclave, by ACME
    /// with an attestation of Apple's. The file with the key stays as the other way. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apple_acme: Option<bool>,
}

/// `enrolment`, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolmentSettings {
    pub facility: Option<String>,
    pub invitation: Duration,
    pub approval: Approval,
    pub contact: Option<String>,
    /// The longest first.
    pub remind: Vec<Duration>,
    pub grace: Duration,
    pub overlap: Duration,
    pub apple_acme: bool,
}

const DAY: Duration = Duration::from_secs(86_400);

impl EnrolmentDocument {
    /// Fills in the defaults and checks the values.
    ///
    /// # Errors
    /// Every problem at once, with paths from the whole document's root (`enrolment.…`).
    pub fn resolve(&self) -> Result<EnrolmentSettings, Vec<DocumentError>> {
        let mut errors = Vec::new();
        let mut wrong = |key: &str, value: String, problem: String| {
            errors.push(DocumentError::new(["enrolment".into(), key.into()], value, problem));
        };
        for (key, text, most) in [("facility", &self.facility, 64), ("contact", &self.contact, 120)] {
            let Some(text) = text else { continue };
            if text.trim().is_empty() || text.chars().any(char::is_control) || text.chars().count() > most {
                wrong(key, text.clone(), format!("must be one line of 1 to {most} characters"));
            }
        }
        let mut within = |key: &str, span: Option<Span>, default: Duration, least: Duration, most: Duration| {
            let Some(span) = span else { return default };
            if span.0 < least || span.0 > most {
                wrong(key, span.to_string(), format!("must lie between {} and {}", Span(least), Span(most)));
            }
            span.0
        };
        let minute = Duration::from_secs(60);
        let invitation = within("invitation", self.invitation, INVITATION_VALIDITY, minute, INVITATION_VALIDITY_MAX);
        let grace = within("grace", self.grace, Duration::ZERO, Duration::ZERO, 90 * DAY);
        let overlap = within("overlap", self.overlap, 14 * DAY, Duration::ZERO, 90 * DAY);
        let written = self.remind.as_ref().map(|spans| spans.iter().map(|span| span.0).collect());
        let mut remind: Vec<Duration> = written.unwrap_or_else(|| vec![60 * DAY, 30 * DAY, 7 * DAY]);
        if let Some(odd) = remind.iter().find(|span| **span < DAY || **span > 365 * DAY) {
            wrong("remind", Span(*odd).to_string(), "must lie between 1d and 365d".to_owned());
        }
        remind.sort_unstable_by(|a, b| b.cmp(a));
        remind.dedup();
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(EnrolmentSettings {
            facility: self.facility.clone(),
            invitation,
            approval: self.approval.unwrap_or_default(),
            contact: self.contact.clone(),
            remind,
            grace,
            overlap,
            apple_acme: self.apple_acme.unwrap_or(true),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_its_default() {
        let settings = EnrolmentDocument::default().resolve().unwrap();
        assert_eq!(settings.invitation, DAY);
        assert_eq!(settings.approval, Approval::Outside);
        assert_eq!(settings.remind, [60 * DAY, 30 * DAY, 7 * DAY]);
        assert!(settings.apple_acme && settings.grace.is_zero());
    }

    #[test]
    fn every_wrong_value_is_told_with_its_place() {
        let document = EnrolmentDocument {
            facility: Some(" ".to_owned()),
            invitation: Some(Span(31 * DAY)),
            grace: Some(Span(91 * DAY)),
            remind: Some(vec![Span(DAY), Span::secs(5)]),
            ..EnrolmentDocument::default()
        };
        let errors = document.resolve().unwrap_err();
        let told: Vec<_> = errors.iter().map(|error| vocabulary::DisplayPath(&error.path).to_string()).collect();
        assert_eq!(told, ["enrolment.facility", "enrolment.invitation", "enrolment.grace", "enrolment.remind"]);
    }
}
