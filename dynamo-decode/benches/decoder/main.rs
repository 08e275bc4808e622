//! The decoder alone: pages in memory, in pieces as a socket gives them, to the result document. Plain is serde, the arbiter;
//! predicting is what jobs use. `cargo bench -p dynamo-decode --bench decoder`.

mod pages;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use dynamo_decode::{Stats, Table};

const PIECE: usize = 64 << 10;

fn document(mut table: Table, pages: &[String]) -> Vec<u8> {
    for page in pages {
        table.begin_attempt();
        for piece in page.as_bytes().chunks(PIECE) {
            table.feed(piece).expect("a sound page");
        }
        table.end_attempt().expect("a sound page");
        table.commit_page();
    }
    table.finish(&Stats::default()).expect("a document")
}

fn decoder(criterion: &mut Criterion) {
    for (name, pages) in [
        ("flat", pages::flat(8 << 20)),
        ("nested", pages::nested(8 << 20)),
    ] {
        let n_bytes: usize = pages.iter().map(String::len).sum();
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(n_bytes as u64));
        let table = || Table::new(None, None, 1 << 30);
        group.bench_function("predicting", |bench| {
            let run = |table| black_box(document(table, &pages));
            bench.iter_batched(table, run, BatchSize::PerIteration);
        });
        group.bench_function("plain", |bench| {
            let run = |table| black_box(document(table, &pages));
            bench.iter_batched(
                || table().without_prediction(),
                run,
                BatchSize::PerIteration,
            );
        });
        group.finish();
    }
}

criterion_group!(benches, decoder);
criterion_main!(benches);
