use std::{path::Path, time::Duration};

use super::*;

fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    let environment = |name: &str| (name == "ROLE").then(|| "arn:aws:iam::1:role/R".to_owned());
    Config::parse(Path::new("host.yaml"), text, &environment).map_err(|error| match error {
        ConfigError::Invalid { problems, .. } => problems,
        ConfigError::Read { .. } => panic!("nothing was read"),
    })
}

const COMMAND: &str = "commands:\n- name: c-1\n  plugin: dynamo\n";

#[test]
fn the_documented_command_and_cluster_load_as_they_stand() {
    let config = parse(
        "commands:
- name: dynamo-0.0.1
  status: active
  plugin: dynamo
  version: 0.0.1
  description: Read data using PartiQL
  tags:
    - type:dynamodb
  cluster_tags:
    - type:dynamodb
clusters:
- name: dynamo-0.0.1
  status: active
  version: 0.0.1
  description: AWS DynamoDB
  context:
    role_arn: ${ROLE}
    max_attempts: 3
  tags:
    - type:dynamodb
    - data:prod
",
    )
    .unwrap();
    let (command, cluster) = (&config.commands[0], &config.clusters[0]);
    assert_eq!(
        (
            command.object.id.as_str(),
            command.object.user.as_str(),
            command.is_sync
        ),
        ("dynamo-0.0.1", "heimdall", false)
    );
    let tags: Vec<_> = command.object.tags.iter().map(String::as_str).collect();
    assert_eq!(
        tags,
        [
            "_id:dynamo-0.0.1",
            "_name:dynamo-0.0.1",
            "_version:0.0.1",
            "type:dynamodb"
        ]
    );
    let context = serde_json::to_value(&cluster.object.context).unwrap();
    assert_eq!(
        context,
        serde_json::json!({"role_arn": "arn:aws:iam::1:role/R", "max_attempts": 3})
    );
    assert_eq!((config.pool_size, config.retention.days), (10, None));
}

#[test]
fn keys_of_heimdall_that_mean_nothing_here_are_named_once_each() {
    let config = parse(&format!(
        "database: {{connection_string: x}}\narchive_directory: a\nrbacs: {{}}\npool: {{size: 3, sleep: 500}}\nauth: {{plugin: p.so}}\n\
         janitor: {{keepalive: 1, stale_job: 2, clean_interval: 3, finished_job_retention_days: 14}}\n{COMMAND}  store_result_sync: true\n\
         clusters: [{{name: l, attributes: {{}}, rbacs: []}}]\n",
    ))
    .unwrap();
    let named: Vec<_> = config
        .ignored
        .iter()
        .map(|(_, note)| note.split('\'').nth(1).unwrap())
        .collect();
    assert_eq!(
        named,
        [
            "database",
            "archive_directory",
            "rbacs",
            "plugin",
            "sleep",
            "keepalive",
            "stale_job",
            "clean_interval",
            "store_result_sync",
            "attributes",
            "rbacs"
        ]
        .map(|key| named
            .iter()
            .find(|name| **name == key)
            .copied()
            .unwrap_or("missing")),
    );
    assert_eq!((config.pool_size, config.retention.days), (3, Some(14)));
}

#[test]
fn server_addresses_and_timeouts_are_read_under_either_name() {
    let config =
        parse("server: {address: ':1', read_timeout: 5, write_timeout: 7, idle_timeout: 0}")
            .unwrap();
    assert_eq!(config.server.address, ":1");
    assert_eq!(config.server.read_timeout, Duration::from_secs(5));
    assert_eq!(config.server.sync_deadline, Some(Duration::from_secs(7)));
    assert_eq!(parse("").unwrap().server.address, "127.0.0.1:9090");
}

#[test]
fn mistakes_are_told_with_line_and_hint() {
    for (text, line, message, hint) in [
        (
            "comands: []",
            1,
            "unknown key 'comands'",
            "did you mean 'commands'?",
        ),
        (
            "pool:\n  sizes: 3",
            2,
            "unknown key 'sizes' in pool",
            "did you mean 'size'?",
        ),
        ("pool: 3", 1, "pool must be a mapping", "key: value"),
        (
            "pool:\n  size: many",
            2,
            "must be an integer, 0 or more, not 'many'",
            "",
        ),
        ("commands: {}", 1, "'commands' must be a list", "- name"),
        ("commands:\n- plugin: x", 2, "has no name", "add 'name"),
        ("commands:\n- name: x", 2, "names no plugin", "add 'plugin"),
        (
            "commands:\n- {name: x, plugin: p}\n- {name: x, plugin: p}",
            3,
            "already taken on line 2",
            "unique",
        ),
        (
            "commands:\n- name: x\n  plugin: p\n  allowed_callers: ['*x']",
            4,
            "is no regular expression",
            ".*",
        ),
        (
            "commands:\n- name: x\n  plugin: p\n  allowed_callers: ['']",
            4,
            "empty pattern",
            "remove",
        ),
        (
            "commands:\n- name: x\n  plugin: p\n  tags: ['']",
            4,
            "cannot be a tag",
            "comma",
        ),
        (
            "commands:\n- name: x\n  plugin: p\n  tags:\n  - a\n  - _name:y",
            6,
            "claims to be another",
            "set by the host",
        ),
        (
            "commands:\n- name: x\n  plugin: p\n  plugin_version: new",
            4,
            "no version requirement",
            "^1.2",
        ),
        (
            "commands:\n- name: x\n  plugin: p\n  isolation: proces",
            4,
            "unknown isolation 'proces'",
            "'process'",
        ),
        (
            "commands:\n- name: x\n  plugin: p\n  status: activ",
            4,
            "unknown status 'activ'",
            "'active'",
        ),
        (
            "commands:\n- name: x\n  plugin: p\n  is_sync: maybe",
            4,
            "must be true or false, not 'maybe'",
            "",
        ),
        (
            "clusters:\n- name: x\n  context: [1]",
            3,
            "'context' must be a mapping",
            "",
        ),
        (
            "clusters:\n- name: x\n  helth_check: true",
            3,
            "unknown key 'helth_check'",
            "did you mean 'health_check'?",
        ),
        (
            "auth: {context: {header: 'a b'}}",
            1,
            "cannot be the name of a header",
            "X-Heimdall-User",
        ),
        (
            "server: {addr: ':1', address: ':2'}",
            1,
            "both 'addr' and 'address'",
            "keep one",
        ),
        (
            "plugin_public_key: minisign.pub",
            1,
            "'minisign.pub': it is no minisign public key",
            "second line of the .pub file",
        ),
        ("- a", 1, "the configuration must be a mapping", ""),
    ] {
        let problems = parse(text).unwrap_err();
        let problem = &problems[0];
        assert_eq!(problem.line, line, "{text}: {problems:?}");
        assert!(problem.message.contains(message), "{text}: {problem:?}");
        assert!(
            problem.hint.as_deref().unwrap_or_default().contains(hint),
            "{text}: {problem:?}"
        );
    }
}

#[test]
fn all_mistakes_are_told_at_once_as_file_line_message() {
    let error = Config::parse(Path::new("host.yaml"), "pol: 1\nauht: 2\n", &|_| None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "host.yaml:1: unknown key 'pol' in the configuration (did you mean 'pool'?)\n\
         host.yaml:2: unknown key 'auht' in the configuration (did you mean 'auth'?)",
    );
}

#[test]
fn allowed_callers_match_whole_names_only() {
    let config = parse(&format!("{COMMAND}  allowed_callers: ['ops-.*', alice]")).unwrap();
    let callers = config.commands[0].allowed_callers.as_ref().unwrap();
    let allowed =
        ["ops-1", "alice", "devops-1", "alice2", "bob\nalice"].map(|name| callers.is_match(name));
    assert_eq!(allowed, [true, true, false, false, false]);
}

#[test]
fn trusted_directories_are_absolute_paths() {
    let config = parse(&format!(
        "{COMMAND}trusted_directories: [/mnt/plugins, /srv]\n"
    ))
    .unwrap();
    assert_eq!(
        config.trusted_directories,
        ["/mnt/plugins", "/srv"].map(std::path::PathBuf::from)
    );
    let problems = parse(&format!("{COMMAND}trusted_directories: [plugins]\n")).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0]
            .message
            .contains("'plugins' is not an absolute path")
            && problems[0].line == 4,
        "{problems:?}"
    );
}

#[test]
fn what_the_file_says_of_plugins_reaches_the_registry() {
    let key = "RWREnb7wqc2YX6zYUfUwkOm9h2bH+VzBT5d0JvukZ2E3U6lPxZo87SXm";
    let config = parse(&format!(
        "{COMMAND}plugin_directory: /srv/plugins\nplugin_public_key: {key}\ntrusted_directories: [/srv]\n"
    ))
    .unwrap();
    let options = |given: Option<&str>| {
        let log = std::sync::Arc::new(|_, _: &str, _: &str| {});
        config.registry_options(given.map(Path::new), Path::new("/default"), log)
    };
    assert_eq!(options(None).plugin_dir, Path::new("/srv/plugins"));
    assert_eq!(options(Some("/given")).plugin_dir, Path::new("/given"));
    assert_eq!(
        options(None).public_key.map(|key| key.to_string()),
        Some(key.to_owned())
    );
    assert_eq!(options(None).trusted_directories, [Path::new("/srv")]);
}
