//! Other people's Python packages, in an environment of their own in the target folder: readers of result files (pyarrow, duckdb,
//! polars), and what the tests of the Python example ask (boto3), build and check with.

use std::path::PathBuf;

use crate::{Skip, install};

const ENGINE: &str = "pyarrow, duckdb, polars, pandas and boto3";

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
    install::installed(ENGINE, "readers-2", |folder| {
        let readers = ["pyarrow==26.*", "duckdb==2.0.*", "polars==2.*"];
        let example = [
            "pandas==3.*",
            "boto3==1.*",
            "pytest==9.*",
            "mypy==2.*",
            "hatchling==1.*",
        ];
        install::python_environment(ENGINE, folder, &[&readers[..], &example].concat())
    })
}
