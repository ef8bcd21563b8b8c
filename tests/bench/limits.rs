//! How long texts without end are looked at before they are refused, and how long recipes take.
//!
//! `cargo bench --no-default-features --bench limits`; a megabyte of anything is to be refused in under 100 ms.

#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

#[path = "../limits/mod.rs"]
mod limits;

use std::hint::black_box;
use std::time::Duration;

use cramplan::source::SourceId;
use cramplan::syntax;
use criterion::{Criterion, criterion_group, criterion_main};

use self::limits::{PIECES, compiled, long};

fn refused(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("refused");
    group.sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(1));
    for piece in PIECES {
        let text = long(piece);
        group.bench_function(piece.escape_default().to_string(), |bencher| {
            bencher.iter(|| compiled("long.ron", black_box(&text)));
        });
    }
    group.finish();
}

fn recipes(criterion: &mut Criterion) {
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    let root = env!("CARGO_MANIFEST_DIR");
    for (name, path) in [("crammed-bert", "recipes/crammed-bert.ron"), ("three imports", "tests/bench/imports/main.ron")] {
        let path = format!("{root}/{path}");
        criterion.bench_function(&format!("check {name}"), |bencher| bencher.iter(|| compiled(&path, &read(&path))));
        let text = read(&path);
        criterion
            .bench_function(&format!("format {name}"), |bencher| bencher.iter(|| syntax::format(SourceId(0), black_box(&text))));
    }
}

criterion_group!(benches, refused, recipes);
criterion_main!(benches);
