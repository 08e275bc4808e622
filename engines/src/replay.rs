//! A server that plays ready-made pages: for bodies that no honest server would send, and for benchmarks.
//!
//! Pages are numbered; page `n`'s token is the text `page-n`, so that any number of clients can read the pages at
//! once, each in order. Page bodies are sent byte for byte, and are not looked at; a request costs a look for its token
//! and no copy of the page.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use crc32fast::Hasher;

use crate::{
    http::{Answer, Piece, Server},
    wire,
};

/// The body of one page: `items` are the typed items as JSON texts, `next` the number of the page after it.
///
/// A `next` behind the last page that holds rows, or after a page without rows, is as DynamoDB does it.
pub fn page<Item: AsRef<str>>(items: &[Item], next: Option<usize>) -> Bytes {
    let mut body = String::from(r#"{"Items":["#);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            body.push(',');
        }
        body.push_str(item.as_ref());
    }
    body.push(']');
    if let Some(next) = next {
        body.push_str(&format!(r#","NextToken":"{}""#, token(next)));
    }
    body.push('}');
    body.into()
}

/// Pages in a row, each but the last with the token of the one after it.
pub fn chain<Item: AsRef<str>>(pages: &[Vec<Item>]) -> Vec<Bytes> {
    let last = pages.len().saturating_sub(1);
    let numbered = pages.iter().enumerate();
    numbered
        .map(|(number, items)| page(items, (number < last).then_some(number + 1)))
        .collect()
}

/// The NextToken that stands for page `number`.
pub fn token(number: usize) -> String {
    format!("page-{number}")
}

/// The server under way; it stops when dropped.
#[derive(Debug)]
pub struct Replay {
    server: Server,
    played: Arc<Played>,
}

#[derive(Debug, Default)]
struct Played {
    requests: AtomicU64,
    bytes: AtomicU64,
    /// The bodies of all requests, where they are kept.
    bodies: Option<Mutex<Vec<Bytes>>>,
}

impl Replay {
    /// Plays `pages`, each request answered `latency` late, and only counts requests: for benchmarks.
    ///
    /// # Errors
    /// No port or no thread was to be had.
    pub fn start(pages: &[Bytes], latency: Duration) -> io::Result<Replay> {
        Replay::play(whole(pages), latency, Played::default())
    }

    /// Plays `pages` pages of the same few lists of items in turn, and only counts requests: for benchmarks of any
    /// length in the memory of these lists. A `Scan` in segments is answered with the same pages: of `n` segments, each has every
    /// `n`th page; an `ExecuteStatement` with `Limit` 1, which a reader in segments sends first, with none.
    ///
    /// `lists` are items as JSON texts, comma-separated.
    ///
    /// # Errors
    /// No port or no thread was to be had.
    pub fn repeat(lists: &[Bytes], pages: usize, latency: Duration) -> io::Result<Replay> {
        let heads: Vec<(Bytes, Hasher)> = lists
            .iter()
            .map(|items| {
                let head = Bytes::from([br#"{"Items":["#, &items[..]].concat());
                let mut checksum = Hasher::new();
                checksum.update(&head);
                (head, checksum)
            })
            .collect();
        let answers = heads.iter().cycle().take(pages).enumerate();
        let answers = answers.map(|(number, head)| {
            let tail = match number + 1 < pages {
                true => format!(r#"],"NextToken":"{}"}}"#, token(number + 1)),
                false => "]}".to_owned(),
            };
            with_tail(head, tail)
        });
        let answers: Arc<[(u64, Answer)]> = answers.collect();
        let segment_page = move |request: &ScanRequest| {
            let Some(head) = heads
                .get(request.page % heads.len())
                .filter(|_| request.page < pages)
            else {
                return wire::answer(200, r#"{"Items":[],"ScannedCount":0}"#);
            };
            let tail = match request.page + request.total_segments < pages {
                true => format!(
                    r#"],"ScannedCount":1,"LastEvaluatedKey":{{"page":{{"N":"{}"}}}}}}"#,
                    request.page
                ),
                false => r#"],"ScannedCount":1}"#.to_owned(),
            };
            with_tail(head, tail).1
        };
        Replay::serve(
            latency,
            Played::default(),
            move |request, played| match ScanRequest::read(request) {
                Some(scan) => segment_page(&scan),
                None if request.windows(10).any(|text| text == br#""Limit":1,"#) => {
                    wire::answer(200, r#"{"Items":[]}"#)
                }
                None => pick(&answers, request, played),
            },
        )
    }

    /// Plays `pages` at once and keeps every request's body: for tests.
    ///
    /// # Errors
    /// No port or no thread was to be had.
    pub fn recording(pages: &[Bytes]) -> io::Result<Replay> {
        let played = Played {
            bodies: Some(Mutex::default()),
            ..Played::default()
        };
        Replay::play(whole(pages), Duration::ZERO, played)
    }

    fn play(
        answers: Arc<[(u64, Answer)]>,
        latency: Duration,
        played: Played,
    ) -> io::Result<Replay> {
        Replay::serve(latency, played, move |request, played| {
            pick(&answers, request, played)
        })
    }

    fn serve(
        latency: Duration,
        played: Played,
        answer: impl Fn(&Bytes, &Played) -> Answer + Send + Sync + 'static,
    ) -> io::Result<Replay> {
        let played = Arc::new(played);
        let counted = played.clone();
        let server = Server::start(move |call| {
            let answer = answer(&call.body, &counted);
            Box::pin(async move {
                if !latency.is_zero() {
                    tokio::time::sleep(latency).await;
                }
                Some(answer)
            })
        })?;
        Ok(Replay { server, played })
    }

    /// The endpoint to give to a client.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The HTTP server beneath: connections, requests under way.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// How many requests were answered so far.
    pub fn requests(&self) -> u64 {
        self.played.requests.load(Ordering::Relaxed)
    }

    /// How many bytes of page bodies were sent so far.
    pub fn bytes(&self) -> u64 {
        self.played.bytes.load(Ordering::Relaxed)
    }

    /// The bodies of all requests so far, in order; none where only counts are kept.
    pub fn bodies(&self) -> Vec<Bytes> {
        let bodies = self.played.bodies.as_ref();
        bodies.map_or_else(Vec::new, |bodies| {
            bodies
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        })
    }
}

/// A page that begins with `head`: its length and its answer.
fn with_tail((head, checksum): &(Bytes, Hasher), tail: String) -> (u64, Answer) {
    let mut checksum = checksum.clone();
    checksum.update(tail.as_bytes());
    let length = head.len() + tail.len();
    let pieces = vec![Piece::Data(head.clone()), Piece::Data(tail.into())];
    let answer = wire::framed(200, checksum.finalize()).with_pieces(length, pieces);
    (length as u64, answer)
}

/// What a request of a `Scan` in segments asks for.
struct ScanRequest {
    total_segments: usize,
    page: usize,
}

impl ScanRequest {
    /// Looks for the few numbers that matter; `None` for any other request.
    fn read(request: &[u8]) -> Option<ScanRequest> {
        // Botocore writes blanks, the SDKs for Rust and Go write none.
        let text = std::str::from_utf8(request).ok()?.replace(' ', "");
        let number = |before: &str| -> Option<usize> {
            let (_, after) = text.split_once(before)?;
            let end = after
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(after.len());
            after[..end].parse().ok()
        };
        let total_segments = number(r#""TotalSegments":"#)?;
        let page = match number(r#""page":{"N":""#) {
            Some(last) => last + total_segments,
            None => number(r#""Segment":"#)?,
        };
        Some(ScanRequest {
            total_segments,
            page,
        })
    }
}

/// Each page's length and answer.
fn whole(pages: &[Bytes]) -> Arc<[(u64, Answer)]> {
    let answers = pages
        .iter()
        .map(|page| (page.len() as u64, wire::answer(200, page.clone())));
    answers.collect()
}

fn pick(answers: &[(u64, Answer)], request: &Bytes, played: &Played) -> Answer {
    played.requests.fetch_add(1, Ordering::Relaxed);
    if let Some(bodies) = &played.bodies {
        bodies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(request.clone());
    }
    let Some((bytes, answer)) = answers.get(page_number(request)) else {
        return wire::error(400, wire::VALIDATION, "NextToken does not match request");
    };
    played.bytes.fetch_add(*bytes, Ordering::Relaxed);
    answer.clone()
}

/// The page that a request's token asks for; without one the first, with a foreign one none.
pub(crate) fn page_number(request: &[u8]) -> usize {
    let text = std::str::from_utf8(request).unwrap_or("");
    match text.rsplit_once(r#""NextToken":"#) {
        None => 0,
        Some((_, after)) => after
            .trim_start_matches([' ', '"'])
            .strip_prefix("page-")
            .and_then(|number| number.split('"').next()?.parse().ok())
            .unwrap_or(usize::MAX),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client;

    const ROW: &str = r#"{"id":{"S":"1"}}"#;

    #[test]
    fn pages_come_in_order_for_every_reader() {
        let pages = chain(&[vec![ROW], vec![], vec![ROW, ROW], vec![]]);
        let server = Replay::recording(&pages).unwrap();
        for reader in ["a", "b"] {
            let mut request = json!({"Statement": reader});
            for page in &pages {
                let reply = client::dynamodb(&server.url(), "ExecuteStatement", &request).unwrap();
                assert_eq!(reply.body, page);
                assert_eq!(
                    reply.header("x-amz-crc32"),
                    crc32fast::hash(page).to_string()
                );
                request["NextToken"] = reply.json()["NextToken"].clone();
            }
            assert!(request["NextToken"].is_null());
        }
        assert_eq!(server.requests(), 8);
        assert_eq!(server.bodies().len(), 8);
        assert_eq!(
            server.bytes(),
            2 * pages.iter().map(|page| page.len() as u64).sum::<u64>()
        );
    }

    #[test]
    fn repeated_lists_make_the_pages_that_a_chain_of_them_would() {
        let lists = [Bytes::from(ROW), Bytes::from(format!("{ROW},{ROW}"))];
        let server = Replay::repeat(&lists, 3, Duration::ZERO).unwrap();
        let pages = chain(&[vec![ROW], vec![ROW, ROW], vec![ROW]]);
        for (number, page) in pages.iter().enumerate() {
            let request = json!({"Statement": "SELECT", "NextToken": token(number)});
            let reply = client::dynamodb(&server.url(), "ExecuteStatement", &request).unwrap();
            assert_eq!(reply.body, page);
            let checksum = crc32fast::hash(page).to_string();
            assert_eq!(reply.header("x-amz-crc32"), checksum);
        }
    }

    #[test]
    fn segments_share_the_repeated_pages() {
        let lists = [Bytes::from(ROW)];
        let server = Replay::repeat(&lists, 5, Duration::ZERO).unwrap();
        let mut n_pages = 0;
        for segment in 0..3 {
            let mut request = json!({"TableName": "t", "TotalSegments": 3, "Segment": segment});
            loop {
                let reply = client::dynamodb(&server.url(), "Scan", &request).unwrap();
                n_pages += reply.json()["Items"].as_array().unwrap().len();
                request["ExclusiveStartKey"] = reply.json()["LastEvaluatedKey"].clone();
                if request["ExclusiveStartKey"].is_null() {
                    break;
                }
            }
        }
        assert_eq!(n_pages, 5);
    }

    #[test]
    fn a_token_of_no_page_is_refused() {
        let server = Replay::start(&chain(&[vec![ROW]]), Duration::ZERO).unwrap();
        for token in ["page-1", "other"] {
            let request = json!({"Statement": "SELECT", "NextToken": token});
            let reply = client::dynamodb(&server.url(), "ExecuteStatement", &request).unwrap();
            assert_eq!(reply.status, 400);
        }
        assert!(server.bodies().is_empty());
    }
}
