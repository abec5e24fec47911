use std::path::Path;

use identity::Person;
use identity::import;
use identity::scim::Filter;

/// A configuration names files, which are read. None that never ends.
fn names_devices(text: &str) -> bool {
    ["/dev", "/proc", "/sys", "\\"].iter().any(|way| text.contains(way))
}

pub fn configuration(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let file = Path::new("no-such-folder/sekisho.yaml");
    let problems = match config::read(text, file, None) {
        Ok(loaded) => loaded.warnings,
        Err(report) => {
            assert!(!report.problems.is_empty(), "refused without a word");
            let again = config::read(text, file, None).map(|_| ()).unwrap_err();
            assert_eq!(report, again, "told otherwise the second time");
            report.problems
        }
    };
    told(&problems, text, file);
}

pub fn recipe_file(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let file = Path::new("no-such-folder/care.yaml");
    match config::read_recipe(text, file) {
        // It means the same to every request, and has nothing to say of what it doesn't know.
        Ok(recipe) => assert!(recipe.operations().iter().all(|o| recipe.operation(&o.id).is_some()), "{recipe:?}"),
        Err(report) => {
            assert!(!report.problems.is_empty(), "refused without a word");
            told(&report.problems, text, file);
        }
    }
}

fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok().filter(|text| !names_devices(text) && text.len() <= 16 << 10)
}

/// Each problem has a place within the text, on one line and without a secret.
fn told(problems: &[config::Problem], text: &str, file: &Path) {
    let plain = text.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<&str> = plain.split('\n').collect();
    for problem in problems {
        assert_eq!(problem.file, file);
        let line = problem.line.checked_sub(1).and_then(|at| lines.get(at));
        let Some(line) = line else { panic!("line {} of {}: {problem:?}", problem.line, lines.len()) };
        // One past the end is where something is missing.
        let width = line.chars().count() + 1;
        assert!((1..=width).contains(&problem.column), "column {} of {width}: {problem:?}", problem.column);
        let told = problem.to_string();
        assert!(!told.chars().any(char::is_control), "{told:?}");
        if let Some(value) = &problem.value {
            assert!(value.chars().count() <= 100 && !value.chars().any(char::is_control), "{problem:?}");
            assert!(!value.contains("PRIVATE KEY"), "{problem:?}");
        }
    }
}

pub fn roster(data: &[u8]) {
    let lines = 2 + u64::try_from(data.iter().filter(|b| matches!(b, b'\n' | b'\r')).count()).unwrap();
    match import::read(data, None) {
        Ok(sheet) => {
            let ids: std::collections::BTreeSet<_> = sheet.rows.iter().map(|row| row.id.as_str()).collect();
            assert_eq!(ids.len(), sheet.rows.len(), "somebody stands there twice");
            for row in &sheet.rows {
                assert!((1..=lines).contains(&row.line), "line {} of {lines}", row.line);
            }
            // Written down as people and read again, it says the same.
            let people: Vec<Person> = sheet.rows.iter().map(person).collect();
            let written = import::write(&people);
            match import::read(written.as_bytes(), Some(import::Encoding::Utf8)) {
                Ok(again) => assert_eq!(again.rows.iter().map(person).collect::<Vec<_>>(), people, "{written:?}"),
                Err(problems) => panic!("{}: {written:?}", problems[0]),
            }
            assert_eq!(
                import::read(data, Some(sheet.encoding)).map(|again| again.rows),
                Ok(sheet.rows),
                "read as what it is"
            );
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a word");
            for problem in problems {
                assert!((1..=lines).contains(&problem.line), "line {} of {lines}: {problem}", problem.line);
                assert!(!problem.to_string().chars().any(char::is_control), "{problem:?}");
            }
        }
    }
}

/// Somebody new, as a row says.
fn person(row: &import::SheetRow) -> Person {
    let row = row.clone();
    let mut person = Person::new(row.id, row.name);
    person.kana = row.kana.flatten();
    person.mail = row.mail.flatten();
    person.facility = row.facility.flatten();
    person.groups = row.groups.unwrap_or_default();
    person.first_day = row.first_day.flatten();
    person.last_day = row.last_day.flatten();
    person
}

pub fn scim_filter(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Filter::parse(text) {
        Ok(filter) => {
            let written = filter.to_string();
            // The last bit of a fraction is not read exactly (serde_json, `float_roundtrip`).
            let inexact = written
                .split([' ', '(', ')', '[', ']'])
                .any(|word| word.parse::<f64>().is_ok_and(|number| number.fract() != 0.0 || number.abs() > 9e15));
            match Filter::parse(&written) {
                Ok(_) if inexact => {}
                Ok(again) => assert_eq!(again, filter, "{written:?}"),
                // Written out it may be longer than a filter can be.
                Err(error) => assert!(written.len() > 4096, "{written:?}: {error:?}"),
            }
        }
        Err(error) => assert!((1..=text.len() + 1).contains(&error.at), "{error:?}"),
    }
}
