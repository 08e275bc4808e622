//! The conditions and keys behind the table: whether an operand or an operator comes next, and nothing more.
//!
//! In: the tokens from WHERE or ORDER on. Out: the first thing that DynamoDB is certain to refuse. A clause word counts
//! only where a clause can start, behind a complete operand, so that an attribute called `offset` passes.

use super::{
    Problem,
    lexer::{Kind, Token},
    unsupported,
};

/// Words after which an operand comes.
const EXPECT_OPERAND: [&str; 12] = [
    "WHERE", "AND", "OR", "NOT", "IN", "IS", "BETWEEN", "BY", "WHEN", "THEN", "ELSE", "ESCAPE",
];

/// Words that may stand behind a complete operand.
const MAY_FOLLOW: [&str; 18] = [
    "AND", "OR", "NOT", "IN", "IS", "BETWEEN", "ORDER", "ASC", "DESC", "NULLS", "WHEN", "THEN",
    "ELSE", "END", "ESCAPE", "AS", "AT", "FOR",
];

/// Follows operands and operators through `rest`, the tokens from WHERE or ORDER to the statement's `end`.
pub(super) fn check(query: &str, rest: &[Token], end: usize) -> Result<(), Problem> {
    let mut after_operand = false;
    for (index, token) in rest.iter().enumerate() {
        let previous = index.checked_sub(1).map(|before| &rest[before]);
        if after_operand {
            follows_operand(query, previous, token)?;
        }
        if token.is_word(query, "ORDER")
            && (index == 0 || after_operand)
            && !rest
                .get(index + 1)
                .is_some_and(|next| next.is_word(query, "BY"))
        {
            return Err(Problem::new(
                token.start,
                "ORDER is not followed by BY",
                "write ORDER BY and a key attribute; a name such as order is written in double quotes",
            ));
        }
        after_operand = match token.kind {
            // `a NOT LIKE` and `a NOT IN`: the operator is still to come.
            Kind::Word if token.is_word(query, "NOT") => after_operand,
            Kind::Word if index == 0 || (after_operand && token.is_word(query, "ORDER")) => false,
            Kind::Word => !EXPECT_OPERAND.iter().any(|word| token.is_word(query, word)),
            Kind::Name | Kind::Text | Kind::Number | Kind::Placeholder | Kind::BagClose => true,
            Kind::Symbol(b')' | b']' | b'}') => true,
            Kind::Symbol(_) | Kind::Operator | Kind::BagOpen => false,
        };
    }
    match rest.last() {
        Some(last) if !after_operand => Err(Problem::new(
            end,
            format!("the statement breaks off behind {}", last.text(query)),
            "complete the condition, or leave the last word out",
        )),
        _ => Ok(()),
    }
}

/// What stands behind a complete operand must be an operator, a clause, or something that only DynamoDB can judge.
fn follows_operand(query: &str, previous: Option<&Token>, token: &Token) -> Result<(), Problem> {
    if token.kind == Kind::Word {
        if let Some(problem) = unsupported::clause(query, token) {
            return Err(problem);
        }
        if MAY_FOLLOW.iter().any(|word| token.is_word(query, word)) {
            return Ok(());
        }
    }
    let operand = matches!(
        token.kind,
        Kind::Word | Kind::Name | Kind::Text | Kind::Number | Kind::Placeholder
    );
    // Behind a bare word it may be a type's second word or a typed literal: DATE '2026-01-01'.
    let Some(previous) = previous.filter(|previous| operand && previous.kind != Kind::Word) else {
        return Ok(());
    };
    Err(Problem::new(
        token.start,
        format!(
            "'{}' follows '{}' without an operator between them",
            token.text(query),
            previous.text(query)
        ),
        "put AND, OR or a comparison between them; a single quote inside a string is written twice: 'it''s'",
    ))
}
