use tokio::{io::AsyncReadExt, sync::mpsc};

use super::*;
use crate::{
    domain::ErrorChain,
    endpoint::testing::{Pki, Server, settings},
};

#[tokio::test]
async fn plain_http_is_reached_without_a_byte() {
    let (seen, mut bytes) = mpsc::channel(1);
    let server = Server::start(move |mut stream| {
        let seen = seen.clone();
        async move {
            let mut sent = Vec::new();
            stream.read_to_end(&mut sent).await.unwrap();
            seen.send(sent).await.unwrap();
        }
    })
    .await;
    reach(&settings(&server.url())).await.unwrap();
    assert_eq!(bytes.recv().await, Some(vec![]));
}

#[tokio::test]
async fn tls_is_reached_with_the_right_authority_only_and_nothing_is_sent_through_it() {
    let (pki, other) = (Pki::new("127.0.0.1"), Pki::new("127.0.0.1"));
    let (seen, mut bytes) = mpsc::channel(2);
    let acceptor = pki.acceptor();
    let server = Server::start(move |stream| {
        let (acceptor, seen) = (acceptor.clone(), seen.clone());
        async move {
            let mut sent = Vec::new();
            let shaken = acceptor.accept(stream).await;
            let agreed = shaken.is_ok();
            if let Ok(mut stream) = shaken {
                // The client closes the connection without `close_notify`, which rustls reports as an error.
                let _ = stream.read_to_end(&mut sent).await;
            }
            seen.send((agreed, sent)).await.unwrap();
        }
    })
    .await;
    let mut settings = settings(&format!("https://{}/revoke", server.addr));
    settings.ca_file = Some(pki.ca_file());
    reach(&settings).await.unwrap();
    assert_eq!(bytes.recv().await, Some((true, vec![])));

    settings.ca_file = Some(other.ca_file());
    let error = reach(&settings).await.unwrap_err();
    assert!(matches!(error, ReachError::Unreachable { label: ResultLabel::Tls, .. }), "{error}");
    let error = ErrorChain(&error).to_string();
    assert!(error.starts_with("tls: ") && error.contains("certificate"), "{error}");
    assert_eq!(bytes.recv().await, Some((false, vec![])));
}

#[tokio::test]
async fn an_unreachable_endpoint_is_reported_without_the_url() {
    // RFC 6761 keeps the name from ever being resolved.
    let error = reach(&settings("http://revoker.invalid/hunter2")).await.unwrap_err();
    assert!(matches!(error, ReachError::Unreachable { label: ResultLabel::Connect, .. }));
    let error = ErrorChain(&error).to_string();
    assert!(!error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_faulty_setting_is_distinguished() {
    let mut settings = settings("http://127.0.0.1:1/revoke");
    settings.proxy = Some("nowhere".into());
    assert!(matches!(reach(&settings).await, Err(ReachError::Client(ClientError::Proxy))));
}
