//! `sekisho ca`: making the bundled authority, and handing out what may be handed out.

use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use audit::{Change, Record};
use cert_authority::{CertAuthority, Init, Passphrase};
use clap::Subcommand;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::{ConfigFile, NO, complain, say, settings};
use crate::control::Actor;
use crate::core::{Core, authority_path, passphrase};

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
    /// Print the root that managed devices need to trust the gate's own certificates (PEM)
    ServerRoot(ConfigFile),
}

pub(crate) fn run(command: &CaCommand) -> anyhow::Result<ExitCode> {
    match command {
        CaCommand::Init { file, organisation, root_out, root_passphrase_file } => {
            init(file, organisation, root_out, root_passphrase_file.as_deref())
        }
        CaCommand::ServerRoot(file) => {
            let settings = settings(&file.config)?.settings;
            let authority = CertAuthority::open(&authority_path(&settings.gateway.data), &passphrase(&settings)?)?;
            say(authority.server_root_pem().trim_end());
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn init(
    file: &ConfigFile,
    organisation: &str,
    root_out: &Path,
    root_passphrase_file: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    let settings = settings(&file.config)?.settings;
    let dir = authority_path(&settings.gateway.data);
    if CertAuthority::exists(&dir) {
        complain(format_args!("sekisho: there is an authority in {} already", dir.display()));
        return Ok(ExitCode::from(NO));
    }
    let issuing = passphrase(&settings)?;
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
    core.journal.append_blocking(core.now(), &Record::Change(made(organisation)))?;
    let report = CertAuthority::init(&dir, &init)?;
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

/// The terminal does not show what is typed, until this is dropped.
struct Unseen(Termios);

impl Unseen {
    /// Before anything is asked, so that nothing is shown however fast somebody types.
    fn begin() -> anyhow::Result<Self> {
        let before = tcgetattr(std::io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self(before))
    }

    fn ask(&self, prompt: &str) -> anyhow::Result<String> {
        let mut terminal = std::io::stderr().lock();
        terminal.write_all(prompt.as_bytes())?;
        terminal.flush()?;
        let mut line = String::new();
        std::io::stdin().lock().take(4096).read_line(&mut line)?;
        terminal.write_all(b"\n")?;
        let end = line.trim_end_matches(['\r', '\n']).len();
        line.truncate(end);
        Ok(line)
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0);
    }
}

/// What the record says before it happens (promise 7).
fn made(organisation: &str) -> Change {
    let Actor { who, channel } = Actor::offline(rustix::process::geteuid().as_raw());
    Change {
        by: who,
        channel: channel.to_owned(),
        what: "authority-made".to_owned(),
        subject: organisation.to_owned(),
        details: serde_json::Map::new(),
        more: serde_json::Map::new(),
    }
}
