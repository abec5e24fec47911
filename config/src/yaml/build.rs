//! From the parser's events to the tree.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr::{Scalar, ScalarStyle, Tag};
use saphyr_parser::{Event, Marker, Parser};
use vocabulary::{DocumentError, PathStep};

use super::{Data, Entry, Finding, Node, Place};

/// A configuration nests six deep; beyond this it is no configuration, and recursion over it stays shallow.
const DEEPEST: usize = 32;
/// Nodes that aliases may copy in all, so that a few nested ones can't fill the memory.
const MOST_ALIASED: usize = 100_000;

/// Reads the one document of `text`. Faults after which one can read on come together with the tree; if one can't,
/// there is no tree.
pub(crate) fn parse(text: &str) -> (Option<Node>, Vec<Finding>) {
    let mut builder = Builder::default();
    let lines = Lines::of(text);
    for event in Parser::new_from_str(text.trim_start_matches('\u{feff}')) {
        let kept_on = match event {
            Ok((event, span)) => builder.event(event, lines.within(span.start)),
            Err(error) => {
                let tab = if error.info().contains("tab") { "; indent with spaces" } else { "" };
                builder.fault(lines.within(*error.marker()), "", format!("is no YAML: {}{tab}", error.info()));
                Err(Stop)
            }
        };
        if kept_on.is_err() {
            return (None, builder.faults);
        }
    }
    if builder.root.is_none() {
        builder.fault(START, "", "the file is empty");
    }
    (builder.root, builder.faults)
}

const START: Place = Place { line: 1, column: 1 };

/// How many characters each line has.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let plain = text.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n");
        let mut widths: Vec<usize> = plain.lines().map(|line| line.chars().count()).collect();
        if plain.is_empty() || plain.ends_with('\n') {
            widths.push(0);
        }
        Self(widths)
    }

    /// The parser counts a line after the last one where the text ends too early, and goes on counting columns after a
    /// line that a carriage return alone has ended.
    fn within(&self, marker: Marker) -> Place {
        let last = self.0.len().max(1);
        let width = |line: usize| self.0.get(line - 1).copied().unwrap_or_default();
        match marker.line().max(1) {
            line if line <= last => Place { line, column: (marker.col() + 1).min(width(line) + 1) },
            _ => Place { line: last, column: width(last) + 1 },
        }
    }
}

/// Nothing after this can be understood.
struct Stop;

#[derive(Default)]
struct Builder {
    root: Option<Node>,
    documents: usize,
    /// Lists and mappings that are still open, outermost first.
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    aliased: usize,
    faults: Vec<Finding>,
}

struct Open {
    node: Node,
    anchor: usize,
    /// In a mapping, the key that waits for its value.
    key: Option<(String, Place)>,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, at: Place) -> Result<(), Stop> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.fault(at, "---", "begins a second document; a configuration is one document");
                    return Err(Stop);
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(at, tag.as_ref());
                self.finish(Node::new(at, scalar(text, style, tag.as_ref())), anchor);
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(at, tag.as_ref());
                self.begin(Node::new(at, Data::List(Vec::new())), anchor)?;
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(at, tag.as_ref());
                self.begin(Node::new(at, Data::Map(Vec::new())), anchor)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    self.finish(open.node, open.anchor);
                }
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    // An alias within its own anchor: it would never end.
                    self.fault(at, "", "an alias may not stand inside what it names");
                    return Err(Stop);
                };
                self.aliased += count(node);
                if self.aliased > MOST_ALIASED {
                    self.fault(at, "", "the aliases copy too much");
                    return Err(Stop);
                }
                if self.open.len() + depth(node) > DEEPEST {
                    self.fault(at, "", "is nested too deep");
                    return Err(Stop);
                }
                let node = node.clone();
                self.finish(node, 0);
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn begin(&mut self, node: Node, anchor: usize) -> Result<(), Stop> {
        if self.open.len() >= DEEPEST {
            self.fault(node.place, "", "is nested too deep");
            return Err(Stop);
        }
        self.open.push(Open { node, anchor, key: None });
        Ok(())
    }

    /// A node is complete: it becomes the root, a list's item, a mapping's key or its value.
    fn finish(&mut self, node: Node, anchor: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let path = self.path();
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        match &mut open.node.data {
            Data::Map(entries) => match open.key.take() {
                None => {
                    if matches!(node.data, Data::List(_) | Data::Map(_)) {
                        let error = DocumentError::new(path, "", "a key must be a word, not a list or a mapping");
                        self.faults.push(Finding { place: node.place, error });
                    }
                    open.key = Some((node.text(), node.place));
                }
                Some((key, key_place)) => match entries.iter().find(|entry| entry.key == key) {
                    Some(first) => {
                        let problem =
                            format!("is there already, in line {}; a key may stand once", first.key_place.line);
                        self.faults.push(Finding { place: key_place, error: DocumentError::new(path, key, problem) });
                    }
                    None => entries.push(Entry { key, key_place, value: node }),
                },
            },
            Data::List(items) => items.push(node),
            _ => {}
        }
    }

    fn refuse_tag(&mut self, at: Place, tag: Option<&Cow<'_, Tag>>) {
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
            let written = format!("{}{}", tag.handle, tag.suffix);
            self.fault(at, written, "is a tag; tags have no meaning here");
        }
    }

    fn fault(&mut self, place: Place, value: impl Into<String>, problem: impl Into<String>) {
        self.faults.push(Finding { place, error: DocumentError::new(self.path(), value, problem) });
    }

    /// From the root to what is being read.
    fn path(&self) -> Vec<PathStep> {
        self.open
            .iter()
            .filter_map(|open| match &open.node.data {
                Data::List(items) => Some(PathStep::Index(items.len())),
                _ => open.key.as_ref().map(|(key, _)| PathStep::Key(key.clone())),
            })
            .collect()
    }
}

/// A single value by YAML 1.2's core schema: `yes`, `on` and `12:30` are text.
fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Cow<'_, Tag>>) -> Data {
    let written = text.clone().into_owned();
    match Scalar::parse_from_cow_and_metadata(text, style, tag) {
        Some(Scalar::Null) => Data::Null,
        Some(Scalar::Boolean(value)) => Data::Bool(value),
        Some(Scalar::Integer(value)) => Data::Integer(value, written),
        Some(Scalar::FloatingPoint(value)) => Data::Float(value.into_inner(), written),
        Some(Scalar::String(_)) | None => Data::Text(written),
    }
}

fn count(node: &Node) -> usize {
    1 + match &node.data {
        Data::List(items) => items.iter().map(count).sum(),
        Data::Map(entries) => entries.iter().map(|entry| count(&entry.value)).sum(),
        _ => 0,
    }
}

fn depth(node: &Node) -> usize {
    1 + match &node.data {
        Data::List(items) => items.iter().map(depth).max().unwrap_or(0),
        Data::Map(entries) => entries.iter().map(|entry| depth(&entry.value)).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vocabulary::DisplayPath;

    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let shown = |Finding { place, error }: &Finding| {
            let path = DisplayPath(&error.path);
            format!("{}:{} {path} `{}` {}", place.line, place.column, error.value, error.problem)
        };
        parse(text).1.iter().map(shown).collect()
    }

    #[test]
    fn every_node_knows_its_place() {
        let (root, faults) = parse("gateway:\n  listen: [\"a\", 'b']\n  limits:\n    idle: 5\n");
        assert_eq!(faults, []);
        let root = root.unwrap();
        let place = |path: &[PathStep]| {
            let Place { line, column } = root.place_of(path);
            (line, column)
        };
        assert_eq!(place(&["gateway".into(), "listen".into(), 1.into()]), (2, 17));
        assert_eq!(place(&["gateway".into(), "limits".into(), "idle".into()]), (4, 11));
        assert_eq!(place(&["gateway".into(), "limits".into()]), (3, 3), "a mapping stands where its key does");
        assert_eq!(place(&["gateway".into(), "limits".into(), "gone".into()]), (3, 3));
    }

    #[test]
    fn what_is_no_plain_document_is_a_fault_with_its_place() {
        assert_eq!(faults("a: 1\nb: 2\na: 3\n"), ["3:1 a `a` is there already, in line 1; a key may stand once"]);
        assert_eq!(faults("a: 1\n---\nb: 2\n").len(), 1);
        assert_eq!(faults(""), ["1:1  `` the file is empty"]);
        assert_eq!(faults("a:\n\tb: 1\n").len(), 1, "a tab");
        assert!(faults("a: !secret b\n")[0].contains("`!secret` is a tag"));
        assert!(faults("? [a]\n: b\n")[0].contains("a key must be a word"));
        assert!(faults("a: &x [*x]\n")[0].contains("inside what it names"));
        assert!(faults(&"[".repeat(40))[0].contains("too deep"));
    }

    #[test]
    fn two_faults_of_one_file_are_both_told() {
        assert_eq!(faults("a: 1\na: 2\nb: !t 3\n").len(), 2);
    }

    #[test]
    fn aliases_copy_but_not_without_end() {
        let (root, none) = parse("a: &x [1, 2]\nb: *x\n");
        assert_eq!(none, []);
        let root = root.unwrap();
        assert_eq!(root.entry("a").unwrap().value, root.entry("b").unwrap().value);

        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..9 {
            let before = level - 1;
            bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![format!("*a{before}"); 10].join(",")));
        }
        assert!(faults(&bomb).last().unwrap().contains("copy too much"));
    }

    proptest! {
        #[test]
        fn no_text_brings_it_down(text in "[\\PC\n\t]{0,200}") {
            let (root, faults) = parse(&text);
            prop_assert!(root.is_some() || !faults.is_empty());
        }

        #[test]
        fn nor_does_text_of_the_signs_that_yaml_knows(text in "[-a1 :,&*!|>?\\[\\]{}#'\"%@`~\n\t]{0,80}") {
            let (root, faults) = parse(&text);
            prop_assert!(root.is_some() || !faults.is_empty());
        }
    }
}
