//! Values that hold others, written as the result has them: the inner half of the predicting decoder.
//!
//! In: bytes at a list, a map or a set of numbers. Out: its cell. The members of a map are expected to be those that maps at this place
//! had before. `None` where the value is not written as DynamoDB writes it, or the bytes or the room end: then the plain decoder judges
//! the whole item, and what was written is thrown away.

use std::num::NonZero;

use super::{
    MAX_NESTING,
    block::{BLOCK, Blocks, HALF},
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

/// The maps inside of items, by their place; that of a map which is being read is empty.
#[derive(Debug, Default)]
pub(super) struct Shapes(Vec<Option<Box<Shape>>>);

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
    /// What the result has before the value, a brace or a comma and the name: so many bytes…
    n_before: usize,
    /// …of which these are the first.
    before: [u8; BLOCK],
    digest: u32,
    /// The place of the maps in its value.
    inner: usize,
}

impl Member {
    fn new(name: &str, of: Type, digest: u32, is_first: bool) -> Self {
        let mut member = Self {
            name: name.into(),
            expected: Expected::new("", name, of),
            n_before: name.len() + r#","":"#.len(),
            before: [0; BLOCK],
            digest,
            inner: NONE,
        };
        member.come(is_first);
        member
    }

    /// Whether it is the first member that comes.
    fn come(&mut self, is_first: bool) {
        let before = if is_first { "{" } else { "}," };
        self.expected = Expected::new(before, &self.name, self.expected.of);
        let written = [&before[before.len() - 1..], "\"", &self.name, "\":"].concat();
        for (place, byte) in self.before.iter_mut().zip(written.bytes()) {
            *place = byte;
        }
    }

    /// Writes what comes before the value; `text` begins where the member was expected.
    #[inline(always)]
    fn write_before<'w>(&self, text: &[u8], room: &'w mut [u8]) -> Option<&'w mut [u8]> {
        if self.n_before <= BLOCK {
            *room.first_chunk_mut()? = self.before;
            return room.get_mut(self.n_before..);
        }
        let from = usize::from(text.starts_with(b"}"));
        copy_exactly(text.get(from..from + self.n_before)?, room)
    }
}

impl Shapes {
    /// A place for the maps in a value, which is a new one where it has none yet, as long as there are not too many.
    #[inline(always)]
    pub(super) fn place(&mut self, place: &mut usize) -> usize {
        if *place == NONE {
            self.new_place(place);
        }
        *place
    }

    #[cold]
    #[inline(never)]
    fn new_place(&mut self, place: &mut usize) {
        if self.0.len() < MAX_SHAPES {
            *place = self.0.len();
            self.0.push(Some(Box::default()));
        }
    }
}

/// What one map has had so far.
#[derive(Default)]
struct Seen {
    /// Which members of its shape, one bit each.
    members: u64,
    /// The member that is expected next.
    next: usize,
    /// Names that the shape does not have.
    others: Option<Names>,
}

impl Seen {
    /// All members from the one that was expected to this one have come.
    #[cold]
    #[inline(never)]
    fn all_to(&mut self, next: usize) {
        for at in self.next..next {
            self.members |= 1 << (at % MAX_MEMBERS);
        }
        self.next = next;
    }

    fn is_empty(&self) -> bool {
        self.members == 0 && self.others.is_none()
    }
}

/// What is left to read, and the room that is left to write: passed on by value, which keeps both in registers.
type Left<'i, 'w> = (&'i [u8], &'w mut [u8]);

/// Writes the first bytes of some text; a few as a whole block, which is faster than their exact length.
#[inline(always)]
fn copy<'w>(text: &[u8], length: usize, room: &'w mut [u8]) -> Option<&'w mut [u8]> {
    if length <= BLOCK
        && let Some(block) = text.first_chunk::<BLOCK>()
        && let Some(place) = room.first_chunk_mut::<BLOCK>()
    {
        *place = *block;
        return Some(&mut room[length..]);
    }
    copy_exactly(text.get(..length)?, room)
}

/// Writes all of a text. Kept apart, or the compiler makes one copy of any length of this and the whole block.
#[cold]
#[inline(never)]
fn copy_exactly<'w>(text: &[u8], room: &'w mut [u8]) -> Option<&'w mut [u8]> {
    let (place, room) = room.split_at_mut_checked(text.len())?;
    place.copy_from_slice(text);
    Some(room)
}

/// Writes one character.
#[inline(always)]
fn put(character: u8, room: &mut [u8]) -> Option<&mut [u8]> {
    let (place, room) = room.split_first_mut()?;
    *place = character;
    Some(room)
}

/// A string, of which `text` begins behind the opening quote: blocks are written before it is known how much of them belongs to it.
#[inline(always)]
fn string<'i, 'w>(blocks: impl Blocks, text: &'i [u8], room: &'w mut [u8]) -> Option<Left<'i, 'w>> {
    let (mut rest, mut room) = (text, put(b'"', room)?);
    loop {
        let block = rest.first_chunk::<BLOCK>()?;
        let stops = blocks.text_stops(block);
        *room.first_chunk_mut()? = *block;
        let Some(stops) = NonZero::new(stops) else {
            rest = &rest[BLOCK..];
            room = &mut room[BLOCK..];
            continue;
        };
        let stop = stops.trailing_zeros() as usize;
        if rest[stop] != b'"' {
            let end = scan::any_string(blocks, text, text.len() - rest.len() + stop)?;
            let room = copy_exactly(&rest[..rest.len() - end.len()], room)?;
            return Some((end, room));
        }
        return Some((&rest[stop + 1..], &mut room[stop + 1..]));
    }
}

/// A number, of which `text` begins behind the opening quote.
#[inline(always)]
fn number<'i, 'w>(text: &'i [u8], room: &'w mut [u8]) -> Option<Left<'i, 'w>> {
    if let Some((rest, _)) = scan::short_number(text) {
        let length = (text.len() - rest.len() - 1).min(HALF);
        *room.first_chunk_mut::<HALF>()? = *text.first_chunk()?;
        return Some((rest, &mut room[length..]));
    }
    let (rest, _) = scan::any_number(text)?;
    let room = copy_exactly(&text[..text.len() - rest.len() - 1], room)?;
    Some((rest, room))
}

/// How blocks are looked at, and what is known of maps.
pub(super) struct Nested<'s, B> {
    pub(super) blocks: B,
    pub(super) shapes: &'s mut Shapes,
}

impl<B: Blocks> Nested<'_, B> {
    /// A value without its type, to before its closing brace. `inner` is the place of the maps in it.
    #[inline(always)]
    fn value<'i, 'w>(
        &mut self,
        (text, room): Left<'i, 'w>,
        of: Type,
        inner: usize,
        depth: usize,
    ) -> Option<Left<'i, 'w>> {
        if matches!(of, Type::String | Type::Bytes) {
            return string(self.blocks, text, room);
        }
        if of == Type::Number {
            return number(text, room);
        }
        if of == Type::Boolean {
            let rest = scan::boolean(text)?;
            return Some((rest, copy(text, text.len() - rest.len(), room)?));
        }
        if of == Type::Null {
            return Some((text, copy_exactly(b"null", room)?));
        }
        // Taken apart and put together again, so that only this value is returned through memory.
        let (text, room) = self.holder((text, room), of, inner, depth)?;
        Some((text, room))
    }

    /// A value that holds others.
    #[inline(always)]
    pub(super) fn holder<'i, 'w>(
        &mut self,
        left: Left<'i, 'w>,
        of: Type,
        inner: usize,
        depth: usize,
    ) -> Option<Left<'i, 'w>> {
        self.blocks.run(
            #[inline(always)]
            move || {
                if depth >= MAX_NESTING {
                    return None;
                }
                match of {
                    Type::List => self.list(left, inner, depth + 1),
                    Type::Map => self.map(left, inner, depth + 1),
                    Type::Numbers => numbers(left),
                    _ => {
                        let (text, room) = left;
                        let rest = scan::strings(self.blocks, text)?;
                        Some((rest, copy(text, text.len() - rest.len(), room)?))
                    }
                }
            },
        )
    }

    #[inline(always)]
    fn list<'i, 'w>(
        &mut self,
        (text, room): Left<'i, 'w>,
        inner: usize,
        depth: usize,
    ) -> Option<Left<'i, 'w>> {
        let mut room = put(b'[', room)?;
        if let Some(rest) = text.strip_prefix(b"[]") {
            return Some((rest, put(b']', room)?));
        }
        let mut rest = text.strip_prefix(b"[{\"")?;
        loop {
            let (of, value) = Type::strip(rest)?;
            (rest, room) = if of == Type::Map {
                self.maps((value, room), inner, depth + 1)?
            } else {
                self.value((value, room), of, inner, depth)?
            };
            let Some(next) = rest.strip_prefix(b"},{\"") else {
                break;
            };
            room = put(b',', room)?;
            rest = next;
        }
        Some((rest.strip_prefix(b"}]")?, put(b']', room)?))
    }

    /// A map in a list, and the maps that follow it there: what is known of maps at this place is looked up once.
    #[inline(always)]
    fn maps<'i, 'w>(
        &mut self,
        (mut rest, mut room): Left<'i, 'w>,
        place: usize,
        depth: usize,
    ) -> Option<Left<'i, 'w>> {
        if depth > MAX_NESTING {
            return None;
        }
        // No map inside of these is at the same place.
        let known = self.shapes.0.get_mut(place).and_then(Option::take);
        let mut shape = known.unwrap_or_else(Shape::given_up);
        let left = loop {
            let map = if let Some(behind) = rest.strip_prefix(b"{}") {
                put(b'{', room).and_then(|room| Some((behind, put(b'}', room)?)))
            } else {
                self.members((rest, room), &mut shape, depth)
            };
            let Some(map) = map else { break None };
            let Some(next) = map.0.strip_prefix(b"},{\"M\":") else {
                break Some(map);
            };
            let Some(further) = put(b',', map.1) else {
                break None;
            };
            (rest, room) = (next, further);
        };
        if let Some(known) = self.shapes.0.get_mut(place) {
            *known = Some(shape);
        }
        left
    }

    #[inline(always)]
    fn map<'i, 'w>(
        &mut self,
        (text, room): Left<'i, 'w>,
        place: usize,
        depth: usize,
    ) -> Option<Left<'i, 'w>> {
        if let Some(rest) = text.strip_prefix(b"{}") {
            return Some((rest, put(b'}', put(b'{', room)?)?));
        }
        // No map inside of this one is at the same place.
        let known = self.shapes.0.get_mut(place).and_then(Option::take);
        let mut shape = known.unwrap_or_else(Shape::given_up);
        let left = self.members((text, room), &mut shape, depth);
        if let Some(known) = self.shapes.0.get_mut(place) {
            *known = Some(shape);
        }
        left
    }

    /// The members of a map that has some, and its closing brace.
    #[inline(always)]
    fn members<'i, 'w>(
        &mut self,
        (mut rest, mut room): Left<'i, 'w>,
        shape: &mut Shape,
        depth: usize,
    ) -> Option<Left<'i, 'w>> {
        let mut seen = Seen::default();
        let mut expected = &shape.members[..];
        loop {
            match expected.split_first() {
                Some((next, others)) if next.expected.begins(self.blocks, rest) => {
                    expected = others;
                    room = next.write_before(rest, room)?;
                    let value = rest.get(next.expected.length..)?;
                    // The commonest value comes first; see the values of attributes.
                    (rest, room) = if next.expected.is_text {
                        string(self.blocks, value, room)?
                    } else if next.expected.is_number {
                        number(value, room)?
                    } else {
                        self.value((value, room), next.expected.of, next.inner, depth)?
                    };
                }
                // Before the first member is the map's own brace.
                _ if rest.starts_with(b"}}") => break,
                _ => {
                    seen.all_to(shape.members.len() - expected.len());
                    (rest, room) = self.unexpected((rest, room), shape, &mut seen, depth)?;
                    expected = shape.members.get(seen.next..)?;
                }
            }
        }
        Some((rest.get(2..)?, put(b'}', room)?))
    }

    /// A member that is not the expected one.
    #[cold]
    #[inline(never)]
    fn unexpected<'i, 'w>(
        &mut self,
        (text, room): Left<'i, 'w>,
        shape: &mut Shape,
        seen: &mut Seen,
        depth: usize,
    ) -> Option<Left<'i, 'w>> {
        let blocks = self.blocks;
        let before = if seen.is_empty() { &b"{"[..] } else { b"}," };
        let rest = text.strip_prefix(before)?;
        let named = rest.strip_prefix(b"\"")?;
        let behind = blocks.run(
            #[inline(always)]
            || scan::string(blocks, named),
        )?;
        let n_name = rest.len() - behind.len();
        let (of, value) = Type::strip(behind.strip_prefix(b":{\"")?)?;
        let inner = self.learn(shape, rest.get(..n_name)?, of, seen)?;
        let room = copy(text.get(before.len() - 1..)?, n_name + 2, room)?;
        blocks.run(
            #[inline(always)]
            || self.value((value, room), of, inner, depth),
        )
    }

    /// Remembers a member that was not expected; gives the place of the maps in it, or `None` where the map may already have it.
    fn learn(
        &mut self,
        shape: &mut Shape,
        name: &[u8],
        of: Type,
        seen: &mut Seen,
    ) -> Option<usize> {
        let digest = digest(name)?;
        let known = if shape.is_given_up {
            None
        } else {
            shape.member(name, digest, seen)?
        };
        let Some(member) = known else {
            let others = seen.others.get_or_insert_default();
            return others.is_new(digest).then_some(NEVER);
        };
        member.expected.expect(of);
        if matches!(of, Type::List | Type::Map) {
            self.shapes.place(&mut member.inner);
        }
        Some(member.inner)
    }
}

#[inline(always)]
fn numbers<'i, 'w>((text, room): Left<'i, 'w>) -> Option<Left<'i, 'w>> {
    let mut room = put(b'[', room)?;
    if let Some(rest) = text.strip_prefix(b"[]") {
        return Some((rest, put(b']', room)?));
    }
    let mut rest = text.strip_prefix(b"[\"")?;
    loop {
        (rest, room) = number(rest, room)?;
        let Some(next) = rest.strip_prefix(b",\"") else {
            break;
        };
        room = put(b',', room)?;
        rest = next;
    }
    Some((rest.strip_prefix(b"]")?, put(b']', room)?))
}

impl Shape {
    /// What is known of maps that are not remembered.
    #[cold]
    fn given_up() -> Box<Self> {
        Box::new(Self {
            members: Vec::new(),
            is_given_up: true,
        })
    }

    /// The member of this name, which may be a new one; none where nothing is to be expected here any more. `None` where
    /// the map may already have it.
    fn member(&mut self, name: &[u8], digest: u32, seen: &mut Seen) -> Option<Option<&mut Member>> {
        let text = name.get(1..name.len() - 1)?;
        let known = |member: &Member| member.digest == digest;
        let at = match self.members.iter().position(known) {
            Some(at) if self.members[at].name.as_bytes() == text => at,
            Some(_) => return None,
            None if self.members.len() == MAX_MEMBERS => {
                self.give_up(seen);
                return Some(None);
            }
            None => {
                let text = std::str::from_utf8(text).ok()?;
                if seen.next == 0
                    && let Some(first) = self.members.first_mut()
                {
                    first.come(false);
                }
                let member = Member::new(text, Type::String, digest, seen.next == 0);
                // All members that the map has had come before this place.
                self.members.insert(seen.next, member);
                seen.next
            }
        };
        seen.next = seen.next.max(at + 1);
        let before = seen.members;
        seen.members |= 1 << at;
        (seen.members != before).then(|| self.members.get_mut(at))
    }

    /// From now on nothing is expected here.
    fn give_up(&mut self, seen: &mut Seen) {
        for (at, member) in self.members.drain(..).enumerate() {
            if seen.members >> at & 1 == 1 {
                seen.others.get_or_insert_default().is_new(member.digest);
            }
        }
        self.is_given_up = true;
        seen.next = 0;
    }
}
