//! `sekisho policy explain`: which rule decides for given facts, and why every other doesn't.

use std::net::IpAddr;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use identity::Roster;
use policy::{BuiltIn, DeviceAbout, DeviceFact, Facts, PersonFact, Route, Standing};
use saas::{OverridePlace, Target};
use store::Store;
use vocabulary::{
    Action, AppId, Clock, DeviceKind, GroupName, MachineName, Os, PersonId, Span, SystemClock, Timestamp,
};

use super::{ConfigFile, NO, complain, say, settings};

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Judge a request that nobody made
    Explain(Explain),
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    file: ConfigFile,
    /// The app asked for; `login` for the sign-in page
    #[arg(long)]
    app: AppId,
    /// Where the request comes from
    #[arg(long)]
    from: IpAddr,
    /// Who is signed in; groups are the roster's
    #[arg(long)]
    person: Option<PersonId>,
    /// Groups instead of the roster's; may be given several times
    #[arg(long = "group", requires = "person")]
    groups: Vec<GroupName>,
    /// How many factors the sign-in had: 1 for a password, 2 with a second factor or a passkey. An enrolled device
    /// of the person's own adds one
    #[arg(long, default_value_t = 1)]
    factors: u8,
    /// How long ago the person signed in: 45m
    #[arg(long, default_value = "0s", requires = "person")]
    signed_in_ago: Span,
    /// The device: none, enrolled (the person's own), shared, shared-by-others (a shared device of other groups),
    /// expired, revoked, unknown, left (its owner's last day has passed), or another person's id
    #[arg(long, default_value = "none")]
    device: String,
    /// Whose an enrolled device is: lent, byod, shared
    #[arg(long, value_name = "KIND")]
    device_kind: Option<DeviceKind>,
    /// What runs on it: ios, android, windows, macos, chromeos, linux
    #[arg(long, value_name = "OS")]
    device_os: Option<Os>,
    /// For how long it was not let in: 30d
    #[arg(long, value_name = "TIME", default_value = "0s")]
    device_not_seen_for: Span,
    /// A program instead of a person
    #[arg(long, conflicts_with_all = ["person", "device"])]
    machine: Option<MachineName>,
    #[arg(long, default_value = "GET")]
    method: String,
    #[arg(long, default_value = "/")]
    path: String,
    /// What the request does; guessed from the method if not given
    #[arg(long)]
    action: Option<Action>,
    /// When, in the gate's time zone: 2026-11-01T23:30; now if not given
    #[arg(long)]
    at: Option<String>,
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &PolicyCommand) -> anyhow::Result<ExitCode> {
    let PolicyCommand::Explain(args) = command;
    let settings = settings(&args.file.config)?.settings;
    let policy = &settings.policy;
    let zone = &settings.gateway.time_zone;
    let at = args.at.as_deref().map(|t| Timestamp::parse(t, zone)).transpose()?.unwrap_or_else(|| SystemClock.now());
    let local = zone.local(at);

    let app = settings.apps.iter().find(|a| a.saas.id == args.app);
    if app.is_none() && args.app.as_str() != "login" {
        let known: Vec<String> = settings.apps.iter().map(|a| a.saas.id.to_string()).collect();
        bail!("`{}` is not an app{}", args.app, config::did_you_mean(args.app.as_str(), &known));
    }
    let route = match (args.app.as_str(), app.and_then(|a| policy.app(&a.saas.id))) {
        ("login", _) => Route::BuiltIn(BuiltIn::Login),
        (_, Some(index)) => Route::App(index),
        (_, None) => Route::UnknownHost,
    };
    let method: http::Method = args.method.parse().with_context(|| format!("`{}` is not a method", args.method))?;
    // Read as the line reads it: what it would refuse as ambiguous is not explained as something else.
    let shaped = app.map(|app| {
        let target =
            Target { method: &method, raw: args.path.as_bytes(), authority: Some(app.saas.hosts.main().our_host()) };
        saas::shape(target, &http::HeaderMap::new(), app.saas.tolerate, app.saas.overrides)
    });
    let (path, overriding, ambiguous) = match shaped {
        Some(Ok(shaped)) => (shaped.path, shaped.overriding, false),
        Some(Err(ambiguity)) => {
            complain(format_args!("ambiguous: {ambiguity}"));
            ("/".to_owned(), None, true)
        }
        None => (args.path.clone(), None, false),
    };
    let action = match (args.action, app.map(|app| &app.saas)) {
        (Some(action), _) => action,
        (None, Some(app)) => by_head(app, &method, overriding.as_ref(), &path, &args.path),
        (None, None) => Action::View,
    };
    let method = overriding.unwrap_or(method);

    let (groups, standing) = match &args.person {
        Some(person) => of_roster(&settings, person, &args.groups, local)?,
        None => (Vec::new(), Standing::Active),
    };
    let groups = policy.groups(groups.iter());
    let other: PersonId;
    let unseen = u32::try_from(args.device_not_seen_for.0.as_secs()).unwrap_or(u32::MAX);
    let about = |kind| DeviceAbout { kind: args.device_kind.unwrap_or(kind), os: args.device_os, unseen };
    let (own, shared) = (about(DeviceKind::Lent), about(DeviceKind::Shared));
    let device = match args.device.as_str() {
        "none" => match &args.machine {
            Some(name) => DeviceFact::Machine { name, about: about(DeviceKind::Machine) },
            None => DeviceFact::None,
        },
        "enrolled" => DeviceFact::Enrolled { owner: args.person.as_ref(), serves: true, about: own },
        "shared" => DeviceFact::Enrolled { owner: None, serves: true, about: shared },
        "shared-by-others" => DeviceFact::Enrolled { owner: None, serves: false, about: shared },
        "expired" => DeviceFact::Expired,
        "revoked" => DeviceFact::Revoked,
        "unknown" => DeviceFact::Unknown,
        "left" => DeviceFact::OwnerOut(Standing::Retired),
        owner => {
            other = PersonId::new(owner)?;
            if !is_on_roster(&settings, &other)? {
                let words = ["none", "enrolled", "shared", "shared-by-others", "expired", "revoked", "unknown", "left"];
                let hint = config::did_you_mean(owner, &words.map(str::to_owned));
                bail!("`{owner}` is neither a kind of device nor a person on the roster{hint}");
            }
            DeviceFact::Enrolled { owner: Some(&other), serves: true, about: own }
        }
    };
    let facts = Facts {
        record_ready: true,
        clock_ok: true,
        route,
        ambiguous,
        cross_site: false,
        preflight: false,
        network: policy.networks().lookup(args.from),
        device,
        person: args.person.as_ref().map(|id| PersonFact {
            id,
            groups: &groups,
            standing,
            factors: args.factors,
            signed_in_ago: u32::try_from(args.signed_in_ago.0.as_secs()).unwrap_or(u32::MAX),
            session_matches_device: true,
        }),
        local,
        method: method.as_str(),
        path: &path,
        action,
        static_ok: false,
        wrong_account: false,
        invited: false,
    };
    let explanation = policy.explain(&facts);
    if args.json {
        say(serde_json::to_string_pretty(&explanation)?);
    } else {
        say(&explanation);
    }
    Ok(if explanation.decision == policy::Verdict::Permit { ExitCode::SUCCESS } else { ExitCode::from(NO) })
}

/// What a request without a body does, or one whose body can't be known here.
fn by_head(
    app: &saas::App,
    method: &http::Method,
    overriding: Option<&http::Method>,
    path: &str,
    asked: &str,
) -> Action {
    let executed = overriding.unwrap_or(method);
    let guess = match method == http::Method::POST && app.overrides.contains(OverridePlace::Body) {
        true => app.actions.guess_by_body(path, None),
        false => app.actions.guess(executed, path, None, false),
    };
    let query = asked.split_once('?').map(|(_, query)| query.as_bytes());
    let head = saas::RequestHead { method: executed, path, query, headers: &http::HeaderMap::new() };
    match &app.recipe {
        Some(recipe) => guess.or_by(&recipe.recognise(&head, None, app.account.as_deref())).action,
        None => guess.action,
    }
}

fn is_on_roster(settings: &config::Settings, person: &PersonId) -> anyhow::Result<bool> {
    let path = settings.gateway.data.join("state.db");
    Ok(path.exists() && Roster::read(&Store::open_to_read(&path)?)?.get(person).is_some())
}

/// Groups and standing as the roster has them, or as given.
fn of_roster(
    settings: &config::Settings,
    person: &PersonId,
    given: &[GroupName],
    local: vocabulary::LocalTime,
) -> anyhow::Result<(Vec<GroupName>, Standing)> {
    if !given.is_empty() {
        return Ok((given.to_vec(), Standing::Active));
    }
    let path = settings.gateway.data.join("state.db");
    if !path.exists() {
        return Ok((Vec::new(), Standing::NotOnRoster));
    }
    let roster = Roster::read(&Store::open_to_read(&path)?)?;
    let groups = roster.get(person).map(|p| p.groups.clone()).unwrap_or_default();
    let standing = match roster.standing(person, local.date) {
        identity::Standing::Active => Standing::Active,
        identity::Standing::NotOnRoster => Standing::NotOnRoster,
        identity::Standing::NotYet => Standing::NotYet,
        identity::Standing::Retired => Standing::Retired,
        identity::Standing::Locked => Standing::Locked,
    };
    Ok((groups, standing))
}
