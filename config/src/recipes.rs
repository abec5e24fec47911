//! Recipes: those that are shipped, and those that a configuration names files of.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use saas::recipe::{Recipe, RecipeDocument, RecipeSet};
use vocabulary::{DocumentError, PathStep};

use crate::report::{Problem, Report};
use crate::{Findings, structure, yaml};

const ENDING: &str = ".yaml";

/// File name and text.
const SHIPPED: [(&str, &str); 4] = [
    ("cybozu.yaml", include_str!("../recipes/cybozu.yaml")),
    ("demo.yaml", include_str!("../recipes/demo.yaml")),
    ("generic.yaml", include_str!("../recipes/generic.yaml")),
    ("kaipoke.yaml", include_str!("../recipes/kaipoke.yaml")),
];

/// The shipped ones by name: read once, since they stay the same.
static READ: LazyLock<[Shipped; SHIPPED.len()]> = LazyLock::new(|| {
    let read = |(file, text): (&'static str, &str)| {
        let id = file.strip_suffix(ENDING).unwrap_or(file);
        (id, read_recipe(text, &Path::new("recipes").join(file)).map(Arc::new))
    };
    SHIPPED.map(read)
});

/// A shipped recipe's name, and what became of it.
type Shipped = (&'static str, Result<Arc<Recipe>, Report>);

/// Reads a recipe from its text and runs its tests. `file` is its name in messages, and the recipe must be called as the
/// file is.
///
/// # Errors
/// Everything that is wrong, in the order of the file's lines. Tests are run only if nothing else is wrong.
pub fn read_recipe(text: &str, file: &Path) -> Result<Recipe, Report> {
    let mut findings = Findings { file, tree: None, found: Vec::new() };
    let (tree, faults) = yaml::parse(text);
    findings.found.extend(faults);
    let Some(mut tree) = tree else { return Err(findings.report()) };
    findings.found.extend(structure::check(&mut tree, &recipe_schema()));
    let (document, untyped) = yaml::typed::<RecipeDocument>(&mut tree, &[]);
    findings.found.extend(untyped);
    findings.tree = Some(tree);
    let Some(document) = document else { return Err(findings.report()) };
    let complete = findings.found.is_empty();
    if file.file_stem().is_some_and(|stem| *stem != *document.recipe) {
        let problem = "is not the file's name without .yaml; call both the same";
        findings.meaning(&DocumentError::new(["recipe".into()], &document.recipe, problem));
    }
    match Recipe::compile(&document) {
        Ok(recipe) if findings.found.is_empty() => return Ok(recipe),
        Ok(_) => {}
        // What was left out above may be what a test is about.
        Err(errors) => errors
            .iter()
            .filter(|error| complete || error.path.first() != Some(&PathStep::from("tests")))
            .for_each(|error| findings.meaning(error)),
    }
    Err(findings.report())
}

/// The JSON Schema (2020-12) of a recipe.
pub fn recipe_schema() -> serde_json::Value {
    schemars::schema_for!(RecipeDocument).to_value()
}

/// The recipes that apps may name: those of the configuration's `files`, counted from `folder`, and the shipped ones. One
/// of the files may take a shipped one's place.
pub(crate) fn known(files: &[PathBuf], folder: &Path) -> Known {
    let mut known = Known { set: RecipeSet::default(), errors: Vec::new(), problems: Vec::new() };
    for (nth, written) in files.iter().enumerate() {
        let file = folder.join(written);
        let wrong =
            |problem: &str| DocumentError::new(["recipes".into(), nth.into()], written.display().to_string(), problem);
        let name = file.file_name().and_then(|name| name.to_str());
        let Some(id) = name.and_then(|name| name.strip_suffix(ENDING)).filter(|id| !id.is_empty()) else {
            known.errors.push(wrong("is not the name of a recipe's file, which ends with .yaml"));
            continue;
        };
        let recipe = match crate::text(&file) {
            Ok(text) => read_recipe(&text, &file),
            Err(report) if report.unreadable => {
                known.errors.extend(report.problems.iter().map(|problem| wrong(&problem.problem)));
                known.set.insert(id, None);
                continue;
            }
            Err(report) => Err(report),
        };
        let recipe = recipe.map_err(|report| known.problems.extend(report.problems)).ok().map(Arc::new);
        if !known.set.insert(id, recipe) {
            known.errors.push(wrong("is called as an earlier recipe is; rename one of them"));
        }
    }
    for (id, recipe) in READ.iter() {
        match recipe {
            Ok(recipe) => known.set.insert(id, Some(Arc::clone(recipe))),
            Err(report) => {
                known.problems.extend(report.problems.iter().cloned());
                known.set.insert(id, None)
            }
        };
    }
    known
}

pub(crate) struct Known {
    pub(crate) set: RecipeSet,
    /// Of the configuration.
    pub(crate) errors: Vec<DocumentError>,
    /// Of the recipes' files.
    pub(crate) problems: Vec<Problem>,
}
