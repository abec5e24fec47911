//! The columns of a roster file, by their names in English and Japanese.

use super::cell::{half_width, unguarded};

/// A column that means something to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Column {
    Id,
    Name,
    Kana,
    Mail,
    Facility,
    Groups,
    FirstDay,
    LastDay,
}

impl Column {
    pub(super) const ALL: [Self; 8] =
        [Self::Id, Self::Name, Self::Kana, Self::Mail, Self::Facility, Self::Groups, Self::FirstDay, Self::LastDay];

    /// The word that stands in files we write, and in records of what was changed.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Name => "name",
            Self::Kana => "kana",
            Self::Mail => "mail",
            Self::Facility => "facility",
            Self::Groups => "groups",
            Self::FirstDay => "first_day",
            Self::LastDay => "last_day",
        }
    }

    /// What such a column is called, in lower case and half width, without spaces.
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Id => &["id", "職員id", "職員番号", "社員番号", "ログインid", "staff_id", "staffid"],
            Self::Name => &["name", "氏名", "名前", "職員名"],
            Self::Kana => &["kana", "フリガナ", "ふりがな", "カナ", "氏名カナ", "氏名(カナ)"],
            Self::Mail => &["mail", "email", "e-mail", "メール", "メールアドレス"],
            Self::Facility => &["facility", "事業所", "事業所名", "施設", "施設名"],
            Self::Groups => &["groups", "group", "グループ"],
            Self::FirstDay => &["first_day", "firstday", "入職日", "入社日"],
            Self::LastDay => &["last_day", "lastday", "退職日", "退社日"],
        }
    }

    pub(super) fn named(head: &str) -> Option<Self> {
        let head: String = half_width(unguarded(head)).chars().filter(|c| !c.is_whitespace()).collect();
        let head = head.to_lowercase();
        Self::ALL.into_iter().find(|column| column.names().contains(&head.as_str()))
    }
}
