//! A fake worker on a thread of its own that finishes every job with 200.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use trackyard_protocol::worker::{FromRouter, Hello, Job};

use super::FakeWorker;
use crate::router::Router;

/// The jobs that a worker received, in order.
type Log = Arc<Mutex<Vec<Job>>>;

/// A running fake worker; it ends when this is dropped.
pub struct AutomaticWorker {
    stop: Arc<AtomicBool>,
    log: Log,
    thread: Option<JoinHandle<()>>,
}

impl AutomaticWorker {
    /// Joins the router; then it finishes each job after `job_duration`.
    ///
    /// # Panics
    /// When the router does not welcome it within 10 seconds.
    #[must_use]
    pub fn start(router: &Router, hello: Hello, job_duration: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let log = Log::default();
        let (joined, welcome) = mpsc::channel();
        let thread = {
            let worker = FakeWorker::connect(router, hello);
            let stop = Arc::clone(&stop);
            let log = Arc::clone(&log);
            std::thread::spawn(move || serve(worker, &stop, &log, &joined, job_duration))
        };
        welcome.recv_timeout(Duration::from_secs(10)).expect("a Welcome");
        Self { stop, log, thread: Some(thread) }
    }

    /// Returns the jobs received so far, in order.
    #[must_use]
    pub fn jobs(&self) -> Vec<Job> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(
    mut worker: FakeWorker,
    stop: &AtomicBool,
    log: &Log,
    joined: &mpsc::Sender<()>,
    job_duration: Duration,
) {
    worker.say_hello();
    let mut running: Vec<(Instant, Job)> = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let step = running.iter().map(|(end, _)| end.saturating_duration_since(Instant::now())).min();
        match worker.next(step.unwrap_or(Duration::from_millis(50)).min(Duration::from_millis(50))) {
            // The receiver is gone after the first Welcome, or when the test is over.
            Some(FromRouter::Welcome(_)) => drop(joined.send(())),
            Some(FromRouter::Job(job)) => {
                log.lock().unwrap_or_else(PoisonError::into_inner).push(job.clone());
                running.push((Instant::now() + job_duration, job));
            }
            _ => {}
        }
        for (_, job) in running.extract_if(.., |(end, _)| *end <= Instant::now()) {
            worker.finish(&job);
        }
    }
}

impl Drop for AutomaticWorker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Joining fails only if the thread panicked, which was printed.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
