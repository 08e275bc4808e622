//! How long a test of `cargo xtask torture` runs: short by default, at full length where the command says so.
//!
//! In: the part's own variable, and `TORTURE_MINUTES` and `TORTURE_SEED` of the command. Out: the seeds to run.

use std::{
    env,
    str::FromStr,
    time::{Duration, Instant},
};

/// Seeds from 0 on: as many as `variable` says, `short` where it says nothing, and none once the minutes that
/// `cargo xtask torture --minutes` allows are over. With `--seed N`, that one alone.
pub fn seeds(variable: &str, short: u64) -> impl Iterator<Item = u64> + Send {
    let range = match number("TORTURE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number(variable).unwrap_or(short),
    };
    let end = minutes().map(|time| Instant::now() + time);
    range.take_while(move |_| end.is_none_or(|end| Instant::now() < end))
}

/// Whether `cargo xtask torture` runs this, and nothing beside it.
pub fn is_torture() -> bool {
    env::var_os("TORTURE_PART").is_some()
}

/// The time that `cargo xtask torture --minutes` allows; `None` where nobody said.
pub fn minutes() -> Option<Duration> {
    number("TORTURE_MINUTES").map(|minutes: u64| Duration::from_secs(60 * minutes))
}

/// A number that the environment may set.
///
/// # Panics
/// Where the variable holds something else.
pub fn number<T: FromStr>(variable: &str) -> Option<T> {
    let text = env::var(variable).ok()?;
    match text.parse() {
        Ok(number) => Some(number),
        Err(_) => panic!("{variable}={text} is no number"),
    }
}

/// The command that runs one seed of a part again, for the message of a failure.
pub fn again(part: &str, seed: u64) -> String {
    format!("again with: cargo xtask torture --only {part} --seed {seed}")
}
