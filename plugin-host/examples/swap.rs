//! A host in Rust: loads the plugins of a directory, runs a job, swaps the plugin for another version while the host runs, and runs
//! the job again.
//!
//! `cargo run -p plugin-host --example swap -- PLUGIN_DIR PLUGIN JOB.json NEW_LIBRARY`

use std::{env, error::Error, fs, path::Path, process::ExitCode, sync::Arc, time::Duration};

use plugin_host::{CallOptions, Registry, RegistryOptions, child};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    // The registry starts this program again to try each library in a process of its own.
    if let Some(exit) = child::run_if_asked() {
        return Ok(exit);
    }
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [directory, plugin, job, library] = arguments.as_slice() else {
        return Err("usage: swap PLUGIN_DIR PLUGIN JOB.json NEW_LIBRARY".into());
    };
    let log = Arc::new(|level, target: &str, message: &str| {
        eprintln!("{level:?} {target}: {message}");
    });
    let registry = Registry::open(RegistryOptions::new(directory, log))?;
    let job = fs::read(job)?;

    run(&registry, plugin, &job)?;

    // Copied under a name that the registry leaves alone, then renamed: nobody sees half a library.
    let hidden = Path::new(directory).join(".new.so");
    fs::copy(library, &hidden)?;
    fs::rename(&hidden, Path::new(directory).join("new.so"))?;
    let report = registry.reload()?;
    println!("loaded {:?}, retired {:?}", report.loaded, report.retired);

    run(&registry, plugin, &job)?;
    registry.close(Duration::from_secs(5));
    Ok(ExitCode::SUCCESS)
}

/// Runs one job on the version that new jobs go to now.
fn run(registry: &Registry, plugin: &str, job: &[u8]) -> Result<(), Box<dyn Error>> {
    let lease = registry.lease(plugin, None)?;
    let result = lease.run_job(job, &CallOptions::default())?;
    println!(
        "{} {}: {}",
        lease.name(),
        lease.version(),
        String::from_utf8_lossy(&result)
    );
    Ok(())
}
