//! `sekisho device`: what devices there are, new certificates, and shutting devices out. Invitations are in
//! `invitations.rs`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;
use vocabulary::{DeviceId, DeviceKind, GroupName, MachineName, Os, PersonId, RevocationCause, Span};

use super::ask::carry_out;
use super::invitations::{self, InvitationCommand};
use super::output::{Output, listed, told, warn_of_groups};
use super::{say, settings};
use crate::control::{self, Command, NewDevice};

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    #[command(flatten)]
    Invitation(InvitationCommand),
    /// Issue a device certificate at once, as a .p12 file or for a signing request
    Issue(Issue),
    /// Every device ever issued
    List {
        /// Only one person's
        #[arg(long)]
        owner: Option<PersonId>,
        /// Only those that are good and have not been let in for at least this long: 30d
        #[arg(long, value_name = "TIME")]
        unused: Option<Span>,
        #[command(flatten)]
        output: Output,
    },
    /// Give a device its next certificate, for a signing request
    Renew {
        device: DeviceId,
        /// The signing request (PKCS#10, in PEM or DER); only its public key is taken
        #[arg(long)]
        csr: PathBuf,
        /// Where to write the certificate and what signed it (PEM)
        #[arg(long, short)]
        out: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// Shut a lost device out, from the next request on
    Lost {
        /// Its id, as `sekisho device list` shows it
        device: DeviceId,
        #[command(flatten)]
        output: Output,
    },
    /// Shut a device out, from the next request on
    Revoke {
        device: DeviceId,
        /// Why: lost, stolen, replaced, owner-left, compromised, other
        #[arg(long, default_value = "other")]
        cause: RevocationCause,
        #[command(flatten)]
        output: Output,
    },
}

/// Whose a device is, as options say it.
#[derive(Clone, Debug, Args)]
#[group(skip)]
pub(crate) struct Whose {
    /// Whose device it is
    #[arg(long, conflicts_with_all = ["shared", "machine"])]
    owner: Option<PersonId>,
    /// It belongs to the facility and is used by whoever is on duty, one after the other
    #[arg(long, conflicts_with = "machine")]
    shared: bool,
    /// It is a program's (RPA, a script), which rules know by this name
    #[arg(long, value_name = "NAME")]
    machine: Option<MachineName>,
    /// Whose hardware a person's device is: lent (the facility's) or byod (their own)
    #[arg(long, requires = "owner", default_value = "lent")]
    kind: PersonsKind,
    /// Whom a shared device is for; may be given several times; without, everybody on the roster
    #[arg(long = "group", requires = "shared")]
    pub(super) groups: Vec<GroupName>,
}

/// Of the kinds of devices those that have an owner.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum PersonsKind {
    Lent,
    Byod,
}

impl Whose {
    /// # Errors
    /// Nothing says whose it is.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let said = self.owner.is_some() || self.shared || self.machine.is_some();
        anyhow::ensure!(said, "say whose it is: --owner ID, --shared or --machine NAME");
        Ok(())
    }

    pub(super) fn kind(&self) -> DeviceKind {
        match (self.shared, &self.machine) {
            (true, _) => DeviceKind::Shared,
            (_, Some(_)) => DeviceKind::Machine,
            _ => match self.kind {
                PersonsKind::Lent => DeviceKind::Lent,
                PersonsKind::Byod => DeviceKind::Byod,
            },
        }
    }

    pub(super) fn owner(&self) -> Option<PersonId> {
        self.owner.clone()
    }

    pub(super) fn machine(&self) -> Option<&MachineName> {
        self.machine.as_ref()
    }
}

#[derive(Debug, Args)]
pub(crate) struct Issue {
    #[command(flatten)]
    whose: Whose,
    /// What people call it, such as "訪問用iPhone"; a machine is called by its name
    #[arg(long, required_unless_present = "machine")]
    name: Option<String>,
    /// What runs on it: ios, android, windows, macos, chromeos, linux
    #[arg(long)]
    os: Option<Os>,
    /// Where to write the .p12, or with --csr the certificate and what signed it (PEM)
    #[arg(long, short)]
    out: PathBuf,
    /// A signing request (PKCS#10, in PEM or DER): the key stays where it was made. Only its public key is taken
    #[arg(long)]
    csr: Option<PathBuf>,
    /// AES-256 instead of 3DES: newer, but Android 12, macOS 13 and older can't read it
    #[arg(long, conflicts_with = "csr")]
    aes: bool,
    #[command(flatten)]
    output: Output,
}

pub(crate) fn run(command: &DeviceCommand) -> anyhow::Result<ExitCode> {
    match command {
        DeviceCommand::Invitation(command) => invitations::run(command),
        DeviceCommand::Issue(issue) => issue.run(),
        DeviceCommand::List { owner, unused, output } => list(owner.as_ref(), *unused, output),
        DeviceCommand::Renew { device, csr, out, output } => {
            let command = Command::DeviceRenew { device: device.clone(), csr: request(csr)? };
            let mut file = new_file(out)?;
            let value = or_without(out, carry_out(&output.file, command))?;
            write(&mut file, out, value["chain"].as_str().unwrap_or_default().as_bytes())?;
            told(output, &shown(&value, out), || {
                say(format_args!("The next certificate of {device}: {}", out.display()));
                say(format_args!("Valid until {}", value["device"]["not_after"].as_str().unwrap_or_default()));
            })
        }
        DeviceCommand::Lost { device, output } => shut_out(device, RevocationCause::Lost, output),
        DeviceCommand::Revoke { device, cause, output } => shut_out(device, *cause, output),
    }
}

impl Issue {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let Self { whose, out, output, .. } = self;
        whose.check()?;
        let csr = self.csr.as_deref().map(request).transpose()?;
        // The file first: a certificate that can't be saved should not be issued.
        let mut file = new_file(out)?;
        warn_of_groups(&output.file, &whose.groups)?;
        let machine = || whose.machine().map(ToString::to_string);
        let command = Command::DeviceIssue(NewDevice {
            kind: whose.kind(),
            owner: whose.owner(),
            groups: whose.groups.clone(),
            name: self.name.clone().or_else(machine).unwrap_or_default(),
            os: self.os,
            aes: self.aes,
            csr,
        });
        let value = or_without(out, carry_out(&output.file, command))?;
        let content = match value["chain"].as_str() {
            Some(chain) => chain.as_bytes().to_vec(),
            None => control::bytes_from_json(&value["p12"]).context("the answer held no certificate")?,
        };
        write(&mut file, out, &content).with_context(|| {
            let id = value["device"]["id"].as_str().unwrap_or_default();
            format!("revoke the device with `sekisho device revoke {id} --cause other`")
        })?;
        told(output, &shown(&value, out), || {
            let whose = match (whose.owner(), whose.machine()) {
                (Some(owner), _) => format!("of {owner}"),
                (None, Some(machine)) => format!("of the machine {machine}"),
                (None, None) => "shared".to_owned(),
            };
            let id = value["device"]["id"].as_str().unwrap_or_default();
            say(format_args!("Device {id}, {whose}: {}", out.display()));
            if let Some(password) = value["password"].as_str() {
                say(format_args!("Password of the file (shown only now): {password}"));
            }
            say(format_args!("Valid until {}", value["device"]["not_after"].as_str().unwrap_or_default()));
        })
    }
}

/// The answer without what went into the file.
fn shown(value: &Value, out: &Path) -> Value {
    let mut shown = value.clone();
    if let Some(object) = shown.as_object_mut() {
        object.remove("p12");
        object.remove("chain");
        object.insert("file".to_owned(), out.display().to_string().into());
    }
    shown
}

fn shut_out(device: &DeviceId, cause: RevocationCause, output: &Output) -> anyhow::Result<ExitCode> {
    let value = carry_out(&output.file, Command::DeviceRevoke { device: device.clone(), cause })?;
    told(output, &value, || {
        say(format_args!("{device} is revoked ({cause}); {} session(s) ended.", value["sessions_ended"]));
    })
}

fn list(owner: Option<&PersonId>, unused: Option<Span>, output: &Output) -> anyhow::Result<ExitCode> {
    let mut value = carry_out(&output.file, Command::DeviceList)?;
    let settings = settings(&output.file.config)?.settings;
    if let Some(rows) = value.as_array_mut() {
        rows.retain(|row| {
            owner.is_none_or(|owner| row["owner"] == owner.as_str())
                && unused.is_none_or(|unused| {
                    row["status"] == "active" && row["unseen_secs"].as_u64() >= Some(unused.0.as_secs())
                })
        });
        // Where it was, by the network's name: an address says little.
        for row in rows.iter_mut() {
            let address = row["last_seen_from"].as_str().and_then(|from| from.parse().ok());
            let networks = settings.policy.networks();
            let names = address.map(|address| networks.sure(networks.lookup(address)));
            if let Some(names) = names.filter(|names| !names.is_empty()) {
                row["network"] = names.iter().map(ToString::to_string).collect::<Vec<_>>().join(",").into();
            }
            if output.json {
                continue;
            }
            if let Some(network) = row["network"].as_str().map(str::to_owned) {
                row["last_seen_from"] = network.into();
            }
            if let (Some(cause), Some(at)) = (row["revoked"]["cause"].as_str(), row["revoked"]["at"].as_str()) {
                row["status"] = format!("revoked ({cause}, {})", at.split(' ').next().unwrap_or(at)).into();
            }
        }
    }
    let columns = ["id", "kind", "owner", "groups", "name", "os", "status", "not_after", "last_seen", "last_seen_from"];
    listed(output, &value, &columns)
}

/// A new file for a secret, made before anything is asked for.
pub(super) fn new_file(path: &Path) -> anyhow::Result<std::fs::File> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => anyhow!("{} is there already; choose another name", path.display()),
        ErrorKind::NotFound => anyhow!("{} can't be created: there is no such folder", path.display()),
        _ => anyhow!("{} can't be created: {error}", path.display()),
    })
}

/// Takes the empty file away where nothing came to stand in it.
pub(super) fn or_without<T>(path: &Path, result: anyhow::Result<T>) -> anyhow::Result<T> {
    if result.is_err() {
        let _ = std::fs::remove_file(path);
    }
    result
}

pub(super) fn write(file: &mut std::fs::File, path: &Path, content: &[u8]) -> anyhow::Result<()> {
    file.write_all(content)
        .and_then(|()| file.sync_all())
        .with_context(|| format!("{} can't be written", path.display()))
}

fn request(path: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("the signing request {} can't be read", path.display()))?;
    // What is no text is DER; as base64 it is read as well.
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| STANDARD.encode(error.as_bytes())))
}
