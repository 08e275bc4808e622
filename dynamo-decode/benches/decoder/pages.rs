//! The two data sets of the decoder's benchmark, as the bodies of 1 MB pages.
//!
//! Flat: ten scalar attributes, about 300 bytes an item. Nested: list, map, set, binary and null, about 600. Attributes come in an
//! order that is neither sorted nor changes, as DynamoDB sends them.

/// DynamoDB ends a page at this size.
const PAGE: usize = 1 << 20;

/// Pages of about `n_bytes` in all, of items made from their number.
fn pages(n_bytes: usize, item: impl Fn(u64) -> String) -> Vec<String> {
    let mut pages = Vec::new();
    let mut n_items = 0;
    let mut left = n_bytes;
    while left > 0 {
        let mut page = r#"{"Items":["#.to_owned();
        while page.len() < PAGE.min(left) {
            if !page.ends_with('[') {
                page.push(',');
            }
            page.push_str(&item(n_items));
            n_items += 1;
        }
        page.push_str(r#"],"NextToken":"AAAAbbbbCCCC0123456789+/=="}"#);
        left = left.saturating_sub(page.len());
        pages.push(page);
    }
    pages
}

/// Spreads the bits of a number, so that neighbouring items differ.
fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    n ^ (n >> 29)
}

fn below(n: u64, bound: u64) -> usize {
    usize::try_from(n % bound).expect("a small bound")
}

/// Pages of flat items.
pub(crate) fn flat(n_bytes: usize) -> Vec<String> {
    pages(n_bytes, |n| {
        let m = mix(n);
        format!(
            r#"{{"order_id":{{"S":"ord-{n:012}"}},"customer":{{"S":"customer-{}@example.com"}},"created_at":{{"S":"2026-{:02}-{:02}T{:02}:15:00Z"}},"status":{{"S":"{}"}},"quantity":{{"N":"{}"}},"price":{{"N":"{}.{:02}"}},"total_cents":{{"N":"{}"}},"is_paid":{{"BOOL":{}}},"country":{{"S":"{}"}},"note":{{"S":"{}"}}}}"#,
            m % 1_000_000,
            m % 12 + 1,
            m % 28 + 1,
            m % 24,
            ["open", "packed", "shipped", "delivered"][below(m >> 8, 4)],
            m % 40,
            m % 9000,
            m % 100,
            m % 100_000_000,
            m & 1 == 0,
            ["DE", "FR", "US", "JP"][below(m >> 12, 4)],
            &"leave at the door, ring twice, beware of the dog"[..below(m >> 16, 40) + 8],
        )
    })
}

/// Pages of nested items.
pub(crate) fn nested(n_bytes: usize) -> Vec<String> {
    pages(n_bytes, |n| {
        let m = mix(n);
        format!(
            r#"{{"sku":{{"S":"sku-{n:010}"}},"tags":{{"SS":["red","{}","sale"]}},"sizes":{{"NS":["36","38","{}"]}},"dimensions":{{"M":{{"width":{{"N":"{}.5"}},"height":{{"N":"{}"}},"unit":{{"S":"mm"}}}}}},"reviews":{{"L":[{{"M":{{"stars":{{"N":"{}"}},"text":{{"S":"good value for the money, would buy again"}},"verified":{{"BOOL":true}}}}}},{{"M":{{"stars":{{"N":"4"}},"text":{{"S":"\"nice\", my daughter says"}},"verified":{{"BOOL":false}}}}}}]}},"thumbnail":{{"B":"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="}},"discontinued":{{"NULL":true}},"price":{{"N":"{}.99"}}}}"#,
            ["summer", "winter"][below(m >> 9, 2)],
            m % 10 + 40,
            m % 900,
            m % 300,
            m % 6,
            m % 500,
        )
    })
}
