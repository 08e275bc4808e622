//! The columns: their names, order and what their values are.
//!
//! In: attribute names as they appear. Out: an id each (0, 1, … in order of appearance), the order in the result, the types.
//! The columns of any moment are the ids below some number, and stay in the same order among themselves whatever comes later.

use std::{collections::HashMap, io, ops::Range, sync::Arc};

use crate::decode::Kinds;

/// `{"name":` and `,"type":"` and `"}` and the comma between two entries.
const ENTRY_FRAME: usize = r#"{"name":,"type":""},"#.len();
/// What a line of column names begins with.
const LINE_START: &[u8] = br#"{"columns":["#;
/// What it ends with.
const LINE_END: &[u8] = b"]}\n";
/// Of so few columns a name is found by looking at each, which is faster than hashing it.
const FEW: usize = 16;
/// No type has a shorter word than `any` or `map`.
const SHORTEST_TYPE: usize = 3;

/// All columns of a table.
#[derive(Debug)]
pub(crate) struct Columns {
    /// By id.
    names: Vec<Arc<str>>,
    /// By id.
    kinds: Vec<Kinds>,
    /// By name; empty as long as there are few.
    ids: HashMap<Arc<[u8]>, usize>,
    /// Ids in the order of the result.
    order: Vec<usize>,
    /// How many of them the SELECT list fixed.
    n_listed: usize,
    /// A new column goes to the end, as lines that are already with the caller need it, and not to its place among the sorted ones.
    appends: bool,
    /// The least number of bytes that the entries of the document can take.
    min_entry_bytes: usize,
    committed: Committed,
}

/// What a rollback goes back to.
#[derive(Debug, Default)]
struct Committed {
    kinds: Vec<Kinds>,
    order: Vec<usize>,
    min_entry_bytes: usize,
}

impl Columns {
    /// The columns of a SELECT list; none for `SELECT *`.
    pub(crate) fn new(listed: Vec<String>) -> Self {
        let mut columns = Self {
            names: Vec::new(),
            kinds: Vec::new(),
            ids: HashMap::new(),
            order: Vec::new(),
            n_listed: 0,
            appends: false,
            min_entry_bytes: 0,
            committed: Committed::default(),
        };
        for name in listed {
            if columns.find(name.as_bytes()).is_none() {
                columns.insert(&name, columns.order.len());
                columns.n_listed += 1;
            }
        }
        columns.commit();
        columns
    }

    /// The id of a name, which becomes a column if it is none yet.
    pub(crate) fn id(&mut self, name: &str) -> usize {
        if let Some(id) = self.find(name.as_bytes()) {
            return id;
        }
        let place = if self.appends {
            self.order.len()
        } else {
            let sorted = &self.order[self.n_listed..];
            self.n_listed + sorted.partition_point(|&id| *self.names[id] < *name)
        };
        self.insert(name, place)
    }

    /// From now on the order is that of the lines: the SELECT list, then columns as they appeared, those of one item by name.
    ///
    /// `batches`: up to which id the columns had appeared, after each item that brought new ones.
    pub(crate) fn order_by_appearance(&mut self, batches: impl Iterator<Item = usize>) {
        self.appends = true;
        self.order = (0..self.names.len()).collect();
        let mut start = self.n_listed;
        for end in batches.chain([self.names.len()]) {
            self.sort_new(start, end);
            start = start.max(end);
        }
        self.committed.order.clone_from(&self.order);
    }

    /// Sorts the columns at these places of the order by name: those that one item brought.
    pub(crate) fn sort_new(&mut self, start: usize, end: usize) {
        let names = &self.names;
        if let Some(new) = self.order.get_mut(start.max(self.n_listed)..end) {
            new.sort_unstable_by(|&a, &b| names[a].cmp(&names[b]));
        }
    }

    /// Writes the line that names the columns at these places of the order: `{"columns":["a","b"]}` and a newline.
    pub(crate) fn write_line(&self, places: Range<usize>, line: &mut Vec<u8>) {
        line.extend_from_slice(LINE_START);
        for (index, &id) in self.order[places].iter().enumerate() {
            if index > 0 {
                line.push(b',');
            }
            write_json(&self.names[id], &mut *line);
        }
        line.extend_from_slice(LINE_END);
    }

    /// The length of the line that names these columns, by their ids, in whatever order.
    pub(crate) fn line_length(&self, ids: Range<usize>) -> usize {
        let n_commas = ids.len().saturating_sub(1);
        let names: usize = self.names[ids].iter().map(|name| json_length(name)).sum();
        LINE_START.len() + names + n_commas + LINE_END.len()
    }

    /// The places of the columns, listed in the order that a document would have: the SELECT list, then by name.
    pub(crate) fn document_order(&self) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.order.len()).collect();
        if let Some(sorted) = places.get_mut(self.n_listed..) {
            sorted.sort_unstable_by(|&a, &b| {
                self.names[self.order[a]].cmp(&self.names[self.order[b]])
            });
        }
        places
    }

    fn insert(&mut self, name: &str, place: usize) -> usize {
        let id = self.names.len();
        let name: Arc<str> = name.into();
        self.min_entry_bytes += ENTRY_FRAME + json_length(&name) + SHORTEST_TYPE;
        self.names.push(name);
        if self.names.len() > FEW {
            // Those from before as well, where this is the first that makes them many.
            let n_known = self.ids.len();
            let new = self.names.iter().enumerate().skip(n_known);
            self.ids
                .extend(new.map(|(id, name)| (Arc::clone(name).into(), id)));
        }
        self.kinds.push(Kinds::NONE);
        self.order.insert(place, id);
        id
    }

    /// The id of a name that is a column already.
    pub(crate) fn find(&self, name: &[u8]) -> Option<usize> {
        if self.names.len() > FEW {
            return self.ids.get(name).copied();
        }
        self.names.iter().position(|known| known.as_bytes() == name)
    }

    /// A column's name.
    pub(crate) fn name(&self, id: usize) -> &str {
        &self.names[id]
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// Their ids in the order of the result.
    pub(crate) fn order(&self) -> &[usize] {
        &self.order
    }

    /// Remembers what a value of the column is.
    pub(crate) fn see(&mut self, id: usize, kinds: Kinds) {
        self.kinds[id] = self.kinds[id].with(kinds);
    }

    /// A size that the entries of the document cannot go below, whatever rows come.
    pub(crate) fn min_entry_bytes(&self) -> usize {
        self.min_entry_bytes
    }

    /// The document up to the first row: `{"columns":[…],"data":[`.
    pub(crate) fn header(&self) -> Vec<u8> {
        let mut header = self.entries();
        header.extend_from_slice(br#","data":["#);
        header
    }

    /// A document's beginning, with the columns in their order: `{"columns":[…]`.
    pub(crate) fn entries(&self) -> Vec<u8> {
        let mut header = Vec::with_capacity(2 * ENTRY_FRAME + 2 * self.min_entry_bytes);
        header.extend_from_slice(br#"{"columns":["#);
        for (place, &id) in self.order.iter().enumerate() {
            if place > 0 {
                header.push(b',');
            }
            header.extend_from_slice(br#"{"name":"#);
            write_json(&self.names[id], &mut header);
            header.extend_from_slice(br#","type":""#);
            header.extend_from_slice(self.kinds[id].column_type().as_bytes());
            header.extend_from_slice(br#""}"#);
        }
        header.push(b']');
        header
    }

    /// Keeps columns and types as they are now.
    pub(crate) fn commit(&mut self) {
        self.committed.kinds.clone_from(&self.kinds);
        self.committed.min_entry_bytes = self.min_entry_bytes;
        if self.committed.order.len() != self.order.len() {
            self.committed.order.clone_from(&self.order);
        }
    }

    /// Goes back to what was kept last.
    pub(crate) fn roll_back(&mut self) {
        self.kinds.clone_from(&self.committed.kinds);
        self.min_entry_bytes = self.committed.min_entry_bytes;
        if self.names.len() > self.kinds.len() {
            for name in self.names.drain(self.kinds.len()..) {
                self.ids.remove(name.as_bytes());
            }
            if self.names.len() <= FEW {
                self.ids.clear();
            }
            self.order.clone_from(&self.committed.order);
        }
    }
}

fn write_json(text: &str, into: &mut impl io::Write) {
    serde_json::to_writer(into, text).expect("a string always serializes, and memory takes it");
}

fn json_length(text: &str) -> usize {
    struct Length(usize);
    impl io::Write for Length {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut length = Length(0);
    write_json(text, &mut length);
    length.0
}
