//! Links to results that a browser can follow: good once, for a minute, without a token.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::format::ResultFormat;
use crate::error::{Code, HostError};

/// How long a link is good.
const GOOD_FOR: Duration = Duration::from_secs(60);
/// The most that are good at once.
const MOST: usize = 10_000;

/// What a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) id: String,
    pub(super) seq: i64,
    pub(super) requested: ResultFormat,
}

/// The links that are good.
#[derive(Default)]
pub(super) struct Links(Mutex<HashMap<String, (Instant, Link)>>);

impl Links {
    fn links(&self) -> MutexGuard<'_, HashMap<String, (Instant, Link)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a link; gives the word that it is known by.
    ///
    /// # Errors
    /// There are too many.
    pub(super) fn make(&self, link: Link) -> Result<String, HostError> {
        let mut links = self.links();
        links.retain(|_, (made, _)| made.elapsed() < GOOD_FOR);
        if links.len() >= MOST {
            let message = format!("{MOST} links to results are good at this moment");
            return Err(HostError::new(Code::Busy, message).hint("try again in a minute"));
        }
        // 244 random bits: nobody finds a link by trying.
        let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        links.insert(token.clone(), (Instant::now(), link));
        Ok(token)
    }

    /// Uses a link up.
    pub(super) fn take(&self, token: &str) -> Option<Link> {
        let (made, link) = self.links().remove(token)?;
        (made.elapsed() < GOOD_FOR).then_some(link)
    }
}
