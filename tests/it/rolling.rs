//! A rolling restart under load: two hosts, each with its own store, behind a proxy that sends new connections where `/readyz` says yes.
//!
//! Callers never pause. Each host in turn gets SIGTERM, ends, and starts again. A request may be refused, or find nobody listening, only
//! so that the same request succeeds on the host that is ready; one that a host has begun is answered.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use engines::{client::Reply, embedded::Embedded, sample};
use harness_tests::{
    serving::{TestHost, call},
    submission,
};
use serde_json::json;

const CONFIG: &str = "
server: {addr: '127.0.0.1:0'}
plugin_directory: ./plugins
limits: {shutdown_delay_seconds: 1}
commands:
- {name: sync, plugin: dynamo, is_sync: true, tags: ['type:sync']}
- {name: async, plugin: dynamo, tags: ['type:async']}
clusters: [{name: main, tags: ['type:dynamodb']}]
";
const CALLERS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(120);

/// Passes connections on to the hosts that are ready, each whole to one host.
struct Proxy {
    url: String,
    backends: Arc<RwLock<Vec<(String, bool)>>>,
    stop: Arc<AtomicBool>,
}

impl Proxy {
    fn start(urls: [&str; 2]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let backends = urls.map(|url| (url.to_owned(), false));
        let proxy = Self {
            url: format!("http://{address}"),
            backends: Arc::new(RwLock::new(backends.to_vec())),
            stop: Arc::default(),
        };
        let (backends, stop) = (Arc::clone(&proxy.backends), Arc::clone(&proxy.stop));
        thread::spawn(move || watch(&backends, &stop));
        let (backends, stop) = (Arc::clone(&proxy.backends), Arc::clone(&proxy.stop));
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let backends = Arc::clone(&backends);
                thread::spawn(move || pass_on(&stream.unwrap(), &backends, number));
            }
        });
        proxy
    }

    fn is_ready(&self, host: usize) -> bool {
        self.backends.read().unwrap()[host].1
    }

    /// A host came back under another port.
    fn moved(&self, host: usize, url: &str) {
        self.backends.write().unwrap()[host] = (url.to_owned(), false);
    }

    fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < until, "{what}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the listener, which then looks.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

/// Asks every host for its readiness again and again.
fn watch(backends: &RwLock<Vec<(String, bool)>>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let asked = backends.read().unwrap().clone();
        for (index, (url, _)) in asked.iter().enumerate() {
            let ready = call(url, "GET", "/readyz", None, "")
                .is_some_and(|reply: Reply| reply.status == 200);
            let mut backends = backends.write().unwrap();
            if backends[index].0 == *url {
                backends[index].1 = ready;
            }
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn pass_on(client: &TcpStream, backends: &RwLock<Vec<(String, bool)>>, number: usize) {
    let ready: Vec<SocketAddr> = {
        let backends = backends.read().unwrap();
        let ready = backends.iter().filter(|(_, ready)| *ready);
        ready
            .map(|(url, _)| url.trim_start_matches("http://").parse().unwrap())
            .collect()
    };
    let Some(address) = ready.get(number % ready.len().max(1)) else {
        return;
    };
    let Ok(host) = TcpStream::connect(address) else {
        return;
    };
    let copy = |mut from: &TcpStream, mut to: &TcpStream| {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    };
    thread::scope(|scope| {
        scope.spawn(|| copy(client, &host));
        copy(&host, client);
        // The caller has its answer; what else it sends has no reader.
        let _ = client.shutdown(Shutdown::Both);
    });
}

#[derive(Default)]
struct Count {
    done: AtomicU64,
    again: AtomicU64,
}

/// Submits jobs without a pause until told to stop; each must succeed, at the latest once a host is ready.
fn load(proxy: &Proxy, command: &str, stop: &AtomicBool, count: &Count) {
    let context = json!({"query": "SELECT id FROM my_table WHERE id = '123'"});
    let body = submission(&format!("type:{command}"), "type:dynamodb", &context).to_string();
    while !stop.load(Ordering::Relaxed) {
        let until = Instant::now() + PATIENCE;
        loop {
            let reply = call(&proxy.url, "POST", "/api/v1/job", Some("caller"), &body);
            match reply {
                Some(reply) if reply.status == 200 => break,
                // Refused by a host that stops.
                Some(reply) => assert_eq!(
                    (reply.status, reply.json()["code"].as_str()),
                    (503, Some("SHUTTING_DOWN"))
                ),
                // Nobody listens there any more.
                None => {}
            }
            count.again.fetch_add(1, Ordering::Relaxed);
            assert!(Instant::now() < until, "no host takes the request");
            proxy.until("a host is ready", |proxy| {
                proxy.is_ready(0) || proxy.is_ready(1)
            });
        }
        count.done.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn no_request_fails_while_one_host_after_the_other_restarts() {
    let engine = Embedded::start().unwrap();
    engine.load(&sample::tables()).unwrap();
    let directories = [(); 2].map(|()| TestHost::new(CONFIG, &engine.url()));
    let mut hosts = directories.each_ref().map(TestHost::serve);
    let proxy = Proxy::start([hosts[0].url(), hosts[1].url()]);
    proxy.until("both are ready", |proxy| {
        proxy.is_ready(0) && proxy.is_ready(1)
    });
    let (stop, count) = (AtomicBool::new(false), Count::default());
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            let command = if caller % 2 == 0 { "sync" } else { "async" };
            let (proxy, stop, count) = (&proxy, &stop, &count);
            scope.spawn(move || load(proxy, command, stop, count));
        }
        let more = |n: u64| {
            let enough = count.done.load(Ordering::Relaxed) + n;
            proxy.until("jobs go through", |_| {
                count.done.load(Ordering::Relaxed) >= enough
            });
        };
        more(20);
        for index in 0..2 {
            hosts[index].signal("TERM");
            assert!(hosts[index].wait().success());
            // The other one carries all of it.
            more(20);
            hosts[index] = directories[index].serve();
            proxy.moved(index, hosts[index].url());
            proxy.until("it is ready again", |proxy| proxy.is_ready(index));
            more(20);
        }
        stop.store(true, Ordering::Relaxed);
    });
    println!(
        "{} jobs through two restarts, none failed; {} were sent again",
        count.done.load(Ordering::Relaxed),
        count.again.load(Ordering::Relaxed)
    );
    // Every async job that a host took has ended well, also one that it took before its restart.
    for host in &hosts {
        let waiting = "/api/v1/jobs?limit=1&status=NEW,ACCEPTED,RUNNING";
        proxy.until("all jobs have ended", |_| {
            let jobs = host.call("GET", waiting, None, "").json();
            jobs["data"].as_array().unwrap().is_empty()
        });
        let failed = host.call(
            "GET",
            "/api/v1/jobs?limit=5&status=FAILED,CANCELED",
            None,
            "",
        );
        assert_eq!(failed.json()["data"], json!([]));
    }
}
