//! Whether bytes are a whole shared library for this machine that could be a plugin. Reads, never runs.
//!
//! The dynamic loader itself maps a truncated file without complaint and dies of it later, so every table and segment is held
//! against the file's size here.

use std::{fs::File, path::Path};

use object::{
    Endianness, ReadCache, ReadRef,
    elf::{self, FileHeader64},
    read::elf::{FileHeader, ProgramHeader, SectionTable, Sym},
};
use plugin_api::abi::REQUIRED;

use crate::{
    glibc_version,
    refusal::{Refusal, RefusalCode},
};

#[cfg(target_arch = "x86_64")]
const MACHINE: (elf::Machine, &str) = (elf::EM_X86_64, "x86-64");
#[cfg(target_arch = "aarch64")]
const MACHINE: (elf::Machine, &str) = (elf::EM_AARCH64, "aarch64");

type Header = FileHeader64<Endianness>;

/// Checks the structure of the library at `path`.
pub(crate) fn check(path: &Path) -> Result<(), Refusal> {
    let file = File::open(path).map_err(|error| super::unreadable(&error))?;
    let cache = ReadCache::new(file);
    let data = &cache;
    let size = data
        .len()
        .map_err(|()| not_a_library("its size cannot be read"))?;
    if size == 0 {
        return Err(not_a_library("it is empty"));
    }
    let header = header(data, size)?;
    let endian = header
        .endian()
        .map_err(|error| not_a_library(&error.to_string()))?;
    right_machine(header, endian)?;
    whole(header, endian, data, size)?;
    let sections = header
        .sections(endian, data)
        .map_err(|error| not_a_library(&error.to_string()))?;
    has_symbols(&sections, endian, data)?;
    glibc_suffices(&sections, endian, data)
}

fn header<'a>(data: impl ReadRef<'a>, size: u64) -> Result<&'a Header, Refusal> {
    let magic = data.read_bytes_at(0, size.min(4)).unwrap_or_default();
    if !elf::ELFMAG.starts_with(magic) {
        return Err(not_a_library("it does not begin as an ELF file does"));
    }
    if size < size_of::<Header>() as u64 {
        return Err(truncated(format!(
            "it has {size} bytes, less than its own header"
        )));
    }
    let class = data.read_bytes_at(4, 1).unwrap_or_default();
    if class != [elf::ELFCLASS64.0] {
        return Err(wrong_machine("it is no 64-bit library"));
    }
    Header::parse(data).map_err(|error| not_a_library(&error.to_string()))
}

fn right_machine(header: &Header, endian: Endianness) -> Result<(), Refusal> {
    let machine = header.e_machine(endian);
    if endian != Endianness::default() || machine != MACHINE.0 {
        return Err(wrong_machine(&format!(
            "it is built for ELF machine {}, this host for {} ({})",
            machine.0, MACHINE.0.0, MACHINE.1
        )));
    }
    if header.e_type(endian) != elf::ET_DYN {
        return Err(not_a_library("it is an ELF file, but no shared library"));
    }
    Ok(())
}

/// Every segment and both header tables end inside the file.
fn whole<'a>(
    header: &Header,
    endian: Endianness,
    data: impl ReadRef<'a>,
    size: u64,
) -> Result<(), Refusal> {
    let fits = |what: &str, offset: u64, bytes: u64| {
        let end = offset.checked_add(bytes);
        if end.is_some_and(|end| end <= size) {
            return Ok(());
        }
        Err(truncated(format!(
            "its {what} ends at byte {}, but the file has {size} bytes",
            end.map_or("beyond 2^64".to_owned(), |end| end.to_string())
        )))
    };
    let table = |count: u16, entry: u16| u64::from(count) * u64::from(entry);
    fits(
        "program header table",
        header.e_phoff(endian),
        table(header.e_phnum(endian), header.e_phentsize(endian)),
    )?;
    // It is the last thing in a file, so that this also finds a file that lacks only its end.
    fits(
        "section header table",
        header.e_shoff(endian),
        table(header.e_shnum(endian), header.e_shentsize(endian)),
    )?;
    let segments = header
        .program_headers(endian, data)
        .map_err(|error| not_a_library(&error.to_string()))?;
    let mut code = false;
    for segment in segments {
        let (offset, in_file) = segment.file_range(endian);
        fits("segment", offset, in_file)?;
        if segment.p_type(endian) == elf::PT_LOAD {
            code |= segment.p_flags(endian) & elf::PF_X == elf::PF_X;
            if segment.p_memsz(endian) < in_file {
                return Err(not_a_library(
                    "a segment is larger in the file than in memory",
                ));
            }
        }
    }
    if code {
        Ok(())
    } else {
        Err(not_a_library("it has no code"))
    }
}

fn has_symbols<'a, R: ReadRef<'a>>(
    sections: &SectionTable<'a, Header, R>,
    endian: Endianness,
    data: R,
) -> Result<(), Refusal> {
    let symbols = sections
        .symbols(endian, data, elf::SHT_DYNSYM)
        .map_err(|error| not_a_library(&format!("its dynamic symbols cannot be read: {error}")))?;
    let mut missing: Vec<&str> = REQUIRED.to_vec();
    for symbol in symbols.iter() {
        if symbol.is_undefined(endian) {
            continue;
        }
        if let Ok(name) = symbols.symbol_name(endian, symbol) {
            missing.retain(|symbol| symbol.as_bytes() != name);
        }
    }
    match missing.as_slice() {
        [] => Ok(()),
        [first, rest @ ..] => Err(Refusal::new(
            RefusalCode::MissingSymbol,
            match rest.len() {
                0 => format!("it is no plugin library: it has no symbol '{first}'"),
                more => format!(
                    "it is no plugin library: it has no symbol '{first}' and lacks {more} more"
                ),
            },
            "build the plugin with plugin-api's export_plugin!, as a cdylib",
        )),
    }
}

/// The newest `GLIBC_x.y` that the library asks for is there.
fn glibc_suffices<'a, R: ReadRef<'a>>(
    sections: &SectionTable<'a, Header, R>,
    endian: Endianness,
    data: R,
) -> Result<(), Refusal> {
    let unreadable = |error: object::Error| {
        not_a_library(&format!("the versions it needs cannot be read: {error}"))
    };
    let (Some(has), Some((mut needs, link))) = (
        glibc_version().and_then(version),
        sections.gnu_verneed(endian, data).map_err(unreadable)?,
    ) else {
        return Ok(());
    };
    let strings = sections.strings(endian, data, link).map_err(unreadable)?;
    let mut newest = (0, 0);
    while let Some((_, mut entries)) = needs.next().map_err(unreadable)? {
        while let Some(entry) = entries.next().map_err(unreadable)? {
            let name = entry.name(endian, strings).map_err(unreadable)?;
            let needed = std::str::from_utf8(name)
                .ok()
                .and_then(|name| version(name.strip_prefix("GLIBC_")?));
            newest = newest.max(needed.unwrap_or_default());
        }
    }
    if newest <= has {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalCode::GlibcTooOld,
        format!(
            "it needs glibc {}.{}, this machine has {}.{}",
            newest.0, newest.1, has.0, has.1
        ),
        "use a library that was built for this machine's system or an older one",
    ))
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

fn not_a_library(reason: &str) -> Refusal {
    Refusal::new(
        RefusalCode::NotALibrary,
        format!("it is no shared library: {reason}"),
        "check what was copied into the plugin directory",
    )
}

fn truncated(reason: String) -> Refusal {
    Refusal::new(
        RefusalCode::Truncated,
        format!("the file is cut short: {reason}"),
        "copy it again; it is looked at again when it changes",
    )
}

fn wrong_machine(reason: &str) -> Refusal {
    Refusal::new(
        RefusalCode::WrongMachine,
        reason,
        "use the library that was built for this machine",
    )
}
