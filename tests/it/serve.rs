//! The serving process: the files it may open; and SIGHUP, upon which commands, clusters and tokens are read again, or stay as
//! they were.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use engines::client;
use harness_tests::serving::{Serving, TestHost};
use hyper::Method;

const CONFIG: &str = "
server: {addr: '127.0.0.1:0'}
auth: {token_file: ./tokens}
plugin_directory: ./plugins
commands: [{name: first, plugin: dynamo, tags: ['type:first']}]
";

/// The status of a request for a command with this token.
fn ask(host: &Serving, token: &str, command: &str) -> u16 {
    let bearer = format!("Bearer {token}");
    let url = format!("{}/api/v1/command/{command}", host.url());
    client::send(Method::GET, &url, &[("Authorization", &bearer)], "")
        .unwrap()
        .status
}

fn hang_up(host: &Serving) {
    let id = host.id().to_string();
    let told = std::process::Command::new("kill")
        .args(["-HUP", &id])
        .status();
    assert!(told.unwrap().success());
}

/// Waits until the log says why a configuration was rejected.
fn refused(host: &Serving, why: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let told = |line: &String| line.contains("configuration rejected") && line.contains(why);
    while !host.lines().iter().any(told) {
        assert!(Instant::now() < deadline, "{}", host.lines().join("\n"));
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_hangup_puts_new_tokens_and_commands_in_force_together_or_neither() {
    let directory = TestHost::new(CONFIG, "http://127.0.0.1:9");
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    write("tokens", "old-token\n");
    let host = directory.serve();
    assert_eq!(ask(&host, "old-token", "first"), 200);

    write("tokens", "new-token\n");
    write("config.yaml", &CONFIG.replace("first", "second"));
    hang_up(&host);
    let deadline = Instant::now() + Duration::from_secs(30);
    while ask(&host, "new-token", "second") != 200 {
        assert!(Instant::now() < deadline, "{}", host.lines().join("\n"));
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(ask(&host, "old-token", "second"), 401);

    for (tokens, config, why) in [
        ("", CONFIG, "holds no token"),
        (
            "third-token alice root",
            CONFIG,
            "tokens:1: unknown role 'root'",
        ),
        ("third-token", "commands: [{nme: x}]", "nme"),
        (
            "third-token",
            &CONFIG.replace("auth: {token_file: ./tokens}", ""),
            "auth.token_file is gone",
        ),
    ] {
        write("tokens", tokens);
        write("config.yaml", config);
        hang_up(&host);
        refused(&host, why);
        assert_eq!(
            (
                ask(&host, "new-token", "second"),
                ask(&host, "third-token", "second")
            ),
            (200, 401),
            "{why}"
        );
    }
    fs::remove_file(directory.path().join("tokens")).unwrap();
    write("config.yaml", CONFIG);
    hang_up(&host);
    refused(&host, "cannot read the token file");
    assert_eq!(ask(&host, "new-token", "second"), 200);
}

#[test]
fn a_host_takes_as_many_file_handles_as_it_may() {
    let directory = TestHost::new(&CONFIG.replace("auth:", "#"), "http://127.0.0.1:9");
    let host = directory.serve_with_file_limit(256);
    let limits = fs::read_to_string(format!("/proc/{}/limits", host.id())).unwrap();
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let numbers: Vec<&str> = files.unwrap().split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers[0], numbers[1], "soft and hard limit");
    assert_ne!(numbers[0], "256");
}

#[test]
fn a_token_line_that_cannot_be_meant_ends_the_start_and_is_named() {
    let directory = TestHost::new(CONFIG, "http://127.0.0.1:9");
    for (tokens, message) in [
        ("hush\nhush2 bob root\n", "tokens:2: unknown role 'root'"),
        ("hush bob user more", "tokens:1: a fourth word"),
        ("\n", "holds no token"),
    ] {
        fs::write(directory.path().join("tokens"), tokens).unwrap();
        let output = std::process::Command::new(harness_tests::host())
            .args(["serve", "--config", "config.yaml"])
            .current_dir(directory.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(message) && !said.contains("hush"), "{said}");
    }
}

/// The configuration of the Kubernetes manifests, the user that runs it there, and a volume with the owner, group and mode that `fsGroup`
/// gives it.
#[test]
fn the_host_of_the_kubernetes_manifests_starts_on_a_volume_as_kubernetes_gives_it() {
    const USER: u32 = 65532;
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/kubernetes/host.yaml");
    let manifests = fs::read_to_string(manifests).unwrap();
    let (_, config) = manifests.split_once("  host.yaml: |\n").unwrap();
    let (config, _) = config.split_once("\n---").unwrap();
    let config: Vec<&str> = config
        .lines()
        .map(|line| line.strip_prefix("    ").unwrap_or(line))
        .collect();
    let directory = TestHost::new("", "http://127.0.0.1:9");
    let here = directory.path().to_str().unwrap();
    let config = config
        .join("\n")
        .replace("0.0.0.0:9090", "127.0.0.1:0")
        .replace("/etc/heimdall-tokens", here)
        .replace("/usr/lib/heimdall", here)
        .replace("/var/lib/heimdall", &format!("{here}/state"));
    assert!(config.contains("/state/jobs") && config.contains(&format!("{here}/plugins")));
    let (state, tokens) = (
        directory.path().join("state"),
        directory.path().join("tokens"),
    );
    fs::write(directory.path().join("config.yaml"), config).unwrap();
    fs::write(&tokens, "a-token\n").unwrap();
    fs::create_dir(&state).unwrap();
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(directory.path(), 0o755);
    // Only root can give files away; anybody else runs it as the user that is here.
    let host = if std::os::unix::fs::chown(&state, Some(0), Some(USER)).is_ok() {
        std::os::unix::fs::chown(&tokens, Some(0), Some(USER)).unwrap();
        mode(&state, 0o2775);
        mode(&tokens, 0o440);
        // Where that user can reach it, wherever the build is.
        let program = directory.path().join("host-harness");
        fs::copy(harness_tests::host(), &program).unwrap();
        directory.serve_as(&program, USER, USER)
    } else {
        directory.serve()
    };
    assert_eq!(ask(&host, "a-token", "dynamo"), 200);
    let lines = host.lines();
    assert!(
        !lines.iter().any(|line| line.contains("can be read by")),
        "{}",
        lines.join("\n")
    );
}
