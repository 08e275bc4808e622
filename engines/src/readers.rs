//! Other people's Python packages, in environments of their own in the target folder: readers of result files (pyarrow, duckdb, polars),
//! with what the tests of the Python example ask (boto3), build and check with; and jq.

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

/// The `python` of an environment with jq: the library of jq 1.8 itself, which keeps the digits of numbers, unlike the jq 1.6 that many
/// machines have. Installed first if it is not there yet.
///
/// # Errors
/// What is missing on this machine.
pub fn jq() -> Result<PathBuf, Skip> {
    let folder = install::installed("jq", "jq-1", |folder| {
        install::python_environment("jq", folder, &["jq==1.13.*"])
    })?;
    Ok(folder.join("bin/python"))
}

/// Installs everything but jq, if it is not there yet.
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
