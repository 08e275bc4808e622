//! A host as it was written for ABI 1.0: built against the sources of that release, it loads libraries of today.
//!
//!   host LIBRARY JOB
//!
//! Prints the library's name, version and features, and the job's answer through both entry points.

use std::{env, path::Path, time::Duration};

use plugin_api::host::{CallOptions, Library};

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let library = Library::load(Path::new(&arguments[1]), None).expect("it loads");
    let info = library.info();
    println!("{} {} {}", info.name, info.version, info.features.join(" "));
    library.open("{}").expect("it opens");
    let options = CallOptions {
        timeout: Some(Duration::from_secs(60)),
        ..CallOptions::default()
    };
    for answer in [
        library.run_job(arguments[2].as_bytes(), &options),
        library.run_job_by_c(arguments[2].as_bytes(), &options),
    ] {
        match answer {
            Ok(document) => println!("{}", String::from_utf8_lossy(&document)),
            Err(error) => println!("{}", error.message),
        }
    }
    library
        .check_health(b"{}", &options)
        .expect("it is healthy");
    library.close(Duration::from_secs(10)).expect("it closes");
}
