//! What operators read for a wrong configuration, and that the shipped ones are right.
//!
//! Each `golden/*.yaml` is wrong in its own way, and `golden/*.txt` holds the report word by word; so is each recipe of
//! `golden/recipes`. After a wanted change, run with `SEKISHO_BLESS=1` and read the difference.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what helps a test may panic as the test may")]

use std::fs;
use std::path::{Path, PathBuf};

use sekisho_config as config;

fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = all.filter(|path| path.extension().is_some_and(|e| e == ending)).collect();
    files.sort();
    files
}

#[test]
fn every_wrong_configuration_is_told_word_by_word() {
    told_word_by_word("tests/golden", |text, file| config::read(text, file, None).unwrap_err());
}

#[test]
fn every_wrong_recipe_is_told_word_by_word() {
    told_word_by_word("tests/golden/recipes", |text, file| config::read_recipe(text, file).unwrap_err());
}

fn told_word_by_word(folder: &str, read: impl Fn(&str, &Path) -> config::Report) {
    let wrong = files(folder, "yaml");
    assert!(wrong.len() >= 10);
    for path in wrong {
        let text = fs::read_to_string(&path).unwrap();
        // As seen from the package's folder, where cargo runs tests: the report is the same on every machine.
        let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap();
        let report = read(&text, name);
        assert!(report.problems.iter().all(|p| p.line > 0 && p.column > 0), "{report}");
        let told = format!("{report}\n");
        assert!(!told.contains("hunter2"), "{told}");
        let golden = path.with_extension("txt");
        if std::env::var_os("SEKISHO_BLESS").is_some() {
            fs::write(&golden, &told).unwrap();
        }
        assert_eq!(told, fs::read_to_string(&golden).unwrap_or_default(), "{}", path.display());
    }
}

#[test]
fn every_shipped_configuration_loads_without_a_warning() {
    let examples = files("examples", "yaml");
    assert!(examples.len() >= 3);
    for path in examples {
        match config::load(&path) {
            Ok(loaded) => assert_eq!(loaded.warnings, [], "{}", path.display()),
            Err(report) => panic!("{report}"),
        }
    }
}

#[test]
fn every_recipe_of_this_project_is_right_and_passes_its_own_tests() {
    let recipes = [files("recipes", "yaml"), files("../tests/fixtures/recipes", "yaml")].concat();
    assert!(recipes.len() >= 6);
    for path in recipes {
        let text = fs::read_to_string(&path).unwrap();
        if let Err(report) = config::read_recipe(&text, &path) {
            panic!("{report}");
        }
    }
}

#[test]
fn the_recipe_that_explains_recipes_is_right_and_goes_wrong_as_it_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes/README.md");
    let page = fs::read_to_string(page).unwrap();
    let recipe =
        page.split("```yaml\n").find(|block| block.starts_with("recipe:")).unwrap().split("```").next().unwrap();
    let file = Path::new("recipes/care.yaml");
    if let Err(report) = config::read_recipe(recipe, file) {
        panic!("{report}");
    }
    for (right, wrong) in [("id: [{ form: user }]", "id: [{ form: passwd }]"), ("{ id: sato,", "{ id: suzuki,")] {
        assert!(recipe.contains(right));
        let report = config::read_recipe(&recipe.replace(right, wrong), file).unwrap_err();
        assert!(page.contains(&format!("\n{report}\n")), "{report}");
    }
}

#[test]
fn the_published_schemas_are_those_that_are_checked_against() {
    for (file, schema) in [("schema.json", config::schema()), ("recipe-schema.json", config::recipe_schema())] {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let schema = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
        if std::env::var_os("SEKISHO_BLESS").is_some() {
            fs::write(&golden, &schema).unwrap();
        }
        assert!(
            schema == fs::read_to_string(&golden).unwrap_or_default(),
            "{file}: run with SEKISHO_BLESS=1 and read the difference"
        );
    }
}
