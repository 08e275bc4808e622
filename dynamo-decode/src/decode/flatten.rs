//! Items of a Scan as ExecuteStatement gives them: the values of nested paths become attributes of their own.
//!
//! In: an item with what a ProjectionExpression kept, `{"m":{"M":{"k":{"S":"x"}}}}`, and the paths. Out: `{"k":{"S":"x"}}`, for the
//! decoder. A value that is not there, or is inside something that is no map, is absent.

use std::collections::{HashMap, HashSet};

use plugin_api::json::Members;
use serde_json::value::RawValue;

use super::{
    DecodeError, malformed,
    plain::{cause, offset},
};

/// The paths of a SELECT list, as a tree of names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Paths(Node);

#[derive(Debug, Clone, Default)]
struct Node {
    /// A path ends here: what its column is called, as a JSON text.
    column: Option<String>,
    members: HashMap<String, Node>,
}

impl Paths {
    /// Each path as the names that lead to its value; its column is called as the last one. `None` where every path is one name, so that
    /// items are as ExecuteStatement gives them.
    pub(crate) fn new(paths: &[Vec<String>]) -> Option<Self> {
        if paths.iter().all(|path| path.len() == 1) {
            return None;
        }
        let mut root = Node::default();
        for path in paths {
            let end = path.iter().fold(&mut root, |node, name| {
                node.members.entry(name.clone()).or_default()
            });
            end.column = path
                .last()
                .and_then(|name| serde_json::to_string(name).ok());
        }
        Some(Self(root))
    }

    /// Writes the flat item to `flat`.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] where it is no item.
    pub(super) fn flatten(&self, item: &[u8], flat: &mut Vec<u8>) -> Result<(), DecodeError> {
        let damaged = |error: &serde_json::Error| malformed(cause(error), offset(item, error));
        let text = std::str::from_utf8(item).map_err(|_| malformed("the JSON is damaged", 0))?;
        flat.clear();
        flat.push(b'{');
        members(&self.0, text, flat).map_err(|error| match error {
            Damage::Json(error) => damaged(&error),
            Damage::NameTwice => malformed("a map has a name twice", 0),
        })?;
        if flat.last() == Some(&b',') {
            flat.pop();
        }
        flat.push(b'}');
        Ok(())
    }
}

/// What may be wrong with an item.
enum Damage {
    Json(serde_json::Error),
    NameTwice,
}

impl From<serde_json::Error> for Damage {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}

/// Writes the columns below a node: `"name":{…},`.
fn members(node: &Node, object: &str, flat: &mut Vec<u8>) -> Result<(), Damage> {
    let mut names = HashSet::new();
    for (name, value) in serde_json::from_str::<Members<'_>>(object)?.0 {
        if let Some(node) = node.members.get(&name) {
            member(node, value, flat)?;
        }
        if !names.insert(name) {
            return Err(Damage::NameTwice);
        }
    }
    Ok(())
}

fn member(node: &Node, value: &RawValue, flat: &mut Vec<u8>) -> Result<(), Damage> {
    if let Some(column) = &node.column {
        flat.extend_from_slice(column.as_bytes());
        flat.push(b':');
        flat.extend_from_slice(value.get().as_bytes());
        flat.push(b',');
    }
    if node.members.is_empty() {
        return Ok(());
    }
    let typed = serde_json::from_str::<Members<'_>>(value.get())?.0;
    match typed.as_slice() {
        [(kind, map)] if kind == "M" => members(node, map.get(), flat),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(paths: &[&str], item: &str) -> String {
        let paths: Vec<Vec<String>> = paths
            .iter()
            .map(|path| path.split('.').map(str::to_owned).collect())
            .collect();
        let mut flat = Vec::new();
        Paths::new(&paths)
            .expect("a nested path")
            .flatten(item.as_bytes(), &mut flat)
            .expect("an item");
        String::from_utf8(flat).expect("UTF-8")
    }

    #[test]
    fn values_of_nested_paths_become_attributes_named_by_the_last_part() {
        let item = r#"{"m":{"M":{"k":{"S":"x"},"n":{"M":{"q\"":{"L":[]}}}}},"top":{"N":"1"}}"#;
        for (paths, expected) in [
            (&["m.k"][..], r#"{"k":{"S":"x"}}"#),
            (&["top", "m.k"], r#"{"k":{"S":"x"},"top":{"N":"1"}}"#),
            (&["m.n.q\""], r#"{"q\"":{"L":[]}}"#),
            (&["m.n"], r#"{"n":{"M":{"q\"":{"L":[]}}}}"#),
            (&["m.absent", "top.k", "none.k"], "{}"),
        ] {
            assert_eq!(flat(paths, item), expected, "{paths:?}");
        }
        assert!(Paths::new(&[vec!["m".to_owned()]]).is_none());
    }

    #[test]
    fn what_is_no_item_is_refused() {
        let paths = Paths::new(&[vec!["m".to_owned(), "k".to_owned()]]).expect("a nested path");
        for bad in [
            &b"{"[..],
            b"[]",
            b"{\"m\":1",
            b"\xff",
            br#"{"m":{"M":{"k":{"S":"a"},"k":{"S":"b"}}}}"#,
            br#"{"m":{"M":5}}"#,
        ] {
            assert!(paths.flatten(bad, &mut Vec::new()).is_err());
        }
    }
}
