//! Who else could have written a file: owner, mode, group, access list, and those of every directory above it.
//!
//! Written here and not taken from the crate `fs-mistrust`, which is made for the same purpose: it trusts the user's own group without
//! asking who is in it, and it reads no access lists.

use std::{
    fs,
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
};

/// Set on a directory in which only a file's owner may rename or remove the file.
const STICKY: u32 = 0o1000;

/// Whether only the host's user and root can change what stands in the directories above `path`, an absolute path without links;
/// otherwise who else can.
///
/// A sticky directory of root, such as `/tmp`, is fine. What lies in `trusted` is taken as it is, and so is what lies above it: mount
/// points whose owner and mode say nothing.
///
/// # Errors
/// One sentence: which directory, and who may write to it.
pub fn check_above(path: &Path, trusted: &[PathBuf]) -> Result<(), String> {
    if is_listed(path, trusted) {
        return Ok(());
    }
    for directory in path.ancestors().skip(1) {
        if is_listed(directory, trusted) {
            return Ok(());
        }
        let refused = |reason: String| {
            format!(
                "the directory {} above it is not trusted: {reason}",
                directory.display()
            )
        };
        let meta = fs::metadata(directory).map_err(|error| refused(error.to_string()))?;
        let guards_its_entries = meta.uid() == 0 && meta.mode() & STICKY != 0;
        if !guards_its_entries {
            check(&meta, has_acl(directory)).map_err(refused)?;
        }
    }
    Ok(())
}

/// Whether a path without links is one of these directories, links in their names resolved.
pub(super) fn is_listed(path: &Path, directories: &[PathBuf]) -> bool {
    directories.iter().any(|directory| {
        directory
            .canonicalize()
            .is_ok_and(|directory| directory == path)
    })
}

/// Whether only the host's user and root can write it; otherwise who else can.
pub(super) fn check(meta: &fs::Metadata, has_acl: bool) -> Result<(), String> {
    let own = rustix::process::geteuid().as_raw();
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let owner = Owner {
        uid: meta.uid(),
        gid: meta.gid(),
        mode: meta.mode(),
        has_acl,
    };
    judge(&owner, own, &groups, &users)
}

/// Whether a file or directory has an access list beyond its mode.
pub(super) fn has_acl(of: impl HasAcl) -> bool {
    of.acl_bytes().is_some_and(|bytes| bytes > 0)
}

const ACL: &str = "system.posix_acl_access";

/// What an access list can be asked of.
pub(super) trait HasAcl {
    fn acl_bytes(self) -> Option<usize>;
}

impl HasAcl for &Path {
    fn acl_bytes(self) -> Option<usize> {
        rustix::fs::getxattr(self, ACL, &mut [0; 0]).ok()
    }
}

impl HasAcl for &PathBuf {
    fn acl_bytes(self) -> Option<usize> {
        self.as_path().acl_bytes()
    }
}

impl HasAcl for &fs::File {
    fn acl_bytes(self) -> Option<usize> {
        rustix::fs::fgetxattr(self.as_fd(), ACL, &mut [0; 0]).ok()
    }
}

struct Owner {
    uid: u32,
    gid: u32,
    mode: u32,
    has_acl: bool,
}

const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;

fn judge(of: &Owner, own: u32, groups: &str, users: &str) -> Result<(), String> {
    if of.uid != own && of.uid != 0 {
        return Err(format!(
            "it is owned by user {}, not by the host's user {own} or root",
            of.uid
        ));
    }
    if of.mode & OTHERS_WRITE != 0 {
        return Err("everybody may write to it".to_owned());
    }
    // With an access list the group's bits are the list's mask: they say that somebody may write, not who.
    if of.mode & GROUP_WRITES != 0 && of.has_acl {
        return Err("its access list lets others write to it".to_owned());
    }
    if of.mode & GROUP_WRITES != 0 {
        let others = other_members(of.gid, own, groups, users)?;
        if let Some(other) = others.first() {
            return Err(format!(
                "its group {} may write to it and has other members, such as {other}",
                of.gid
            ));
        }
    }
    Ok(())
}

/// The members of a group other than the host's user and root, by the files in /etc.
///
/// A group that is not in them comes from somewhere else (a directory service), and nobody here can say who is in it.
fn other_members(gid: u32, own: u32, groups: &str, users: &str) -> Result<Vec<String>, String> {
    fn fields(text: &str) -> impl Iterator<Item = Vec<&str>> {
        text.lines().map(|line| line.split(':').collect())
    }
    let is = |field: Option<&&str>, id: u32| field.is_some_and(|field| field.parse() == Ok(id));
    let listed: Vec<&str> = fields(groups)
        .find(|group| is(group.get(2), gid))
        .ok_or_else(|| {
            format!("its group {gid} may write to it, and who is in that group is unknown")
        })?
        .get(3)
        .map(|members| members.split(',').filter(|name| !name.is_empty()).collect())
        .unwrap_or_default();
    let mut known = Vec::new();
    let mut others: Vec<String> = Vec::new();
    for user in fields(users) {
        let Some(name) = user.first().copied() else {
            continue;
        };
        known.push(name);
        let trusted = is(user.get(2), own) || is(user.get(2), 0);
        if !trusted && (is(user.get(3), gid) || listed.contains(&name)) {
            others.push(name.to_owned());
        }
    }
    let unknown = listed.iter().filter(|name| !known.contains(name));
    others.extend(unknown.map(|&name| name.to_owned()));
    Ok(others)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUPS: &str =
        "root:x:0:\nme:x:1000:\nteam:x:50:me,eve\nalone:x:51:me\nghosts:x:52:nobody-knows\n";
    const USERS: &str =
        "root:x:0:0::/root:\nme:x:1000:1000::/me:\neve:x:1001:60::/eve:\nbob:x:1002:61::/bob:\n";

    #[test]
    fn every_directory_above_counts_up_to_one_that_is_trusted() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        let (grandparent, plugins) = (top.join("shared"), top.join("shared/own/plugins"));
        fs::create_dir_all(&plugins).unwrap();
        let chmod = |mode| {
            fs::set_permissions(&grandparent, fs::Permissions::from_mode(mode)).unwrap();
        };
        chmod(0o755);
        assert_eq!(check_above(&plugins, &[]), Ok(()));
        chmod(0o777);
        let reason = check_above(&plugins, &[]).unwrap_err();
        assert!(
            reason.contains("/shared above it is not trusted: everybody may write to it"),
            "{reason}"
        );
        for trusted in [&grandparent, &top.join("shared/own"), &plugins] {
            assert_eq!(check_above(&plugins, std::slice::from_ref(trusted)), Ok(()));
        }
        assert!(
            check_above(&plugins, &[top]).is_err(),
            "what lies below a trusted directory is looked at"
        );
    }

    #[test]
    fn a_sticky_directory_of_root_is_fine_and_another_users_is_not() {
        use std::os::unix::fs::{PermissionsExt, chown};
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        let (shared, own) = (top.join("shared"), top.join("shared/own"));
        fs::create_dir_all(&own).unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
        if chown(&shared, Some(0), Some(0)).is_err() {
            println!("SKIPPED: directories of other owners (only root can make them)");
            return;
        }
        assert_eq!(check_above(&own, &[]), Ok(()));
        chown(&shared, Some(1), None).unwrap();
        let reason = check_above(&own, &[]).unwrap_err();
        assert!(reason.contains("owned by user 1"), "{reason}");
    }

    #[test]
    fn only_what_the_hosts_user_and_root_alone_can_write_is_trusted() {
        let cases = [
            (1000, 1000, 0o644, false, None),
            (0, 0, 0o755, false, None),
            (1001, 1000, 0o644, false, Some("owned by user 1001")),
            (1000, 1000, 0o646, false, Some("everybody")),
            (1000, 1000, 0o664, false, None),
            (1000, 0, 0o664, false, None),
            (1000, 51, 0o664, false, None),
            (1000, 50, 0o664, false, Some("such as eve")),
            (1000, 60, 0o664, false, Some("unknown")),
            (1000, 52, 0o664, false, Some("such as nobody-knows")),
            (1000, 50, 0o644, false, None),
            (1000, 1000, 0o664, true, Some("access list")),
            (1000, 1000, 0o644, true, None),
        ];
        for (uid, gid, mode, has_acl, expected) in cases {
            let owner = Owner {
                uid,
                gid,
                mode,
                has_acl,
            };
            let outcome = judge(&owner, 1000, GROUPS, USERS);
            match expected {
                None => assert_eq!(outcome, Ok(()), "{uid} {gid} {mode:o}"),
                Some(word) => assert!(
                    outcome.as_ref().is_err_and(|reason| reason.contains(word)),
                    "{uid} {gid} {mode:o}: {outcome:?}"
                ),
            }
        }
        let primary = other_members(61, 1000, "bobs:x:61:\n", USERS);
        assert_eq!(
            primary,
            Ok(vec!["bob".to_owned()]),
            "a group is also its users' primary one"
        );
    }
}
