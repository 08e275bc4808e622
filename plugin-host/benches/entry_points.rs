//! What one empty call costs through each set of entry points of a loaded library, beside a function call that gives the same bytes.
//!
//! `cargo bench -p plugin-host`. The goal is at most 150 ns over the function call.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use plugin_host::{CallOptions, Library, testing::build_library};

const JOB: &[u8] = br#"{"id":"3f0c"}"#;

#[inline(never)]
fn plain(job: &[u8]) -> Vec<u8> {
    black_box(job);
    b"{}".to_vec()
}

fn entry_points(criterion: &mut Criterion) {
    let file = build_library(
        env!("CARGO_MANIFEST_DIR"),
        &["--release", "--example", "empty"],
    );
    let library = Library::load(&file, None).expect("the library was just built");
    library.open("{}").expect("it opens");
    let options = CallOptions::default();
    let mut group = criterion.benchmark_group("one empty call");
    group.bench_function("plain function", |b| b.iter(|| plain(black_box(JOB))));
    group.bench_function("Rust entry point", |b| {
        b.iter(|| {
            library
                .run_job(black_box(JOB), &options)
                .expect("it answers")
        })
    });
    group.bench_function("C entry point, copied and freed", |b| {
        b.iter(|| {
            library
                .run_job_by_c(black_box(JOB), &options)
                .expect("it answers")
        })
    });
    group.finish();
}

criterion_group!(benches, entry_points);
criterion_main!(benches);
