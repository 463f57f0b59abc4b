//! TLS, with a private authority. Its servers prefer HTTP/2 wherever it is offered.

use http::Version;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::endpoint::testing::Pki;

/// A server that answers in HTTP/1.1 and reports which protocol each connection agreed on.
async fn tls_server(acceptor: TlsAcceptor) -> (Server, mpsc::Receiver<Option<Vec<u8>>>) {
    let (agreed, agreements) = mpsc::channel(8);
    let server = Server::start(move |stream| {
        let (acceptor, agreed) = (acceptor.clone(), agreed.clone());
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let protocol = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
            agreed.send(protocol).await.unwrap();
            read_request(&mut stream).await.unwrap();
            stream.write_all(success().as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    })
    .await;
    (server, agreements)
}

fn secure(server: &Server, pki: &Pki) -> Settings {
    let mut settings = settings(&format!("https://{}/revoke", server.addr));
    settings.ca_file = Some(pki.ca_file());
    settings
}

#[tokio::test]
async fn a_private_authority_is_trusted_where_it_is_given_and_http_2_is_not_offered() {
    let pki = Pki::new("127.0.0.1");
    let (server, mut agreements) = tls_server(pki.acceptor()).await;
    assert_eq!(call(&endpoint(&secure(&server, &pki))).await, Verdict::Revoked);
    assert_eq!(agreements.recv().await.unwrap().as_deref(), Some(b"http/1.1".as_slice()));
}

#[tokio::test]
async fn an_unknown_authority_is_refused_before_anything_is_sent() {
    let pki = Pki::new("127.0.0.1");
    let (server, mut agreements) = tls_server(pki.acceptor()).await;
    let other = Pki::new("127.0.0.1");
    let settings = secure(&server, &other);
    assert_eq!(call(&endpoint(&settings)).await, transport_failure(ResultLabel::Tls, false, None));
    assert_eq!(server.connections(), 1);
    assert!(agreements.try_recv().is_err());
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused_and_named_as_the_cause() {
    let pki = Pki::new("elsewhere.example");
    let (server, _agreements) = tls_server(pki.acceptor()).await;
    let settings = secure(&server, &pki);
    let verdict = endpoint(&settings).revoke(&job(), None).await.unwrap();
    let Verdict::Transient(failure) = &verdict else { panic!("{verdict:?}") };
    assert_eq!(failure.class, FailureClass::Certificate);
    assert_eq!(without_class(verdict), transport_failure(ResultLabel::Tls, false, None));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_peer_that_speaks_no_tls_or_hangs_up_in_the_handshake_was_not_sent_anything() {
    let pki = Pki::new("127.0.0.1");
    for greeting in ["SSH-2.0-OpenSSH_9.6\r\n", ""] {
        let server = Server::start(move |mut stream| async move {
            // Reads the client's first bytes, so that hanging up ends the stream without a reset.
            let mut hello = [0; 4096];
            assert!(stream.read(&mut hello).await.unwrap() > 0);
            stream.write_all(greeting.as_bytes()).await.unwrap();
        })
        .await;
        let settings = secure(&server, &pki);
        let verdict = call(&endpoint(&settings)).await;
        assert_eq!(verdict, transport_failure(ResultLabel::Tls, false, None), "{greeting}");
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn a_handshake_that_hangs_is_a_connect_time_out() {
    let pki = Pki::new("127.0.0.1");
    let server = Server::start(|mut stream| async move {
        // Listens and says nothing until the client gives up.
        while stream.read_u8().await.is_ok() {}
    })
    .await;
    let mut settings = secure(&server, &pki);
    settings.connect_timeout = Duration::from_millis(200);
    assert_eq!(
        call(&endpoint(&settings)).await,
        transport_failure(ResultLabel::Connect, false, None)
    );
    assert_eq!(server.connections(), 1);
}

/// A proxy that reads the head of one CONNECT, sends `answer`, and then acts as the endpoint with TLS.
async fn tunnel(answer: &'static str, pki: &Pki) -> (Server, mpsc::Receiver<String>) {
    let (seen, heads) = mpsc::channel(1);
    let acceptor = pki.acceptor();
    let server = Server::start(move |mut stream| {
        let (acceptor, seen) = (acceptor.clone(), seen.clone());
        async move {
            seen.send(read_request(&mut stream).await.unwrap().0).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let (head, _) = read_request(&mut stream).await.unwrap();
            assert!(
                head.starts_with("POST /revoke HTTP/1.1\r\n") && !head.contains("proxy-"),
                "{head}"
            );
            stream.write_all(success().as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    })
    .await;
    (server, heads)
}

#[tokio::test]
async fn a_call_over_tls_goes_through_a_tunnel_that_shows_the_proxy_only_the_host() {
    let pki = Pki::new("endpoint.example");
    let (proxy, mut heads) = tunnel("HTTP/1.1 200 Connection established\r\n\r\n", &pki).await;
    let mut settings = settings("https://endpoint.example/revoke");
    settings.ca_file = Some(pki.ca_file());
    settings.proxy = Some(format!("http://u:p@{}", proxy.addr).into());
    assert_eq!(call(&endpoint(&settings)).await, Verdict::Revoked);
    let head = heads.recv().await.unwrap();
    let mut lines: Vec<_> = head.trim_end().lines().map(str::to_ascii_lowercase).collect();
    assert_eq!(lines.remove(0), "connect endpoint.example:443 http/1.1");
    lines.sort_unstable();
    let agent = format!("user-agent: revoker/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        lines,
        ["host: endpoint.example:443", "proxy-authorization: basic dtpw", agent.as_str()]
    );
}

#[tokio::test]
async fn a_proxy_that_refuses_the_tunnel_was_not_sent_anything() {
    let pki = Pki::new("endpoint.example");
    let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
    let (proxy, mut heads) = tunnel(refusal, &pki).await;
    let mut settings = settings("https://endpoint.example/revoke");
    settings.ca_file = Some(pki.ca_file());
    settings.proxy = Some(format!("http://{}", proxy.addr).into());
    let verdict = call(&endpoint(&settings)).await;
    assert_eq!(verdict, transport_failure(ResultLabel::Connect, false, None));
    assert!(heads.recv().await.is_some());
}

#[tokio::test]
async fn http_2_is_spoken_where_it_is_enabled_and_shares_a_connection() {
    let pki = Pki::new("127.0.0.1");
    let acceptor = pki.acceptor();
    let (seen, mut versions) = mpsc::channel(8);
    let server = Server::start(move |stream| {
        let (acceptor, seen) = (acceptor.clone(), seen.clone());
        async move {
            let stream = acceptor.accept(stream).await.unwrap();
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                seen.send(request.version()).await.unwrap();
                let body = success().split_once("\r\n\r\n").unwrap().1.to_owned();
                let mut stream = respond.send_response(http::Response::new(()), false).unwrap();
                stream.send_data(body.into(), true).unwrap();
            }
        }
    })
    .await;
    let mut settings = secure(&server, &pki);
    settings.http2 = true;
    let endpoint = endpoint(&settings);
    assert_eq!(call(&endpoint).await, Verdict::Revoked);
    assert_eq!(call(&endpoint).await, Verdict::Revoked);
    assert_eq!(versions.recv().await, Some(Version::HTTP_2));
    assert_eq!(server.connections(), 1);
}

/// An HTTP/2 server can send a reason when it closes. It may echo the request there, and the client's error repeats it.
#[tokio::test]
async fn a_goaway_that_echoes_the_token_does_not_show_it_in_the_log() {
    /// Section 6.8 of RFC 9113: no stream was processed, and the error code is internal.
    const GOAWAY: [u8; 17] = [0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
    /// Section 6.5: nothing is set.
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let pki = Pki::new("127.0.0.1");
    let acceptor = pki.acceptor();
    let server = Server::start(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(stream).await.unwrap();
            stream.write_all(&SETTINGS).await.unwrap();
            let mut sent = Vec::new();
            while !sent.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes()) {
                stream.read_buf(&mut sent).await.unwrap();
            }
            let echo = format!("no such token: {TOKEN}");
            let mut frame = GOAWAY;
            frame[2] = u8::try_from(GOAWAY.len() - SETTINGS.len() + echo.len()).unwrap();
            stream.write_all(&[&frame, echo.as_bytes()].concat()).await.unwrap();
            // Until the client has read it.
            while stream.read_u8().await.is_ok() {}
        }
    })
    .await;
    let mut settings = secure(&server, &pki);
    settings.http2 = true;
    let (endpoint, job) = (endpoint(&settings), job());
    let body = request::body(&job, CLIENT_ID, &CLIENT_SECRET.into()).unwrap();
    let sent = endpoint.clients.take().request(endpoint.request(body, None)).await;
    let error = CallError::from(sent.unwrap_err());
    let raw = ErrorChain(&error).to_string();
    assert!(raw.contains(TOKEN), "the fault did not happen: {raw}");
    let call = CallInfo { redactor: job.redactor(), trace: None };
    let told = call.redacted(&error);
    assert!(!told.contains(TOKEN) && told.contains("no such token: [redacted]"), "{told}");
}
