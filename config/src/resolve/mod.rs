//! From the parts as written to settings: what values mean, and whether the parts fit together.

mod certificate;
mod gateway;
mod kept;
mod mail;
mod provider;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cert_authority::{CaSettings, PassphraseSource};
use policy::{Catalog, NetworkDocument, Policy, RuleDocument};
use vocabulary::{AppId, DocumentError, NetworkName, PathStep};

use crate::settings::{App, Audit, Certificate, Gateway, Log, Settings};
use crate::written::{GatewayDocument, LogDocument, MailDocument};

/// The parts of a file, without what could not be read of them.
pub(crate) struct Parts {
    pub(crate) gateway: Option<GatewayDocument>,
    pub(crate) networks: BTreeMap<NetworkName, NetworkDocument>,
    pub(crate) identity: identity::IdentityDocument,
    pub(crate) apps: Vec<saas::AppDocument>,
    pub(crate) policy: Vec<RuleDocument>,
    pub(crate) audit: audit::AuditDocument,
    pub(crate) ca: cert_authority::CaDocument,
    pub(crate) enrolment: cert_authority::EnrolmentDocument,
    pub(crate) mail: Option<MailDocument>,
    pub(crate) log: LogDocument,
}

/// Every name in the file that rules may refer to, those of unreadable items too. Nothing: they can't be known.
pub(crate) struct Names {
    pub(crate) apps: Option<Vec<String>>,
    pub(crate) networks: Option<Vec<String>>,
}

/// Errors, then warnings; settings only without errors. `folder` is what relative paths count from.
pub(crate) fn resolve(
    parts: &Parts,
    names: &Names,
    recipes: &saas::RecipeSet,
    folder: &Path,
    bound: Option<u16>,
) -> (Option<Settings>, Vec<DocumentError>, Vec<DocumentError>) {
    let mut findings = Findings { folder, errors: Vec::new(), warnings: Vec::new() };
    let gateway = parts.gateway.as_ref().and_then(|written| gateway::resolve(written, bound, &mut findings));
    // Without a usable gateway the other parts are still checked, under a domain that no document can name.
    let domain = gateway.as_ref().map_or("gateway.invalid", |gateway| gateway.domain.as_str());
    let identity = findings.keep(parts.identity.resolve(domain)).map(|found| provider::files(found, &mut findings));
    let scim = identity.as_ref().and_then(|identity| identity.scim.as_ref());
    scim_fits(scim, gateway.as_ref(), names, &mut findings);
    let apps = apps(parts, recipes, gateway.as_ref(), scim, domain, &mut findings);
    let policy = policy(parts, names, &mut findings);
    let audit = findings.keep(parts.audit.resolve());
    let log = audit_log(parts, domain, &mut findings);
    let checkpoints = findings.keep(parts.audit.checkpoints.resolve()).map(|found| kept::files(found, &mut findings));
    let ca = ca(parts, &mut findings);
    let enrolment = findings.keep(parts.enrolment.resolve());
    let mail = parts.mail.as_ref().map(|written| mail::resolve(written, &mut findings));
    let settings = || {
        let (options, strangers) = audit?;
        let gateway = gateway?;
        Some(Settings {
            gateway,
            identity: identity?,
            apps: apps?,
            policy: Arc::new(policy?),
            audit: Audit { options, strangers, log: log?, checkpoints: checkpoints? },
            ca: ca?,
            enrolment: enrolment?,
            mail: mail.flatten(),
            log: Log { level: parts.log.level },
        })
    };
    let settings = settings();
    if let Some(settings) = &settings {
        warn_of_uncovered_hosts(settings, &mut findings);
    }
    (settings, findings.errors, findings.warnings)
}

/// What the parts complain about.
pub(crate) struct Findings<'f> {
    pub(crate) folder: &'f Path,
    errors: Vec<DocumentError>,
    warnings: Vec<DocumentError>,
}

impl Findings<'_> {
    pub(crate) fn error(&mut self, error: DocumentError) {
        self.errors.push(error);
    }

    pub(crate) fn warning(&mut self, warning: DocumentError) {
        self.warnings.push(warning);
    }

    fn keep<T>(&mut self, result: Result<T, Vec<DocumentError>>) -> Option<T> {
        result.map_err(|errors| self.errors.extend(errors)).ok()
    }

    /// A path as written, counted from the folder of the configuration file.
    pub(crate) fn file(&self, written: &Path) -> PathBuf {
        self.folder.join(written)
    }
}

/// What `identity.scim` says of other parts.
fn scim_fits(
    scim: Option<&identity::scim::ScimSettings>,
    gateway: Option<&Gateway>,
    names: &Names,
    findings: &mut Findings<'_>,
) {
    let Some(scim) = scim else { return };
    let at = |steps: &[PathStep]| ["identity".into(), "scim".into()].into_iter().chain(steps.iter().cloned()).collect();
    let path: Vec<PathStep> = at(&["host".into()]);
    let own =
        |gateway: &Gateway| [&gateway.login_host, &gateway.enroll_host, &gateway.device_host].contains(&&scim.host);
    if gateway.is_some_and(own) {
        findings.error(DocumentError::new(path, &scim.host, "is a host of our own pages; choose another one"));
    }
    let Some(networks) = &names.networks else { return };
    for (index, network) in scim.from.iter().enumerate() {
        if !networks.iter().any(|name| name == network.as_str()) {
            let path: Vec<PathStep> = at(&["from".into(), index.into()]);
            let error = DocumentError::new(path, network.as_str(), "is not a network of `networks`");
            findings.error(error.candidates(networks.iter().cloned()));
        }
    }
}

fn apps(
    parts: &Parts,
    recipes: &saas::RecipeSet,
    gateway: Option<&Gateway>,
    scim: Option<&identity::scim::ScimSettings>,
    domain: &str,
    findings: &mut Findings<'_>,
) -> Option<Vec<App>> {
    let context = saas::Gateway {
        domain: domain.to_owned(),
        port: gateway.map_or(443, |gateway| gateway.public_port),
        own_hosts: gateway
            .map(|gateway| gateway.login_host.clone())
            .into_iter()
            .chain(scim.map(|s| s.host.clone()))
            .collect(),
    };
    let compiled = findings.keep(saas::compile(&parts.apps, recipes, &context));
    let files: Vec<_> = parts.apps.iter().enumerate().map(|(index, app)| app_files(index, app, findings)).collect();
    let apps = compiled?.into_iter().zip(files).map(|(mut saas, (roots, certificate))| {
        saas.upstream_ca = saas.upstream_ca.map(|file| findings.file(&file));
        saas.certificate = saas.certificate.map(|files| saas::CertificateFiles {
            certificate: findings.file(&files.certificate),
            key: findings.file(&files.key),
        });
        App { saas, roots, certificate }
    });
    let apps: Vec<App> = apps.collect();
    for (index, app) in apps.iter().enumerate() {
        if app.saas.account.is_none() && app.saas.recipe.as_ref().is_some_and(|recipe| recipe.tells_accounts()) {
            let problem =
                "is missing, so logins to other accounts than the facility's are let through; write the facility's";
            findings.warning(DocumentError::new(["apps".into(), index.into(), "account".into()], "", problem));
        }
    }
    Some(apps)
}

fn ca(parts: &Parts, findings: &mut Findings<'_>) -> Option<CaSettings> {
    let mut settings = findings.keep(parts.ca.resolve())?;
    if let PassphraseSource::File(file) = &mut settings.passphrase {
        *file = findings.file(file);
        // Only a warning: the file may come to be before the gate starts, and who checks may not see it.
        if !file.exists() {
            let path = ["ca".into(), "passphrase_file".into()];
            // Without what was written: it may be the passphrase itself.
            findings.warning(DocumentError::new(path, "", "names a file that is not there"));
        }
    }
    Some(settings)
}

fn audit_log(parts: &Parts, domain: &str, findings: &mut Findings<'_>) -> Option<audit::LogSettings> {
    let mut settings = findings.keep(parts.audit.log.resolve(domain))?;
    for file in [&mut settings.key_file, &mut settings.second_key_file].into_iter().flatten() {
        *file = findings.file(file);
    }
    if settings.second_key_file.as_ref().is_some_and(|file| !file.exists()) {
        let path = ["audit".into(), "log".into(), "second_key_file".into()];
        findings.warning(DocumentError::new(
            path,
            "",
            "names a file that is not there; `sekisho audit new-key` makes one",
        ));
    }
    Some(settings)
}

type Files = (Vec<rustls_pki_types::CertificateDer<'static>>, Option<Certificate>);

/// The PEM files an app names. That `certificate` and `key` come together is checked with the app.
fn app_files(index: usize, app: &saas::AppDocument, findings: &mut Findings<'_>) -> Files {
    let at = ["apps".into(), index.into()];
    let roots = app.upstream_ca.as_ref().and_then(|file| {
        let path = at.iter().cloned().chain(["upstream_ca".into()]).collect();
        certificate::chain(file, path, findings)
    });
    let certificate = match (&app.certificate, &app.key) {
        (Some(chain), Some(key)) => certificate::read(chain, key, &[], &at, findings),
        _ => None,
    };
    (roots.unwrap_or_default(), certificate)
}

fn policy(parts: &Parts, names: &Names, findings: &mut Findings<'_>) -> Option<Policy> {
    let apps = match &names.apps {
        Some(ids) => ids.iter().filter_map(|id| AppId::new(id).ok()).collect(),
        None => parts.policy.iter().flat_map(|rule| rule.apps.iter().cloned()).collect(),
    };
    let named: Vec<NetworkName> = match &names.networks {
        Some(names) => names.iter().filter_map(|name| NetworkName::new(name).ok()).collect(),
        None => parts.policy.iter().filter_map(|rule| rule.from.as_ref()).flat_map(networks_of).collect(),
    };
    let networks = named.into_iter().map(|name| {
        let document = parts.networks.get(&name).cloned().unwrap_or_default();
        (name, document)
    });
    let networks = networks.collect();
    if parts.policy.is_empty() {
        findings.warning(DocumentError::new(["policy".into()], "", "has no rule, so everything is denied"));
    }
    // Groups are the roster's, which changes without the configuration.
    findings.keep(Policy::compile(&parts.policy, &Catalog { apps, networks, groups: None }))
}

fn networks_of(from: &policy::document::From) -> Vec<NetworkName> {
    let inner = from.not.iter().flat_map(|not| networks_of(not));
    from.networks.iter().cloned().chain(inner).collect()
}

/// Who brings certificates from outside wants them everywhere: a forgotten host would meet people with a certificate
/// that their browsers don't trust.
fn warn_of_uncovered_hosts(settings: &Settings, findings: &mut Findings<'_>) {
    if settings.gateway.certificates.is_empty() {
        return;
    }
    let gateway_covers = |host: &str| settings.gateway.certificates.iter().any(|c| c.covers(host));
    let problem = |host: &str| format!("no certificate file covers {host}; the bundled authority makes one for it");
    let login = &settings.gateway.login_host;
    if !gateway_covers(login) {
        findings.warning(DocumentError::new(["gateway".into(), "certificates".into()], "", problem(login)));
    }
    // Only where devices are enrolled at all.
    if settings.gateway.data.join("ca").is_dir() {
        for host in [&settings.gateway.enroll_host, &settings.gateway.device_host] {
            if !gateway_covers(host) {
                findings.warning(DocumentError::new(["gateway".into(), "certificates".into()], "", problem(host)));
            }
        }
    }
    if let Some(scim) = settings.identity.scim.as_ref().filter(|scim| !gateway_covers(&scim.host)) {
        findings.warning(DocumentError::new(["gateway".into(), "certificates".into()], "", problem(&scim.host)));
    }
    for (index, app) in settings.apps.iter().enumerate() {
        for (_, host) in app.saas.hosts.iter() {
            let host = host.our_host();
            if !app.certificate.as_ref().is_some_and(|c| c.covers(host)) && !gateway_covers(host) {
                findings.warning(DocumentError::new(["apps".into(), index.into()], "", problem(host)));
            }
        }
    }
}
