//! `host-harness demo`: the source document's job and a table of every type, on a DynamoDB embedded in this process.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use clap::Args;
use engines::{embedded::Embedded, sample};
use plugin_host::{CallOptions, Document, Lease, Registry, RegistryOptions};
use serde_json::{Value, json};

use crate::{
    cli::{Exit, default_plugin_dir},
    config::Config,
    render,
    run::document::route_job,
};

/// What `demo` takes.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where the plugin libraries lie
    #[arg(long)]
    plugin_dir: Option<PathBuf>,
}

/// The source document's command and cluster, the cluster pointed at the embedded DynamoDB.
const CONFIG: &str = "
commands:
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
      endpoint_url: ${DEMO_ENDPOINT}
      region: us-east-1
    tags:
      - type:dynamodb
      - data:prod
";

/// Set in the process that plays the demo: it has credentials of its own, which the embedded engine takes as it takes any.
const ON_STAGE: &str = "HOST_HARNESS_DEMO";

/// Shows the product.
#[must_use]
pub fn run(args: &DemoArgs) -> Exit {
    let shown = if std::env::var_os(ON_STAGE).is_some() {
        show(args).map(|()| Exit::Done)
    } else {
        show_with_credentials()
    };
    shown.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        Exit::Failed
    })
}

/// Starts this command again, without the caller's AWS settings: a demo never touches anybody's account.
fn show_with_credentials() -> anyhow::Result<Exit> {
    let mut stage = Command::new(std::env::current_exe()?);
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_"))
    {
        stage.env_remove(name);
    }
    let status = stage
        .args(std::env::args_os().skip(1))
        .envs([
            (ON_STAGE, "1"),
            ("AWS_ACCESS_KEY_ID", "demo"),
            ("AWS_SECRET_ACCESS_KEY", "demo"),
        ])
        .envs(
            [
                "HTTP_PROXY",
                "http_proxy",
                "HTTPS_PROXY",
                "https_proxy",
                "ALL_PROXY",
                "all_proxy",
            ]
            .map(|proxy| (proxy, "")),
        )
        .status()?;
    Ok(if status.success() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn show(args: &DemoArgs) -> anyhow::Result<()> {
    let dynamo = Embedded::start()?;
    dynamo.load(&sample::tables())?;
    let directory = args.plugin_dir.clone().unwrap_or_else(default_plugin_dir);
    let options = RegistryOptions {
        watch: false,
        ..RegistryOptions::new(directory, Arc::new(|_, _, _| {}))
    };
    let registry = Registry::open(options)?;
    let plugin = registry.lease("dynamo", None)?;
    let url = dynamo.url();
    let config = Config::parse(Path::new("demo.yaml"), CONFIG, &|name| {
        (name == "DEMO_ENDPOINT").then(|| url.clone())
    })?;
    println!(
        "An embedded DynamoDB answers at {url}; jobs run in the plugin {} {}.\n",
        plugin.name(),
        plugin.version()
    );
    let mut stage = Stage {
        plugin: &plugin,
        config: &config,
        out: &mut io::stdout().lock(),
    };

    stage.say("The source document's job: the books of my_table, at most 100.")?;
    stage
        .rows(&json!({"query": "SELECT * FROM my_table WHERE category = 'books'", "limit": 100}))?;
    stage.say("Every attribute type, attributes that only late items have, a 38-digit number: nothing is dropped or rounded.")?;
    stage.rows(&json!({"query": "SELECT * FROM every_type"}))?;
    stage.say("A SELECT list in its own order, with parameters; an attribute called S is a column like any other.")?;
    stage.rows(&json!({"query": r#"SELECT id, "S", digits FROM every_type WHERE "count" > ? OR "S" = ?"#, "parameters": [0, "a column called S"]}))?;
    stage.say("A write, however it is dressed, is refused before anything is sent.")?;
    stage.refused(&json!({"query": "/* SELECT */ DELETE FROM my_table WHERE id = '123'"}))?;
    stage.say("A misspelt field is named with the nearest known one.")?;
    stage.refused(&json!({"query": "SELECT * FROM my_table", "limt": 10}))?;
    drop(plugin);
    registry.close(Duration::from_secs(5));
    Ok(())
}

/// Where the demo plays.
struct Stage<'a, W> {
    plugin: &'a Lease,
    config: &'a Config,
    out: &'a mut W,
}

impl<W: Write> Stage<'_, W> {
    fn say(&mut self, what: &str) -> io::Result<()> {
        writeln!(self.out, "── {what}")
    }

    fn rows(&mut self, context: &Value) -> anyhow::Result<()> {
        let result = self.job(context)?.context("the demo's job failed")?;
        render::table(&result, self.out)?;
        writeln!(self.out)?;
        Ok(())
    }

    fn refused(&mut self, context: &Value) -> anyhow::Result<()> {
        let error = self
            .job(context)?
            .err()
            .context("the demo's refused job was run")?;
        writeln!(
            self.out,
            "{error}\nhint: {}\n",
            error.hint.as_deref().unwrap_or("none")
        )?;
        Ok(())
    }

    fn job(&mut self, context: &Value) -> anyhow::Result<Result<Document, plugin_api::Error>> {
        writeln!(self.out, "   {context}")?;
        let job = json!({
            "name": "list-items-job", "version": "0.0.1", "context": context,
            "command_criteria": ["type:dynamodb"], "cluster_criteria": ["data:prod"],
        });
        let routed = route_job(job.to_string().as_bytes(), self.config, Some("demo"))?;
        Ok(self
            .plugin
            .run_job(&routed.document, &CallOptions::default()))
    }
}
