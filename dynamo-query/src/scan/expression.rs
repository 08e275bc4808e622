//! Writes expressions, and keeps the names and values that their placeholders stand for.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::Reason;
use crate::statement::{
    condition::{Comparison, Condition, Function, Literal, Operand},
    path::{Path, Step},
};

/// The expressions of one request share their placeholders.
pub(super) struct Expressions<'p> {
    parameters: &'p [AttributeValue],
    /// A name's placeholder by the name.
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
    n_operators: usize,
}

impl<'p> Expressions<'p> {
    pub(super) fn new(parameters: &'p [AttributeValue]) -> Self {
        Self {
            parameters,
            names: HashMap::new(),
            values: HashMap::new(),
            n_operators: 0,
        }
    }

    /// `ProjectionExpression` of these paths.
    pub(super) fn projection(&mut self, paths: &[Path]) -> String {
        let paths: Vec<String> = paths.iter().map(|path| self.path(path)).collect();
        paths.join(", ")
    }

    /// `FilterExpression` of a condition that is known throughout.
    ///
    /// Brackets stand only where they are needed: DynamoDB refuses redundant ones.
    pub(super) fn filter(&mut self, condition: &Condition) -> Result<String, Reason> {
        Ok(match condition {
            Condition::And(parts) => self.joined(parts, " AND ")?,
            Condition::Or(parts) => self.joined(parts, " OR ")?,
            Condition::Not(inner) => {
                self.n_operators += 1;
                let is_group = matches!(**inner, Condition::And(_) | Condition::Or(_));
                let inner = self.filter(inner)?;
                if is_group {
                    format!("NOT ({inner})")
                } else {
                    format!("NOT {inner}")
                }
            }
            leaf => {
                self.n_operators += 1;
                self.leaf(leaf)?
            }
        })
    }

    fn joined(&mut self, parts: &[Condition], operator: &str) -> Result<String, Reason> {
        self.n_operators += parts.len() - 1;
        let mut written = Vec::with_capacity(parts.len());
        for part in parts {
            let text = self.filter(part)?;
            written.push(match part {
                Condition::And(_) | Condition::Or(_) => format!("({text})"),
                _ => text,
            });
        }
        Ok(written.join(operator))
    }

    fn leaf(&mut self, leaf: &Condition) -> Result<String, Reason> {
        Ok(match leaf {
            Condition::Compare(left, comparison, right) => {
                let (left, right) = (self.operand(left)?, self.operand(right)?);
                format!("{left} {} {right}", Comparison::as_str(*comparison))
            }
            Condition::Between(operand, low, high) => {
                let (operand, low) = (self.operand(operand)?, self.operand(low)?);
                format!("{operand} BETWEEN {low} AND {}", self.operand(high)?)
            }
            Condition::In(operand, members) => {
                format!("{} IN ({})", self.operand(operand)?, self.list(members)?)
            }
            Condition::IsNull(path) => {
                let null = self.value(AttributeValue::S("NULL".to_owned()));
                format!("attribute_type({}, {null})", self.path(path))
            }
            Condition::IsMissing(path) => format!("attribute_not_exists({})", self.path(path)),
            Condition::Call(function, arguments) => {
                format!("{}({})", Function::as_str(*function), self.list(arguments)?)
            }
            Condition::And(_) | Condition::Or(_) | Condition::Not(_) | Condition::Unknown(_) => {
                return Err("its WHERE holds a condition that is not known".to_owned());
            }
        })
    }

    fn list(&mut self, operands: &[Operand]) -> Result<String, Reason> {
        let operands: Result<Vec<String>, Reason> = operands
            .iter()
            .map(|operand| self.operand(operand))
            .collect();
        Ok(operands?.join(", "))
    }

    fn operand(&mut self, operand: &Operand) -> Result<String, Reason> {
        Ok(match operand {
            Operand::Path(path) => self.path(path),
            Operand::Size(path) => {
                self.n_operators += 1;
                format!("size({})", self.path(path))
            }
            Operand::Literal(literal) => self.value(of_literal(literal)),
            Operand::Placeholder(index) => {
                let value = self.parameters.get(*index).cloned();
                let value = value.ok_or_else(|| "a ? has no value".to_owned())?;
                self.value(value)
            }
        })
    }

    fn path(&mut self, path: &Path) -> String {
        let mut text = String::new();
        for step in &path.steps {
            match step {
                Step::Index(index) => {
                    text.push('[');
                    text.push_str(index);
                    text.push(']');
                }
                Step::Name(name) => {
                    if !text.is_empty() {
                        text.push('.');
                    }
                    let next = format!("#n{}", self.names.len());
                    text.push_str(self.names.entry(name.clone()).or_insert(next));
                }
            }
        }
        text
    }

    fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    pub(super) fn n_operators(&self) -> usize {
        self.n_operators
    }

    /// The bytes of all names and values, their placeholders included.
    pub(super) fn substitution_bytes(&self) -> usize {
        let names = self.names.iter().map(|(name, key)| name.len() + key.len());
        let values = self
            .values
            .iter()
            .map(|(key, value)| key.len() + value_bytes(value));
        names.chain(values).sum()
    }

    /// `ExpressionAttributeNames` and `ExpressionAttributeValues`.
    pub(super) fn into_substitutions(
        self,
    ) -> (HashMap<String, String>, HashMap<String, AttributeValue>) {
        let names = self.names.into_iter().map(|(name, key)| (key, name));
        (names.collect(), self.values)
    }
}

fn of_literal(literal: &Literal) -> AttributeValue {
    match literal {
        Literal::Text(text) => AttributeValue::S(text.clone()),
        Literal::Number(digits) => AttributeValue::N(digits.clone()),
        Literal::Bool(value) => AttributeValue::Bool(*value),
        Literal::Null => AttributeValue::Null(true),
        Literal::List(members) => AttributeValue::L(members.iter().map(of_literal).collect()),
        Literal::Map(members) => {
            let members = members.iter();
            AttributeValue::M(
                members
                    .map(|(name, value)| (name.clone(), of_literal(value)))
                    .collect(),
            )
        }
        Literal::TextSet(members) => AttributeValue::Ss(members.clone()),
        Literal::NumberSet(members) => AttributeValue::Ns(members.clone()),
    }
}

/// The size of a value as text, which is no less than DynamoDB counts.
fn value_bytes(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) | AttributeValue::N(text) => text.len(),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::Ss(texts) | AttributeValue::Ns(texts) => {
            texts.iter().map(String::len).sum()
        }
        AttributeValue::Bs(sets) => sets.iter().map(|bytes| bytes.as_ref().len()).sum(),
        AttributeValue::L(members) => {
            3 + members
                .iter()
                .map(|member| 1 + value_bytes(member))
                .sum::<usize>()
        }
        AttributeValue::M(members) => {
            let members = members.iter();
            3 + members
                .map(|(name, value)| 1 + name.len() + value_bytes(value))
                .sum::<usize>()
        }
        _ => 1,
    }
}
