//! Where credentials come from: each source of the default chain in a process of its own.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use engines::{
    Skip,
    metadata::{CONTAINER_AUTHORIZATION, Metadata},
    skip_or_fail,
    sts::{Outcome, Script, Sts},
};
use harness_tests::{
    child::{self, Call},
    job,
};
use serde_json::{Value, json};

use super::{ROLE, dynamodb, keys, with_role};

const HOUR: Duration = Duration::from_secs(3600);

/// Runs one job with these variables and gives the key that signed its request.
fn key_of(variables: &[(&str, &str)], context: &Value) -> String {
    let dynamodb = dynamodb();
    let mut job = job(&dynamodb.url(), &json!({"query": "SELECT * FROM t"}));
    let cluster = job["cluster"]["context"].as_object_mut().unwrap();
    cluster.extend(context.as_object().unwrap().clone());
    let outcome = child::run(variables, &[Call::Job(job)]);
    assert_eq!(outcome.answers[0]["data"], json!([[0]]), "{outcome:?}");
    keys(&dynamodb).remove(0)
}

fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_environment() {
    let variables = [
        ("AWS_ACCESS_KEY_ID", "AKIDENV"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
        ("AWS_SESSION_TOKEN", "t"),
    ];
    assert_eq!(key_of(&variables, &json!({})), "AKIDENV");
}

#[test]
fn a_profile_of_the_clusters_choice_or_the_environments() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[default]\naws_access_key_id = AKIDDEFAULT\naws_secret_access_key = s\n\
                [team]\naws_access_key_id = AKIDTEAM\naws_secret_access_key = s\n";
    let credentials = file(folder.path(), "credentials", text);
    let shared = ("AWS_SHARED_CREDENTIALS_FILE", credentials.as_str());
    assert_eq!(key_of(&[shared], &json!({})), "AKIDDEFAULT");
    assert_eq!(
        key_of(&[shared, ("AWS_PROFILE", "team")], &json!({})),
        "AKIDTEAM"
    );
    assert_eq!(key_of(&[shared], &json!({"profile": "team"})), "AKIDTEAM");
}

#[test]
fn a_profile_of_the_clusters_choice_goes_before_keys_in_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[team]\naws_access_key_id = AKIDTEAM\naws_secret_access_key = s\n";
    let credentials = file(folder.path(), "credentials", text);
    let variables = [
        ("AWS_SHARED_CREDENTIALS_FILE", credentials.as_str()),
        ("AWS_ACCESS_KEY_ID", "AKIDENV"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
    ];
    assert_eq!(key_of(&variables, &json!({"profile": "team"})), "AKIDTEAM");
    assert_eq!(key_of(&variables, &json!({})), "AKIDENV");
}

#[test]
fn a_chain_of_source_profiles() {
    let sts = Sts::start(Script::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[profile base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = s\n\
         [profile middle]\nrole_arn = arn:aws:iam::123456789012:role/Middle\nsource_profile = base\n\
         [profile top]\nrole_arn = {ROLE}\nsource_profile = middle\nregion = eu-west-1\n"
    );
    let config = file(folder.path(), "config", &text);
    let sts_url = sts.url();
    let variables = [
        ("AWS_CONFIG_FILE", config.as_str()),
        ("AWS_ENDPOINT_URL_STS", &sts_url),
    ];
    let key = key_of(&variables, &json!({"profile": "top"}));
    let seen = sts.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].access_key.as_deref(), Some("AKIDBASE"));
    assert_eq!(seen[1].access_key, Some(sts.granted()[0].clone()));
    assert_eq!(key, sts.granted()[1]);
}

#[test]
fn a_web_identity() {
    let sts = Sts::start(Script::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let token = file(folder.path(), "token", "web-identity-token");
    let sts_url = sts.url();
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.as_str()),
        ("AWS_ROLE_ARN", ROLE),
        ("AWS_ROLE_SESSION_NAME", "pod"),
        ("AWS_ENDPOINT_URL_STS", &sts_url),
    ];
    assert_eq!(key_of(&variables, &json!({})), sts.granted()[0]);
    let seen = &sts.seen()[0];
    assert_eq!(seen.action, "AssumeRoleWithWebIdentity");
    assert_eq!(seen.parameter("WebIdentityToken"), "web-identity-token");
}

#[test]
fn a_container() {
    let metadata = Metadata::start(HOUR, "eu-west-1").unwrap();
    let url = metadata.container_url();
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", CONTAINER_AUTHORIZATION),
    ];
    assert!(key_of(&variables, &json!({})).starts_with("ASIATASK"));
}

#[test]
fn an_instance_also_as_the_base_of_a_role() {
    let metadata = Metadata::start(HOUR, "eu-west-1").unwrap();
    let url = metadata.url();
    let variables = [
        ("AWS_EC2_METADATA_DISABLED", "false"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str()),
    ];
    assert!(key_of(&variables, &json!({})).starts_with("ASIAINST"));
    assert!(
        metadata.seen()[0].starts_with("PUT "),
        "version 2 asks for a token first"
    );

    let (dynamodb, sts) = (dynamodb(), Sts::start(Script::default()).unwrap());
    let job = with_role(&dynamodb.url(), &sts.url(), &json!({}));
    child::run(&variables, &[Call::Job(job)]);
    assert!(
        sts.seen()[0]
            .access_key
            .as_deref()
            .unwrap()
            .starts_with("ASIAINST")
    );
    assert_eq!(keys(&dynamodb), sts.granted());
}

#[test]
fn a_credential_process() {
    let folder = tempfile::tempdir().unwrap();
    let answer = r#"{"Version":1,"AccessKeyId":"AKIDPROCESS","SecretAccessKey":"s"}"#;
    let answer = file(folder.path(), "answer.json", answer);
    let config = file(
        folder.path(),
        "config",
        &format!("[default]\ncredential_process = cat {answer}\n"),
    );
    assert_eq!(
        key_of(&[("AWS_CONFIG_FILE", &config)], &json!({})),
        "AKIDPROCESS"
    );
}

#[test]
fn none_or_broken_ones_are_named() {
    let dynamodb = dynamodb();
    let folder = tempfile::tempdir().unwrap();
    let text = "[profile broken]\ncredential_process = false\n\
                [profile lost]\nrole_arn = arn:aws:iam::123456789012:role/R\nsource_profile = gone\n";
    let config = file(folder.path(), "config", text);
    let ask = |context: &Value| {
        let mut job = job(&dynamodb.url(), &json!({"query": "SELECT * FROM t"}));
        let cluster = job["cluster"]["context"].as_object_mut().unwrap();
        cluster.extend(context.as_object().unwrap().clone());
        Call::Job(job)
    };
    let calls = [
        json!({}),
        json!({"profile": "broken"}),
        json!({"profile": "lost"}),
        json!({"profile": "absent"}),
        json!({"role_arn": ROLE}),
    ];
    let outcome = child::run(&[("AWS_CONFIG_FILE", &config)], &calls.each_ref().map(ask));
    for (context, answer) in calls.iter().zip(&outcome.answers) {
        assert_eq!(
            answer["error"]["code"], "CREDENTIALS",
            "{context}: {answer}"
        );
        assert!(answer["error"]["hint"].is_string(), "{answer}");
        println!("{context}: {}", answer["error"]["message"]);
    }
    assert_eq!(dynamodb.requests(), 0);
}

#[test]
fn a_deadline_that_passes_while_credentials_are_fetched_says_from_where() {
    let (dynamodb, sts) = (
        dynamodb(),
        Sts::start(Script {
            after: Outcome::Stall,
            ..Script::default()
        })
        .unwrap(),
    );
    let mut job = with_role(&dynamodb.url(), &sts.url(), &json!({}));
    job["context"]["timeout_seconds"] = json!(1);
    let keys = [
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ];
    let outcome = child::run(&keys, &[Call::Job(job)]);
    let error = &outcome.answers[0]["error"];
    assert_eq!(error["code"], "TIMEOUT", "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.ends_with(&format!(
            "while AWS credentials were fetched from the role {ROLE}"
        )),
        "{message}"
    );
    assert!(
        !error["hint"].as_str().unwrap().contains("narrow"),
        "{error}"
    );
}

#[test]
fn a_file_that_this_process_may_not_read_is_named_and_no_other_source_is_asked() {
    let dynamodb = dynamodb();
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let file = folder.path().join("kept-from-others");
    fs::write(
        &file,
        "[default]\naws_access_key_id=AKIDA\naws_secret_access_key=s\n",
    )
    .unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    let path = file.to_str().unwrap();
    let url = dynamodb.url();
    let imds = Metadata::start(HOUR, "eu-west-1").unwrap();
    let (container, imds) = (imds.container_url(), imds.url());
    let web_identity = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", path),
        ("AWS_ROLE_ARN", ROLE),
    ];
    let agent = [
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.as_str()),
    ];
    for (settings, said) in [
        (
            &[("AWS_SHARED_CREDENTIALS_FILE", path)][..],
            "(AWS_SHARED_CREDENTIALS_FILE) cannot be read: Permission denied",
        ),
        (
            &[("AWS_CONFIG_FILE", path)],
            "(AWS_CONFIG_FILE) cannot be read: Permission denied",
        ),
        (&web_identity, "cannot be read: Permission denied"),
        (&agent, "the file with the authorization token"),
    ] {
        let mut variables = vec![
            ("AWS_ENDPOINT_URL_DYNAMODB", url.as_str()),
            ("AWS_REGION", "us-east-1"),
            // Keys of an instance are at hand.
            ("AWS_EC2_METADATA_DISABLED", "false"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds.as_str()),
        ];
        variables.extend(settings);
        let job = json!({"context": {"query": "SELECT * FROM t"}});
        let Some(outcome) = child::run_unprivileged(&variables, &[Call::Job(job)]) else {
            return skip_or_fail(&Skip {
                engine: "a process of a user whom file modes bind",
                reason: "nobody may not read the built plugin".to_owned(),
            });
        };
        let error = &outcome.answers[0]["error"];
        assert_eq!(error["code"], "CREDENTIALS", "{error}");
        assert!(error["message"].as_str().unwrap().contains(said), "{error}");
        assert_eq!(dynamodb.requests(), 0, "{said}");
    }
}
