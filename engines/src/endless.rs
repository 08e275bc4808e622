//! A server whose every answer never ends: to see that a client stops reading.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// The server; its connections end with their clients.
#[derive(Debug)]
pub struct Endless {
    address: SocketAddr,
    sent: Arc<AtomicU64>,
}

impl Endless {
    /// Answers every request with this status and a body without end.
    ///
    /// # Errors
    /// No port was to be had.
    pub fn start(status: u16) -> io::Result<Endless> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let sent = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&sent);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counter = Arc::clone(&counter);
                thread::spawn(move || answer(stream, status, &counter));
            }
        });
        Ok(Endless { address, sent })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many bytes of bodies were taken from it, by clients and the system's buffers.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

fn answer(mut stream: TcpStream, status: u16, sent: &AtomicU64) {
    let mut request = [0; 64 << 10];
    if !stream.read(&mut request).is_ok_and(|read| read > 0) {
        return;
    }
    let head = format!(
        "HTTP/1.1 {status} Status\r\ncontent-type: application/x-amz-json-1.0\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let mut next = stream.write_all(head.as_bytes());
    while next.is_ok() {
        next = stream.write_all(chunk.as_bytes());
        sent.fetch_add(0x10000, Ordering::Relaxed);
    }
}
