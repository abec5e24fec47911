//! 利用者台帳: list, record, edit, delete, care notes, CSV and JSON.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::{Form, Json};
use http::{HeaderValue, StatusCode, header};
use jiff::civil::Date;
use serde::Deserialize;

use crate::accounts::SignedIn;
use crate::pages::{self, Page};
use crate::records::{Note, Resident};
use crate::state::App;
use crate::wall_clock;

const CARE_LEVELS: [&str; 7] = ["要支援1", "要支援2", "要介護1", "要介護2", "要介護3", "要介護4", "要介護5"];
const NOTE_KINDS: [&str; 9] = ["バイタル", "食事", "入浴", "排泄", "服薬", "処置", "リハビリ", "活動", "様子"];
/// Characters of a field; longer input is refused.
const LONGEST: usize = 2_000;

#[derive(Template)]
#[template(path = "residents.html")]
struct List {
    page: Page,
    residents: Vec<Resident>,
    q: String,
    floor: String,
}

#[derive(Template)]
#[template(path = "resident.html")]
struct Detail {
    page: Page,
    resident: Resident,
    notes: Vec<Note>,
    kinds: &'static [&'static str],
    may_delete: bool,
}

#[derive(Template)]
#[template(path = "resident_form.html")]
struct Editor {
    page: Page,
    /// Where the form goes and where cancelling leads.
    action: String,
    back: String,
    form: Fields,
    levels: &'static [&'static str],
    problem: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "resident_delete.html")]
struct Confirm {
    page: Page,
    resident: Resident,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Filter {
    q: String,
    floor: String,
    done: String,
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    SignedIn(account): SignedIn,
    Query(filter): Query<Filter>,
) -> Response {
    let residents = app.records.find(&filter.q, &filter.floor);
    let page = Page::new(&app, Some(account), "利用者台帳", "residents").done(&filter.done);
    pages::show(StatusCode::OK, &List { page, residents, q: filter.q, floor: filter.floor })
}

pub(crate) async fn json(State(app): State<Arc<App>>, _: SignedIn, Query(filter): Query<Filter>) -> Response {
    let residents: Vec<_> = app
        .records
        .find(&filter.q, &filter.floor)
        .iter()
        .map(|each| serde_json::json!({ "id": each.id, "name": each.name, "room": each.room, "care_level": each.care_level }))
        .collect();
    Json(residents).into_response()
}

/// The whole list as CSV for Excel: UTF-8 with BOM, CRLF, cells that would be formulas escaped.
pub(crate) async fn export(State(app): State<Arc<App>>, _: SignedIn, Query(filter): Query<Filter>) -> Response {
    let mut csv = "\u{feff}利用者番号,氏名,ふりがな,性別,生年月日,居室,要介護度,入居日,キーパーソン,電話番号,既往歴,アレルギー\r\n"
        .to_owned();
    for each in app.records.find(&filter.q, &filter.floor) {
        let (id, birth, moved_in) = (each.id.to_string(), each.birth.to_string(), each.moved_in.to_string());
        let cells = [
            &id,
            &each.name,
            &each.kana,
            &each.sex,
            &birth,
            &each.room,
            &each.care_level,
            &moved_in,
            &each.key_person,
            &each.phone,
            &each.conditions,
            &each.allergy,
        ];
        csv.push_str(&cells.map(|text| cell(text)).join(","));
        csv.push_str("\r\n");
    }
    let name = format!("利用者一覧_{}.csv", wall_clock::today().strftime("%Y%m%d"));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8")),
        (header::CONTENT_DISPOSITION, pages::disposition("attachment", &name)),
    ];
    (headers, csv).into_response()
}

fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

pub(crate) async fn detail(
    State(app): State<Arc<App>>,
    SignedIn(account): SignedIn,
    Path(id): Path<u32>,
    Query(filter): Query<Filter>,
) -> Response {
    let Some(resident) = app.records.get(id) else {
        return pages::missing(&app, Some(account));
    };
    let page = Page::new(&app, Some(account), &format!("{} 様", resident.name), "residents").done(&filter.done);
    let notes = app.records.notes_of(id);
    let may_delete = account.may_delete();
    pages::show(StatusCode::OK, &Detail { page, resident, notes, kinds: &NOTE_KINDS, may_delete })
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Fields {
    name: String,
    kana: String,
    sex: String,
    birth: String,
    room: String,
    care_level: String,
    key_person: String,
    phone: String,
    conditions: String,
    allergy: String,
    meal: String,
    mobility: String,
    plan: String,
}

impl Fields {
    fn of(resident: &Resident) -> Self {
        let Resident { name, kana, sex, room, care_level, key_person, phone, .. } = resident.clone();
        let Resident { conditions, allergy, meal, mobility, plan, birth, .. } = resident.clone();
        let birth = birth.to_string();
        Self { name, kana, sex, birth, room, care_level, key_person, phone, conditions, allergy, meal, mobility, plan }
    }

    /// The date of birth, if everything can be kept; else what to say.
    fn check(&self) -> Result<Date, &'static str> {
        let all = [
            &self.name,
            &self.kana,
            &self.sex,
            &self.room,
            &self.key_person,
            &self.phone,
            &self.conditions,
            &self.allergy,
            &self.meal,
            &self.mobility,
            &self.plan,
        ];
        if self.name.trim().is_empty() || self.room.trim().is_empty() {
            return Err("氏名と居室を入力してください。");
        }
        if all.iter().any(|field| field.chars().count() > LONGEST) {
            return Err("入力が長すぎます。各項目は2,000文字までです。");
        }
        if !CARE_LEVELS.contains(&self.care_level.as_str()) {
            return Err("要介護度を選んでください。");
        }
        self.birth.parse().map_err(|_| "生年月日を入力してください。")
    }

    fn write(self, birth: Date, by: &str, resident: &mut Resident) {
        *resident = Resident {
            id: resident.id,
            moved_in: resident.moved_in,
            name: self.name,
            kana: self.kana,
            sex: self.sex,
            birth,
            room: self.room,
            care_level: self.care_level,
            key_person: self.key_person,
            phone: self.phone,
            conditions: self.conditions,
            allergy: self.allergy,
            meal: self.meal,
            mobility: self.mobility,
            plan: self.plan,
            changed: Some((by.to_owned(), wall_clock::now())),
        };
    }
}

fn editor(app: &App, account: SignedIn, id: Option<u32>, form: Fields, problem: Option<&'static str>) -> Response {
    let title = if id.is_some() { "記録の編集" } else { "利用者の新規登録" };
    let action = id.map_or_else(|| "/residents".to_owned(), |id| format!("/residents/{id}"));
    let page = Page::new(app, Some(account.0), title, "residents");
    let status = if problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    pages::show(status, &Editor { page, back: action.clone(), action, form, levels: &CARE_LEVELS, problem })
}

pub(crate) async fn edit(State(app): State<Arc<App>>, account: SignedIn, Path(id): Path<u32>) -> Response {
    match app.records.get(id) {
        Some(resident) => editor(&app, account, Some(id), Fields::of(&resident), None),
        None => pages::missing(&app, Some(account.0)),
    }
}

pub(crate) async fn blank(State(app): State<Arc<App>>, account: SignedIn) -> Response {
    let form = Fields { sex: "女".to_owned(), care_level: "要介護1".to_owned(), ..Fields::default() };
    editor(&app, account, None, form, None)
}

pub(crate) async fn update(
    State(app): State<Arc<App>>,
    account: SignedIn,
    Path(id): Path<u32>,
    Form(form): Form<Fields>,
) -> Response {
    let birth = match form.check() {
        Ok(birth) => birth,
        Err(problem) => return editor(&app, account, Some(id), form, Some(problem)),
    };
    if app.records.change(id, |resident| form.write(birth, account.0.name, resident)) {
        pages::see_other(&app.site, &format!("/residents/{id}?done=saved"))
    } else {
        pages::missing(&app, Some(account.0))
    }
}

pub(crate) async fn create(State(app): State<Arc<App>>, account: SignedIn, Form(form): Form<Fields>) -> Response {
    let birth = match form.check() {
        Ok(birth) => birth,
        Err(problem) => return editor(&app, account, None, form, Some(problem)),
    };
    let empty = String::new;
    let mut resident = Resident {
        id: 0,
        name: empty(),
        kana: empty(),
        sex: empty(),
        birth,
        room: empty(),
        care_level: empty(),
        moved_in: wall_clock::today(),
        key_person: empty(),
        phone: empty(),
        conditions: empty(),
        allergy: empty(),
        meal: empty(),
        mobility: empty(),
        plan: empty(),
        changed: None,
    };
    form.write(birth, account.0.name, &mut resident);
    match app.records.add(resident) {
        Some(id) => pages::see_other(&app.site, &format!("/residents/{id}?done=created")),
        None => editor(&app, account, None, Fields::default(), Some("登録できる人数を超えています。")),
    }
}

pub(crate) async fn confirm(State(app): State<Arc<App>>, SignedIn(account): SignedIn, Path(id): Path<u32>) -> Response {
    if !account.may_delete() {
        return pages::forbidden(&app, account);
    }
    match app.records.get(id) {
        Some(resident) => {
            let page = Page::new(&app, Some(account), "記録の削除", "residents");
            pages::show(StatusCode::OK, &Confirm { page, resident })
        }
        None => pages::missing(&app, Some(account)),
    }
}

pub(crate) async fn delete(State(app): State<Arc<App>>, SignedIn(account): SignedIn, Path(id): Path<u32>) -> Response {
    if !account.may_delete() {
        return pages::forbidden(&app, account);
    }
    if app.records.remove(id) {
        pages::see_other(&app.site, "/residents?done=deleted")
    } else {
        pages::missing(&app, Some(account))
    }
}

#[derive(Deserialize)]
pub(crate) struct NewNote {
    kind: String,
    text: String,
}

pub(crate) async fn add_note(
    State(app): State<Arc<App>>,
    SignedIn(account): SignedIn,
    Path(id): Path<u32>,
    Form(form): Form<NewNote>,
) -> Response {
    let text = form.text.trim();
    if text.is_empty() || text.chars().count() > LONGEST || !NOTE_KINDS.contains(&form.kind.as_str()) {
        let reason = "記録の種類を選び、1〜2,000文字で入力してください。";
        return pages::message(&app, Some(account), StatusCode::UNPROCESSABLE_ENTITY, "記録できませんでした", reason);
    }
    let note = Note {
        resident: id,
        at: wall_clock::now(),
        author: account.name.to_owned(),
        kind: form.kind,
        text: text.to_owned(),
    };
    if app.records.note(note) {
        pages::see_other(&app.site, &format!("/residents/{id}?done=noted"))
    } else {
        pages::missing(&app, Some(account))
    }
}

#[cfg(test)]
mod tests {
    use super::cell;
    use proptest::prelude::*;

    #[test]
    fn a_cell_is_never_a_formula() {
        assert_eq!(cell("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
        assert_eq!(cell("山田 花子"), "山田 花子");
        assert_eq!(cell("a,b"), "\"a,b\"");
    }

    proptest! {
        #[test]
        fn a_cell_keeps_its_row(text in "\\PC*") {
            let cell = cell(&text);
            let quoted = cell.starts_with('"');
            prop_assert_eq!(quoted, cell.contains([',', '"', '\n', '\r']));
            prop_assert!(!quoted || cell.matches('"').count().is_multiple_of(2));
        }
    }
}
