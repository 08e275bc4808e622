//! What `cargo xtask demo` runs: the source document's job and a table of every type, through the built host and the built plugin,
//! on a DynamoDB that is embedded in this process.
//!
//! In: `HOST PLUGIN_DIR [--keep]`. Out: each job and its rows on standard output. With `--keep` the embedded DynamoDB stays until
//! Ctrl-C, and the command that asks it something is printed.
#![forbid(unsafe_code)]

use std::{
    env, fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
};

use anyhow::{Context, bail, ensure};
use engines::{embedded::Embedded, sample};
use serde_json::{Value, json};

/// The source document's command and cluster; the cluster points at the embedded DynamoDB.
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

/// The port of `examples/jobs/demo.json`.
const EXAMPLES_PORT: u16 = 8000;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (host, plugins, keep) = match arguments.as_slice() {
        [host, plugins] => (host, plugins, false),
        [host, plugins, keep] if keep == "--keep" => (host, plugins, true),
        _ => bail!("usage: engines-demo HOST PLUGIN_DIR [--keep]"),
    };
    let dynamo = if keep {
        Embedded::start_at(EXAMPLES_PORT)?
    } else {
        Embedded::start()?
    };
    dynamo.load(&sample::tables())?;
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("demo.yaml");
    fs::write(&config, CONFIG.replace("${DEMO_ENDPOINT}", &dynamo.url()))?;
    let demo = Demo {
        host: Path::new(host),
        plugins: Path::new(plugins),
        config: &config,
    };
    println!("An embedded DynamoDB answers at {}.\n", dynamo.url());
    demo.play()?;
    if keep {
        println!(
            "The embedded DynamoDB keeps running until you press Ctrl-C. In another terminal, ask it a query of your own:\n\n  \
             AWS_ACCESS_KEY_ID=demo AWS_SECRET_ACCESS_KEY=demo {host} run --plugin-dir {plugins} --endpoint-url {} --region us-east-1 \
             --query \"SELECT * FROM {} WHERE price < 20\"\n\nIts tables are {} and {}.",
            dynamo.url(),
            sample::BOOKS,
            sample::BOOKS,
            sample::EVERY_TYPE
        );
        // The signal's default action ends this process, and the database with it.
        loop {
            thread::park();
        }
    }
    Ok(())
}

/// Runs each job of the demo as a process of the built host.
struct Demo<'a> {
    host: &'a Path,
    plugins: &'a Path,
    config: &'a Path,
}

impl Demo<'_> {
    fn play(&self) -> anyhow::Result<()> {
        println!("── The source document's job: the books of my_table, at most 100.");
        self.rows(
            &json!({"query": "SELECT * FROM my_table WHERE category = 'books'", "limit": 100}),
        )?;
        println!(
            "── Every attribute type, attributes that only late items have, a 38-digit number: nothing is dropped or rounded."
        );
        self.rows(&json!({"query": "SELECT * FROM every_type"}))?;
        println!(
            "── A SELECT list in its own order, with parameters; an attribute called S is a column like any other."
        );
        self.rows(&json!({"query": r#"SELECT id, "S", digits FROM every_type WHERE "count" > ? OR "S" = ?"#, "parameters": [0, "a column called S"]}))?;
        println!("── A write is refused before anything is sent, also behind a comment.");
        self.refused(&json!({"query": "/* SELECT */ DELETE FROM my_table WHERE id = '123'"}))?;
        println!("── A misspelt field is named with the nearest known one.");
        self.refused(&json!({"query": "SELECT * FROM my_table", "limt": 10}))
    }

    fn rows(&self, context: &Value) -> anyhow::Result<()> {
        let output = self.job(context)?;
        ensure!(
            output.status.success(),
            "the demo's job failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        println!("{}", String::from_utf8_lossy(&output.stdout));
        Ok(())
    }

    fn refused(&self, context: &Value) -> anyhow::Result<()> {
        let output = self.job(context)?;
        ensure!(
            !output.status.success(),
            "the demo's refused job was run: {context}"
        );
        // The last line of a host whose standard error is no terminal is the error document.
        let lines = String::from_utf8_lossy(&output.stderr).into_owned();
        let document: Value = serde_json::from_str(lines.lines().last().unwrap_or_default())
            .with_context(|| format!("the host's last line is no error document: {lines}"))?;
        let error = &document["error"];
        println!(
            "{}: {}\nhint: {}\n",
            error["code"].as_str().unwrap_or_default(),
            error["message"].as_str().unwrap_or_default(),
            error["hint"].as_str().unwrap_or("none")
        );
        Ok(())
    }

    /// Runs one job, without the caller's AWS settings: the demo never touches anybody's account.
    fn job(&self, context: &Value) -> anyhow::Result<Output> {
        println!("   {context}");
        let job = json!({
            "name": "list-items-job", "version": "0.0.1", "context": context,
            "command_criteria": ["type:dynamodb"], "cluster_criteria": ["data:prod"],
        });
        let mut command = Command::new(self.host);
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy().to_uppercase();
            if text.starts_with("AWS_") || text.ends_with("_PROXY") {
                command.env_remove(name);
            }
        }
        let mut running = command
            .args([
                "run", "-", "--user", "demo", "--format", "table", "--config",
            ])
            .arg(self.config)
            .arg("--plugin-dir")
            .arg(self.plugins)
            .env("AWS_ACCESS_KEY_ID", "demo")
            .env("AWS_SECRET_ACCESS_KEY", "demo")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", self.host.display()))?;
        running
            .stdin
            .take()
            .context("the host's standard input is piped")?
            .write_all(job.to_string().as_bytes())?;
        Ok(running.wait_with_output()?)
    }
}
