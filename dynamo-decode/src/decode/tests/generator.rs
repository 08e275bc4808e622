//! Random pages of a random table: mostly items that look alike, as DynamoDB sends them, now and then something else.

/// A small random source of its own (SplitMix64), so that a seed means the same everywhere.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("below a usize")
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for end in (1..list.len()).rev() {
            list.swap(end, self.below(end + 1));
        }
    }
}

const NAMES: [&str; 22] = [
    "id",
    "category",
    "price",
    "S",
    "N",
    "NULL",
    "a.b",
    "A",
    "a",
    "",
    "é",
    "😀 name",
    "a_name_of_26_characters_abc",
    "a_name_of_27_characters_abcd",
    "a_name_of_28_characters_abcde",
    "a_name_that_is_much_longer_than_one_block_of_thirty_two_bytes",
    "a_name_that_is_much_longer_than_one_block_of_thirty_two_bytez",
    "]",
    "}}",
    r"q\u0022",
    r"t\t",
    r"\u0069d",
];
const NUMBERS: [&str; 26] = [
    "0",
    "-0",
    "5",
    "-7",
    "12.99",
    "0.5",
    "-0.25",
    "123456789012345",
    "-12345678901234",
    "1234567890123456",
    "12345678.901234",
    "123456789.0123456",
    "9223372036854775807",
    "9223372036854775808",
    "12345678901234567890123456789012345678",
    "1E-130",
    "9.9E+125",
    "1e5",
    "100",
    "1.10",
    "999999999999999",
    "-99999999999999",
    "-999999999999999",
    "0.1234567890123",
    "9007199254740993",
    "0.30000000000000004",
];
const NO_NUMBERS: [&str; 10] = [
    "",
    "-",
    "01",
    "+1",
    "1.",
    ".5",
    "NaN",
    "1e",
    "00000000000000001",
    "-.5",
];
const PIECES: [&str; 18] = [
    "word",
    "a ",
    "0123456789abcdef",
    "x\\\"y",
    "\\n",
    "\\/",
    "\\u00e9",
    "\\ud83d\\ude00",
    "é",
    "😀",
    "]},{",
    "\\\\",
    " ",
    "lorem ipsum dolor sit amet",
    "/",
    "=",
    "\u{7f}",
    "\u{80}",
];

/// A table to make pages of: its attributes in the order of the wire, and how wild it is.
pub(super) struct Generator {
    pub(super) select: Option<Vec<String>>,
    attributes: Vec<(&'static str, usize)>,
    /// One in so many things is out of the ordinary.
    rarity: usize,
    shuffles: bool,
    is_spaced: bool,
}

impl Generator {
    pub(super) fn new(random: &mut Random) -> Self {
        // Without the last, which is another spelling of the first.
        let mut names = NAMES;
        let (_, names) = names.split_last_mut().expect("names");
        random.shuffle(names);
        let n_attributes = random.below(12);
        let select = random.one_in(3).then(|| {
            names[..random.below(4)]
                .iter()
                .map(|name| (*name).to_owned())
                .collect()
        });
        Self {
            select,
            attributes: names[..n_attributes]
                .iter()
                .map(|name| (*name, random.below(10)))
                .collect(),
            rarity: [3, 20, 200, 2000][random.below(4)],
            shuffles: random.one_in(5),
            is_spaced: random.one_in(12),
        }
    }

    /// The body of an answer.
    pub(super) fn page(&self, random: &mut Random) -> Vec<u8> {
        let items: Vec<_> = (0..random.below(40)).map(|_| self.item(random)).collect();
        let items = format!("\"Items\":[{}]", items.join(","));
        let mut members = vec![items];
        if random.one_in(2) {
            members.push(format!(
                "\"NextToken\":\"{}\"",
                "token/+=".repeat(random.below(20))
            ));
        }
        if random.one_in(2) {
            members.push(r#""ConsumedCapacity":{"TableName":"t","CapacityUnits":0.5}"#.to_owned());
        }
        if random.one_in(4) {
            random.shuffle(&mut members);
        }
        let mut page = format!("{{{}}}", members.join(","));
        if self.is_spaced {
            page = page
                .replace("},", "} ,\n")
                .replace(":{", ": {\t")
                .replace("[{", "[ {");
        }
        page.into_bytes()
    }

    fn item(&self, random: &mut Random) -> String {
        let mut attributes = self.attributes.clone();
        attributes.retain(|_| !random.one_in(self.rarity));
        if random.one_in(self.rarity) {
            // Sometimes new, sometimes one that is there already.
            attributes.push((random.pick(&NAMES), random.below(10)));
        }
        if self.shuffles || random.one_in(self.rarity) {
            random.shuffle(&mut attributes);
        }
        let attributes: Vec<_> = attributes
            .iter()
            .map(|(name, kind)| {
                let kind = if random.one_in(self.rarity) {
                    random.below(10)
                } else {
                    *kind
                };
                format!("\"{name}\":{}", self.value(kind, 0, random))
            })
            .collect();
        format!("{{{}}}", attributes.join(","))
    }

    fn value(&self, kind: usize, depth: usize, random: &mut Random) -> String {
        match kind {
            0 => format!(r#"{{"N":"{}"}}"#, self.number(random)),
            1 => format!(r#"{{"BOOL":{}}}"#, random.one_in(2)),
            2 => r#"{"NULL":true}"#.to_owned(),
            3 => format!(
                r#"{{"B":"{}"}}"#,
                random.pick(&["", "AA==", "/+8=", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"])
            ),
            4 => format!(
                r#"{{"{}":[{}]}}"#,
                random.pick(&["SS", "BS"]),
                self.list(random, |random| format!("\"{}\"", self.text(random)))
            ),
            5 => format!(
                r#"{{"NS":[{}]}}"#,
                self.list(random, |random| format!("\"{}\"", self.number(random)))
            ),
            6 if depth < 4 => format!(
                r#"{{"L":[{}]}}"#,
                self.list(random, |random| self.any(depth, random))
            ),
            7 if depth < 4 => {
                format!(r#"{{"M":{{{}}}}}"#, self.members(depth, random))
            }
            _ => format!(r#"{{"S":"{}"}}"#, self.text(random)),
        }
    }

    /// The members of a map: names that are rarely the same.
    fn members(&self, depth: usize, random: &mut Random) -> String {
        let mut names: Vec<&str> = Vec::new();
        for _ in 0..random.below(4) {
            let name = random.pick(&NAMES);
            // The last one is the first, written in another way.
            let is_new = !names.iter().any(|other| {
                [*other, name].iter().all(|name| name.ends_with('d')) || *other == name
            });
            if is_new || random.one_in(self.rarity * 500) {
                names.push(name);
            }
        }
        let members = names.into_iter();
        let members = members.map(|name| format!("\"{name}\":{}", self.any(depth, random)));
        members.collect::<Vec<_>>().join(",")
    }

    fn any(&self, depth: usize, random: &mut Random) -> String {
        let kind = random.below(10);
        self.value(kind, depth + 1, random)
    }

    fn list(&self, random: &mut Random, mut element: impl FnMut(&mut Random) -> String) -> String {
        let elements: Vec<_> = (0..random.below(4)).map(|_| element(random)).collect();
        elements.join(",")
    }

    fn number(&self, random: &mut Random) -> String {
        if random.one_in(self.rarity * 500) {
            return random.pick(&NO_NUMBERS).to_owned();
        }
        match random.below(3) {
            0 => random.pick(&NUMBERS).to_owned(),
            1 => random.below(100_000).to_string(),
            _ => format!("{}.{}", random.below(10_000), random.below(1_000_000)),
        }
    }

    fn text(&self, random: &mut Random) -> String {
        let n_pieces = if random.one_in(self.rarity * 20) {
            random.below(200)
        } else {
            random.below(5)
        };
        (0..n_pieces).map(|_| random.pick(&PIECES)).collect()
    }
}

/// The page with one thing changed: a byte, a stretch cut or doubled, or something put in.
pub(super) fn damage(mut page: Vec<u8>, random: &mut Random) -> Vec<u8> {
    const INSERTS: [&[u8]; 20] = [
        b"\"",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b" ",
        b"\n",
        b"\0",
        b"\xff",
        b"\xc3",
        b"\\ud800",
        b"\\u12",
        b"null",
        b"\"S\":",
        b"}}",
        b"{\"S\":\"x\"}",
        b"-",
    ];
    if page.is_empty() {
        return page;
    }
    let at = random.below(page.len());
    match random.below(6) {
        0 => page[at] = page[at].wrapping_add(1 + u8::try_from(random.below(255)).expect("a byte")),
        1 => page.truncate(at),
        2 => drop(page.drain(at..(at + 1 + random.below(4)).min(page.len()))),
        3 => {
            let stretch = page[at..(at + 1 + random.below(60)).min(page.len())].to_vec();
            page.splice(at..at, stretch);
        }
        4 => page[at] ^= 1 << random.below(8),
        _ => drop(page.splice(at..at, INSERTS[random.below(INSERTS.len())].iter().copied())),
    }
    page
}
