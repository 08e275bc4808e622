//! The statement corpus: every statement of a data file as a job of ours and raw on DynamoDB Local and the embedded
//! engine, side by side in `docs/CORPUS.md`.
//!
//! Where DynamoDB answers with rows, ours has the same rows in the same order, or a reason why not; where it refuses,
//! ours refuses at least as clearly. `BLESS=1` writes the page anew; otherwise it has to be what it would be.

mod answer;
mod page;
mod statements;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use engines::{embedded::Embedded, local, skip_or_fail};
use harness_tests::{job_on, library};
use plugin_api::Error;
use plugin_host::{CallOptions, Library};
use serde_json::{Value, json};

use self::{answer::Answer, statements::Case};

/// Set in the process that runs the corpus: credentials come from the environment, which a test cannot set for itself.
const INSIDE: &str = "HEIMDALL_CORPUS";

/// One statement with all its answers and what to say about them.
struct Row {
    case: Case,
    ours: Answer,
    local: Answer,
    embedded: Answer,
    note: String,
}

#[test]
fn our_answers_are_those_of_dynamodb_local() {
    if env::var_os(INSIDE).is_none() {
        return run_again_with_credentials();
    }
    let local = match local::Local::start() {
        Ok(local) => local,
        Err(skip) => return skip_or_fail(&skip),
    };
    let plugin = Library::load(&library("dynamo_plugin"), None).expect("the built library loads");
    let (rows, faults) = run(local.url(), &|job| {
        let options = CallOptions::default();
        let document = plugin.run_job(job.to_string().as_bytes(), &options)?;
        Ok(document.to_vec())
    });
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    compare(&page::render(&rows));
}

fn run_again_with_credentials() {
    let status = Command::new(env::current_exe().expect("a running test has a path"))
        .args([
            "corpus::our_answers_are_those_of_dynamodb_local",
            "--exact",
            "--nocapture",
        ])
        .env(INSIDE, "1")
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env_remove("AWS_SESSION_TOKEN")
        .env_remove("AWS_PROFILE")
        .status()
        .expect("this test can be run again");
    assert!(status.success(), "the corpus fails, see above");
}

/// Runs every case through `ours` (a job document in, a result or an error out), raw on the DynamoDB at `local`, and raw on
/// the embedded engine. Gives the page's rows and what is wrong with them.
fn run(local: &str, ours: &dyn Fn(&Value) -> Result<Vec<u8>, Error>) -> (Vec<Row>, Vec<String>) {
    let tables: Value =
        serde_json::from_str(&read("tests/corpus/tables.json")).expect("the tables are JSON");
    let cases = statements::read(&read("tests/corpus/statements.txt"));
    assert!(cases.len() >= 200, "only {} statements", cases.len());
    answer::reload(local, &tables);
    let mut embedded = load_embedded(&tables);
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    for case in cases {
        let mine = answer::of_job(&ours(&job(&case, local)));
        let theirs = answer::raw(local, &case);
        let small = answer::raw(&embedded.url(), &case);
        // What we take for a write may have been one on the engines.
        if matches!(&mine, Answer::Refused(refusal) if refusal.code == "NOT_READ_ONLY") {
            answer::reload(local, &tables);
            embedded = load_embedded(&tables);
        }
        let note = verdict(&case, &mine, &theirs).unwrap_or_else(|fault| {
            faults.push(format!(
                "{}\n  {fault}\n  ours: {mine}\n  DynamoDB Local: {theirs}",
                case.statement
            ));
            "wrong".to_owned()
        });
        rows.push(Row {
            case,
            ours: mine,
            local: theirs,
            embedded: small,
            note,
        });
    }
    (rows, faults)
}

fn load_embedded(tables: &Value) -> Embedded {
    let embedded = Embedded::start().expect("the embedded engine starts");
    embedded.load(tables).expect("the corpus' tables load");
    embedded
}

fn job(case: &Case, endpoint: &str) -> Value {
    let mut context = json!({"query": case.statement, "timeout_seconds": 20});
    if let Some(parameters) = &case.parameters {
        context["parameters"] = parameters.clone();
    }
    // DynamoDB Local answers some bad statements with 500: one attempt shows that as well as three.
    let cluster = json!({"endpoint_url": endpoint, "region": "us-east-1", "max_attempts": 1});
    job_on(&cluster, &context)
}

/// What the page says about a case, or what is wrong with it.
fn verdict(case: &Case, ours: &Answer, local: &Answer) -> Result<String, String> {
    if case.reason.is_some() && !matches!((ours, local), (Answer::Refused(_), Answer::Rows(_))) {
        return Err("a reason is given for a refusal that is none".to_owned());
    }
    match (ours, local) {
        (Answer::Rows(mine), Answer::Rows(theirs)) if mine == theirs => Ok("same rows".to_owned()),
        (Answer::Rows(_), Answer::Rows(_)) => Err("other rows".to_owned()),
        (Answer::Rows(_), Answer::Refused(_)) => Err("we give rows, DynamoDB refuses".to_owned()),
        (Answer::Refused(refusal), Answer::Refused(theirs)) => {
            if refusal.helps || refusal.message.contains(&theirs.message) {
                Ok(if refusal.placed {
                    "both refuse; ours says where"
                } else {
                    "both refuse"
                }
                .to_owned())
            } else {
                Err("ours is the less clear refusal".to_owned())
            }
        }
        (Answer::Refused(refusal), Answer::Rows(_)) => match &case.reason {
            Some(reason) => Ok(format!("refused: {reason}")),
            None if refusal.code == "NOT_READ_ONLY" => Ok("a write, refused".to_owned()),
            None => {
                Err("we refuse what DynamoDB answers, and the corpus gives no reason".to_owned())
            }
        },
    }
}

/// Compares the page with the one that is checked in, or replaces it.
fn compare(page: &str) {
    if env::var_os("BLESS").is_some() {
        fs::write(path("docs/CORPUS.md"), page).expect("the page can be written");
        return;
    }
    let checked_in = read("docs/CORPUS.md");
    let differs = page
        .lines()
        .zip(checked_in.lines())
        .find(|(new, old)| new != old);
    if let Some((new, old)) = differs {
        panic!(
            "docs/CORPUS.md has changed; look at it and run again with BLESS=1\n  was: {old}\n  now: {new}"
        );
    }
    assert_eq!(
        page.len(),
        checked_in.len(),
        "docs/CORPUS.md has changed; run with BLESS=1"
    );
}

fn path(inside: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(inside)
}

fn read(inside: &str) -> String {
    let path = path(inside);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
