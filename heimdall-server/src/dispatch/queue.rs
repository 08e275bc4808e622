//! Who may run now: slots for running jobs, and the queue of async ones.
//!
//! In: jobs by caller. Out: the next one that may start. Callers take turns, so that one caller's thousand jobs do not hold up
//! another's first. Entries are small: the job itself waits in the store.

use std::collections::{HashMap, VecDeque};

/// An async job that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WaitingJob {
    pub(super) id: String,
    pub(super) user: String,
}

/// How many may run and wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) sync: usize,
    pub(super) workers: usize,
    pub(super) per_user: usize,
    pub(super) queued: usize,
}

/// Slots and queue.
#[derive(Debug)]
pub(super) struct Queue {
    bounds: Bounds,
    sync_running: usize,
    async_running: usize,
    running_by_user: HashMap<String, usize>,
    /// Callers with waiting jobs, in turn.
    round_robin: VecDeque<String>,
    waiting: HashMap<String, VecDeque<String>>,
    queued: usize,
}

impl Queue {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            sync_running: 0,
            async_running: 0,
            running_by_user: HashMap::new(),
            round_robin: VecDeque::new(),
            waiting: HashMap::new(),
            queued: 0,
        }
    }

    /// Takes a slot for a sync job; where none is free, says which limit is reached.
    pub(super) fn start_sync(&mut self, user: &str) -> Result<(), String> {
        if self.sync_running >= self.bounds.sync {
            return Err(format!(
                "{} sync jobs are running, the most that this host runs at once",
                self.bounds.sync
            ));
        }
        if self.running_of(user) >= self.bounds.per_user {
            return Err(format!(
                "{} jobs of this caller are running, the most that one caller may run at once",
                self.bounds.per_user
            ));
        }
        self.sync_running += 1;
        *self.running_by_user.entry(user.to_owned()).or_default() += 1;
        Ok(())
    }

    /// Gives a slot back.
    pub(super) fn end(&mut self, user: &str, is_sync: bool) {
        if is_sync {
            self.sync_running -= 1;
        } else {
            self.async_running -= 1;
        }
        if let Some(running) = self.running_by_user.get_mut(user) {
            *running -= 1;
            if *running == 0 {
                self.running_by_user.remove(user);
            }
        }
    }

    /// Whether one more async job may wait.
    pub(super) fn has_room(&self) -> Result<(), String> {
        if self.queued < self.bounds.queued {
            return Ok(());
        }
        Err(format!(
            "{} jobs are waiting, the most that this host lets wait",
            self.bounds.queued
        ))
    }

    /// Lets an async job wait; the caller has asked for room, or the job was accepted by an earlier run of the host.
    pub(super) fn push(&mut self, job: WaitingJob) {
        let jobs = self.waiting.entry(job.user.clone()).or_default();
        if jobs.is_empty() {
            self.round_robin.push_back(job.user);
        }
        jobs.push_back(job.id);
        self.queued += 1;
    }

    /// Takes the next async job that may run, with a slot for it.
    pub(super) fn pop(&mut self) -> Option<WaitingJob> {
        if self.async_running >= self.bounds.workers {
            return None;
        }
        let position = self
            .round_robin
            .iter()
            .position(|user| self.running_of(user) < self.bounds.per_user)?;
        let user = self.round_robin.remove(position)?;
        let jobs = self.waiting.get_mut(&user)?;
        let id = jobs.pop_front()?;
        if jobs.is_empty() {
            self.waiting.remove(&user);
        } else {
            self.round_robin.push_back(user.clone());
        }
        self.queued -= 1;
        self.async_running += 1;
        *self.running_by_user.entry(user.clone()).or_default() += 1;
        Some(WaitingJob { id, user })
    }

    /// Takes a waiting job out; false where it does not wait.
    pub(super) fn remove(&mut self, user: &str, id: &str) -> bool {
        let Some(jobs) = self.waiting.get_mut(user) else {
            return false;
        };
        let Some(at) = jobs.iter().position(|waiting| waiting == id) else {
            return false;
        };
        jobs.remove(at);
        if jobs.is_empty() {
            self.waiting.remove(user);
            self.round_robin.retain(|caller| caller != user);
        }
        self.queued -= 1;
        true
    }

    /// The job of each caller that has waited the longest.
    pub(super) fn first_of_each(&self) -> impl Iterator<Item = &str> {
        self.waiting
            .values()
            .filter_map(|jobs| jobs.front().map(String::as_str))
    }

    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    fn running_of(&self, user: &str) -> usize {
        self.running_by_user.get(user).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> Queue {
        Queue::new(Bounds {
            sync: 2,
            workers: 2,
            per_user: 2,
            queued: 4,
        })
    }

    fn push(queue: &mut Queue, user: &str, id: &str) {
        queue.push(WaitingJob {
            id: id.into(),
            user: user.into(),
        });
    }

    fn pop(queue: &mut Queue) -> Option<String> {
        queue.pop().map(|job| job.id)
    }

    #[test]
    fn callers_take_turns_whatever_each_has_waiting() {
        let mut queue = queue();
        for (user, id) in [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1")] {
            push(&mut queue, user, id);
        }
        assert!(queue.has_room().is_err());
        assert_eq!(
            (
                pop(&mut queue).as_deref(),
                pop(&mut queue).as_deref(),
                pop(&mut queue)
            ),
            (Some("a1"), Some("b1"), None)
        );
        queue.end("b", false);
        assert_eq!(pop(&mut queue).as_deref(), Some("a2"));
        queue.end("a", false);
        queue.end("a", false);
        assert_eq!(pop(&mut queue).as_deref(), Some("a3"));
        assert_eq!(queue.queued(), 0);
    }

    #[test]
    fn limits_hold_for_all_and_for_each_caller() {
        let mut queue = queue();
        queue.start_sync("a").unwrap();
        queue.start_sync("a").unwrap();
        assert!(queue.start_sync("b").unwrap_err().contains("2 sync jobs"));
        queue.end("a", true);
        push(&mut queue, "a", "a1");
        assert_eq!(pop(&mut queue).as_deref(), Some("a1"));
        assert!(
            queue
                .start_sync("a")
                .unwrap_err()
                .contains("of this caller")
        );
        push(&mut queue, "a", "a2");
        push(&mut queue, "b", "b1");
        assert_eq!(
            pop(&mut queue).as_deref(),
            Some("b1"),
            "a caller at its limit is passed over"
        );
    }

    #[test]
    fn a_waiting_job_can_be_taken_out_once() {
        let mut queue = queue();
        push(&mut queue, "a", "a1");
        assert_eq!(
            (
                queue.remove("a", "a1"),
                queue.remove("a", "a1"),
                queue.remove("b", "a1")
            ),
            (true, false, false)
        );
        assert_eq!((pop(&mut queue), queue.queued()), (None, 0));
    }
}
