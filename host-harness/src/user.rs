//! Who uses the command line.

use nix::unistd::{Uid, User};

/// The USER variable, else the name that the operating system has for this user.
pub(crate) fn name() -> Option<String> {
    let named = std::env::var("USER").ok().filter(|user| !user.is_empty());
    named.or_else(|| User::from_uid(Uid::current()).ok()?.map(|user| user.name))
}
