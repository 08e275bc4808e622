//! The built host, serving in a process and a directory of its own.
//!
//! In: a configuration's text. Out: a running host to send requests to, to kill, to start again over the same store.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use engines::client::{self, Reply};
use hyper::Method;
use serde_json::Value;
use tempfile::TempDir;

/// How long a job may take on a busy machine.
const END: Duration = Duration::from_secs(120);

/// How long a host may take to come up on a busy machine.
const START: Duration = Duration::from_secs(60);

/// A running host. Dropping it kills the process.
pub struct Serving {
    process: Child,
    url: String,
    lines: Arc<Mutex<Vec<String>>>,
}

/// The directory of a host: configuration, plugins, store. Survives the host.
pub struct TestHost {
    directory: TempDir,
    endpoint: String,
}

impl TestHost {
    /// A directory with this configuration, whose `server.addr` must end in port 0, and the built DynamoDB plugin; its jobs go to
    /// the endpoint.
    ///
    /// # Panics
    /// Where nothing can be written.
    pub fn new(config: &str, endpoint: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        fs::write(directory.path().join("config.yaml"), config)
            .expect("the configuration is written");
        let plugins = directory.path().join("plugins");
        fs::create_dir(&plugins).expect("the plugin directory is made");
        let library = plugins.join("libdynamo_plugin.so");
        fs::copy(crate::library("dynamo_plugin"), &library).expect("the plugin is copied");
        // What the host demands of a directory that it loads code from.
        for path in [&plugins, &library] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("the mode is set");
        }
        Self {
            directory,
            endpoint: endpoint.to_owned(),
        }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Starts a host here and waits until it listens.
    ///
    /// # Panics
    /// Where it does not come up; its lines are in the message.
    pub fn serve(&self) -> Serving {
        self.start(Command::new(crate::host()))
    }

    /// As [`TestHost::serve`], with these variables set.
    ///
    /// # Panics
    /// As [`TestHost::serve`].
    pub fn serve_with(&self, variables: &[(&str, &str)]) -> Serving {
        let mut command = Command::new(crate::host());
        command.envs(variables.iter().copied());
        self.start(command)
    }

    /// As [`TestHost::serve`], by another build of the host.
    ///
    /// # Panics
    /// As [`TestHost::serve`].
    pub fn serve_by(&self, host: &Path) -> Serving {
        self.start(Command::new(host))
    }

    /// As [`TestHost::serve_by`], as another user, whose groups are this one alone.
    ///
    /// # Panics
    /// As [`TestHost::serve`].
    pub fn serve_as(&self, host: &Path, user: u32, group: u32) -> Serving {
        let mut command = Command::new(host);
        command.uid(user).gid(group);
        self.start(command)
    }

    /// As [`TestHost::serve`], on one core alone where `taskset` is at hand.
    ///
    /// # Panics
    /// As [`TestHost::serve`].
    pub fn serve_on_core(&self, core: usize) -> Serving {
        let pins = Command::new("taskset").arg("--version").output().is_ok();
        if !pins {
            eprintln!("LOUD: no taskset here, so the host shares its core");
            return self.serve();
        }
        self.serve_behind(&["taskset", "-c", &core.to_string()])
    }

    /// As [`TestHost::serve`], by a command that takes the host's own as its last arguments.
    ///
    /// # Panics
    /// As [`TestHost::serve`].
    pub fn serve_behind(&self, command: &[&str]) -> Serving {
        let (program, arguments) = command.split_first().expect("a command");
        let mut command = Command::new(program);
        command.args(arguments).arg(crate::host());
        self.start(command)
    }

    /// As [`TestHost::serve`], begun with so low a limit on open files.
    ///
    /// # Panics
    /// As [`TestHost::serve`].
    pub fn serve_with_file_limit(&self, files: u32) -> Serving {
        let mut command = Command::new("sh");
        let limited = format!(r#"ulimit -Sn {files} && exec "$0" "$@""#);
        command.args(["-c", &limited]).arg(crate::host());
        self.start(command)
    }

    fn start(&self, mut command: Command) -> Serving {
        let mut process = command
            .args(["serve", "--config", "config.yaml"])
            .current_dir(self.path())
            .env("AWS_ENDPOINT_URL_DYNAMODB", &self.endpoint)
            .envs([
                ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
                ("AWS_SECRET_ACCESS_KEY", "secret"),
                ("AWS_REGION", "us-east-1"),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the built host starts");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (found, listening) = mpsc::channel();
        let stderr = process.stderr.take().expect("standard error is piped");
        let kept = Arc::clone(&lines);
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some((_, url)) = line.split_once(" listening address=") {
                    let _ = found.send(url.to_owned());
                }
                let mut kept = kept.lock().expect("nobody panics with it");
                // Enough to see how it began.
                if kept.len() < 200 {
                    kept.push(line);
                }
            }
        });
        let url = listening.recv_timeout(START).unwrap_or_else(|_| {
            let _ = process.kill();
            panic!(
                "the host does not listen:\n{}",
                lines.lock().expect("nobody panics with it").join("\n")
            )
        });
        Serving {
            process,
            url,
            lines,
        }
    }
}

impl Serving {
    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The first lines of its log.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("nobody panics with it").clone()
    }

    /// Sends a request; `None` where the host is gone before it has answered.
    pub fn try_call(
        &self,
        method: &str,
        path: &str,
        user: Option<&str>,
        body: &str,
    ) -> Option<Reply> {
        call(&self.url, method, path, user, body)
    }

    /// Sends a request.
    ///
    /// # Panics
    /// Where there is no answer.
    pub fn call(&self, method: &str, path: &str, user: Option<&str>, body: &str) -> Reply {
        self.try_call(method, path, user, body).unwrap_or_else(|| {
            panic!(
                "{method} {path} has no answer:\n{}",
                self.lines().join("\n")
            )
        })
    }

    /// A record, once its job has ended.
    ///
    /// # Panics
    /// Where it does not end in time.
    pub fn ended(&self, id: &str) -> Value {
        let deadline = Instant::now() + END;
        loop {
            let record = self
                .call("GET", &format!("/api/v1/job/{id}"), None, "")
                .json();
            if matches!(
                record["status"].as_str(),
                Some("SUCCEEDED" | "FAILED" | "CANCELED" | "KILLED")
            ) {
                return record;
            }
            assert!(Instant::now() < deadline, "the job does not end: {record}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends the process a signal, by its name without `SIG`.
    ///
    /// # Panics
    /// Where the process is gone.
    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &id])
            .status();
        assert!(sent.expect("kill is at hand").success(), "SIG{name}");
    }

    /// Waits until the process has ended by itself.
    ///
    /// # Panics
    /// Where it does not end in time.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + START;
        loop {
            if let Some(status) = self
                .process
                .try_wait()
                .expect("the process can be waited for")
            {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "the host does not end:\n{}",
                self.lines().join("\n")
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends the process as a power cut would: SIGKILL, no warning.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // It may have ended by itself already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.end();
    }
}

/// Sends a request to a host; `None` where the connection ends before the answer.
pub fn call(url: &str, method: &str, path: &str, user: Option<&str>, body: &str) -> Option<Reply> {
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    let headers: Vec<_> = user
        .map(|user| ("X-Heimdall-User", user))
        .into_iter()
        .collect();
    client::send(method, &format!("{url}{path}"), &headers, body.to_owned()).ok()
}
