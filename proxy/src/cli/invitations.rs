//! `sekisho device invite` and what goes with it: links for people, one by one or by a list, and the operator's yes.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use apps::Lang;
use apps::enroll::SheetEntry;
use cert_authority::Approval;
use clap::{Args, Subcommand, ValueEnum};
use policy::{DeviceRequirement, RuleDocument};
use serde_json::Value;
use vocabulary::{DeviceKind, GroupName, MachineName, PersonId, Span};

use super::ask::carry_out;
use super::devices::{Whose, new_file, or_without, write};
use super::output::{Output, listed, told, warn_of_groups};
use super::{COULD_NOT, complain, say, settings};
use crate::control::{Command, NewInvitation};

#[derive(Debug, Subcommand)]
pub(crate) enum InvitationCommand {
    /// Invite somebody to enrol a device: a link that is good once
    Invite(Invite),
    /// Invite everybody of a list, or nobody if something is wrong with it: a CSV file with the column `owner` (職員ID),
    /// and if need be `kind` (種別), `name` (端末名)
    InviteAll(InviteAll),
    /// Invitations, and what became of them
    Invitations {
        /// Only those that something may still come of
        #[arg(long)]
        open: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Who waits for your yes, each under the short code that their screen shows
    Requests(Output),
    /// Say yes to who reads you this code over the telephone
    Approve {
        /// As it is read to you; small letters and spaces are as good
        code: String,
        #[command(flatten)]
        output: Output,
    },
    /// Say no; the invitation is over
    Decline {
        /// As it is read to you, or as `sekisho device requests` shows it
        code: String,
        #[command(flatten)]
        output: Output,
    },
    /// Take an invitation back
    Withdraw {
        /// Its id, such as `i-6baxtwvytm`
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
    /// The list; UTF-8 or CP932, with a line of column names
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
            check: false,
        }
    }
}

pub(crate) fn run(command: &InvitationCommand) -> anyhow::Result<ExitCode> {
    match command {
        InvitationCommand::Invite(invite) => invite.run(),
        InvitationCommand::InviteAll(all) => all.run(),
        InvitationCommand::Invitations { open, output } => {
            let mut value = carry_out(&output.file, Command::DeviceInvitations)?;
            if let Some(rows) = value.as_array_mut().filter(|_| *open) {
                rows.retain(|row| ["open", "waiting", "approved"].iter().any(|state| row["state"] == *state));
            }
            listed(output, &value, &["id", "kind", "owner", "name", "state", "until", "approval", "made_by"])
        }
        InvitationCommand::Requests(output) => {
            let mut value = carry_out(&output.file, Command::DeviceInvitations)?;
            if let Some(rows) = value.as_array_mut() {
                rows.retain(|row| row["state"] == "waiting");
            }
            listed(output, &value, &["code", "person", "person_name", "name", "kind", "os", "source", "asked_at", "id"])
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
    let person = value["owner_name"].as_str().or(value["person_name"].as_str()).or(value["owner"].as_str());
    match (person, value["name"].as_str(), value["kind"].as_str()) {
        (Some(person), ..) => person.to_owned(),
        (None, Some(name), Some(kind)) => format!("the {kind} device \"{name}\""),
        (None, name, kind) => name.map_or_else(|| format!("a {} device", kind.unwrap_or("shared")), str::to_owned),
    }
}

impl Invite {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let Self { whose, how, output, .. } = self;
        whose.check()?;
        let is_for_people = whose.machine().is_none();
        if !is_for_people && (how.sheet.is_some() || self.qr.is_some()) {
            bail!("a machine has no page to open: there is nothing to print for it");
        }
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
        warn_of_rules(output, &value)?;
        let link = value["link"].as_str().unwrap_or_default();
        if let (Some(file), Some(path)) = (&mut sheet, &how.sheet) {
            write(file, path, sheets(how.lang(), std::slice::from_ref(&value)).as_bytes())?;
        }
        if let (Some(file), Some(path)) = (&mut qr, &self.qr) {
            let svg = apps::enroll::qr_svg(link).context("the link is too long for a QR code")?;
            write(file, path, svg.as_bytes())?;
        }
        told(output, &value, || {
            let until = value["until"].as_str().unwrap_or_default();
            say(format_args!("Invitation {} for {}", value["id"].as_str().unwrap_or_default(), self::whose(&value)));
            if let (Some(est), Some(secret)) = (value["est"].as_str(), value["secret"].as_str()) {
                say(format_args!("For a program that speaks EST (good once, until {until}):"));
                say(format_args!("  {est}"));
                say(format_args!("  password: {secret}"));
            }
            if is_for_people {
                say(format_args!("Link (good once, until {until}):"));
                say(format_args!("  {link}"));
            }
            if is_for_people
                && std::io::stdout().is_terminal()
                && let Some(qr) = apps::enroll::qr_text(link)
            {
                say(qr);
            }
            for path in [&how.sheet, &self.qr].into_iter().flatten() {
                say(format_args!("Written: {}", path.display()));
            }
            mailed(&value);
            match value["approval"].as_str() {
                Some("outside") => {
                    say("From outside of the facility it waits for your yes: see `sekisho device requests`.");
                }
                Some("always") => say("It waits for your yes, wherever they are: see `sekisho device requests`."),
                _ => {}
            }
        })
    }
}

/// A device that no rule asks for opens nothing, which would be found out on the road.
fn warn_of_rules(output: &Output, invited: &Value) -> anyhow::Result<()> {
    let settings = settings(&output.file.config)?.settings;
    let Some(kind) = invited["kind"].as_str().and_then(|kind| kind.parse().ok()) else { return Ok(()) };
    let (owner, groups) = (invited["owner"].as_str(), &invited["owner_groups"]);
    let is_of_group = |group: &str| groups.as_array().is_some_and(|own| own.iter().any(|own| own == group));
    let is_for_them = |rule: &RuleDocument| match (&rule.who, kind, owner) {
        (Some(who), DeviceKind::Machine, _) => who.machines.iter().any(|m| invited["name"] == m.as_str()),
        (None, DeviceKind::Machine, _) => false,
        (None, ..) | (_, _, None) => true,
        (Some(who), _, Some(owner)) => {
            let nobody = who.people.is_empty() && who.groups.is_empty() && who.machines.is_empty();
            nobody
                || who.people.iter().any(|person| person.as_str() == owner)
                || who.groups.iter().any(|group| is_of_group(group.as_str()))
        }
    };
    let asks_for_it = |rule: &RuleDocument| match rule.from.as_ref().map(|from| (&from.device, &from.networks)) {
        None => true,
        Some((Some(DeviceRequirement::Any(_)), _)) => true,
        Some((Some(DeviceRequirement::Of(of)), _)) => {
            let kinds = of.kind.to_vec();
            kinds.is_empty() || kinds.contains(&kind)
        }
        Some((None, networks)) => networks.is_empty(),
    };
    let rules = settings.policy.rules();
    if !rules.iter().any(|rule| !rule.allow.is_empty() && is_for_them(rule) && asks_for_it(rule)) {
        let whose = owner.or(invited["name"].as_str()).unwrap_or("anybody");
        complain(format_args!(
            "warning: no rule lets {whose} in with such a device; try `sekisho policy explain`, and look at their groups"
        ));
    }
    Ok(())
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
        let command = |row: &Row| how.command(row.kind, row.owner.clone(), Vec::new(), row.name.clone());
        let mut wrong = Vec::new();
        for row in &rows {
            let check = NewInvitation { check: true, ..command(row) };
            if let Err(error) = carry_out(&output.file, Command::DeviceInvite(check)) {
                wrong.push(format!("{}:{}: {error:#}", self.file.display(), row.line));
            }
        }
        if !wrong.is_empty() {
            bail!("{NOBODY}:\n{}", wrong.join("\n"));
        }
        let mut sheet = how.sheet.as_deref().map(new_file).transpose()?;
        let (mut made, mut failed) = (Vec::new(), 0);
        for row in &rows {
            let new = command(row);
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
        for value in &made {
            warn_of_rules(output, value)?;
            if !output.json {
                mailed(value);
            }
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

const NOBODY: &str = "nobody was invited, because the list is wrong";

/// What columns are called, in a roster file too.
const COLUMNS: [(&str, &[&str]); 3] =
    [("owner", &["id", "職員ID", "職員番号"]), ("kind", &["種別"]), ("name", &["端末名", "端末の名前"])];

/// The whole list, or everything that is wrong with it.
fn read(path: &Path) -> anyhow::Result<Vec<Row>> {
    let bytes = std::fs::read(path).with_context(|| format!("the list {} can't be read", path.display()))?;
    let (text, _) = identity::import::decode(&bytes, None).map_err(|problems| {
        let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
        anyhow!("{}: {}", path.display(), told.join("\n"))
    })?;
    // The reader takes the line feed after a carriage return for a part of the next line, and counts one too few.
    let text = text.replace("\r\n", "\n");
    let mut reader = ::csv::ReaderBuilder::new().trim(::csv::Trim::All).flexible(true).from_reader(text.as_bytes());
    let head = reader.headers().context("the list has no line of column names")?.clone();
    let named = |column: &str| COLUMNS.iter().find(|(name, others)| *name == column || others.contains(&column));
    if let Some(odd) = head.iter().find(|column| named(column).is_none()) {
        let hint = config::did_you_mean(odd, &COLUMNS.map(|(name, _)| name.to_owned()));
        bail!(
            "{}: there is no column `{odd}`{hint}; the columns are owner (職員ID), kind (種別), name (端末名)",
            path.display()
        );
    }
    let (mut rows, mut wrong) = (Vec::new(), Vec::new());
    for record in reader.records() {
        let record = record.with_context(|| format!("{} can't be read", path.display()))?;
        let line = record.position().map_or(0, ::csv::Position::line);
        let cells = head.iter().zip(record.iter()).filter_map(|(column, cell)| Some((named(column)?.0, cell)));
        let row = match record.len() == head.len() {
            true => row(&cells.collect(), line),
            false => Err(anyhow!("has {} cells, and there are {} columns", record.len(), head.len())),
        };
        match row {
            Ok(row) => rows.push(row),
            Err(problem) => wrong.push(format!("{}:{line}: {problem}", path.display())),
        }
    }
    if !wrong.is_empty() {
        bail!("{NOBODY}:\n{}", wrong.join("\n"));
    }
    if rows.is_empty() {
        bail!("{} names nobody", path.display());
    }
    Ok(rows)
}

fn row(record: &BTreeMap<&str, &str>, line: u64) -> anyhow::Result<Row> {
    let cell = |name: &str| record.get(name).copied().filter(|cell| !cell.is_empty());
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
        // As Excel in Japan writes it.
        let (cp932, _, _) = encoding_rs::SHIFT_JIS.encode("職員ID,端末名\r\nsato,訪問用\r\n");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("excel.csv");
        std::fs::write(&path, cp932).unwrap();
        let rows = read(&path).unwrap();
        assert_eq!((rows[0].line, rows[0].name.as_deref()), (2, Some("訪問用")));
        for (text, problem) in [
            ("ownr\nsato\n", "did you mean `owner`"),
            ("owner\n", "names nobody"),
            ("owner,kind\nsato,mine\n,lent\n", "list.csv:3: has no owner"),
            ("owner,kind\nsato,mine\n", "choose one of lent"),
            ("owner,kind,name\n,machine,\n", "a machine needs a name"),
            ("owner,name\nsato\n", "list.csv:2: has 1 cells, and there are 2 columns"),
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
