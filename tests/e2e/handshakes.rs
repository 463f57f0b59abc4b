//! A broker that closes a connection during the handshake.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::harness::{BULK, Endpoint, Message, Stage, token};

/// The broker closes the connection at each step of the handshake, as a stopping broker does. The worker tries again at
/// once, with any time-out.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_hangs_up_in_the_handshake_is_tried_again() {
    /// The number of broker frames that the first connections get: none, its start, its start and tuning.
    const FRAMES: [usize; 3] = [0, 1, 2];
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    stage.amqp.declare_family().await;
    stage.amqp.publish(BULK, Message::job(&token(1))).await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let mut url = stage.host.worker_url();
    url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
    let broker = stage.broker_address();
    let hung_up = Arc::new(AtomicUsize::new(0));
    let count = hung_up.clone();
    let serving = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        let mut frames = FRAMES.into_iter();
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let (frames, count) = (frames.next(), count.clone());
            connections.spawn(async move {
                let _ = pass_on(client, broker, frames, &count).await;
            });
        }
    });

    let launch = stage.run(&endpoint).set("broker.url", url);
    let worker = launch.set("broker.connect_timeout", "60s").ready().await;
    worker.until_processed("revoked", 1).await;
    assert_eq!(hung_up.load(Ordering::SeqCst), FRAMES.len(), "the fault happened");
    worker.stop().await;
    serving.abort();
}

/// Passes on all data to the broker, and this many frames from it, or all. Then it hangs up, and waits for the other
/// side to do so.
async fn pass_on(
    mut client: TcpStream,
    broker: SocketAddr,
    frames: Option<usize>,
    hung_up: &AtomicUsize,
) -> io::Result<()> {
    /// Type, channel and length.
    const HEAD: usize = 7;
    let mut server = TcpStream::connect(broker).await?;
    let Some(frames) = frames else {
        return tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop);
    };
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let answers = async {
        for _ in 0..frames {
            let mut head = [0; HEAD];
            from_server.read_exact(&mut head).await?;
            let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
            // The payload, and the octet that ends the frame.
            let mut rest = vec![0; length as usize + 1];
            from_server.read_exact(&mut rest).await?;
            to_client.write_all(&[&head[..], &rest].concat()).await?;
        }
        to_client.shutdown().await?;
        hung_up.fetch_add(1, Ordering::SeqCst);
        Ok(())
    };
    let (_, answered) = tokio::join!(tokio::io::copy(&mut from_client, &mut to_server), answers);
    answered
}
