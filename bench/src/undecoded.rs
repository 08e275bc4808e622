//! The SDK with everything but decoding: an interceptor swallows each body and hands the SDK its token alone. What the SDK itself
//! costs, and so what a decoder is to be measured against.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept, context::BeforeDeserializationInterceptorContextMut, dyn_dispatch_hint,
        },
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::{body::SdkBody, config_bag::ConfigBag};
use bytes::Bytes;
use http_body::{Body, Frame};
use serde_json::{Value, json};

use crate::{
    aws::{client, request, runtime},
    measure::{Made, measured},
};

pub(crate) fn run(url: &str) -> anyhow::Result<Value> {
    let (runtime, client, swallow) = (runtime()?, client(url), Swallow::default());
    measured(|| {
        runtime.block_on(async {
            let mut next_token = None;
            loop {
                let page = request(&client, next_token)
                    .customize()
                    .interceptor(swallow.clone());
                next_token = page.send().await?.next_token;
                if next_token.is_none() {
                    return Ok(Made {
                        wire_bytes: swallow.wire_bytes.load(Ordering::Relaxed),
                        rows: 0,
                        result_bytes: 0,
                    });
                }
            }
        })
    })
}

/// The end of a body, where its token is.
#[derive(Default)]
pub(crate) struct Tail {
    n_bytes: u64,
    end: Vec<u8>,
}

impl Tail {
    const KEPT: usize = 128;

    pub(crate) fn take(&mut self, frame: &[u8]) {
        self.n_bytes += frame.len() as u64;
        let kept = &frame[frame.len().saturating_sub(Self::KEPT)..];
        self.end.extend_from_slice(kept);
        let over = self.end.len().saturating_sub(Self::KEPT);
        self.end.drain(..over);
    }

    pub(crate) fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// The server's tokens are short, and nothing follows them.
    pub(crate) fn next_token(&self) -> Option<String> {
        let end = String::from_utf8_lossy(&self.end);
        let (_, token) = end.rsplit_once(r#""NextToken":""#)?;
        Some(token.trim_end_matches(['"', '}']).to_owned())
    }
}

#[derive(Debug, Clone, Default)]
struct Swallow {
    wire_bytes: Arc<AtomicU64>,
}

#[dyn_dispatch_hint]
impl Intercept for Swallow {
    fn name(&self) -> &'static str {
        "Swallow"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        if response.status().is_success() {
            let body = Swallowed {
                inner: response.take_body(),
                tail: Tail::default(),
                wire_bytes: Arc::clone(&self.wire_bytes),
                is_done: false,
            };
            *response.body_mut() = SdkBody::from_body_1_x(body);
        }
        Ok(())
    }
}

struct Swallowed {
    inner: SdkBody,
    tail: Tail,
    wire_bytes: Arc<AtomicU64>,
    is_done: bool,
}

impl Body for Swallowed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        while !self.is_done {
            match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.tail.take(&data);
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    self.is_done = true;
                    let n_bytes = self.tail.n_bytes();
                    self.wire_bytes.fetch_add(n_bytes, Ordering::Relaxed);
                    let rest = json!({"NextToken": self.tail.next_token()}).to_string();
                    return Poll::Ready(Some(Ok(Frame::data(rest.into()))));
                }
            }
        }
        Poll::Ready(None)
    }
}
