//! A statement as a Scan: `FilterExpression`, `ProjectionExpression`, their names and values.
//!
//! In: a statement's [`Analysis`] and the job's parameters. Out: a [`ScanRequest`] that gives the items that ExecuteStatement gives,
//! or the reason why only ExecuteStatement can read it. Names and values go into placeholders, so that nothing of the user's text
//! becomes part of an expression.

mod expression;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use self::expression::Expressions;
use crate::{
    job::Job,
    statement::{
        Statement,
        analysis::{Analysis, Keys, Operation},
        list::Selection,
        path::{Path, Step},
        position,
    },
};

/// DynamoDB's bounds of a Scan that a statement has not (*Constraints in Amazon DynamoDB*).
const MAX_EXPRESSION_BYTES: usize = 4096;
const MAX_OPERATORS: usize = 300;
const MAX_SUBSTITUTION_BYTES: usize = 2 << 20;

/// A statement in the words of a Scan; `Segment`, `TotalSegments` and `ConsistentRead` are the reader's.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ScanRequest {
    pub(crate) table_name: String,
    pub(crate) index_name: Option<String>,
    pub(crate) filter_expression: Option<String>,
    /// `None` for `SELECT *`.
    pub(crate) projection_expression: Option<String>,
    pub(crate) expression_attribute_names: Option<HashMap<String, String>>,
    pub(crate) expression_attribute_values: Option<HashMap<String, AttributeValue>>,
    /// For each column of the SELECT list, in its order, the names that lead to its value in an item of the answer: a Scan gives
    /// `a.b` as `{"a": {"M": {"b": …}}}` where ExecuteStatement gives `{"b": …}`. The column is named by the last one. A value that
    /// is not there, or is inside something that is no map, is absent. `None` for `SELECT *`.
    pub(crate) columns: Option<Vec<Vec<String>>>,
}

/// Why a statement is not read in segments: a sentence for a log line and EXPLAIN's notes. It holds no literal and no parameter.
pub(crate) type Reason = String;

impl ScanRequest {
    /// The statement as a Scan, as far as that can be told without asking DynamoDB; [`refuse_query`] is the other half.
    ///
    /// # Errors
    /// The reason why it is read in one segment.
    pub(crate) fn of(
        job: &Job,
        statement: &Statement,
        analysis: &Analysis,
    ) -> Result<Self, Reason> {
        if analysis.has_order_by {
            return Err("it has ORDER BY".to_owned());
        }
        if let Some(limit) = job.limit {
            return Err(format!("a limit of {limit} rows is in force"));
        }
        Self::translate(statement, analysis, &job.parameters)
    }

    /// The same without a look at ORDER BY and limit.
    pub(crate) fn translate(
        statement: &Statement,
        analysis: &Analysis,
        parameters: &[AttributeValue],
    ) -> Result<Self, Reason> {
        let mut expressions = Expressions::new(parameters);
        let (projection_expression, columns) = match &analysis.selection {
            Selection::All => (None, None),
            Selection::Other => {
                return Err("its SELECT list holds more than attributes and paths".to_owned());
            }
            Selection::Paths(paths) => {
                if let Some(path) = paths.iter().find(|path| path.is_indexed()) {
                    return Err(format!(
                        "its SELECT list has an entry with an index ({})",
                        path.result_name()
                    ));
                }
                let columns = paths.iter().map(names).collect();
                (Some(expressions.projection(paths)), Some(columns))
            }
        };
        let filter_expression = match &analysis.condition {
            None => None,
            Some(condition) => {
                if let Some(unknown) = condition.unknown() {
                    let (line, column) = position::of(&statement.text, unknown.at);
                    return Err(format!(
                        "its WHERE holds a condition that may have no equal in a FilterExpression (line {line}, column {column})"
                    ));
                }
                Some(expressions.filter(condition)?)
            }
        };
        within_bounds(
            filter_expression.as_deref(),
            projection_expression.as_deref(),
            &expressions,
        )?;
        let (names, values) = expressions.into_substitutions();
        Ok(Self {
            table_name: statement.table.clone(),
            index_name: statement.index.clone(),
            filter_expression,
            projection_expression,
            expression_attribute_names: Some(names).filter(|names| !names.is_empty()),
            expression_attribute_values: Some(values).filter(|values| !values.is_empty()),
            columns,
        })
    }
}

/// Nothing where the statement is certain to be a Scan; `keys` are those of its table or index, `None` where they cannot be had.
///
/// They are needed only where [`Analysis::is_scan_with_any_keys`] is false.
///
/// # Errors
/// The reason why it is read in one segment: it is a Query, or it may be one.
pub(crate) fn refuse_query(analysis: &Analysis, keys: Option<&Keys>) -> Result<(), Reason> {
    if analysis.is_scan_with_any_keys() {
        return Ok(());
    }
    match keys {
        None => Err(
            "it may be a Query: the keys of its table are not known, because DescribeTable is not allowed or was not answered"
                .to_owned(),
        ),
        Some(keys) if analysis.operation(Some(keys)) == Some(Operation::Scan) => Ok(()),
        Some(_) => Err("it is a Query, which reads only the partitions that it names".to_owned()),
    }
}

fn names(path: &Path) -> Vec<String> {
    path.steps
        .iter()
        .map(|step| match step {
            Step::Name(name) | Step::Index(name) => name.clone(),
        })
        .collect()
}

fn within_bounds(
    filter: Option<&str>,
    projection: Option<&str>,
    expressions: &Expressions<'_>,
) -> Result<(), Reason> {
    let longest = [filter, projection]
        .into_iter()
        .flatten()
        .map(str::len)
        .max();
    if longest.is_some_and(|bytes| bytes > MAX_EXPRESSION_BYTES) {
        return Err(format!(
            "its expressions would be longer than the {MAX_EXPRESSION_BYTES} bytes that a Scan takes"
        ));
    }
    if expressions.n_operators() > MAX_OPERATORS {
        return Err(format!(
            "its WHERE has more than the {MAX_OPERATORS} operators that a Scan takes"
        ));
    }
    if expressions.substitution_bytes() > MAX_SUBSTITUTION_BYTES {
        return Err("its names and values are larger than the 2 MB that a Scan takes".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
