//! What stands at the end of every `--help`: examples and exit statuses.

pub(crate) const HOST: &str = "\
Examples:
  host-harness run 'SELECT * FROM my_table' -n 10
  host-harness serve --config host.yaml
  host-harness submit 'SELECT * FROM my_table' --command-tag type:dynamodb --cluster-tag data:prod
  host-harness explain NOT_READ_ONLY

Exit status: 0 done; 1 the job failed, or a check did; 2 wrong usage, an unreadable file or config; 130 interrupted. Each command's \
--help has its own.";

pub(crate) const RUN: &str = "\
Examples:
  host-harness run \"SELECT * FROM my_table WHERE category = 'books'\" -n 10
  host-harness run 'SELECT id, price FROM my_table WHERE price > ?' -p -0.5 -o cheap.parquet
  host-harness run -f books.sql -F csv | sort
  host-harness run job.json --config host.yaml
  host-harness run 'SELECT * FROM my_table' --config host.yaml --command-tag type:dynamodb --cluster-tag data:prod
  echo 'SELECT * FROM my_table' | host-harness run - --total-segments 8 -F ndjson | jq .id

Formats: table, vertical, json, ndjson, csv, tsv, markdown, parquet, arrow. Endings of --output that choose one: .json .ndjson .jsonl \
.csv .tsv .md .parquet .arrows (stream) .arrow .feather (file).

Exit status: 0 done; 1 the job failed; 2 wrong usage, an unreadable file or config, an output that cannot be written; \
130 interrupted, after the job was cancelled.";

pub(crate) const SUBMIT: &str = "\
Examples:
  host-harness submit 'SELECT * FROM my_table' -n 10 --command-tag type:dynamodb --cluster-tag data:prod
  host-harness submit job.json --url https://heimdall.example --token-file ~/.heimdall-token -o rows.parquet
  id=$(host-harness submit -f big.sql --command-tag type:dynamodb --cluster-tag data:prod --no-wait)
  host-harness job \"$id\" --wait --result -F csv

Ctrl-C cancels the job on the host; a second one leaves at once. A command with is_sync answers only when its job has ended, also with \
--no-wait. Formats are those of `run`. HTTPS uses the system's certificates, and HTTPS_PROXY where it is set; HTTP uses no proxy.

Exit status: 0 done; 1 the job failed, or the host refused it or cannot be reached; 2 wrong usage, an unreadable file, an output that \
cannot be written; 130 interrupted, after the job was cancelled.";

pub(crate) const JOBS: &str = "\
Examples:
  host-harness jobs --status RUNNING,NEW
  host-harness jobs --username alice --order-by updated_at -n 100 -F csv
  host-harness jobs --name 'nightly-%' -n 0 -F ndjson | jq -r 'select(.status == \"FAILED\") | .error'

json and ndjson are the host's own records; the other formats have a row for each job.

Exit status: 0 done; 1 the host refused or cannot be reached; 2 wrong usage.";

pub(crate) const JOB: &str = "\
Examples:
  host-harness job 0199f3a2-7c1e-7b3a-9d55-0a1b2c3d4e5f
  host-harness job \"$id\" --wait --result -o rows.parquet
  host-harness job \"$id\" --log

Exit status: 0 done; 1 with --result or --wait: the job failed; the host refused or cannot be reached; 2 wrong usage, an output that \
cannot be written; 130 interrupted, and the job goes on.";

pub(crate) const CANCEL: &str = "\
Example:
  host-harness cancel 0199f3a2-7c1e-7b3a-9d55-0a1b2c3d4e5f

Exit status: 0 the job is asked to stop; 1 it has ended already, or the host refused or cannot be reached; 2 wrong usage.";

pub(crate) const SERVE: &str = "\
Examples:
  host-harness serve --config host.yaml
  host-harness serve --config host.yaml --log-format json --plugin-dir /usr/lib/heimdall/plugins

SIGHUP reads commands, clusters and tokens again; SIGTERM and SIGINT stop the host, a second one at once.

Exit status: 0 stopped; 2 wrong usage, or a config, address, store or plugin directory that cannot be used.";

pub(crate) const CHECK: &str = "\
Examples:
  host-harness check --config host.yaml
  host-harness check --config host.yaml --health

Exit status: 0 all would work; 1 something would not, or with --health a cluster is unhealthy; 2 wrong usage or config.";

pub(crate) const PLUGINS: &str = "\
Examples:
  host-harness plugins
  host-harness plugins --plugin-dir plugins --format json | jq '.[].version'
  host-harness plugins --config host.yaml

Exit status: 0 done; 2 wrong usage, or a config or a directory that cannot be read.";

pub(crate) const PROBE: &str = "\
Example:
  host-harness probe target/release/libdynamo_plugin.so

Exit status: 0 the library would be accepted; 1 it would not; 2 wrong usage, or an unreadable file.";

pub(crate) const EXPLAIN: &str = "\
Examples:
  host-harness explain
  host-harness explain NOT_READ_ONLY
  host-harness explain \"SELECT * FROM my_table WHERE category = 'books'\" --region eu-west-1

A statement is explained as `run 'EXPLAIN SELECT …'` does it: no item is read.

Exit status: 0 done; 1 the statement is refused; 2 wrong usage, or a code that does not exist.";

pub(crate) const COMPLETIONS: &str = "\
Examples:
  host-harness completions bash > ~/.local/share/bash-completion/completions/host-harness
  host-harness completions zsh > ~/.zfunc/_host-harness
  host-harness completions fish > ~/.config/fish/completions/host-harness.fish

Exit status: 0 done; 2 wrong usage.";
