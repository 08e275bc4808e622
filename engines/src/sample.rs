//! The demo's data: the source document's books, and a table that shows every attribute type.
//!
//! Data only; [`crate::embedded::Embedded::load`] takes it.

use serde_json::{Value, json};

/// The source document's table.
pub const BOOKS: &str = "my_table";

/// The table with an attribute of every type.
pub const EVERY_TYPE: &str = "every_type";

/// Both tables, in the form of [`crate::tables`].
///
/// The second book's price, 15.50 in the source document, is stored as 15.5: DynamoDB keeps numbers without
/// trailing zeros, so no table ever holds the former.
pub fn tables() -> Value {
    json!({BOOKS: books(), EVERY_TYPE: every_type()})
}

fn books() -> Value {
    json!([
        {"id": {"S": "123"}, "category": {"S": "books"}, "price": {"N": "12.99"}},
        {"id": {"S": "124"}, "category": {"S": "books"}, "price": {"N": "15.5"}},
        {"id": {"S": "125"}, "category": {"S": "games"}, "price": {"N": "30"}, "players": {"N": "2"}},
    ])
}

/// `a-1` has one attribute of each type; each later item brings an attribute that none before it has.
fn every_type() -> Value {
    json!([
        {
            "id": {"S": "a-1"},
            "text": {"S": "dünn & \"quoted\"\nsecond line"},
            "count": {"N": "42"},
            "digits": {"N": "12345678901234567890123456789012345678"},
            "ratio": {"N": "0.25"},
            "raw": {"B": "AAEC/w=="},
            "flag": {"BOOL": true},
            "nothing": {"NULL": true},
            "words": {"SS": ["one", "two"]},
            "numbers": {"NS": ["1", "2.5", "-3"]},
            "blobs": {"BS": ["AQ==", "Ag=="]},
            "list": {"L": [{"S": "x"}, {"N": "1"}, {"NULL": true}, {"L": []}]},
            "map": {"M": {"inner": {"M": {"dots.in.name": {"N": "7"}}}}},
        },
        {"id": {"S": "b-2"}, "count": {"N": "-7"}, "digits": {"N": "0.001"}, "flag": {"BOOL": false}},
        {"id": {"S": "c-3"}, "count": {"N": "9223372036854775807"}, "added_later": {"S": "since version 2"}},
        {"id": {"S": "d-4"}, "mixed": {"S": "a word here"}, "S": {"S": "a column called S"}},
        {"id": {"S": "e-5"}, "mixed": {"N": "5"}, "last_of_all": {"B": "bGFzdA=="}},
    ])
}
