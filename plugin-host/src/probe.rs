//! Tries a library in a child process, so that what it does wrong is a message here and nothing more.
//!
//! In: the private copy of a file. Out: what the library says of itself, or why it is refused. This side starts the child, takes
//! its lines, and ends it when its time is over; [`child`] is the other side. The child's standard output belongs to the probe:
//! what the library itself writes there never reaches it.

pub(crate) mod child;
mod remembered;

use std::{
    collections::HashMap,
    io::{self, BufRead, BufReader, Read},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use serde::{Deserialize, Serialize};

use self::remembered::RememberedReports;
use crate::{
    refusal::{Refusal, RefusalCode},
    verify::Digest,
};

/// How much of the child's output is kept.
const MAX_OUTPUT: u64 = 1 << 20;

/// How long pipes may stay open after the child ended, because a grandchild holds them.
const PIPES: Duration = Duration::from_millis(500);

/// What a library that passed says and does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeReport {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it can do.
    pub features: Vec<String>,
    /// The error codes that its jobs can fail with; none where it does not say.
    #[serde(default)]
    pub errors: Vec<plugin_api::ErrorInfo>,
    /// How many thread keys of the process it keeps.
    pub thread_keys: Option<usize>,
    /// How many threads it leaves behind when it is closed; 0 is right.
    pub threads_left: usize,
}

/// A library that did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProbeFailure {
    pub(crate) refusal: Refusal,
    /// What it calls itself, where it came that far.
    pub(crate) says: Option<(String, String)>,
}

impl From<Refusal> for ProbeFailure {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            says: None,
        }
    }
}

/// What the library is made to do, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    Load,
    Open,
    SelfTest,
    Close,
    Exit,
}

impl Step {
    fn doing(self) -> &'static str {
        match self {
            Self::Load => "while it was being loaded",
            Self::Open => "in plugin_open",
            Self::SelfTest => "during the self-test job",
            Self::Close => "in plugin_close",
            Self::Exit => "when its process ended",
        }
    }
}

/// One line from the child.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// What comes next.
    Step(Step),
    /// The handshake is done.
    Says(String, String),
    Passed(ProbeReport),
    Refused(Refusal),
}

/// What probes have told of files, by their bytes. Clones are the same memory.
#[derive(Debug, Clone, Default)]
pub struct ProbeCache {
    known: Arc<Mutex<HashMap<Digest, ProbeCell>>>,
    remembered: Option<Arc<RememberedReports>>,
}

/// What is known of one file. Whoever asks while it is being tried waits.
type ProbeCell = Arc<Mutex<Option<Result<ProbeReport, ProbeFailure>>>>;

impl ProbeCache {
    /// A memory that outlasts the process: what passes is also written to a file in `directory`, and what an earlier process of this user
    /// wrote there is not tried again, as long as `program`, which tries libraries, is the same file as then. For programs that end
    /// after one job, to which trying the library would be a good part of their work.
    ///
    /// The directory is made for this user alone. Where that fails or others could write to it, only this process remembers.
    #[must_use]
    pub fn kept_in(directory: &Path, program: &Path) -> Self {
        Self {
            known: Arc::default(),
            remembered: RememberedReports::open(directory, program).map(Arc::new),
        }
    }

    /// What is known of a file, or what `probe` tells of it now. A failure that does not lie in the bytes is forgotten again.
    pub(crate) fn once(
        &self,
        digest: Digest,
        probe: impl FnOnce() -> Result<ProbeReport, ProbeFailure>,
    ) -> Result<ProbeReport, ProbeFailure> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let told = Arc::clone(known.entry(digest).or_default());
        drop(known);
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = &*told {
            return told.clone();
        }
        let remembered = self.remembered.as_deref();
        let outcome = match remembered.and_then(|files| files.get(digest)) {
            Some(report) => Ok(report),
            None => probe().inspect(|report| {
                if let Some(files) = remembered {
                    files.put(digest, report);
                }
            }),
        };
        let lasts = match &outcome {
            Ok(_) => true,
            Err(failure) => failure.refusal.code.lies_in_the_bytes(),
        };
        *told = lasts.then(|| outcome.clone());
        outcome
    }
}

/// Tries the library at `copy` in a child process of `program` (see [`crate::child`]).
pub(crate) fn run(
    program: &Path,
    copy: &Path,
    limit: Duration,
) -> Result<ProbeReport, ProbeFailure> {
    let mut child = Command::new(program)
        .arg(child::ARGUMENT)
        .arg(copy)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // So that whatever the library starts can be ended with it.
        .process_group(0)
        .spawn()
        .map_err(|error| unavailable(&format!("cannot be started: {error}")))?;
    let (lines, said) = mpsc::channel();
    let (errors, complained) = mpsc::channel();
    let stdout = child.stdout.take().expect("it was asked for");
    let stderr = child.stderr.take().expect("it was asked for");
    let readers = [
        reader(move || {
            let stdout = BufReader::new(stdout.take(MAX_OUTPUT));
            for line in stdout.lines().map_while(Result::ok) {
                // The probe may have stopped listening.
                let _ = lines.send(line);
            }
        }),
        reader(move || drain(stderr, &errors)),
    ];
    let in_time = ended_within(&child, limit);
    // Not reaped yet, so that the group is still its own: the child is gone or is to go, and so is all that it started.
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    let status = child.wait();
    let (Ok(in_time), Ok(status)) = (in_time, status) else {
        return Err(unavailable("cannot be waited for").into());
    };
    for reader in readers {
        reader.map_err(|error| unavailable(&format!("cannot be listened to: {error}")))?;
    }
    let output = listen(&said);
    let complaint = complained.recv_timeout(PIPES).unwrap_or_default();
    let timed_out = (!in_time).then_some(limit);
    judge(output, timed_out, status).map_err(|mut failure| {
        if failure.refusal.detail.is_none() {
            failure.refusal = failure.refusal.detail(complaint.trim());
        }
        failure
    })
}

fn reader(read: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new()
        .name("plugin-probe".to_owned())
        .spawn(read)
        .map(drop)
}

/// Reads all there is, so that the child never waits for its pipe, and keeps the beginning.
fn drain(mut from: impl Read, to: &mpsc::Sender<String>) {
    let mut kept = Vec::new();
    let read = (&mut from).take(4096).read_to_end(&mut kept);
    let rest = io::copy(&mut from, &mut io::sink());
    if read.is_ok() || rest.is_ok() {
        let _ = to.send(String::from_utf8_lossy(&kept).into_owned());
    }
}

/// Waits for the child's end; whether it came within `limit`. Leaves the child to be reaped.
fn ended_within(child: &Child, limit: Duration) -> io::Result<bool> {
    let until = Instant::now() + limit;
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let mut pause = Duration::from_micros(500);
    loop {
        if waitid(WaitId::Pid(Pid::from_child(child)), options)?.is_some() {
            return Ok(true);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        thread::sleep(pause.min(left));
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

/// What the child's lines tell.
struct ChildOutput {
    step: Option<Step>,
    says: Option<(String, String)>,
    verdict: Option<Result<ProbeReport, Refusal>>,
}

fn listen(lines: &mpsc::Receiver<String>) -> ChildOutput {
    let until = Instant::now() + PIPES;
    let mut output = ChildOutput {
        step: None,
        says: None,
        verdict: None,
    };
    while let Ok(line) = lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
        match serde_json::from_str(&line) {
            Ok(Line::Step(step)) => output.step = Some(step),
            Ok(Line::Says(name, version)) => output.says = Some((name, version)),
            Ok(Line::Passed(report)) => output.verdict = Some(Ok(report)),
            Ok(Line::Refused(refusal)) => output.verdict = Some(Err(refusal)),
            Err(_) => {}
        }
    }
    output
}

fn judge(
    output: ChildOutput,
    timed_out: Option<Duration>,
    status: ExitStatus,
) -> Result<ProbeReport, ProbeFailure> {
    let refusal = match (output.verdict, output.step) {
        (Some(Err(refusal)), _) => refusal,
        (Some(Ok(report)), _) if timed_out.is_none() && status.success() => return Ok(report),
        // It said nothing at all: the program is no host, or is broken itself.
        (None, None) => unavailable(&format!("said nothing and ended with {status}")),
        (_, step) => died(step.unwrap_or(Step::Exit), timed_out, status),
    };
    Err(ProbeFailure {
        refusal,
        says: output.says,
    })
}

fn died(step: Step, timed_out: Option<Duration>, status: ExitStatus) -> Refusal {
    let doing = step.doing();
    if let Some(limit) = timed_out {
        return Refusal::new(
            RefusalCode::TimedOut,
            format!(
                "the library hung {doing}: it was ended after {} s",
                limit.as_secs_f32()
            ),
            "where the machine was busy, reload and it is tried again; else find out what it waits for: a plugin starts nothing before its first job",
        );
    }
    if let Some(signal) = status.signal() {
        return Refusal::new(
            RefusalCode::Crashed,
            format!("the library crashed {doing}, by {}", signal_name(signal)),
            "it was stopped in a process of its own and would have ended the host; fix the plugin",
        );
    }
    Refusal::new(
        RefusalCode::EndedProcess,
        format!(
            "the library ended its process {doing}, with exit status {}",
            status.code().unwrap_or_default()
        ),
        "a plugin must never call exit; fix it",
    )
}

/// How a process ended, as the end of a sentence.
pub(crate) fn end_of(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => format!("was ended by {}", signal_name(signal)),
        None => format!(
            "ended with exit status {}",
            status.code().unwrap_or_default()
        ),
    }
}

fn signal_name(number: i32) -> String {
    let name = match number {
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        31 => "SIGSYS",
        _ => return format!("signal {number}"),
    };
    format!("{name} (signal {number})")
}

fn unavailable(reason: &str) -> Refusal {
    Refusal::new(
        RefusalCode::ProbeUnavailable,
        format!("the process that tries libraries {reason}"),
        "it is tried again automatically; check the limits on processes, that the host's own program is in place, and that its main begins with plugin_host::child::run_if_asked",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> ProbeReport {
        ProbeReport {
            name: "echo".to_owned(),
            version: "1.0.0".to_owned(),
            features: Vec::new(),
            errors: Vec::new(),
            thread_keys: None,
            threads_left: 0,
        }
    }

    #[test]
    fn an_end_without_a_verdict_is_told_by_step_and_cause() {
        let limit = Some(Duration::from_secs(4));
        let cases = [
            (
                Step::Load,
                None,
                11,
                "crashed while it was being loaded, by SIGSEGV (signal 11)",
            ),
            (
                Step::Open,
                None,
                6,
                "crashed in plugin_open, by SIGABRT (signal 6)",
            ),
            (
                Step::Load,
                limit,
                0,
                "hung while it was being loaded: it was ended after 4 s",
            ),
            (
                Step::SelfTest,
                None,
                3 << 8,
                "ended its process during the self-test job, with exit status 3",
            ),
        ];
        for (step, timed_out, raw, expected) in cases {
            let output = ChildOutput {
                step: Some(step),
                says: None,
                verdict: None,
            };
            let failure = judge(output, timed_out, ExitStatus::from_raw(raw)).unwrap_err();
            assert_eq!(failure.refusal.message, format!("the library {expected}"));
            // A machine that was busy is not the library's fault.
            assert_eq!(
                failure.refusal.code.lies_in_the_bytes(),
                timed_out.is_none()
            );
        }
    }

    #[test]
    fn a_file_is_tried_once_and_again_only_where_the_failure_may_pass() {
        let [good, bad] = ["a", "b"].map(|digit| digit.repeat(64).parse::<Digest>().unwrap());
        let report = report();
        let probed = ProbeCache::default();
        let never = || panic!("it was tried already");
        assert!(
            probed
                .once(good, || Err(unavailable("is gone").into()))
                .is_err()
        );
        let shared = probed.clone();
        assert_eq!(shared.once(good, || Ok(report.clone())), Ok(report.clone()));
        assert_eq!(probed.once(good, never), Ok(report));
        let crash = || Err(died(Step::Open, None, ExitStatus::from_raw(6)).into());
        assert!(probed.once(bad, crash).is_err());
        assert!(shared.once(bad, never).is_err());
    }

    #[test]
    fn what_passed_is_not_tried_again_by_a_later_process_and_what_failed_is() {
        let digest = "a".repeat(64).parse().unwrap();
        let report = report();
        let home = tempfile::tempdir().unwrap();
        let process = || ProbeCache::kept_in(home.path(), Path::new("/proc/self/exe"));
        let crash = || Err(died(Step::Open, None, ExitStatus::from_raw(6)).into());
        assert!(process().once(digest, crash).is_err());
        assert_eq!(
            process().once(digest, || Ok(report.clone())),
            Ok(report.clone())
        );
        let never = || panic!("it was tried already");
        assert_eq!(process().once(digest, never), Ok(report));
    }

    #[test]
    fn a_program_that_says_nothing_is_not_the_librarys_fault() {
        let failure = run(
            Path::new("/bin/true"),
            Path::new("x"),
            Duration::from_secs(10),
        )
        .unwrap_err();
        assert_eq!(failure.refusal.code, RefusalCode::ProbeUnavailable);
    }
}
