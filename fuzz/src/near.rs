//! Inputs near those of a corpus: no coverage, no nightly compiler, the same from the same seed.

use std::{env, fs, path::Path};

/// Gives every input of the target's corpus to `run`, and then `FUZZ_ROUNDS` (2,000) inputs made of them.
///
/// # Panics
/// Where `run` does; and where a fuzzer would go on from none of the inputs, since such a target shows nothing.
pub fn near_the_corpus(name: &str, run: impl Fn(&[u8]) -> bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name);
    let files = fs::read_dir(&folder).expect("every target has a corpus");
    let mut corpus: Vec<Vec<u8>> = files
        .map(|file| fs::read(file.expect("a file").path()).expect("a readable file"))
        .collect();
    corpus.sort();
    let mut kept = corpus.iter().filter(|input| run(input)).count();
    let number = |variable, default| {
        env::var(variable).map_or(default, |text| text.parse().expect("a number"))
    };
    let (rounds, seed) = (number("FUZZ_ROUNDS", 2_000), number("FUZZ_SEED", 0));
    for seed in seed..seed + rounds {
        let input = Mutator(seed).input(&corpus);
        // The name and the seed find the input again.
        let told_on_panic = InputOnPanic { name, seed };
        kept += usize::from(run(&input));
        std::mem::drop(told_on_panic);
    }
    println!(
        "{name}: {} inputs of the corpus and {rounds} made of them; {kept} of all are such that a fuzzer would go on from them",
        corpus.len()
    );
    assert!(kept > 0, "{name} shows nothing");
}

/// Says which input it was where a target panics.
struct InputOnPanic<'a> {
    name: &'a str,
    seed: u64,
}

impl Drop for InputOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "{}: again with FUZZ_SEED={} FUZZ_ROUNDS=1",
                self.name, self.seed
            );
        }
    }
}

/// SplitMix64.
struct Mutator(u64);

impl Mutator {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound.max(1) as u64).expect("below a usize")
    }

    fn input(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(6) {
            self.change(&mut input, corpus);
        }
        input
    }

    /// One change of the kinds that fuzzers know: bytes, pieces, pieces of others, words that mean something.
    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        const WORDS: [&[u8]; 24] = [
            b"\"",
            b"'",
            b"{",
            b"}",
            b"[",
            b"]",
            b",",
            b":",
            b"\\",
            b"\\u0000",
            b"\\ud800",
            b"\n",
            b"\r\n",
            b"\0",
            b"-1",
            b"1e400",
            b"99999999999999999999",
            b"0.1",
            b"null",
            b"true",
            b"--",
            b"/*",
            b"*/",
            "\u{e9}\u{2028}".as_bytes(),
        ];
        let (at, end) = (self.below(input.len() + 1), self.below(input.len() + 1));
        let (start, end) = (at.min(end), at.max(end));
        match self.below(8) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = self.below(256).to_le_bytes()[0],
            2 => drop(input.drain(start..end.min(start + 12))),
            3 => {
                let piece = input[start..end.min(start + 40)].to_vec();
                input.splice(at..at, piece);
            }
            4 => {
                let other = &corpus[self.below(corpus.len())];
                let from = self.below(other.len() + 1);
                let piece = other[from..other.len().min(from + 40)].to_vec();
                input.splice(at..at, piece);
            }
            5 => input.truncate(at),
            _ => {
                let word = WORDS[self.below(WORDS.len())];
                input.splice(at..at, word.iter().copied());
            }
        }
    }
}
