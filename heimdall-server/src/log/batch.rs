//! Lines on their way to a stream whose reader may be slow: one write for many, and never a wait for the reader.
//!
//! In: lines from any thread. Out: the same lines in the same order, some milliseconds later, written by a thread of their own. A write
//! to a pipe wakes its reader, which costs more than the line. Where the reader does not read, lines are dropped and counted, and once
//! it reads again a line says how many are missing.

use std::{
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long a line may wait for others.
const MOMENT: Duration = Duration::from_millis(20);
/// The most bytes that wait; lines beyond them are dropped.
const MOST_BYTES: usize = 1024 * 1024;
/// How long a flush may wait for the stream.
const FLUSH: Duration = Duration::from_millis(500);

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// Lines dropped since the last one that said so.
    missing: u64,
    lost: u64,
    /// The thread is writing, which takes as long as the reader does.
    writing: bool,
    /// Somebody wants what waits to be written at once.
    hurry: bool,
    /// A flush waited in vain: the next ones do not wait before the reader reads again.
    stuck: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for lines, then a moment for more of them; takes them all.
    fn next(&self) -> Vec<u8> {
        let waits = |state: &mut State| state.waiting.is_empty();
        let state = self.changed.wait_while(self.lock(), waits);
        let more = |state: &mut State| !state.hurry && state.waiting.len() < MOST_BYTES / 2;
        let state = state.unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(state, MOMENT, more);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.hurry = false;
        state.writing = true;
        std::mem::take(&mut state.waiting)
    }

    fn written(&self) {
        let mut state = self.lock();
        state.writing = false;
        state.stuck = false;
        let missing = std::mem::take(&mut state.missing);
        if missing > 0 {
            let line =
                format!("{missing} log lines are missing here: standard error was not read\n");
            state.waiting.extend_from_slice(line.as_bytes());
        }
        drop(state);
        self.changed.notify_all();
    }
}

/// A stream that is written to in batches, by a thread that ends with the process. Cloned, it is the same stream.
#[derive(Clone)]
pub(super) struct Batch(Arc<Shared>);

impl Batch {
    pub(super) fn new(mut stream: impl Write + Send + 'static) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let batches = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                loop {
                    let lines = batches.next();
                    // There is nowhere to report that the log itself cannot be written.
                    let _ = stream.write_all(&lines).and_then(|()| stream.flush());
                    batches.written();
                }
            })
            .expect("a process that cannot start one thread cannot run jobs");
        Self(shared)
    }

    /// How many lines were dropped because the reader did not read.
    pub(super) fn lost(&self) -> u64 {
        self.0.lock().lost
    }
}

impl Write for Batch {
    /// Takes one line, or drops it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        if state.waiting.len() + line.len() > MOST_BYTES {
            state.missing += 1;
            state.lost += 1;
            return Ok(line.len());
        }
        let first = state.waiting.is_empty();
        state.waiting.extend_from_slice(line);
        drop(state);
        if first {
            self.0.changed.notify_all();
        }
        Ok(line.len())
    }

    /// Waits until what was written has reached the stream, for half a second at most, and not at all where the reader is known not to
    /// read.
    fn flush(&mut self) -> io::Result<()> {
        let until = Instant::now() + FLUSH;
        let mut state = self.0.lock();
        state.hurry = true;
        self.0.changed.notify_all();
        while (state.writing || !state.waiting.is_empty()) && !state.stuck {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.stuck = true;
                break;
            }
            let waited = self.0.changed.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver, Sender};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<(usize, Vec<u8>)>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut written = self.0.lock().unwrap();
            written.0 += 1;
            written.1.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_come_in_order_and_together_at_once_where_asked_and_soon_where_not() {
        let lines = Lines::default();
        let mut batch = Batch::new(lines.clone());
        batch.write_all(b"a\n").unwrap();
        batch.write_all(b"b\n").unwrap();
        batch.flush().unwrap();
        let (writes, bytes) = lines.0.lock().unwrap().clone();
        assert!(writes <= 2 && bytes == b"a\nb\n", "{writes}: {bytes:?}");
        batch.write_all(b"c\n").unwrap();
        while lines.0.lock().unwrap().1 != b"a\nb\nc\n" {
            std::thread::yield_now();
        }
    }

    /// A stream whose writes take until the test lets them go on.
    struct Unread(Receiver<()>, Lines);

    impl Write for Unread {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn unread() -> (Batch, Sender<()>, Lines) {
        let (read, reads) = mpsc::channel();
        let lines = Lines::default();
        (Batch::new(Unread(reads, lines.clone())), read, lines)
    }

    #[test]
    fn a_reader_that_does_not_read_costs_lines_which_are_counted_and_told_and_never_a_wait() {
        let (mut batch, read, lines) = unread();
        let line = [b'x'; 1024];
        // Far more than may wait, from the thread that would read them: it would hang here if a write could block.
        for _ in 0..3 * MOST_BYTES / line.len() {
            batch.write_all(&line).unwrap();
        }
        let lost = batch.lost();
        assert!(lost >= (MOST_BYTES / line.len()) as u64, "{lost}");
        batch.flush().unwrap();
        drop(read);
        let told = format!("{lost} log lines are missing here");
        while !String::from_utf8_lossy(&lines.0.lock().unwrap().1).contains(&told) {
            std::thread::yield_now();
        }
        batch.write_all(b"again\n").unwrap();
        batch.flush().unwrap();
        assert!(lines.0.lock().unwrap().1.ends_with(b"again\n"));
    }
}
