//! Apps as resolved: what operators wrote, checked against each other and against the gateway's own names.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use vocabulary::{AppId, DocumentError, PathStep, Span};

use crate::action::Actions;
use crate::authority;
use crate::document::{AppDocument, HostDocument, Protocol};
use crate::host_map::HostMap;
use crate::method::OverrideSet;
use crate::recipe::{self, Recipe, RecipeSet};
use crate::request::ShapeSet;

/// Labels of the gateway's own hosts, which no app can take.
pub const RESERVED_IDS: [&str; 4] = ["login", "console", "enroll", "device"];

/// What apps need to know of the gateway.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Apps live at `<app>.<domain>`.
    pub domain: String,
    /// The port people's browsers use, 443 for most.
    pub port: u16,
    /// Further host names that are the gateway's own, such as a sign-in host under another domain.
    pub own_hosts: Vec<String>,
}

/// One app, ready for the request path.
#[derive(Clone, Debug)]
pub struct App {
    pub id: AppId,
    pub hosts: HostMap,
    pub actions: Actions,
    pub tolerate: ShapeSet,
    pub overrides: OverrideSet,
    pub protocol: Protocol,
    pub timeouts: Timeouts,
    /// PEM file of roots for the SaaS's certificate; public roots if absent. Not read here.
    pub upstream_ca: Option<PathBuf>,
    /// The app's own certificate; the bundled CA makes one if absent. Not read here.
    pub certificate: Option<CertificateFiles>,
    /// What is known of this SaaS.
    pub recipe: Option<Arc<Recipe>>,
    /// The facility's account at it.
    pub account: Option<String>,
}

/// Two PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// How long the gate waits for the SaaS; see [`crate::TimeoutsDocument`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    pub response: Duration,
    pub idle: Duration,
    pub keep: Duration,
}

/// Checks the document's `apps` and resolves them, in their order.
///
/// # Errors
/// Everything that is wrong, at once; paths begin with `apps`. That an app's recipe is wrong is not
/// told again: who read the recipe has.
pub fn compile(
    documents: &[AppDocument],
    recipes: &RecipeSet,
    gateway: &Gateway,
) -> Result<Vec<App>, Vec<DocumentError>> {
    let mut errors = Vec::new();
    let apps: Vec<Option<App>> = documents
        .iter()
        .enumerate()
        .map(|(index, document)| app(&mut Report { errors: &mut errors, index }, document, recipes, gateway))
        .collect();
    for (index, document) in documents.iter().enumerate() {
        let mut report = Report { errors: &mut errors, index };
        if documents[..index].iter().any(|earlier| earlier.id == document.id) {
            report.push(["id".into()], document.id.as_str(), "is the id of an earlier app");
        }
        names_apart(&mut report, index, &apps, documents, gateway);
    }
    if errors.is_empty() { Ok(apps.into_iter().flatten().collect()) } else { Err(errors) }
}

/// Errors of one app.
struct Report<'a> {
    errors: &'a mut Vec<DocumentError>,
    index: usize,
}

impl Report<'_> {
    fn push(&mut self, path: impl IntoIterator<Item = PathStep>, value: &str, problem: impl Into<String>) {
        self.candidates(path, value, problem, []);
    }

    fn candidates(
        &mut self,
        path: impl IntoIterator<Item = PathStep>,
        value: &str,
        problem: impl Into<String>,
        candidates: impl IntoIterator<Item = String>,
    ) {
        let path = ["apps".into(), self.index.into()].into_iter().chain(path);
        self.errors.push(DocumentError::new(path, value, problem).candidates(candidates));
    }
}

fn app(report: &mut Report<'_>, document: &AppDocument, recipes: &RecipeSet, gateway: &Gateway) -> Option<App> {
    let before = report.errors.len();
    let named = document.recipe.as_deref().map(|name| (name, recipes.get(name)));
    if let Some((name, None)) = named {
        report.candidates(
            ["recipe".into()],
            name,
            "is not a recipe; name a shipped one or one of the files of `recipes`",
            recipes.ids().map(str::to_owned),
        );
    }
    let recipe = named.and_then(|(_, known)| known.flatten());
    // Where it would have said the address, nobody else does.
    let address_fails = named.is_some() && recipe.is_none() && document.upstream.is_none();
    let certificate = match (&document.certificate, &document.key) {
        (Some(certificate), Some(key)) => Some(CertificateFiles { certificate: certificate.clone(), key: key.clone() }),
        (Some(file), None) => {
            report.push(["certificate".into()], &file.to_string_lossy(), "needs `key`, the file of its private key");
            None
        }
        (None, Some(file)) => {
            report.push(
                ["key".into()],
                &file.to_string_lossy(),
                "needs `certificate`, the file of the chain it belongs to",
            );
            None
        }
        (None, None) => None,
    };
    let timeouts = timeouts(report, document);
    let actions = Actions::compile(&document.actions).map_err(|errors| {
        for error in errors {
            report.push(["actions".into()].into_iter().chain(error.path), &error.value, error.problem);
        }
    });
    let address_fails = address_fails || !account(report, document, recipe);
    let hosts = if address_fails { None } else { hosts(report, document, recipe, gateway) };
    if report.errors.len() > before {
        return None;
    }
    Some(App {
        id: document.id.clone(),
        hosts: hosts?,
        actions: actions.ok()?,
        tolerate: document.tolerate.iter().copied().collect::<ShapeSet>().with(recipe.map(|r| r.tolerate())),
        overrides: document
            .method_override
            .iter()
            .copied()
            .collect::<OverrideSet>()
            .with(recipe.map(|r| r.overrides())),
        protocol: document.protocol,
        timeouts,
        upstream_ca: document.upstream_ca.clone(),
        certificate,
        recipe: recipe.cloned(),
        account: document.account.clone(),
    })
}

/// Whether the SaaS's addresses can be told.
fn account(report: &mut Report<'_>, document: &AppDocument, recipe: Option<&Arc<Recipe>>) -> bool {
    let before = report.errors.len();
    let needed = recipe.is_some_and(|recipe| {
        let main = recipe.upstream().filter(|_| document.upstream.is_none());
        let further = recipe.hosts().iter().map(|host| host.upstream.as_str()).filter(|_| document.hosts.is_empty());
        main.into_iter().chain(further).any(|address| address.contains(recipe::ACCOUNT))
    });
    match &document.account {
        None if needed => {
            let problem = "is missing; the SaaS's address contains it, so write the facility's";
            report.push(["account".into()], "", problem);
        }
        Some(account) if needed && !authority::is_label(account) => {
            let problem = "must be one DNS label, because it becomes part of the SaaS's address: a-z, 0-9 and `-`";
            report.push(["account".into()], account, problem);
        }
        Some(account) if !recipe::is_plain(account) => {
            let problem = "must be 1 to 64 letters, digits and `-_.@:`, as the SaaS has it";
            report.push(["account".into()], account, problem);
        }
        _ => {}
    }
    !needed || report.errors.len() == before
}

fn timeouts(report: &mut Report<'_>, document: &AppDocument) -> Timeouts {
    let written = &document.timeouts;
    let mut positive = |key: &str, span: Span| {
        if span.0.is_zero() {
            report.push(["timeouts".into(), key.into()], &span.to_string(), "must be longer than nothing");
        }
        span.0
    };
    Timeouts {
        connect: positive("connect", written.connect),
        response: positive("response", written.response),
        idle: positive("idle", written.idle),
        keep: positive("keep", written.keep),
    }
}

fn hosts(
    report: &mut Report<'_>,
    document: &AppDocument,
    recipe: Option<&Arc<Recipe>>,
    gateway: &Gateway,
) -> Option<HostMap> {
    let before = report.errors.len();
    let main = match &document.host {
        None => format!("{}.{}", document.id, gateway.domain),
        Some(host) => {
            if let Err(problem) = authority::check_host(&host.to_ascii_lowercase()) {
                report.push(["host".into()], host, problem);
            }
            host.to_ascii_lowercase()
        }
    };
    // A recipe's own addresses are right, but for the account's place in them.
    let of_account = |address: &str| match &document.account {
        Some(account) => address.replace(recipe::ACCOUNT, account),
        None => address.to_owned(),
    };
    let upstream = match (&document.upstream, recipe.and_then(|recipe| recipe.upstream())) {
        (Some(upstream), _) => upstream.clone(),
        (None, Some(upstream)) => of_account(upstream),
        (None, None) => {
            report.push(["upstream".into()], "", "is missing; write the SaaS's address, https://host");
            return None;
        }
    };
    if let Err(problem) = authority::parse_https(&upstream)
        && document.upstream.is_some()
    {
        report.push(["upstream".into()], &upstream, problem);
    }
    let further: Vec<HostDocument> = match recipe {
        Some(recipe) if document.hosts.is_empty() => recipe
            .hosts()
            .iter()
            .map(|host| HostDocument { upstream: of_account(&host.upstream), ..host.clone() })
            .collect(),
        _ => document.hosts.clone(),
    };
    let mut pairs = vec![(main.clone(), upstream.as_str())];
    for (at, host) in further.iter().enumerate() {
        let path = |key: &str| ["hosts".into(), at.into(), key.into()];
        if !authority::is_label(&host.name) {
            report.push(path("name"), &host.name, "must be one DNS label: a-z, 0-9 and `-`, at most 63 characters");
        } else if further[..at].iter().any(|earlier| earlier.name == host.name) {
            report.push(path("name"), &host.name, "names two hosts of this app");
        }
        match authority::parse_https(&host.upstream) {
            Err(problem) => report.push(path("upstream"), &host.upstream, problem),
            Ok(upstream) if pairs.iter().any(|(_, other)| authority::parse_https(other).as_ref() == Ok(&upstream)) => {
                report.push(path("upstream"), &host.upstream, "already stands for another host of this app");
            }
            Ok(_) => {}
        }
        pairs.push((format!("{}.{main}", host.name), host.upstream.as_str()));
    }
    if report.errors.len() > before {
        return None;
    }
    match HostMap::new(pairs.iter().map(|(ours, upstream)| (ours.as_str(), *upstream)), gateway.port, &gateway.domain) {
        Ok(map) => {
            let of_static = further.iter().enumerate().filter(|(_, host)| host.is_static);
            Some(of_static.fold(map, |map, (at, _)| map.with_static(at + 1)))
        }
        Err(error) => {
            report.push(["id".into()], document.id.as_str(), format!("gives no usable host names: {error}"));
            None
        }
    }
}

/// No name of one app may be, lie below or lie above a name of another or of the gateway: cookies with a Domain
/// reach downwards.
fn names_apart(
    report: &mut Report<'_>,
    index: usize,
    apps: &[Option<App>],
    documents: &[AppDocument],
    gateway: &Gateway,
) {
    let Some(app) = &apps[index] else { return };
    let written = documents[index].host.as_deref();
    let key = if written.is_some() { "host" } else { "id" };
    let value = written.unwrap_or(app.id.as_str());
    let ours = app.hosts.main().our_host();
    if authority::is_within(&gateway.domain, ours) {
        // Every host of the gateway's own would collide as well; one error says it.
        return report.push([key.into()], value, "is the gateway's domain or lies above it");
    }
    let reserved = RESERVED_IDS.iter().map(|label| format!("{label}.{}", gateway.domain));
    for own in reserved.chain(gateway.own_hosts.iter().cloned()) {
        if authority::is_within(ours, &own) || authority::is_within(&own, ours) {
            report.push([key.into()], value, format!("collides with {own}, a host of the gateway's own"));
        }
    }
    for earlier in apps[..index].iter().flatten().filter(|earlier| earlier.id != app.id) {
        let theirs = earlier.hosts.main().our_host();
        if authority::is_within(ours, theirs) || authority::is_within(theirs, ours) {
            report.push([key.into()], value, format!("collides with {theirs}, the host of app {}", earlier.id));
        }
    }
    for (at, host) in app.hosts.iter().map(|(_, host)| host).enumerate() {
        let ours = apps.iter().flatten().flat_map(|a| a.hosts.iter()).map(|(_, h)| h);
        if host.upstream_port() == gateway.port && ours.into_iter().any(|h| h.our_host() == host.upstream_host()) {
            let path: Vec<PathStep> = match at.checked_sub(1) {
                None => vec!["upstream".into()],
                Some(further) => vec!["hosts".into(), further.into(), "upstream".into()],
            };
            report.push(path, host.upstream_authority(), "is a host of this gateway; requests would run in a circle");
        }
    }
}

#[cfg(test)]
mod tests {
    use vocabulary::DisplayPath;

    use super::*;

    fn gateway() -> Gateway {
        Gateway { domain: "gw.example".into(), port: 443, own_hosts: vec!["sign-in.example".into()] }
    }

    fn compiled(yaml: &str) -> Result<Vec<App>, Vec<String>> {
        let documents: Vec<AppDocument> = serde_yaml::from_str(yaml).unwrap();
        compile(&documents, &RecipeSet::default(), &gateway())
            .map_err(|errors| errors.iter().map(|e| format!("{}: {}", DisplayPath(&e.path), e.value)).collect())
    }

    #[test]
    fn further_hosts_nest_below_the_apps_own() {
        let apps = compiled(
            "- { id: records, upstream: 'https://r.saas.jp', hosts: [{ name: assets, upstream: 'https://a.saas.jp' }] }\n\
             - { id: own, host: Care.example, upstream: 'https://own.saas.jp' }",
        )
        .unwrap();
        let names: Vec<_> = apps.iter().flat_map(|a| a.hosts.iter().map(|(_, h)| h.to_string())).collect();
        assert_eq!(
            names,
            ["records.gw.example → r.saas.jp", "assets.records.gw.example → a.saas.jp", "care.example → own.saas.jp"]
        );
    }

    #[test]
    fn every_error_is_told_at_once_with_its_place() {
        let errors = compiled(
            "- { id: a, recipe: kaipoke, upstream: 'http://a.jp', certificate: /c.pem, timeouts: { idle: 0s },\n\
                 hosts: [{ name: A_, upstream: 'https://1.2.3.4' }],\n\
                 actions: [{ methods: [post], path: residents, action: edit }] }\n\
             - { id: b, host: 'x y', key: /k.pem, upstream: 'https://b.jp' }",
        )
        .unwrap_err();
        assert_eq!(
            errors,
            [
                "apps[0].recipe: kaipoke",
                "apps[0].certificate: /c.pem",
                "apps[0].timeouts.idle: 0ms",
                "apps[0].actions[0].methods[0]: post",
                "apps[0].actions[0].path: residents",
                "apps[0].upstream: http://a.jp",
                "apps[0].hosts[0].name: A_",
                "apps[0].hosts[0].upstream: https://1.2.3.4",
                "apps[1].key: /k.pem",
                "apps[1].host: x y",
            ]
        );
    }

    #[test]
    fn names_that_cookies_could_cross_are_refused() {
        for (yaml, place) in [
            ("- { id: login, upstream: 'https://a.jp' }", "apps[0].id: login"),
            ("- { id: a, host: gw.example, upstream: 'https://a.jp' }", "apps[0].host: gw.example"),
            ("- { id: a, host: example, upstream: 'https://a.jp' }", "apps[0].host: example"),
            ("- { id: a, host: x.sign-in.example, upstream: 'https://a.jp' }", "apps[0].host: x.sign-in.example"),
            (
                "- { id: a, upstream: 'https://a.jp' }\n- { id: b, host: x.a.gw.example, upstream: 'https://b.jp' }",
                "apps[1].host: x.a.gw.example",
            ),
            ("- { id: a, upstream: 'https://a.jp' }\n- { id: a, upstream: 'https://b.jp' }", "apps[1].id: a"),
            ("- { id: a, upstream: 'https://a.gw.example' }", "apps[0].upstream: a.gw.example"),
        ] {
            assert!(compiled(yaml).unwrap_err().iter().any(|e| e == place), "{yaml}");
        }
    }

    #[test]
    fn the_gateways_domain_is_no_apps_and_that_is_said_once() {
        assert_eq!(compiled("- { id: a, host: gw.example, upstream: 'https://a.jp' }").unwrap_err().len(), 1);
    }

    #[test]
    fn two_hosts_of_an_app_stand_for_two_hosts() {
        let errors = compiled(
            "- { id: a, upstream: 'https://a.jp', hosts: [{ name: x, upstream: 'https://A.jp:443/' }, { name: x, upstream: 'https://b.jp' }] }",
        )
        .unwrap_err();
        assert_eq!(errors, ["apps[0].hosts[0].upstream: https://A.jp:443/", "apps[0].hosts[1].name: x"]);
    }
}
