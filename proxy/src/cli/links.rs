//! `staff links | link | unlink`: accounts of identity providers and the people they belong to.

use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use vocabulary::PersonId;

use super::ask::carry_out;
use super::output::{Output, listed, told};
use super::{say, settings};
use crate::control::Command;

#[derive(Debug, Subcommand)]
pub(crate) enum LinkCommand {
    /// Accounts of identity providers, and whose they are
    Links {
        /// Only this person's
        #[arg(long)]
        person: Option<PersonId>,
        #[command(flatten)]
        output: Output,
    },
    /// Say whose an account of an identity provider is
    Link {
        person: PersonId,
        /// The provider's id in the configuration
        #[arg(long)]
        provider: String,
        /// What the provider calls the person: the `sub` claim. A refused sign-in's record has it
        #[arg(long)]
        account: String,
        #[command(flatten)]
        output: Output,
    },
    /// Take a person's links away, and end the sessions that stand on them
    Unlink {
        person: PersonId,
        /// Only at this provider, by its id in the configuration
        #[arg(long)]
        provider: Option<String>,
        #[command(flatten)]
        output: Output,
    },
}

pub(super) fn run(command: &LinkCommand) -> anyhow::Result<ExitCode> {
    match command {
        LinkCommand::Links { person, output } => {
            let value = carry_out(&output.file, Command::StaffLinks { person: person.clone() })?;
            listed(output, &value, &["person", "issuer", "account", "made"])
        }
        LinkCommand::Link { person, provider, account, output } => {
            let (person, subject) = (person.clone(), account.clone());
            let issuer = issuer(output, provider)?;
            let value = carry_out(&output.file, Command::StaffLink { person: person.clone(), issuer, subject })?;
            told(output, &value, || say(format_args!("The account is {person}'s from now on.")))
        }
        LinkCommand::Unlink { person, provider, output } => {
            let issuer = provider.as_deref().map(|provider| issuer(output, provider)).transpose()?;
            let value = carry_out(&output.file, Command::StaffUnlink { person: person.clone(), issuer })?;
            told(output, &value, || {
                say(format_args!(
                    "{} link(s) of {person} are gone; {} session(s) ended.",
                    value["unlinked"], value["sessions_ended"]
                ));
            })
        }
    }
}

/// Links are kept by issuer, so that an id which comes to mean another provider brings nobody in.
fn issuer(output: &Output, provider: &str) -> anyhow::Result<String> {
    let settings = settings(&output.file.config)?.settings;
    let found = settings.identity.providers.iter().find(|p| p.id == provider).and_then(|p| p.oidc.as_ref());
    let oidc = found.with_context(|| format!("{provider} is no OpenID Connect provider of the configuration"))?;
    Ok(oidc.issuer.as_str().to_owned())
}
