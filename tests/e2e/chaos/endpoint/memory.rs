//! Bodies that are meant to fill the worker's memory.

use std::cell::RefCell;

use super::Weather;
use crate::harness::{Answer, Worker, endpoint::GZIP_BOMB};

/// How much the peak of the worker's memory may grow by the weather, in KiB: less than one bomb unpacked.
const GROWTH: usize = 32 << 10;

pub const ENDLESS: Weather =
    Weather { fault: "endless body", answer: |_| Answer::Endless, result: "unrecognized" };
pub const BOMB: Weather =
    Weather { fault: "gzip bomb", answer: |_| Answer::gzip_bomb(), result: "unrecognized" };

/// The weather is outlasted, and the worker's memory stays about what it was.
async fn memory_is_bounded(weather: Weather) {
    let peaks = RefCell::new(Vec::new());
    let look = async |worker: &Worker| peaks.borrow_mut().push(worker.peak_memory());
    weather.is_outlasted_by(|launch| launch, look).await;
    let peaks = peaks.into_inner();
    eprintln!("{}: peaks of {peaks:?} KiB, before it and in it", weather.fault);
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
