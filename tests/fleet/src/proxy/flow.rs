//! The way back of an answer: at once, late, or held.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::stream::{self, Stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Body, Bytes, Frame};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::{Instant, sleep_until};

use super::{Request, State};

pub(super) type Answer = BoxBody<Bytes, hyper::Error>;

/// An event that ends a watch as a compacted history does.
const EXPIRED: &str = concat!(
    r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","#,
    r#""message":"too old resource version","reason":"Expired","code":410}}"#,
    "\n"
);

type Late = (Instant, Result<Frame<Bytes>, hyper::Error>);

/// A watch's events, each as late as the proxy's latency wants it, in their order.
pub(super) fn watch<B>(body: B, request: Request, state: &Arc<State>) -> Answer
where
    B: Body<Data = Bytes, Error = hyper::Error> + Send + Unpin + 'static,
{
    let (sender, receiver) = mpsc::unbounded_channel::<Late>();
    let (mut body, reader) = (body, Arc::clone(state));
    let mut expiry = state.expiry.subscribe();
    let about = request.clone();
    tokio::spawn(async move {
        loop {
            let (frame, last) = tokio::select! {
                frame = body.frame() => match frame {
                    Some(frame) => (frame, false),
                    None => break,
                },
                Ok(which) = expiry.recv() => {
                    if !which.matches(&about) {
                        continue;
                    }
                    (Ok(Frame::data(Bytes::from_static(EXPIRED.as_bytes()))), true)
                }
                // Otherwise the API server would feed a watch of which nobody listens any more.
                () = sender.closed() => break,
            };
            let due = Instant::now() + reader.faults().latency;
            if sender.send((due, frame)).is_err() || last {
                break;
            }
        }
    });
    BodyExt::boxed(StreamBody::new(paced(receiver, request, Arc::clone(state))))
}

type Paced = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, hyper::Error>> + Send + Sync>>;

fn paced(receiver: UnboundedReceiver<Late>, request: Request, state: Arc<State>) -> Paced {
    Box::pin(stream::unfold((receiver, request, state), |(mut receiver, request, state)| async move {
        let (due, frame) = receiver.recv().await?;
        sleep_until(due).await;
        let mut held = state.held.subscribe();
        while state.faults().holds(&request) {
            held.changed().await.ok()?;
        }
        Some((frame, (receiver, request, state)))
    }))
}
