//! The host's web page, and the way to Heimdall's own web UI.
//!
//! [`page`] serves the files of `page/`, which are part of the binary, need no build step and load nothing from elsewhere.
//! They hold no data: what they show comes from the host's interface, under the same rules as for every other client.
//! [`WebUi`] passes requests on to Heimdall's own UI where the operator configured one.

#![forbid(unsafe_code)]

mod page;
mod web_ui;

pub use self::{
    page::page,
    web_ui::{WebUi, WebUiError},
};
