use serde_json::json;

use super::*;

#[test]
fn bodies_that_are_no_job_are_refused_with_what_is_wrong() {
    for (body, message) in [
        ("", "cannot be read"),
        ("garbage", "cannot be read"),
        ("[]", "not a JSON object"),
        ("{\"name\": 5}", "cannot be read"),
        ("{\"context\": \"x\"}", "'context' must be an object"),
        ("{\"command_criteria\": \"x\"}", "cannot be read"),
        (
            "{\"name\": \"a\", \"name\": \"b\"}",
            "the key 'name' is given twice",
        ),
    ] {
        let error = Submission::parse(body.as_bytes()).unwrap_err();
        assert_eq!(error.code.as_str(), "INVALID_JOB");
        assert!(error.message.contains(message), "{body}: {error}");
    }
}

#[test]
fn ids_grow_and_a_clock_before_1970_is_taken_for_1970() {
    let time = UNIX_EPOCH + std::time::Duration::from_secs(1_800_000_000);
    let ids: Vec<_> = (0..1_000).map(|_| id_at(time)).collect();
    assert!(ids.is_sorted(), "also within one millisecond");
    let before = id_at(UNIX_EPOCH - std::time::Duration::from_secs(86_400));
    assert_eq!(before.get_version_num(), 7);
}

#[test]
fn each_part_of_a_job_has_a_size_that_it_may_have() {
    let long = |bytes: usize| "x".repeat(bytes);
    let tags = |count: usize| (0..count).map(|n| format!("t:{n}")).collect::<Vec<_>>();
    for (field, fits, too_much) in [
        ("name", json!(long(1024)), json!(long(1025))),
        ("version", json!(long(1024)), json!(long(1025))),
        ("description", json!(long(16_384)), json!(long(16_385))),
        (
            "context",
            json!({"query": long(500_000)}),
            json!({"query": long(530_000)}),
        ),
        ("tags", json!(tags(64)), json!(tags(65))),
        ("tags", json!([long(1024)]), json!([long(1025)])),
        ("command_criteria", json!(tags(64)), json!(tags(65))),
        ("cluster_criteria", json!([long(1024)]), json!([long(1025)])),
    ] {
        let parse = |value| Submission::parse(json!({field: value}).to_string().as_bytes());
        assert!(parse(fits).is_ok(), "{field}");
        let error = parse(too_much).unwrap_err();
        assert_eq!(error.code.as_str(), "INVALID_JOB");
        assert!(error.message.contains(field), "{error}");
    }
}

#[test]
fn what_the_server_decides_is_dropped() {
    let body = r#"{"id": "mine", "user": 7, "status": [], "command": 1, "name": "x", "context": null, "tags": ["a", "_id:other"]}"#;
    let job = Submission::parse(body.as_bytes()).unwrap();
    assert!(job.context.is_none());
    let tags: Vec<_> = job.tags_with_system("id-1").into_iter().collect();
    assert_eq!(tags, ["_id:id-1", "_name:x", "_version:", "a"]);
}

#[test]
fn a_status_has_the_word_of_heimdalls_interface_wherever_it_is_written() {
    let words = [
        "ACCEPTED",
        "CANCELED",
        "CANCELING",
        "FAILED",
        "KILLED",
        "NEW",
        "RUNNING",
        "SUCCEEDED",
    ];
    for (status, word) in JobStatus::ALL.into_iter().zip(words) {
        assert_eq!(status.as_str(), word);
        assert_eq!(serde_json::to_value(status).unwrap(), word);
        assert_eq!(JobStatus::from_number(status.number()), Some(status));
    }
}
