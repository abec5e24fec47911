//! `sekisho device invite` and what goes with it: links for people, one by one or by a list, and the operator's yes.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use apps::Lang;
use apps::enroll::SheetEntry;
use cert_authority::Approval;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;
use vocabulary::{DeviceKind, GroupName, MachineName, PersonId, Span};

use super::ask::carry_out;
use super::devices::{Whose, new_file, or_without, write};
use super::output::{Output, listed, told, warn_of_groups};
use super::{COULD_NOT, complain, say};
use crate::control::{Command, NewInvitation};

#[derive(Debug, Subcommand)]
pub(crate) enum InvitationCommand {
    /// Invite somebody to enrol a device: a link that is good once
    Invite(Invite),
    /// Invite everybody of a list: a CSV file with the column `owner`, and if need be `kind`, `name`
    InviteAll(InviteAll),
    /// Invitations, and what became of them
    Invitations(Output),
    /// Who waits for your yes, each under the short code that their screen shows
    Requests(Output),
    /// Say yes to who reads you this code over the telephone
    Approve {
        code: String,
        #[command(flatten)]
        output: Output,
    },
    /// Say no; the invitation is over
    Decline {
        code: String,
        #[command(flatten)]
        output: Output,
    },
    /// Take an invitation back
    Withdraw {
        invitation: String,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Invite {
    #[command(flatten)]
    whose: Whose,
    /// What the device will be called; left to who enrols it if not given
    #[arg(long)]
    name: Option<String>,
    /// A program may redeem it (EST), without anybody signing in
    #[arg(long)]
    unattended: bool,
    /// A QR code of the link, as SVG
    #[arg(long, value_name = "FILE")]
    qr: Option<PathBuf>,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct InviteAll {
    /// The list; UTF-8, with a line of column names
    file: PathBuf,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    output: Output,
}

/// How an invitation is made and handed out.
#[derive(Clone, Debug, Args)]
struct How {
    /// How long the link is good: 24h; as configured if not given
    #[arg(long, value_name = "TIME")]
    valid: Option<Span>,
    /// When you will have to say yes first; as configured if not given
    #[arg(long)]
    approval: Option<ApprovalWord>,
    /// Mail the link to its owner, by the address of the roster
    #[arg(long)]
    mail: bool,
    /// A sheet to print (A4, HTML) with QR code and steps
    #[arg(long, value_name = "FILE")]
    sheet: Option<PathBuf>,
    /// The language of mail and sheet
    #[arg(long, default_value = "ja")]
    lang: LangWord,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LangWord {
    Ja,
    En,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ApprovalWord {
    Never,
    Outside,
    Always,
}

impl How {
    fn lang(&self) -> Lang {
        match self.lang {
            LangWord::Ja => Lang::Ja,
            LangWord::En => Lang::En,
        }
    }

    fn command(
        &self,
        kind: DeviceKind,
        owner: Option<PersonId>,
        groups: Vec<GroupName>,
        name: Option<String>,
    ) -> NewInvitation {
        NewInvitation {
            kind,
            owner,
            groups,
            name,
            valid: self.valid,
            approval: self.approval.map(|word| match word {
                ApprovalWord::Never => Approval::Never,
                ApprovalWord::Outside => Approval::Outside,
                ApprovalWord::Always => Approval::Always,
            }),
            unattended: false,
            mail: self.mail.then_some(matches!(self.lang, LangWord::En)),
        }
    }
}

pub(crate) fn run(command: &InvitationCommand) -> anyhow::Result<ExitCode> {
    match command {
        InvitationCommand::Invite(invite) => invite.run(),
        InvitationCommand::InviteAll(all) => all.run(),
        InvitationCommand::Invitations(output) => {
            let value = carry_out(&output.file, Command::DeviceInvitations)?;
            listed(output, &value, &["id", "kind", "owner", "name", "state", "until", "approval", "made_by"])
        }
        InvitationCommand::Requests(output) => {
            let mut value = carry_out(&output.file, Command::DeviceInvitations)?;
            if let Some(rows) = value.as_array_mut() {
                rows.retain(|row| row["state"] == "waiting");
            }
            listed(output, &value, &["code", "person", "name", "kind", "os", "source", "asked_at", "id"])
        }
        InvitationCommand::Approve { code, output } => {
            let value = carry_out(&output.file, Command::DeviceApprove { code: code.clone() })?;
            told(output, &value, || {
                let (who, name) = (whose(&value), value["name"].as_str().unwrap_or_default());
                say(format_args!("{who} may enrol \"{name}\" now; their page goes on by itself."));
            })
        }
        InvitationCommand::Decline { code, output } => {
            let value = carry_out(&output.file, Command::DeviceDecline { code: code.clone() })?;
            told(output, &value, || {
                say(format_args!("Declined; the invitation {} is over.", value["id"].as_str().unwrap_or_default()));
            })
        }
        InvitationCommand::Withdraw { invitation, output } => {
            let value = carry_out(&output.file, Command::DeviceWithdraw { invitation: invitation.clone() })?;
            told(output, &value, || say(format_args!("The invitation {invitation} is withdrawn.")))
        }
    }
}

fn whose(value: &Value) -> String {
    let person = value["owner_name"].as_str().or(value["person"].as_str()).or(value["owner"].as_str());
    person.or(value["name"].as_str()).unwrap_or("somebody").to_owned()
}

impl Invite {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let Self { whose, how, output, .. } = self;
        warn_of_groups(&output.file, &whose.groups)?;
        let mut sheet = how.sheet.as_deref().map(new_file).transpose()?;
        let mut qr = match &self.qr {
            Some(path) => Some(or_without_sheet(how, new_file(path))?),
            None => None,
        };
        let name = self.name.clone().or_else(|| whose.machine().map(ToString::to_string));
        let new = NewInvitation {
            unattended: self.unattended,
            ..how.command(whose.kind(), whose.owner(), whose.groups.clone(), name)
        };
        let asked = carry_out(&output.file, Command::DeviceInvite(new));
        let asked = or_without_sheet(how, asked);
        let value = match &self.qr {
            Some(path) => or_without(path, asked)?,
            None => asked?,
        };
        let link = value["link"].as_str().unwrap_or_default();
        if let (Some(file), Some(path)) = (&mut sheet, &how.sheet) {
            write(file, path, sheets(how.lang(), std::slice::from_ref(&value)).as_bytes())?;
        }
        if let (Some(file), Some(path)) = (&mut qr, &self.qr) {
            let svg = apps::enroll::qr_svg(link).context("the link is too long for a QR code")?;
            write(file, path, svg.as_bytes())?;
        }
        told(output, &value, || {
            say(format_args!("Invitation {} for {}", value["id"].as_str().unwrap_or_default(), self::whose(&value)));
            say(format_args!("Link (good once, until {}):", value["until"].as_str().unwrap_or_default()));
            say(format_args!("  {link}"));
            if std::io::stdout().is_terminal()
                && let Some(qr) = apps::enroll::qr_text(link)
            {
                say(qr);
            }
            for path in [&how.sheet, &self.qr].into_iter().flatten() {
                say(format_args!("Written: {}", path.display()));
            }
            mailed(&value);
            if value["approval"] == "outside" {
                say("Who opens it outside of the facility waits for your yes: see `sekisho device requests`.");
            }
        })
    }
}

fn mailed(value: &Value) {
    if let Some(to) = value["mailed_to"].as_str() {
        say(format_args!("Mailed to {to}"));
    }
    if let Some(why) = value["not_mailed"].as_str() {
        complain(format_args!("warning: the mail could not be sent: {why}; hand the link over yourself"));
    }
}

fn or_without_sheet<T>(how: &How, result: anyhow::Result<T>) -> anyhow::Result<T> {
    match &how.sheet {
        Some(path) => or_without(path, result),
        None => result,
    }
}

fn sheets(lang: Lang, invitations: &[Value]) -> String {
    let text = |value: &Value, key: &str| value[key].as_str().map(str::to_owned);
    let rows: Vec<_> = invitations
        .iter()
        .map(|value| {
            let kind = text(value, "kind").and_then(|kind| kind.parse().ok()).unwrap_or(DeviceKind::Lent);
            (kind, ["facility", "owner_name", "link", "until", "contact"].map(|key| text(value, key)))
        })
        .collect();
    let entries: Vec<_> = rows
        .iter()
        .map(|(kind, [facility, owner, url, until, contact])| SheetEntry {
            facility: facility.as_deref().unwrap_or_default(),
            kind: *kind,
            owner: owner.as_deref(),
            url: url.as_deref().unwrap_or_default(),
            until: until.as_deref().unwrap_or_default(),
            contact: contact.as_deref(),
        })
        .collect();
    apps::enroll::sheets(lang, &entries)
}

/// A line of the list.
struct Row {
    line: u64,
    kind: DeviceKind,
    owner: Option<PersonId>,
    name: Option<String>,
}

impl InviteAll {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let Self { how, output, .. } = self;
        // All of it before anybody is invited.
        let rows = read(&self.file)?;
        let mut sheet = how.sheet.as_deref().map(new_file).transpose()?;
        let (mut made, mut failed) = (Vec::new(), 0);
        for row in &rows {
            let new = how.command(row.kind, row.owner.clone(), Vec::new(), row.name.clone());
            match carry_out(&output.file, Command::DeviceInvite(new)) {
                Ok(value) => made.push(value),
                Err(error) => {
                    failed += 1;
                    complain(format_args!("{}:{}: {error:#}", self.file.display(), row.line));
                }
            }
        }
        if let (Some(file), Some(path)) = (&mut sheet, &how.sheet) {
            write(file, path, sheets(how.lang(), &made).as_bytes())?;
        }
        for value in made.iter().filter(|_| !output.json) {
            mailed(value);
        }
        let shown: Value = made.iter().cloned().collect();
        listed(output, &shown, &["id", "kind", "owner", "name", "until", "link"])?;
        if !output.json
            && let Some(path) = &how.sheet
        {
            say(format_args!("Written: {}, {} sheet(s)", path.display(), made.len()));
        }
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(COULD_NOT) })
    }
}

/// The whole list, or everything that is wrong with it.
fn read(path: &Path) -> anyhow::Result<Vec<Row>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("the list {} can't be read", path.display()))?;
    let mut reader =
        ::csv::ReaderBuilder::new().trim(::csv::Trim::All).from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let head = reader.headers().context("the list has no line of column names")?.clone();
    let known = ["owner", "kind", "name"];
    if let Some(odd) = head.iter().find(|column| !known.contains(column)) {
        let hint = config::did_you_mean(odd, &known.map(str::to_owned));
        bail!("{}: there is no column `{odd}`{hint}; the columns are owner, kind, name", path.display());
    }
    let (mut rows, mut wrong) = (Vec::new(), Vec::new());
    for record in reader.deserialize::<BTreeMap<String, String>>() {
        let record = record.with_context(|| format!("{} can't be read", path.display()))?;
        let line = u64::try_from(rows.len() + wrong.len()).unwrap_or(u64::MAX) + 2;
        match row(&record, line) {
            Ok(row) => rows.push(row),
            Err(problem) => wrong.push(format!("{}:{line}: {problem}", path.display())),
        }
    }
    if !wrong.is_empty() {
        bail!("nobody was invited, because the list is wrong:\n{}", wrong.join("\n"));
    }
    if rows.is_empty() {
        bail!("{} names nobody", path.display());
    }
    Ok(rows)
}

fn row(record: &BTreeMap<String, String>, line: u64) -> anyhow::Result<Row> {
    let cell = |name: &str| record.get(name).map(String::as_str).filter(|cell| !cell.is_empty());
    let kind = cell("kind").map_or(Ok(DeviceKind::Lent), str::parse)?;
    let owner = cell("owner").map(PersonId::new).transpose()?;
    let name = cell("name").map(str::to_owned);
    if kind == DeviceKind::Machine {
        name.as_deref().map(MachineName::new).transpose()?.context("a machine needs a name")?;
    }
    if matches!(kind, DeviceKind::Lent | DeviceKind::Byod) && owner.is_none() {
        bail!("has no owner");
    }
    Ok(Row { line, kind, owner, name })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn list(text: &str) -> anyhow::Result<Vec<Row>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.csv");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn a_list_is_read_whole_or_not_at_all() {
        let rows = list("\u{feff}owner,kind,name\nsato,,\nsuzuki,byod,私のiPhone\n,shared,病棟のiPad\n").unwrap();
        let told: Vec<_> = rows.iter().map(|row| (row.line, row.kind, row.name.as_deref())).collect();
        assert_eq!(told[0], (2, DeviceKind::Lent, None));
        assert_eq!(told[1], (3, DeviceKind::Byod, Some("私のiPhone")));
        assert_eq!(told[2], (4, DeviceKind::Shared, Some("病棟のiPad")));
        for (text, problem) in [
            ("ownr\nsato\n", "did you mean `owner`"),
            ("owner\n", "names nobody"),
            ("owner,kind\nsato,mine\n,lent\n", "list.csv:3: has no owner"),
            ("owner,kind\nsato,mine\n", "choose one of lent"),
            ("owner,kind,name\n,machine,\n", "a machine needs a name"),
        ] {
            let error = format!("{:#}", list(text).map(|_| ()).unwrap_err());
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn sheets_say_whose_they_are() {
        let value = json!({ "kind": "lent", "facility": "さくら会", "owner_name": "佐藤花子",
            "link": "https://enroll.gw.example/i/abc", "until": "2026-11-30 09:00" });
        let html = sheets(Lang::Ja, &[value]);
        assert!(html.contains("佐藤花子") && html.contains("さくら会") && html.contains("<svg"));
    }
}
