//! Bodies that try to fill the worker's memory.

use std::cell::RefCell;

use super::EndpointFault;
use crate::harness::{Answer, Worker, endpoint::GZIP_BOMB};

/// The most growth of the worker's peak memory by the fault, in KiB: less than one decompressed bomb.
const GROWTH: usize = 32 << 10;

pub const ENDLESS: EndpointFault =
    EndpointFault { fault: "endless body", answer: |_| Answer::Endless, result: "unrecognized" };
pub const BOMB: EndpointFault =
    EndpointFault { fault: "gzip bomb", answer: |_| Answer::gzip_bomb(), result: "unrecognized" };

/// Runs the fault until it ends, and asserts that the worker's memory stays bounded.
async fn memory_is_bounded(fault: EndpointFault) {
    let peaks = RefCell::new(Vec::new());
    let check = async |worker: &Worker| peaks.borrow_mut().push(worker.peak_memory());
    fault.outlast_with(|launch| launch, check).await;
    let peaks = peaks.into_inner();
    eprintln!("{}: peaks of {peaks:?} KiB, before it and in it", fault.fault);
    assert!(peaks[0] > 0 && peaks[1] - peaks[0] < GROWTH, "{peaks:?} KiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_bodies() {
    memory_is_bounded(ENDLESS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gzip_bombs() {
    const { assert!(GZIP_BOMB >> 10 > GROWTH) };
    memory_is_bounded(BOMB).await;
}
