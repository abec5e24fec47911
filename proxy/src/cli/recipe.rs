//! `sekisho recipe`: what is known of the SaaS behind the apps, and files that say so.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};
use saas::Recipe;
use vocabulary::AppId;

use super::operations::{self, CoverageArgs};
use super::{ConfigFile, NO, complain, say, settings, table};

#[derive(Debug, Subcommand)]
pub(crate) enum RecipeCommand {
    /// Which app goes by which recipe, and how far that can be trusted
    List(ListArgs),
    /// What the recipe of an app knows, and what it does not
    Show(ShowArgs),
    /// Check files with recipes: every error at once, then the tests that stand in them
    Check(CheckArgs),
    /// Print the JSON Schema of recipes
    Schema,
    /// How many of an app's requests its recipe names, and the most frequent ones that it does not
    Coverage(CoverageArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    file: ConfigFile,
    app: AppId,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

pub(crate) fn run(command: &RecipeCommand) -> anyhow::Result<ExitCode> {
    match command {
        RecipeCommand::List(args) => list(args),
        RecipeCommand::Show(args) => show(args),
        RecipeCommand::Check(args) => check(args),
        RecipeCommand::Coverage(args) => operations::coverage(args),
        RecipeCommand::Schema => {
            say(serde_json::to_string_pretty(&config::recipe_schema())?);
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn list(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let settings = settings(&args.file.config)?.settings;
    let rows = settings.apps.iter().map(|app| match &app.saas.recipe {
        None => [app.saas.id.as_str(), "-", "", "", ""].map(str::to_owned).to_vec(),
        Some(recipe) => {
            let operations = recipe.operations().len().to_string();
            let words = [app.saas.id.as_str(), recipe.id(), &recipe.title().en, &trust(recipe), &operations];
            words.map(str::to_owned).to_vec()
        }
    });
    table(&["APP", "RECIPE", "TITLE", "TRUST", "OPERATIONS"], &rows.collect::<Vec<_>>());
    Ok(ExitCode::SUCCESS)
}

/// `reported, 2026-11`
fn trust(recipe: &Recipe) -> String {
    let confidence = recipe.confidence();
    let level = serde_json::to_value(confidence.level).ok();
    format!("{}, {}", level.as_ref().and_then(|level| level.as_str()).unwrap_or("-"), confidence.as_of)
}

fn show(args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let settings = settings(&args.file.config)?.settings;
    let Some(app) = settings.apps.iter().find(|app| app.saas.id == args.app) else {
        let known: Vec<String> = settings.apps.iter().map(|app| app.saas.id.to_string()).collect();
        bail!("`{}` is not an app{}", args.app, config::did_you_mean(args.app.as_str(), &known));
    };
    let Some(recipe) = &app.saas.recipe else {
        complain(format_args!("{} has no recipe, so nothing is known of its logins and screens.", args.app));
        return Ok(ExitCode::from(NO));
    };
    let confidence = recipe.confidence();
    let title = recipe.title();
    say(format_args!("{}: {} / {}", recipe.id(), title.ja, title.en));
    say(format_args!("trust:   {}", trust(recipe)));
    say(format_args!("known:   {}", confidence.known.trim_end()));
    say(format_args!("unknown: {}", confidence.unknown.trim_end()));
    say(format_args!("terms:   {}", confidence.terms.trim_end()));
    say(format_args!("logins:  {}", if recipe.knows_logins() { "recognised" } else { "not recognised" }));
    let rows = recipe.operations().iter().map(|operation| {
        let output = match operation.output {
            Some(saas::Output::Export) => "export",
            Some(saas::Output::Print) => "print",
            None => "",
        };
        [&*operation.id, operation.action.as_str(), output, &operation.name.ja, &operation.name.en]
            .map(str::to_owned)
            .to_vec()
    });
    table(&["OPERATION", "ACTION", "OUTPUT", "名称", "NAME"], &rows.collect::<Vec<_>>());
    Ok(ExitCode::SUCCESS)
}

fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let mut failed = false;
    for file in &args.files {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                complain(format_args!("{} can't be read: {error}", file.display()));
                failed = true;
                continue;
            }
        };
        match config::read_recipe(&text, file) {
            Ok(recipe) => say(format_args!(
                "{}: valid ({} operation(s), logins {}; {})",
                file.display(),
                recipe.operations().len(),
                if recipe.knows_logins() { "recognised" } else { "not recognised" },
                trust(&recipe),
            )),
            Err(report) => {
                complain(format_args!("{report}"));
                failed = true;
            }
        }
    }
    Ok(if failed { ExitCode::from(NO) } else { ExitCode::SUCCESS })
}
