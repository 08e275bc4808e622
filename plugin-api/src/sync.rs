//! The lock and the condition of the slot: the standard library's, or those of the model checker shuttle, which tries the orders in
//! which threads may come to them (`slot/model.rs`).

#[cfg(not(shuttle))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};

#[cfg(shuttle)]
pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard};
