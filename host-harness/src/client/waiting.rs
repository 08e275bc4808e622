//! A job of the host: it is found, waited for, and asked to stop.

use std::time::{Duration, Instant};

use plugin_api::Error;

use super::{
    failure::Failure,
    fetch,
    host::Host,
    interrupts::Interrupts,
    record::{Progress, Record},
};
use crate::{
    exit::Exit,
    run::{error::RunError, output::Output, report::Report},
};

/// The pause between two looks at a job: short at first, so that a short job is not waited for longer than it takes.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// A job that a host was given.
pub(super) struct RemoteJob<'a> {
    pub(super) host: &'a Host,
    report: &'a Report,
    progress: plugin_host::Progress,
    /// The tag that no other job has; `None` where the id is known from the start.
    mark: Option<String>,
    id: Option<String>,
    /// Whether an interrupt stops the job, or only leaves it.
    is_ours: bool,
    interrupts: u32,
    is_asked_to_stop: bool,
}

/// How the waiting ended.
pub(super) enum WaitOutcome {
    Ended(Box<Record>),
    /// The user does not want to wait, and the job may go on.
    Left,
}

/// How long a host may be gone.
pub(super) struct RetryDeadline {
    lasts: Duration,
    since: Option<Instant>,
}

impl RetryDeadline {
    pub(super) fn of(host: &Host) -> Self {
        Self {
            lasts: host.retry_for,
            since: None,
        }
    }

    /// Whether to try again after no answer.
    fn is_left(&mut self) -> bool {
        self.since.get_or_insert_with(Instant::now).elapsed() < self.lasts
    }

    fn answered(&mut self) {
        self.since = None;
    }
}

impl<'a> RemoteJob<'a> {
    /// A job that is being submitted; an interrupt cancels it.
    pub(super) fn new(host: &'a Host, report: &'a Report, mark: String) -> Self {
        Self {
            host,
            report,
            progress: report.progress(),
            mark: Some(mark),
            id: None,
            is_ours: true,
            interrupts: 0,
            is_asked_to_stop: false,
        }
    }

    /// A job that somebody submitted earlier; an interrupt leaves it alone.
    pub(super) fn watched(host: &'a Host, report: &'a Report, id: &str) -> Self {
        Self {
            mark: None,
            id: Some(id.to_owned()),
            is_ours: false,
            ..Self::new(host, report, String::new())
        }
    }

    pub(super) fn is_known_as(&mut self, id: &str) {
        self.id = Some(id.to_owned());
    }

    /// The id, or how else the job is found.
    pub(super) fn known_id(&self) -> &str {
        self.id
            .as_deref()
            .or(self.mark.as_deref())
            .unwrap_or_default()
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupts > 0
    }

    /// Whether somebody wants to know of the job before its answer comes.
    pub(super) fn should_poll(&self) -> bool {
        self.report.wants_progress() || (self.is_interrupted() && !self.is_asked_to_stop)
    }

    /// Looks for the job by its tag: how far it is, and to stop it where that was asked for.
    pub(super) async fn poll(&mut self) -> Result<(), Failure> {
        let Some(mark) = self.mark.clone() else {
            return Ok(());
        };
        if let Some(record) = self.host.record_by_tag(&mark).await? {
            self.is_known_as(&record.fields.id);
            self.tell(record.fields.progress);
            if self.is_interrupted() {
                self.stop().await?;
            }
        }
        Ok(())
    }

    /// Looks for the job after the answer to its submission was lost.
    pub(super) async fn find(
        &mut self,
        lost: Failure,
        mut patience: RetryDeadline,
    ) -> Result<(), RunError> {
        loop {
            match self.poll().await {
                Ok(()) if self.id.is_some() => return Ok(()),
                Err(failure) if failure.is_gone() && patience.is_left() => {
                    tokio::time::sleep(LAST_PAUSE.min(patience.lasts / 4)).await;
                }
                // The host answers and knows of no such job, or does not answer.
                _ => return Err(lost.into()),
            }
        }
    }

    /// Notes an interrupt; `false`: the user does not want to wait for the job's end either.
    pub(super) async fn interrupt(&mut self) -> Result<bool, RunError> {
        self.interrupts += 1;
        if !self.is_ours || self.interrupts > 1 {
            return Ok(false);
        }
        if self.id.is_some() {
            self.stop().await?;
        }
        Ok(true)
    }

    async fn stop(&mut self) -> Result<(), Failure> {
        if self.is_asked_to_stop {
            return Ok(());
        }
        match self.host.cancel(self.known_id()).await {
            // It has ended meanwhile.
            Err(Failure::Refused { error, .. }) if error.code == "NOT_CANCELLABLE" => {}
            other => other?,
        }
        self.is_asked_to_stop = true;
        Ok(())
    }

    /// Waits until the job has ended.
    pub(super) async fn ended(
        &mut self,
        interrupts: &mut Interrupts,
    ) -> Result<WaitOutcome, RunError> {
        let mut pause = FIRST_PAUSE;
        let mut patience = RetryDeadline::of(self.host);
        // A host that has never answered is more likely the wrong one than one that comes back.
        let mut has_answered = self.is_ours;
        if self.is_interrupted() {
            self.stop().await?;
        }
        loop {
            match self.host.record(self.known_id()).await {
                Ok(record) if record.is_final() => return Ok(WaitOutcome::Ended(Box::new(record))),
                Ok(record) => {
                    patience.answered();
                    has_answered = true;
                    self.tell(record.fields.progress);
                }
                Err(failure) if has_answered && failure.is_gone() => {
                    if !patience.is_left() {
                        return Err(self.gone(failure));
                    }
                }
                Err(failure) => return Err(failure.into()),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 3 / 2).min(LAST_PAUSE),
                () = interrupts.next() => {
                    if !self.interrupt().await? {
                        return Ok(WaitOutcome::Left);
                    }
                }
            }
        }
    }

    /// The rows of a job that has ended, or why there are none.
    pub(super) async fn written(
        &mut self,
        record: &Record,
        output: Output,
        interrupts: &Interrupts,
    ) -> Result<Exit, RunError> {
        self.tell_log().await;
        if !record.has_succeeded() {
            let error = fetch::error_of(self.host, record).await?;
            return Err(self.failed(error));
        }
        if self.is_interrupted() {
            return Ok(self.had_finished());
        }
        fetch::fetch(self.host, self.report, self.known_id(), output, interrupts).await
    }

    /// Why a job has no rows; where its user stopped it, the exit status says so.
    pub(super) fn failed(&self, error: Error) -> RunError {
        if self.is_interrupted() {
            RunError::Interrupted(error)
        } else {
            RunError::Failed(error)
        }
    }

    /// The job's log lines, where the user wants to see them.
    pub(super) async fn tell_log(&self) {
        if !self.report.wants_log() {
            return;
        }
        let path = format!(
            "/api/v1/job/{}/stderr",
            super::host::escaped(self.known_id())
        );
        // Lines that cannot be had keep no rows back.
        if let Ok(lines) = self.host.text(&path).await {
            self.report.job_lines(&lines);
        }
    }

    fn tell(&self, progress: Option<Progress>) {
        if let Some(progress) = progress {
            (self.progress)(progress.rows, progress.pages, progress.wire_bytes);
        }
    }

    /// The user left before the job had ended.
    pub(super) fn left_behind(&self) -> Exit {
        let what = if self.is_asked_to_stop {
            "is asked to stop"
        } else {
            "may go on"
        };
        self.report
            .said(&format!("interrupted; the job {} {what}", self.known_id()));
        Exit::Interrupted
    }

    /// The job had ended before it could be stopped.
    pub(super) fn had_finished(&self) -> Exit {
        self.report.said(&format!(
            "interrupted; the job had just finished, and its result stays on the host: host-harness job {} --result",
            self.known_id()
        ));
        Exit::Interrupted
    }

    fn gone(&self, failure: Failure) -> RunError {
        let mut error = failure.error();
        error.hint = Some(format!(
            "the job may go on: host-harness job {} --wait --result asks for it again",
            self.known_id()
        ));
        RunError::Failed(error)
    }
}
