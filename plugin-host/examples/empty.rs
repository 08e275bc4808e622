//! A plugin that does nothing: what is left is the price of a call (`benches/entry_points.rs`).
#![forbid(unsafe_code)]

use std::time::Duration;

use plugin_api::{Error, Host, JobCtx, Plugin};

struct Empty;

impl Plugin for Empty {
    const NAME: &'static str = "empty";

    fn open(_host: Host, _config: &str) -> Result<Self, Error> {
        Ok(Self)
    }

    fn run_job(&self, _job: &str, _ctx: &JobCtx) -> Result<Vec<u8>, Error> {
        Ok(b"{}".to_vec())
    }

    fn check_health(&self, _cluster: &str, _ctx: &JobCtx) -> Result<Vec<u8>, Error> {
        Ok(b"{}".to_vec())
    }

    fn close(self, _within: Duration) -> Result<(), Error> {
        Ok(())
    }
}

plugin_api::export_plugin!(Empty);
