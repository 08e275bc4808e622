//! A job as users submit it: a file's, or made of a statement; with the fields and criteria that options name.

use plugin_api::{Error, ErrorCode};
use serde_json::value::to_raw_value;

use super::{
    args::{CriteriaArgs, FieldArgs, SourceArgs},
    error::RunError,
    fields,
    input::{self, Input},
    members::Members,
};

/// What is to be run, wherever that will be.
#[derive(Clone)]
pub(crate) struct Submission {
    /// The job as JSON; or whatever a file holds that is none, for the plugin or the host to refuse.
    pub(crate) body: Vec<u8>,
    /// Whether it may say which command and cluster run it: a statement does not, unless options do.
    pub(crate) names_criteria: bool,
}

impl Submission {
    /// Reads the job and puts into it what options say, which wins.
    pub(crate) fn of(
        source: &SourceArgs,
        fields: &FieldArgs,
        criteria: &CriteriaArgs,
    ) -> Result<Self, RunError> {
        let has_both = criteria
            .fields()
            .iter()
            .all(|(_, _, tags)| !tags.is_empty());
        let (body, names_criteria) = match input::read(source)? {
            Input::Job(job) => (job, true),
            Input::Statement(statement) => (of_statement(&statement), has_both),
        };
        Ok(Self {
            body: with_criteria(with_fields(body, fields)?, criteria),
            names_criteria,
        })
    }

    /// Sets a member of the job, where it is a JSON object at all.
    pub(crate) fn set(&mut self, name: &str, value: &impl serde::Serialize) {
        if let Ok(mut job) = serde_json::from_slice::<Members>(&self.body) {
            job.set(
                name,
                to_raw_value(value).expect("texts and lists serialize"),
            );
            self.body = job.to_json();
        }
    }

    /// A list of texts that the job has under this name; empty where there is none.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        let job = serde_json::from_slice::<Members>(&self.body);
        job.ok()
            .and_then(|job| serde_json::from_str(job.get(name)?.get()).ok())
            .unwrap_or_default()
    }
}

/// A job that whoever routes it gives its command and cluster, so that it may not bring its own: `by` is the word for who routes it.
pub(crate) fn check_is_routed(job: &[u8], by: &str) -> Result<(), RunError> {
    let Ok(job) = serde_json::from_slice::<Members>(job) else {
        return Ok(());
    };
    let brought = ["command", "cluster"]
        .into_iter()
        .find(|own| job.get(own).is_some_and(|value| value.get() != "null"));
    let Some(own) = brought else { return Ok(()) };
    Err(RunError::Failed(
        Error::new(
            ErrorCode::INVALID_JOB,
            format!("the job brings its own '{own}', which only the {by} may set"),
        )
        .hint(format!(
            "leave it out and name tags in command_criteria and cluster_criteria, or run without the {by}"
        )),
    ))
}

fn of_statement(statement: &str) -> Vec<u8> {
    let mut job = Members(Vec::new());
    let mut context = Members(Vec::new());
    context.set("query", to_raw_value(statement).expect("a text serializes"));
    job.set_object("context", &context);
    job.to_json()
}

fn with_fields(submitted: Vec<u8>, args: &FieldArgs) -> Result<Vec<u8>, RunError> {
    let fields = fields::of(args)?;
    if fields.is_empty() {
        return Ok(submitted);
    }
    let Ok(mut job) = serde_json::from_slice::<Members>(&submitted) else {
        return Ok(submitted);
    };
    let mut context = job.object("context")?;
    for (field, value) in fields {
        context.set(field.name, value);
    }
    job.set_object("context", &context);
    Ok(job.to_json())
}

fn with_criteria(submitted: Vec<u8>, criteria: &CriteriaArgs) -> Vec<u8> {
    let given = criteria.fields();
    let mut given = given
        .iter()
        .filter(|(_, _, tags)| !tags.is_empty())
        .peekable();
    if given.peek().is_none() {
        return submitted;
    }
    let Ok(mut job) = serde_json::from_slice::<Members>(&submitted) else {
        return submitted;
    };
    for (name, _, tags) in given {
        job.set(name, to_raw_value(tags).expect("texts serialize"));
    }
    job.to_json()
}
