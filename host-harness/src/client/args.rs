//! What the client's commands take.

use std::path::PathBuf;

use clap::{Args, builder::PossibleValuesParser};
use heimdall_server::job::JobStatus;

use crate::run::args::{CriteriaArgs, FieldArgs, MessageArgs, OutputArgs, SourceArgs};

/// What `submit` takes.
#[derive(Debug, Args)]
pub struct SubmitArgs {
    #[command(flatten)]
    pub(super) source: SourceArgs,
    #[command(flatten)]
    pub(super) fields: FieldArgs,
    #[command(flatten)]
    pub(super) criteria: CriteriaArgs,
    #[command(flatten)]
    pub(super) labels: LabelArgs,
    #[command(flatten)]
    pub(super) host: HostArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) messages: MessageArgs,
}

/// What the job is called, and whether it is waited for.
#[derive(Debug, Args)]
#[command(next_help_heading = "The job")]
pub(super) struct LabelArgs {
    /// The job's name, for people and for `jobs --name`
    #[arg(long)]
    pub(super) name: Option<String>,
    /// A tag of the job, for `jobs --tag`; once for each tag
    #[arg(long = "tag", value_name = "TAG")]
    pub(super) tags: Vec<String>,
    /// Print the job's id once the host has taken it, and do not wait for its rows
    #[arg(long, conflicts_with_all = ["format", "output"])]
    pub(super) no_wait: bool,
}

/// Where the host is, and who asks.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which host")]
pub(super) struct HostArgs {
    /// Where the host is [default: the HEIMDALL_URL variable, else http://127.0.0.1:9090]
    #[arg(long)]
    pub(super) url: Option<String>,
    /// A file with the token to send [default: the token in the HEIMDALL_TOKEN variable, else the file that HEIMDALL_TOKEN_FILE names]
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// Who asks [default: whom the token names, else the USER variable or the operating system's name]
    #[arg(short = 'u', long, value_name = "NAME")]
    pub(super) user: Option<String>,
    /// The header that the name is sent in: auth.context.header of the host's config
    #[arg(long, value_name = "HEADER", default_value = "X-Heimdall-User")]
    pub(super) user_header: String,
    /// How long to try again where the host is busy, or is gone while a job is waited for
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(super) retry_for: u32,
}

/// What `jobs` takes.
#[derive(Debug, Args)]
pub struct JobsArgs {
    #[command(flatten)]
    pub(super) filters: FilterArgs,
    #[command(flatten)]
    pub(super) page: PageArgs,
    #[command(flatten)]
    pub(super) host: HostArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) messages: MessageArgs,
}

/// Which jobs; in texts, % stands for any text and _ for one character.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which jobs (% stands for any text, _ for one character)")]
pub(super) struct FilterArgs {
    /// By status; several are joined by commas
    #[arg(long, value_name = "STATUS", value_delimiter = ',', ignore_case = true,
          value_parser = PossibleValuesParser::new(JobStatus::ALL.map(JobStatus::as_str)))]
    pub(super) status: Vec<String>,
    /// By a tag that the job carries; once for each tag
    #[arg(long = "tag", value_name = "TAG")]
    pub(super) tags: Vec<String>,
    /// By name
    #[arg(long, value_name = "PATTERN")]
    pub(super) name: Option<String>,
    /// By who submitted it
    #[arg(long, value_name = "PATTERN")]
    pub(super) username: Option<String>,
    /// By the command's name
    #[arg(long, value_name = "PATTERN")]
    pub(super) command: Option<String>,
    /// By the cluster's name
    #[arg(long, value_name = "PATTERN")]
    pub(super) cluster: Option<String>,
    /// By id, whose beginning with a % is enough
    #[arg(long, value_name = "PATTERN")]
    pub(super) id: Option<String>,
    /// Accepted at or after this second since 1970
    #[arg(long, value_name = "SECONDS")]
    pub(super) created_after: Option<i64>,
    /// Accepted before this second since 1970
    #[arg(long, value_name = "SECONDS")]
    pub(super) created_before: Option<i64>,
}

/// In which order, and how many.
#[derive(Debug, Args)]
#[command(next_help_heading = "Order and number")]
pub(super) struct PageArgs {
    /// The order [default: as they were accepted]
    #[arg(long, value_name = "FIELD", value_parser = PossibleValuesParser::new(["id", "created_at", "updated_at"]))]
    pub(super) order_by: Option<String>,
    /// Oldest first instead of newest first
    #[arg(long)]
    pub(super) ascending: bool,
    /// The most jobs; 0: all
    #[arg(short = 'n', long, value_name = "JOBS", default_value_t = 20)]
    pub(super) limit: u64,
    /// Go on where an earlier list of the same order ended: its next_cursor
    #[arg(long)]
    pub(super) cursor: Option<String>,
}

/// What `job` takes.
#[derive(Debug, Args)]
pub struct JobArgs {
    /// The job's id
    pub(super) id: String,
    /// Write its rows instead of its record, as `submit` does
    #[arg(long, conflicts_with = "log")]
    pub(super) result: bool,
    /// Print its log lines instead of its record
    #[arg(long)]
    pub(super) log: bool,
    /// Wait until it has ended; an interrupt leaves it running
    #[arg(short = 'w', long)]
    pub(super) wait: bool,
    #[command(flatten)]
    pub(super) host: HostArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) messages: MessageArgs,
}

/// What `cancel` takes.
#[derive(Debug, Args)]
pub struct CancelArgs {
    /// The job's id
    pub(super) id: String,
    #[command(flatten)]
    pub(super) host: HostArgs,
    #[command(flatten)]
    pub(super) messages: MessageArgs,
}
