//! Serving the socket: who may speak, how many at once, and how it ends.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

use crate::socket::Socket;

/// Connections served at once; others wait in the kernel. A node has some hundred containers, each with one call at a
/// time; a process may have 1024 files open unless told otherwise.
const MAX_CONNECTIONS: usize = 512;

/// A connection that says nothing for so long is closed: the plugin says all that it has to say at once, and a process that
/// is frozen between connecting and speaking must not keep a slot.
const SPEAK_WITHIN: Duration = Duration::from_secs(3);

/// One that has spoken, and on which nothing comes or goes for so long, is closed, too. No call takes as long.
const SILENT_FOR: Duration = Duration::from_mins(2);

/// How long calls under way may take after the end was asked for. Each has a shorter deadline of its own.
pub const DRAIN_LIMIT: Duration = Duration::from_secs(15);

/// How long to wait after `accept` failed, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Everything that is told to a caller who may not speak.
const FORBIDDEN: &[u8] = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Serves `router` until `shutdown` resolves: then no call is accepted any more, those under way have [`DRAIN_LIMIT`] to
/// finish, and the socket is removed.
///
/// Root may speak, and the user the daemon runs as; others get 403.
pub async fn serve(
    socket: Socket,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let own = nix::unistd::geteuid().as_raw();
    serve_those(socket, router, shutdown, move |uid| uid == 0 || uid == own, SPEAK_WITHIN).await
}

async fn serve_those(
    mut socket: Socket,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
    admits: impl Fn(u32) -> bool + Send + 'static,
    speak_within: Duration,
) -> io::Result<()> {
    let inner = UnixListener::from_std(socket.take_listener())?;
    let listener = Gate { inner, slots: Arc::new(Semaphore::new(MAX_CONNECTIONS)), admits, speak_within };
    let (asked, ending) = tokio::sync::oneshot::channel::<()>();
    let served = axum::serve(listener, router).with_graceful_shutdown(async move {
        shutdown.await;
        let _ = asked.send(());
    });
    tokio::select! {
        result = async { served.await } => result,
        () = async {
            let _ = ending.await;
            sleep(DRAIN_LIMIT).await;
        } => {
            tracing::warn!(seconds = DRAIN_LIMIT.as_secs(), "calls under way did not finish in time and were dropped");
            Ok(())
        }
    }
    // The socket is dropped here, and with it the file.
}

/// Lets in those who may speak, and so many of them at once.
struct Gate<A> {
    inner: UnixListener,
    slots: Arc<Semaphore>,
    admits: A,
    speak_within: Duration,
}

impl<A: Fn(u32) -> bool + Send + 'static> Listener for Gate<A> {
    type Io = Admitted;
    type Addr = ();

    async fn accept(&mut self) -> (Admitted, ()) {
        loop {
            let slot = self.slots.clone().acquire_owned().await.expect("the semaphore is never closed");
            match self.inner.accept().await {
                Ok((stream, _)) => match stream.peer_cred() {
                    Ok(peer) if (self.admits)(peer.uid()) => {
                        let silent_until = Box::pin(sleep(self.speak_within));
                        return (Admitted { stream, silent_until, _slot: slot }, ());
                    }
                    Ok(peer) => turn_away(stream, peer.uid()).await,
                    Err(error) => tracing::warn!(%error, "a caller without credentials was turned away"),
                },
                Err(error) => {
                    tracing::error!(%error, "no call can be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

async fn turn_away(stream: UnixStream, uid: u32) {
    tracing::warn!(uid, "a caller was turned away: only root may speak");
    // A fresh socket takes these bytes at once; whether they are read is the caller's business.
    if stream.writable().await.is_ok() {
        let _ = stream.try_write(FORBIDDEN);
    }
}

/// A connection and its slot.
struct Admitted {
    stream: UnixStream,
    silent_until: Pin<Box<Sleep>>,
    _slot: OwnedSemaphorePermit,
}

impl Admitted {
    /// Something came or went.
    fn heard(&mut self) {
        self.silent_until.as_mut().reset(Instant::now() + SILENT_FOR);
    }
}

impl AsyncRead for Admitted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Pending if self.silent_until.as_mut().poll(cx).is_ready() => {
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Pending => Poll::Pending,
            read @ Poll::Ready(_) => {
                self.heard();
                read
            }
        }
    }
}

impl AsyncWrite for Admitted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.heard();
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.heard();
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
