//! Lines on their way to a slow stream: one write for many.
//!
//! In: lines from any thread. Out: the same bytes in the same order, some milliseconds later, or at once where a flush asks for it. A
//! write to a pipe wakes its reader, which costs more than the line.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a line may wait.
const MOMENT: Duration = Duration::from_millis(20);
/// The most that waits; whoever comes then writes it all, and waits for the stream.
const MOST_BYTES: usize = 256 * 1024;

struct Shared<W> {
    /// Taken before `waiting`, so that bytes keep their order.
    stream: Mutex<W>,
    waiting: Mutex<Vec<u8>>,
    some: Condvar,
}

/// A stream that is written to in batches, by a thread that ends with the process.
pub(super) struct Batch<W>(Arc<Shared<W>>);

impl<W: Write + Send + 'static> Batch<W> {
    pub(super) fn new(stream: W) -> Self {
        let shared = Arc::new(Shared {
            stream: Mutex::new(stream),
            waiting: Mutex::default(),
            some: Condvar::new(),
        });
        let batches = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                loop {
                    batches.wait();
                    std::thread::sleep(MOMENT);
                    // There is nowhere to report that the log itself cannot be written.
                    let _ = batches.write_out();
                }
            })
            .expect("a process that cannot start one thread cannot run jobs");
        Self(shared)
    }
}

impl<W: Write> Shared<W> {
    fn waiting(&self) -> MutexGuard<'_, Vec<u8>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self) {
        let some = self
            .some
            .wait_while(self.waiting(), |waiting| waiting.is_empty());
        drop(some.unwrap_or_else(PoisonError::into_inner));
    }

    fn write_out(&self) -> io::Result<()> {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = std::mem::take(&mut *self.waiting());
        stream.write_all(&bytes)
    }
}

impl<W: Write> Write for Batch<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut waiting = self.0.waiting();
        waiting.extend_from_slice(bytes);
        let (first, full) = (waiting.len() == bytes.len(), waiting.len() > MOST_BYTES);
        drop(waiting);
        if full {
            self.0.write_out()?;
        } else if first {
            self.0.some.notify_one();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.write_out()
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn what_waits_is_bounded() {
        let lines = Lines::default();
        let mut batch = Batch::new(lines.clone());
        batch.write_all(&vec![b'x'; MOST_BYTES + 1]).unwrap();
        assert_eq!(lines.0.lock().unwrap().1.len(), MOST_BYTES + 1);
    }
}
