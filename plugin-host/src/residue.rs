//! What stays of a library that was closed: its mappings, for good. Reads `/proc/self`, changes nothing.

use std::{fs, io, path::Path};

use procfs::process::{MMapPath, MemoryMap, Process};
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
    let maps = of_this_process()?.smaps().map_err(io::Error::other)?;
    Ok(of_mappings(&maps.0, &copy.to_string_lossy()))
}

/// Anonymous memory of the whole process, in bytes.
///
/// # Errors
/// Where `/proc` cannot be read.
pub fn of_process() -> io::Result<u64> {
    let rollup = of_this_process()?
        .smaps_rollup()
        .map_err(io::Error::other)?;
    Ok(rollup.memory_map_rollup.iter().map(anonymous).sum())
}

fn of_this_process() -> io::Result<Process> {
    Process::myself().map_err(io::Error::other)
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

fn of_mappings(maps: &[MemoryMap], copy: &str) -> Residue {
    let mut residue = Residue::default();
    let mut ours = false;
    let mut end = 0;
    for map in maps {
        ours = match &map.pathname {
            MMapPath::Path(path) => {
                let path = path.to_string_lossy();
                path.strip_suffix(" (deleted)").unwrap_or(&path) == copy
            }
            // Data that begins as zeros has no file: it lies right behind the file's last mapping.
            MMapPath::Anonymous => ours && map.address.0 == end,
            _ => false,
        };
        if ours {
            residue.anonymous_bytes += anonymous(map);
            residue.mappings += 1;
        }
        end = map.address.1;
    }
    residue
}

/// Bytes of a mapping that no file backs.
fn anonymous(map: &MemoryMap) -> u64 {
    map.extension.map.get("Anonymous").copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use procfs::{FromRead, process::MemoryMaps};

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
        let maps = MemoryMaps::from_read(smaps.as_bytes()).unwrap();
        let residue = of_mappings(&maps.0, "/tmp/copies of it/a.so");
        assert_eq!((residue.anonymous_bytes, residue.mappings), (24 * 1024, 3));
    }

    #[test]
    fn this_process_can_be_measured() {
        assert!(of_process().unwrap() > 0);
        assert!(threads().unwrap() >= 1);
        assert!(open_files().unwrap() >= 1);
    }
}
