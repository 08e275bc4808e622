//! Which threads go first where processors are short.

use rustix::process::{getpriority_process, setpriority_process};

/// The nice value of a thread that gives way: it gets about a tenth of what others get of a busy processor (see `sched(7)`).
const NICE: i32 = 10;

/// Lets all other threads go first, for the rest of this thread's life. A system that refuses leaves it as it is.
pub(crate) fn give_way() {
    // Linux keeps this value for each thread, and no process named is the calling thread.
    if getpriority_process(None).is_ok_and(|nice| nice < NICE) {
        let _ = setpriority_process(None, NICE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_gives_way_alone() {
        let before = getpriority_process(None).unwrap();
        let other = std::thread::spawn(|| {
            give_way();
            getpriority_process(None).unwrap()
        });
        assert_eq!(other.join().unwrap(), before.max(NICE));
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}
