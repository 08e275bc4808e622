//! Which versions serve, and which of them is active: a pure function of what lies in the directory.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

/// A loaded version as a file carries it, or as memory does.
pub(super) struct Candidate<'a> {
    /// Which of the loaded versions.
    pub(super) index: usize,
    pub(super) name: &'a str,
    pub(super) version: &'a semver::Version,
    /// When it came, as a running number.
    pub(super) arrived: u64,
}

/// Per name: the active version, then those that stand by, from new to old. Whatever is not in it is retired.
///
/// Of two files with the same name and version the one that came last wins. The newest version is active unless a pin says
/// otherwise; a pinned version without a file is taken from memory, as long as the name has a file at all.
pub(super) fn decide(
    backed: &[Candidate<'_>],
    loaded: &[Candidate<'_>],
    pins: &HashMap<String, semver::Version>,
) -> BTreeMap<String, Vec<usize>> {
    let mut names: BTreeMap<&str, BTreeMap<Reverse<&semver::Version>, &Candidate<'_>>> =
        BTreeMap::new();
    for candidate in backed {
        let best = names
            .entry(candidate.name)
            .or_default()
            .entry(Reverse(candidate.version))
            .or_insert(candidate);
        if candidate.arrived > best.arrived {
            *best = candidate;
        }
    }
    names
        .into_iter()
        .map(|(name, versions)| {
            let pinned = pins.get(name).and_then(|pin| {
                versions.get(&Reverse(pin)).copied().or_else(|| {
                    loaded
                        .iter()
                        .filter(|candidate| candidate.name == name && candidate.version == pin)
                        .max_by_key(|candidate| candidate.arrived)
                })
            });
            let mut serving: Vec<usize> = pinned.iter().map(|pinned| pinned.index).collect();
            for candidate in versions.values() {
                if !serving.contains(&candidate.index) {
                    serving.push(candidate.index);
                }
            }
            (name.to_owned(), serving)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files and memory as `name version`, index by position; what serves as indexes.
    fn check(backed: &[(usize, u64)], pin: Option<&str>, expected: &[usize], why: &str) {
        let memory = ["1.0.0", "2.0.0", "2.0.0", "3.0.0-rc.1"].map(|v| v.parse().unwrap());
        let candidate = |index: usize, arrived| Candidate {
            index,
            name: "echo",
            version: &memory[index],
            arrived,
        };
        let backed: Vec<_> = backed.iter().map(|&(i, at)| candidate(i, at)).collect();
        let loaded: Vec<_> = (0..memory.len()).map(|i| candidate(i, i as u64)).collect();
        let pins = pin
            .map(|pin| ("echo".to_owned(), pin.parse().unwrap()))
            .into_iter()
            .collect();
        let serving = decide(&backed, &loaded, &pins);
        let echo = serving.get("echo").map_or(&[][..], Vec::as_slice);
        assert_eq!(echo, expected, "{why}");
    }

    #[test]
    fn what_serves_follows_from_files_and_pins() {
        check(&[], None, &[], "no file, no service");
        check(&[], Some("1.0.0"), &[], "a pin alone keeps nothing alive");
        check(&[(0, 1), (1, 2)], None, &[1, 0], "the newest is active");
        check(
            &[(0, 2), (1, 1)],
            None,
            &[1, 0],
            "newest by version, not by arrival",
        );
        check(
            &[(1, 1), (2, 2)],
            None,
            &[2],
            "the same version: the file that came last",
        );
        check(
            &[(1, 2), (2, 1)],
            None,
            &[1],
            "the same, the other way round",
        );
        check(
            &[(0, 1), (1, 2)],
            Some("1.0.0"),
            &[0, 1],
            "a pin makes the old one active",
        );
        check(
            &[(1, 1)],
            Some("1.0.0"),
            &[0, 1],
            "a pinned version comes from memory",
        );
        check(
            &[(0, 1)],
            Some("2.0.0"),
            &[2, 0],
            "from memory, the one loaded last",
        );
        check(
            &[(0, 1)],
            Some("9.0.0"),
            &[0],
            "a pin that cannot be met is waited for",
        );
        check(
            &[(1, 1), (3, 2)],
            None,
            &[3, 1],
            "semver's order, pre-releases included",
        );
    }

    /// What an operator or a copy does to a directory.
    #[derive(Debug, Clone)]
    enum Step {
        /// A file gets a library: which name and version it carries.
        Put(u8, usize),
        Remove(u8),
        Pin(usize),
        Unpin(usize),
    }

    /// Libraries that may come: two plugins, versions with a pre-release, and one version in two builds.
    const LIBRARIES: [(&str, &str); 8] = [
        ("echo", "1.0.0"),
        ("echo", "2.0.0-rc.1"),
        ("echo", "2.0.0"),
        ("echo", "2.0.0"),
        ("echo", "10.0.0"),
        ("dynamo", "1.0.0"),
        ("dynamo", "1.1.0"),
        ("dynamo", "1.1.0"),
    ];

    /// The same rules, said in another way: of one name, by asking for each thing that may serve whether anything beats it.
    fn model(
        name: &str,
        files: &BTreeMap<u8, (usize, u64)>,
        memory: &[usize],
        pin: Option<&semver::Version>,
    ) -> Option<Vec<usize>> {
        let version = |library: usize| semver::Version::parse(LIBRARIES[library].1).unwrap();
        let of_name = |library: &usize| LIBRARIES[*library].0 == name;
        let here: Vec<(usize, u64)> = files
            .values()
            .copied()
            .filter(|(library, _)| of_name(library))
            .collect();
        if here.is_empty() {
            return None;
        }
        let newest_file_of = |version_sought: &semver::Version| {
            let same = here
                .iter()
                .filter(|(library, _)| version(*library) == *version_sought);
            same.max_by_key(|(_, arrived)| *arrived)
                .map(|(library, _)| *library)
        };
        let mut versions: Vec<semver::Version> =
            here.iter().map(|(library, _)| version(*library)).collect();
        versions.sort();
        versions.dedup();
        versions.reverse();
        let mut serving: Vec<usize> = versions.iter().filter_map(newest_file_of).collect();
        if let Some(pin) = pin {
            let loaded_last = memory
                .iter()
                .rev()
                .find(|library| of_name(library) && version(**library) == *pin);
            if let Some(first) = newest_file_of(pin).or(loaded_last.copied()) {
                serving.retain(|library| *library != first);
                serving.insert(0, first);
            }
        }
        Some(serving)
    }

    fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
        use proptest::prelude::*;
        let library = || 0..LIBRARIES.len();
        let step = prop_oneof![
            4 => (0..5_u8, library()).prop_map(|(file, library)| Step::Put(file, library)),
            2 => (0..5_u8).prop_map(Step::Remove),
            2 => library().prop_map(Step::Pin),
            1 => library().prop_map(Step::Unpin),
        ];
        prop::collection::vec(step, 1..40)
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { cases: cases(), failure_persistence: None, ..Default::default() })]

        #[test]
        fn over_any_history_what_serves_is_what_the_model_says(history in steps()) {
            let versions: Vec<semver::Version> = LIBRARIES.iter().map(|(_, version)| version.parse().unwrap()).collect();
            let (mut files, mut memory, mut pins) = (BTreeMap::new(), Vec::new(), HashMap::new());
            for (arrived, step) in (0..).zip(history) {
                match step {
                    Step::Put(file, library) => {
                        files.insert(file, (library, arrived));
                        if !memory.contains(&library) {
                            memory.push(library);
                        }
                    }
                    Step::Remove(file) => drop(files.remove(&file)),
                    Step::Pin(library) => drop(pins.insert(LIBRARIES[library].0.to_owned(), versions[library].clone())),
                    Step::Unpin(library) => drop(pins.remove(LIBRARIES[library].0)),
                }
                let candidate = |index: usize, arrived| Candidate {
                    index,
                    name: LIBRARIES[index].0,
                    version: &versions[index],
                    arrived,
                };
                let backed: Vec<_> = files.values().map(|&(library, arrived)| candidate(library, arrived)).collect();
                let loaded: Vec<_> = (0..).zip(&memory).map(|(order, &library)| candidate(library, order)).collect();
                let serving = decide(&backed, &loaded, &pins);
                for name in ["echo", "dynamo"] {
                    proptest::prop_assert_eq!(
                        serving.get(name).cloned(),
                        model(name, &files, &memory, pins.get(name)),
                        "{} after {:?}", name, files
                    );
                }
            }
        }
    }

    /// Histories to try; `HISTORIES` sets another number.
    fn cases() -> u32 {
        std::env::var("HISTORIES").map_or(256, |text| text.parse().expect("HISTORIES is a number"))
    }
}
