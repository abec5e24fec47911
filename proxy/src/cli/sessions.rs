//! `sekisho session`: who is signed in, and ending it.

use std::process::ExitCode;

use clap::Subcommand;
use vocabulary::{PersonId, SessionId};

use super::ask::carry_out;
use super::output::{Output, listed, told};
use super::say;
use crate::control::Command;

#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// Who is signed in
    List {
        /// Only this person's
        #[arg(long)]
        person: Option<PersonId>,
        #[command(flatten)]
        output: Output,
    },
    /// End a session, or all of a person's
    End {
        #[arg(required_unless_present = "person")]
        session: Option<SessionId>,
        #[arg(long, conflicts_with = "session")]
        person: Option<PersonId>,
        #[command(flatten)]
        output: Output,
    },
}

pub(crate) fn run(command: &SessionCommand) -> anyhow::Result<ExitCode> {
    match command {
        SessionCommand::List { person, output } => {
            let value = carry_out(&output.file, Command::SessionList { person: person.clone() })?;
            listed(
                output,
                &value,
                &["id", "person", "factors", "provider", "device", "source", "started", "last_active"],
            )
        }
        SessionCommand::End { session, person, output } => {
            let command = match (session, person) {
                (Some(session), _) => Command::SessionEnd { session: session.clone() },
                (None, Some(person)) => Command::SessionEndPerson { person: person.clone() },
                (None, None) => anyhow::bail!("name a session, or a person with --person"),
            };
            let value = carry_out(&output.file, command)?;
            told(output, &value, || say(format_args!("{} session(s) ended.", value["sessions_ended"])))
        }
    }
}
