//! The text of a number in, what may be said about it out. The digits themselves are never changed.

use super::Kinds;

/// 15 decimal digits always survive a 64-bit float, as long as the exponent stays well inside its range.
const FLOAT_DIGITS: usize = 15;
/// A 64-bit float never needs more digits than this to be told from its neighbours.
const MAX_PRINTED_DIGITS: usize = 17;

/// What `text` adds to its column's kinds; `None` where it is not a number as JSON writes one.
pub(crate) fn kinds(text: &[u8]) -> Option<Kinds> {
    let (integer, rest) = split_digits(text.strip_prefix(b"-").unwrap_or(text));
    if integer.is_empty() || (integer.len() > 1 && integer[0] == b'0') {
        return None;
    }
    let (fraction, rest) = match rest.strip_prefix(b".") {
        Some(rest) => match split_digits(rest) {
            ([], _) => return None,
            parts => parts,
        },
        None => (&[][..], rest),
    };
    let exponent = match rest.split_first() {
        None => None,
        Some((b'e' | b'E', digits)) => Some(parse_exponent(digits)?),
        Some(_) => return None,
    };

    let mut kinds = Kinds::NUMBER;
    if !(fraction.is_empty() && exponent.is_none() && fits_i64(text)) {
        kinds = kinds.with(Kinds::NOT_LONG);
    }
    if !prints_as_itself(text, integer, fraction, exponent.unwrap_or(0)) {
        kinds = kinds.with(Kinds::NOT_FLOAT);
    }
    Some(kinds)
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

/// The exponent's value, held within a billion either way: far outside any float, near enough to add to.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first()? {
        (b'-', digits) => (true, digits),
        (b'+', digits) => (false, digits),
        _ => (false, text),
    };
    let (digits, rest) = split_digits(digits);
    if digits.is_empty() || !rest.is_empty() {
        return None;
    }
    let value = digits.iter().fold(0_i64, |value, digit| {
        (value * 10 + i64::from(digit - b'0')).min(1_000_000_000)
    });
    Some(if negative { -value } else { value })
}

/// Whether an optional minus and digits fit a signed 64-bit integer.
fn fits_i64(text: &[u8]) -> bool {
    // 18 digits always do; a sign makes it 19.
    text.len() <= 18 || parse::<i64>(text).is_some()
}

/// Whether the number is the one that its nearest 64-bit float prints as (in its shortest form).
fn prints_as_itself(text: &[u8], integer: &[u8], fraction: &[u8], exponent: i64) -> bool {
    let digit = |index: usize| match integer.get(index) {
        Some(digit) => *digit,
        None => fraction[index - integer.len()],
    };
    let all = 0..integer.len() + fraction.len();
    let Some(first) = all.clone().find(|&index| digit(index) != b'0') else {
        return true; // zero, however it is written
    };
    let last = all
        .rev()
        .find(|&index| digit(index) != b'0')
        .unwrap_or(first);
    let n_digits = last - first + 1;
    let as_i64 = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
    let magnitude = as_i64(integer.len()) - 1 - as_i64(first) + exponent;
    if n_digits <= FLOAT_DIGITS && magnitude.abs() <= 300 {
        return true;
    }
    if n_digits > MAX_PRINTED_DIGITS {
        return false;
    }

    let Some(float) = parse::<f64>(text).filter(|float| float.is_finite()) else {
        return false;
    };
    let printed = format!("{:e}", float.abs());
    let Some((mantissa, printed_magnitude)) = printed.split_once('e') else {
        return false;
    };
    let printed_digits = mantissa.bytes().filter(|&byte| byte != b'.');
    printed_magnitude.parse() == Ok(magnitude) && printed_digits.eq((first..=last).map(digit))
}

fn parse<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_long_float_or_decimal() {
        for (text, expected) in [
            ("0", "long"),
            ("-0", "long"),
            ("7", "long"),
            ("-123456789012345", "long"),
            ("9223372036854775807", "long"),
            ("-9223372036854775808", "long"),
            ("9223372036854775808", "decimal"),
            ("-9223372036854775809", "decimal"),
            ("18014398509481984000000", "float"),
            ("1000000000000000000000", "float"),
            ("12345678901234567890123456789012345678", "decimal"),
            ("0.1", "float"),
            ("1.10", "float"),
            ("1.0", "float"),
            ("0.000", "float"),
            ("-0.0E-7", "float"),
            ("1E+2", "float"),
            ("1e2", "float"),
            ("1E-130", "float"),
            ("9.9999999999999999999999999999999999999E+125", "decimal"),
            ("123456789012.345", "float"),
            ("0.30000000000000004", "float"),
            ("0.30000000000000001", "decimal"),
            ("0.1000000000000000055511151231257827", "decimal"),
            ("5E-324", "float"),
            ("4E-324", "decimal"),
            ("1.7976931348623157E308", "float"),
            ("1E309", "decimal"),
            ("1E-400", "decimal"),
            ("1E99999999999999999999", "decimal"),
        ] {
            let kinds = kinds(text.as_bytes()).expect(text);
            assert_eq!(kinds.column_type(), expected, "{text}");
        }
    }

    #[test]
    fn a_column_of_longs_and_floats_is_decimal_where_a_long_is_no_float() {
        let column = |a: &str, b: &str| {
            let of = |text: &str| kinds(text.as_bytes()).expect("a number");
            of(a).with(of(b)).column_type()
        };
        assert_eq!(column("9007199254740993", "5"), "long");
        assert_eq!(column("9007199254740993", "1.5"), "decimal");
        assert_eq!(column("9007199254740992", "1.5"), "float");
    }

    #[test]
    fn what_json_does_not_call_a_number_is_refused() {
        for text in [
            "", "-", "+1", "01", "-01", "00", ".5", "5.", "1.e5", "1e", "1e+", "NaN", "Infinity",
            "1 ", " 1", "1,0", "0x10", "1_000", "--1", "1.2.3", "1e5.0", "١",
        ] {
            assert_eq!(kinds(text.as_bytes()), None, "{text:?}");
        }
    }
}
