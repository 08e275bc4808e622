//! The environment variables that matter to AWS, read once.
//!
//! Every copy of Rust's std locks the environment for itself only: a host that calls `setenv` while a library reads crashes. So
//! it is read where the host expects it, at `plugin_open`, and never again.

use std::{collections::BTreeMap, fmt};

use aws_types::os_shim_internal::Env;

/// A snapshot of the variables that the SDK, its credential sources and proxies look at.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// Reads the process's environment now.
    #[must_use]
    pub fn read() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| {
                name.starts_with("AWS_")
                    || ["HOME", "USERPROFILE", "PATH"].contains(&name.as_str())
                    || is_proxy(name)
            })
            .collect();
        Self { variables }
    }

    /// The value of a variable that is set and not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Whether any proxy is asked for.
    pub(super) fn has_proxy(&self) -> bool {
        self.variables
            .iter()
            .any(|(name, value)| is_proxy(name) && !value.is_empty())
    }

    /// The same for the SDK; without the keys in it where a profile is named, which the SDK would ignore beside them.
    pub(super) fn for_sdk(&self, profile: Option<&str>) -> Env {
        let keys = [
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
        ];
        let variables: Vec<(&str, &str)> = self
            .variables
            .iter()
            .filter(|(name, _)| profile.is_none() || !keys.contains(&name.as_str()))
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        Env::from_slice(&variables)
    }
}

/// Variables hold credentials, so only names are shown.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

fn is_proxy(name: &str) -> bool {
    ["http_proxy", "https_proxy", "all_proxy", "no_proxy"]
        .contains(&name.to_ascii_lowercase().as_str())
}
