//! Callers on kept connections, each sending tiny sync jobs one after the other: what the programs that measure a host share.

use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::json;

use crate::{serving::Serving, submission};

/// A host whose jobs all go the same way.
pub const CONFIG: &str = "
server: {addr: '127.0.0.1:0'}
plugin_directory: ./plugins
commands: [{name: sync, plugin: dynamo, is_sync: true, tags: ['type:sync']}]
clusters: [{name: main, tags: ['type:dynamodb']}]
";

/// Keeps callers and replay server off the host's core; threads that start later inherit it.
pub fn leave_core_0() {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    if cores > 1 {
        let others = format!("1-{}", cores - 1);
        // Without taskset the host is not pinned either, and says so.
        let _ = Command::new("taskset")
            .args(["-cp", &others, &std::process::id().to_string()])
            .stdout(Stdio::null())
            .status();
    }
}

/// The latency, in milliseconds, that this share of the jobs kept below.
pub fn at(sorted: &[Duration], share: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index below the length"
    )]
    let index = (sorted.len() as f64 * share) as usize;
    sorted[index.min(sorted.len() - 1)].as_secs_f64() * 1e3
}

/// Loads the host for a while with jobs of a command, by its `type:` tag; every job's latency.
pub fn run(host: &Serving, command: &str, callers: usize, during: Duration) -> Vec<Duration> {
    let (body, authority) = (tiny_job(command), authority(host));
    let until = Instant::now() + during;
    let callers: Vec<_> = (0..callers)
        .map(|caller| {
            let (authority, body) = (authority.clone(), body.clone());
            thread::spawn(move || {
                let user = format!("caller-{caller}");
                let calls = call(&authority, &user, body, |_| Instant::now() < until);
                runtime().block_on(calls)
            })
        })
        .collect();
    callers
        .into_iter()
        .flat_map(|caller| caller.join().expect("a caller ends"))
        .collect()
}

/// Sends so many jobs of a command, one after the other.
pub fn one_after_the_other(host: &Serving, command: &str, n_jobs: usize) {
    let authority = authority(host);
    let calls = call(&authority, "caller", tiny_job(command), |sent| {
        sent < n_jobs
    });
    runtime().block_on(calls);
}

fn tiny_job(command: &str) -> Bytes {
    let context = json!({"query": "SELECT id FROM my_table WHERE id = '123'"});
    let body = submission(&format!("type:{command}"), "type:dynamodb", &context);
    body.to_string().into()
}

fn authority(host: &Serving) -> String {
    host.url().trim_start_matches("http://").to_owned()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Calls on one connection as long as `goes_on`, which is told how many there were; the latency of each.
async fn call(
    authority: &str,
    user: &str,
    body: Bytes,
    goes_on: impl Fn(usize) -> bool,
) -> Vec<Duration> {
    let stream = tokio::net::TcpStream::connect(authority)
        .await
        .expect("the host listens");
    stream.set_nodelay(true).expect("a socket");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .expect("the host speaks HTTP");
    tokio::spawn(connection);
    let mut latencies = Vec::new();
    while goes_on(latencies.len()) {
        let request = Request::post("/api/v1/job")
            .header("Host", authority)
            .header("X-Heimdall-User", user)
            .body(Full::new(body.clone()))
            .expect("a request");
        let began = Instant::now();
        let answer = sender.send_request(request).await.expect("an answer");
        let status = answer.status();
        let body = answer
            .into_body()
            .collect()
            .await
            .expect("a whole answer")
            .to_bytes();
        latencies.push(began.elapsed());
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    }
    latencies
}
