//! What a seed stands for: how a job is run, which faults it meets, and how it is ended.

use std::time::Duration;

use engines::faults::Fault;
use fastrand::Rng;
use serde_json::{Value, json};

/// Pages of the whole read in one segment; as many answers are given in sixteen.
pub(super) const PAGES: usize = 50;
/// Segments of a job that is read in more than one.
pub(super) const SEGMENTS: usize = 16;
/// What the cluster sets; the default.
pub(super) const ATTEMPTS: usize = 3;

/// All that one seed decides.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) segmented: bool,
    /// Rows as they come, above so many bytes; `None`: a document.
    pub(super) rows_after: Option<u64>,
    pub(super) ending: Ending,
    fault_rates: FaultRates,
    /// From that request on (of each segment), one fault for good.
    outage: Option<(usize, Fault)>,
    /// What further fields the job has.
    pub(super) fields: Value,
}

/// What ends the job before it is through.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ending {
    None,
    /// While the server holds that request.
    CancelAtRequest(usize),
    CancelAfter(Duration),
    /// The deadline, in the job's own fields or the caller's.
    Deadline(Duration, DeadlineOf),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum DeadlineOf {
    Job,
    Caller,
}

/// How many of a thousand requests meet a fault of each kind.
#[derive(Debug)]
struct FaultRates {
    passing: u32,
    slow: u32,
    stalls: u32,
    fatal: u32,
}

/// What a second attempt gets through.
const PASSING: [Fault; 14] = [
    Fault::ProvisionedThroughputExceeded,
    Fault::Throttling,
    Fault::RequestLimitExceeded,
    Fault::InternalServerError,
    Fault::ServiceUnavailable,
    Fault::ResetBeforeAnswer,
    Fault::ResetMidBody,
    Fault::Truncated,
    Fault::CorruptJson,
    Fault::WrongChecksum,
    Fault::WrongLength,
    Fault::NoItems,
    Fault::EmptyBody,
    Fault::Html,
];
/// What no attempt gets through, or (the clock) only the next one.
const FATAL: [Fault; 7] = [
    Fault::ExpiredToken,
    Fault::UnrecognizedClient,
    Fault::AccessDenied,
    Fault::NotFound,
    Fault::Redirect,
    Fault::Validation("Unexpected from source"),
    Fault::ClockSkew(1200),
];

impl Plan {
    pub(super) fn of(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let segmented = random.bool();
        let rows_after = random.bool().then(|| {
            // From the first row on, from somewhere in the middle, or never.
            [0, random.u64(1..20_000), 1 << 20][random.usize(..3)]
        });
        let fault_rates = match random.u32(..10) {
            0 => FaultRates::new(0, 0, 0, 0),
            1..=5 => FaultRates::new(60, 20, 2, 0),
            6..=8 => FaultRates::new(200, 50, 5, 1),
            _ => FaultRates::new(400, 100, 10, 5),
        };
        let outage = (random.u32(..10) == 0).then(|| {
            let from = random.usize(..if segmented { 4 } else { PAGES });
            (from, random.choice(PASSING).unwrap_or(Fault::Throttling))
        });
        let milliseconds = |random: &mut Rng| Duration::from_millis(random.u64(30..3000));
        let ending = match random.u32(..10) {
            0 => Ending::CancelAtRequest(random.usize(..PAGES)),
            1 => Ending::CancelAfter(milliseconds(&mut random)),
            2 => Ending::Deadline(milliseconds(&mut random), DeadlineOf::Job),
            3 => Ending::Deadline(milliseconds(&mut random), DeadlineOf::Caller),
            _ => Ending::None,
        };
        let fields = match random.u32(..6) {
            0 if !segmented => json!({"limit": random.u32(1..400)}),
            1 => json!({"max_pages": random.usize(1..PAGES), "on_budget": "truncate"}),
            _ => json!({}),
        };
        Self {
            seed,
            segmented,
            rows_after,
            ending,
            fault_rates,
            outage,
            fields,
        }
    }

    /// How a request is answered: that one of a segment (`None`: the statement itself), counted from 0.
    pub(super) fn fault(&self, segment: Option<u64>, request: usize) -> Fault {
        let stream = segment.map_or(0, |segment| segment + 1);
        let mut random = Rng::with_seed(mix(self.seed, stream, request as u64));
        if let Some((from, fault)) = self.outage
            && request >= from
        {
            return fault;
        }
        let FaultRates {
            passing,
            slow,
            stalls,
            fatal,
        } = self.fault_rates;
        let mut roll = random.u32(..1000);
        for (share, faults) in [(passing, &PASSING[..]), (fatal, &FATAL[..])] {
            if roll < share {
                return random.choice(faults).copied().unwrap_or(Fault::None);
            }
            roll -= share;
        }
        let time = Duration::from_millis(random.u64(1..300));
        match roll {
            _ if roll < stalls => random
                .choice([Fault::StallBeforeAnswer, Fault::StallMidBody])
                .unwrap_or(Fault::None),
            _ if roll < stalls + slow / 2 => Fault::Late(time),
            _ if roll < stalls + slow => Fault::Slow(time / 8),
            _ => Fault::None,
        }
    }
}

impl FaultRates {
    const fn new(passing: u32, slow: u32, stalls: u32, fatal: u32) -> Self {
        Self {
            passing,
            slow,
            stalls,
            fatal,
        }
    }
}

/// One number of three, so that neighbouring seeds have nothing in common.
fn mix(seed: u64, stream: u64, request: u64) -> u64 {
    let mut random = Rng::with_seed(seed ^ stream.rotate_left(40) ^ request.rotate_left(20));
    random.u64(..) ^ random.u64(..).rotate_left(31)
}

/// The codes that are the truth for a fault; none for an answer that is whole.
pub(super) fn codes(fault: Fault) -> &'static [&'static str] {
    match fault {
        Fault::None | Fault::Late(_) | Fault::Slow(_) => &[],
        Fault::ProvisionedThroughputExceeded | Fault::Throttling | Fault::RequestLimitExceeded => {
            &["THROTTLED"]
        }
        Fault::InternalServerError
        | Fault::ServiceUnavailable
        | Fault::ResetBeforeAnswer
        | Fault::ResetMidBody
        | Fault::StallBeforeAnswer
        | Fault::StallMidBody
        | Fault::Truncated => &["UNAVAILABLE"],
        Fault::CorruptJson
        | Fault::WrongChecksum
        | Fault::WrongLength
        | Fault::NoItems
        | Fault::EmptyBody
        | Fault::Html
        | Fault::Redirect => &["BAD_RESPONSE"],
        Fault::ExpiredToken | Fault::UnrecognizedClient | Fault::ClockSkew(_) => &["CREDENTIALS"],
        Fault::AccessDenied => &["ACCESS_DENIED"],
        Fault::NotFound => &["NOT_FOUND"],
        Fault::Validation(_) => &["VALIDATION"],
    }
}

/// Whether a fault is repeated until the attempts are used up.
pub(super) fn is_retried(fault: Fault) -> bool {
    !codes(fault).is_empty() && !FATAL.contains(&fault)
}
