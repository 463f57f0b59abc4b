//! The connections of the relay, and each of their two directions.

use std::io;

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    Frame, Way, confirms::Confirms, frames::Frames, garble::Garble, held::Greeting, line::Wire,
    passage::Passage,
};

/// Relays each connection until `closing`.
pub(super) async fn serve(listener: TcpListener, passage: Passage, closing: CancellationToken) {
    // Dropped with this task, and with it every connection.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = closing.cancelled() => break,
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                connections.spawn(relay(client, passage.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn relay(mut client: TcpStream, passage: Passage) {
    let mut resets = passage.resets.subscribe();
    let (mut to_holes, mut from_holes) = (passage.holes.subscribe(), passage.holes.subscribe());
    if *passage.swallows_new.borrow() {
        to_holes.mark_changed();
        from_holes.mark_changed();
    }
    let target = *passage.target.borrow();
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    // Unless both directions end in order, both sides see a reset.
    let _ = (client.set_zero_linger(), server.set_zero_linger());
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let (passage, greeting) = (&passage, &Greeting::default());
    let to_target = Direction { way: Way::ToTarget, passage, greeting, holes: to_holes };
    let from_target = Direction { way: Way::FromTarget, passage, greeting, holes: from_holes };
    tokio::select! {
        biased;
        // Checked first: data that is held at a reset is lost, even if it is released at once.
        _ = resets.changed() => {}
        _ = async {
            tokio::try_join!(
                to_target.pass(from_client, to_server),
                from_target.pass(from_server, to_client),
            )
        } => {}
    }
}

/// One direction of one connection.
struct Direction<'a> {
    way: Way,
    passage: &'a Passage,
    greeting: &'a Greeting,
    holes: watch::Receiver<usize>,
}

impl Direction<'_> {
    /// Passes on all data, or only this many bytes.
    async fn pass(
        mut self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let Passage { stall, line, carried, .. } = self.passage;
        let (most, mut frames) = match self.way {
            Way::ToTarget => (stall.to_target, Frames::of_client()),
            Way::FromTarget => (stall.from_target, Frames::of_broker()),
        };
        let mut held = self.passage.held.subscribe();
        let mut wire = Wire::new(*line, carried.clone());
        let mut left = most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
        let mut chunk = vec![0; 16 * 1024];
        let reads_confirms = self.passage.knows_confirms && self.way == Way::FromTarget;
        let mut garble = Garble::default();
        let mut confirms = reads_confirms.then(Confirms::default);
        let mut confirmed_up_to = self.passage.confirmed_up_to.subscribe();
        while left > 0 {
            let most = left.min(chunk.len());
            let read = tokio::select! {
                biased;
                _ = self.holes.changed() => return self.lose(from).await,
                Ok(()) = confirmed_up_to.changed(), if reads_confirms => {
                    let up_to = *confirmed_up_to.borrow();
                    if let Some(confirms) = &mut confirms {
                        to.write_all(&confirms.release(up_to)).await?;
                        self.passage.tell(confirms);
                    }
                    continue;
                }
                read = from.read(&mut chunk[..most]) => read?,
            };
            if self.way == Way::ToTarget {
                self.greeting.hear(&chunk[..read]);
                self.passage.count_down(read);
                let garbling = self.passage.garbling.borrow().clone();
                if garbling.is_some_and(|text| garble.pass(&mut chunk[..read], &text)) {
                    self.passage.garbled.send_modify(|count| *count += 1);
                }
            }
            // The relay may be gone before its last connections.
            let _ = held.wait_for(|held| !held.holds(self.greeting)).await;
            if read == 0 {
                return to.shutdown().await;
            }
            let chunk = &chunk[..read];
            if self.is_cut() && frames.clone().middle(chunk, Some(Frame::Body)).is_some() {
                self.passage.cuts.send_modify(|count| *count += 1);
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            if let Some((middle, torn)) = frames.middle(chunk, self.wanted()) {
                self.passage.tearing.send_replace(None);
                to.write_all(&chunk[..middle]).await?;
                self.passage.torn.send_replace(Some(torn));
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            left -= read;
            let Some(confirms) = &mut confirms else {
                wire.carry(&mut to, chunk).await?;
                continue;
            };
            let up_to = *confirmed_up_to.borrow();
            to.write_all(&confirms.pass(chunk, up_to)).await?;
            self.passage.tell(confirms);
        }
        self.passage.stalled.send_modify(|count| *count += 1);
        // The end of the connection is still passed on.
        while from.read(&mut chunk).await? > 0 {}
        to.shutdown().await
    }

    /// The type of frame to cut in this direction.
    fn wanted(&self) -> Option<Frame> {
        let tearing = *self.passage.tearing.borrow();
        tearing.filter(|(way, _)| *way == self.way).map(|(_, frame)| frame)
    }

    /// Whether a body cuts this connection.
    fn is_cut(&self) -> bool {
        let cutting = *self.passage.cutting.borrow();
        self.way == Way::FromTarget && cutting.is_some_and(|name| self.greeting.says(name))
    }

    /// Reads and drops all data, and does not pass on the end.
    async fn lose(&self, mut from: impl AsyncRead + Unpin) -> io::Result<()> {
        let mut chunk = vec![0; 16 * 1024];
        while let Ok(read @ 1..) = from.read(&mut chunk).await {
            self.passage.swallowed.send_modify(|count| *count += read);
        }
        std::future::pending().await
    }
}
