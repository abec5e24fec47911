//! The configuration: from a YAML file to settings that hold together, or to a report of everything that is wrong.
//!
//! ```text
//! file ─→ yaml/ ─→ structure.rs ─→ yaml/typed.rs ─→ resolve/ ─→ Settings
//!         a tree    against the      the document      meaning, files,
//!         with      JSON Schema      types             defaults
//!         places         └────────────────┴───────────────┴──→ Report
//! ```
//!
//! Recipes take the same way up to the document types, and `saas` checks what they mean; see `recipes.rs`.
//!
//! Each stage goes on past what is wrong, so that one report has it all. What the parts say beyond `gateway` and `log`
//! is defined, and its meaning checked, by the crates that use them: `policy`, `saas`, `identity`, `audit`,
//! `cert-authority`. Nothing here listens, connects or writes; files that the configuration names are read.

mod nearest;
mod recipes;
mod report;
mod resolve;
mod settings;
mod structure;
mod written;
mod yaml;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use vocabulary::{DocumentError, PathStep};

use crate::resolve::Parts;
use crate::yaml::{Finding, Node};

pub use nearest::did_you_mean;
pub use recipes::{read_recipe, recipe_schema};
pub use report::{Problem, Report};
pub use settings::{App, Audit, Certificate, Gateway, Limits, Log, Mail, Settings, Tls};
pub use written::{
    CertificateDocument, GatewayDocument, LimitsDocument, LogDocument, LogLevel, MinVersion, TlsDocument, Written,
};

/// A configuration that may run.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub settings: Settings,
    /// What may run but is hardly meant, such as a policy without rules.
    pub warnings: Vec<Problem>,
}

/// Reads a configuration file and the files it names.
///
/// # Errors
/// Everything that is wrong, in the order of the file's lines.
pub fn load(path: &Path) -> Result<Loaded, Report> {
    read(&text(path)?, path, None)
}

/// As [`load`], where the first of `gateway.listen` leaves the port to the system (0) and got `port`.
///
/// # Errors
/// As [`load`].
pub fn load_bound(path: &Path, port: u16) -> Result<Loaded, Report> {
    read(&text(path)?, path, Some(port))
}

/// Reads a configuration from its text. `file` is its name in messages, and its folder is what relative paths count
/// from; `bound` is as in [`load_bound`].
///
/// # Errors
/// As [`load`].
pub fn read(text: &str, file: &Path, bound: Option<u16>) -> Result<Loaded, Report> {
    let mut findings = Findings { file, tree: None, found: Vec::new() };
    let (tree, faults) = yaml::parse(text);
    findings.found.extend(faults);
    let Some(mut tree) = tree else { return Err(findings.report()) };
    findings.found.extend(structure::check(&mut tree, &schema()));
    let recipes: Vec<PathBuf> = findings.part(&mut tree, "recipes").unwrap_or_default();
    let parts = Parts {
        gateway: findings.part(&mut tree, "gateway"),
        networks: findings.part::<BTreeMap<_, _>>(&mut tree, "networks").unwrap_or_default(),
        identity: findings.part(&mut tree, "identity").unwrap_or_default(),
        apps: findings.part(&mut tree, "apps").unwrap_or_default(),
        policy: findings.part(&mut tree, "policy").unwrap_or_default(),
        audit: findings.part(&mut tree, "audit").unwrap_or_default(),
        ca: findings.part(&mut tree, "ca").unwrap_or_default(),
        enrolment: findings.part(&mut tree, "enrolment").unwrap_or_default(),
        mail: findings.part(&mut tree, "mail"),
        log: findings.part(&mut tree, "log").unwrap_or_default(),
    };
    let names = resolve::Names { apps: names(&tree, "apps"), networks: names(&tree, "networks") };
    findings.tree = Some(tree);

    let folder = file.parent().unwrap_or(Path::new(""));
    let recipes = recipes::known(&recipes, folder);
    recipes.errors.iter().for_each(|error| findings.meaning(error));
    let (settings, warnings) = match resolve::resolve(&parts, &names, &recipes.set, folder, bound) {
        (Some(settings), errors, warnings) if errors.is_empty() => (settings, warnings),
        (_, errors, _) => {
            errors.iter().for_each(|error| findings.meaning(error));
            return Err(findings.report().and(recipes.problems));
        }
    };
    if !findings.found.is_empty() || !recipes.problems.is_empty() {
        return Err(findings.report().and(recipes.problems));
    }
    warnings.iter().for_each(|warning| findings.meaning(warning));
    Ok(Loaded { settings, warnings: findings.problems() })
}

/// The JSON Schema (2020-12) of a configuration file.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Written).to_value()
}

fn text(path: &Path) -> Result<String, Report> {
    let unreadable = |problem: String| Report { problems: vec![Problem::of_file(path, problem)], unreadable: true };
    let bytes = std::fs::read(path).map_err(|cause| unreadable(format!("can't be read: {cause}")))?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes().iter().take(good).filter(|b| **b == b'\n').count();
        Report {
            problems: vec![Problem::of_file(path, format!("is not UTF-8 text (line {line}); save it as UTF-8"))],
            unreadable: false,
        }
    })
}

/// What the items of a top-level part are called, those included that are wrong otherwise, so that what refers to
/// them is not reported as well. Nothing if the part as a whole could not be read.
fn names(tree: &Node, part: &str) -> Option<Vec<String>> {
    let Some(entry) = tree.entry(part) else { return Some(Vec::new()) };
    match &entry.value.data {
        yaml::Data::List(items) if !entry.value.dropped => {
            Some(items.iter().filter_map(|item| item.entry("id")).map(|id| id.value.text()).collect())
        }
        yaml::Data::Map(entries) if !entry.value.dropped => Some(entries.iter().map(|one| one.key.clone()).collect()),
        _ => None,
    }
}

/// What was found wrong so far.
struct Findings<'f> {
    file: &'f Path,
    /// Once it is read; places of errors in meaning are looked up in it.
    tree: Option<Node>,
    found: Vec<Finding>,
}

impl Findings<'_> {
    /// Reads one top-level part. Nothing comes out if it isn't there or can't be read.
    fn part<T: DeserializeOwned>(&mut self, tree: &mut Node, key: &str) -> Option<T> {
        let node = tree.entry_mut(key)?;
        let (read, findings) = yaml::typed(node, &[PathStep::from(key)]);
        self.found.extend(findings);
        read
    }

    /// An error in meaning. What only follows from something that was told already is left out.
    fn meaning(&mut self, error: &DocumentError) {
        let Some(tree) = &self.tree else { return };
        let Some(path) = tree.path_in_file(&error.path) else { return };
        let place = tree.place_of(&path);
        let mut error = DocumentError { path, ..error.clone() };
        // The value as written (`0s`), where the document type only knows what it means (`0ms`).
        let written = tree.at(&error.path).map(Node::text).filter(|text| !text.is_empty());
        if let Some(written) = written.filter(|_| !error.value.is_empty()) {
            error.value = written;
        }
        self.found.push(Finding { place, error });
    }

    fn problems(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|finding| finding.place);
        self.found.dedup();
        self.found.iter().map(|Finding { place, error }| Problem::at(self.file, *place, error)).collect()
    }

    fn report(self) -> Report {
        Report { problems: self.problems(), unreadable: false }
    }
}
