//! What the statement guard costs: a statement should take about 2 µs, far below a request's cost.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dynamo_query::statement::Statement;

fn guard(criterion: &mut Criterion) {
    let longest = format!(
        "SELECT * FROM books WHERE id IN ['{}']",
        "x".repeat(8192 - 37)
    );
    let statements = [
        ("short", "SELECT * FROM my_table WHERE category = 'books'"),
        (
            "usual",
            "SELECT id, title, price, a.b[0].c, \"order\" FROM \"books\".\"by-category\" \
             WHERE category = ? AND price BETWEEN 5 AND 10 AND begins_with(title, 'The ') ORDER BY price DESC;",
        ),
        (
            "comments",
            "SELECT id, -- the key\n title /* as printed */\nFROM books -- all\nWHERE id = ?",
        ),
        ("write", "UPDATE books SET price = 1 WHERE id = '1'"),
        ("longest", longest.as_str()),
    ];
    let mut group = criterion.benchmark_group("guard");
    for (name, statement) in statements {
        group.throughput(Throughput::Bytes(statement.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| Statement::parse(black_box(statement)));
        });
    }
    group.finish();
}

criterion_group!(benches, guard);
criterion_main!(benches);
