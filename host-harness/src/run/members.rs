//! A JSON object whose members stay as they were written, so that a number keeps its digits and a key given twice is still there for the
//! plugin to refuse.

use plugin_api::{Error, ErrorCode, json};
use serde::{Deserialize, Serialize, ser::SerializeMap};
use serde_json::value::{RawValue, to_raw_value};

use super::error::RunError;

/// An object's members in their order, values as written, keys even twice.
pub(super) struct Members(pub(super) Vec<(String, Box<RawValue>)>);

impl Members {
    pub(super) fn get(&self, name: &str) -> Option<&RawValue> {
        self.0
            .iter()
            .find(|(member, _)| member == name)
            .map(|(_, value)| &**value)
    }

    pub(super) fn set(&mut self, name: &str, value: Box<RawValue>) {
        match self.0.iter_mut().find(|(member, _)| member == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    pub(super) fn set_object(&mut self, name: &str, object: &Self) {
        self.set(name, to_raw_value(object).expect("raw JSON serializes"));
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("raw JSON serializes")
    }

    /// A member that is an object, or absent.
    pub(super) fn object(&self, name: &str) -> Result<Self, RunError> {
        match self.get(name).filter(|value| value.get() != "null") {
            None => Ok(Self(Vec::new())),
            Some(value) => serde_json::from_str(value.get()).map_err(|_| {
                RunError::Failed(Error::new(
                    ErrorCode::INVALID_JOB,
                    format!("'{name}' is not an object"),
                ))
            }),
        }
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = json::Members::deserialize(deserializer)?.0;
        Ok(Self(
            members
                .into_iter()
                .map(|(name, value)| (name, value.to_owned()))
                .collect(),
        ))
    }
}

impl Serialize for Members {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
