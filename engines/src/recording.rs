//! A server under way that remembers what it was asked: what the scripted engines have in common.

use std::sync::{Arc, Mutex, PoisonError};

use crate::http::Server;

/// A server under way, and what it has seen; it stops when dropped.
#[derive(Debug)]
pub struct Recording<Seen> {
    server: Server,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
}

impl<Seen: Clone> Recording<Seen> {
    pub(crate) fn new(server: Server, seen: Arc<Mutex<Vec<Seen>>>) -> Self {
        Self { server, seen }
    }

    /// The endpoint to give to a client.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The HTTP server beneath: connections, requests under way.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Every request so far that was understood, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
