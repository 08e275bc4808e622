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
}
