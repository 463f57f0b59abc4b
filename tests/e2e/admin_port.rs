//! Bad connections to the admin port stop no job, and the port answers again afterwards.

use std::{net::SocketAddr, sync::Arc};

use tokio::{net::TcpStream, sync::Semaphore, task::JoinSet};

use crate::harness::{BULK, Endpoint, Message, Stage, token};

/// Connections tried, in all.
const CONNECTIONS: usize = 10_000;
/// Connections tried at a time: few enough for a machine that gives a process a thousand files.
const AT_ONCE: usize = 500;
/// Open connections before the jobs are published: more than the port serves. The others wait for the
/// kernel.
const STANDING: u32 = 100;
/// Jobs that must be revoked meanwhile.
const JOBS: usize = 20;

/// The kinds of bytes that a connection sends before it becomes silent.
fn sayings() -> Vec<Vec<u8>> {
    let texts = [
        "GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(),
        String::new(),
        "GET /metrics HTT".to_owned(),
        format!("GET /livez HTTP/1.1\r\n{}", "x: y\r\n".repeat(4_000)),
        format!("GET /livez HTTP/1.1\r\nx: {}", "y".repeat(24_000)),
        format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a/".repeat(6_000)),
        format!(
            "POST /metrics HTTP/1.1\r\ncontent-length: 1000000000000\r\n\r\n{}",
            "z".repeat(16_000)
        ),
        format!(
            "POST /readyz HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{}",
            "4\r\nzzzz\r\n".repeat(2_000)
        ),
        "PUT /no/such/path HTTP/1.1\r\nexpect: 100-continue\r\n\r\n".to_owned(),
    ];
    let not_http = vec![0x16, 0x03, 0x01, 0xff, 0xff, 0x00];
    texts.into_iter().map(String::into_bytes).chain([not_http]).collect()
}

/// Connects, sends bytes, and stays open as long as the task lives.
async fn stand(admin: SocketAddr, saying: Vec<u8>, connected: Arc<Semaphore>) {
    let Ok(stream) = TcpStream::connect(admin).await else { return };
    // Reset in the end: ten thousand orderly closes would use up the machine's ports.
    let _ = stream.set_zero_linger();
    if stream.writable().await.is_ok() {
        // Sends as much as the kernel accepts. A connection that was cut off has sent enough.
        let _ = stream.try_write(&saying);
    }
    connected.add_permits(1);
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_bad_connections_to_the_admin_port_disturb_no_job() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let worker = stage.run(&endpoint).ready().await;
    let admin = worker.admin().await;
    let sayings = sayings();
    // Its first job shows that the session is under way: a slow broker may have ended one before.
    let every = CONNECTIONS / AT_ONCE * JOBS;
    stage.amqp.publish(BULK, Message::job(&token(every))).await;
    let lost = worker.until_processed("revoked", 1).await.sessions("connection_lost");

    for wave in 0..CONNECTIONS / AT_ONCE {
        let connected = Arc::new(Semaphore::new(0));
        let mut standing = JoinSet::new();
        for n in 0..AT_ONCE {
            let saying = sayings[n % sayings.len()].clone();
            standing.spawn(stand(admin, saying, connected.clone()));
        }
        connected.acquire_many(STANDING).await.unwrap().forget();
        let jobs = wave * JOBS..(wave + 1) * JOBS;
        stage.amqp.publish_all(BULK, jobs.clone().map(|n| Message::job(&token(n)))).await;
        endpoint.until_count(jobs.end + 1).await;
        standing.shutdown().await;
    }

    worker.until_ready().await;
    let metrics = worker.until_processed("revoked", every + 1).await;
    assert_eq!(metrics.processed("revoked"), every + 1);
    assert_eq!(metrics.sessions("connection_lost"), lost);
    assert_eq!(worker.page("/livez").await.status, 200);
    worker.stop().await;
}
