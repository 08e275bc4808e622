//! `parameters`: JSON values as DynamoDB's, plain or typed, at every depth. No value appears in a message, only its position.

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use base64::{Engine, prelude::BASE64_STANDARD};
use plugin_api::{Error, json::Members};
use serde_json::value::RawValue;

use super::invalid as invalid_field;

/// The field at fault wherever in it the fault is.
const FIELD: &str = "context.parameters";

/// DynamoDB nests lists and maps to this depth and no deeper.
const MAX_DEPTH: usize = 32;

/// More text than this is more than DynamoDB takes in a request, and its values in memory are many times as large.
const MAX_BYTES: usize = 16 << 20;

pub(super) fn read(parameters: &RawValue) -> Result<Vec<AttributeValue>, Error> {
    let bytes = parameters.get().len();
    if bytes > MAX_BYTES {
        return Err(invalid(format!(
            "context.parameters has {bytes} bytes, more than the {MAX_BYTES} that a request to DynamoDB may have"
        ))
        .hint("split the job"));
    }
    let Ok(values) = serde_json::from_str::<Vec<&RawValue>>(parameters.get()) else {
        return Err(invalid("context.parameters is not an array")
            .hint("write one value per ? of the statement, in order: [\"books\", 10]"));
    };
    values
        .iter()
        .enumerate()
        .map(|(at, value)| plain(value, &format!("parameters[{at}]"), 0))
        .collect()
}

/// A value written as plain JSON, or as an object whose only key is a DynamoDB type.
fn plain(value: &RawValue, path: &str, depth: usize) -> Result<AttributeValue, Error> {
    if depth > MAX_DEPTH {
        return Err(invalid(format!(
            "context.{path} is nested deeper than the {MAX_DEPTH} levels that DynamoDB takes"
        )));
    }
    let text = value.get();
    Ok(match text.as_bytes().first() {
        Some(b'n') => AttributeValue::Null(true),
        Some(b't' | b'f') => AttributeValue::Bool(text == "true"),
        Some(b'"') => AttributeValue::S(string(value, path)?),
        Some(b'[') => AttributeValue::L(list(value, path, depth)?),
        Some(b'{') => {
            let members = members(value, path)?;
            match members.as_slice() {
                [(key, inner)] if is_type(key) => typed(key, inner, path, depth)?,
                _ => map(members, path, depth)?,
            }
        }
        _ => AttributeValue::N(text.to_owned()),
    })
}

fn is_type(key: &str) -> bool {
    matches!(
        key,
        "S" | "N" | "B" | "BOOL" | "NULL" | "SS" | "NS" | "BS" | "L" | "M"
    )
}

fn typed(kind: &str, value: &RawValue, path: &str, depth: usize) -> Result<AttributeValue, Error> {
    let path = format!("{path}.{kind}");
    Ok(match kind {
        "S" => AttributeValue::S(string(value, &path)?),
        "N" => AttributeValue::N(number(string(value, &path)?, &path)?),
        "B" => AttributeValue::B(binary(&string(value, &path)?, &path)?),
        "BOOL" => AttributeValue::Bool(
            serde_json::from_str(value.get()).map_err(|_| shape(&path, "true or false"))?,
        ),
        "NULL" if value.get() == "true" => AttributeValue::Null(true),
        "NULL" => return Err(shape(&path, "true")),
        "SS" => AttributeValue::Ss(set(value, &path)?),
        "NS" => AttributeValue::Ns(
            set(value, &path)?
                .into_iter()
                .map(|n| number(n, &path))
                .collect::<Result<_, _>>()?,
        ),
        "BS" => AttributeValue::Bs(
            set(value, &path)?
                .iter()
                .map(|b| binary(b, &path))
                .collect::<Result<_, _>>()?,
        ),
        "L" => AttributeValue::L(list(value, &path, depth)?),
        "M" => {
            let members = if value.get().starts_with('{') {
                members(value, &path)?
            } else {
                return Err(shape(&path, "an object"));
            };
            map(members, &path, depth)?
        }
        _ => unreachable!("is_type names exactly these"),
    })
}

fn map(
    members: Vec<(String, &RawValue)>,
    path: &str,
    depth: usize,
) -> Result<AttributeValue, Error> {
    let entries = members.into_iter().map(|(key, value)| {
        // The key may be data as well, so the message names the position by its parent.
        Ok((key, plain(value, &format!("{path}.*"), depth + 1)?))
    });
    Ok(AttributeValue::M(entries.collect::<Result<_, Error>>()?))
}

fn list(value: &RawValue, path: &str, depth: usize) -> Result<Vec<AttributeValue>, Error> {
    let values: Vec<&RawValue> =
        serde_json::from_str(value.get()).map_err(|_| shape(path, "an array"))?;
    values
        .iter()
        .enumerate()
        .map(|(at, value)| plain(value, &format!("{path}[{at}]"), depth + 1))
        .collect()
}

/// A set's members: at least one, none twice.
fn set(value: &RawValue, path: &str) -> Result<Vec<String>, Error> {
    let members: Vec<String> =
        serde_json::from_str(value.get()).map_err(|_| shape(path, "an array of strings"))?;
    let mut sorted: Vec<&String> = members.iter().collect();
    sorted.sort_unstable();
    if members.is_empty() || sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(shape(
            path,
            "a set: at least one member, none of them twice",
        ));
    }
    Ok(members)
}

fn members<'a>(value: &'a RawValue, path: &str) -> Result<Vec<(String, &'a RawValue)>, Error> {
    serde_json::from_str::<Members<'a>>(value.get())
        .map(|members| members.0)
        .map_err(|_| shape(path, "an object"))
}

fn string(value: &RawValue, path: &str) -> Result<String, Error> {
    serde_json::from_str(value.get()).map_err(|_| {
        if value.get().starts_with('"') {
            invalid(format!(
                "context.{path} has half of a surrogate pair, which is no character"
            ))
            .hint("write a character beyond U+FFFF as itself, or as both halves of its pair")
        } else {
            shape(path, "a string")
        }
    })
}

fn binary(text: &str, path: &str) -> Result<Blob, Error> {
    BASE64_STANDARD
        .decode(text)
        .map(Blob::new)
        .map_err(|_| shape(path, "base64 text"))
}

/// A number as DynamoDB reads one: sign, digits with a point, exponent.
fn number(text: String, path: &str) -> Result<String, Error> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(&text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa_fits = match mantissa.split_once('.') {
        Some((whole, fraction)) => digits(&format!("{whole}{fraction}")),
        None => digits(mantissa),
    };
    let exponent_fits = exponent
        .is_none_or(|exponent| digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)));
    if mantissa_fits && exponent_fits {
        Ok(text)
    } else {
        Err(shape(path, "a number written as a string"))
    }
}

fn invalid(message: impl Into<String>) -> Error {
    invalid_field(FIELD, message)
}

fn shape(path: &str, expected: &str) -> Error {
    invalid(format!("context.{path} must be {expected}"))
        .hint("an object whose only key is S N B BOOL NULL SS NS BS L or M is a DynamoDB-typed value; write a map with such a key as {\"M\":{…}}")
}
