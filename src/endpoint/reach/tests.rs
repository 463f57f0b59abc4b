use tokio::{io::AsyncReadExt, sync::mpsc};

use super::*;
use crate::{
    domain::ErrorChain,
    endpoint::testing::{Pki, Server, settings},
};

async fn reached(settings: &Settings) -> Result<(), ReachError> {
    reach(settings, Destination::revoke(settings)).await
}

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
    reached(&settings(&server.url())).await.unwrap();
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
    reached(&settings).await.unwrap();
    assert_eq!(bytes.recv().await, Some((true, vec![])));

    settings.ca_file = Some(other.ca_file());
    let error = reached(&settings).await.unwrap_err();
    assert!(matches!(error, ReachError::Unreachable { label: ResultLabel::Tls, .. }), "{error}");
    let error = ErrorChain(&error).to_string();
    assert!(error.starts_with("tls: ") && error.contains("holds another authority"), "{error}");
    assert_eq!(bytes.recv().await, Some((false, vec![])));
}

#[tokio::test]
async fn an_unreachable_endpoint_is_reported_without_the_url() {
    // RFC 6761 keeps the name from ever being resolved.
    let error = reached(&settings("http://revoker.invalid/hunter2")).await.unwrap_err();
    assert!(matches!(error, ReachError::Unreachable { label: ResultLabel::Connect, .. }));
    let error = ErrorChain(&error).to_string();
    assert!(!error.contains("hunter2"), "{error}");
    assert!(error.contains("the name revoker.invalid cannot be resolved"), "{error}");
}

#[tokio::test]
async fn a_faulty_setting_is_distinguished() {
    let mut settings = settings("http://127.0.0.1:1/revoke");
    settings.proxy = Some("nowhere".into());
    assert!(matches!(reached(&settings).await, Err(ReachError::Client(ClientError::Proxy))));
}

/// A server without TLS, as at the plain port of a broker.
#[tokio::test]
async fn tls_to_a_plain_port_and_a_port_without_a_server_are_named_with_the_cure() {
    let pki = Pki::new("127.0.0.1");
    let server = Server::start(|mut stream| async move {
        stream.read_exact(&mut [0; 8]).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"AMQP\0\0\x09\x01").await.unwrap();
        // A close with unread bytes would reset the connection.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let mut settings = settings(&format!("https://{}/revoke", server.addr));
    settings.ca_file = Some(pki.ca_file());
    let error = reached(&settings).await.unwrap_err().to_string();
    assert!(error.starts_with("tls: 127.0.0.1 does not answer with TLS"), "{error}");
    assert!(error.contains("endpoint.url"), "{error}");

    settings.url = "http://127.0.0.1:1/revoke".parse().unwrap();
    let error = reached(&settings).await.unwrap_err().to_string();
    assert!(error.starts_with("connect: nothing listens at this address"), "{error}");
}

/// Access tokens come from another host, which can be wrong alone.
#[tokio::test]
async fn the_token_endpoint_is_reached_where_there_is_one() {
    let mut settings = settings("http://127.0.0.1:1/revoke");
    assert!(Destination::token(&settings).is_none());
    let server = Server::start(|mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    settings.auth.token_url = Some(server.url().parse().unwrap());
    reach(&settings, Destination::token(&settings).unwrap()).await.unwrap();
    settings.auth.token_url = Some("http://127.0.0.1:1/token".parse().unwrap());
    let error = reach(&settings, Destination::token(&settings).unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("endpoint.auth.token_url"), "{error}");
}
