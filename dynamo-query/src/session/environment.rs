//! The environment variables that matter to AWS, read once.
//!
//! Every copy of Rust's std locks the environment for itself only: a host that calls `setenv` while a library reads crashes. So
//! it is read where the host expects it, at `plugin_open`. The SDK alone goes on to ask for three variables before each request, for which
//! it has no switch (`docs/ABI.md`, Environment).

use std::{collections::BTreeMap, fmt};

use aws_types::os_shim_internal::Env;

/// A snapshot of the variables that identities, endpoints and proxies depend on.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// Reads the process's environment now. What is not UTF-8 in a value becomes U+FFFD, so that it is refused as unusable where
    /// it is needed, and never passes as absent.
    #[must_use]
    pub fn read() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| {
                Some((
                    name.into_string().ok()?,
                    value.to_string_lossy().into_owned(),
                ))
            })
            .filter(|(name, _)| {
                name.starts_with("AWS_") || name == "HOME" || is_proxy(&name.to_ascii_lowercase())
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

    /// A proxy variable by its lower-case name, with the name that it was found under. Its lower-case form wins over any other.
    pub(super) fn proxy_variable(&self, name: &str) -> Option<(&str, &str)> {
        let exact = self.variables.get_key_value(name);
        let any_case = self.variables.iter();
        exact
            .into_iter()
            .chain(any_case.filter(|(other, _)| other.eq_ignore_ascii_case(name)))
            .find(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// For the SDK: these variables, where they are set, and no others.
    pub(super) fn only(&self, names: &[&str]) -> Env {
        let chosen: Vec<(&str, &str)> = names
            .iter()
            .filter_map(|name| Some((*name, self.get(name)?)))
            .collect();
        Env::from_slice(&chosen)
    }
}

/// Variables hold credentials, so only names are shown.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

fn is_proxy(name: &str) -> bool {
    ["http_proxy", "https_proxy", "no_proxy"].contains(&name)
}

#[cfg(test)]
impl Environment {
    /// An environment of these variables.
    pub(super) fn of(variables: &[(&str, &str)]) -> Self {
        let own = |text: &str| text.to_owned();
        Self {
            variables: variables
                .iter()
                .map(|(name, value)| (own(name), own(value)))
                .collect(),
        }
    }
}
