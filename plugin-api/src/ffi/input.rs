//! What crosses the C surface: bytes borrowed for a call, structs with a size, buffers handed out and taken back.
//!
//! Everything is checked that can be checked; what cannot (that a pointer leads to that many bytes) is the caller's promise.

use super::{
    types::{HpBuffer, HpCall, HpHost, size32},
    types_1_0,
};
use crate::{Error, slot::misuse};

/// Borrows `len` bytes of UTF-8 for the call; `None` for a null pointer.
///
/// # Safety
/// Where `data` is not null it leads to `len` readable bytes that nobody writes during `'a`.
pub(crate) unsafe fn text<'a>(
    data: *const u8,
    len: usize,
    what: &str,
) -> Result<Option<&'a str>, Error> {
    if data.is_null() {
        return Ok(None);
    }
    if isize::try_from(len).is_err() {
        return Err(misuse(format!(
            "the length of {what}, {len}, is larger than any memory"
        )));
    }
    // SAFETY: not null, not larger than isize::MAX; the rest is the caller's promise.
    let bytes = unsafe { std::slice::from_raw_parts(data, len) };
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(error) => Err(misuse(format!(
            "{what} is not UTF-8 at byte {}",
            error.valid_up_to()
        ))),
    }
}

/// A struct that grows at its end and says its own size in its first word. Its fields behind the first two words have 8 bytes each.
pub(crate) trait Sized32: Copy {
    const NAME: &'static str;
    /// Bytes of the struct in ABI 1.0: every caller knows as many.
    const LEAST: usize;
    /// A struct whose every field is null or 0.
    const NONE: Self;
    fn reserved(&self) -> u32;
}

impl Sized32 for HpHost {
    const NAME: &'static str = "hp_host";
    const LEAST: usize = size_of::<Self>();
    const NONE: Self = Self {
        struct_size: size32::<Self>(),
        reserved: 0,
        user: std::ptr::null_mut(),
        log: None,
    };
    fn reserved(&self) -> u32 {
        self.reserved
    }
}

impl Sized32 for HpCall {
    const NAME: &'static str = "hp_call";
    const LEAST: usize = types_1_0::CALL_BYTES;
    const NONE: Self = Self::NONE;
    fn reserved(&self) -> u32 {
        self.reserved
    }
}

/// Reads a caller's struct, as many of its fields as the caller knows; `None` for a null pointer.
///
/// # Safety
/// Where `pointer` is not null it leads to as many readable bytes as its first word, `struct_size`, says.
pub(crate) unsafe fn sized<T: Sized32>(pointer: *const T) -> Result<Option<T>, Error> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: every such struct begins with a readable `struct_size`; unaligned, because C callers may pack.
    let struct_size = unsafe { pointer.cast::<u32>().read_unaligned() } as usize;
    if struct_size < T::LEAST {
        return Err(misuse(format!(
            "{}.struct_size is {struct_size}, but ABI 1.0 knows {} bytes",
            T::NAME,
            T::LEAST
        )));
    }
    // A field that the size cuts is not there.
    let length = struct_size.min(size_of::<T>()) / 8 * 8;
    let mut value = T::NONE;
    // SAFETY: the caller promises `struct_size` readable bytes, and `value` has room for `length`. Whole fields are copied, each of
    // the caller's own type, so that the value stays valid.
    unsafe { std::ptr::copy_nonoverlapping(pointer.cast::<u8>(), (&raw mut value).cast(), length) };
    if value.reserved() != 0 {
        return Err(misuse(format!(
            "{}.reserved is {}, but must be 0",
            T::NAME,
            value.reserved()
        )));
    }
    Ok(Some(value))
}

impl HpBuffer {
    /// No bytes: what a call is given to write its document into.
    pub const EMPTY: Self = Self {
        data: std::ptr::null_mut(),
        len: 0,
        capacity: 0,
    };

    /// Hands `bytes` out, with a NUL behind them; no memory for none. No copy where the vector has a byte to spare.
    pub(crate) fn from_vec(mut bytes: Vec<u8>) -> Self {
        if bytes.is_empty() {
            return Self::EMPTY;
        }
        bytes.push(0);
        let mut bytes = std::mem::ManuallyDrop::new(bytes);
        Self {
            data: bytes.as_mut_ptr(),
            len: bytes.len() - 1,
            capacity: bytes.capacity(),
        }
    }

    /// Takes a buffer back and leaves it empty, so that a second time is harmless.
    ///
    /// # Safety
    /// The buffer is empty or was made by [`HpBuffer::from_vec`] of this same library, and not changed since.
    pub(crate) unsafe fn take(&mut self) -> Vec<u8> {
        let Self {
            data,
            len,
            capacity,
        } = std::mem::replace(self, Self::EMPTY);
        if data.is_null() || capacity == 0 {
            return Vec::new();
        }
        // SAFETY: these are the parts that `from_vec` took a vector apart into; `len` bytes of it are initialised.
        unsafe { Vec::from_raw_parts(data, len, capacity) }
    }
}
