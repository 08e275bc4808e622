//! The size of the document, and its end.

use super::{NO_LIMIT, attempt, page};
use crate::{
    decode::DecodeError,
    table::{Stats, Table},
};

#[test]
fn the_document_may_be_exactly_as_large_as_allowed() {
    for pages in [
        vec![page(r#"{"a":{"N":"1"}}"#)],
        vec![
            page("{},{}"),
            page(r#"{"b":{"S":"x"},"c":{"N":"1"}},{"a":{"N":"1"}}"#),
            page(""),
        ],
    ] {
        let of = |max: usize| {
            let mut table = Table::new(None, None, max as u64);
            for body in &pages {
                attempt(&mut table, body, usize::MAX)?;
                table.commit_page();
            }
            table.finish(&Stats::default())
        };
        let size = of(1 << 20).expect("fits").len();
        assert_eq!(of(size).map(|document| document.len()), Ok(size));
        let limit = size as u64 - 1;
        assert_eq!(of(size - 1), Err(DecodeError::TooLarge { limit }));
    }
}

#[test]
fn too_large_is_told_as_soon_as_the_nulls_to_come_make_it_certain() {
    const LIMIT: u64 = 1_000_000;
    let mut table = Table::new(None, None, LIMIT);
    table.begin_attempt();
    table
        .feed(br#"{"Items":[{"c":{"N":"1"}}"#)
        .expect("the first");
    let mut n_rows = 1_u64;
    let error = loop {
        match table.feed(format!(r#",{{"c{n_rows}":{{"N":"1"}}}}"#).as_bytes()) {
            Ok(()) => n_rows += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, DecodeError::TooLarge { limit: LIMIT });
    assert!(!error.is_retryable());
    // n rows of n cells, nearly all of them `null,`.
    let bytes = 5 * n_rows * n_rows;
    assert!(
        (bytes..bytes + 100 * n_rows).contains(&LIMIT),
        "after {n_rows} rows"
    );
}

#[test]
fn stats_keep_their_keys_order_and_nulls() {
    let stats = Stats {
        rows: 2,
        consumed_capacity_units: Some(0.5),
        elapsed_ms: 12,
        ..Stats::default()
    };
    let document = Table::new(None, None, NO_LIMIT)
        .finish(&stats)
        .expect("a document");
    assert_eq!(
        String::from_utf8(document).expect("UTF-8"),
        r#"{"columns":[],"data":[],"stats":{"rows":2,"pages":0,"items_evaluated":null,"requests":0,"retries":0,"consumed_capacity_units":0.5,"wire_bytes":0,"elapsed_ms":12,"truncated":false,"next_token":null,"segments":0,"waited_ms":0}}"#
    );
}
