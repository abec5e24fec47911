//! `scim`: tokens for identity providers that push people and groups.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use identity::scim::Scopes;
use vocabulary::{PersonId, Span};

use super::ask::carry_out;
use super::output::{Output, listed, told};
use super::say;
use crate::control::{Command, NewScimToken};

#[derive(Debug, Subcommand)]
pub(crate) enum ScimCommand {
    /// The tokens by which providers show who they are
    #[command(subcommand)]
    Token(TokenCommand),
    /// Take a person out of the provider's hands; from then on the entry is yours alone. Whom the provider had deleted
    /// stays locked
    Release {
        person: PersonId,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token; it is printed once and kept nowhere
    Add(TokenAdd),
    /// Every token that was not revoked, with when and from where it was last used
    List(Output),
    /// Make a token worth nothing, from the next request on
    Revoke {
        token: String,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Args)]
pub(crate) struct TokenAdd {
    /// What you call it, such as entra
    #[arg(long)]
    name: String,
    /// users:read, users:write, groups:read, groups:write, or users and groups for both; separated by commas
    #[arg(long)]
    scope: Scopes,
    /// How long it is good for, such as 365d
    #[arg(long, default_value = "365d")]
    expires: Span,
    /// Whose people and groups it sees; tokens of one provider see the same ones. The id of the provider that people
    /// sign in with is a good name
    #[arg(long, default_value = "scim")]
    provider: String,
    #[command(flatten)]
    output: Output,
}

pub(crate) fn run(command: &ScimCommand) -> anyhow::Result<ExitCode> {
    match command {
        ScimCommand::Token(TokenCommand::Add(add)) => {
            let new = NewScimToken {
                name: add.name.clone(),
                provider: add.provider.clone(),
                scopes: add.scope,
                expires: add.expires,
            };
            let value = carry_out(&add.output.file, Command::ScimTokenAdd(new))?;
            told(&add.output, &value, || {
                say(format_args!(
                    "Token {} of {}, shown only now:",
                    value["id"].as_str().unwrap_or_default(),
                    add.name
                ));
                say(value["token"].as_str().unwrap_or_default());
                say(format_args!("Good until {}", value["expires"].as_str().unwrap_or_default()));
            })
        }
        ScimCommand::Token(TokenCommand::List(output)) => {
            let value = carry_out(&output.file, Command::ScimTokenList)?;
            let columns = ["id", "name", "provider", "scopes", "status", "expires", "last_used", "last_used_from"];
            listed(output, &value, &columns)
        }
        ScimCommand::Token(TokenCommand::Revoke { token, output }) => {
            let value = carry_out(&output.file, Command::ScimTokenRevoke { token: token.clone() })?;
            told(output, &value, || say(format_args!("{token} is worth nothing any more.")))
        }
        ScimCommand::Release { person, output } => {
            let value = carry_out(&output.file, Command::ScimRelease { person: person.clone() })?;
            told(output, &value, || {
                say(format_args!("{person} is yours: the provider changes this entry no more."));
                if value["locked"] == true {
                    say(format_args!("They are locked; `sekisho staff unlock {person}` takes the lock away."));
                }
            })
        }
    }
}
