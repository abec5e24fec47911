//! What the apps' recipes call things.

use apps::{Lang, words};
use config::Settings;

/// Looks names up in the recipes of the configuration.
#[derive(Clone, Copy)]
pub(super) struct Recipes<'s>(&'s Settings);

impl<'s> Recipes<'s> {
    pub(super) fn of(settings: &'s Settings) -> Self {
        Self(settings)
    }

    /// Name of an operation of the app, and whether the app has a recipe that names any.
    fn look_up(self, app: &str, operation: Option<&str>, lang: Lang) -> (bool, Option<String>) {
        let app = self.0.apps.iter().find(|known| known.saas.id.as_str() == app);
        let recipe = app.and_then(|app| app.saas.recipe.as_ref()).filter(|recipe| !recipe.operations().is_empty());
        let named = recipe.zip(operation).and_then(|(recipe, operation)| recipe.operation(operation));
        let name = named.map(|operation| match lang {
            Lang::Ja => operation.name.ja.clone(),
            Lang::En => operation.name.en.clone(),
        });
        (recipe.is_some(), name)
    }

    /// What was done, for people: the operation's name, its id where the recipe of today has no name for it, and for a
    /// request of an app with a recipe that nobody named, that it can't be told.
    pub(super) fn operation(self, app: Option<&str>, operation: Option<&str>, lang: Lang) -> String {
        let (has_recipe, name) = app.map(|app| self.look_up(app, operation, lang)).unwrap_or_default();
        match (operation, name) {
            (Some(_), Some(name)) => name,
            (Some("login"), None) => words::SAAS_LOGIN.get(lang).to_owned(),
            (Some("logout"), None) => words::SAAS_LOGOUT.get(lang).to_owned(),
            (Some(id), None) => id.to_owned(),
            (None, _) if has_recipe => words::NOT_IDENTIFIED.get(lang).to_owned(),
            (None, _) => String::new(),
        }
    }
}
