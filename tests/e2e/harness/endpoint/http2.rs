//! HTTP/2, by the library that clients use as well: with refused streams, and connections that are closed with all of
//! their streams.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use h2::{Reason, RecvStream, server, server::SendResponse};
use http::Response;
use tokio::{net::TcpStream, sync::mpsc};
use tokio_rustls::server::TlsStream;

use super::{Answer, Call, Inner, Request};

/// The name of the protocol in the handshake of TLS.
pub(super) const ALPN: &[u8] = b"h2";

/// Takes streams until the connection ends.
pub(super) async fn converse(
    stream: TlsStream<TcpStream>,
    inner: &Arc<Inner>,
) -> Result<(), h2::Error> {
    let mut connection = server::handshake(stream).await?;
    let (send_away, mut asked) = mpsc::channel(1);
    let mut gone = false;
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(accepted) => {
                    let (request, respond) = accepted?;
                    // The connection must be polled meanwhile, or the body never comes.
                    tokio::spawn(answer(request, respond, inner.clone(), send_away.clone()));
                }
                None => return Ok(()),
            },
            Some(()) = asked.recv(), if !gone => {
                gone = true;
                inner.sent_away.fetch_add(1, Ordering::SeqCst);
                connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            }
        }
    }
}

async fn answer(
    request: http::Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    inner: Arc<Inner>,
    send_away: mpsc::Sender<()>,
) -> io::Result<()> {
    let request = read(request).await.map_err(io::Error::other)?;
    let token = request.token();
    let (place, nth) = inner.ledger.arrived(&token);
    let mut answer = (inner.script)(&Call { token, nth, request });
    while let Answer::After(gate, then) = answer {
        gate.passed().await;
        answer = *then;
    }
    match answer {
        Answer::Http { said, status, headers, body } => {
            let head = headers.iter().fold(Response::builder().status(status), |head, header| {
                head.header(header.0, &header.1)
            });
            let head = head.body(()).map_err(io::Error::other)?;
            let mut stream = respond.send_response(head, false).map_err(io::Error::other)?;
            // Before the end of the answer goes out, as in HTTP/1.1.
            inner.ledger.answered(place, Some(said));
            stream.send_data(body.into(), true).map_err(|error| {
                inner.ledger.answered(place, None);
                io::Error::other(error)
            })?;
        }
        Answer::Refuse => respond.send_reset(Reason::REFUSED_STREAM),
        // Other streams may have requested it too: once is enough.
        Answer::GoAway => drop(send_away.try_send(())),
        other => unreachable!("no answer of HTTP/2: {other:?}"),
    }
    Ok(())
}

async fn read(request: http::Request<RecvStream>) -> Result<Request, h2::Error> {
    let (parts, mut stream) = request.into_parts();
    let mut body = Vec::new();
    while let Some(chunk) = stream.data().await {
        let chunk = chunk?;
        stream.flow_control().release_capacity(chunk.len())?;
        body.extend_from_slice(&chunk);
    }
    Ok(Request { head: format!("{} {} HTTP/2", parts.method, parts.uri), body })
}
