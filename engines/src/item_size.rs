//! How large DynamoDB counts an item: typed JSON in, bytes out, by the service's published rules.
//!
//! What pages and capacity are measured in; it is not the length of the JSON.

use serde_json::Value;

/// The size of an item (an object of typed values) in bytes.
pub fn of(item: &Value) -> usize {
    let attributes = item.as_object().into_iter().flatten();
    attributes
        .map(|(name, value)| name.len() + value_size(value))
        .sum()
}

fn value_size(value: &Value) -> usize {
    let Some((kind, inner)) = value.as_object().and_then(|typed| typed.iter().next()) else {
        return 0;
    };
    match kind.as_str() {
        "S" => text(inner).len(),
        "N" => number_size(text(inner)),
        "B" => binary_size(text(inner)),
        "SS" => list(inner).iter().map(|each| text(each).len()).sum(),
        "NS" => list(inner).iter().map(|each| number_size(text(each))).sum(),
        "BS" => list(inner).iter().map(|each| binary_size(text(each))).sum(),
        // Three bytes for the container, one more for each element.
        "L" => {
            3 + list(inner)
                .iter()
                .map(|each| 1 + value_size(each))
                .sum::<usize>()
        }
        "M" => 3 + of(inner) + inner.as_object().map_or(0, serde_json::Map::len),
        // BOOL and NULL.
        _ => 1,
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// One byte for every two significant digits, one for the exponent, one for a minus.
fn number_size(number: &str) -> usize {
    let (sign, digits) = match number.strip_prefix('-') {
        Some(digits) => (1, digits),
        None => (0, number),
    };
    let mantissa = digits.split(['e', 'E']).next().unwrap_or("");
    let significant: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let significant = significant.trim_matches('0').len();
    sign + significant.div_ceil(2) + 1
}

fn binary_size(base64: &str) -> usize {
    base64.trim_end_matches('=').len() * 3 / 4
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_type_counts_as_published() {
        for (value, size) in [
            (json!({"S": "héllo"}), 6),
            (json!({"N": "12345"}), 4),
            (json!({"N": "-100"}), 3),
            (json!({"N": "0.25"}), 2),
            (json!({"B": "AAEC"}), 3),
            (json!({"B": "AA=="}), 1),
            (json!({"BOOL": true}), 1),
            (json!({"NULL": true}), 1),
            (json!({"SS": ["a", "bc"]}), 3),
            (json!({"NS": ["1", "22"]}), 4),
            (json!({"BS": ["AAEC", "AA=="]}), 4),
            (json!({"L": [{"S": "a"}, {"BOOL": true}]}), 7),
            (json!({"M": {"k": {"S": "v"}}}), 6),
        ] {
            assert_eq!(of(&json!({ "name": value })), 4 + size, "{value}");
        }
    }
}
