//! Roster files as facilities write them, and as nobody should.

use proptest::prelude::*;

use super::sheet::open_quotation;
use super::*;
use crate::scim::{Managed, ManagedBy};
use crate::{Identity, IdentityError, Person, Roster, Settings, Standing};
use store::Store;
use vocabulary::{Date, PersonId};

const JAPANESE: &str = "職員ID,氏名,フリガナ,メール,事業所,グループ,入職日,退職日,生年月日\r\n\
    0012,佐藤 花子,サトウ ハナコ,hanako@sakura.example,さくら訪問看護,staff、visiting-nurses,令和8年4月1日,,H2.1.1\r\n\
    0013,\"髙橋, 一郎\",タカハシ イチロウ,,,staff,2020/4/1,R8.10.31,\r\n";

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

const TODAY: &str = "2026-11-25";

fn id(text: &str) -> PersonId {
    PersonId::new(text).unwrap()
}

fn roster(people: &[Person]) -> Roster {
    Roster { people: people.iter().map(|p| (p.id.clone(), std::sync::Arc::new(p.clone()))).collect() }
}

fn between(people: &[Person], file: &str, missing: Missing) -> Difference {
    beside(people, &Managed::new(), file, missing).unwrap()
}

/// As [`between`], with people whom a provider manages.
fn beside(people: &[Person], managed: &Managed, file: &str, missing: Missing) -> Result<Difference, Vec<Problem>> {
    Difference::between(&roster(people), &read(file.as_bytes(), None).unwrap(), managed, missing, date(TODAY))
}

fn told(file: &str) -> Vec<String> {
    read(file.as_bytes(), None).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn a_japanese_file_is_read_in_each_of_its_encodings() {
    let plain = JAPANESE.as_bytes().to_vec();
    let marked = [b"\xef\xbb\xbf".as_slice(), &plain].concat();
    let (cp932, _, lossy) = encoding_rs::SHIFT_JIS.encode(JAPANESE);
    assert!(!lossy);
    for (bytes, encoding) in [(plain, Encoding::Utf8), (marked, Encoding::Utf8), (cp932.to_vec(), Encoding::Cp932)] {
        for said in [None, Some(encoding)] {
            let sheet = read(&bytes, said).unwrap();
            assert_eq!(sheet.encoding, encoding);
            assert_eq!(sheet.unused, ["生年月日"]);
            let [sato, takahashi] = sheet.rows.as_slice() else { panic!("{:?}", sheet.rows) };
            assert_eq!((sato.line, sato.id.as_str(), sato.name.as_str()), (2, "0012", "佐藤 花子"));
            assert_eq!(sato.groups.as_ref().unwrap().len(), 2);
            assert_eq!(sato.first_day, Some(Some(date("2026-04-01"))));
            assert_eq!(sato.last_day, Some(None));
            assert_eq!(takahashi.name, "髙橋, 一郎");
            assert_eq!(takahashi.last_day, Some(Some(date("2026-10-31"))));
            assert_eq!(takahashi.mail, Some(None));
        }
    }
}

#[test]
fn every_wrong_line_is_told_with_place_value_and_what_to_do() {
    let file = "id,氏名,メール,グループ,入職日,退職日\n\
        sato,佐藤,hanako,staff,2026-04-01,\n\
        ,田中,,,,\n\
        sa to,,,a b,4/1,R99.13.1\n\
        sato,佐藤,,,,\n\
        ito,伊藤,,,2026-04-01,2026-03-31\n\
        kato,加藤,\n";
    let told = told(file);
    let expected = [
        "line 2, column メール, \"hanako\": is not a mail address",
        "line 3, column id, \"\": is empty",
        "line 4, column id, \"sa to\": may hold only",
        "line 4, column 氏名, \"\": is empty",
        "line 4, column グループ, \"a b\": the group `a b` may hold only",
        "line 4, column 入職日, \"4/1\": is not a date; write 2026-04-01",
        "line 4, column 退職日, \"R99.13.1\": is not a date",
        "line 6, column 退職日, \"2026-03-31\": is before the first day",
        "line 7: has 3 cells where the first row has 6",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told}\n{expected}");
    }
}

#[test]
fn lines_are_counted_as_an_editor_counts_them() {
    for end in ["\n", "\r\n", "\r"] {
        let file = ["id,name", "", "a,\"\"", "b,\"x", "y\"", ",,", "c,\"\""].join(end);
        let lines: Vec<_> = read(file.as_bytes(), None).unwrap_err().iter().map(|p| p.line).collect();
        assert_eq!(lines, [3, 4, 7], "{end:?}");
    }
}

#[test]
fn one_row_per_person_and_one_column_per_thing() {
    let twice = told("id,name\nsato,佐藤\nＳａｔｏ,佐藤\n'sato,花子\n");
    assert_eq!(twice, ["line 4, column id, \"sato\": stands on line 2 already; one row per person"]);
    let heads = told("ID,職員ID,phone\n1,2,3\n");
    assert!(heads[0].contains("says the same as the column \"ID\""), "{heads:?}");
    assert!(heads[1].contains("`name` or `氏名`"), "{heads:?}");
}

#[test]
fn what_is_no_roster_is_told_and_not_guessed_at() {
    assert!(told("")[0].contains("is empty"));
    assert!(told("\n , ,\n")[0].contains("is empty"));
    assert!(read(b"\xff\xfei\0d\0", None).unwrap_err()[0].problem.contains("UTF-16"));
    let neither = read(b"id,name\n1,\xfd\xfd\n2,ok\n3,\xa0\xff\n", None).unwrap_err();
    assert_eq!(neither.iter().map(|p| p.line).collect::<Vec<_>>(), [2, 4]);
    let (cp932, _, _) = encoding_rs::SHIFT_JIS.encode(JAPANESE);
    let said = read(&cp932, Some(Encoding::Utf8)).unwrap_err();
    assert!(said[0].problem.contains("--encoding"), "{said:?}");
    let quote = told("id,name\nsato,\"佐藤\ntanaka,田中\nito,伊藤\n");
    assert!(quote.iter().any(|p| p.contains("quotation mark")), "{quote:?}");
    // The names of rare characters differ from computer to computer.
    assert!(told("id,name\nsato,\u{e000}\n")[0].contains("only the computer"));
}

#[test]
fn no_row_disappears_in_a_cell() {
    let open = told("id,name,memo\r\nsato,佐藤,x\r\nito,伊藤,\"3\" wide, \r\ntanaka,田中,\"a\"\"b\r\nkato,加藤,y\r\n");
    assert_eq!(open.len(), 1, "{open:?}");
    assert!(open[0].starts_with("line 4: a quotation mark opens here"), "{open:?}");
    // Two that were never meant swallow what is between them, in a column that nobody uses or at the end of one.
    for (file, place) in [
        ("id,name,memo\nsato,佐藤,\"x\nito,伊藤,y\"\nkato,加藤,\n", "line 2, column memo"),
        ("id,name,memo\nsato,佐藤,\"\nito,伊藤,y\"\nkato,加藤,\n", "line 2, column memo"),
        ("id,name,\nsato,佐藤,\"\nito,伊藤,y\"\nkato,加藤,\n", "line 2, column 3"),
        ("id,name,kana\nsato,佐藤,\"\nito,伊藤,y\"\nkato,加藤,\n", "line 2, column kana"),
        ("id,name,last_day\nsato,佐藤,\"\n\"\n", "line 2, column last_day"),
    ] {
        let told = told(file);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with(place) && told[0].contains("holds a line break"), "{told:?}");
    }
}

#[test]
fn a_column_that_is_not_there_says_nothing_and_an_empty_cell_takes_away() {
    let mut sato = Person::new(id("sato"), "佐藤");
    sato.mail = Some("s@sakura.example".into());
    sato.last_day = Some(date("2027-03-31"));
    sato.locked = true;
    let none = between(std::slice::from_ref(&sato), "id,name,mail\nsato,佐藤,s@sakura.example\n", Missing::Stay);
    assert!(none.is_empty() && none.unchanged == 1);
    let one = between(&[sato], "id,name,last_day\nsato,佐藤,\n", Missing::Stay);
    let fields = one.changed[0].fields();
    assert_eq!(fields.len(), 1);
    assert_eq!(
        (fields[0].field, fields[0].old.as_deref(), fields[0].new.as_deref()),
        ("last_day", Some("2027-03-31"), None)
    );
    assert!(one.changed[0].after.locked, "a file takes no lock away");
}

#[test]
fn a_last_day_before_the_known_first_day_is_told() {
    let mut sato = Person::new(id("sato"), "佐藤");
    sato.first_day = Some(date("2026-04-01"));
    let sheet = read("id,name,last_day\nsato,佐藤,2026-03-31\n".as_bytes(), None).unwrap();
    let told = Difference::between(&roster(&[sato]), &sheet, &Managed::new(), Missing::Stay, date(TODAY)).unwrap_err();
    assert_eq!(told[0].line, 2);
    assert!(told[0].problem.contains("before the first"), "{told:?}");
}

#[test]
fn who_is_missing_stays_unless_told_otherwise_and_is_never_deleted() {
    let people: Vec<_> = ["a", "b", "c"].map(|name| Person::new(id(name), name)).to_vec();
    let file = "id,name\na,a\nb,b\n";
    let stay = between(&people, file, Missing::Stay);
    assert!(stay.is_empty());
    assert_eq!(stay.missing.iter().map(|p| p.id.as_str()).collect::<Vec<_>>(), ["c"]);
    let retire = between(&people, file, Missing::Retire);
    assert_eq!(retire.retired[0].after.last_day, Some(date(TODAY)));
    assert!(retire.guards().is_empty(), "one of three may leave");
    let most = between(&people, "id,name\na,a\n", Missing::Retire);
    assert_eq!(most.guards(), [Guard::MostWouldLeave { leaving: 2, of: 3 }]);
    // Last days in the file itself count as well.
    let by_file = between(&people, "id,name,last_day\na,a,2026-01-01\nb,b,2026-01-01\n", Missing::Stay);
    assert_eq!(by_file.guards(), [Guard::MostWouldLeave { leaving: 2, of: 3 }]);
}

#[test]
fn who_was_yet_to_begin_and_is_missing_never_begins() {
    let mut new = Person::new(id("new"), "新人");
    new.first_day = Some(date("2027-04-01"));
    let difference = between(&[new], "id,name\nsato,佐藤\n", Missing::Retire);
    let after = &difference.retired[0].after;
    assert!(after.check().is_ok());
    for day in [TODAY, "2027-04-01"] {
        assert_eq!(after.standing(date(day)), Standing::Retired, "{day}");
    }
}

#[test]
fn who_left_does_not_come_back_unnoticed() {
    let mut left = Person::new(id("left"), "退職者");
    left.last_day = Some(date("2026-10-31"));
    let stale = between(std::slice::from_ref(&left), "id,name,last_day\nleft,退職者,\n", Missing::Stay);
    assert_eq!(stale.guards(), [Guard::WouldStay { back: vec![id("left")], longer: Vec::new() }]);
    let gone = between(&[left], "id,name\nsato,佐藤\n", Missing::Retire);
    assert_eq!((gone.left, gone.missing.len(), gone.retired.len()), (1, 0, 0));
}

#[test]
fn a_last_day_that_was_set_is_not_taken_away_or_moved_later_unnoticed() {
    let leaving = |name: &str, last: &str| Person { last_day: Some(date(last)), ..Person::new(id(name), name) };
    let people = [leaving("a", TODAY), leaving("b", "2027-03-31"), leaving("c", "2027-03-31"), leaving("d", TODAY)];
    let stale =
        between(&people, "id,name,last_day\na,a,\nb,b,2027-04-01\nc,c,2027-03-30\nd,D,2026-11-25\n", Missing::Stay);
    assert_eq!(stale.changed.len(), 4);
    assert_eq!(stale.guards(), [Guard::WouldStay { back: Vec::new(), longer: vec![id("a"), id("b")] }]);
    let silent = between(&people, "id,name\na,A\nb,B\n", Missing::Stay);
    assert!(silent.guards().is_empty(), "a file without that column says nothing of last days");
    // Who left stays away: another day of the past is a correction.
    let left = between(&[leaving("e", "2026-01-31")], "id,name,last_day\ne,e,2026-02-28\n", Missing::Stay);
    assert!(left.guards().is_empty());
}

#[test]
fn a_file_retires_nobody_whom_a_provider_manages_and_takes_no_group_that_one_gives() {
    let nurses = || "visiting-nurses".parse().unwrap();
    let sato = Person { groups: vec![nurses(), "staff".parse().unwrap()], ..Person::new(id("sato"), "佐藤") };
    let people = [sato, Person::new(id("ito"), "伊藤"), Person::new(id("kato"), "加藤")];
    let by = |groups| ManagedBy { provider: "entra".into(), groups };
    let managed = Managed::from([(id("sato"), by(vec![nurses()])), (id("ito"), by(Vec::new()))]);
    let beside = |file: &str| beside(&people, &managed, file, Missing::Retire);

    let missing = beside("id,name\nkato,加藤\n").unwrap();
    assert!(missing.retired.is_empty());
    assert_eq!(missing.missing.len(), 2);
    assert_eq!(missing.managed.keys().collect::<Vec<_>>(), [&id("ito"), &id("sato")]);

    let told = beside("id,name,groups\nito,伊藤,\nsato,佐藤,staff\n").unwrap_err();
    assert_eq!((told.len(), told[0].line), (1, 3));
    for word in ["visiting-nurses", "entra", "sekisho scim release sato"] {
        assert!(told[0].problem.contains(word), "{told:?}");
    }
    let kept = beside("id,name,groups\nsato,佐藤,visiting-nurses\n").unwrap();
    assert_eq!(kept.changed[0].after.groups, [nurses()], "what an operator gave goes");
    assert_eq!(kept.managed[&id("sato")].as_ref(), "entra");
    assert!(beside("id,name\nsato,佐藤\n").is_ok(), "a file without that column says nothing of groups");
}

#[test]
fn zeros_that_a_spreadsheet_took_away_are_noticed() {
    let known = [Person::new(id("0012"), "佐藤"), Person::new(id("0013"), "田中")];
    let difference = between(&known, "id,name\n12,佐藤\n99,新人\n", Missing::Stay);
    assert_eq!(difference.lost_zeros(), [(id("12"), id("0012"))]);
}

#[test]
fn a_difference_is_carried_out_as_a_whole_or_not_at_all() -> Result<(), IdentityError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    let identity = Identity::open(Store::open(&path)?, &Settings::default())?;
    identity.add(Person::new(id("0013"), "前の名"))?;
    let sheet = read(JAPANESE.as_bytes(), None).unwrap();
    let difference =
        Difference::between(&identity.roster(), &sheet, &Managed::new(), Missing::Stay, date(TODAY)).unwrap();
    identity.lock(&id("0013"))?;
    assert!(matches!(identity.import(&difference), Err(IdentityError::RosterChanged(_))));
    assert_eq!(identity.roster().len(), 1, "half of it was carried out");
    let difference =
        Difference::between(&identity.roster(), &sheet, &Managed::new(), Missing::Stay, date(TODAY)).unwrap();
    let generation = identity.generation();
    identity.import(&difference)?;
    assert_eq!(identity.generation(), generation + 1);
    let again = Identity::open(Store::open(&path)?, &Settings::default())?;
    for identity in [&identity, &again] {
        let roster = identity.roster();
        assert_eq!(roster.len(), 2);
        assert!(roster.get(&id("0013")).unwrap().locked);
        let nothing = Difference::between(&roster, &sheet, &Managed::new(), Missing::Stay, date(TODAY)).unwrap();
        assert!(nothing.is_empty() && nothing.unchanged == 2);
    }
    Ok(())
}

#[test]
fn no_spreadsheet_calculates_what_we_write() {
    let mut evil = Person::new(id("-1"), "=HYPERLINK(\"http://x\")");
    evil.facility = Some("'=1".into());
    evil.groups = vec!["@all".parse().unwrap(), "-b".parse().unwrap()];
    let written = write([&evil, &Person::new(id("0012"), "＋81")]);
    let lines: Vec<_> = written.lines().collect();
    assert_eq!(lines[1], "'-1,\"'=HYPERLINK(\"\"http://x\"\")\",,,''=1,'@all;-b,,");
    assert_eq!(lines[2], "'0012,'＋81,,,,,,");
    let rows = read(written.as_bytes(), None).unwrap().rows;
    assert_eq!(rows[0].over(None), evil);
    assert_eq!(rows[1].id.as_str(), "0012");
}

fn people() -> impl Strategy<Value = Person> {
    let text = || {
        prop::option::of(r#"[!-~ぁ-んァ-ヶ一-龠=+@'", -]{1,20}"#.prop_map(|t| t.trim().to_owned()).prop_filter(
        "somebody's words",
        |t| !t.is_empty(),
    ))
    };
    let day =
        || prop::option::of((2000i16..2100, 1i8..=12, 1i8..=28).prop_map(|(y, m, d)| Date::new(y, m, d).unwrap()));
    let id = prop_oneof!["[a-z0-9._@-]{1,12}", "[0-9]{1,20}", "[0-9][-.eE0-9]{1,6}", "[ぁ-ん]{1,4}"];
    let group = "[a-z@.-][a-z0-9-]{0,6}".prop_map(|name| name.parse().unwrap());
    (id, text(), text(), text(), prop::collection::btree_set(group, 0..4), (day(), day())).prop_map(
        |(id, name, kana, facility, groups, days)| {
            let mut person = Person::new(PersonId::new(id).unwrap(), name.unwrap_or_else(|| "名無し".to_owned()));
            (person.kana, person.facility) = (kana, facility);
            person.groups = groups.into_iter().collect();
            (person.first_day, person.last_day) = match days {
                (Some(a), Some(b)) => (Some(a.min(b)), Some(a.max(b))),
                days => days,
            };
            person
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(people in prop::collection::btree_map("[a-z]", people(), 0..8)) {
        let mut people: Vec<_> = people.into_values().collect();
        people.sort_by(|a, b| a.id.cmp(&b.id));
        people.dedup_by(|a, b| a.id == b.id);
        let sheet = read(write(&people).as_bytes(), None).unwrap();
        let read: Vec<_> = sheet.rows.iter().map(|row| row.over(None)).collect();
        prop_assert_eq!(read, people);
    }

    /// Where quotes end is for `csv` to say: a row after the text is a row of its own, or was swallowed.
    #[test]
    fn an_open_quotation_is_what_swallows_the_next_row(text in "[a,\"\r\n]{0,12}") {
        let whole = format!("{text}\nx,y\n");
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(whole.as_bytes());
        let last = reader.records().map(Result::unwrap).last().unwrap();
        prop_assert_eq!(open_quotation(&text).is_none(), last.iter().eq(["x", "y"]), "{:?}", last);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for said in [None, Some(Encoding::Utf8), Some(Encoding::Cp932)] {
            let with_head = [b"id,name,mail,groups,last_day\n".as_slice(), &bytes].concat();
            for bytes in [&bytes, &with_head] {
                let _ = read(bytes, said);
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(cells in prop::collection::vec("\\PC{0,12}|[令和平成昭RHS0-9年月日./-]{0,12}", 0..40)) {
        let rows: Vec<_> = cells.chunks(4).map(|row| row.join(",")).collect();
        let _ = read(format!("id,name,入職日,groups\n{}", rows.join("\n")).as_bytes(), None);
    }
}
