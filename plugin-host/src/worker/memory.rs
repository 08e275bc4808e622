//! A control group of its own for a worker, where the system has delegated one to the host.
//!
//! Without one, the worker limits its own data segment (`RLIMIT_DATA`). A control group is better because it counts every page.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::process::Pid;

const MOUNT: &str = "/sys/fs/cgroup";

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A control group, removed when it is dropped.
pub(super) struct Group(PathBuf);

impl Group {
    /// A group beside the host's own that may hold so many bytes. `None` where systemd has not delegated the parent to the host's
    /// user (`Delegate=memory` and `DelegateSubgroup=` in the unit).
    pub(super) fn make(bytes: u64) -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
        let parent = Path::new(MOUNT).join(own).parent()?.to_owned();
        // systemd marks what it has delegated; any other group is not the host's to change, whatever its user may do.
        let mut mark = [0; 1];
        rustix::fs::getxattr(&parent, c"user.delegate", &mut mark)
            .ok()
            .filter(|_| mark == *b"1")?;
        let nth = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("heimdall-worker-{}-{nth}", std::process::id()));
        fs::write(parent.join("cgroup.subtree_control"), "+memory").ok()?;
        fs::create_dir(&path).ok()?;
        let group = Self(path);
        fs::write(group.0.join("memory.max"), bytes.to_string()).ok()?;
        // A kernel without swap accounting has no such file.
        let _ = fs::write(group.0.join("memory.swap.max"), "0");
        Some(group)
    }

    /// Moves a process into the group.
    pub(super) fn add(&self, pid: Pid) -> io::Result<()> {
        fs::write(
            self.0.join("cgroup.procs"),
            pid.as_raw_nonzero().to_string(),
        )
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}
