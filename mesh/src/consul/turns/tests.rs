use tokio::{
    task::{JoinHandle, yield_now},
    time::sleep,
};

use super::*;
use crate::{
    consul::request::Cause,
    error::{Error, ErrorKind},
};

/// How long the agent takes for each answer.
const EACH: Duration = Duration::from_millis(10);

/// An agent that answers each question with the path of it, and notes how many are asked at once.
#[derive(Clone, Debug, Default)]
struct Agent(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    now: usize,
    most: usize,
}

/// Counts one question, however it ends.
struct Asking(Agent);

impl Agent {
    fn begin(&self) -> Asking {
        let mut state = self.0.lock().unwrap();
        state.now += 1;
        state.most = state.most.max(state.now);
        Asking(self.clone())
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().now -= 1;
    }
}

impl Source for Agent {
    fn agent(&self) -> usize {
        0
    }

    async fn ask(&self, _: usize, request: Request) -> Reply {
        let _asking = self.begin();
        sleep(EACH).await;
        match request.path[0].as_str() {
            "none" => Err(Failure { cause: Cause::Unreachable, error: Error::new(ErrorKind::Registry, "no") }),
            path => Ok(Answer { index: Some(5), filtered: false, body: path.to_owned().into() }),
        }
    }

    fn describe(&self) -> String {
        "consul at test".into()
    }
}

/// Asks in a task of its own; returns the answer, and when it came.
async fn ask(turns: &Turns, agent: &Agent, path: &str, before: Before) -> JoinHandle<(Reply, Instant)> {
    let (turns, agent, request) = (turns.clone(), agent.clone(), Request::get(&[path]));
    let asked = tokio::spawn(async move { (turns.ask(&agent, (0, &request), before).await, Instant::now()) });
    yield_now().await;
    asked
}

#[tokio::test(start_paused = true)]
async fn all_are_asked_one_after_the_other_and_each_hears_its_own_answer() {
    let (turns, agent, begin) = (Turns::new(), Agent::default(), Instant::now());
    let names: Vec<_> = (0..50).map(|number| format!("s{number}")).collect();
    let mut asked = Vec::new();
    for name in &names {
        asked.push(ask(&turns, &agent, name, Before::Digest(None)).await);
    }
    for (name, asked) in names.iter().zip(asked) {
        assert_eq!(asked.await.unwrap().0.unwrap().body, name.as_bytes());
    }
    assert_eq!((agent.0.lock().unwrap().most, begin.elapsed()), (1, 50 * EACH));
}

#[tokio::test(start_paused = true)]
async fn news_and_failures_are_told_at_once_and_the_rest_together() {
    let (turns, agent, begin) = (Turns::new(), Agent::default(), Instant::now());
    let mut asked = Vec::new();
    for (name, before) in [
        ("a", Before::Digest(Some(digest(b"a")))),
        ("b", Before::Digest(Some(digest(b"a")))),
        ("none", Before::Index(5)),
        ("c", Before::Index(5)),
        ("d", Before::Index(4)),
    ] {
        asked.push(ask(&turns, &agent, name, before).await);
    }
    let mut told = Vec::new();
    for asked in asked {
        told.push((asked.await.unwrap().1 - begin).as_millis());
    }
    assert_eq!(told, [50, 20, 30, 50, 50]);
}

#[tokio::test(start_paused = true)]
async fn when_the_one_who_asks_for_all_goes_away_the_next_one_does() {
    for gone_after in [5, 15, 25, 35] {
        let (turns, agent) = (Turns::new(), Agent::default());
        let first = ask(&turns, &agent, "first", Before::Digest(None)).await;
        let mut others = Vec::new();
        for name in ["a", "b", "c"] {
            others.push((name, ask(&turns, &agent, name, Before::Digest(Some(digest(name.as_bytes())))).await));
        }
        sleep(Duration::from_millis(gone_after)).await;
        first.abort();
        for (name, other) in others {
            assert_eq!(other.await.unwrap().0.unwrap().body, name.as_bytes(), "{gone_after} ms");
        }
        assert_eq!(agent.0.lock().unwrap().most, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn each_burst_comes_once_in_ten_seconds() {
    let turns = Turns::new();
    for burst in 0..BURSTS {
        let mut now = turns.begin;
        for round in 0..3 {
            let next = turns.next(burst, now);
            // The first burst of all has just begun.
            let rounds = if burst == 0 { round + 1 } else { round };
            assert_eq!(next - turns.begin, APART * burst + APART * BURSTS * rounds, "{burst} {round}");
            assert!(next > now && next - now < Duration::from_secs(10), "{burst} {round}");
            now = next;
        }
    }
}
