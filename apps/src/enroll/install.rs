//! The file, its password, and the steps of one system.

use askama::Template;
use vocabulary::Os;

use super::client::{Browser, Client};
use super::guide::{Out, Shown, shown};
use super::pages::Visit;
use super::script;
use crate::notice::rendered;
use crate::page::{Page, STYLE};
use crate::words::enroll::{self as text, Guide};
use crate::{Lang, words};

/// What there is to install. The links are of the same host.
#[derive(Clone, Copy)]
pub struct Install<'a> {
    pub os: Os,
    /// Apple: the profile by which the device makes its own key. It comes first if it is there.
    pub profile_acme: Option<&'a str>,
    /// Apple: the profile with the PKCS#12 file.
    pub profile: Option<&'a str>,
    /// The PKCS#12 file.
    pub p12: Option<&'a str>,
    /// Of the PKCS#12 file, in a profile or not.
    pub password: Option<&'a str>,
    /// Where to look whether the certificate works.
    pub check: &'a str,
    /// Until when the file can be fetched again.
    pub until: &'a str,
    /// Of the device.
    pub name: &'a str,
}

/// Shows neither links nor password.
impl std::fmt::Debug for Install<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Install").field("os", &self.os).field("name", &self.name).finish_non_exhaustive()
    }
}

/// Another file, for when the first way fails.
struct Spare<'a> {
    link: &'a str,
    password: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "enroll_install.html")]
struct InstallTemplate<'a> {
    lang: Lang,
    style: &'static str,
    script: &'static str,
    visit: &'a Visit<'a>,
    install: &'a Install<'a>,
    system: &'static str,
    out: Option<Out>,
    is_profile: bool,
    link: Option<&'a str>,
    /// Of the first way.
    password: Option<&'a str>,
    steps: Vec<Shown>,
    asked: Option<Shown>,
    troubles: Vec<&'static str>,
    spare: Option<Spare<'a>>,
    /// The plain file, beside a profile on a computer.
    file: Option<&'a str>,
    firefox: Option<Vec<Shown>>,
    others: Vec<(&'static str, &'static str)>,
}

/// The file, the password apart from it, this system's steps with a drawing of each, and the way to look whether it
/// worked.
pub fn install_page(visit: &Visit<'_>, install: &Install<'_>) -> Page {
    let (lang, os) = (visit.lang, install.os);
    let apple = matches!(os, Os::Ios | Os::Macos);
    let profile = install.profile_acme.or(install.profile).filter(|_| apple);
    let link = profile.or(install.p12);
    let by_acme = apple && install.profile_acme.is_some();
    let password = install.password.filter(|_| !by_acme);
    let firefox_first = visit.client.browser == Browser::Firefox && os == Os::Linux;
    let guide = if firefox_first { &text::FIREFOX } else { guide(os, profile.is_some()) };
    let spare = install.profile.or(install.p12).filter(|_| by_acme);
    let troubles = guide.troubles.iter().chain(password.map(|_| &text::WRONG_PASSWORD));
    let template = InstallTemplate {
        lang,
        style: STYLE,
        script: &script::ELEMENT,
        visit,
        install,
        system: text::os(os).get(lang),
        out: Out::of(visit.client, lang),
        is_profile: profile.is_some(),
        link,
        password,
        steps: shown(guide, password.is_some(), lang),
        asked: guide.asked.map(|step| step.shown(lang)),
        troubles: troubles.map(|trouble| trouble.get(lang)).collect(),
        spare: spare.map(|link| Spare { link, password: install.password }),
        file: install.p12.filter(|file| os == Os::Macos && Some(*file) != link && spare != Some(*file)),
        firefox: wants_firefox(os, visit.client)
            .then(|| shown(&text::FIREFOX, install.password.is_some(), lang))
            .filter(|_| install.p12.is_some() && !firefox_first),
        others: systems(lang).into_iter().filter(|(word, _)| *word != os.as_str()).collect(),
    };
    rendered(&template, 200, lang).with_quiet_script()
}

fn guide(os: Os, profile: bool) -> &'static Guide {
    match os {
        Os::Ios => &text::IOS_PROFILE,
        Os::Android => &text::ANDROID,
        Os::Windows => &text::WINDOWS,
        Os::Macos if profile => &text::MACOS_PROFILE,
        Os::Macos => &text::MACOS_FILE,
        Os::Chromeos => &text::CHROMEOS,
        Os::Linux => &text::LINUX,
    }
}

/// Firefox's own steps are told to who uses it, and on Linux, where it is what people have, to everybody.
fn wants_firefox(os: Os, client: &Client) -> bool {
    match os {
        Os::Windows | Os::Macos => client.browser == Browser::Firefox,
        Os::Linux => true,
        Os::Ios | Os::Android | Os::Chromeos => false,
    }
}

/// The word of each system for `?os=…`, and its name.
fn systems(lang: Lang) -> Vec<(&'static str, &'static str)> {
    Os::ALL.iter().map(|os| (os.as_str(), text::os(*os).get(lang))).collect()
}

#[derive(Template)]
#[template(path = "enroll_choose.html")]
struct Choose<'a> {
    lang: Lang,
    style: &'static str,
    visit: &'a Visit<'a>,
    systems: Vec<(&'static str, &'static str)>,
}

/// Where the system can't be told: choose it. Leads to `?os=…` at the page's own address, with the words of [`Os`].
pub fn choose_os_page(visit: &Visit<'_>) -> Page {
    let template = Choose { lang: visit.lang, style: STYLE, visit, systems: systems(visit.lang) };
    rendered(&template, 200, visit.lang)
}
