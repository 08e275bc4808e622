//! What is known of a WHERE: a tree of the conditions that a Scan's `FilterExpression` has as well.
//!
//! In: the tokens between WHERE and ORDER BY. Out: a [`Condition`] for any tokens: what the closed grammar below does not hold
//! becomes [`Condition::Unknown`] up to the next AND, OR or closing bracket, so that the rest stays readable. It refuses nothing:
//! the guard has passed the statement, and DynamoDB has the last word.
//!
//! The grammar is what was compared on DynamoDB Local, PartiQL beside `FilterExpression`, item for item:
//!
//! ```text
//! condition  = and { OR and }                and  = not { AND not }          not = NOT not | predicate
//! predicate  = operand comparison operand    | operand [NOT] BETWEEN operand AND operand
//!            | operand [NOT] IN (operand, …)  — or [operand, …], <<operand, …>>
//!            | path IS [NOT] NULL            | path IS [NOT] MISSING
//!            | begins_with(operand, operand) | contains(operand, operand)   | attribute_type(path, operand)
//!            | attribute_exists(path)        | attribute_not_exists(path)   | ( condition )
//! operand    = path | literal | ? | size(path) | ( operand )
//! ```

mod literal;
mod parser;

pub(crate) use self::literal::Literal;
use super::{lexer::Token, path::Path};

/// A condition, or what could not be read as one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Condition {
    /// All of them, at least two, none itself an AND.
    And(Vec<Condition>),
    /// One of them, at least two, none itself an OR.
    Or(Vec<Condition>),
    Not(Box<Condition>),
    Compare(Operand, Comparison, Operand),
    /// `x BETWEEN low AND high`.
    Between(Operand, Operand, Operand),
    /// `x IN (…)` with at least one member.
    In(Operand, Vec<Operand>),
    IsNull(Path),
    IsMissing(Path),
    Call(Function, Vec<Operand>),
    Unknown(Unknown),
}

/// Tokens that the grammar does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unknown {
    /// Where they begin in the statement's text, as a byte offset.
    pub(crate) at: usize,
    /// Whether `=` or IN is among them.
    pub(crate) may_equal: bool,
}

/// A comparison, written as `FilterExpression` writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A function that is a condition by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    BeginsWith,
    Contains,
    AttributeType,
    AttributeExists,
    AttributeNotExists,
}

/// What is compared.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operand {
    Path(Path),
    Literal(Literal),
    /// The n-th `?` of the statement, counted from 0.
    Placeholder(usize),
    /// `size(path)`.
    Size(Path),
}

impl Condition {
    /// Reads `tokens`; `first_placeholder` is how many `?` stand before them in the statement.
    pub(super) fn read(query: &str, tokens: &[Token], first_placeholder: usize) -> Self {
        parser::Parser::new(query, tokens, first_placeholder).whole()
    }

    /// The first part that is not known.
    pub(crate) fn unknown(&self) -> Option<&Unknown> {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().find_map(Self::unknown),
            Self::Not(inner) => inner.unknown(),
            Self::Unknown(unknown) => Some(unknown),
            _ => None,
        }
    }
}

impl Comparison {
    /// As `FilterExpression` writes it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

impl Function {
    const ALL: [Self; 5] = [
        Self::BeginsWith,
        Self::Contains,
        Self::AttributeType,
        Self::AttributeExists,
        Self::AttributeNotExists,
    ];

    /// As `FilterExpression` writes it; PartiQL takes any case.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::BeginsWith => "begins_with",
            Self::Contains => "contains",
            Self::AttributeType => "attribute_type",
            Self::AttributeExists => "attribute_exists",
            Self::AttributeNotExists => "attribute_not_exists",
        }
    }
}

impl Operand {
    /// The attribute that the operand is; `None` for a path inside one and everything else.
    pub(crate) fn attribute(&self) -> Option<&str> {
        match self {
            Self::Path(path) => path.attribute(),
            _ => None,
        }
    }

    /// Whether the value is known without an item: a literal or a `?`.
    pub(crate) fn is_constant(&self) -> bool {
        matches!(self, Self::Literal(_) | Self::Placeholder(_))
    }
}
