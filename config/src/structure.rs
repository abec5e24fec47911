//! The tree of a file against the JSON Schema of its document types: every key, type and enumerated value.
//!
//! The schema is made from the same types that are read afterwards, so this finds nothing that reading would not
//! refuse; but it finds all of it, each with its place. It knows the part of JSON Schema 2020-12 that schemars
//! writes. Complained-about nodes are dropped from the tree; numbers where text is wanted become the text as
//! written, so that staff number 0123 needs no quotes.

use serde_json::Value;
use vocabulary::{DocumentError, PathStep};

use crate::nearest::nearest;
use crate::yaml::{Data, Entry, Finding, Node};

/// Checks all of `root` against `schema`, the root of a JSON Schema.
pub(crate) fn check(root: &mut Node, schema: &Value) -> Vec<Finding> {
    let mut check = Check { schema, path: Vec::new(), findings: Vec::new() };
    check.node(root, schema);
    check.findings
}

struct Check<'s> {
    /// What `$ref` counts from.
    schema: &'s Value,
    path: Vec<PathStep>,
    findings: Vec<Finding>,
}

impl<'s> Check<'s> {
    fn node(&mut self, node: &mut Node, schema: &'s Value) {
        if node.dropped {
            return;
        }
        if let Some(to) = schema.get("$ref").and_then(Value::as_str) {
            // Anything else than a pointer into this schema is never written by schemars.
            if let Some(definition) = to.strip_prefix('#').and_then(|pointer| self.schema.pointer(pointer)) {
                self.node(node, definition);
            }
        }
        for part in list(schema, "allOf") {
            self.node(node, part);
        }
        for keyword in ["anyOf", "oneOf"] {
            let alternatives: Vec<&Value> = list(schema, keyword).collect();
            if !alternatives.is_empty() {
                self.one_of(node, &alternatives);
            }
        }
        if node.dropped || !self.is_of_type(node, schema) {
            return;
        }
        self.value(node, schema);
        if node.dropped {
            return;
        }
        match node.data {
            Data::List(_) => self.items(node, schema),
            Data::Map(_) => self.entries(node, schema),
            _ => {}
        }
    }

    /// The alternatives that schemars writes: an optional type, words with a description each, types told apart by
    /// their kind or by a key.
    fn one_of(&mut self, node: &mut Node, alternatives: &[&'s Value]) {
        let words: Vec<String> = alternatives.iter().flat_map(|a| words(a)).collect();
        if !words.is_empty() && alternatives.iter().all(|a| !self::words(a).is_empty() || is_null(a)) {
            if !matches!(node.data, Data::Null) || !alternatives.iter().any(|a| is_null(a)) {
                self.word(node, words);
            }
            return;
        }
        if matches!(node.data, Data::Null) && alternatives.iter().any(|a| is_null(a)) {
            return;
        }
        // The first under which it is right; else the one that it was meant for by its kind, under which the least is
        // wrong.
        let depth = self.path.len();
        let rank = |found: &[Finding]| (found.iter().any(|finding| finding.error.path.len() == depth), found.len());
        let mut best: Option<(Vec<Finding>, Node)> = None;
        for alternative in alternatives.iter().filter(|a| !is_null(a)) {
            let mut tried = node.clone();
            let before = self.findings.len();
            self.node(&mut tried, alternative);
            let findings = self.findings.split_off(before);
            if best.as_ref().is_none_or(|(least, _)| rank(&findings) < rank(least)) {
                best = Some((findings, tried));
            }
        }
        if let Some((findings, tried)) = best {
            self.findings.extend(findings);
            *node = tried;
        }
    }

    /// Whether a node is of the schema's `type`, making text of a number where that is wanted.
    fn is_of_type(&mut self, node: &mut Node, schema: &Value) -> bool {
        let types: Vec<&str> = match schema.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => return true,
        };
        let fits = types.iter().any(|wanted| match node.data {
            Data::Null => *wanted == "null",
            Data::Bool(_) => *wanted == "boolean",
            Data::Integer(..) => matches!(*wanted, "integer" | "number"),
            Data::Float(..) => *wanted == "number",
            Data::Text(_) => *wanted == "string",
            Data::List(_) => *wanted == "array",
            Data::Map(_) => *wanted == "object",
        });
        if fits {
            return true;
        }
        if types.contains(&"string")
            && let Data::Integer(_, text) | Data::Float(_, text) = &node.data
        {
            node.data = Data::Text(text.clone());
            return true;
        }
        let wanted: Vec<&str> = types.iter().filter(|t| **t != "null").map(|t| name(t)).collect();
        let wanted = wanted.join(" or ");
        let way_out = match node.data {
            Data::Bool(_) if types.contains(&"string") => "; put it in quotes",
            Data::Text(_) if types.contains(&"array") => "; put it in [ ]",
            Data::Text(ref text) if text.parse::<f64>().is_ok() => "; write it without quotes",
            _ => "",
        };
        let problem = match node.data {
            Data::Null => format!("has no value; {wanted} belongs here"),
            _ => format!("is {}, but {wanted} belongs here{way_out}", node.kind()),
        };
        // A passphrase in the place of what would hold its file must not be repeated.
        let shown = if types.contains(&"object") { String::new() } else { node.text() };
        self.refuse_showing(node, shown, problem, Vec::new());
        false
    }

    /// `const`, `enum`, bounds and lengths.
    fn value(&mut self, node: &mut Node, schema: &Value) {
        let words = words(schema);
        if !words.is_empty() && !matches!(node.data, Data::Null) {
            return self.word(node, words);
        }
        let number = match node.data {
            #[expect(clippy::cast_precision_loss, reason = "bounds are far below 2^52")]
            Data::Integer(value, _) => Some(value as f64),
            Data::Float(value, _) => Some(value),
            _ => None,
        };
        let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
        if let Some(number) = number {
            if let Some(least) = bound("minimum").filter(|least| number < *least) {
                return self.refuse(node, format!("is too small; the least is {least}"), Vec::new());
            }
            if let Some(most) = bound("maximum").filter(|most| number > *most) {
                return self.refuse(node, format!("is too large; the most is {most}"), Vec::new());
            }
        }
        let length = match &node.data {
            Data::Text(text) => Some(("minLength", text.chars().count(), "is empty; write something here")),
            Data::List(items) => {
                Some(("minItems", items.len(), "is an empty list; leave the key out, or name something"))
            }
            _ => None,
        };
        if let Some((key, length, problem)) = length
            && schema.get(key).and_then(Value::as_u64).is_some_and(|least| (length as u64) < least)
        {
            self.refuse(node, problem.to_owned(), Vec::new());
        }
    }

    fn word(&mut self, node: &mut Node, words: Vec<String>) {
        match node.data {
            Data::List(_) | Data::Map(_) | Data::Null => {
                self.refuse(node, format!("is {}, but one word belongs here", node.kind()), words);
            }
            _ => {
                let text = node.text();
                match words.contains(&text) {
                    // `"1.3"` may be written without its quotes.
                    true => node.data = Data::Text(text),
                    false => self.refuse(node, "is not known here".to_owned(), words),
                }
            }
        }
    }

    fn items(&mut self, node: &mut Node, schema: &'s Value) {
        let (Data::List(items), Some(item_schema)) = (&mut node.data, schema.get("items")) else { return };
        for (index, item) in items.iter_mut().enumerate() {
            self.path.push(PathStep::Index(index));
            self.node(item, item_schema);
            self.path.pop();
        }
    }

    fn entries(&mut self, node: &mut Node, schema: &'s Value) {
        let Data::Map(entries) = &mut node.data else { return };
        let properties = schema.get("properties").and_then(Value::as_object);
        let other = schema.get("additionalProperties");
        let written: Vec<String> = entries.iter().map(|entry| entry.key.clone()).collect();
        // What misspelt keys were probably meant to be: told once, as misspelt and not as missing as well.
        let mut meant: Vec<String> = Vec::new();
        for entry in &mut *entries {
            self.path.push(PathStep::Key(entry.key.clone()));
            match (properties.and_then(|known| known.get(&entry.key)), other) {
                (Some(known), _) => self.node_at_key(entry, known),
                (None, Some(Value::Bool(false))) => {
                    let free = properties.into_iter().flat_map(|p| p.keys()).filter(|key| !written.contains(key));
                    let free: Vec<String> = free.cloned().collect();
                    meant.extend(nearest(&entry.key, &free));
                    self.unknown_key(entry, free);
                }
                (None, Some(any)) => self.node_at_key(entry, any),
                (None, None) => {}
            }
            self.path.pop();
        }
        let missing: Vec<&str> = list(schema, "required")
            .filter_map(Value::as_str)
            .filter(|key| !written.iter().any(|written| written == key))
            .collect();
        for key in missing.iter().filter(|key| !meant.iter().any(|meant| meant == *key)) {
            let path = self.path.iter().cloned().chain([PathStep::from(*key)]);
            let error = DocumentError::new(path, "", "is missing");
            self.findings.push(Finding { place: node.place, error });
        }
        node.dropped |= !missing.is_empty();
    }

    /// A list, a mapping or nothing is complained about where its key stands: its own place is that of its first item.
    fn node_at_key(&mut self, entry: &mut Entry, schema: &'s Value) {
        let (place, key_place) = (entry.value.place, entry.place());
        entry.value.place = key_place;
        self.node(&mut entry.value, schema);
        entry.value.place = place;
    }

    fn unknown_key(&mut self, entry: &mut Entry, free: Vec<String>) {
        let (problem, free) = match entry.key.as_str() {
            "<<" => ("is a merge key, which has no meaning here; write the keys out", Vec::new()),
            _ => ("is not a key here", free),
        };
        let error = DocumentError::new(self.path.clone(), entry.key.clone(), problem).candidates(free);
        self.findings.push(Finding { place: entry.key_place, error });
        entry.value.dropped = true;
    }

    fn refuse(&mut self, node: &mut Node, problem: String, candidates: Vec<String>) {
        self.refuse_showing(node, node.text(), problem, candidates);
    }

    fn refuse_showing(&mut self, node: &mut Node, shown: String, problem: String, candidates: Vec<String>) {
        let error = DocumentError::new(self.path.clone(), shown, problem).candidates(candidates);
        self.findings.push(Finding { place: node.place, error });
        node.dropped = true;
    }
}

fn list<'s>(schema: &'s Value, key: &str) -> impl Iterator<Item = &'s Value> + use<'s> {
    schema.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// The words of `const` and `enum`.
fn words(schema: &Value) -> Vec<String> {
    let single = schema.get("const").into_iter();
    single.chain(list(schema, "enum")).filter_map(Value::as_str).map(str::to_owned).collect()
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("null")
}

fn name(json_type: &str) -> &str {
    match json_type {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a mapping",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use schemars::JsonSchema;
    use serde::Deserialize;
    use vocabulary::{AppId, DisplayPath, Span};

    use super::*;
    use crate::yaml::{parse, typed};

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read to be read")]
    struct Sample {
        name: String,
        #[serde(default)]
        #[schemars(range(min = 1, max = 3))]
        factors: Option<u8>,
        #[serde(default)]
        inner: Option<Box<Inner>>,
        #[serde(default)]
        parts: Vec<Inner>,
        #[serde(default)]
        by_name: BTreeMap<String, Inner>,
        #[serde(default)]
        version: Option<Version>,
        #[serde(default)]
        level: Level,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read to be read")]
    struct Inner {
        apps: Vec<AppId>,
        #[serde(default)]
        shared: bool,
        #[serde(default)]
        idle: Option<Span>,
    }

    #[derive(Debug, Deserialize, JsonSchema, PartialEq)]
    enum Version {
        #[serde(rename = "1.3")]
        Latest,
        #[serde(rename = "1.2")]
        Older,
    }

    #[derive(Debug, Default, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Level {
        /// Little.
        #[default]
        Info,
        /// Much.
        Debug,
    }

    /// Problems as `line:column path: value`, and what could still be read.
    fn read(text: &str) -> (Vec<String>, Option<Sample>) {
        let schema = schemars::schema_for!(Sample).to_value();
        let mut root = parse(text).0.unwrap();
        let mut findings = check(&mut root, &schema);
        let (sample, more) = typed::<Sample>(&mut root, &[]);
        findings.extend(more);
        let shown = |Finding { place, error }: &Finding| {
            format!("{}:{} {}: {}", place.line, place.column, DisplayPath(&error.path), error.value)
        };
        (findings.iter().map(shown).collect(), sample)
    }

    #[test]
    fn what_is_right_passes_and_what_needs_no_quotes_needs_none() {
        let text = "name: 0123\nfactors: 2\ninner: { apps: [a], idle: 15m }\nversion: 1.3\nlevel: debug\n\
                    by_name: { 東京: { apps: [b], shared: true } }\n";
        let (problems, sample) = read(text);
        assert_eq!(problems, [] as [&str; 0]);
        let sample = sample.unwrap();
        assert_eq!(sample.name, "0123");
        assert_eq!(sample.version, Some(Version::Latest));
    }

    #[test]
    fn everything_wrong_is_found_in_one_go() {
        let text = "\
name: true
factors: 9
nmae: x
inner:
  apps: [Upper, ok, AlsoUpper]
  idle: 15 minutes
parts:
  - { apps: a, shared: maybe }
  - { idle: 5m }
by_name:
  one: [x]
level: verbose
";
        let (problems, sample) = read(text);
        assert!(sample.is_none());
        assert_eq!(
            problems,
            [
                "1:7 name: true",
                "2:10 factors: 9",
                "3:1 nmae: nmae",
                "8:13 parts[0].apps: a",
                "8:24 parts[0].shared: maybe",
                "9:5 parts[1].apps: ",
                "11:3 by_name.one: ",
                "12:8 level: verbose",
                "5:10 inner.apps[0]: Upper",
                "5:21 inner.apps[2]: AlsoUpper",
                "6:9 inner.idle: 15 minutes",
            ]
        );
    }

    #[test]
    fn what_follows_from_an_error_is_not_told_as_another() {
        // Without its only item the list would be empty, without the list the mapping incomplete.
        assert_eq!(read("name: a\ninner: { apps: [Upper] }\n").0, ["2:17 inner.apps[0]: Upper"]);
        assert_eq!(read("name: a\ninner: { apps: { x: 1 } }\n").0, ["2:10 inner.apps: "]);
    }

    #[test]
    fn a_key_without_value_is_told_at_the_key() {
        assert_eq!(read("name: a\nparts:\nlevel: info\n").0, ["2:1 parts: "]);
        assert_eq!(read("name: a\ninner:\n").0, [] as [&str; 0], "an optional one may be left empty");
    }

    proptest! {
        /// Whatever stands in a document: something is complained about, or it can be read, here and by another reader.
        #[test]
        fn nothing_wrong_means_it_reads(
            name in "[a-z0-9~]{0,4}",
            factors in "([1-9a][0-9]?)?",
            apps in "(\\[\\]|\\[[a-zA-Z0-9]{1,3}\\]|[a-z]{0,2})",
            level in "(info|debug|Info|\"debug\"|1)",
        ) {
            let text = format!("name: {name}\nfactors: {factors}\ninner: {{ apps: {apps} }}\nlevel: {level}\n");
            if parse(&text).1.is_empty() {
                let (problems, sample) = read(&text);
                let plain = serde_yaml::from_str::<Sample>(&text);
                prop_assert!(!problems.is_empty() || (sample.is_some() && plain.is_ok()), "{}{:?}", text, plain);
            }
        }
    }
}
