//! What a pick costs over 10, 1,000 and 10,000 endpoints, and what it allocates; and the memory that these take, but for
//! their connections: `cargo bench -p selvedge-bench`.

use divan::{AllocProfiler, Bencher};
use selvedge::{Balance, testing::Picks};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const ENDPOINTS: [usize; 3] = [10, 1_000, 10_000];

fn main() {
    divan::main();
}

fn bench(bencher: Bencher<'_, '_>, balance: Balance, endpoints: usize, weight: fn(usize) -> u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _entered = runtime.enter();
    let picks = Picks::new(balance, endpoints, weight);
    let mut hash = 0_u64;
    bencher.bench_local(|| {
        hash = hash.wrapping_add(0x9e37_79b9_7f4a_7c15);
        assert!(picks.pick(Some(hash)));
    });
}

/// Allocations and bytes are those of all of them.
#[divan::bench(args = ENDPOINTS, sample_count = 5, sample_size = 1)]
fn endpoints(bencher: Bencher<'_, '_>, endpoints: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _entered = runtime.enter();
    bencher.bench_local(|| Picks::new(Balance::PeakEwma, endpoints, |_| 1));
}

#[divan::bench(args = ENDPOINTS)]
fn peak_ewma(bencher: Bencher<'_, '_>, endpoints: usize) {
    bench(bencher, Balance::PeakEwma, endpoints, |_| 1);
}

#[divan::bench(args = ENDPOINTS)]
fn peak_ewma_by_weight(bencher: Bencher<'_, '_>, endpoints: usize) {
    bench(bencher, Balance::PeakEwma, endpoints, |number| 1 + number as u32 % 10);
}

#[divan::bench(args = ENDPOINTS)]
fn least_request(bencher: Bencher<'_, '_>, endpoints: usize) {
    bench(bencher, Balance::LeastRequest, endpoints, |_| 1);
}

#[divan::bench(args = ENDPOINTS)]
fn round_robin(bencher: Bencher<'_, '_>, endpoints: usize) {
    bench(bencher, Balance::RoundRobin, endpoints, |_| 1);
}

#[divan::bench(args = ENDPOINTS)]
fn ring_hash(bencher: Bencher<'_, '_>, endpoints: usize) {
    bench(bencher, Balance::RingHash, endpoints, |_| 1);
}

#[divan::bench(args = ENDPOINTS)]
fn maglev(bencher: Bencher<'_, '_>, endpoints: usize) {
    bench(bencher, Balance::Maglev, endpoints, |_| 1);
}
