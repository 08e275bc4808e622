//! Files that are not what they seem, in the plugin directory and in the place of tokens: nothing of them is loaded, waited for or believed.

use std::{
    fs::{self, File},
    os::unix::{
        fs::{PermissionsExt, symlink},
        net::UnixListener,
    },
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use harness_tests::{library, serving::TestHost};
use serde_json::{Value, json};

use crate::{
    attacks::{Target, memory, row},
    chameleon::slim,
};

/// What the host says of the files in its plugin directory, after a reload.
fn reloaded(target: &Target) -> Vec<Value> {
    let answer = target
        .host
        .call("POST", "/api/v1/plugins/reload", Some("admin"), "");
    assert_eq!(answer.status, 200, "{:?}", answer.json());
    answer.json()["data"].as_array().unwrap().clone()
}

#[test]
fn what_is_no_library_is_refused_and_waited_for_by_nobody() {
    let target = Target::new(
        "a FIFO, a socket, a directory, links in a circle, 1 GB of nothing as plugins",
        "",
        "",
    );
    let plugins = target.directory.path().join("echo");
    let made = Command::new("mkfifo")
        .arg(plugins.join("fifo.so"))
        .status()
        .unwrap();
    assert!(made.success());
    let _socket = UnixListener::bind(plugins.join("socket.so")).unwrap();
    fs::create_dir(plugins.join("directory.so")).unwrap();
    symlink("circle.so", plugins.join("circle.so")).unwrap();
    symlink("/dev/zero", plugins.join("endless.so")).unwrap();
    symlink("/dev/stdin", plugins.join("stdin.so")).unwrap();
    symlink("/proc/self/mem", plugins.join("memory.so")).unwrap();
    let sparse = File::create(plugins.join("sparse.so")).unwrap();
    sparse.set_len(1 << 30).unwrap();
    // One that begins as a library does, and then is nothing.
    let mut headed = fs::read(library("echo_plugin")).unwrap();
    headed.truncate(4096);
    fs::write(plugins.join("headed.so"), headed).unwrap();
    File::options()
        .write(true)
        .open(plugins.join("headed.so"))
        .unwrap()
        .set_len(1 << 30)
        .unwrap();
    fs::write(plugins.join("empty.so"), "").unwrap();
    for name in ["sparse.so", "headed.so", "empty.so"] {
        fs::set_permissions(plugins.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let files = reloaded(&target);
    for file in &files {
        let name = file["file"].as_str().unwrap_or_default();
        let expected = if name.ends_with("echo.so") {
            "ACTIVE"
        } else {
            "REFUSED"
        };
        assert_eq!(file["state"], expected, "{file}");
    }
    target.survived(100);
}

#[test]
fn a_link_that_is_swapped_while_the_directory_is_read_brings_in_nothing_unchecked() {
    let target = Target::new(
        "a link swapped between a library and one that others may write",
        "",
        "",
    );
    let plugins = target.directory.path().join("echo");
    let (good, bad) = (
        target.directory.path().join("good.so"),
        target.directory.path().join("bad.so"),
    );
    let mut bytes = slim(&library("echo_plugin"));
    bytes.push(1);
    fs::write(&good, &bytes).unwrap();
    bytes.push(2);
    fs::write(&bad, &bytes).unwrap();
    fs::set_permissions(&good, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&bad, fs::Permissions::from_mode(0o777)).unwrap();
    let digest = |path| {
        String::from_utf8(Command::new("sha256sum").arg(path).output().unwrap().stdout).unwrap()
            [..64]
            .to_owned()
    };
    let forbidden = digest(&bad);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0.. {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let fresh = plugins.join(".link");
                let _ = fs::remove_file(&fresh);
                symlink(if n % 2 == 0 { &good } else { &bad }, &fresh).unwrap();
                fs::rename(&fresh, plugins.join("swapped.so")).unwrap();
            }
        });
        for _ in 0..20 {
            for file in reloaded(&target) {
                let is_loaded = ["ACTIVE", "STANDBY", "DRAINING", "RETIRED"]
                    .contains(&file["state"].as_str().unwrap_or_default());
                assert!(!is_loaded || file["sha256"] != json!(forbidden), "{file}");
            }
        }
        over.store(true, Ordering::SeqCst);
    });
    target.survived(100);
}

/// The file is written in place, so that the host reads it empty or half again and again.
#[test]
fn a_token_file_that_is_half_written_lets_nobody_in_and_locks_nobody_out_for_good() {
    let config = "server: {addr: '127.0.0.1:0'}\nauth: {token_file: ./tokens}\nplugin_directory: ./echo\n\
                  commands: [{name: echo, plugin: echo, is_sync: true, tags: ['type:echo']}]\nclusters: [{name: main, tags: ['type:main']}]\n";
    let directory = TestHost::new(config, "http://127.0.0.1:9");
    let plugins = directory.path().join("echo");
    fs::create_dir(&plugins).unwrap();
    fs::write(plugins.join("echo.so"), slim(&library("echo_plugin"))).unwrap();
    let tokens = directory.path().join("tokens");
    let long = "a-token-of-many-characters-0123456789";
    let text = format!("{long} alice admin\n{long}-second bob reader\n");
    fs::write(&tokens, &text).unwrap();
    fs::set_permissions(&tokens, fs::Permissions::from_mode(0o600)).unwrap();
    let host = directory.serve();
    let (before, began) = (memory(host.id(), "VmRSS"), Instant::now());
    let ask = |token: Option<&str>| {
        let authorization = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<_> = authorization
            .iter()
            .map(|value| ("Authorization", value.as_str()))
            .collect();
        let url = format!("{}/api/v1/jobs", host.url());
        engines::client::send(hyper::Method::GET, &url, &headers, String::new())
            .unwrap()
            .status
    };
    assert_eq!((ask(Some(long)), ask(None)), (200, 401));
    for cut in (0..text.len()).step_by(3) {
        fs::write(&tokens, &text[..cut]).unwrap();
        host.signal("HUP");
        thread::sleep(Duration::from_millis(5));
        assert_eq!(ask(None), 401, "without a token, {cut} bytes");
        assert_eq!(ask(Some("")), 401, "an empty token, {cut} bytes");
        assert_eq!(ask(Some("another-token")), 401, "{cut} bytes");
        // What a half written file holds of a token is no token.
        let half = text[..cut].lines().last().unwrap_or_default();
        let half = half.split(' ').next().unwrap_or_default();
        if half != long && half != format!("{long}-second") {
            assert_eq!(ask(Some(half)), 401, "the half token {half:?}");
        }
    }
    fs::write(&tokens, &text).unwrap();
    host.signal("HUP");
    let deadline = Instant::now() + Duration::from_secs(30);
    while ask(Some(long)) != 200 {
        assert!(Instant::now() < deadline, "the whole file is never read");
        thread::sleep(Duration::from_millis(20));
    }
    row(
        "a token file that is half written, and 40 SIGHUPs",
        began.elapsed(),
        before,
        memory(host.id(), "VmHWM"),
        memory(host.id(), "VmRSS"),
    );
}
