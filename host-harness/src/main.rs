//! The host's executable: parses the command line, runs one command, turns its end into an exit status.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use host_harness::cli::Cli;

fn main() -> ExitCode {
    plugin_host::give_large_blocks_back();
    // The host starts itself again to try plugin libraries.
    if let Some(exit) = plugin_host::child::run_if_asked() {
        return exit;
    }
    // Wrong usage ends here with status 2, help and version with 0.
    Cli::of(std::env::args_os()).run()
}
