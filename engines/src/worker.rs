//! One engine's thread and runtime: takes a future to serve, runs it until the handle is dropped, and leaves
//! neither a thread nor an open socket behind.
//!
//! Every task that the served future spawns lives on the same runtime, so dropping the runtime closes every
//! connection, also those in the middle of an answer.

use std::{
    future::Future,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    thread::JoinHandle,
    time::Duration,
};

use tokio::{net::TcpStream, sync::oneshot};

/// A running engine thread; dropping it stops the engine and waits until its thread is gone.
#[derive(Debug)]
pub(crate) struct Worker {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Runs `serve` (called on the new thread, inside its runtime) until the handle is dropped.
    ///
    /// # Errors
    /// The operating system gave no thread or no runtime.
    pub(crate) fn spawn<Serve, Served>(name: &str, serve: Serve) -> io::Result<Worker>
    where
        Serve: FnOnce() -> Served + Send + 'static,
        Served: Future<Output = ()>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = serve() => {}
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Worker {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The receiver resolves when its sender is gone; nothing needs to be sent.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic on that thread has been printed by the panic hook; a second one here would abort.
            let _ = thread.join();
        }
    }
}

/// A listener on loopback at a free port, ready to be handed to a tokio runtime, and its address.
///
/// # Errors
/// No port could be bound.
pub(crate) fn listen() -> io::Result<(TcpListener, SocketAddr)> {
    listen_at(0)
}

/// The same at this port.
///
/// # Errors
/// The port is in use.
pub(crate) fn listen_at(port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Accepts connections for good, each answered by a task of its own.
pub(crate) async fn accept<Answered>(listener: TcpListener, answer: impl Fn(TcpStream) -> Answered)
where
    Answered: Future<Output = ()> + Send + 'static,
{
    let listener =
        tokio::net::TcpListener::from_std(listener).expect("the listener is non-blocking");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Small answers must not wait for the peer's acknowledgement.
                let _ = stream.set_nodelay(true);
                tokio::spawn(answer(stream));
            }
            // Out of file handles, most likely: let some close rather than spin.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
