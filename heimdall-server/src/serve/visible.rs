//! Which jobs a caller may see: with `auth.isolate_users`, only the caller's own.

use std::sync::Arc;

use super::{Shared, auth::Caller};
use crate::{error::HostError, job::JobRecord};

/// A job that the caller may see. Another's is as unknown as none, so that ids tell nothing.
pub(super) async fn find(app: &Shared, caller: &Caller, id: &str) -> Result<JobRecord, HostError> {
    let owner = if app.authenticator.isolate_users {
        Some(caller.must()?)
    } else {
        None
    };
    let (store, asked) = (Arc::clone(&app.store), id.to_owned());
    let job = app.concurrency.question(move || store.job(&asked)).await?;
    job.filter(|job| owner.is_none_or(|owner| owner == job.user))
        .ok_or_else(|| HostError::unknown_job(id))
}
