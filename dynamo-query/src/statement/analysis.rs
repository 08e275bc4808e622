//! What is known of how a statement is read: by Query or by Scan, and which key attributes narrow it.
//!
//! In: a checked [`Statement`], and the keys of the table or index that it names, where they are known. Pure. AWS's rule (*PartiQL
//! select statements*): a statement reads by Query where every alternative of its WHERE's ORs has `=` or `IN` between the partition
//! key and constants; NOTs are left as they stand, so that nothing under one counts.

use std::collections::BTreeSet;

use super::{
    Statement, clauses,
    condition::{Comparison, Condition, Function, Operand, Unknown},
    lexer::{self, Kind, Token},
    list::Selection,
};

/// How DynamoDB reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Query,
    Scan,
}

/// The key attributes of a table or index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    pub(crate) partition: String,
    pub(crate) sort: Option<String>,
}

/// The parts of a statement that tell how it is read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Analysis {
    pub(crate) selection: Selection,
    /// `None` without a WHERE.
    pub(crate) condition: Option<Condition>,
    pub(crate) has_order_by: bool,
}

impl Analysis {
    /// Reads the statement's text once more, for its parts.
    pub(crate) fn of(statement: &Statement) -> Self {
        let query = &statement.text;
        let tokens = lexer::lex(query).tokens;
        let Ok(clauses) = clauses::scan(query, &tokens) else {
            // The guard has passed this text, so this is never reached; and nothing is claimed of a text that it would refuse.
            return Self {
                selection: Selection::Other,
                condition: Some(Condition::Unknown(Unknown {
                    at: 0,
                    may_equal: true,
                })),
                has_order_by: false,
            };
        };
        let tail = &tokens[clauses.tail..];
        let order_by = tail
            .windows(2)
            .position(|pair| pair[0].is_word(query, "ORDER") && pair[1].is_word(query, "BY"));
        let is_where = tail
            .first()
            .is_some_and(|first| first.is_word(query, "WHERE"));
        let placeholders_before = count_placeholders(&tokens[..clauses.tail]);
        Self {
            selection: clauses.selection,
            condition: is_where.then(|| {
                let conditions = &tail[1..order_by.unwrap_or(tail.len())];
                Condition::read(query, conditions, placeholders_before)
            }),
            has_order_by: order_by.is_some(),
        }
    }

    /// Whether the statement is a Scan whatever the keys are, by the one sign that needs no look at NOTs and ORs: no `=` or `IN` of
    /// the WHERE is on a top-level attribute.
    pub(crate) fn is_scan_with_any_keys(&self) -> bool {
        self.condition
            .as_ref()
            .is_none_or(|condition| !equates_an_attribute(condition))
    }

    /// How the statement is read; `None` where that depends on keys that are not given.
    pub(crate) fn operation(&self, keys: Option<&Keys>) -> Option<Operation> {
        let Some(condition) = &self.condition else {
            return Some(Operation::Scan);
        };
        let is_query = match keys {
            Some(keys) => holds_in_all(condition, &|leaf| {
                equal_to_constants(leaf) == Some(keys.partition.as_str())
            }),
            None if partition_keys_of_a_query(condition).is_empty() => false,
            None => return None,
        };
        Some(if is_query {
            Operation::Query
        } else {
            Operation::Scan
        })
    }

    /// Whether the WHERE is a single comparison, which leaves nothing to decide about how a Query is made of it.
    pub(crate) fn is_plain_query(&self) -> bool {
        matches!(
            self.condition,
            Some(Condition::Compare(..) | Condition::In(..))
        )
    }

    /// Where an attribute's name stands on the side of a condition that takes the value, as in `genre = "Drama"`: a byte offset.
    pub(crate) fn name_as_value(&self) -> Option<usize> {
        self.condition.as_ref().and_then(name_as_value)
    }

    /// The names of the key attributes that narrow the read, partition key first; none for a Scan.
    pub(crate) fn key_conditions<'k>(&self, keys: &'k Keys) -> Vec<&'k str> {
        let Some(condition) = &self.condition else {
            return Vec::new();
        };
        if self.operation(Some(keys)) != Some(Operation::Query) {
            return Vec::new();
        }
        let sort = keys
            .sort
            .as_deref()
            .filter(|sort| holds_in_all(condition, &|leaf| narrows_a_sort_key(leaf) == Some(sort)));
        std::iter::once(keys.partition.as_str())
            .chain(sort)
            .collect()
    }
}

fn count_placeholders(tokens: &[Token]) -> usize {
    tokens
        .iter()
        .filter(|token| token.kind == Kind::Placeholder)
        .count()
}

/// Whether every alternative of the ORs has a leaf for which `is_key` holds and that is not under a NOT.
///
/// The alternatives of an AND are all combinations of its parts' alternatives: one without the leaf can be put together unless some
/// part has the leaf in all of its own.
fn holds_in_all(condition: &Condition, is_key: &dyn Fn(&Condition) -> bool) -> bool {
    match condition {
        Condition::And(parts) => parts.iter().any(|part| holds_in_all(part, is_key)),
        Condition::Or(parts) => parts.iter().all(|part| holds_in_all(part, is_key)),
        Condition::Not(_) => false,
        leaf => is_key(leaf),
    }
}

/// The attributes of which each would make the statement a Query if it were the partition key.
fn partition_keys_of_a_query(condition: &Condition) -> BTreeSet<&str> {
    match condition {
        Condition::And(parts) => parts.iter().flat_map(partition_keys_of_a_query).collect(),
        Condition::Or(parts) => parts
            .iter()
            .map(partition_keys_of_a_query)
            .reduce(|left, right| left.intersection(&right).copied().collect())
            .unwrap_or_default(),
        Condition::Not(_) => BTreeSet::new(),
        leaf => equal_to_constants(leaf).into_iter().collect(),
    }
}

/// The attribute that a leaf compares with constants by `=`, either side first, or `IN`.
fn equal_to_constants(leaf: &Condition) -> Option<&str> {
    match leaf {
        Condition::Compare(left, Comparison::Equal, right) => beside_a_constant(left, right),
        Condition::In(operand, members) if members.iter().all(Operand::is_constant) => {
            operand.attribute()
        }
        _ => None,
    }
}

/// The attribute that a leaf narrows as a sort key can be narrowed.
fn narrows_a_sort_key(leaf: &Condition) -> Option<&str> {
    match leaf {
        Condition::Compare(_, Comparison::NotEqual, _) => None,
        Condition::Compare(left, _, right) => beside_a_constant(left, right),
        Condition::Between(operand, low, high) if low.is_constant() && high.is_constant() => {
            operand.attribute()
        }
        Condition::Call(Function::BeginsWith, arguments) => match arguments.as_slice() {
            [operand, prefix] if prefix.is_constant() => operand.attribute(),
            _ => None,
        },
        _ => None,
    }
}

fn beside_a_constant<'c>(left: &'c Operand, right: &'c Operand) -> Option<&'c str> {
    if right.is_constant() {
        left.attribute()
    } else if left.is_constant() {
        right.attribute()
    } else {
        None
    }
}

/// The first attribute that a condition compares something else than a constant with.
fn name_as_value(condition: &Condition) -> Option<usize> {
    let name = |operand: &Operand| match operand {
        Operand::Path(path) if path.attribute().is_some() => Some(path.at),
        _ => None,
    };
    match condition {
        Condition::And(parts) | Condition::Or(parts) => parts.iter().find_map(name_as_value),
        Condition::Not(inner) => name_as_value(inner),
        Condition::Compare(left, _, right) if !left.is_constant() => name(right),
        Condition::In(left, members) if !left.is_constant() => members.iter().find_map(name),
        Condition::Between(left, low, high) if !left.is_constant() => name(low).or(name(high)),
        Condition::Call(Function::BeginsWith | Function::Contains, arguments) => {
            match arguments.as_slice() {
                [whole, part] if !whole.is_constant() => name(part),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Whether any `=` or `IN` is on a top-level attribute, wherever it stands.
fn equates_an_attribute(condition: &Condition) -> bool {
    match condition {
        Condition::And(parts) | Condition::Or(parts) => parts.iter().any(equates_an_attribute),
        Condition::Not(inner) => equates_an_attribute(inner),
        Condition::Compare(left, Comparison::Equal, right) => {
            left.attribute().or(right.attribute()).is_some()
        }
        Condition::In(operand, members) => {
            operand.attribute().is_some()
                || members.iter().any(|member| member.attribute().is_some())
        }
        Condition::Unknown(unknown) => unknown.may_equal,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn analysis(condition: &str) -> Analysis {
        let query = format!("SELECT * FROM t WHERE {condition}");
        Analysis::of(&Statement::parse(&query).unwrap_or_else(|error| panic!("{query}: {error}")))
    }

    fn keys() -> Keys {
        Keys {
            partition: "pk".to_owned(),
            sort: Some("sk".to_owned()),
        }
    }

    #[test]
    fn key_conditions_are_those_of_every_alternative() {
        const SCAN: &[&str] = &[];
        const PARTITION: &[&str] = &["pk"];
        const BOTH: &[&str] = &["pk", "sk"];
        for (condition, expected) in [
            ("pk = 'a'", PARTITION),
            ("'a' = pk", PARTITION),
            ("\"pk\" = ?", PARTITION),
            ("(pk) = ('a')", PARTITION),
            ("pk IN ['a', ?]", PARTITION),
            ("pk in ('a', 'b')", PARTITION),
            ("pk = 'a' AND x + 1 = 2", PARTITION),
            ("pk = 'a' AND sk = 1", BOTH),
            ("sk = -1 AND x > 2 AND ? = pk", BOTH),
            ("pk = 'a' AND 5 < sk", BOTH),
            ("pk = 'a' AND sk BETWEEN 1 AND ?", BOTH),
            ("pk = 'a' AND begins_with(sk, 'x')", BOTH),
            ("pk = 'a' AND Begins_With(sk, ?) AND NOT sk = 1", BOTH),
            ("pk = 'a' AND sk IN [1, 2]", PARTITION),
            ("pk = 'a' AND sk <> 1", PARTITION),
            ("pk = 'a' AND sk != 1", PARTITION),
            ("pk = 'a' AND NOT sk > 1", PARTITION),
            ("pk = 'a' AND sk NOT BETWEEN 1 AND 2", PARTITION),
            ("pk = 'a' AND sk > x", PARTITION),
            ("pk = 'a' AND begins_with('x', sk)", PARTITION),
            ("pk = 'a' AND (sk = 1 OR x = 2)", PARTITION),
            ("pk = 'a' AND (sk = 1 OR sk > 2)", BOTH),
            ("pk = 'a' OR pk = 'b'", PARTITION),
            ("pk = 'a' AND sk = 1 OR pk = 'b' AND sk > 2", BOTH),
            ("pk = 'a' AND sk = 1 OR pk = 'b'", PARTITION),
            ("(pk = 'a' OR pk = 'b') AND (x = 1 OR y = 2)", PARTITION),
            (
                "(x = 1 OR pk = 'a') AND (pk = 'b' OR pk IN ['c'])",
                PARTITION,
            ),
            ("(x = 1 OR pk = 'a') AND (y = 1 OR pk = 'b')", SCAN),
            ("pk = 'a' OR x = 1", SCAN),
            ("pk = 'a' OR sk = 1", SCAN),
            ("NOT pk = 'a'", SCAN),
            ("NOT NOT pk = 'a'", SCAN),
            ("NOT (pk = 'a')", SCAN),
            ("NOT (x = 1 OR pk = 'a') OR pk = 'b'", SCAN),
            ("NOT x = 1 AND pk = 'a'", PARTITION),
            ("pk NOT IN ['a']", SCAN),
            ("NOT pk IN ['a']", SCAN),
            ("pk > 'a'", SCAN),
            ("pk <> 'a'", SCAN),
            ("pk BETWEEN 'a' AND 'b'", SCAN),
            ("begins_with(pk, 'a')", SCAN),
            ("pk = x", SCAN),
            ("pk IN ['a', x]", SCAN),
            ("pk.a = 'a'", SCAN),
            ("pk[0] = 'a'", SCAN),
            ("t.pk = 'a'", SCAN),
            ("PK = 'a'", SCAN),
            ("size(pk) = 1", SCAN),
            ("pk IS NULL", SCAN),
            ("sk = 1", SCAN),
            ("'a' IN (pk)", SCAN),
        ] {
            let analysis = analysis(condition);
            assert_eq!(analysis.key_conditions(&keys()), expected, "{condition}");
            let is_query = analysis.operation(Some(&keys())) == Some(Operation::Query);
            assert_eq!(is_query, !expected.is_empty(), "{condition}");
        }
    }

    #[test]
    fn without_keys_the_operation_is_known_where_no_attribute_could_make_it_a_query() {
        for (condition, scan_at_sight, known) in [
            ("x > 1", true, true),
            ("x.y = 1 AND l[0] IN [1]", true, true),
            ("size(x) = 1", true, true),
            ("x = 1", false, false),
            ("1 = x", false, false),
            ("x IN [1]", false, false),
            ("x = 1 OR x IN [2, 3]", false, false),
            ("x = 1 OR y = 2", false, true),
            ("NOT x = 1", false, true),
            ("x NOT IN [1]", false, true),
            ("x = y", false, true),
            ("x + 1 = 2", false, true),
            ("x + 1 > 2", true, true),
            ("x > 1 AND (y = 1 OR y = 2)", false, false),
        ] {
            let analysis = analysis(condition);
            assert_eq!(
                analysis.is_scan_with_any_keys(),
                scan_at_sight,
                "{condition}"
            );
            let operation = analysis.operation(None);
            assert_eq!(operation, known.then_some(Operation::Scan), "{condition}");
        }
        let all = Analysis::of(&Statement::parse("SELECT * FROM t").unwrap());
        assert!(all.is_scan_with_any_keys());
        assert_eq!(all.operation(None), Some(Operation::Scan));
        assert!(all.key_conditions(&keys()).is_empty());
    }

    #[test]
    fn a_name_where_a_value_is_meant_is_found_with_its_position() {
        for (condition, expected) in [
            ("genre = \"Drama\"", Some(30)),
            ("genre = Drama", Some(30)),
            ("a = 1 AND NOT (b = 2 OR genre <> \"Drama\")", Some(55)),
            ("genre IN ['a', \"b\"]", Some(37)),
            ("begins_with(genre, \"D\")", Some(41)),
            ("a BETWEEN 1 AND \"z\"", Some(38)),
            ("size(a) = b", Some(32)),
            ("'Drama' = genre", None),
            ("? = genre", None),
            ("genre = 'Drama'", None),
            ("a = b.c", None),
            ("contains('abc', a)", None),
        ] {
            assert_eq!(analysis(condition).name_as_value(), expected, "{condition}");
        }
    }

    #[test]
    fn order_by_is_no_part_of_the_conditions() {
        let query = "SELECT a FROM t WHERE pk = 'a' ORDER BY sk DESC";
        let analysis = Analysis::of(&Statement::parse(query).unwrap());
        assert!(analysis.has_order_by);
        assert_eq!(analysis.key_conditions(&keys()), ["pk"]);
    }

    #[test]
    fn deep_brackets_and_nots_are_read_without_exhausting_the_stack() {
        for (open, close) in [
            ("(", ")"),
            ("NOT ", ""),
            ("NOT (", ")"),
            ("(x = 1 AND ", ")"),
            ("(x = 1 OR (", "))"),
        ] {
            let n = 8000 / (open.len() + close.len());
            let condition = format!("{}pk = 'a'{}", open.repeat(n), close.repeat(n));
            let analysis = analysis(&condition);
            assert_eq!(
                analysis.operation(Some(&keys())),
                Some(Operation::Scan),
                "{open}"
            );
            assert!(analysis.condition.unwrap().unknown().is_some());
        }
    }
}
