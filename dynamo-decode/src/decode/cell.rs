//! One cell of a row, and what is remembered about the values of a column.
//!
//! In: the kind of each value as it is decoded. Out: the column's type as the result document names it.

/// A set of things seen among a column's values. Only grows, so that the order of rows does not matter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Kinds(u8);

impl Kinds {
    /// No value at all, or NULL.
    pub(crate) const NONE: Self = Self(0);
    /// S.
    pub(crate) const STRING: Self = Self(1);
    /// BOOL.
    pub(crate) const BOOLEAN: Self = Self(2);
    /// B.
    pub(crate) const BYTES: Self = Self(4);
    /// SS, NS, BS and L.
    pub(crate) const ARRAY: Self = Self(8);
    /// M.
    pub(crate) const MAP: Self = Self(16);
    /// N of any kind; alone: a `long` that a `float` holds as well.
    pub(crate) const NUMBER: Self = Self(32);
    /// Beside `NUMBER`: some value is not plain digits that fit 64 bits.
    pub(crate) const NOT_LONG: Self = Self(64);
    /// Beside `NUMBER`: some value is not the number that its nearest 64-bit float prints as.
    pub(crate) const NOT_FLOAT: Self = Self(128);

    /// What was seen in either.
    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Adds what a further value is; whether that is new.
    pub(crate) fn add(&mut self, other: Self) -> bool {
        let before = std::mem::replace(self, self.with(other));
        *self != before
    }

    /// The column type of the result document.
    pub(crate) fn column_type(self) -> &'static str {
        let numeric = Self::NUMBER.with(Self::NOT_LONG).with(Self::NOT_FLOAT);
        match self {
            Self::NONE => "null",
            Self::STRING => "string",
            Self::BOOLEAN => "boolean",
            Self::BYTES => "bytes",
            Self::ARRAY => "array",
            Self::MAP => "map",
            _ if self.0 & !numeric.0 != 0 => "any",
            _ if self.0 & Self::NOT_LONG.0 == 0 => "long",
            _ if self.0 & Self::NOT_FLOAT.0 == 0 => "float",
            _ => "decimal",
        }
    }
}

/// Where a cell's bytes lie, whose it is, and what it says about its column's type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    /// The column's id, in order of first appearance.
    pub(crate) column: usize,
    /// Its first byte…
    pub(crate) start: usize,
    /// …and how many there are.
    pub(crate) length: usize,
    /// What the value is.
    pub(crate) kinds: Kinds,
    /// Whether the decoder wrote it. What JSON writes as DynamoDB does, such as a string, is still where it came: in the item.
    pub(crate) is_written: bool,
}

/// A decoded item: its cells, in the order in which they came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    /// The item, or more; at least a block more where that is at hand, since blocks are copied faster than exact lengths.
    pub(crate) item: &'a [u8],
    /// What the decoder wrote, or more.
    pub(crate) written: &'a [u8],
    /// No column comes twice.
    pub(crate) cells: &'a [Cell],
    /// Bytes of all cells.
    pub(crate) n_bytes: usize,
    /// No cell is written: all are in the item.
    pub(crate) is_all_item: bool,
    /// The row has the columns of the row before it, in the same order, and no value of a kind that its column has not had.
    pub(crate) is_like_last: bool,
}

impl Row<'_> {
    /// Bytes that begin with the cell.
    #[inline(always)]
    pub(crate) fn bytes(&self, cell: &Cell) -> &[u8] {
        if cell.is_written {
            &self.written[cell.start..]
        } else {
            &self.item[cell.start..]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_types_follow_from_all_the_kinds_seen() {
        let number = Kinds::NUMBER;
        for (kinds, expected) in [
            (Kinds::NONE, "null"),
            (Kinds::STRING, "string"),
            (Kinds::BOOLEAN, "boolean"),
            (Kinds::BYTES, "bytes"),
            (Kinds::ARRAY, "array"),
            (Kinds::MAP, "map"),
            (number, "long"),
            (number.with(Kinds::NOT_FLOAT), "long"),
            (number.with(Kinds::NOT_LONG), "float"),
            (
                number.with(Kinds::NOT_LONG).with(Kinds::NOT_FLOAT),
                "decimal",
            ),
            (Kinds::STRING.with(Kinds::BYTES), "any"),
            (Kinds::STRING.with(number), "any"),
            (Kinds::MAP.with(Kinds::ARRAY), "any"),
        ] {
            assert_eq!(kinds.column_type(), expected, "{kinds:?}");
        }
    }
}
