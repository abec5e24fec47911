//! `sekisho ca`: making the bundled authority, and handing out what may be handed out.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use audit::{Change, Record};
use cert_authority::{CaRenewal, CaRenewed, CertAuthority, DeviceCa, Fingerprint, Import, Init, Passphrase};
use clap::{Args, Subcommand};
use vocabulary::Timestamp;
use zeroize::Zeroizing;

use super::devices::{new_file, write};
use super::output::{Output, listed};
use super::{ConfigFile, NO, complain, say, settings};
use crate::control::Actor;
use crate::core::{Core, authority_path, passphrase, passphrase_is_typed};
use crate::enrol;
use crate::terminal::Unseen;

#[derive(Debug, Subcommand)]
pub(crate) enum CaCommand {
    /// Make the authority: an offline root, exported once, and the keys the gate issues with
    Init {
        #[command(flatten)]
        file: ConfigFile,
        /// Who runs the gate, for the certificates' subject
        #[arg(long)]
        organisation: String,
        /// Where to write the offline root, encrypted; keep it away from this machine
        #[arg(long)]
        root_out: PathBuf,
        /// File with the passphrase of the offline root; without it, it is read from standard input
        #[arg(long)]
        root_passphrase_file: Option<PathBuf>,
    },
    /// Make the authority around a device CA that the facility has already; for the gate's own certificates a new root is
    /// made
    Import {
        #[command(flatten)]
        file: ConfigFile,
        /// Who runs the gate, for the certificates' subject
        #[arg(long)]
        organisation: String,
        #[command(flatten)]
        device_ca: DeviceCaFiles,
        /// Where to write the offline root of the gate's own certificates, encrypted; keep it away from this machine
        #[arg(long)]
        root_out: PathBuf,
        /// File with the passphrase of the offline root; without it, it is read from standard input
        #[arg(long)]
        root_passphrase_file: Option<PathBuf>,
    },
    /// Make a new device CA (or server CA) with the offline root, before the old one ends, and with the gate stopped.
    /// Devices go on as they are: the old one is trusted until its end
    Renew {
        #[command(flatten)]
        file: ConfigFile,
        /// The offline root that `sekisho ca init` wrote
        #[arg(long)]
        root: PathBuf,
        /// File with its passphrase; without it, it is read from standard input
        #[arg(long)]
        root_passphrase_file: Option<PathBuf>,
        /// The CA of the gate's own certificates instead of that of devices
        #[arg(long)]
        server: bool,
    },
    /// Put a device CA from elsewhere in the place of the one there is, which is trusted until its end; with the gate stopped
    Replace {
        #[command(flatten)]
        file: ConfigFile,
        #[command(flatten)]
        device_ca: DeviceCaFiles,
    },
    /// Fingerprints of roots and CAs, and when they end
    Show(Output),
    /// Write the list of revoked device certificates (DER), as it is published; with former device CAs, the list of each
    Crl {
        #[command(flatten)]
        file: ConfigFile,
        /// Where to; those of former CAs are written beside it, as `<name>-former-1.crl`
        #[arg(long, short)]
        out: PathBuf,
    },
    /// Print the root that managed devices need to trust the gate's own certificates (PEM)
    ServerRoot(ConfigFile),
}

/// A device CA that was made elsewhere.
#[derive(Debug, Args)]
pub(crate) struct DeviceCaFiles {
    /// Its certificate (PEM)
    #[arg(long, value_name = "FILE")]
    device_ca: PathBuf,
    /// Its key (PKCS#8 in PEM, encrypted or not)
    #[arg(long, value_name = "FILE")]
    device_ca_key: PathBuf,
    /// File with the passphrase of the key, if it is encrypted
    #[arg(long, value_name = "FILE")]
    key_passphrase_file: Option<PathBuf>,
    /// The root that signed it (PEM), unless it signed itself
    #[arg(long, value_name = "FILE")]
    device_root: Option<PathBuf>,
}

pub(crate) fn run(command: &CaCommand) -> anyhow::Result<ExitCode> {
    match command {
        CaCommand::Init { file, organisation, root_out, root_passphrase_file } => {
            make(file, organisation, root_out, root_passphrase_file.as_deref(), None)
        }
        CaCommand::Import { file, organisation, device_ca, root_out, root_passphrase_file } => {
            let device_ca = device_ca.read()?;
            make(file, organisation, root_out, root_passphrase_file.as_deref(), Some(device_ca))
        }
        CaCommand::Renew { file, root, root_passphrase_file, server } => {
            let root_passphrase = match root_passphrase_file {
                Some(path) => Passphrase::from_file(path)?,
                None => root_passphrase_once()?,
            };
            let (what, kind) = match server {
                true => ("server-ca-renewed", "server CA"),
                false => ("device-ca-renewed", "device CA"),
            };
            change(file, what, |dir, passphrase, now| {
                let renewal = CaRenewal { passphrase, roots: root.clone(), root_passphrase, now };
                match server {
                    true => CertAuthority::renew_server_ca(dir, &renewal),
                    false => CertAuthority::renew_device_ca(dir, &renewal),
                }
            })
            .and_then(|renewed| tell_renewed(file, kind, &renewed))
        }
        CaCommand::Replace { file, device_ca } => {
            let device_ca = device_ca.read()?;
            change(file, "device-ca-replaced", |dir, passphrase, now| {
                CertAuthority::replace_device_ca(dir, &passphrase, &device_ca, now)
            })
            .and_then(|renewed| tell_renewed(file, "device CA", &renewed))
        }
        CaCommand::Show(output) => show(output),
        CaCommand::Crl { file, out } => {
            let settings = settings(&file.config)?.settings;
            let published = authority_path(&settings.gateway.data);
            let lists = (0..).map_while(|place| std::fs::read(published.join(enrol::crl_file_name(place))).ok());
            let lists: Vec<_> = lists.collect();
            anyhow::ensure!(
                !lists.is_empty(),
                "there is no list yet; a running gate makes one within seconds of its start"
            );
            for (place, der) in lists.iter().enumerate() {
                let path = match place {
                    0 => out.clone(),
                    former => beside(out, former),
                };
                write(&mut new_file(&path)?, &path, der)?;
                say(format_args!("Written: {}", path.display()));
            }
            Ok(ExitCode::SUCCESS)
        }
        CaCommand::ServerRoot(file) => {
            let settings = settings(&file.config)?.settings;
            let authority = CertAuthority::open(&authority_path(&settings.gateway.data), &passphrase(&settings)?)?;
            say(authority.server_root_pem().trim_end());
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Where the list of a former CA is written.
fn beside(out: &Path, former: usize) -> PathBuf {
    let stem = out.file_stem().unwrap_or_default().to_string_lossy();
    out.with_file_name(format!("{stem}-former-{former}.crl"))
}

impl DeviceCaFiles {
    fn read(&self) -> anyhow::Result<DeviceCa> {
        let text =
            |path: &Path| std::fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()));
        Ok(DeviceCa {
            certificate: text(&self.device_ca)?,
            key: Zeroizing::new(text(&self.device_ca_key)?),
            key_passphrase: self.key_passphrase_file.as_deref().map(Passphrase::from_file).transpose()?,
            root: self.device_root.as_deref().map(text).transpose()?,
        })
    }
}

/// Changes the authority of a gate that stands still: recorded before.
fn change(
    file: &ConfigFile,
    what: &str,
    work: impl FnOnce(&Path, Passphrase, Timestamp) -> cert_authority::Result<CaRenewed>,
) -> anyhow::Result<CaRenewed> {
    let settings = settings(&file.config)?.settings;
    let dir = authority_path(&settings.gateway.data);
    let passphrase = passphrase(&settings)?;
    let core = Core::open(&settings).context("stop the gate for this: it opens the authority when it starts")?;
    let organisation = core.authority.as_ref().map(CertAuthority::organisation).unwrap_or_default().to_owned();
    core.journal.append_blocking(core.now(), &Record::Change(said(what, &organisation)))?;
    let done = work(&dir, passphrase, core.now());
    if let Err(error) = &done {
        let mut failed = said("authority-not-changed", &organisation);
        failed.details.insert("what".to_owned(), what.into());
        failed.details.insert("cause".to_owned(), error.to_string().into());
        core.journal.append_blocking(core.now(), &Record::Change(failed))?;
    }
    core.journal.clone().close()?;
    Ok(done?)
}

fn tell_renewed(file: &ConfigFile, kind: &str, renewed: &CaRenewed) -> anyhow::Result<ExitCode> {
    let until = settings(&file.config)?.settings.gateway.time_zone.display(renewed.not_after);
    say(format_args!("The new {kind}, SHA-256 {}, is good until {until}.", renewed.fingerprint));
    if renewed.former > 0 {
        say(format_args!("{} former one(s) are trusted until they end; see `sekisho ca show`.", renewed.former));
    }
    say("Start the gate again, and back up its `ca` folder anew.");
    Ok(ExitCode::SUCCESS)
}

fn show(output: &Output) -> anyhow::Result<ExitCode> {
    let settings = settings(&output.file.config)?.settings;
    let authority = CertAuthority::open(&authority_path(&settings.gateway.data), &passphrase(&settings)?)?;
    let zone = &settings.gateway.time_zone;
    let mut value = serde_json::json!([
        { "what": "device root", "sha256": authority.root_fingerprint(), "until": null },
        { "what": "device CA", "sha256": Fingerprint::of(authority.device_ca_der()),
          "until": zone.display(authority.device_ca_not_after()) },
        { "what": "server root", "sha256": authority.server_root_fingerprint(), "until": null },
        { "what": "server CA", "sha256": Fingerprint::of(authority.server_ca_der()),
          "until": zone.display(authority.server_ca_not_after()) },
    ]);
    if let Some(rows) = value.as_array_mut() {
        let former = authority.former_device_cas().map(|(der, until)| {
            serde_json::json!({ "what": "former device CA", "sha256": Fingerprint::of(der), "until": zone.display(until) })
        });
        rows.splice(2..2, former);
    }
    listed(output, &value, &["what", "until", "sha256"])
}

fn make(
    file: &ConfigFile,
    organisation: &str,
    root_out: &Path,
    root_passphrase_file: Option<&Path>,
    device_ca: Option<DeviceCa>,
) -> anyhow::Result<ExitCode> {
    let settings = settings(&file.config)?.settings;
    let dir = authority_path(&settings.gateway.data);
    if CertAuthority::exists(&dir) {
        complain(format_args!("sekisho: there is an authority in {} already", dir.display()));
        return Ok(ExitCode::from(NO));
    }
    let issuing = passphrase(&settings)?;
    // A slip would make the authority worthless at once.
    if passphrase_is_typed(&settings) && passphrase(&settings)?.danger_expose() != issuing.danger_expose() {
        anyhow::bail!("the two passphrases differ; nothing was made");
    }
    if root_out.exists() {
        complain(format_args!("sekisho: {} is there already; choose another name", root_out.display()));
        return Ok(ExitCode::from(NO));
    }
    if root_out.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        anyhow::bail!("{} can't be written: there is no such folder", root_out.display());
    }
    let root = match root_passphrase_file {
        Some(path) => Passphrase::from_file(path)?,
        None => root_passphrase()?,
    };
    let gateway = &settings.gateway;
    let outside: Vec<String> = std::iter::once(gateway.login_host.clone())
        .chain(settings.apps.iter().map(|a| a.saas.hosts.main().our_host().to_owned()))
        .filter(|host| !host.ends_with(&format!(".{}", gateway.domain)))
        .collect();
    // A running gate would not take the authority over, and holds the journal in which this is to stand.
    let core = Core::open(&settings).context("stop the gate first: it takes an authority over when it starts")?;
    let init = Init {
        organisation: organisation.to_owned(),
        domain: gateway.domain.clone(),
        other_domains: outside,
        passphrase: issuing,
        root_passphrase: root,
        export_to: root_out.to_owned(),
        now: core.now(),
    };
    CertAuthority::check_init(&dir, &init)?;
    let what = if device_ca.is_some() { "authority-imported" } else { "authority-made" };
    core.journal.append_blocking(core.now(), &Record::Change(said(what, organisation)))?;
    let report = match device_ca {
        None => CertAuthority::init(&dir, &init)?,
        Some(device_ca) => CertAuthority::import(&dir, &Import { init, device_ca })?,
    };
    core.journal.clone().close()?;
    say(format_args!("Authority of {organisation} made in {}.", dir.display()));
    say(format_args!("Device root SHA-256: {}", report.root_fingerprint));
    say(format_args!("Server root SHA-256: {}", report.server_root_fingerprint));
    say(format_args!("Offline roots: {}. Move them to a safe place; the gate runs without.", root_out.display()));
    Ok(ExitCode::SUCCESS)
}

/// Typed without being shown, and twice: a slip would make the offline roots worthless, and nobody would notice before
/// they are needed.
fn root_passphrase() -> anyhow::Result<Passphrase> {
    if std::io::stdin().is_terminal() {
        let unseen = Unseen::begin()?;
        let typed = unseen.ask("Passphrase for the offline root: ")?;
        let again = unseen.ask("The same once more: ")?;
        anyhow::ensure!(typed == again, "the two passphrases differ; nothing was made");
        return Ok(Passphrase::new(&typed));
    }
    complain("Passphrase for the offline root, on standard input:");
    let mut text = String::new();
    std::io::stdin().take(4096).read_to_string(&mut text)?;
    Ok(Passphrase::new(text.trim_end_matches(['\r', '\n'])))
}

/// One that is known, typed once.
fn root_passphrase_once() -> anyhow::Result<Passphrase> {
    if std::io::stdin().is_terminal() {
        return Ok(Passphrase::new(&Unseen::begin()?.ask("Passphrase of the offline root: ")?));
    }
    let mut text = String::new();
    std::io::stdin().take(4096).read_to_string(&mut text)?;
    Ok(Passphrase::new(text.trim_end_matches(['\r', '\n'])))
}

/// What the record says before it happens (promise 7).
fn said(what: &str, organisation: &str) -> Change {
    let Actor { who, channel } = Actor::offline(rustix::process::geteuid().as_raw());
    Change {
        by: who,
        channel: channel.to_owned(),
        what: what.to_owned(),
        subject: organisation.to_owned(),
        details: serde_json::Map::new(),
        more: serde_json::Map::new(),
    }
}
