//! `cargo xtask COMMAND`: everything that is done with this workspace, on a machine with a Rust toolchain and a C compiler.
#![forbid(unsafe_code)]

mod bench;
mod dist;
mod new_plugin;
mod supply;
mod tasks;
mod torture;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  demo [--keep] build, and show it all on an embedded DynamoDB; --keep leaves it running and says how to ask it something
  test [ARGS]   run every test; ARGS go to `cargo test`
  lint          formatting, dependencies (deny.toml), clippy, documentation and the minimum Rust version; warnings are errors
  bench [--PART ...] [--rounds N] [--mb N] [--seconds N] [--write]
                measure; --write: into docs/BENCHMARKS.md, which says what each part is: costs (where nothing is named), sizes, pages,
                jobs, segments, latency, large, host, store, isolation, start, instructions, or all
  torture [--minutes N] [--only NAME] [--seed N] [--list]
                what the product survives, at full length, with figures; each part for at most N minutes; one part; one seed again
  dist [--sign KEY] [--dev] [--check-reproducible]
                a folder dist/ to install from, an archive and a Debian package of it, its lists of digests signed with a minisign key;
                --dev: of the tests' build, to try the packaging; or whether a second build in another folder gives the same bytes
  new-plugin NAME   a folder NAME/ with a plugin to begin from
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args
        .split_first()
        .map(|(command, rest)| (command.as_str(), rest))
    {
        Some(("demo", rest)) => tasks::demo(rest),
        Some(("test", rest)) => tasks::test(rest),
        Some(("lint", [])) => tasks::lint(),
        Some(("bench", rest)) => bench::bench(rest),
        Some(("torture", rest)) => torture::torture(rest),
        Some(("dist", rest)) => dist::dist(rest),
        Some(("new-plugin", [name])) => new_plugin::new_plugin(name),
        Some(("help" | "--help" | "-h", _)) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
