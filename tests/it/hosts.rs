//! What the tests of hosts in other languages share: their toolchains, the programs built with them, jobs and what answers them.

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{Write, stderr},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use engines::{
    embedded::Embedded,
    paging::{Paging, Table},
    sample,
};
use harness_tests::{job, library};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Longer than any of the programs takes, under valgrind on a busy machine too.
const TIME_LIMIT: &str = "300";

/// The top of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests lie in the workspace")
}

/// Whether a tool is there; where not, a loud line, or on a CI machine a failure.
pub(crate) fn have(tool: &str) -> bool {
    let found = Command::new(tool)
        .arg(if tool == "go" { "version" } else { "--version" })
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        skipped(&format!("{tool} is not here"));
    }
    found
}

/// Says what is not tested, past the capture of test output.
pub(crate) fn skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(stderr(), "SKIPPED {test}: {why}");
    assert!(
        env::var_os("CI").is_none_or(|ci| ci != "true"),
        "{why}, and CI is to skip nothing"
    );
}

/// A folder for one test: programs, job files.
pub(crate) struct Bench {
    pub(crate) dir: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A job in a file.
    pub(crate) fn job(&self, name: &str, job: &Value) -> PathBuf {
        self.text(name, &job.to_string())
    }

    pub(crate) fn text(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Compiles `tests/c/<name>.c` with more flags; the program.
    pub(crate) fn compile(&self, name: &str, flags: &[&str]) -> PathBuf {
        let program = self.path(name);
        let mut gcc = Command::new("gcc");
        gcc.args(["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror"])
            .args(["plugin-api/include", "examples/c", "tests/c"].map(|dir| format!("-I{dir}")))
            .args(flags)
            .arg("-o")
            .arg(&program)
            .arg(format!("tests/c/{name}.c"))
            .args(["-ldl", "-lpthread"]);
        succeeds(&mut gcc);
        program
    }
}

/// A command with a time limit, in the workspace, with credentials that any engine takes.
pub(crate) fn limited(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("timeout");
    command
        .args(["--kill-after=5", TIME_LIMIT])
        .arg(program)
        .envs([
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ])
        .current_dir(root());
    command
}

/// Runs a command that must succeed; what it wrote to stdout.
pub(crate) fn succeeds(command: &mut Command) -> String {
    if command.get_current_dir().is_none() {
        command.current_dir(root());
    }
    let output = command.output().unwrap();
    let (out, err) = texts(&output);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{out}\n{err}",
        output.status
    );
    out
}

pub(crate) fn texts(output: &Output) -> (String, String) {
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// A library and a job for it that takes a while, its id `@ID@`.
pub(crate) struct Subject {
    pub(crate) library: PathBuf,
    pub(crate) slow: Value,
    _engine: Option<Paging>,
}

/// The fixture plugin and the product, each with a job that takes `wait` or a little more.
pub(crate) fn subjects(wait: Duration) -> [Subject; 2] {
    let items = (0..3).map(|n| json!({"id": {"S": n.to_string()}}));
    let paging = Paging::start(Table::new(items, |_| true).with_latency(wait)).unwrap();
    [
        Subject {
            library: library("echo_plugin"),
            slow: json!({"id": "@ID@", "context": {"sleep_ms": u64::try_from(wait.as_millis()).unwrap()}}),
            _engine: None,
        },
        Subject {
            library: library("dynamo_plugin"),
            slow: with_id(
                "@ID@",
                job(&paging.url(), &json!({"query": "SELECT id FROM t"})),
            ),
            _engine: Some(paging),
        },
    ]
}

pub(crate) fn with_id(id: &str, mut job: Value) -> Value {
    job["id"] = json!(id);
    job
}

/// The embedded engine with the demo's tables, and the source document's job on it under that id.
pub(crate) fn books(id: &str) -> (Embedded, Value) {
    let engine = Embedded::start().unwrap();
    engine.load(&sample::tables()).unwrap();
    let query = "SELECT category, id, price FROM my_table WHERE category = 'books'";
    let job = job(&engine.url(), &json!({"query": query}));
    (engine, with_id(id, job))
}
