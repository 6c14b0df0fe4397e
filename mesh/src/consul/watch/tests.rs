use std::{
    cell::Cell,
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use http::StatusCode;
use serde::{Deserialize, Deserializer};
use tokio::time::timeout;

use super::*;
use crate::consul::{logs::Logs, standing::Standing};

/// An agent in memory: gives the scripted answers at once, and when there are none left waits as it was told and
/// repeats the last.
#[derive(Clone, Debug, Default)]
struct Agent(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Result<Answer, Failure>>,
    last: Answer,
    /// Which of several agents it is.
    agent: usize,
    /// Index and time of each question.
    asked: Vec<(u64, Instant)>,
    /// Whether each was for the index only.
    for_index: Vec<bool>,
}

impl Agent {
    fn new(script: impl IntoIterator<Item = Result<Answer, Failure>>) -> Self {
        Self(Arc::new(Mutex::new(State { script: script.into_iter().collect(), ..State::default() })))
    }

    fn watch(&self, wait: Duration) -> Watch<u64, Self> {
        Watch::new(self.clone(), Request::get(&["some", "thing"]), wait, Standing::new("consul at test").report())
    }

    /// Makes a watch that finds no seat, and the seats that others have.
    fn standing<T: DeserializeOwned>(&self) -> (Watch<T, Self>, Vec<Seat>) {
        let polls = Polls::new();
        let others: Vec<_> = std::iter::from_fn(|| polls.seat(None)).collect();
        let request = Request { nothing: Some("none"), ..Request::get(&["some", "thing"]) };
        let watch = Watch::new(self.clone(), request, WAIT, Standing::new("consul at test").report());
        (watch.seated(polls, None), others)
    }

    fn indexes(&self) -> Vec<u64> {
        self.0.lock().unwrap().asked.iter().map(|&(index, _)| index).collect()
    }

    fn times(&self) -> Vec<Instant> {
        self.0.lock().unwrap().asked.iter().map(|&(_, at)| at).collect()
    }
}

impl Source for Agent {
    fn agent(&self) -> usize {
        self.0.lock().unwrap().agent
    }

    async fn ask(&self, agent: usize, request: Request) -> Result<Answer, Failure> {
        assert_eq!(agent, self.agent());
        let parameter = |name| request.query.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        let index = parameter("index").map_or(0, |text| text.parse().unwrap());
        let next = {
            let mut state = self.0.lock().unwrap();
            state.asked.push((index, Instant::now()));
            state.for_index.push(parameter("filter").is_some());
            let next = state.script.pop_front();
            if let Some(Ok(answer)) = &next {
                state.last = answer.clone();
            }
            next
        };
        if let Some(next) = next {
            return next;
        }
        let wait = parameter("wait").map_or(0, |text| text.strip_suffix("ms").unwrap().parse().unwrap());
        assert!(request.timeout > Duration::from_millis(wait), "the answer may come later than the wait");
        sleep(Duration::from_millis(wait)).await;
        Ok(self.0.lock().unwrap().last.clone())
    }

    fn describe(&self) -> String {
        "consul at test".into()
    }
}

thread_local! {
    static READ: Cell<usize> = const { Cell::new(0) };
}

/// Counts how often it is read.
#[derive(Debug, PartialEq)]
struct Counted(u64);

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        READ.set(READ.get() + 1);
        u64::deserialize(input).map(Self)
    }
}

/// Asks until there is an answer.
async fn answered(watch: &mut Watch<u64, Agent>) -> u64 {
    loop {
        match watch.next().await {
            Ok(answer) => return answer,
            Err(failure) => watch.recover(&failure).await,
        }
    }
}

const WAIT: Duration = Duration::from_secs(55);

fn answer(index: u64, value: u64) -> Result<Answer, Failure> {
    Ok(Answer { index: Some(index), filtered: false, body: value.to_string().into() })
}

fn failure(cause: Cause) -> Result<Answer, Failure> {
    Err(Failure { cause, error: Error::new(ErrorKind::Registry, "no") })
}

#[test]
fn the_index_follows_consuls_rules() {
    for (asked, answered, next) in [
        (0, Some(7), 7),
        (7, Some(7), 7),
        (7, Some(9), 9),
        // Backwards: from the beginning.
        (7, Some(6), 0),
        (7, Some(0), 0),
        // Never 0 after a first answer: the next question would not wait.
        (0, Some(0), 1),
        (0, None, 1),
        (7, None, 0),
    ] {
        assert_eq!(next_index(asked, answered), next, "asked with {asked}, answered {answered:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_keeps_the_index_and_an_agent_that_was_away_is_not_waited_for() {
    let refused = Cause::Status(StatusCode::FORBIDDEN);
    let broken = Cause::Status(StatusCode::INTERNAL_SERVER_ERROR);
    let agent = Agent::new([
        answer(5, 1),
        failure(refused),
        failure(broken),
        Ok(Answer { index: Some(8), filtered: false, body: "{".into() }),
        failure(Cause::Unreachable),
        answer(6, 2),
        answer(7, 3),
    ]);
    let mut watch = agent.watch(WAIT);
    assert_eq!(answered(&mut watch).await, 1);
    assert_eq!(answered(&mut watch).await, 2);
    assert_eq!(answered(&mut watch).await, 3);
    assert_eq!(agent.indexes(), [0, 5, 5, 5, 0, 0, 6]);
}

#[tokio::test(start_paused = true)]
async fn a_lower_index_begins_anew() {
    let agent = Agent::new([answer(9, 1), answer(3, 2), answer(4, 3)]);
    let mut watch = agent.watch(WAIT);
    assert_eq!(answered(&mut watch).await, 1);
    assert_eq!(answered(&mut watch).await, 3, "an older view is no answer: the next one tells");
    answered(&mut watch).await;
    assert_eq!(agent.indexes(), [0, 9, 0, 4]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_the_one_before_is_not_read_again() {
    let agent = Agent::new([answer(5, 1), answer(6, 1), failure(Cause::Unreachable), answer(7, 2), answer(6, 1)]);
    let mut watch = agent.watch(WAIT);
    assert_eq!(watch.heard().await.unwrap(), Some(1));
    assert_eq!(watch.heard().await.unwrap(), None, "another index, and the same");
    let lost = watch.heard().await.unwrap_err();
    watch.recover(&lost).await;
    assert_eq!(watch.heard().await.unwrap(), Some(2));
    // An older view is asked past, and is not what the next answer is compared with.
    agent.0.lock().unwrap().script.push_back(answer(8, 1));
    assert_eq!(watch.heard().await.unwrap(), Some(1));
    assert_eq!(agent.indexes(), [0, 5, 6, 0, 7, 0]);
}

#[tokio::test(start_paused = true)]
async fn in_turn_the_index_is_asked_for_and_nothing_is_read_while_it_stands_still() {
    let agent = Agent::new([answer(5, 1)]);
    let (mut watch, _others) = agent.standing::<Counted>();
    assert_eq!(watch.heard().await.unwrap(), Some(Counted(1)));
    for _ in 0..60 {
        assert_eq!(watch.heard().await.unwrap(), None);
    }
    let whole = agent.0.lock().unwrap().for_index.iter().filter(|for_index| !**for_index).count();
    assert_eq!((agent.indexes(), whole, READ.get()), (vec![0; 61], 1 + 2, 1));
    let gaps: Vec<_> = agent.times().windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| *gap < Duration::from_secs(10)), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn in_turn_another_index_is_asked_after_at_once() {
    let agent = Agent::new([answer(5, 1)]);
    let (mut watch, others) = agent.standing::<u64>();
    watch.in_turn = 0;
    assert_eq!(watch.heard().await.unwrap(), Some(1));
    assert_eq!(watch.heard().await.unwrap(), None);
    agent.0.lock().unwrap().script.push_back(answer(6, 2));
    assert_eq!(watch.heard().await.unwrap(), Some(2));
    let times = agent.times();
    assert_eq!((times.len(), times[2]), (4, times[3]));
    assert_eq!(agent.0.lock().unwrap().for_index, [false, true, true, false]);
    // A lower one is another, too; what an older view says is asked past.
    agent.0.lock().unwrap().script.extend([answer(3, 0), answer(3, 0)]);
    drop(others);
    assert_eq!(watch.heard().await.unwrap(), Some(0), "asked from the beginning");
    assert_eq!(agent.indexes()[4..], [6, 0]);
}

#[tokio::test(start_paused = true)]
async fn an_index_means_nothing_to_another_agent() {
    let agent = Agent::new([answer(9, 1), failure(Cause::Left), answer(3, 2), answer(4, 3)]);
    let mut watch = agent.watch(WAIT);
    assert_eq!(answered(&mut watch).await, 1);
    let left = watch.next().await.unwrap_err();
    watch.recover(&left).await;
    agent.0.lock().unwrap().agent = 1;
    let begin = Instant::now();
    assert_eq!(answered(&mut watch).await, 2, "a lower index of another is news");
    assert_eq!(Instant::now(), begin, "asked at once");
    assert_eq!(answered(&mut watch).await, 3);
    assert_eq!(agent.indexes(), [0, 9, 0, 3]);
}

#[tokio::test(start_paused = true)]
async fn news_is_seen_at_once_and_further_news_a_tenth_of_a_second_later() {
    let agent = Agent::new((5..35).map(|index| answer(index, index)));
    let mut watch = agent.watch(WAIT);
    for _ in 0..30 {
        answered(&mut watch).await;
        watch.was_news();
    }
    let times = agent.times();
    let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| gap.as_millis().abs_diff(100) <= 1), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_watch_asks_past_the_agents_own_view_now_and_then() {
    // The agent's view stands still at 5, a server knows better.
    let still = (0..10).map(|_| answer(5, 1));
    let agent = Agent::new(still.chain([answer(9, 2)]));
    let mut watch = agent.watch(WAIT);
    for _ in 0..10 {
        assert_eq!(answered(&mut watch).await, 1);
    }
    tokio::time::advance(AUDIT).await;
    assert_eq!(answered(&mut watch).await, 2);
    answered(&mut watch).await;
    let indexes = agent.indexes();
    assert_eq!(indexes[9..], [5, 0, 9], "{indexes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_lags_changes_nothing_when_asked_past_the_agents_view() {
    let agent = Agent::new([answer(9, 1), answer(7, 0), answer(10, 2)]);
    let mut watch = agent.watch(WAIT);
    assert_eq!(answered(&mut watch).await, 1);
    tokio::time::advance(AUDIT).await;
    assert_eq!(answered(&mut watch).await, 2);
    assert_eq!(agent.indexes(), [0, 0, 9]);
}

#[tokio::test(start_paused = true)]
async fn an_idle_minute_makes_two_requests_at_most() {
    let agent = Agent::new([answer(5, 1)]);
    let mut watch = agent.watch(WAIT);
    answered(&mut watch).await;
    let _ = timeout(Duration::from_secs(3_600), async {
        loop {
            answered(&mut watch).await;
        }
    })
    .await;
    // The first was answered at once, as is one every ten minutes that goes past the agent's own view.
    let waited = |(index, at)| (index > 0).then_some(at);
    let times: Vec<_> = agent.indexes().into_iter().zip(agent.times()).filter_map(waited).collect();
    assert_eq!(agent.times().len() - times.len(), 1 + 5);
    assert!(times.len() > 60, "an hour of waiting");
    for &begin in &times {
        let minute = begin..begin + Duration::from_secs(60);
        let within = times.iter().filter(|at| minute.contains(at)).count();
        assert!(within <= 2, "{within} requests in a minute");
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_never_waits_does_not_make_the_watch_spin() {
    let agent = Agent::new((1..10_000).map(|index| answer(index, index)));
    let mut watch = agent.watch(WAIT);
    let _ = timeout(Duration::from_secs(10), async {
        loop {
            answered(&mut watch).await;
        }
    })
    .await;
    let asked = agent.indexes().len();
    assert!((10..=60).contains(&asked), "{asked} questions in 10 s");
}

#[tokio::test(start_paused = true)]
async fn failures_are_asked_again_after_a_growing_while() {
    let agent = Agent::new((0..100).map(|_| failure(Cause::Unreachable)));
    let mut watch = agent.watch(WAIT);
    let _ = timeout(Duration::from_secs(60), answered(&mut watch)).await;
    let asked = agent.indexes().len();
    assert!((6..60).contains(&asked), "{asked} questions in a minute of failures");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_was_cut_once_is_no_outage() {
    let logs = Logs::capture();
    let agent = Agent::new([answer(5, 1), failure(Cause::Cut), answer(6, 2), failure(Cause::Cut), answer(7, 3)]);
    let mut watch = agent.watch(WAIT);
    let begin = Instant::now();
    for value in 1..=3 {
        assert_eq!(answered(&mut watch).await, value);
    }
    assert_eq!(Instant::now(), begin, "asked again at once");
    assert_eq!(logs.lines("WARN"), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_cut_again_and_again_is_an_outage() {
    let logs = Logs::capture();
    let cuts = (0..4).map(|_| failure(Cause::Cut));
    let agent = Agent::new([answer(5, 1)].into_iter().chain(cuts).chain([answer(6, 2)]));
    let mut watch = agent.watch(WAIT);
    answered(&mut watch).await;
    answered(&mut watch).await;
    assert_eq!(logs.lines("WARN").len(), 1, "{:?}", logs.lines("WARN"));
    assert_eq!(logs.lines("INFO").len(), 1, "{:?}", logs.lines("INFO"));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_once_with_its_reason() {
    let logs = Logs::capture();
    let refused = || failure(Cause::Status(StatusCode::FORBIDDEN));
    let agent = Agent::new([refused(), refused(), refused(), answer(6, 2)]);
    answered(&mut agent.watch(WAIT)).await;
    let warnings = logs.lines("WARN");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("refuses") && warnings[0].contains("consul at test"), "{warnings:?}");
}

#[tokio::test(start_paused = true)]
async fn what_acls_leave_out_is_told_once() {
    let logs = Logs::capture();
    let partial = |index| Ok(Answer { index: Some(index), filtered: true, body: "1".into() });
    let agent = Agent::new([partial(5), partial(6), partial(7)]);
    let mut watch = agent.watch(WAIT);
    for _ in 0..3 {
        answered(&mut watch).await;
    }
    assert_eq!(logs.lines("WARN").len(), 1, "{:?}", logs.lines("WARN"));
}
