//! Reads the field of a request by which its call is hashed, before the call goes anywhere.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Buf as _, Bytes, BytesMut};
use futures::FutureExt as _;
use http_body::Frame;
use http_body_util::BodyExt as _;
use tonic::{Status, body::Body};
use tower::Layer;

use crate::{
    client::{AnswerFuture, Stop, call::Call, key::hash},
    policy::{hash_field::HashField, live::Live},
};

/// Most bytes of a request that are waited for: what comes later hashes nothing.
const MOST: usize = 64 * 1024;
/// The flag and the length before each message.
const PREFIX: usize = 5;

/// Hashes calls by a field of their first message.
#[derive(Debug)]
pub(crate) struct ByField<S> {
    inner: Arc<S>,
    policy: Live,
}

/// Makes [`ByField`].
#[derive(Clone, Debug)]
pub(crate) struct FieldLayer {
    policy: Live,
}

impl FieldLayer {
    pub(crate) fn new(policy: Live) -> Self {
        Self { policy }
    }
}

impl<S> Layer<S> for FieldLayer {
    type Service = ByField<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ByField { inner: Arc::new(inner), policy: self.policy.clone() }
    }
}

impl<S: Stop> Stop for ByField<S> {
    fn call(&self, mut call: Call) -> AnswerFuture {
        let field = call.route.policy.hash_field.value.filter(|_| self.policy.load().balance.is_by_hash());
        let Some(field) = field else { return self.inner.call(call) };
        let inner = Arc::clone(&self.inner);
        async move {
            let (found, body) = peek(std::mem::take(&mut call.body), field).await;
            (call.hash, call.body) = (found.or(call.hash), body);
            inner.call(call).await
        }
        .boxed()
    }
}

/// Reads a body until its first message is whole; returns the hash of the field, and the body as it was.
async fn peek(mut body: Body, field: HashField) -> (Option<u64>, Body) {
    let (mut frames, mut bytes, mut found) = (VecDeque::new(), BytesMut::new(), None);
    while bytes.len() <= MOST {
        let Some(frame) = body.frame().await else { break };
        let data = frame.as_ref().ok().and_then(Frame::data_ref);
        bytes.extend_from_slice(data.map_or(&[][..], |data| data));
        // An error is for who sends the body.
        let ends = data.is_none();
        frames.push_back(frame);
        if let Some(message) = first_message(&bytes) {
            found = field.find(message).map(hash);
            break;
        }
        if ends {
            break;
        }
    }
    (found, Body::new(Peeked { frames, rest: body }))
}

/// Returns the first message if it is whole; one that is compressed is not read.
fn first_message(bytes: &[u8]) -> Option<&[u8]> {
    let (mut prefix, rest) = bytes.split_at_checked(PREFIX)?;
    let compressed = prefix.get_u8() != 0;
    let message = rest.get(..usize::try_from(prefix.get_u32()).ok()?)?;
    Some(if compressed { &[] } else { message })
}

/// A body of which some was read.
#[derive(Debug)]
struct Peeked {
    frames: VecDeque<Result<Frame<Bytes>, Status>>,
    rest: Body,
}

impl http_body::Body for Peeked {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        match this.frames.pop_front() {
            Some(frame) => Poll::Ready(Some(frame)),
            None => Pin::new(&mut this.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && self.rest.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http_body_util::StreamBody;

    use super::*;
    use crate::{
        client::tests::mock::{self, Mock},
        policy::{
            cluster::{Balance, ClusterPolicy},
            method::MethodPolicy,
        },
    };

    /// A message whose field 1 is this text.
    fn message(text: &str, flag: u8) -> Vec<u8> {
        let inner = [&[0x0a, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        [&[flag], &u32::try_from(inner.len()).unwrap().to_be_bytes()[..], &inner].concat()
    }

    /// Sends a body in these pieces; returns the hash that came below, and the bytes.
    async fn sent(balance: Balance, pieces: Vec<Vec<u8>>) -> (Option<u64>, Vec<u8>) {
        let seen = Arc::new(Mutex::new(None));
        let noted = Arc::clone(&seen);
        let mock = Mock::new(move |call, _| {
            let noted = Arc::clone(&noted);
            async move {
                let bytes = call.body.collect().await.unwrap().to_bytes().to_vec();
                *noted.lock().unwrap() = Some((call.hash, bytes));
                mock::ok()
            }
            .boxed()
        });
        let field = serde_json::from_str("\"1\"").unwrap();
        let mut call = mock::call_with(&MethodPolicy { hash_field: Some(field), ..MethodPolicy::default() });
        let frames = pieces.into_iter().map(|piece| Ok::<_, Status>(Frame::data(Bytes::from(piece))));
        call.body = Body::new(StreamBody::new(futures::stream::iter(frames)));
        call.hash = Some(7);
        let policy = ClusterPolicy { balance, ..ClusterPolicy::default() };
        FieldLayer::new(policy.into()).layer(mock).call(call).await.unwrap();
        seen.lock().unwrap().take().unwrap()
    }

    #[tokio::test]
    async fn a_call_is_hashed_by_the_field_of_its_first_message_however_that_comes() {
        let (ada, bob) = (message("ada", 0), message("bob", 0));
        let whole = [ada.clone(), bob.clone()].concat();
        for pieces in
            [vec![whole.clone()], vec![ada.clone(), bob.clone()], whole.iter().map(|byte| vec![*byte]).collect()]
        {
            assert_eq!(sent(Balance::RingHash, pieces).await, (Some(hash(b"ada")), whole.clone()));
        }
        assert_eq!(sent(Balance::Maglev, vec![bob.clone()]).await.0, Some(hash(b"bob")));
        assert_eq!(sent(Balance::PeakEwma, vec![bob.clone()]).await, (Some(7), bob), "it is not called by hash");
    }

    #[tokio::test]
    async fn what_has_no_field_that_can_be_read_keeps_the_hash_of_its_headers() {
        let mut large = message("ada", 0);
        large[1..5].copy_from_slice(&1_000_000u32.to_be_bytes());
        large.resize(5 + 1_000_000, 0);
        for body in [vec![], message("ada", 1), message("", 0)[..3].to_vec(), large] {
            let pieces: Vec<_> = body.chunks(16 * 1024).map(<[u8]>::to_vec).collect();
            let (hash, bytes) = sent(Balance::RingHash, pieces).await;
            assert_eq!(hash, Some(7));
            assert!(bytes == body, "{} bytes came of {}", bytes.len(), body.len());
        }
    }
}
