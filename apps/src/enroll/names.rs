//! What devices and profiles are called.

use vocabulary::Os;

use crate::Lang;

/// What people call a device of this system.
pub const fn device_word(os: Option<Os>) -> &'static str {
    match os {
        Some(Os::Ios) => "iPhone",
        Some(Os::Android) => "Android",
        Some(Os::Windows) => "Windows PC",
        Some(Os::Macos) => "Mac",
        Some(Os::Chromeos) => "Chromebook",
        Some(Os::Linux) => "Linux PC",
        None => "PC",
    }
}

/// Name and description of a profile, as the settings of an iPhone or a Mac show them.
pub const fn profile_words(lang: Lang) -> (&'static str, &'static str) {
    match lang {
        Lang::Ja => ("業務システム用の証明書", "この端末から業務システムを開くための証明書です。"),
        Lang::En => ("Certificate for work", "Lets this device open the systems of the facility."),
    }
}
