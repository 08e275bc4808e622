//! Bytes of a DynamoDB answer in, cells out.
//!
//! In: the body of an `ExecuteStatement` answer, in pieces as they come off the wire. Out: one row of JSON cells per item,
//! handed to [`crate::table`], and the answer without its items for the SDK's own deserializer.
//!
//! ```text
//! frame ─ page ─► one item ─ predict ─► cells ─► table        the common case: the item looks like the one before
//!         envelope,         └ plain ──► cells ─┘              anything else: serde decides what is valid
//!         split items
//! ```
//!
//! `plain` is the arbiter: whatever `predict` is not sure of goes to it, row by row, and both must agree on every input
//! (fuzzed in `tests`). Nothing here knows HTTP or AWS, and no error ever carries data.

mod block;
mod cell;
mod envelope;
mod expected;
mod extent;
mod flatten;
mod items;
mod names;
mod nested;
mod number;
mod page;
mod plain;
mod predict;
mod scan;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    block::BLOCK,
    cell::{Cell, Kinds, Row},
    extent::Extent,
    flatten::Paths,
    items::ItemDecoder,
    page::Page,
};

/// Attribute values may lie in one another this deep; DynamoDB itself stops at 32. Keeps recursion (ours and serde's) bounded.
pub(crate) const MAX_NESTING: usize = 60;

/// Why an answer could not become rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The result document is certain to exceed its limit. Caller: a `limit`, fewer columns, or a larger `max_result_bytes`.
    #[error("the result would be larger than {limit} bytes")]
    TooLarge {
        /// The job's `max_result_bytes`.
        limit: u64,
    },
    /// The process has no memory for the result. Operator: a lower `max_result_bytes`, or more memory.
    #[error("no memory for a result of {bytes} bytes")]
    OutOfMemory {
        /// What was asked of the allocator.
        bytes: u64,
    },
    /// The answer is not what DynamoDB sends. Try again; operator: what answers at the endpoint.
    #[error("{what} at byte {byte} of the answer")]
    Malformed {
        /// What is wrong, never with the data itself.
        what: &'static str,
        /// Where, counted from the body's first byte, as near as is known.
        byte: u64,
    },
    /// The body does not have the `x-amz-crc32` that its header promised. Try again.
    #[error("the answer's checksum is {computed:08x} where its header says {promised:08x}")]
    Checksum {
        /// What the header says.
        promised: u32,
        /// What the bytes give.
        computed: u32,
    },
}

impl DecodeError {
    /// Whether asking the same page again may help: yes for a damaged answer, no for a result that is too large.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Malformed { .. } | Self::Checksum { .. })
    }

    /// The same error, for a position that was counted from `base` instead of the body's first byte.
    pub(crate) fn shifted(self, base: u64) -> Self {
        match self {
            Self::Malformed { what, byte } => Self::Malformed {
                what,
                byte: byte + base,
            },
            other => other,
        }
    }
}

/// A [`DecodeError::Malformed`] at `byte`.
pub(crate) fn malformed(what: &'static str, byte: usize) -> DecodeError {
    DecodeError::Malformed {
        what,
        byte: byte as u64,
    }
}
