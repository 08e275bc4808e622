//! Values that hold others, written as the result has them: the inner half of the predicting decoder.
//!
//! In: bytes at a list, a map or a set of numbers. Out: its cell. The members of a map are expected to be those that maps at this place
//! had before. `None` where the value is not written as DynamoDB writes it, or the bytes or the room end: then the plain decoder judges
//! the whole item, and what was written is thrown away.

use super::{
    MAX_NESTING,
    block::{BLOCK, Blocks},
    expected::{Expected, Type},
    names::{Names, digest},
    scan,
};

/// No map has been at this place yet.
pub(super) const NONE: usize = usize::MAX;
/// Maps at this place are not remembered.
const NEVER: usize = usize::MAX - 1;
/// Places for maps that are remembered.
const MAX_SHAPES: usize = 1000;
/// A place whose maps have had more names than this holds names that are data, and nothing is expected there any more.
const MAX_MEMBERS: usize = 64;

/// The maps inside of items, by the place that an [`Expected`] names.
#[derive(Debug, Default)]
pub(super) struct Shapes(Vec<Shape>);

/// The members that maps at one place have had, in an order that fits most of them.
#[derive(Debug, Default)]
struct Shape {
    members: Vec<Member>,
    is_given_up: bool,
}

#[derive(Debug)]
struct Member {
    name: Box<str>,
    expected: Expected,
    digest: u32,
    /// The place of the maps in its value.
    inner: usize,
}

impl Shapes {
    /// A place for the maps in a value, which is a new one where it has none yet, as long as there are not too many.
    pub(super) fn place(&mut self, place: &mut usize) -> usize {
        if *place == NONE && self.0.len() < MAX_SHAPES {
            *place = self.0.len();
            self.0.push(Shape::default());
        }
        *place
    }
}

/// What one map has had so far.
struct Seen {
    /// Which members of its shape, one bit each.
    members: u64,
    /// The member that is expected next.
    next: usize,
    /// The member that was not expected.
    at: usize,
    /// Names that the shape does not have.
    others: Option<Names>,
}

impl Seen {
    fn is_empty(&self) -> bool {
        self.members == 0 && self.others.is_none()
    }
}

/// What has been written of an item, and how blocks are looked at.
pub(super) struct Nested<'w, B> {
    pub(super) blocks: B,
    pub(super) room: &'w mut [u8],
    /// Bytes of the room that are written.
    pub(super) n_written: usize,
    pub(super) shapes: &'w mut Shapes,
}

/// What is left to read is taken and given back by each step, which keeps it in registers.
impl<B: Blocks> Nested<'_, B> {
    /// Writes the first bytes of some text; a few as a whole block, which is faster than their exact length.
    #[inline(always)]
    fn copy(&mut self, text: &[u8], length: usize) -> Option<()> {
        let room = self.room.get_mut(self.n_written..)?;
        if length <= BLOCK
            && let Some(block) = text.first_chunk::<BLOCK>()
            && let Some(place) = room.first_chunk_mut::<BLOCK>()
        {
            *place = *block;
            self.n_written += length;
            return Some(());
        }
        self.copy_exactly(text.get(..length)?)
    }

    /// Writes all of a text. Kept apart, or the compiler makes one copy of any length of this and the whole block.
    #[inline(never)]
    fn copy_exactly(&mut self, text: &[u8]) -> Option<()> {
        let room = self.room.get_mut(self.n_written..)?;
        room.get_mut(..text.len())?.copy_from_slice(text);
        self.n_written += text.len();
        Some(())
    }

    /// Writes one character.
    #[inline(always)]
    fn put(&mut self, character: u8) -> Option<()> {
        *self.room.get_mut(self.n_written)? = character;
        self.n_written += 1;
        Some(())
    }

    /// A value without its type, to before its closing brace. `inner` is the place of the maps in it.
    #[inline(always)]
    fn value<'i>(
        &mut self,
        text: &'i [u8],
        of: Type,
        inner: usize,
        depth: usize,
    ) -> Option<&'i [u8]> {
        let (length, n_read) = match of {
            Type::String | Type::Bytes => {
                let length = scan::string(self.blocks, text)?;
                (length, length)
            }
            Type::Number => {
                let length = scan::number(text)?.0;
                (length, length + 1)
            }
            Type::Boolean => {
                let length = scan::boolean(text)?;
                (length, length)
            }
            Type::Null => {
                self.copy_exactly(b"null")?;
                return Some(text);
            }
            _ => return self.holder(text, of, inner, depth),
        };
        self.copy(text, length)?;
        text.get(n_read..)
    }

    /// A value that holds others.
    #[inline(always)]
    pub(super) fn holder<'i>(
        &mut self,
        text: &'i [u8],
        of: Type,
        inner: usize,
        depth: usize,
    ) -> Option<&'i [u8]> {
        self.blocks.run(
            #[inline(always)]
            || {
                if depth >= MAX_NESTING {
                    return None;
                }
                match of {
                    Type::List => self.list(text, inner, depth + 1),
                    Type::Map => self.map(text, inner, depth + 1),
                    Type::Numbers => self.numbers(text),
                    _ => {
                        let length = scan::strings(self.blocks, text)?;
                        self.copy(text, length)?;
                        text.get(length..)
                    }
                }
            },
        )
    }

    #[inline(always)]
    fn numbers<'i>(&mut self, text: &'i [u8]) -> Option<&'i [u8]> {
        self.put(b'[')?;
        let mut rest = text.strip_prefix(b"[")?;
        if *rest.first()? != b']' {
            loop {
                let number = rest.strip_prefix(b"\"")?;
                let length = scan::number(number)?.0;
                self.copy(number, length)?;
                rest = number.get(length + 1..)?;
                if *rest.first()? != b',' {
                    break;
                }
                self.put(b',')?;
                rest = &rest[1..];
            }
        }
        self.put(b']')?;
        rest.strip_prefix(b"]")
    }

    #[inline(always)]
    fn list<'i>(&mut self, text: &'i [u8], inner: usize, depth: usize) -> Option<&'i [u8]> {
        self.put(b'[')?;
        let mut rest = text.strip_prefix(b"[")?;
        if *rest.first()? != b']' {
            rest = rest.strip_prefix(b"{\"")?;
            loop {
                let (of, value) = Type::strip(rest)?;
                rest = self.value(value, of, inner, depth)?;
                match rest.strip_prefix(b"},{\"") {
                    Some(next) => rest = next,
                    None => break,
                }
                self.put(b',')?;
            }
            rest = rest.strip_prefix(b"}")?;
        }
        self.put(b']')?;
        rest.strip_prefix(b"]")
    }

    #[inline(always)]
    fn map<'i>(&mut self, text: &'i [u8], place: usize, depth: usize) -> Option<&'i [u8]> {
        if let Some(rest) = text.strip_prefix(b"{}") {
            self.put(b'{')?;
            self.put(b'}')?;
            return Some(rest);
        }
        let mut seen = Seen {
            members: 0,
            next: 0,
            at: 0,
            others: None,
        };
        let mut rest = text;
        // Before the first name is the map's brace; before the others are the one of the value before and a comma. The last of them
        // is for the result.
        let mut from = 0;
        loop {
            let shape = self.shapes.0.get(place);
            match shape.and_then(|shape| shape.members.get(seen.next)) {
                Some(next) if next.expected.begins(self.blocks, rest) => {
                    let Expected {
                        length, n_name, of, ..
                    } = next.expected;
                    let inner = next.inner;
                    self.copy(rest.get(from..)?, n_name + 1)?;
                    seen.members |= 1 << (seen.next % MAX_MEMBERS);
                    seen.next += 1;
                    rest = self.value(rest.get(length..)?, of, inner, depth)?;
                }
                _ if from == 1 && rest.starts_with(b"}}") => break,
                _ => rest = self.unexpected(rest, place, &mut seen, depth)?,
            }
            from = 1;
        }
        self.put(b'}')?;
        rest.get(2..)
    }

    /// A member that is not the expected one.
    #[inline(never)]
    fn unexpected<'i>(
        &mut self,
        text: &'i [u8],
        place: usize,
        seen: &mut Seen,
        depth: usize,
    ) -> Option<&'i [u8]> {
        let blocks = self.blocks;
        let before = if seen.is_empty() { &b"{"[..] } else { b"}," };
        let rest = text.strip_prefix(before)?;
        if *rest.first()? != b'"' {
            return None;
        }
        let n_name = blocks.run(
            #[inline(always)]
            || scan::string(blocks, rest),
        )?;
        let name = rest.get(..n_name)?;
        let typed = rest.get(n_name..)?.strip_prefix(b":{\"")?;
        let (of, value) = Type::strip(typed)?;
        let inner = self.shapes.learn(place, name, of, seen)?;
        self.copy(text.get(before.len() - 1..)?, n_name + 2)?;
        blocks.run(
            #[inline(always)]
            || self.value(value, of, inner, depth),
        )
    }
}

impl Shapes {
    /// Remembers a member that was not expected; gives the place of the maps in it, or `None` where the map may already have it.
    fn learn(&mut self, place: usize, name: &[u8], of: Type, seen: &mut Seen) -> Option<usize> {
        let digest = digest(name)?;
        let known = match self.0.get_mut(place) {
            Some(shape) if !shape.is_given_up => shape.member(name, digest, seen)?,
            _ => None,
        };
        let Some(member) = known else {
            let others = seen.others.get_or_insert_default();
            return others.is_new(digest).then_some(NEVER);
        };
        member.expected.expect(of);
        let mut inner = member.inner;
        if inner == NONE && matches!(of, Type::List | Type::Map) {
            self.place(&mut inner);
            self.0.get_mut(place)?.members.get_mut(seen.at)?.inner = inner;
        }
        Some(inner)
    }
}

impl Shape {
    /// The member of this name, which may be a new one, at `seen.at`; none where nothing is to be expected here any more. `None` where
    /// the map may already have it.
    fn member(&mut self, name: &[u8], digest: u32, seen: &mut Seen) -> Option<Option<&mut Member>> {
        let text = name.get(1..name.len() - 1)?;
        let known = |member: &Member| member.digest == digest;
        seen.at = match self.members.iter().position(known) {
            Some(at) if self.members[at].name.as_bytes() == text => at,
            Some(_) => return None,
            None if self.members.len() == MAX_MEMBERS => {
                self.give_up(seen);
                return Some(None);
            }
            None => {
                let text = std::str::from_utf8(text).ok()?;
                let before = if seen.next == 0 { "{" } else { "}," };
                if seen.next == 0
                    && let Some(first) = self.members.first_mut()
                {
                    first.expected = Expected::new("},", &first.name, first.expected.of);
                }
                let member = Member {
                    name: text.into(),
                    expected: Expected::new(before, text, Type::String),
                    digest,
                    inner: NONE,
                };
                // All members that the map has had come before this place.
                self.members.insert(seen.next, member);
                seen.next
            }
        };
        seen.next = seen.next.max(seen.at + 1);
        let before = seen.members;
        seen.members |= 1 << seen.at;
        (seen.members != before).then(|| self.members.get_mut(seen.at))
    }

    /// From now on nothing is expected here.
    fn give_up(&mut self, seen: &mut Seen) {
        for (at, member) in self.members.drain(..).enumerate() {
            if seen.members >> at & 1 == 1 {
                seen.others.get_or_insert_default().is_new(member.digest);
            }
        }
        self.is_given_up = true;
    }
}
