use std::{
    collections::HashMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use hickory_resolver::proto::{
    op::{Message, OpCode, ResponseCode},
    rr::{Name, Record, RecordType, rdata::A},
};
use tokio::{net::UdpSocket, task::JoinHandle, time::timeout};

use super::*;

type Records = HashMap<(String, RecordType), Vec<RData>>;

/// A name server of its own; it ends when dropped.
#[derive(Debug)]
struct Server {
    address: SocketAddr,
    records: Arc<Mutex<Records>>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (address, records) = (socket.local_addr().unwrap(), Arc::default());
        let task = tokio::spawn(serve(socket, Arc::clone(&records)));
        Self { address, records, task }
    }

    fn set(&self, name: &str, record: RecordType, data: Vec<RData>) {
        self.records.lock().unwrap().insert((format!("{name}."), record), data);
    }

    fn addresses(&self, name: &str, last: &[u8]) {
        let data = last.iter().map(|&last| RData::A(A(Ipv4Addr::new(10, 0, 0, last)))).collect();
        self.set(name, RecordType::A, data);
    }

    fn dns(&self, asked: &str, hold: Duration) -> Dns {
        Dns::new(&format!("{}/{asked}", self.address), hold)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(socket: UdpSocket, records: Arc<Mutex<Records>>) {
    let mut buffer = vec![0; 4096];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        let asked = Message::from_vec(&buffer[..length]).unwrap();
        let query = asked.queries[0].clone();
        let key = (query.name().to_utf8().to_lowercase(), query.query_type());
        let found = records.lock().unwrap().get(&key).cloned();
        let mut answer = Message::response(asked.metadata.id, OpCode::Query);
        answer.metadata.response_code = if found.is_some() { ResponseCode::NoError } else { ResponseCode::NXDomain };
        let name = query.name().clone();
        answer.add_query(query);
        let data = found.unwrap_or_default().into_iter();
        answer.add_answers(data.map(|data| Record::from_rdata(name.clone(), 1, data)));
        socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
    }
}

/// Waits for news, and returns ids.
async fn next(followed: &mut Receiver<Instances>) -> Vec<String> {
    timeout(Duration::from_secs(20), followed.changed()).await.expect("news in time").unwrap();
    match &*followed.borrow_and_update() {
        Instances::Unknown => vec!["unknown".into()],
        Instances::Known(list) => list.iter().map(|one| one.id.clone()).collect(),
    }
}

fn offer(priority: u16, port: u16, name: &str) -> RData {
    RData::SRV(SRV::new(priority, 1, port, Name::from_utf8(format!("{name}.")).unwrap()))
}

#[test]
fn urls_say_what_is_asked_and_whom() {
    let server = Some("10.0.0.2:53".parse().unwrap());
    for (text, server, name, port) in [
        ("users.example:80", None, "users.example", Some(80)),
        ("/users.example:80", None, "users.example", Some(80)),
        ("10.0.0.2:53/users.example:80", server, "users.example", Some(80)),
        ("_grpc._tcp.users.example", None, "_grpc._tcp.users.example", None),
        ("10.0.0.2:53/_grpc._tcp.users", server, "_grpc._tcp.users", None),
    ] {
        assert_eq!(target(text), Some(Target { server, name: name.into(), port }), "{text}");
    }
    for bad in ["", "users.example", "users:0", "server/users:80", "a/b/c:80", "_a b"] {
        assert_eq!(target(bad), None, "{bad}");
    }
}

#[tokio::test]
async fn addresses_come_and_go_when_their_time_is_over() {
    let server = Server::start().await;
    server.addresses("users.example", &[8, 7]);
    let dns = server.dns("users.example:80", Duration::ZERO);
    let mut users = dns.instances("");
    assert_eq!(next(&mut users).await, ["10.0.0.7-80", "10.0.0.8-80"]);
    server.addresses("users.example", &[9, 7, 8]);
    assert_eq!(next(&mut users).await, ["10.0.0.7-80", "10.0.0.8-80", "10.0.0.9-80"]);
    server.records.lock().unwrap().clear();
    assert_eq!(next(&mut users).await, Vec::<String>::new(), "a name that does not exist is an answer");
}

#[tokio::test]
async fn a_name_that_leads_nowhere_at_once_leaves_a_last_resort() {
    let server = Server::start().await;
    server.addresses("users.example", &[7]);
    let dns = server.dns("users.example:80", Duration::from_secs(30));
    let mut users = dns.instances("");
    next(&mut users).await;
    server.records.lock().unwrap().clear();
    assert_eq!(next(&mut users).await, ["10.0.0.7-80"]);
    let Instances::Known(list) = users.borrow().clone() else { panic!("known") };
    assert!(list[0].last_resort);
}

#[tokio::test]
async fn services_are_those_of_the_lowest_priority() {
    let server = Server::start().await;
    let offers = vec![offer(2, 3, "c.example"), offer(1, 1, "a.example"), offer(1, 2, "b.example")];
    server.set("_grpc._tcp.users", RecordType::SRV, offers);
    for (last, name) in [(1, "a.example"), (2, "b.example"), (3, "c.example")] {
        server.addresses(name, &[last]);
    }
    let mut users = server.dns("_grpc._tcp.users", Duration::ZERO).instances("");
    assert_eq!(next(&mut users).await, ["10.0.0.1-1", "10.0.0.2-2"]);
}

#[tokio::test]
async fn an_address_needs_no_server() {
    let mut users = Dns::new("127.0.0.1:53/127.0.0.9:80", Duration::ZERO).instances("");
    assert_eq!(next(&mut users).await, ["127.0.0.9-80"]);
}

#[tokio::test]
async fn what_cannot_be_read_has_no_instances_and_says_so() {
    let dns = Dns::new("users.example", Duration::ZERO);
    assert_eq!(*dns.instances("").borrow(), Instances::Known([].into()));
    assert!(dns.describe().contains("expected dns://host:port"), "{}", dns.describe());
}
