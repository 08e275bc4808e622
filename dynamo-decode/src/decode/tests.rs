//! The predicting decoder against the plain one: random pages, whole and in random pieces, sound and damaged, must give the same
//! documents or be refused by both; and what both give must be what a naive model makes of the accepted pages. `DECODE_FUZZ_ROUNDS` sets the rounds (default 400), `DECODE_FUZZ_SEED` the first seed.

mod generator;
mod model;

use self::generator::{Generator, Random, damage};
use super::DecodeError;
use crate::table::{Stats, Table};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect(name))
}

/// What a job makes of its pages: the answers without their items, where an attempt worked, and the document.
type Outcome = (Vec<Option<Vec<u8>>>, Result<Vec<u8>, DecodeError>);

fn run(mut table: Table, pages: &[Vec<u8>], mut piece: impl FnMut() -> usize) -> Outcome {
    let mut answers = Vec::new();
    for page in pages {
        table.begin_attempt();
        let mut rest = &page[..];
        let mut fed = Ok(());
        while !rest.is_empty() && fed.is_ok() {
            let (frame, further) = rest.split_at(piece().clamp(1, rest.len()));
            fed = table.feed(frame);
            rest = further;
        }
        let answer = fed.and_then(|()| table.end_attempt());
        if answer.is_ok() {
            table.commit_page();
        }
        answers.push(answer.ok());
    }
    (answers, table.finish(&Stats::default()))
}

/// The same with each page decoded into one of two buffers and then added to the table, as the segments of a Scan are.
fn run_apart(mut table: Table, pages: &[Vec<u8>], max: u64) -> Outcome {
    let mut buffers = [(); 2].map(|()| Table::for_pages(None, max));
    let mut answers = Vec::new();
    for (number, page) in pages.iter().enumerate() {
        let buffer = &mut buffers[number % 2];
        buffer.begin_attempt();
        let fed = buffer.feed(page);
        let answer = fed.and_then(|()| buffer.end_attempt());
        let added = answer.and_then(|answer| table.append(buffer).map(|()| answer));
        if added.is_ok() {
            table.commit_page();
        }
        answers.push(added.ok());
    }
    (answers, table.finish(&Stats::default()))
}

fn round(seed: u64) -> (usize, usize) {
    let mut random = Random::new(seed);
    let generator = Generator::new(&mut random);
    let mut pages = Vec::new();
    for _ in 0..1 + random.below(4) {
        let sound = generator.page(&mut random);
        let is_retried = random.one_in(2);
        if random.one_in(3) {
            let n_damages = 1 + random.below(3);
            pages.push((0..n_damages).fold(sound.clone(), |page, _| damage(page, &mut random)));
        }
        if is_retried || pages.is_empty() {
            pages.push(sound);
        }
    }
    let limit = random.one_in(4).then(|| random.below(60) as u64);
    let max = if random.one_in(8) {
        random.below(4000) as u64
    } else {
        1 << 30
    };
    let table = || Table::new(generator.select.clone(), limit, max);

    let plain = run(table().without_prediction(), &pages, || usize::MAX);
    for most in [usize::MAX, 4000, 300, 40, 1] {
        let table = match most {
            300 => table().on_any_processor(),
            _ => table(),
        };
        let predicted = run(table, &pages, || match most {
            usize::MAX => most,
            _ => 1 + random.below(most),
        });
        assert!(
            predicted == plain,
            "seed {seed}, pieces up to {most}:\n{}\npredicted {:?}\nplain {:?}",
            pages
                .iter()
                .map(|page| String::from_utf8_lossy(page))
                .collect::<Vec<_>>()
                .join("\n"),
            predicted
                .1
                .map(|document| String::from_utf8_lossy(&document).into_owned()),
            plain
                .1
                .map(|document| String::from_utf8_lossy(&document).into_owned()),
        );
    }
    if limit.is_none() {
        assert!(
            run_apart(table(), &pages, max) == plain,
            "seed {seed}, pages apart"
        );
    }
    if let Ok(document) = &plain.1 {
        let accepted = pages
            .iter()
            .zip(&plain.0)
            .filter(|(_, answer)| answer.is_some());
        let accepted: Vec<_> = accepted.map(|(page, _)| &page[..]).collect();
        let expected = model::rows(&accepted, generator.select.as_deref(), limit);
        let rows = model::rows_of(document);
        assert!(
            expected.is_none_or(|expected| rows == expected),
            "seed {seed}: {rows:?}"
        );
    }
    let n_good = plain.0.iter().flatten().count();
    (n_good, plain.0.len() - n_good)
}

#[test]
fn both_decoders_give_the_same_rows_or_both_refuse() {
    let (rounds, seed) = (
        setting("DECODE_FUZZ_ROUNDS", 400),
        setting("DECODE_FUZZ_SEED", 1),
    );
    let (mut n_good, mut n_bad) = (0, 0);
    for seed in seed..seed + rounds {
        let (good, bad) = round(seed);
        n_good += good;
        n_bad += bad;
    }
    println!("{rounds} rounds: {n_good} pages accepted, {n_bad} refused by both");
    assert!(
        n_good > n_bad && n_bad > 0,
        "the generator makes too few of one kind"
    );
}
