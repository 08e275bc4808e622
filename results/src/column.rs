//! Columns and their types.

use serde::{
    Deserialize,
    de::{Deserializer, Error as _},
};
use serde_json::value::RawValue;

/// A column of a result.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The type of its values.
    pub kind: Kind,
    /// The type's word as the plugin wrote it.
    pub(crate) word: String,
    /// The plugin's own bytes for this column.
    pub(crate) raw: Box<RawValue>,
}

impl<'de> Deserialize<'de> for Column {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Fields {
            name: String,
            r#type: String,
        }
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let fields: Fields = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        Ok(Self {
            kind: Kind::of_word(&fields.r#type),
            name: fields.name,
            word: fields.r#type,
            raw,
        })
    }
}

/// The type of a column's values, nulls aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// JSON strings.
    Text,
    /// `true` and `false`.
    Boolean,
    /// Base64 in JSON strings.
    Bytes,
    /// Integers of 64 bits.
    Long,
    /// Numbers that a 64-bit float holds exactly as written.
    Float,
    /// Numbers with more digits.
    Decimal,
    /// JSON arrays.
    Array,
    /// JSON objects.
    Map,
    /// No value at all.
    Null,
    /// Values of several kinds, or of a type that this crate does not know.
    Any,
}

impl Kind {
    fn of_word(word: &str) -> Self {
        match word {
            "string" => Self::Text,
            "boolean" => Self::Boolean,
            "bytes" => Self::Bytes,
            "long" => Self::Long,
            "float" => Self::Float,
            "decimal" => Self::Decimal,
            "array" => Self::Array,
            "map" => Self::Map,
            "null" => Self::Null,
            _ => Self::Any,
        }
    }

    /// Whether its values are numbers, which tables write at the right.
    #[must_use]
    pub fn is_number(self) -> bool {
        matches!(self, Self::Long | Self::Float | Self::Decimal)
    }
}
