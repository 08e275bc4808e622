//! Statements and the Scans that they become.

use aws_sdk_dynamodb::types::AttributeValue;

use super::*;

fn translated(query: &str, parameters: &[AttributeValue]) -> Result<ScanRequest, Reason> {
    let statement = Statement::parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    ScanRequest::translate(&statement, &Analysis::of(&statement), parameters)
}

/// An expression with every placeholder replaced by what it stands for, names in double quotes.
fn filled(expression: Option<&str>, request: &ScanRequest) -> String {
    let mut text = expression.unwrap_or_default().to_owned();
    // `#n10` before `#n1`.
    let names = request.expression_attribute_names.iter().flatten();
    let names = names.map(|(key, name)| (key.clone(), format!("{name:?}")));
    let values = request.expression_attribute_values.iter().flatten();
    let values = values.map(|(key, value)| (key.clone(), written(value)));
    let mut all: Vec<(String, String)> = names.chain(values).collect();
    all.sort_by_key(|(key, _)| std::cmp::Reverse(key.len()));
    for (key, meaning) in all {
        text = text.replace(&key, &meaning);
    }
    text
}

fn written(value: &AttributeValue) -> String {
    match value {
        AttributeValue::M(members) => {
            let mut members: Vec<_> = members
                .iter()
                .map(|(name, value)| format!("{name}: {}", written(value)))
                .collect();
            members.sort();
            format!("M({})", members.join(", "))
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn conditions_are_written_as_a_filter_expression() {
    let parameters = ["7", "8"].map(|digits| AttributeValue::N(digits.to_owned()));
    for (condition, expected) in [
        ("x = 1", r#""x" = N("1")"#),
        ("5 <= x", r#"N("5") <= "x""#),
        ("x != 'it''s'", r#""x" <> S("it's")"#),
        ("x > ? AND y < ?", r#""x" > N("7") AND "y" < N("8")"#),
        ("x BETWEEN ? AND 1E5", r#""x" BETWEEN N("7") AND N("1E5")"#),
        (
            "x NOT BETWEEN 1 AND 2",
            r#"NOT "x" BETWEEN N("1") AND N("2")"#,
        ),
        ("x IN [1, ?, y]", r#""x" IN (N("1"), N("7"), "y")"#),
        ("x NOT IN (1)", r#"NOT "x" IN (N("1"))"#),
        ("x IN <<'a'>>", r#""x" IN (S("a"))"#),
        ("x IS NULL", r#"attribute_type("x", S("NULL"))"#),
        ("x IS NOT NULL", r#"NOT attribute_type("x", S("NULL"))"#),
        ("a.b IS MISSING", r#"attribute_not_exists("a"."b")"#),
        ("x IS NOT MISSING", r#"NOT attribute_not_exists("x")"#),
        ("Begins_With(s, 'a')", r#"begins_with("s", S("a"))"#),
        ("contains(s, y)", r#"contains("s", "y")"#),
        ("attribute_type(x, 'S')", r#"attribute_type("x", S("S"))"#),
        ("attribute_exists(x)", r#"attribute_exists("x")"#),
        ("SIZE(a.b[0]) >= 3", r#"size("a"."b"[0]) >= N("3")"#),
        (
            r#""a.b"['c d'][01] = true"#,
            r#""a.b"."c d"[1] = Bool(true)"#,
        ),
        ("x = NULL", r#""x" = Null(true)"#),
        ("x = -1", r#""x" = N("-1")"#),
        ("x = - .5", r#""x" = N("-0.5")"#),
        ("x = +5.", r#""x" = N("5")"#),
        (
            "x = 12345678901234567890123456789012345678",
            r#""x" = N("12345678901234567890123456789012345678")"#,
        ),
        ("x = 1.0", r#""x" = N("1.0")"#),
        (
            "x = ['a', [1], null]",
            r#""x" = L([S("a"), L([N("1")]), Null(true)])"#,
        ),
        ("x = {'b': 1, 'a': {}}", r#""x" = M(a: M(), b: N("1"))"#),
        ("x = <<'a', 'b'>>", r#""x" = Ss(["a", "b"])"#),
        ("x = <<1, -2>>", r#""x" = Ns(["1", "-2"])"#),
        ("x = []", r#""x" = L([])"#),
        (
            "a = 1 OR b = 2 AND c = 3",
            r#""a" = N("1") OR ("b" = N("2") AND "c" = N("3"))"#,
        ),
        (
            "(a = 1 OR b = 2) AND c = 3",
            r#"("a" = N("1") OR "b" = N("2")) AND "c" = N("3")"#,
        ),
        (
            "((a = 1)) AND (b = 2 AND (c = 3))",
            r#""a" = N("1") AND "b" = N("2") AND "c" = N("3")"#,
        ),
        (
            "NOT (a = 1 OR b = 2)",
            r#"NOT ("a" = N("1") OR "b" = N("2"))"#,
        ),
        ("NOT NOT (a = 1)", r#"NOT NOT "a" = N("1")"#),
        (
            "NOT a = 1 AND b = 2",
            r#"NOT "a" = N("1") AND "b" = N("2")"#,
        ),
        ("(x) = (1)", r#""x" = N("1")"#),
        ("x = y", r#""x" = "y""#),
        ("x = 1 OR x = 2", r#""x" = N("1") OR "x" = N("2")"#),
    ] {
        let query = format!("SELECT * FROM t WHERE {condition}");
        let request =
            translated(&query, &parameters).unwrap_or_else(|why| panic!("{query}: {why}"));
        assert_eq!(
            filled(request.filter_expression.as_deref(), &request),
            expected,
            "{query}"
        );
    }
}

#[test]
fn what_is_not_known_is_said_with_its_position() {
    for (condition, column) in [
        ("x + 1 = 2", 23),
        ("a = 1 AND b", 33),
        ("x = MISSING", 23),
        ("x IN ?", 23),
        ("x = {'k': ?}", 23),
        ("x = {k: 1}", 23),
        ("x = <<>>", 23),
        ("x = <<1, 'a'>>", 23),
        ("x = <<true>>", 23),
        ("x = {'a': 1, 'a': 2}", 23),
        ("x = -?", 23),
        ("x = 'a' || 'b'", 23),
        ("foo(x)", 23),
        ("NOT (a = 1 OR begins_with(x))", 37),
        ("a IS UNKNOWN", 23),
        ("a = 1 = 2", 23),
        (r#""begins_with"(x, 'a')"#, 23),
        ("x = DATE '2026-01-01'", 23),
    ] {
        let why = translated(&format!("SELECT * FROM t WHERE {condition}"), &[]).unwrap_err();
        assert!(
            why.contains(&format!("(line 1, column {column})")),
            "{condition}: {why}"
        );
    }
}

#[test]
fn a_select_list_becomes_a_projection_with_the_way_to_each_column() {
    let request = translated(
        r#"SELECT "id", m.k, m['d'].e FROM "t"."by-x" WHERE m.k = 1"#,
        &[],
    )
    .unwrap();
    assert_eq!(
        filled(request.projection_expression.as_deref(), &request),
        r#""id", "m"."k", "m"."d"."e""#
    );
    assert_eq!(
        filled(request.filter_expression.as_deref(), &request),
        r#""m"."k" = N("1")"#
    );
    assert_eq!(request.index_name.as_deref(), Some("by-x"));
    let columns: Vec<String> = request
        .columns
        .unwrap()
        .iter()
        .map(|path| path.join("/"))
        .collect();
    assert_eq!(columns, ["id", "m/k", "m/d/e"]);
    // Each name once, however often it is used.
    assert_eq!(request.expression_attribute_names.unwrap().len(), 5);
    for (list, why) in [
        ("a, l[0]", "index"),
        ("a, l[0].b", "index"),
        ("size(a)", "SELECT list"),
    ] {
        let reason = translated(&format!("SELECT {list} FROM t"), &[]).unwrap_err();
        assert!(reason.contains(why), "{list}: {reason}");
    }
}

#[test]
fn select_all_without_a_where_is_a_bare_scan() {
    let request = translated("SELECT * FROM t", &[]).unwrap();
    assert_eq!(
        request,
        ScanRequest {
            table_name: "t".to_owned(),
            index_name: None,
            filter_expression: None,
            projection_expression: None,
            expression_attribute_names: None,
            expression_attribute_values: None,
            columns: None,
        }
    );
}

#[test]
fn the_bounds_of_a_scan_are_reasons() {
    let many = |n: usize| format!("SELECT * FROM t WHERE {}", vec!["a=1"; n].join(" OR "));
    assert!(translated(&many(150), &[]).is_ok());
    assert!(
        translated(&many(151), &[])
            .unwrap_err()
            .contains("300 operators")
    );
    let members = |n: usize| format!("SELECT * FROM t WHERE x IN [{}]", vec!["1"; n].join(","));
    assert!(translated(&members(400), &[]).is_ok());
    assert!(
        translated(&members(1000), &[])
            .unwrap_err()
            .contains("4096 bytes")
    );
    let large = [AttributeValue::S("x".repeat(MAX_SUBSTITUTION_BYTES))];
    let why = translated("SELECT * FROM t WHERE x = ?", &large).unwrap_err();
    assert!(why.contains("2 MB"), "{why}");
}
