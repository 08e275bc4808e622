//! The data sets, an item at a time, made from its number: typed JSON as DynamoDB sends it.
//!
//! Attributes come in an order that is neither sorted nor changes.

/// Spreads the bits of a number, so that neighbouring items differ.
fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    n ^ (n >> 29)
}

fn pick<'a>(from: &[&'a str], n: u64) -> &'a str {
    let bound = u64::try_from(from.len()).expect("a handful");
    from[usize::try_from(n % bound).expect("below the bound")]
}

/// Ten scalar attributes, about 300 bytes.
pub(crate) fn flat(n: u64) -> String {
    let m = mix(n);
    format!(
        r#"{{"order_id":{{"S":"ord-{n:012}"}},"customer":{{"S":"customer-{}@example.com"}},"created_at":{{"S":"2026-{:02}-{:02}T{:02}:15:00Z"}},"status":{{"S":"{}"}},"quantity":{{"N":"{}"}},"price":{{"N":"{}.{:02}"}},"total_cents":{{"N":"{}"}},"is_paid":{{"BOOL":{}}},"country":{{"S":"{}"}},"note":{{"S":"{}"}}}}"#,
        m % 1_000_000,
        m % 12 + 1,
        m % 28 + 1,
        m % 24,
        pick(&["open", "packed", "shipped", "delivered"], m >> 8),
        m % 40,
        m % 9000 + 1,
        m % 99 + 1,
        m % 100_000_000,
        m & 1 == 0,
        pick(&["DE", "FR", "US", "JP"], m >> 12),
        pick(
            &[
                "ring twice",
                "leave at the door",
                "beware of the dog, it likes couriers",
                "no comment"
            ],
            m >> 16
        ),
    )
}

/// The same attributes, in another order in each item.
pub(crate) fn shuffled(n: u64) -> String {
    let flat = flat(n);
    // No text among them has this.
    let attributes = flat.trim_start_matches('{').trim_end_matches("}}");
    let mut attributes: Vec<&str> = attributes.split("},").collect();
    for end in (1..attributes.len()).rev() {
        let bound = u64::try_from(end).expect("a handful") + 1;
        let other = mix(n + bound) % bound;
        attributes.swap(end, usize::try_from(other).expect("below the bound"));
    }
    format!("{{{}}}}}", attributes.join("},"))
}

/// The same attributes, with blanks as DynamoDB does not send them.
pub(crate) fn blanks(n: u64) -> String {
    flat(n).replace("\":", "\": ").replace("},", "}, ")
}

/// List, map, sets, binary and null beside scalars, about 600 bytes.
pub(crate) fn nested(n: u64) -> String {
    let m = mix(n);
    format!(
        r#"{{"sku":{{"S":"sku-{n:010}"}},"tags":{{"SS":["red","{}","sale"]}},"sizes":{{"NS":["36","38","{}"]}},"dimensions":{{"M":{{"width":{{"N":"{}.5"}},"height":{{"N":"{}"}},"unit":{{"S":"mm"}}}}}},"reviews":{{"L":[{{"M":{{"stars":{{"N":"{}"}},"text":{{"S":"good value for the money, would buy again"}},"verified":{{"BOOL":true}}}}}},{{"M":{{"stars":{{"N":"4"}},"text":{{"S":"\"nice\", my daughter says"}},"verified":{{"BOOL":false}}}}}}]}},"thumbnail":{{"B":"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="}},"discontinued":{{"NULL":true}},"price":{{"N":"{}.99"}}}}"#,
        pick(&["summer", "winter"], m >> 9),
        m % 10 + 40,
        m % 900,
        m % 300,
        m % 6,
        m % 500,
    )
}

/// One attribute, about 30 bytes.
pub(crate) fn tiny(n: u64) -> String {
    format!(r#"{{"id":{{"S":"tiny-{n:010}"}}}}"#)
}

/// Close to the largest item that DynamoDB keeps, 400 KB: a few attributes of long text, numbers and maps.
pub(crate) fn wide(n: u64) -> String {
    const SENTENCES: usize = 4_000;
    const READINGS: u64 = 4_000;
    let text = r#"a sentence of about sixty bytes, \"quoted\" here and there. "#.repeat(SENTENCES);
    let readings: Vec<String> = (0..READINGS)
        .map(|reading| {
            format!(
                r#"{{"N":"{}.{:02}"}}"#,
                mix(n + reading) % 1000,
                reading % 90 + 10
            )
        })
        .collect();
    format!(
        r#"{{"id":{{"S":"wide-{n:010}"}},"text":{{"S":"{text}"}},"readings":{{"L":[{}]}}}}"#,
        readings.join(",")
    )
}

/// An item that brings an attribute of its own, which no other has.
pub(crate) fn new_attribute(n: u64) -> String {
    format!(r#"{{"id":{{"S":"item-{n:05}"}},"attribute_{n:05}":{{"N":"{n}"}}}}"#)
}
