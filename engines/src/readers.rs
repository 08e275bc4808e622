//! Other people's readers of result files: pyarrow, duckdb and polars, in a Python environment of their own in the target folder.

use std::path::PathBuf;

use crate::{Skip, install};

const ENGINE: &str = "pyarrow, duckdb and polars";

/// The environment's `python`, installed first if it is not there yet.
///
/// # Errors
/// What is missing on this machine.
pub fn python() -> Result<PathBuf, Skip> {
    Ok(install()?.join("bin/python"))
}

/// Installs them, if they are not there yet.
///
/// # Errors
/// What is missing on this machine.
pub fn install() -> Result<PathBuf, Skip> {
    install::installed(ENGINE, "readers-1", |folder| {
        let packages = ["pyarrow==26.*", "duckdb==2.0.*", "polars==2.*"];
        install::python_environment(ENGINE, folder, &packages)
    })
}
