use futures::StreamExt as _;
use http_body_util::{BodyExt as _, StreamBody};

use super::*;

fn chunks(sizes: &[usize]) -> Body {
    let frames: Vec<_> = sizes.iter().map(|size| Ok::<_, Status>(Frame::data(vec![7; *size].into()))).collect();
    Body::new(StreamBody::new(futures::stream::iter(frames)))
}

async fn length(body: Body) -> usize {
    body.collect().await.unwrap().to_bytes().len()
}

#[tokio::test]
async fn a_second_attempt_sends_what_the_first_sent_and_the_rest() {
    let memory = Memory::default();
    let replay = Replay::new(chunks(&[10, 20, 30]), memory.clone());
    let mut first = replay.next().unwrap();
    assert_eq!(first.frame().await.unwrap().unwrap().data_ref().unwrap().len(), 10);
    let second = replay.next().unwrap();
    assert_eq!(first.frame().await.unwrap().unwrap_err().code(), tonic::Code::Cancelled);
    assert_eq!(length(second).await, 60);
    assert_eq!(length(replay.next().unwrap()).await, 60);
    drop((replay, first));
    assert_eq!(memory.kept.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_body_larger_than_a_call_may_keep_is_sent_once() {
    let memory = Memory::default();
    let replay = Replay::new(chunks(&[PER_CALL, 1]), memory.clone());
    assert_eq!(length(replay.next().unwrap()).await, PER_CALL + 1);
    assert!(replay.next().is_none());
    assert_eq!(memory.kept.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn nothing_is_kept_when_the_mesh_keeps_enough() {
    let memory = Memory { kept: Arc::new(AtomicUsize::new(PER_MESH)) };
    let replay = Replay::new(chunks(&[1]), memory.clone());
    assert_eq!(length(replay.next().unwrap()).await, 1);
    assert!(replay.next().is_none());
    assert_eq!(memory.kept.load(Ordering::Relaxed), PER_MESH);
}

#[tokio::test]
async fn a_committed_body_still_flows() {
    let (sender, receiver) = futures::channel::mpsc::unbounded::<usize>();
    let frames = receiver.map(|size| Ok::<_, Status>(Frame::data(vec![7; size].into())));
    let replay = Replay::new(Body::new(StreamBody::new(frames)), Memory::default());
    let mut body = replay.next().unwrap();
    sender.unbounded_send(3).unwrap();
    assert!(body.frame().await.unwrap().is_ok());
    replay.commit();
    sender.unbounded_send(4).unwrap();
    assert_eq!(body.frame().await.unwrap().unwrap().data_ref().unwrap().len(), 4);
}

#[tokio::test]
async fn a_second_attempt_that_is_committed_before_it_read_all_still_reads_all() {
    let memory = Memory::default();
    let replay = Replay::new(chunks(&[10, 20, 30]), memory.clone());
    let mut first = replay.next().unwrap();
    for size in [10, 20] {
        assert_eq!(first.frame().await.unwrap().unwrap().data_ref().unwrap().len(), size);
    }
    let mut second = replay.next().unwrap();
    assert_eq!(second.frame().await.unwrap().unwrap().data_ref().unwrap().len(), 10);
    replay.commit();
    assert_eq!(length(second).await, 50);
    assert_eq!(memory.kept.load(Ordering::Relaxed), 0);
    assert!(replay.next().is_none());
}

#[tokio::test]
async fn attempts_beside_one_another_each_send_all_of_it_as_it_comes() {
    let (sender, receiver) = futures::channel::mpsc::unbounded::<usize>();
    let frames = receiver.map(|size| Ok::<_, Status>(Frame::data(vec![7; size].into())));
    let replay = Replay::new(Body::new(StreamBody::new(frames)), Memory::default());
    let (one, other, left) = (replay.beside().unwrap(), replay.beside().unwrap(), replay.beside().unwrap());
    let reading = [tokio::spawn(length(one)), tokio::spawn(length(other))];
    let waiting = tokio::spawn(length(left));
    for size in [1, 2, 3] {
        sender.unbounded_send(size).unwrap();
        tokio::task::yield_now().await;
    }
    waiting.abort();
    assert!(waiting.await.is_err());
    drop(sender);
    for reading in reading {
        assert_eq!(reading.await.unwrap(), 6);
    }
}

#[tokio::test]
async fn what_is_too_large_to_keep_goes_on_with_the_attempt_that_is_ahead() {
    let replay = Replay::new(chunks(&[10, PER_CALL, 1]), Memory::default());
    let (ahead, mut behind) = (replay.beside().unwrap(), replay.beside().unwrap());
    assert!(behind.frame().await.unwrap().is_ok());
    assert_eq!(length(ahead).await, PER_CALL + 11);
    assert!(replay.is_committed() && replay.beside().is_none());
    assert_eq!(behind.frame().await.unwrap().unwrap_err().code(), tonic::Code::Cancelled);
}
