//! `sekisho device`: certificates for devices outside, and shutting devices out.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Subcommand;
use vocabulary::{DeviceId, GroupName, PersonId};

use super::ask::carry_out;
use super::output::{Output, listed, told, warn_of_groups};
use super::say;
use crate::control::{self, Command};

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// Issue a device certificate as a .p12 file
    Issue {
        /// Whose device it is
        #[arg(long, required_unless_present = "shared")]
        owner: Option<PersonId>,
        /// It belongs to the facility and is used by whoever is on duty, one after the other
        #[arg(long, conflicts_with = "owner")]
        shared: bool,
        /// Whom a shared device is for; may be given several times; without, everybody on the roster
        #[arg(long = "group", requires = "shared")]
        groups: Vec<GroupName>,
        /// What people call it, such as "訪問用iPhone"
        #[arg(long)]
        name: String,
        /// Where to write the .p12
        #[arg(long, short)]
        out: PathBuf,
        /// AES-256 instead of 3DES: newer, but Android 12, macOS 13 and older can't read it
        #[arg(long)]
        aes: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Every device ever issued
    List(Output),
    /// Shut a device out, from the next request on
    Revoke {
        device: DeviceId,
        /// Why, for the record
        #[arg(long, default_value = "lost")]
        cause: String,
        #[command(flatten)]
        output: Output,
    },
}

pub(crate) fn run(command: &DeviceCommand) -> anyhow::Result<ExitCode> {
    match command {
        DeviceCommand::Issue { owner, shared: _, groups, name, out, aes, output } => {
            // The file first: a certificate that can't be saved should not be issued.
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(out).map_err(|error| {
                match error.kind() {
                    ErrorKind::AlreadyExists => anyhow!("{} is there already; choose another name", out.display()),
                    ErrorKind::NotFound => anyhow!("{} can't be created: there is no such folder", out.display()),
                    _ => anyhow!("{} can't be created: {error}", out.display()),
                }
            })?;
            let command =
                Command::DeviceIssue { owner: owner.clone(), groups: groups.clone(), name: name.clone(), aes: *aes };
            warn_of_groups(&output.file, groups)?;
            let issued = carry_out(&output.file, command);
            let value = match issued {
                Ok(value) => value,
                Err(error) => {
                    let _ = std::fs::remove_file(out);
                    return Err(error);
                }
            };
            let p12 = control::bytes_from_json(&value["p12"]).context("the answer held no certificate")?;
            file.write_all(&p12).and_then(|()| file.sync_all()).with_context(|| {
                format!(
                    "{} can't be written; revoke the device with `sekisho device revoke {}`",
                    out.display(),
                    value["device"]["id"].as_str().unwrap_or_default()
                )
            })?;
            let mut shown = value.clone();
            if let Some(object) = shown.as_object_mut() {
                object.remove("p12");
                object.insert("file".to_owned(), out.display().to_string().into());
            }
            told(output, &shown, || {
                let whose = owner.as_ref().map_or("shared".to_owned(), |owner| format!("of {owner}"));
                let id = value["device"]["id"].as_str().unwrap_or_default();
                say(format_args!("Device {id}, {whose}: {}", out.display()));
                say(format_args!(
                    "Password of the file (shown only now): {}",
                    value["password"].as_str().unwrap_or_default()
                ));
                say(format_args!("Valid until {}", value["device"]["not_after"].as_str().unwrap_or_default()));
            })
        }
        DeviceCommand::List(output) => {
            let value = carry_out(&output.file, Command::DeviceList)?;
            listed(
                output,
                &value,
                &["id", "kind", "owner", "groups", "name", "status", "not_after", "last_seen", "serial"],
            )
        }
        DeviceCommand::Revoke { device, cause, output } => {
            let command = Command::DeviceRevoke { device: device.clone(), cause: cause.clone() };
            let value = carry_out(&output.file, command)?;
            told(output, &value, || {
                say(format_args!("{device} is revoked; {} session(s) ended.", value["sessions_ended"]));
            })
        }
    }
}
