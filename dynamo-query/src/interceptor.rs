//! The one place where bytes leave the SDK: a successful answer's body goes to the [`Table`] as it arrives.
//!
//! In: the SDK's answer to one attempt. Out: for the table, every byte of its body; for the SDK's own deserializer, the same answer
//! without its items. Endpoints, signing, credentials, retries, timeouts and error answers stay the SDK's.
//!
//! A body that is damaged (malformed, cut, or not of the promised checksum) is an error while the SDK reads it, which it retries;
//! a result that is too large is turned into one that it does not retry. The interceptor wraps whatever body it finds, so it sits
//! outside the SDK's stalled-stream protection, which goes on seeing all bytes (operation interceptors added by `customize()` run after
//! it).

use std::{
    error::Error as StdError,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{
                BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextRef,
                FinalizerInterceptorContextMut,
            },
            dyn_dispatch_hint,
        },
        orchestrator::OrchestratorError,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::{body::SdkBody, config_bag::ConfigBag};
use bytes::Bytes;
use dynamo_decode::{DecodeError, Table};
use http_body::{Body, Frame};

#[cfg(test)]
mod tests;

/// `wire_bytes` before an answer has been read to its end.
const NO_ANSWER: u64 = u64::MAX;

/// Passes the answers of one job's requests to its table. Clones share everything; each `send()` gets one:
/// `client.execute_statement()….customize().interceptor(interceptor.clone()).send()`.
#[derive(Debug, Clone)]
pub struct AnswerInterceptor {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    table: Arc<Mutex<Table>>,
    attempts: Arc<AtomicU64>,
    wire_bytes: AtomicU64,
}

impl AnswerInterceptor {
    /// An interceptor that fills this table. The table is locked while a piece of a body is decoded, never across an await.
    #[must_use]
    pub fn new(table: Arc<Mutex<Table>>) -> Self {
        Self::counting(table, Arc::default())
    }

    /// An interceptor that fills another table and counts its requests together with this one's.
    pub(crate) fn beside(&self, table: Arc<Mutex<Table>>) -> Self {
        Self::counting(table, Arc::clone(&self.shared.attempts))
    }

    fn counting(table: Arc<Mutex<Table>>, attempts: Arc<AtomicU64>) -> Self {
        Self {
            shared: Arc::new(Shared {
                table,
                attempts,
                wire_bytes: AtomicU64::new(NO_ANSWER),
            }),
        }
    }

    /// Requests sent so far, repeated ones included.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        self.shared.attempts.load(Ordering::Relaxed)
    }

    /// Bytes of the body that the last attempt read to its end; `None` where it read none. After a `send()` that returned `Ok` this is
    /// always `Some`, or the SDK has not called the interceptor and the page must not be used.
    #[must_use]
    pub fn wire_bytes(&self) -> Option<u64> {
        Some(self.shared.wire_bytes.load(Ordering::Relaxed)).filter(|&bytes| bytes != NO_ANSWER)
    }
}

/// The decoder's error behind an error of the SDK, if it was the cause.
pub fn decode_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a DecodeError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        // A panic in the decoder ends the job; the next attempt, if any, rolls back whatever it left.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin_attempt(&self) {
        self.table().begin_attempt();
        self.wire_bytes.store(NO_ANSWER, Ordering::Relaxed);
    }
}

#[dyn_dispatch_hint]
impl Intercept for AnswerInterceptor {
    fn name(&self) -> &'static str {
        "AnswerInterceptor"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.shared.attempts.fetch_add(1, Ordering::Relaxed);
        self.shared.begin_attempt();
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.shared.begin_attempt();
        let response = context.response_mut();
        if response.status().is_success() {
            let promised = response.headers().get("x-amz-crc32");
            let promised_crc = promised.and_then(|text| text.trim().parse().ok());
            let body = InterceptedBody {
                inner: response.take_body(),
                shared: Arc::clone(&self.shared),
                promised_crc,
                crc: crc32fast::Hasher::new(),
                n_bytes: 0,
                is_done: false,
            };
            *response.body_mut() = SdkBody::from_body_1_x(body);
        }
        Ok(())
    }

    /// Corrects what the SDK will retry: not a result that is too large; but a successful answer whose rest it cannot read.
    fn modify_before_attempt_completion(
        &self,
        context: &mut FinalizerInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let is_success = |context: &FinalizerInterceptorContextMut<'_>| {
            let response = context.response();
            response.is_some_and(|response| response.status().is_success())
        };
        if !is_success(context) {
            return Ok(());
        }
        let Some(Err(error)) = context.output_or_error_mut() else {
            return Ok(());
        };
        match decode_error(error) {
            Some(cause) if !cause.is_retryable() => {
                *error = OrchestratorError::other(cause.clone());
            }
            None if error.is_operation_error() => {
                *error = OrchestratorError::response(Box::new(DecodeError::Malformed {
                    what: "what surrounds the items has the wrong shape",
                    byte: 0,
                }));
            }
            _ => {}
        }
        Ok(())
    }
}

/// A body that hands its bytes to the table and gives the SDK one frame: the answer without its items.
struct InterceptedBody {
    inner: SdkBody,
    shared: Arc<Shared>,
    promised_crc: Option<u32>,
    crc: crc32fast::Hasher,
    n_bytes: u64,
    is_done: bool,
}

impl InterceptedBody {
    fn take(&mut self, frame: &[u8]) -> Result<(), DecodeError> {
        self.n_bytes += frame.len() as u64;
        if self.promised_crc.is_some() {
            self.crc.update(frame);
        }
        self.shared.table().feed(frame)
    }

    fn end(&mut self) -> Result<Bytes, DecodeError> {
        self.is_done = true;
        let computed = self.crc.clone().finalize();
        match self.promised_crc {
            Some(promised) if promised != computed => {
                return Err(DecodeError::Checksum { promised, computed });
            }
            _ => {}
        }
        let rest = self.shared.table().end_attempt()?;
        self.shared
            .wire_bytes
            .store(self.n_bytes, Ordering::Relaxed);
        Ok(rest.into())
    }
}

impl Body for InterceptedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        while !self.is_done {
            let next = match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.take(&data).map_err(BoxError::from).map(|()| None),
                    Err(_trailers) => Ok(None),
                },
                Some(Err(error)) => Err(error),
                None => self.end().map_err(BoxError::from).map(Some),
            };
            match next {
                Ok(None) => {}
                Ok(Some(rest)) => return Poll::Ready(Some(Ok(Frame::data(rest)))),
                Err(error) => {
                    self.is_done = true;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        Poll::Ready(None)
    }
}
