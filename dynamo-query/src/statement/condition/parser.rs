//! The parser behind [`Condition::read`]: recursive descent that never fails.

use super::{
    super::lexer::{Kind, Token},
    Comparison, Condition, Function, Literal, Operand, Path, Unknown,
};

/// Deeper brackets and NOTs are not followed, so that no text can exhaust the stack.
const MAX_DEPTH: usize = 100;

/// A position in the tokens of one WHERE.
pub(super) struct Parser<'q> {
    query: &'q str,
    tokens: &'q [Token],
    at: usize,
    /// `?`s that stand before the first token.
    first_placeholder: usize,
    depth: usize,
}

impl<'q> Parser<'q> {
    pub(super) fn new(query: &'q str, tokens: &'q [Token], first_placeholder: usize) -> Self {
        Self {
            query,
            tokens,
            at: 0,
            first_placeholder,
            depth: 0,
        }
    }

    pub(super) fn whole(mut self) -> Condition {
        let condition = self.or();
        if self.at < self.tokens.len() {
            // Only a closing bracket ends a condition before the tokens do, and the guard has seen that they match.
            return self.unknown(0, self.tokens.len());
        }
        condition
    }

    fn or(&mut self) -> Condition {
        let mut parts = Vec::new();
        loop {
            match self.and() {
                Condition::Or(inner) => parts.extend(inner),
                part => parts.push(part),
            }
            if !self.take_word("OR") {
                return single(parts).unwrap_or_else(Condition::Or);
            }
        }
    }

    fn and(&mut self) -> Condition {
        let mut parts = Vec::new();
        loop {
            match self.not() {
                Condition::And(inner) => parts.extend(inner),
                part => parts.push(part),
            }
            if !self.take_word("AND") {
                return single(parts).unwrap_or_else(Condition::And);
            }
        }
    }

    fn not(&mut self) -> Condition {
        let start = self.at;
        if self.depth < MAX_DEPTH && self.take_word("NOT") {
            self.depth += 1;
            let inner = self.not();
            self.depth -= 1;
            return Condition::Not(Box::new(inner));
        }
        let found = self.predicate().or_else(|| {
            self.at = start;
            self.in_brackets()
        });
        match found {
            Some(condition) if self.at_end_of_predicate() => condition,
            _ => {
                self.at = start;
                self.skip_to_end_of_predicate();
                self.unknown(start, self.at)
            }
        }
    }

    /// `( condition )`.
    fn in_brackets(&mut self) -> Option<Condition> {
        if self.depth >= MAX_DEPTH || !self.take(Kind::Symbol(b'(')) {
            return None;
        }
        self.depth += 1;
        let inner = self.or();
        self.depth -= 1;
        self.take(Kind::Symbol(b')')).then_some(inner)
    }

    fn predicate(&mut self) -> Option<Condition> {
        if let Some(call) = self.call() {
            return Some(call);
        }
        let left = self.operand(0)?;
        if let Some(comparison) = self.comparison() {
            let right = self.operand(0)?;
            return Some(Condition::Compare(left, comparison, right));
        }
        if self.take_word("IS") {
            return self.is(left);
        }
        let negated = self.take_word("NOT");
        let condition = if self.take_word("BETWEEN") {
            let low = self.operand(0)?;
            self.take_word("AND").then_some(())?;
            Condition::Between(left, low, self.operand(0)?)
        } else if self.take_word("IN") {
            Condition::In(left, self.members()?)
        } else {
            return None;
        };
        Some(if negated {
            Condition::Not(Box::new(condition))
        } else {
            condition
        })
    }

    /// What follows `operand IS`.
    fn is(&mut self, left: Operand) -> Option<Condition> {
        let Operand::Path(path) = left else {
            return None;
        };
        let negated = self.take_word("NOT");
        let condition = if self.take_word("NULL") {
            Condition::IsNull(path)
        } else if self.take_word("MISSING") {
            Condition::IsMissing(path)
        } else {
            return None;
        };
        Some(if negated {
            Condition::Not(Box::new(condition))
        } else {
            condition
        })
    }

    /// A function that is a condition by itself.
    fn call(&mut self) -> Option<Condition> {
        let [name, open, ..] = &self.tokens[self.at..] else {
            return None;
        };
        let function = Function::ALL
            .into_iter()
            .find(|function| name.is_word(self.query, function.as_str()))
            .filter(|_| open.kind == Kind::Symbol(b'('))?;
        self.at += 1;
        let arguments = self.members()?;
        let fits = match (function, arguments.as_slice()) {
            (Function::BeginsWith | Function::Contains, [_, _]) => true,
            (Function::AttributeType, [Operand::Path(_), kind]) => kind.is_constant(),
            (Function::AttributeExists | Function::AttributeNotExists, [Operand::Path(_)]) => true,
            _ => false,
        };
        fits.then_some(Condition::Call(function, arguments))
    }

    /// `(a, b)`, `[a, b]` or `<<a, b>>` with at least one member.
    fn members(&mut self) -> Option<Vec<Operand>> {
        let close = match self.tokens.get(self.at)?.kind {
            Kind::Symbol(b'(') => Kind::Symbol(b')'),
            Kind::Symbol(b'[') => Kind::Symbol(b']'),
            Kind::BagOpen => Kind::BagClose,
            _ => return None,
        };
        self.at += 1;
        let mut members = vec![self.operand(0)?];
        while self.take(Kind::Symbol(b',')) {
            members.push(self.operand(0)?);
        }
        self.take(close).then_some(members)
    }

    fn operand(&mut self, depth: usize) -> Option<Operand> {
        if depth < MAX_DEPTH && self.take(Kind::Symbol(b'(')) {
            let inner = self.operand(depth + 1)?;
            return self.take(Kind::Symbol(b')')).then_some(inner);
        }
        let rest = &self.tokens[self.at..];
        let (operand, length) = match rest {
            [first, ..] if first.kind == Kind::Placeholder => {
                let before = self.tokens[..self.at]
                    .iter()
                    .filter(|token| token.kind == Kind::Placeholder);
                (
                    Operand::Placeholder(self.first_placeholder + before.count()),
                    1,
                )
            }
            [name, open, inner @ ..]
                if name.is_word(self.query, "SIZE") && open.kind == Kind::Symbol(b'(') =>
            {
                let (path, length) = Path::read(self.query, inner)?;
                let close = inner.get(length)?;
                (close.kind == Kind::Symbol(b')')).then_some(())?;
                (Operand::Size(path), length + 3)
            }
            _ => match Literal::read(self.query, rest) {
                Some((literal, length)) => (Operand::Literal(literal), length),
                None => self.path(rest)?,
            },
        };
        self.at += length;
        Some(operand)
    }

    /// A path that is no word of the language and no function's name.
    fn path(&self, rest: &[Token]) -> Option<(Operand, usize)> {
        const RESERVED: [&str; 8] = [
            "AND", "OR", "NOT", "IN", "IS", "BETWEEN", "MISSING", "EXISTS",
        ];
        let is_reserved = RESERVED.iter().any(|word| {
            rest.first()
                .is_some_and(|first| first.is_word(self.query, word))
        });
        let (path, length) = Path::read(self.query, rest).filter(|_| !is_reserved)?;
        let is_call = rest
            .get(length)
            .is_some_and(|next| next.kind == Kind::Symbol(b'('));
        (!is_call).then_some((Operand::Path(path), length))
    }

    fn comparison(&mut self) -> Option<Comparison> {
        let token = self.tokens.get(self.at)?;
        let comparison = match token.text(self.query) {
            "=" => Comparison::Equal,
            "<>" | "!=" => Comparison::NotEqual,
            "<" => Comparison::Less,
            "<=" => Comparison::LessOrEqual,
            ">" => Comparison::Greater,
            ">=" => Comparison::GreaterOrEqual,
            _ => return None,
        };
        self.at += 1;
        Some(comparison)
    }

    fn take(&mut self, kind: Kind) -> bool {
        let taken = self
            .tokens
            .get(self.at)
            .is_some_and(|token| token.kind == kind);
        self.at += usize::from(taken);
        taken
    }

    fn take_word(&mut self, word: &str) -> bool {
        let taken = self
            .tokens
            .get(self.at)
            .is_some_and(|token| token.is_word(self.query, word));
        self.at += usize::from(taken);
        taken
    }

    fn at_end_of_predicate(&self) -> bool {
        self.tokens.get(self.at).is_none_or(|token| {
            token.is_word(self.query, "AND")
                || token.is_word(self.query, "OR")
                || token.kind == Kind::Symbol(b')')
        })
    }

    /// Moves to the next AND, OR or closing bracket that belongs to no bracket opened on the way.
    fn skip_to_end_of_predicate(&mut self) {
        let mut open = 0_usize;
        while let Some(token) = self.tokens.get(self.at) {
            if open == 0 && self.at_end_of_predicate() {
                return;
            }
            match token.kind {
                Kind::Symbol(b'(' | b'[' | b'{') | Kind::BagOpen => open += 1,
                Kind::Symbol(b')' | b']' | b'}') | Kind::BagClose => {
                    open = open.saturating_sub(1);
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    fn unknown(&self, from: usize, to: usize) -> Condition {
        let tokens = &self.tokens[from..to];
        let at = tokens.first().or(self.tokens.last());
        Condition::Unknown(Unknown {
            at: at.map_or(0, |token| token.start),
            may_equal: tokens
                .iter()
                .any(|token| token.kind == Kind::Symbol(b'=') || token.is_word(self.query, "IN")),
        })
    }
}

/// The only part, or all of them back.
fn single(mut parts: Vec<Condition>) -> Result<Condition, Vec<Condition>> {
    if parts.len() == 1 {
        Ok(parts.swap_remove(0))
    } else {
        Err(parts)
    }
}
