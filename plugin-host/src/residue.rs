//! What stays of a library that was closed: its mappings, for good. Reads `/proc/self`, changes nothing.

use std::{fs, io, path::Path};

use serde::Serialize;

/// What a closed version keeps until the process ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Residue {
    /// Bytes of memory of its mappings that no file backs any more: relocated pages, written data.
    pub anonymous_bytes: u64,
    /// How many mappings.
    pub mappings: u32,
    /// How many of the process's 1,024 thread keys at least: as many as its probe took, where no real job ran.
    pub thread_keys: Option<usize>,
}

/// Measures the mappings of the library that was loaded from `copy`.
///
/// # Errors
/// Where `/proc` cannot be read.
pub fn of_library(copy: &Path) -> io::Result<Residue> {
    let smaps = fs::read_to_string("/proc/self/smaps")?;
    Ok(of_mappings(&smaps, &copy.to_string_lossy()))
}

/// Anonymous memory of the whole process, in bytes.
///
/// # Errors
/// Where `/proc` cannot be read.
pub fn of_process() -> io::Result<u64> {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup")?;
    Ok(rollup.lines().filter_map(anonymous).sum())
}

/// How many threads this process has.
///
/// # Errors
/// Where `/proc` cannot be read.
pub fn threads() -> io::Result<usize> {
    fs::read_dir("/proc/self/task").map(Iterator::count)
}

/// How many files this process has open.
///
/// # Errors
/// Where `/proc` cannot be read.
pub fn open_files() -> io::Result<usize> {
    // One of them is the directory that is being read.
    fs::read_dir("/proc/self/fd").map(|files| files.count() - 1)
}

fn of_mappings(smaps: &str, copy: &str) -> Residue {
    let mut residue = Residue::default();
    let mut ours = false;
    let mut end = String::new();
    for line in smaps.lines() {
        let Some((from, to, path)) = mapping(line) else {
            if ours {
                residue.anonymous_bytes += anonymous(line).unwrap_or(0);
            }
            continue;
        };
        let of_the_file = path.strip_suffix(" (deleted)").unwrap_or(path) == copy;
        // Data that begins as zeros has no file: it lies right behind the file's last mapping.
        ours = of_the_file || (ours && path.is_empty() && from == end);
        residue.mappings += u32::from(ours);
        to.clone_into(&mut end);
    }
    residue
}

/// A mapping's head: `start-end perms offset device inode   path`.
fn mapping(line: &str) -> Option<(&str, &str, &str)> {
    let (range, rest) = line.split_once(' ')?;
    let (from, to) = range.split_once('-')?;
    if range.ends_with(':') {
        return None;
    }
    let mut fields = rest.trim_start().splitn(5, ' ');
    let path = fields.nth(4).unwrap_or_default().trim_start();
    // Perms, offset, device, inode are four fields; the path may hold blanks.
    Some((from, to, path.trim_end()))
}

fn anonymous(line: &str) -> Option<u64> {
    let kilobytes = line.strip_prefix("Anonymous:")?.trim().strip_suffix("kB")?;
    Some(kilobytes.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_librarys_mappings_and_the_zeroed_data_behind_them_are_counted() {
        let smaps = "\
7f00-7f10 r--p 00000000 fe:00 247278                     /tmp/copies of it/a.so
Size:                  8 kB
Anonymous:             4 kB
7f10-7f20 rw-p 00000000 fe:00 247278                     /tmp/copies of it/a.so (deleted)
Anonymous:             12 kB
7f20-7f30 rw-p 00000000 00:00 0 
Anonymous:             8 kB
7f40-7f50 rw-p 00000000 00:00 0 
Anonymous:             100 kB
7f50-7f60 rw-p 00000000 fe:00 1                          /tmp/copies of it/b.so
Anonymous:             100 kB
7f60-7f70 rw-p 00000000 00:00 0                          [heap]
Anonymous:             100 kB
";
        let residue = of_mappings(smaps, "/tmp/copies of it/a.so");
        assert_eq!((residue.anonymous_bytes, residue.mappings), (24 * 1024, 3));
    }

    #[test]
    fn this_process_can_be_measured() {
        assert!(of_process().unwrap() > 0);
        assert!(threads().unwrap() >= 1);
        assert!(open_files().unwrap() >= 1);
    }
}
