//! `sekisho audit requests`: the requests that were judged, out of the record.

use std::process::ExitCode;

use apps::{Lang, code, words};
use audit::{Decision, Entry, Filter, History, PathPattern, Position, Query, Record, Request, Sort};
use clap::Args;
use config::Settings;
use ipnet::IpNet;
use vocabulary::{Action, AppId, Clock as _, DeviceId, PersonId, Reason, RuleName, SessionId, SystemClock, Zone};

use super::csv::Csv;
use super::filters::{at_least_one, tell_of_dropped};
use super::names::Names;
use super::period::Period;
use super::strangers::{self, Total};
use super::watched::{Asked, network};
use super::{ConfigFile, complain, say, settings, table};
use crate::core::audit_path;

#[derive(Debug, Args)]
pub(crate) struct Requests {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    page: Page,
    /// One JSON object per line
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// CSV for a spreadsheet: UTF-8 with a byte order mark, CRLF
    #[arg(long)]
    csv: bool,
    /// The language of the CSV's heads
    #[arg(long, requires = "csv", value_parser = ["ja", "en"], default_value = "ja")]
    lang: String,
}

#[derive(Debug, Args)]
struct Filters {
    #[command(flatten)]
    period: Period,
    /// Only this person's, on the roster or not any more
    #[arg(long)]
    person: Option<PersonId>,
    /// Only this app's
    #[arg(long)]
    app: Option<AppId>,
    /// Only what did this: view, edit, upload, download, delete, login, admin, unknown. `view?`, with a question mark, is shown
    /// where no recipe names the request: then it is guessed from method, path and type
    #[arg(long)]
    action: Option<Action>,
    /// Only downloads
    #[arg(long, conflicts_with = "action")]
    downloads: bool,
    /// Only what was so decided
    #[arg(long, value_parser = ["permit", "deny"])]
    decision: Option<String>,
    /// Only what was decided for this reason, such as unknown-network
    #[arg(long, value_parser = reason)]
    reason: Option<Reason>,
    /// Only what this rule decided, by its name in the configuration
    #[arg(long)]
    rule: Option<RuleName>,
    /// Only from this address or network
    #[arg(long, value_name = "ADDRESS", value_parser = network)]
    source: Option<IpNet>,
    /// Only from outside of all facilities
    #[arg(long)]
    outside: bool,
    /// Only what was refused, or answered with a status of 400 or more, or never reached the SaaS
    #[arg(long)]
    failures: bool,
    /// Only between 22:00 and 05:00
    #[arg(long)]
    night: bool,
    /// Only from this device, by its id
    #[arg(long)]
    device: Option<DeviceId>,
    /// Only of this session
    #[arg(long)]
    session: Option<SessionId>,
    /// Only paths, as they stand in the record, that hold this
    #[arg(long, value_name = "TEXT", conflicts_with = "path_prefix")]
    path: Option<String>,
    /// Only paths that begin so
    #[arg(long, value_name = "TEXT")]
    path_prefix: Option<String>,
    /// Only the request that a page's short code names, such as 3F-7K2Q
    #[arg(long, value_parser = position)]
    code: Option<Position>,
}

#[derive(Debug, Args)]
struct Page {
    /// At most this many: the newest, or with --after those that follow
    #[arg(long, short = 'n', value_parser = at_least_one())]
    limit: Option<usize>,
    /// Only what stands before this request in the record, by its code
    #[arg(long, value_name = "CODE", value_parser = position)]
    before: Option<Position>,
    /// Only what stands behind this request in the record, by its code
    #[arg(long, value_name = "CODE", value_parser = position)]
    after: Option<Position>,
    /// The newest, or the highest, first
    #[arg(long, visible_alias = "desc")]
    reverse: bool,
    /// By what to sort; without it, in the order of the record
    #[arg(long, value_name = "COLUMN", value_parser = sort, conflicts_with_all = ["before", "after"])]
    sort: Option<Sort>,
}

fn position(text: &str) -> Result<Position, code::CodeError> {
    code::decode(text).map(|(boot, seq)| Position { boot, seq })
}

fn reason(text: &str) -> Result<Reason, String> {
    text.parse().map_err(|_| {
        let known: Vec<String> = Reason::ALL.iter().map(|reason| reason.as_str().to_owned()).collect();
        let hint = config::did_you_mean(text, &known);
        let end = if hint.is_empty() { "." } else { "" };
        format!("it is not a reason{hint}{end} The reasons are {}", known.join(", "))
    })
}

fn sort(text: &str) -> Result<Sort, String> {
    // As the column's head has it.
    let name = if text == "time" { "clock" } else { text };
    let found = Sort::ALL.into_iter().find(|(known, _)| *known == name);
    found
        .map(|(_, by)| by)
        .ok_or_else(|| format!("the columns are time, {}", Sort::ALL.map(|(name, _)| name).join(", ")))
}

pub(crate) fn run(args: &Requests) -> anyhow::Result<ExitCode> {
    let settings = settings(&args.file.config)?.settings;
    let zone = &settings.gateway.time_zone;
    let filter = args.filters.filter(zone)?;
    args.asked(&filter).record(&settings, "requests")?;
    let history = History::new(&audit_path(&settings.gateway.data));
    let lang = if args.lang == "en" { Lang::En } else { Lang::Ja };
    let mut shown = Shown::begin(args, &settings, lang)?;
    let Page { limit, before, after, reverse, sort } = args.page;
    // Without --after, a page is the newest of what fits, however it is turned.
    let from_the_end = reverse || (limit.is_some() && after.is_none());
    let query = Query { filter: filter.clone(), after, before, newest_first: from_the_end, limit };
    let mut fit = None;
    if let Some(by) = sort {
        let query = Query { newest_first: false, limit: None, ..query };
        let sorted = history.sorted(query, by, reverse)?;
        fit = Some(sorted.len());
        sorted.iter().take(limit.unwrap_or(usize::MAX)).try_for_each(|entry| shown.show(entry))?;
    } else if from_the_end && !reverse {
        let mut page = history.read(query)?.collect::<Result<Vec<_>, _>>()?;
        page.reverse();
        page.iter().try_for_each(|entry| shown.show(entry))?;
    } else {
        for entry in history.read(query)? {
            shown.show(&entry?)?;
        }
    }
    let (rows, ends) = shown.end()?;
    tell_of_dropped(&filter, &history, zone)?;
    // What strangers did in the time of this page, and not of what lies before or behind it.
    let mut page = Query { filter: filter.clone(), after, before, ..Query::default() };
    match (ends, fit) {
        (None, _) => complain(nothing(&args.filters, &filter, &history, &settings)?),
        (Some(_), Some(fit)) if fit > rows => {
            complain(format_args!("The first {rows} of {fit}, as they were sorted; without -n all are shown."));
        }
        (Some((first, last)), None) if limit == Some(rows) => {
            let oldest = if reverse { last } else { first };
            let (option, at) = if from_the_end { ("--before", oldest) } else { ("--after", last) };
            let way = if from_the_end { "back" } else { "on" };
            complain(format_args!("Further {way}: {option} {}", code::encode(at.boot, at.seq)));
            *(if from_the_end { &mut page.after } else { &mut page.before }) = Some(at);
        }
        (Some(_), _) => {}
    }
    if let Some(told) = args.filters.counted(page, &history, zone)? {
        complain(told);
    }
    Ok(ExitCode::SUCCESS)
}

impl Filters {
    fn filter(&self, zone: &Zone) -> anyhow::Result<Filter> {
        let (from, to) = self.period.bounds(SystemClock.now(), zone)?;
        let path = match (&self.path, &self.path_prefix) {
            (Some(part), _) => Some(PathPattern::Contains(part.clone())),
            (None, prefix) => prefix.clone().map(PathPattern::Prefix),
        };
        Ok(Filter {
            from,
            to,
            kinds: vec!["request".to_owned()],
            person: self.person.clone(),
            app: self.app.clone(),
            action: if self.downloads { Some(Action::Download) } else { self.action },
            decision: self.decision.as_deref().map(|d| if d == "permit" { Decision::Permit } else { Decision::Deny }),
            reason: self.reason,
            rule: self.rule.clone(),
            session: self.session.clone(),
            device: self.device.clone(),
            source: self.source,
            path,
            outside: self.outside,
            failed: self.failures,
            night: self.night.then(|| zone.clone()),
            position: self.code,
            ..Filter::default()
        })
    }
}

impl Requests {
    fn asked(&self, filter: &Filter) -> Asked {
        let Filters { period, person, app, action, decision, reason, rule, source, device, session, path, .. } =
            &self.filters;
        let (filters, page) = (&self.filters, &self.page);
        let code = |at: Option<Position>| at.map(|at| code::encode(at.boot, at.seq));
        let name = page.sort.and_then(|by| Sort::ALL.into_iter().find(|(_, known)| *known == by));
        period
            .note(Asked::default(), (filter.from, filter.to))
            .note("person", person.as_ref())
            .note("app", app.as_ref())
            .note("action", *action)
            .flag("downloads", filters.downloads)
            .note("decision", decision.as_ref())
            .note("reason", *reason)
            .note("rule", rule.as_ref())
            .note("source", source.map(|net| net.to_string()))
            .flag("outside", filters.outside)
            .flag("failures", filters.failures)
            .flag("night", filters.night)
            .note("device", device.as_ref())
            .note("session", session.as_ref())
            .note("path", path.as_ref())
            .note("path_prefix", filters.path_prefix.as_ref())
            .note("code", code(filters.code))
            .note("limit", page.limit)
            .note("before", code(page.before))
            .note("after", code(page.after))
            .note("sort", name.map(|(name, _)| name))
            .flag("reverse", page.reverse)
            .note("as", if self.csv { Some("csv") } else { self.json.then_some("json") })
    }
}

impl Filters {
    /// What is said of requests that may fit and have no record of their own: those of strangers beyond the rate.
    fn counted(&self, page: Query, history: &History, zone: &Zone) -> anyhow::Result<Option<String>> {
        let Self { person, session, device, code, .. } = self;
        if person.is_some() || session.is_some() || device.is_some() || code.is_some() {
            return Ok(None);
        }
        let options = match self.source {
            Some(net) if net.prefix_len() == net.max_prefix_len() => {
                format!("{} --source {}", self.period.options(), net.addr())
            }
            Some(net) => format!("{} --source {net}", self.period.options()),
            None => self.period.options(),
        };
        let Some(total) = Total::of(&strangers::counted(page, history)?) else { return Ok(None) };
        // All that is known of them is when and whence.
        let wanted = Filter { from: None, to: None, source: None, night: None, ..self.filter(zone)? };
        let unknown = wanted != Filter { kinds: wanted.kinds.clone(), ..Filter::default() };
        let unknown = if unknown { "; whether they fit is not known" } else { "" };
        Ok(Some(format!("{}{unknown}: `sekisho audit strangers{options}` lists them.", total.told(zone))))
    }
}

/// Why there is nothing to show, as far as it can be told.
fn nothing(asked: &Filters, filter: &Filter, history: &History, settings: &Settings) -> anyhow::Result<String> {
    let occurs = |filter: Filter| -> anyhow::Result<bool> {
        let query = Query { filter, newest_first: true, limit: Some(1), ..Query::default() };
        Ok(history.read(query)?.next().transpose()?.is_some())
    };
    if let Some(at) = asked.code {
        let code = code::encode(at.boot, at.seq);
        if !occurs(Filter { position: Some(at), ..Filter::default() })? {
            return Ok(format!("No record has the code {code}."));
        }
        if !occurs(Filter { position: Some(at), kinds: filter.kinds.clone(), ..Filter::default() })? {
            return Ok(format!("What has the code {code} is not a request; `sekisho audit sign-ins` may know it."));
        }
    }
    if let Some(person) = &asked.person
        && !occurs(Filter { person: Some(person.clone()), kinds: filter.kinds.clone(), ..Filter::default() })?
    {
        let roster = Names::open(&settings.gateway.data).roster;
        return Ok(if roster.get(person).is_some() {
            format!("{person} is on the roster, and has made no request yet.")
        } else {
            let known: Vec<String> = roster.people().iter().map(|person| person.id.to_string()).collect();
            let hint = config::did_you_mean(person.as_str(), &known);
            format!("Nobody on the roster has the ID {person}, and no request is of such a person{hint}")
        });
    }
    if let Some(app) = &asked.app
        && !occurs(Filter { app: Some(app.clone()), ..Filter::default() })?
    {
        let known: Vec<String> = settings.apps.iter().map(|app| app.saas.id.to_string()).collect();
        return Ok(if known.iter().any(|known| known == app.as_str()) {
            format!("No request has been made to {app} yet.")
        } else {
            let hint = config::did_you_mean(app.as_str(), &known);
            format!("The configuration has no app {app}, and no request was made to one of that name{hint}")
        });
    }
    Ok("No request fits.".to_owned())
}

/// Where requests are shown.
enum Shown<'s> {
    Json(Ends),
    Csv { csv: Csv<'static, std::io::BufWriter<std::io::Stdout>>, names: Names, zone: &'s Zone, lang: Lang, ends: Ends },
    Table { rows: Vec<Vec<String>>, zone: &'s Zone, ends: Ends },
}

/// How many were shown; the first and the last of them.
#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    rows: usize,
    ends: Option<(Position, Position)>,
}

impl Ends {
    fn add(&mut self, position: Position) {
        self.rows += 1;
        self.ends = Some((self.ends.map_or(position, |(first, _)| first), position));
    }
}

/// Where ids stand in the CSV: code, person, device, serial number, session.
const IDS: [usize; 5] = [1, 2, 20, 21, 22];

impl<'s> Shown<'s> {
    fn begin(args: &Requests, settings: &'s Settings, lang: Lang) -> anyhow::Result<Self> {
        let (zone, ends) = (&settings.gateway.time_zone, Ends::default());
        Ok(if args.json {
            Self::Json(ends)
        } else if args.csv {
            let head = words::REQUEST_LOG.map(|head| head.get(lang));
            let csv = Csv::begin(std::io::BufWriter::new(std::io::stdout()), &head, &IDS)?;
            Self::Csv { csv, names: Names::open(&settings.gateway.data), zone, lang, ends }
        } else {
            Self::Table { rows: Vec::new(), zone, ends }
        })
    }

    fn show(&mut self, entry: &Entry) -> anyhow::Result<()> {
        match self {
            Self::Json(ends) => {
                ends.add(entry.position);
                // As people see it on a page of ours, and `--code` takes it.
                let mut value = serde_json::to_value(entry)?;
                value["code"] = code::encode(entry.position.boot, entry.position.seq).into();
                say(value);
            }
            Self::Csv { csv, names, zone, lang, ends } => {
                ends.add(entry.position);
                let Record::Request(request) = &entry.record else { return Ok(()) };
                csv.row(&cells(entry, request, names, zone, *lang))?;
            }
            Self::Table { rows, zone, ends } => {
                ends.add(entry.position);
                rows.push(row(entry, zone));
            }
        }
        Ok(())
    }

    fn end(self) -> anyhow::Result<(usize, Option<(Position, Position)>)> {
        let ends = match self {
            Self::Json(ends) => ends,
            Self::Csv { csv, ends, .. } => {
                if !csv.end()? {
                    complain("A spreadsheet shows the first 1,048,576 rows only; ask for a shorter period.");
                }
                ends
            }
            Self::Table { rows, ends, .. } => {
                if !rows.is_empty() {
                    table(&HEAD, &rows);
                }
                ends
            }
        };
        Ok((ends.rows, ends.ends))
    }
}

const HEAD: [&str; 11] =
    ["TIME", "CODE", "PERSON", "APP", "ACTION", "DECISION", "REASON", "STATUS", "SOURCE", "DEVICE", "REQUEST"];

/// A request in the order of [`HEAD`].
pub(super) fn row(entry: &Entry, zone: &Zone) -> Vec<String> {
    let or_dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
    let Record::Request(request) = &entry.record else { return Vec::new() };
    let status = entry.outcome.as_ref().and_then(|outcome| outcome.status);
    vec![
        zone.display(entry.at),
        code::encode(entry.position.boot, entry.position.seq),
        or_dash(request.person.as_ref().map(PersonId::as_str)),
        or_dash(request.app.as_ref().map(AppId::as_str)),
        action(entry, request),
        entry.decision(request).as_str().to_owned(),
        entry.reason(request).to_string(),
        status.map_or_else(|| "-".to_owned(), |status| status.to_string()),
        request.source.to_string(),
        or_dash(request.device.as_ref().map(DeviceId::as_str)),
        format!("{} {}", request.method, request.path),
    ]
}

/// With a `?` where nobody named it.
fn action(entry: &Entry, request: &Request) -> String {
    let action = entry.action(request);
    if request.guessed { format!("{action}?") } else { action.to_string() }
}

/// A request in the order of [`words::REQUEST_LOG`].
fn cells(entry: &Entry, request: &Request, names: &Names, zone: &Zone, lang: Lang) -> [String; 23] {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let (name, facility) = request.person.as_ref().and_then(|id| names.person(id)).unwrap_or_default();
    let outcome = entry.outcome.as_ref();
    let told = |value: fn(&audit::Outcome) -> String| outcome.map(value).unwrap_or_default();
    let place = if request.inside { words::INSIDE } else { words::OUTSIDE };
    [
        zone.display(entry.at),
        code::encode(entry.position.boot, entry.position.seq),
        text(request.person.as_ref().map(PersonId::as_str)),
        name,
        facility.unwrap_or_default(),
        text(request.app.as_ref().map(AppId::as_str)),
        action(entry, request),
        entry.decision(request).as_str().to_owned(),
        entry.reason(request).to_string(),
        text(entry.rule(request).map(RuleName::as_str)),
        request.method.clone(),
        request.path.clone(),
        told(|outcome| outcome.status.map(|status| status.to_string()).unwrap_or_default()),
        told(|outcome| outcome.end.as_str().to_owned()),
        told(|outcome| outcome.bytes_in.to_string()),
        told(|outcome| outcome.bytes_out.to_string()),
        told(|outcome| (outcome.total_us / 1_000).to_string()),
        request.source.to_string(),
        place.get(lang).to_owned(),
        request.device.as_ref().and_then(|id| names.device(id)).unwrap_or_default(),
        text(request.device.as_ref().map(DeviceId::as_str)),
        text(request.serial.as_deref()),
        text(request.session.as_ref().map(SessionId::as_str)),
    ]
}
