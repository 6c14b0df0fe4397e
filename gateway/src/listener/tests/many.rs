//! Many connections at once.

use super::*;

/// In memory: the system's files are not what is tested.
#[tokio::test(start_paused = true)]
async fn ten_thousand_idle_connections_are_borne_and_closed_in_time() {
    const GET: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    let gateway = Arc::new(pipeline(&shop()));
    let builder = Arc::new(builder(&gateway.limits));
    let graceful = GracefulShutdown::new();
    let open = || {
        let (client, server) = tokio::io::duplex(1024);
        tokio::spawn(connection(server, Arc::clone(&builder), Arc::clone(&gateway), graceful.watcher()));
        client
    };
    let mut idle = Vec::new();
    for _ in 0..10_000 {
        let mut client = open();
        client.write_all(GET).await.unwrap();
        client.read_exact(&mut [0; 17]).await.unwrap();
        idle.push(client);
    }
    let mut another = open();
    another.write_all(GET).await.unwrap();
    let mut answer = [0; 15];
    another.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    assert_eq!(graceful.count(), 10_001);
    for mut client in idle {
        client.read_to_end(&mut Vec::new()).await.unwrap();
    }
}
