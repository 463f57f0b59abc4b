//! One metric with all of its series, resolved once.
//!
//! The client library finds a series by hashing its label values on every use, under a lock. Ours are all
//! known in advance, so each is looked up once at the start, and later found by its index. Counting is one
//! atomic addition, and every series exists from the start, at zero.

use std::marker::PhantomData;

use prometheus::{
    Error, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry, core::Collector,
};

use super::labels::LabelSet;

/// The prefix of every metric's name, before an underscore.
pub const NAMESPACE: &str = "revoker";

pub struct Family<S, L> {
    series: Box<[S]>,
    labels: PhantomData<fn(L)>,
}

impl<S: Series, L: LabelSet> Family<S, L> {
    /// Declares the metric and creates all of its series.
    pub fn register(
        registry: &Registry,
        (name, help): (&str, &str),
        buckets: &[f64],
    ) -> Result<Self, Error> {
        let opts = Opts::new(name, help.trim()).namespace(NAMESPACE);
        let all = S::declare(opts, buckets, L::NAMES)?;
        registry.register(Box::new(all.clone()))?;
        let every = L::every();
        let series = every.iter().map(|values| S::find(&all, values)).collect::<Result<_, _>>()?;
        Ok(Self { series, labels: PhantomData })
    }

    pub fn of(&self, labels: L) -> &S {
        &self.series[labels.index()]
    }
}

/// A kind of metric: one series of it.
pub trait Series: Sized {
    /// The library's type for all series together.
    type All: Collector + Clone + 'static;

    /// Only histograms have buckets: their upper bounds.
    fn declare(opts: Opts, buckets: &[f64], labels: &[&str]) -> Result<Self::All, Error>;

    /// Finds or creates the series with these label values.
    fn find(all: &Self::All, values: &[&str]) -> Result<Self, Error>;
}

/// The library's types differ in name only.
macro_rules! series {
    ($($one:ident of $all:ident by |$opts:ident, $buckets:ident| $made:expr;)+) => {$(
        impl Series for $one {
            type All = $all;

            fn declare($opts: Opts, $buckets: &[f64], labels: &[&str]) -> Result<$all, Error> {
                $all::new($made, labels)
            }

            fn find(all: &$all, values: &[&str]) -> Result<Self, Error> {
                all.get_metric_with_label_values(values)
            }
        }
    )+};
}

series! {
    IntCounter of IntCounterVec by |opts, _buckets| opts;
    IntGauge of IntGaugeVec by |opts, _buckets| opts;
    Gauge of GaugeVec by |opts, _buckets| opts;
    Histogram of HistogramVec by |opts, buckets| HistogramOpts::from(opts).buckets(buckets.to_vec());
}
