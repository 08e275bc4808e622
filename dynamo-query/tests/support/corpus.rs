//! Reads `statements.txt`, whose head explains its form.

/// One statement and what the guard must make of it.
#[derive(Debug)]
pub struct Case {
    /// Where it stands in the file, for messages.
    pub line: usize,
    /// The user's text.
    pub query: String,
    /// What must come of it.
    pub outcome: Outcome,
}

/// What must come of a statement.
#[derive(Debug)]
pub enum Outcome {
    /// It passes.
    Passes(Passes),
    /// It is refused.
    Refused(Refused),
}

/// What is read off a statement that passes.
#[derive(Debug, Default)]
pub struct Passes {
    pub sent: String,
    pub table: String,
    pub index: Option<String>,
    pub placeholders: usize,
    pub selective: bool,
    pub columns: Option<Vec<String>>,
}

/// How a statement is refused.
#[derive(Debug)]
pub struct Refused {
    /// Whether it is a write in disguise.
    pub write: bool,
    pub code: String,
    pub line: u32,
    pub column: u32,
    /// A word of the message or the hint.
    pub word: String,
}

/// All cases, in the file's order.
pub fn cases() -> Vec<Case> {
    let mut lines = include_str!("../statements.txt")
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let mut cases = Vec::new();
    while let Some((number, line)) = lines.next() {
        let (mark, query) = line.split_once(' ').expect("a mark and a statement");
        let query = unescaped(query);
        let (_, next) = lines.next().expect("a line with the outcome");
        let outcome = match mark {
            "+" => match next.strip_prefix("  sent: ") {
                Some(sent) => {
                    let (_, next) = lines.next().expect("a line behind `sent:`");
                    passes(unescaped(sent), next)
                }
                None => passes(query.clone(), next),
            },
            "-" => refused(false, next),
            "!" => refused(true, next),
            _ => panic!("line {}: unknown mark {mark}", number + 1),
        };
        cases.push(Case {
            line: number + 1,
            query,
            outcome,
        });
    }
    cases
}

fn passes(sent: String, line: &str) -> Outcome {
    let mut out = Passes {
        sent,
        ..Passes::default()
    };
    for field in line.strip_prefix("  ").expect("two blanks").split("; ") {
        match field.split_once(": ") {
            None if field == "where" => out.selective = true,
            Some(("table", table)) => out.table = table.to_owned(),
            Some(("index", index)) => out.index = Some(index.to_owned()),
            Some(("placeholders", count)) => out.placeholders = count.parse().expect("a count"),
            Some(("columns", "*")) => out.columns = None,
            Some(("columns", names)) => {
                out.columns = Some(names.split(" | ").map(str::to_owned).collect());
            }
            _ => panic!("unknown field {field}"),
        }
    }
    Outcome::Passes(out)
}

fn refused(write: bool, line: &str) -> Outcome {
    let mut words = line.trim_start().splitn(3, ' ');
    let mut word = || words.next().expect("code, position and word").to_owned();
    let (code, position) = (word(), word());
    let (line, column) = position.split_once(':').expect("line:column");
    Outcome::Refused(Refused {
        write,
        code,
        line: line.parse().expect("a line"),
        column: column.parse().expect("a column"),
        word: unescaped(&word()),
    })
}

fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        out.push(match chars.next() {
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('0') => '\0',
            Some('\\') => '\\',
            Some('u') => {
                let digits: String = chars.by_ref().take_while(|&c| c != '}').skip(1).collect();
                u32::from_str_radix(&digits, 16)
                    .ok()
                    .and_then(char::from_u32)
                    .unwrap_or_else(|| panic!("no character {digits}"))
            }
            other => panic!("unknown escape {other:?}"),
        });
    }
    out
}
