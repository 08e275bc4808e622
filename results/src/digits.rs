//! Decimal numbers as text: how many digits they have, and their value at a given scale.

use serde::{Deserialize, Serialize};

/// The most digits that the numbers of a column have before and behind the point, exponents resolved and outer zeros aside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u32, u32)", into = "(u32, u32)")]
pub struct Digits {
    integer: u32,
    fraction: u32,
}

impl From<(u32, u32)> for Digits {
    fn from((integer, fraction): (u32, u32)) -> Self {
        Self { integer, fraction }
    }
}

impl From<Digits> for (u32, u32) {
    fn from(digits: Digits) -> Self {
        (digits.integer, digits.fraction)
    }
}

/// The digits of Arrow's and Parquet's widest decimal that every reader knows.
pub(crate) const MOST_DIGITS: u32 = 38;

impl Digits {
    /// Counts another number in; anything else than a number changes nothing.
    pub(crate) fn add(&mut self, number: &str) {
        match number.as_bytes() {
            // Most numbers are short integers, and need not be taken apart.
            [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit) => {
                let digits = u32::try_from(number.len()).unwrap_or(u32::MAX);
                self.integer = self.integer.max(digits);
                return;
            }
            [b'-' | b'0'..=b'9', ..] => {}
            // Texts, which may be long, are not looked through.
            _ => return,
        }
        if let Some(number) = Number::parse(number) {
            self.integer = self.integer.max(saturated(number.integer_digits()));
            self.fraction = self.fraction.max(saturated(number.fraction_digits()));
        }
    }

    /// The scale of a decimal with 38 digits that holds all the numbers, where there is one.
    pub(crate) fn scale(self) -> Option<u8> {
        let fits = self.integer.checked_add(self.fraction)? <= MOST_DIGITS;
        fits.then(|| u8::try_from(self.fraction).ok()).flatten()
    }
}

fn saturated(count: i64) -> u32 {
    u32::try_from(count.max(0)).unwrap_or(u32::MAX)
}

/// A JSON number, taken apart without rounding: `digits` × 10 ^ `exponent`, the digits without outer zeros.
struct Number<'a> {
    is_negative: bool,
    /// The digits before the point and those behind it.
    parts: [&'a str; 2],
    /// How many digits of both parts together are zeros at the left, and at the right.
    zeros: [usize; 2],
    /// The power of ten of the last digit that is not such a zero.
    exponent: i64,
}

impl<'a> Number<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (is_negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, power) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], exponent(&text[at + 1..])?),
            None => (text, 0),
        };
        let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let parts = [integer, fraction];
        let is_digits = parts
            .iter()
            .all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
        if integer.is_empty() || !is_digits {
            return None;
        }
        let digits = || integer.bytes().chain(fraction.bytes());
        let left = digits().take_while(|&digit| digit == b'0').count();
        let right = digits().rev().take_while(|&digit| digit == b'0').count();
        let behind_point = i64::try_from(fraction.len()).ok()?;
        Some(Self {
            is_negative,
            parts,
            zeros: [left, right],
            exponent: power
                .saturating_sub(behind_point)
                .saturating_add(i64::try_from(right).ok()?),
        })
    }

    /// How many digits there are without the outer zeros; 0 for a zero.
    fn significant(&self) -> usize {
        let all: usize = self.parts.iter().map(|part| part.len()).sum();
        all.saturating_sub(self.zeros.iter().sum())
    }

    fn integer_digits(&self) -> i64 {
        match i64::try_from(self.significant()).unwrap_or(i64::MAX) {
            0 => 0,
            significant => self.exponent.saturating_add(significant),
        }
    }

    fn fraction_digits(&self) -> i64 {
        match self.significant() {
            0 => 0,
            _ => self.exponent.saturating_neg(),
        }
    }

    /// The number × 10 ^ `scale`, where that is an integer of at most 38 digits.
    fn unscaled(&self, scale: u8) -> Option<i128> {
        let significant = self.significant();
        if significant == 0 {
            return Some(0);
        }
        let shift = u32::try_from(self.exponent.checked_add(i64::from(scale))?).ok()?;
        if u32::try_from(significant).ok()?.checked_add(shift)? > MOST_DIGITS {
            return None;
        }
        let digits = self.parts.iter().flat_map(|part| part.bytes());
        let value = digits
            .skip(self.zeros[0])
            .take(significant)
            .fold(0_i128, |value, digit| value * 10 + i128::from(digit - b'0'));
        let value = value * 10_i128.pow(shift);
        Some(if self.is_negative { -value } else { value })
    }
}

/// An exponent's value; one that is too large to count is as good as the largest.
fn exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let size = digits.parse().unwrap_or(i64::MAX / 4).min(i64::MAX / 4);
    Some(if text.starts_with('-') { -size } else { size })
}

/// The number × 10 ^ `scale`, where that is an integer of at most 38 digits.
pub(crate) fn unscaled(number: &str, scale: u8) -> Option<i128> {
    Number::parse(number)?.unscaled(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(number: &str) -> (u32, u32) {
        let mut digits = Digits::default();
        digits.add(number);
        digits.into()
    }

    #[test]
    fn digits_are_counted_with_exponents_resolved_and_outer_zeros_aside() {
        let cases = [
            ("0", (0, 0)),
            ("-0", (0, 0)),
            ("0.000", (0, 0)),
            ("0E+5", (0, 0)),
            ("0e-130", (0, 0)),
            ("7", (1, 0)),
            ("-70", (2, 0)),
            ("12.99", (2, 2)),
            ("12.9900", (2, 2)),
            ("0.05", (0, 2)),
            ("0.5", (0, 1)),
            ("1E2", (3, 0)),
            ("1.50E1", (2, 0)),
            ("1.5e-3", (0, 4)),
            ("1500E-4", (0, 2)),
            ("1E-130", (0, 130)),
            ("9.9999999999999999999999999999999999999E+125", (126, 0)),
            ("12345678901234567890123456789012345678", (38, 0)),
            ("0.12345678901234567890123456789012345678", (0, 38)),
            ("1e99999999999999999999", (u32::MAX, 0)),
            ("1e-99999999999999999999", (0, u32::MAX)),
            ("\"12\"", (0, 0)),
            ("true", (0, 0)),
            ("null", (0, 0)),
        ];
        for (number, expected) in cases {
            assert_eq!(digits(number), expected, "{number}");
        }
    }

    #[test]
    fn a_scale_is_given_where_integer_and_fraction_digits_fit_together() {
        let scale = |numbers: &[&str]| {
            let mut digits = Digits::default();
            numbers.iter().for_each(|number| digits.add(number));
            digits.scale()
        };
        assert_eq!(scale(&["12345678901234567890123456789012345678"]), Some(0));
        assert_eq!(
            scale(&["0.12345678901234567890123456789012345678"]),
            Some(38)
        );
        assert_eq!(
            scale(&["12345678901234567890.123456789012345678", "0"]),
            Some(18)
        );
        assert_eq!(
            scale(&["12345678901234567890123456789012345678", "0.5"]),
            None
        );
        assert_eq!(scale(&["1E-39"]), None);
        assert_eq!(scale(&["1E38"]), None);
        assert_eq!(scale(&["1E37"]), Some(0));
        assert_eq!(
            scale(&["1e99999999999999999999", "1e-99999999999999999999"]),
            None
        );
    }

    #[test]
    fn values_are_exact_at_their_scale() {
        let cases = [
            ("12.99", 2, Some(1299)),
            ("-12.9900", 2, Some(-1299)),
            ("12.99", 4, Some(129_900)),
            ("12.99", 1, None),
            ("-0", 3, Some(0)),
            ("0E+90", 3, Some(0)),
            ("1E2", 0, Some(100)),
            ("1500E-4", 2, Some(15)),
            (
                "99999999999999999999999999999999999999",
                0,
                Some(10_i128.pow(38) - 1),
            ),
            (
                "-0.99999999999999999999999999999999999999",
                38,
                Some(1 - 10_i128.pow(38)),
            ),
            ("999999999999999999999999999999999999999", 0, None),
            ("1e99999999999999999999", 0, None),
            ("x", 0, None),
        ];
        for (number, scale, expected) in cases {
            assert_eq!(unscaled(number, scale), expected, "{number} at {scale}");
        }
    }
}
