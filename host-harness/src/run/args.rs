//! What `run` takes.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum, builder::PossibleValuesParser};
use results::Format;

use super::statement::is_statement;

/// What `run` takes.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) job: JobArgs,
}

/// The statement or the job, from one of three sources.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// A statement (its first word after comments is SELECT or EXPLAIN), else a file with a job as JSON or a statement; `-`: standard input
    #[arg(value_name = "STATEMENT|FILE", conflicts_with_all = ["query", "file"])]
    pub(crate) source: Option<String>,
    /// A file with a statement; `-`: standard input
    #[arg(short = 'f', long, value_name = "FILE", conflicts_with = "query")]
    pub(crate) file: Option<PathBuf>,
    /// A statement, whatever its first word is
    #[arg(long, value_name = "STATEMENT", allow_hyphen_values = true)]
    pub(crate) query: Option<String>,
}

impl SourceArgs {
    /// Whether a bare statement was given, as far as the arguments tell: all that is said beside it is said by options.
    pub(crate) fn is_statement(&self) -> bool {
        self.query.is_some()
            || self.file.is_some()
            || self
                .source
                .as_deref()
                .is_some_and(|given| is_statement(given) || given.ends_with(".sql"))
    }
}

impl RunArgs {
    /// Runs this statement.
    pub(crate) fn of_statement(statement: String, job: JobArgs) -> Self {
        let source = SourceArgs {
            source: None,
            file: None,
            query: Some(statement),
        };
        Self { source, job }
    }
}

/// Everything about a job but its statement.
#[derive(Debug, Args)]
pub(crate) struct JobArgs {
    #[command(flatten)]
    pub(crate) fields: FieldArgs,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) criteria: CriteriaArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) messages: MessageArgs,
}

/// The fields of a job; each wins over the same field of a job file.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "What to read")]
pub(crate) struct FieldArgs {
    /// The value of the next `?`, as JSON
    #[arg(
        short = 'p',
        long = "param",
        value_name = "JSON",
        allow_hyphen_values = true
    )]
    pub(crate) params: Vec<String>,
    /// The most rows; 0: all
    #[arg(short = 'n', long, value_name = "ROWS", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) limit: Option<u64>,
    /// Read strongly consistently, at twice the cost
    #[arg(long)]
    pub(crate) consistent_read: bool,
    /// The most seconds that the job may take
    #[arg(short = 't', long, value_name = "SECONDS", value_parser = json_number, allow_negative_numbers = true)]
    pub(crate) timeout: Option<String>,
    /// The largest result; the job fails rather than build a larger one
    #[arg(long, value_name = "BYTES", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) max_result_bytes: Option<u64>,
    /// The most pages that are read
    #[arg(long, value_name = "PAGES", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) max_pages: Option<u64>,
    /// No page is asked for once so many capacity units are consumed
    #[arg(long, value_name = "UNITS", value_parser = json_number, allow_negative_numbers = true)]
    pub(crate) max_consumed_capacity_units: Option<String>,
    /// What happens where one of these two is used up [default: fail]
    #[arg(long, value_name = "WHAT", value_parser = PossibleValuesParser::new(["fail", "truncate"]))]
    pub(crate) on_budget: Option<String>,
    /// Go on where an earlier result of the same statement ended: its stats.next_token
    #[arg(long, value_name = "TOKEN")]
    pub(crate) next_token: Option<String>,
    /// Read a whole table in so many segments at once [default: 1]
    #[arg(long, value_name = "SEGMENTS", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) total_segments: Option<u64>,
    /// Read only this one of them, counted from 0
    #[arg(long, value_name = "SEGMENT", value_parser = whole_number, allow_negative_numbers = true)]
    pub(crate) segment: Option<u64>,
}

/// Where a job runs, and as whom.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where and as whom")]
pub(crate) struct TargetArgs {
    /// The AWS region
    #[arg(short = 'r', long, conflicts_with = "config")]
    pub(crate) region: Option<String>,
    /// The AWS profile
    #[arg(long, conflicts_with = "config")]
    pub(crate) profile: Option<String>,
    /// The IAM role to assume
    #[arg(long, value_name = "ARN", conflicts_with = "config")]
    pub(crate) role_arn: Option<String>,
    /// DynamoDB's endpoint
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    pub(crate) endpoint_url: Option<String>,
    /// The plugin that runs the job
    #[arg(
        long,
        value_name = "NAME",
        default_value = "dynamo",
        conflicts_with = "config"
    )]
    pub(crate) plugin: String,
    /// Where the plugin libraries lie [default: plugins/ beside the executable, else its own folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) plugin_dir: Option<PathBuf>,
    /// Heimdall's YAML config: instead of all these, --command-tag and --cluster-tag, or a job file's criteria, choose one of its commands
    /// and clusters
    #[arg(short = 'c', long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Who submits the job [default: the USER variable, else the operating system's name]
    #[arg(short = 'u', long, value_name = "NAME")]
    pub(crate) user: Option<String>,
}

/// Which command and cluster run the job; each wins over the same criteria of a job file.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Which command and cluster")]
pub(crate) struct CriteriaArgs {
    /// A tag that the command carries, such as type:dynamodb or _name:NAME; once for each tag
    #[arg(long = "command-tag", value_name = "TAG")]
    pub(crate) command_tags: Vec<String>,
    /// A tag that the cluster carries; once for each tag
    #[arg(long = "cluster-tag", value_name = "TAG")]
    pub(crate) cluster_tags: Vec<String>,
}

impl CriteriaArgs {
    /// The option that names the first tag of each kind, and what was given.
    pub(crate) fn fields(&self) -> [(&'static str, &'static str, &[String]); 2] {
        [
            ("command_criteria", "--command-tag", &self.command_tags),
            ("cluster_criteria", "--cluster-tag", &self.cluster_tags),
        ]
    }
}

/// How and where the rows are written.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// How the rows are written [default: what the ending of --output says; else a table on a terminal, JSON elsewhere]
    #[arg(short = 'F', long, value_name = "FORMAT", value_parser = format_parser())]
    pub(crate) format: Option<Format>,
    /// Write the rows to this file, whole or not at all; `-`: standard output
    #[arg(short = 'o', long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Leave out the line with the columns' names (tables, CSV, TSV)
    #[arg(long)]
    pub(crate) no_header: bool,
    /// CSV and TSV: put ' before text that a spreadsheet would take for a formula
    #[arg(long)]
    pub(crate) csv_safe: bool,
}

/// What is said on standard error.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Messages")]
pub(crate) struct MessageArgs {
    /// Show log lines as well (-vv: all of them)
    #[arg(short = 'v', long, action = ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,
    /// Show nothing but errors
    #[arg(short = 'q', long)]
    pub(crate) quiet: bool,
    /// How an error is written [default: text on a terminal, else JSON]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) error_format: Option<ErrorFormat>,
}

/// How an error is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ErrorFormat {
    /// For people
    Text,
    /// The error document, on one line
    Json,
}

/// The formats by name.
fn format_parser() -> impl clap::builder::TypedValueParser<Value = Format> {
    use clap::builder::TypedValueParser;
    PossibleValuesParser::new(Format::NAMED.map(Format::name))
        .map(|name| Format::named(&name).expect("only these names are accepted"))
}

/// A count of something. Which counts make sense is for the plugin to say.
fn whole_number(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| "not a whole number from 0 on".to_owned())
}

/// A number as JSON writes it; its digits reach the plugin unchanged.
fn json_number(text: &str) -> Result<String, String> {
    match serde_json::from_str::<serde_json::Number>(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("not a number".to_owned()),
    }
}
