//! A mapping's keys, read one by one, with every mistake collected rather than the first one returned.
//!
//! In: a node and the keys that it may hold. Out: typed values; problems and accepted-but-meaningless keys in the `Findings`.

use std::collections::BTreeSet;

use plugin_api::near;

use super::yaml::{Data, Entry, Node, Problem};

/// What reading the file brought to light besides its values.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    /// Keys of Heimdall that mean nothing here, with the reason.
    pub(super) ignored: Vec<(usize, String)>,
}

/// The keys that a mapping may hold.
pub(super) struct Keys {
    /// What the mapping is, for messages: `a command`.
    pub(super) what: &'static str,
    pub(super) known: &'static [&'static str],
    /// Heimdall's keys without a meaning here, each with why.
    pub(super) meaningless: &'static [(&'static str, &'static str)],
}

/// A mapping that is being read.
pub(super) struct Fields<'a> {
    entries: &'a [Entry],
    /// The line on which the mapping begins.
    pub(super) line: usize,
    what: &'static str,
    findings: &'a mut Findings,
}

impl<'a> Fields<'a> {
    /// Takes a mapping, or nothing at all; reports unknown keys with the nearest known one.
    pub(super) fn open(node: Option<&'a Node>, keys: &Keys, findings: &'a mut Findings) -> Self {
        let entries = match node.map(|node| (node, &node.data)) {
            Some((_, Data::Map(entries))) => entries.as_slice(),
            None | Some((_, Data::Null)) => &[],
            Some((node, _)) => {
                findings.problems.push(
                    Problem::new(
                        node.line,
                        format!("{} must be a mapping, not {}", keys.what, node.kind()),
                    )
                    .hint("write 'key: value' lines, indented"),
                );
                &[]
            }
        };
        for entry in entries {
            let key = entry.key.as_str();
            if keys.known.contains(&key) {
                continue;
            }
            if let Some((_, why)) = keys.meaningless.iter().find(|(name, _)| *name == key) {
                let note = format!("'{key}' of {} means nothing here: {why}", keys.what);
                findings.ignored.push((entry.line, note));
                continue;
            }
            let all = keys
                .known
                .iter()
                .chain(keys.meaningless.iter().map(|(name, _)| name));
            let hint = near(key, all.copied()).map_or_else(
                || format!("known here: {}", keys.known.join(", ")),
                |near| format!("did you mean '{near}'?"),
            );
            findings.problems.push(
                Problem::new(entry.line, format!("unknown key '{key}' in {}", keys.what))
                    .hint(hint),
            );
        }
        Self {
            entries,
            line: node.map_or(1, |node| node.line),
            what: keys.what,
            findings,
        }
    }

    /// The node under a key; `None` where it is absent or null.
    pub(super) fn node(&self, key: &str) -> Option<&'a Node> {
        self.entries
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.value)
            .filter(|node| !matches!(node.data, Data::Null))
    }

    /// Records a problem at a line.
    pub(super) fn problem(&mut self, problem: Problem) {
        self.findings.problems.push(problem);
    }

    /// The findings, to read a mapping inside this one.
    pub(super) fn findings(&mut self) -> &mut Findings {
        self.findings
    }

    /// A scalar's text.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        let node = self.node(key)?;
        match &node.data {
            Data::Scalar { text, .. } => Some(text.clone()),
            _ => {
                self.wrong(key, node, "text");
                None
            }
        }
    }

    /// A boolean; `yes`, `no`, `on` and `off` too, as in Heimdall's YAML.
    pub(super) fn flag(&mut self, key: &str) -> Option<bool> {
        let text = self.text(key)?;
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => {
                let node = self.node(key)?;
                self.wrong(key, node, "true or false");
                None
            }
        }
    }

    /// An integer of at least `least`.
    pub(super) fn integer(&mut self, key: &str, least: u64) -> Option<u64> {
        let text = self.text(key)?;
        match text.parse::<u64>() {
            Ok(number) if number >= least => Some(number),
            _ => {
                let node = self.node(key)?;
                self.wrong(key, node, &format!("an integer, {least} or more"));
                None
            }
        }
    }

    /// A list of distinct texts, each with its line; empty where the key is absent.
    pub(super) fn texts(&mut self, key: &str) -> Vec<(usize, String)> {
        let Some(node) = self.node(key) else {
            return Vec::new();
        };
        let Data::List(nodes) = &node.data else {
            self.wrong(key, node, "a list of texts");
            return Vec::new();
        };
        let mut seen = BTreeSet::new();
        let mut texts = Vec::new();
        for node in nodes {
            match &node.data {
                Data::Scalar { text, .. } => {
                    if seen.insert(text.clone()) {
                        texts.push((node.line, text.clone()));
                    }
                }
                _ => self.wrong(key, node, "a list of texts"),
            }
        }
        texts
    }

    fn wrong(&mut self, key: &str, node: &Node, expected: &str) {
        let found = match &node.data {
            Data::Scalar { text, .. } => format!("'{text}'"),
            _ => node.kind().to_owned(),
        };
        self.findings.problems.push(Problem::new(
            node.line,
            format!("'{key}' of {} must be {expected}, not {found}", self.what),
        ));
    }
}
