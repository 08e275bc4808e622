//! Which plugin directory a command opens, and how.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use heimdall_server::config::Config;
use plugin_host::{LogSink, RegistryOptions, registry::ProbeCache};

/// The options that the plugin directory is opened with, those of a config where there is one.
pub(crate) fn registry_options(
    plugin_dir: Option<&Path>,
    config: Option<&Config>,
    log: LogSink,
) -> RegistryOptions {
    match config {
        Some(config) => config.registry_options(plugin_dir, &default_plugin_dir(), log),
        None => RegistryOptions::new(
            plugin_dir.map_or_else(default_plugin_dir, Path::to_owned),
            log,
        ),
    }
}

/// The same for a command that only inspects the directory: its config is read from the file, and nothing is logged.
pub(crate) fn registry_to_inspect(
    plugin_dir: Option<&Path>,
    config: Option<&Path>,
) -> Result<RegistryOptions, String> {
    let config = config.map(Config::load).transpose();
    let config = config.map_err(|error| error.to_string())?;
    let silent = Arc::new(|_, _: &str, _: &str| {});
    Ok(registry_options(plugin_dir, config.as_ref(), silent))
}

/// Where plugins lie unless an option or a config says otherwise: `plugins/` beside the executable, else the executable's own folder.
#[must_use]
pub(crate) fn default_plugin_dir() -> PathBuf {
    let executable = std::env::current_exe().unwrap_or_default();
    let folder = executable.parent().unwrap_or(Path::new(".")).to_owned();
    let plugins = folder.join("plugins");
    if plugins.is_dir() { plugins } else { folder }
}

/// What `program` told of libraries in earlier processes of this user, in the user's cache; of this process alone where there is none.
pub(crate) fn remembered_probes(program: &Path) -> ProbeCache {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let cache =
        absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    match cache {
        Some(cache) => ProbeCache::kept_in(&cache.join("heimdall-host/probes"), program),
        None => ProbeCache::default(),
    }
}
