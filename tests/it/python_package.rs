//! The Python package as its users have it: its wheel built and installed into a fresh environment, its own tests run there against
//! the engines and beside boto3, its types checked.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use bytes::Bytes;
use engines::{
    embedded::Embedded,
    faults::{Fault, Faults},
    paging::{Paging, Table},
    readers, sample, skip_or_fail,
};
use harness_tests::library;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::hosts::{limited, root, succeeds, texts};

const PAGES: usize = 64;

fn package() -> PathBuf {
    root().join("examples/python")
}

/// The environment with boto3, pyarrow and the like.
fn packages() -> Option<PathBuf> {
    let found = readers::install();
    found.inspect_err(skip_or_fail).ok()
}

/// A command of that environment, which nothing of the caller's Python reaches.
fn python(packages: &Path) -> Command {
    let mut python = limited(packages.join("bin/python"));
    python
        .arg("-B")
        // For the programs that it starts as well: what is installed is tested, not the folder that they run in.
        .env("PYTHONSAFEPATH", "1")
        .current_dir(package())
        .env_remove("HEIMDALL_DYNAMO_LIBRARY");
    python
}

/// A fresh environment into which the package alone is installed, the other packages beside it on the path.
struct Installed {
    folder: TempDir,
    others: String,
}

impl Installed {
    fn new(packages: &Path) -> Self {
        let asked = "import sysconfig; print(sysconfig.get_path('purelib'))";
        let others = succeeds(python(packages).args(["-c", asked]));
        let others = others.trim().to_owned();
        let folder = TempDir::new().unwrap();
        succeeds(
            limited(packages.join("bin/python"))
                .args(["-m", "venv"])
                .arg(folder.path()),
        );
        let installed = Self { folder, others };
        // What the README says, without the network: the build's own packages are those of the path.
        let install = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-index",
            "--no-deps",
            "--no-build-isolation",
            ".",
        ];
        succeeds(
            installed
                .python()
                .args(install)
                .env("HEIMDALL_DYNAMO_LIBRARY", library("dynamo_plugin")),
        );
        installed
    }

    fn python(&self) -> Command {
        let mut command = python(self.folder.path());
        command.env("PYTHONPATH", &self.others);
        command
    }
}

/// The demo's tables, and one of 2,000 items.
fn embedded() -> Embedded {
    let engine = Embedded::start().unwrap();
    engine.load(&sample::tables()).unwrap();
    let numbered: Vec<Value> = (0..2000)
        .map(|n| json!({"id": {"S": format!("{n}")}, "n": {"N": n.to_string()}}))
        .collect();
    engine.load(&json!({"numbered": numbered})).unwrap();
    engine
}

/// Pages of four items, which fill 1 MB.
fn paging() -> Paging {
    let text = "x".repeat(260_000);
    let items = (0..PAGES * 4).map(|n| json!({"id": {"S": n.to_string()}, "text": {"S": text}}));
    Paging::start(Table::new(items, |_| true)).unwrap()
}

#[test]
fn the_installed_wheel_answers_as_boto3_does_and_ends_its_jobs() {
    let Some(packages) = packages() else { return };
    let installed = Installed::new(&packages);
    let (embedded, paging) = (embedded(), paging());
    let mute = Faults::always(vec![Bytes::from_static(b"{}")], Fault::StallBeforeAnswer).unwrap();
    let tests = [
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--import-mode=importlib",
        "tests",
    ];
    let said = succeeds(
        installed
            .python()
            .args(tests)
            .env("HEIMDALL_TEST_EMBEDDED", embedded.url())
            .env("HEIMDALL_TEST_PAGING", paging.url())
            .env("HEIMDALL_TEST_MUTE", mute.url()),
    );
    assert!(
        said.contains(" passed") && !said.contains("skipped"),
        "{said}"
    );
    let seen = paging.seen();
    // Their readers took one row: the job went no further than what waits for a reader.
    for table in ["first", "dropped", "half"] {
        let statement = format!("SELECT * FROM {table}");
        let requests = seen
            .iter()
            .filter(|seen| seen.statement.text == statement)
            .count();
        assert!(
            (1..PAGES / 2).contains(&requests),
            "{table}: {requests} of {PAGES} pages"
        );
    }
}

#[test]
fn the_wheel_is_of_this_platform_and_its_build_says_when_the_library_is_missing() {
    let Some(packages) = packages() else { return };
    let folder = TempDir::new().unwrap();
    let wheel = |library: &Path| {
        let build = [
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-index",
            "--no-deps",
            "--no-build-isolation",
            "--wheel-dir",
        ];
        let mut python = python(&packages);
        python
            .args(build)
            .arg(folder.path())
            .arg(".")
            .env("HEIMDALL_DYNAMO_LIBRARY", library);
        python.output().unwrap()
    };
    let missing = wheel(Path::new("/nowhere/libdynamo_plugin.so"));
    let (_, errors) = texts(&missing);
    assert!(!missing.status.success());
    for part in [
        "there is none at /nowhere/libdynamo_plugin.so",
        "cargo build --release -p dynamo-plugin",
    ] {
        assert!(errors.contains(part), "no {part:?} in: {errors}");
    }
    // Any file will do here; the other test installs and loads the real one.
    let stand_in = folder.path().join("libdynamo_plugin.so");
    fs::write(&stand_in, "library").unwrap();
    assert!(wheel(&stand_in).status.success());
    let built: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".whl"))
        .collect();
    let [wheel] = built.as_slice() else {
        panic!("{built:?}")
    };
    assert!(
        wheel.starts_with("heimdall_dynamo-")
            && wheel.contains("-py3-none-")
            && !wheel.contains("-any"),
        "{wheel}"
    );
}

#[test]
fn the_packages_types_are_strict() {
    let Some(packages) = packages() else { return };
    let cache = TempDir::new().unwrap();
    succeeds(
        python(&packages)
            .args(["-m", "mypy", "--strict", "--cache-dir"])
            .arg(cache.path()),
    );
}

/// PySpark is 400 MB: it is not fetched for a test run.
#[test]
fn spark_reads_a_segment_a_task_and_gives_the_rows_of_the_one_job() {
    let has_pyspark = Command::new("python3")
        .args([
            "-c",
            "import pyspark, pyarrow, sys; sys.exit(int(pyspark.__version__.split('.')[0]) < 4)",
        ])
        .output()
        .is_ok_and(|output| output.status.success());
    if !has_pyspark {
        assert!(
            std::env::var_os("HEIMDALL_SPARK").is_none(),
            "HEIMDALL_SPARK is set, and `python3` has no PySpark 4 with pyarrow"
        );
        // Not an error on a CI machine, unlike other skips.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED spark: `python3` has no PySpark 4 with pyarrow (examples/spark/README.md)"
        );
        return;
    }
    let engine = embedded();
    let said = succeeds(
        limited("python3")
            .args(["-B", "examples/spark/tests.py", &engine.url()])
            .env("PYTHONPATH", package().join("src"))
            .env("HEIMDALL_DYNAMO_LIBRARY", library("dynamo_plugin")),
    );
    assert!(said.contains("rows equal"), "{said}");
}
