use std::collections::HashMap;

use super::*;
use crate::{
    catalog::{Kind, Known},
    config::{Config, Status},
};

const CONFIG: &str = "
commands:
- {name: dynamo-0.0.1, plugin: dynamo, version: 0.0.1, tags: ['type:dynamodb'], cluster_tags: ['type:dynamodb']}
- {name: asleep, plugin: dynamo, status: inactive, tags: ['type:asleep'], cluster_tags: ['type:dynamodb']}
- {name: other, plugin: dynamo, tags: ['type:other'], cluster_tags: ['type:other']}
- {name: both-1, plugin: dynamo, tags: ['type:both'], cluster_tags: ['type:dynamodb']}
- {name: both-2, plugin: dynamo, tags: ['type:both'], cluster_tags: ['type:dynamodb']}
clusters:
- {name: main, tags: ['type:dynamodb', 'data:prod']}
- {name: spare, tags: ['type:other', 'data:test']}
";

fn catalog(known: &HashMap<(Kind, String), Known>) -> Catalog {
    let config = Config::parse("c.yaml".as_ref(), CONFIG, &|_| None).unwrap();
    Catalog::new(&config, known, 0)
}

fn route(
    commands: &[&str],
    clusters: &[&str],
    choose: usize,
) -> Result<(String, String), HostError> {
    let set = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect();
    resolve(
        &catalog(&HashMap::new()),
        &set(commands),
        &set(clusters),
        |_| choose,
    )
    .map(|(command, cluster)| {
        (
            command.command.object.id.clone(),
            cluster.cluster.object.id.clone(),
        )
    })
}

#[test]
fn criteria_find_the_pair_that_carries_them_all() {
    for (commands, clusters, choose, expected) in [
        (
            &["type:dynamodb"][..],
            &["data:prod"][..],
            0,
            ("dynamo-0.0.1", "main"),
        ),
        (
            &["_name:dynamo-0.0.1", "_version:0.0.1"],
            &["_id:main"],
            0,
            ("dynamo-0.0.1", "main"),
        ),
        (&["type:both"], &["data:prod"], 0, ("both-1", "main")),
        (&["type:both"], &["data:prod"], 1, ("both-2", "main")),
        (&["type:other"], &["type:other"], 0, ("other", "spare")),
    ] {
        let (command, cluster) = route(commands, clusters, choose).unwrap();
        assert_eq!((command.as_str(), cluster.as_str()), expected);
    }
}

#[test]
fn a_job_without_a_pair_learns_which_criterion_failed_and_the_nearest_tag() {
    for (commands, clusters, message, hint) in [
        // The documented sample job asks for the tag on the left, the documented command carries the one on the right.
        (
            &["type:dynamo"][..],
            &["data:prod"][..],
            "no command carries the tag 'type:dynamo' of command_criteria",
            "'type:dynamodb'",
        ),
        (
            &["type:dynamodb"],
            &["data:prd"],
            "no cluster carries the tag 'data:prd' of cluster_criteria",
            "'data:prod'",
        ),
        (
            &["zebra"],
            &["data:prod"],
            "no command carries the tag 'zebra'",
            "tags of commands: type:asleep, type:both",
        ),
        (
            &["type:dynamodb", "type:other"],
            &["data:prod"],
            "no command carries all of",
            "on different ones",
        ),
        (
            &["type:asleep"],
            &["data:prod"],
            "'type:asleep' is inactive",
            "PUT /api/v1/command/",
        ),
        (
            &["type:dynamodb"],
            &["data:test"],
            "cluster_criteria 'data:test' and the cluster_tags 'type:dynamodb' of the command 'dynamo-0.0.1'",
            "the command's tags",
        ),
    ] {
        let error = route(commands, clusters, 0).unwrap_err();
        assert_eq!(error.code, Code::NoRoute);
        assert!(error.message.contains(message), "{error}");
        assert!(
            error.hint.as_deref().unwrap_or_default().contains(hint),
            "{error:?}"
        );
    }
}

#[test]
fn absent_or_empty_criteria_are_an_invalid_job() {
    for (commands, clusters, name) in [
        (&[][..], &["data:prod"][..], "command_criteria"),
        (&["type:dynamodb"], &[], "cluster_criteria"),
    ] {
        let error = route(commands, clusters, 0).unwrap_err();
        assert_eq!(
            (error.code.as_str(), error.message.contains(name)),
            ("INVALID_JOB", true)
        );
    }
}

#[test]
fn a_status_set_at_run_time_wins_over_the_file() {
    let asleep = Known {
        created_at: 1,
        updated_at: 2,
        status: Status::Inactive,
    };
    let known = HashMap::from([((Kind::Command, "dynamo-0.0.1".to_owned()), asleep)]);
    let set = |tag: &str| BTreeSet::from([tag.to_owned()]);
    let error = resolve(
        &catalog(&known),
        &set("type:dynamodb"),
        &set("data:prod"),
        |_| 0,
    )
    .unwrap_err();
    assert!(error.message.contains("is inactive"));
}
