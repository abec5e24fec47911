//! The steps of a guide, made ready for a page.

use super::client::{Client, InApp};
use super::drawings::Scene;
use crate::Lang;
use crate::words::Text;
use crate::words::enroll::{Guide, way_out};

/// One step: what to do, what to know, and what it looks like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) say: Text,
    pub(crate) note: Option<Text>,
    pub(crate) scene: Option<Scene>,
    /// Asks for the password: not there if the file has none.
    pub(crate) secret: bool,
}

impl Step {
    pub(crate) const fn drawn(say: Text, note: Option<Text>, scene: Scene) -> Self {
        Self { say, note, scene: Some(scene), secret: false }
    }

    pub(crate) const fn secret(say: Text, note: Option<Text>, scene: Scene) -> Self {
        Self { secret: true, ..Self::drawn(say, note, scene) }
    }

    pub(super) fn shown(&self, lang: Lang) -> Shown {
        Shown {
            say: self.say.get(lang),
            note: self.note.map(|note| note.get(lang)),
            drawing: self.scene.map(|scene| scene.svg(lang)),
        }
    }
}

/// A step in one language. The drawing is ours alone, so it is safe as it is.
pub(super) struct Shown {
    pub(super) say: &'static str,
    pub(super) note: Option<&'static str>,
    pub(super) drawing: Option<String>,
}

/// The steps of a guide, without those for a password if there is none.
pub(super) fn shown(guide: &Guide, password: bool, lang: Lang) -> Vec<Shown> {
    guide.steps.iter().filter(|step| password || !step.secret).map(|step| step.shown(lang)).collect()
}

/// How to get out of the window of an app.
pub(super) struct Out {
    pub(super) where_am_i: String,
    pub(super) what: &'static str,
    /// LINE opens the browser for a link that asks for it.
    pub(super) line: bool,
    pub(super) steps: Vec<Shown>,
}

impl Out {
    pub(super) fn of(client: &Client, lang: Lang) -> Option<Self> {
        use crate::words::enroll as words;
        let app = client.in_app?;
        let out = way_out(app, client.os);
        let where_am_i = match out.name {
            Some(name) => {
                format!("{}{}{}", words::IN_APP_BEFORE.get(lang), name.get(lang), words::IN_APP_AFTER.get(lang))
            }
            None => words::IN_APP_OTHER.get(lang).to_owned(),
        };
        let ios = client.os == Some(vocabulary::Os::Ios);
        Some(Self {
            where_am_i,
            what: if ios { words::IN_APP_IOS } else { words::IN_APP_WHAT }.get(lang),
            line: app == InApp::Line,
            steps: out.steps.iter().map(|step| step.shown(lang)).collect(),
        })
    }
}
